"""What the story needs from the outside world, as Protocols; `daemon.py` alone decides who serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from fluence_costwatch.core.alerts.alert import Alert, Silence
from fluence_costwatch.core.billing.history import Charge, History, ResourceState, Snapshot, Step, Verdict
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Kept, Lease, Veto
from fluence_costwatch.core.idle.idleness import IdleClock
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.rules import Condition
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, Draft, OutboxRow
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Resource

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


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The first and the newest beat of a resource."""

    first_at: datetime
    last_at: datetime


class Transaction(Protocol):
    """One write transaction: everything in it is kept, or nothing."""

    def reading(self) -> Reading:
        """All that is known inside this transaction, what it has written so far included."""
        ...

    def save_alerts(self, alerts: Iterable[Alert]) -> None:
        """Store alerts as they are now, new ones and changed ones, each by its id."""
        ...

    def enqueue(self, drafts: Iterable[Draft], *, at: datetime) -> None:
        """Put messages into the outbox, each once by its key and target."""
        ...

    def settle(self, number: int, attempt: Attempt, *, state: Delivery, next_at: datetime, at: datetime) -> None:
        """Note how one try to send a row of the outbox went, what it is now, and when it is due next if still queued."""
        ...

    def requeue(self, number: int, *, at: datetime) -> bool:
        """Queue a dead or unconfirmed row again; False where there is none of that number."""
        ...

    def save_silence(self, silence: Silence) -> None:
        """Keep a silence; one of the same id is replaced."""
        ...

    def save_clocks(self, clocks: Iterable[IdleClock]) -> None:
        """Store idle clocks, each by its resource and rule."""
        ...

    def forget_clocks(self, rules: Iterable[str]) -> None:
        """Drop the clocks of rules that are no longer configured."""
        ...

    def save_deletion(self, deletion: Deletion, *, was: DeletionState | None) -> bool:
        """Store a deletion with those of its transitions that are new, if it is still in the state `was` (None: new).

        False, and nothing is stored, where somebody else has changed it meanwhile.
        """
        ...

    def save_veto(self, veto: Veto) -> None:
        """Keep a veto; one of the same resource and rule is replaced."""
        ...

    def lift_veto(self, identity: Identity, rule: str) -> None:
        """Drop the veto of that resource and rule, if there is one."""
        ...

    def save_lease(self, lease: Lease) -> None:
        """Keep a lease; one of the same resource is replaced."""
        ...

    def end_lease(self, identity: Identity) -> None:
        """Drop the lease of that resource, if there is one."""
        ...

    def keep(self, kept: Kept) -> None:
        """Protect a resource until it is released; one that is protected already stays so with its former reason."""
        ...

    def release(self, identity: Identity, *, actor: str, at: datetime) -> None:
        """Protect a resource no longer, and note that a person decided so: a protected name protects it anew only
        where the resource is seen under one that it did not have then."""
        ...

    def save_heartbeat(self, identity: Identity, *, at: datetime) -> None:
        """Note a beat."""
        ...

    def count_cycle(self) -> None:
        """Count one cycle more, here and (after the commit) beside the database."""
        ...

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

    def save_snapshot(
        self, snapshot: Snapshot, verdict: Verdict, *, deleted_by_us: frozenset[str] = frozenset()
    ) -> int:
        """Store the snapshot as changes against the one before, with the ids that we had asked to be deleted when it was
        judged, so that a rebuild judges it alike; returns its number."""
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

    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
        """The sum of the written rows of each resource whose span starts in `[since, until)`, without a loop over rows."""
        ...

    def straddling(self, moment: datetime) -> Sequence[ChargeRecord]:
        """The written rows of metered resources whose span begins before and ends after `moment`."""
        ...

    def alerts(self, *, resolved_since: datetime | None = None) -> Sequence[Alert]:
        """Every alert that is not resolved, and those that were resolved from `resolved_since` on (None: no others)."""
        ...

    def once_told(self) -> Mapping[str, Alert]:
        """By fingerprint, every alert that is told ONCE, resolved ones included, while its window may go on."""
        ...

    def silences(self) -> Sequence[Silence]:
        """Every silence, ended ones included, by their end."""
        ...

    def outbox(self, *, states: Iterable[Delivery] | None = None, target: str | None = None) -> Sequence[OutboxRow]:
        """The rows of the outbox in the order in which they were put in, of those states (None: all)."""
        ...

    def due(self, *, target: str, now: datetime, limit: int) -> Sequence[OutboxRow]:
        """The first queued rows of a target that are due."""
        ...

    def clocks(self) -> Mapping[tuple[Identity, str], IdleClock]:
        """The idle clock of each resource and rule."""
        ...

    def deletions(self, *, states: Iterable[DeletionState] | None = None) -> Sequence[Deletion]:
        """Every deletion of those states (None: all), oldest first, each with all its transitions."""
        ...

    def vetoes(self) -> Sequence[Veto]:
        """Every veto, ended ones included."""
        ...

    def leases(self) -> Mapping[Identity, Lease]:
        """The lease of each resource that has one, ended ones included."""
        ...

    def kept(self) -> Mapping[Identity, Kept]:
        """The resources that are protected until released by command."""
        ...

    def released(self) -> Mapping[Identity, tuple[str | None, ...]]:
        """The resources that were released by command, each with the names it had been seen under by then."""
        ...

    def heartbeats(self) -> Mapping[Identity, Heartbeat]:
        """The beats of each resource that ever beat."""
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

    def free_bytes(self) -> int:
        """How much room is left where the database lies."""
        ...

    def secret(self) -> bytes:
        """32 random bytes that are kept beside the database, readable by its owner alone; made when first asked for."""
        ...

    def was_rolled_back(self) -> bool:
        """Whether the cycle counter in the database is behind the one beside it: an older backup was restored."""
        ...

    def accept_rollback(self) -> None:
        """An operator confirms that the database is as it should be: both counters agree again."""
        ...


class Display(Protocol):
    """Whoever shows the present state: it gets every new view, and answers from it without asking anybody."""

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Make this the state that is shown from now on."""
        ...


class Notifier(Protocol):
    """Whoever hands a message to a target."""

    def send(self, target: str, message: Message, *, reference: str) -> Attempt:
        """Try to send once, within a deadline of its own. `reference` is the same for the same row of the outbox."""
        ...


class Signals(Protocol):
    """The facts about machines that have to be asked for over the network: cpu, network and PromQL."""

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], SignalReading]:
        """What each condition says of each resource now. Never raises: what cannot be had is unknown and says why."""
        ...


class Deleter(Protocol):
    """The side of the marketplace that ends things, with the key that may."""

    def delete(self, deletion: Deletion) -> None:
        """Ask for one deletion, once. Raises FluenceRefused or FluenceUnexpected where the API said no, so that nothing
        has gone; FluenceUnavailable where it may or may not have been taken."""
        ...

    def maintenance(self, generation: Generation) -> bool:
        """Whether the marketplace says that it is under maintenance. Raises FluenceError where it does not say."""
        ...
