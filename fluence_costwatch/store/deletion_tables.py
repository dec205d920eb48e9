"""The tables of idle rules and deletions. They belong to `schema.metadata`; importing any part of this package makes them
known.

A resource is named by its account and id, as a lease or a veto may be of one that nobody has seen.

idle_clocks  what is remembered of each rule for each resource
heartbeats   the first and the newest beat of each resource
deletions    every deletion that was ever proposed
transitions  the states that each went through; triggers keep them as they are
vetoes       which resource is kept from which rule, and until when
leases       until when a resource is wanted
kept         what is protected until released by command
released     what was released, with the names that it had been seen under by then
counters     how many cycles this database has lived through
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from fluence_costwatch.core.deletion.deletions import DeletionState, Ground, Mode
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.store.json_types import Buckets, Names
from fluence_costwatch.store.schema import metadata
from fluence_costwatch.store.types import Instant, Number, Price, Texts, Word

idle_clocks = Table(
    "idle_clocks",
    metadata,
    Column("account", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("verdict", Word(IdleVerdict), nullable=False),
    Column("at", Instant, nullable=False),
    Column("since", Instant),
    Column("created_at", Instant),
    Column("price", Price),
    Column("bucket_started_at", Instant),
    Column("buckets", Buckets),
    Column("coverage", Price, nullable=False),
    Column("evidence", Texts),
    Column("busy_at", Instant),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("account", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

deletions = Table(
    "deletions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("name", Text),
    Column("kind", Word(Kind), nullable=False),
    Column("generation", Word(Generation), nullable=False),
    Column("created_at", Instant),
    Column("ground", Word(Ground), nullable=False),
    Column("rule", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("mode", Word(Mode), nullable=False),
    Column("state", Word(DeletionState), nullable=False),
    Column("proposed_at", Instant, nullable=False),
    Column("evidence", Texts),
    Column("price", Price),
    Column("notified_at", Instant),
    Column("execute_at", Instant),
    Column("approved_for", Instant),
    Column("requested_at", Instant),
    Column("settled_at", Instant),
    Column("burn_per_day", Price),
    Column("next_charge", Price),
    Column("next_charge_at", Instant),
    sqlite_strict=True,
)
Index(None, deletions.c.state)

transitions = Table(
    "transitions",
    metadata,
    Column("deletion", Text, ForeignKey("deletions.id"), primary_key=True),
    Column("position", Number, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("state", Word(DeletionState), nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

vetoes = Table(
    "vetoes",
    metadata,
    Column("account", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("until", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("account", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("until", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

kept = Table(
    "kept",
    metadata,
    Column("account", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("since", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

released = Table(
    "released",
    metadata,
    Column("account", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("names", Names),
    Column("actor", Text, nullable=False),
    Column("at", Instant, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Number, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
