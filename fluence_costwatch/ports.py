"""What the story needs from the outside world, as Protocols; `daemon.py` alone decides who serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from fluence_costwatch.core.history import Charge, History, ResourceState, Snapshot, Step, Verdict
from fluence_costwatch.core.resources import Generation, Resource

Clock = Callable[[], datetime]
"""Gives the present instant, aware UTC. One is made in `daemon.py`; nobody else reads the clock."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The complete list of one generation. `clock_ahead` is how far the server's clock is before ours, if it said."""

    generation: Generation
    sent_at: datetime
    answered_at: datetime
    resources: tuple[Resource, ...]
    clock_ahead: timedelta | None = None


class Cloud(Protocol):
    """The marketplace as one account sees it."""

    def look(self, generation: Generation) -> Listing:
        """The complete list of `generation`. Raises FluenceError where it cannot be had completely and in time."""
        ...


@dataclass(frozen=True, slots=True)
class BalanceEntry:
    """One entry of an account's balance in dollars; negative is debt. `days_left` is the provider's own guess."""

    feature: str
    balance: Decimal
    days_left: int | None = None


@dataclass(frozen=True, slots=True)
class TopUp:
    """Money that came in: a finished top-up in dollars."""

    id: str
    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ReportedCharge:
    """What the provider itself charged one resource on one day (UTC), in dollars. `resource_id` is lower-cased."""

    resource_id: str
    name: str | None
    kind: str
    day: date
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a key may do. `expires_at` is None where the key does not expire or the API does not tell."""

    scopes: frozenset[str]
    expires_at: datetime | None = None


class Billing(Protocol):
    """The money side of an account, where its generation has one (`cloud-v2`). All raise FluenceError."""

    def balances(self) -> tuple[BalanceEntry, ...]:
        """Every balance entry, by feature."""
        ...

    def top_ups(self) -> tuple[TopUp, ...]:
        """Every finished top-up, oldest first."""
        ...

    def charges(self, *, since: date, until: date) -> tuple[ReportedCharge, ...]:
        """What the provider charged from day `since` to day `until` (both included), by resource and day."""
        ...

    def permissions(self) -> Permissions:
        """What the key may do."""
        ...


@dataclass(frozen=True, slots=True)
class Probe:
    """What one generation answered to a probe by GET alone.

    `reason` is that of the FluenceError where it neither answers nor is simply not there (`refused`, `unavailable`, ...).
    """

    generation: Generation
    answers: bool
    detail: str
    reason: str = ""


class Discovery(Protocol):
    """Finding out which generations serve an account; a hint for the operator, never ground for a deletion."""

    def probe(self) -> tuple[Probe, ...]:
        """What each known generation answers, in the order in which they should be listed."""
        ...


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One line of the cycle log: how one look at one account and generation went in the cycle that began `started_at`.

    `outcome` is "ok", "suspicious" or the reason of the FluenceError (`unavailable`, `refused`, `unexpected`,
    `incomplete`); `detail` is its text. `snapshot_id` is None where no list came.
    """

    account: str
    generation: Generation
    started_at: datetime
    ended_at: datetime
    outcome: str
    detail: str = ""
    snapshot_id: int | None = None


class Transaction(Protocol):
    """One write transaction: everything in it is kept, or nothing."""

    def history(self, account: str, *, listed: frozenset[str] | None = None) -> History:
        """All that is remembered of `account`. With `listed`, the ids of a list, what is gone and not among them is left
        out: enough to remember that list, not to retire or adjust."""
        ...

    def first_asked(self, account: str) -> Mapping[Generation, datetime]:
        """When the first kept cycle of each generation of `account` started, whatever came of it."""
        ...

    def claimed_elsewhere(self, account: str) -> Mapping[str, str]:
        """Ids that are charged, and not gone, under another account: id -> that account."""
        ...

    def save_snapshot(self, snapshot: Snapshot, verdict: Verdict) -> int:
        """Store the snapshot as changes against the one before; returns its number."""
        ...

    def save_step(self, before: History, step: Step) -> None:
        """Store what differs between `before` and `step.history`, and the step's charges."""
        ...

    def save_retirement(self, account: str, generation: Generation, *, at: datetime) -> None:
        """Note that `generation` of `account` is no longer configured, so that a rebuild retires it alike."""
        ...

    def save_cycle(self, record: CycleRecord) -> None:
        """Add a line to the cycle log."""
        ...

    def save_balances(self, account: str, entries: tuple[BalanceEntry, ...], *, at: datetime) -> None:
        """Note what was left on the account at `at`; the same entries again only move the time of the newest note."""
        ...

    def save_top_ups(self, account: str, top_ups: Iterable[TopUp]) -> None:
        """Note top-ups, each once by its id."""
        ...

    def save_reported_charges(
        self, account: str, charges: Iterable[ReportedCharge], *, since: date, until: date, at: datetime
    ) -> None:
        """Note what the provider charged from day `since` to day `until`, instead of what was noted of these days."""
        ...

    def save_adjustments(self, account: str, adjustments: Iterable[Charge], *, at: datetime) -> None:
        """Note that an operator had the ledger adjusted here, so that a rebuild adjusts it alike. The rows themselves
        come with `save_step`."""
        ...


