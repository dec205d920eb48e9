"""The tables of what is told. They belong to `schema.metadata`, and importing any part of this package makes them known.

alerts      what is stored of each finding, resolved ones until retention drops them
silences    of what nothing is told, and until when
outbox      one row per message and target
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Table, Text, UniqueConstraint, literal_column

from fluence_costwatch.core.alerts.alert import AlertState
from fluence_costwatch.core.alerts.findings import Severity, Telling
from fluence_costwatch.core.messages.outbox import Delivery
from fluence_costwatch.store.json_types import Pairs
from fluence_costwatch.store.message_text import MessageText
from fluence_costwatch.store.schema import metadata
from fluence_costwatch.store.types import Instant, Number, Price, Word

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Word(Severity), nullable=False),
    Column("state", Word(AlertState), nullable=False),
    Column("account", Text, nullable=False),
    Column("resource_id", Text),
    Column("rule", Text, nullable=False),
    Column("name", Text),
    Column("summary", Text, nullable=False),
    Column("means", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("telling", Word(Telling), nullable=False),
    Column("group", Text, nullable=False),
    Column("level", Price, nullable=False),
    Column("cost_per_day", Price),
    Column("facts", Pairs),
    Column("since", Instant, nullable=False),
    Column("fired_at", Instant),
    Column("told_at", Instant),
    Column("resolved_at", Instant),
    Column("resolved_because", Text, nullable=False),
    sqlite_strict=True,
)
# Spelled out rather than bound: SQLite uses a partial index only where the query shows its condition word for word.
NOT_RESOLVED: Final = alerts.c.state != literal_column("'resolved'")
TOLD_ONCE: Final = alerts.c.telling == literal_column("'once'")
Index("alerts_not_resolved", alerts.c.since, sqlite_where=NOT_RESOLVED)
Index("alerts_told_once", alerts.c.resolved_at, sqlite_where=TOLD_ONCE)
Index(None, alerts.c.resolved_at)

silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until", Instant, nullable=False),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("alert", Text),
    Column("account", Text),
    Column("resource_id", Text),
    Column("rule", Text),
    sqlite_strict=True,
)

# Numbers are never given twice: a channel may know a row by its number long after the row is gone.
outbox = Table(
    "outbox",
    metadata,
    Column("number", Number, primary_key=True),
    Column("key", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("message", MessageText, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("state", Word(Delivery), nullable=False),
    Column("attempts", Number, nullable=False),
    Column("error", Text, nullable=False),
    Column("settled_at", Instant),
    Column("deletion", Text),
    UniqueConstraint("key", "target"),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
Index(None, outbox.c.target, outbox.c.state, outbox.c.next_at)
Index(None, outbox.c.state)
