"""The tables, as this version of CostWatch expects them. Migrations make them; Alembic compares against these.

accounts      every account that was ever looked at
lists         one row per account and generation, with what is remembered of the last list that was believed
listed        which resources stood in that list
resources     every identity ever seen
snapshots     one row per list that came, believed or not; its number is its place in the order of storing
versions      one row per change of a resource as a list showed it, valid from one snapshot until another
details       what of a resource hardly ever changes, kept once however many versions share it
judgements    the settings by which snapshots were judged, kept once each
states        what the ledger remembers of a resource in order to go on charging it
charges       the ledger; triggers keep closed rows as they are
cycles        the cycle log
retirements   generations that were taken out of the configuration, and when
adjustments   rows that an operator had added to the ledger, and when
checkpoints   what was remembered where the kept snapshots begin, so that a rebuild can start there
balances      what was left on each account, one row per change
top_ups       money that came in
reported_charges  what the provider itself charged each resource on each day

Those of what is told are in `alert_tables.py`, those of idle rules and deletions in `deletion_tables.py`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, MetaData, Table, Text, UniqueConstraint, literal_column

from fluence_costwatch.core.billing.history import Basis, Phase, Presence, Reason, Verdict
from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.store.json_types import Ids
from fluence_costwatch.store.types import (
    Amount,
    Day,
    Doubts,
    Flag,
    Grid,
    Instant,
    Number,
    Price,
    Prices,
    SettlingTotal,
    Spans,
    Texts,
    Word,
)

REVISIONS: Final = ("0001", "0002", "0003", "0004")
"""Every migration, oldest first; the last is what this version reads and writes. Known without loading Alembic."""

# Every constraint has a name, so that a later migration can change it.
metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_name)s",
        "uq": "%(table_name)s_unique_%(column_0_name)s",
        "fk": "%(table_name)s_%(column_0_name)s_exists",
    }
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("has_past", Flag, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# Without `sent_at` no list of this generation was believed yet, or it was retired.
lists = Table(
    "lists",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name"), nullable=False),
    Column("generation", Word(Generation), nullable=False),
    Column("rank", Number),
    Column("sent_at", Instant),
    Column("charge_from", Instant),
    Column("suspicious_since", Instant),
    Column("last_success", Instant),
    UniqueConstraint("account", "generation"),
    sqlite_strict=True,
)

resources = Table(
    "resources",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name"), nullable=False),
    Column("id", Text, nullable=False),
    UniqueConstraint("account", "id"),
    sqlite_strict=True,
)

listed = Table(
    "listed",
    metadata,
    Column("list", Number, ForeignKey("lists.pk"), primary_key=True),
    Column("resource", Number, ForeignKey("resources.pk"), primary_key=True),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

judgements = Table(
    "judgements",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("content", Text, nullable=False, unique=True),
    sqlite_strict=True,
)

# Numbers are never given twice, not even after all snapshots were pruned: open versions still name the old ones.
# `explained` are the ids that we had asked to be deleted when the list was judged.
snapshots = Table(
    "snapshots",
    metadata,
    Column("number", Number, primary_key=True),
    Column("list", Number, ForeignKey("lists.pk"), nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("answered_at", Instant, nullable=False),
    Column("verdict", Word(Verdict), nullable=False),
    Column("judgement", Number, ForeignKey("judgements.pk"), nullable=False),
    Column("explained", Ids),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

details = Table(
    "details",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("content", Text, nullable=False),
    sqlite_strict=True,
)

# Valid for the snapshots of its list in [from_snapshot, to_snapshot); these are plain numbers, as the newest version of
# a resource outlives the snapshots it was taken from.
versions = Table(
    "versions",
    metadata,
    Column("from_snapshot", Number, primary_key=True),
    Column("resource", Number, ForeignKey("resources.pk"), primary_key=True),
    Column("list", Number, ForeignKey("lists.pk"), nullable=False),
    Column("to_snapshot", Number),
    Column("details", Number, ForeignKey("details.pk"), nullable=False),
    Column("status", Text, nullable=False),
    Column("price", Price),
    Column("next_charge_at", Instant),
    Column("status_changed_at", Instant),
    Column("total_spent", Amount),
    Column("reserved", Amount),
    Column("problems", Texts),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
Index(None, versions.c.resource, versions.c.list)
Index(None, versions.c.details)
Index("versions_open", versions.c.list, versions.c.resource, sqlite_where=versions.c.to_snapshot.is_(None))

# `row_...` is the charge of the newest epoch, as `charges` holds it too.
states = Table(
    "states",
    metadata,
    Column("resource", Number, ForeignKey("resources.pk"), primary_key=True),
    Column("kind", Word(Kind), nullable=False),
    Column("generation", Word(Generation), nullable=False),
    Column("created_at", Instant),
    Column("first_seen", Instant, nullable=False),
    Column("status", Text, nullable=False),
    Column("price", Price),
    Column("last_seen", Instant),
    Column("presence", Word(Presence), nullable=False),
    Column("absences", Number, nullable=False),
    Column("absent_since", Instant),
    Column("billed", Flag, nullable=False),
    Column("retired", Flag, nullable=False),
    Column("charged_under", Text),
    Column("phase", Word(Phase), nullable=False),
    Column("grid", Grid, nullable=False),
    Column("run_since", Instant),
    Column("epoch_start", Instant),
    Column("epoch_end", Instant),
    Column("row_start", Instant),
    Column("row_end", Instant),
    Column("row_amount", Amount),
    Column("row_basis", Word(Basis)),
    Column("row_reason", Word(Reason)),
    Column("row_closed", Flag),
    Column("charged", Amount, nullable=False),
    Column("unpriced", Spans),
    Column("doubts", Doubts),
    Column("settling", SettlingTotal),
    Column("problems", Texts),
    Column("due_prices", Prices),
    sqlite_strict=True,
)
# Spelled out rather than bound: SQLite uses a partial index only where the query shows its condition word for word.
NOT_GONE: Final = states.c.presence != literal_column("'gone'")
Index("states_not_gone", states.c.resource, sqlite_where=NOT_GONE)

charges = Table(
    "charges",
    metadata,
    Column("resource", Number, ForeignKey("resources.pk"), primary_key=True),
    Column("starts_at", Instant, primary_key=True),
    Column("reason", Word(Reason), primary_key=True),
    Column("ends_at", Instant, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("basis", Word(Basis), nullable=False),
    Column("closed", Flag, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
Index(None, charges.c.starts_at)
REPORTED: Final = charges.c.basis == literal_column("'reported'")
Index("charges_reported", charges.c.starts_at, sqlite_where=REPORTED)

cycles = Table(
    "cycles",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("list", Number, ForeignKey("lists.pk"), nullable=False, index=True),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("snapshot", Number),
    sqlite_strict=True,
)

# `after_snapshot` is the newest number when it happened: a replay retires before the next one.
retirements = Table(
    "retirements",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("list", Number, ForeignKey("lists.pk"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("after_snapshot", Number, nullable=False),
    sqlite_strict=True,
)

# Its place among all that a replay lives through: after the snapshot of number `after_snapshot`, and after so many of the
# retirements that followed that snapshot. What is `in_checkpoint` is part of the checkpoint and not lived through again.
# The resource is named by its id, as nobody may have seen it.
adjustments = Table(
    "adjustments",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("after_snapshot", Number, nullable=False),
    Column("after_retirements", Number, nullable=False),
    Column("in_checkpoint", Flag, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("amount", Amount, nullable=False),
    Column("basis", Word(Basis), nullable=False),
    Column("reason", Word(Reason), nullable=False),
    Column("closed", Flag, nullable=False),
    sqlite_strict=True,
)

# The content is the account's history as compressed JSON (`checkpoints.py`).
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("account", Text, ForeignKey("accounts.name"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# The order of the keys is that of noting. The entries are JSON (`billing.py`).
balances = Table(
    "balances",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name"), nullable=False, index=True),
    Column("since", Instant, nullable=False),
    Column("at", Instant, nullable=False),
    Column("entries", Text, nullable=False),
    sqlite_strict=True,
)

top_ups = Table(
    "top_ups",
    metadata,
    Column("account", Text, ForeignKey("accounts.name"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("amount", Price, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# The resource is named by its id, as nobody may have seen it. Several rows may be of one resource and day.
reported_charges = Table(
    "reported_charges",
    metadata,
    Column("pk", Number, primary_key=True),
    Column("account", Text, ForeignKey("accounts.name"), nullable=False),
    Column("day", Day, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text),
    Column("cost", Price, nullable=False),
    Column("noted_at", Instant, nullable=False),
    sqlite_strict=True,
)
Index(None, reported_charges.c.account, reported_charges.c.day)