@dataclass(frozen=True, slots=True)
class BalanceRecord:
    """What was left on an account from `since` to `at`, unchanged."""

    account: str
    since: datetime
    at: datetime
    entries: tuple[BalanceEntry, ...]


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """One resource as it is known: what the newest list that held it said, and what is remembered for the ledger."""

    resource: Resource
    state: ResourceState
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """One row of the ledger with the newest known name and kind of its resource."""

    charge: Charge
    name: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """What is known of one account's looks. A generation without success yet has None."""

    account: str
    last_success: Mapping[Generation, datetime | None]
    last_cycle: Mapping[Generation, CycleRecord]


class Reading(Protocol):
    """Consistent reading: everything asked of one Reading is of the same instant of the database."""

    def accounts(self) -> Sequence[AccountRecord]:
        """Every account that was ever looked at, by name."""
        ...

    def resources(self, *, gone: bool = True) -> Sequence[ResourceRecord]:
        """Every resource ever seen (without gone ones if not `gone`), by account and id."""
        ...

    def charges(
        self, *, since: datetime | None = None, until: datetime | None = None, account: str | None = None
    ) -> Iterable[ChargeRecord]:
        """The rows of the ledger whose span starts in `[since, until)`, oldest first."""
        ...

    def balances(self, *, account: str, since: datetime) -> Sequence[BalanceRecord]:
        """The balances of `account` that were noted from `since` on, oldest first."""
        ...

    def top_ups(self, *, account: str, since: datetime) -> Sequence[TopUp]:
        """The top-ups of `account` from `since` on, oldest first."""
        ...

    def reported_charges(self, *, account: str, since: date, until: date) -> Sequence[ReportedCharge]:
        """What the provider charged `account` from day `since` to day `until`, as last noted, by day and resource."""
        ...

    def newest_balances(self) -> Mapping[str, BalanceRecord]:
        """The newest balance of every account that has one."""
        ...

    def snapshot(self, number: int) -> Snapshot:
        """The snapshot of that number exactly as it was stored. Raises UnknownName."""
        ...

    def snapshots(self) -> Iterable[tuple[int, Snapshot, Verdict]]:
        """Every kept snapshot in the order in which they were stored, with its number."""
        ...


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup of the database."""

    path: Path
    size_bytes: int


class Store(Protocol):
    """The database of the daemon, held for writing."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A write transaction: committed where the block ends, rolled back where it raises."""
        ...

    def reading(self) -> AbstractContextManager[Reading]:
        """A consistent view for reading; never waits for a writer."""
        ...

    def prune(self, *, before: datetime) -> int:
        """Drop snapshots, cycle-log lines, balances and the provider's charges older than `before`, never the ledger;
        returns how many snapshots went."""
        ...

    def backup(self, directory: Path, *, now: datetime) -> Backup:
        """Write a consistent copy into `directory`, named by `now`."""
        ...

    def verify(self) -> Sequence[str]:
        """What SQLite's integrity and foreign-key checks find wrong; empty when all is well."""
        ...

    def rebuild(self) -> Sequence[str]:
        """Replay the kept snapshots; returns how the ledger kept while running differs, empty when it does not."""
        ...

    def size_bytes(self) -> int:
        """The size of the database with its write-ahead log."""
        ...


class Display(Protocol):
    """Whoever shows the present state: it gets every new view, and answers from it without asking anybody."""

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Make this the state that is shown from now on."""
        ...
