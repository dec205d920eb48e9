"""What was seen: snapshots, whether a list can be believed, and the remembered state of every resource.

`design.md` 3.1 "Absence" and section 4. The state of a resource is all that is needed to go on charging it; the ledger's
rules (`ledger.py`, `opening.py`, `boundaries.py`) turn one state into the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fluence_costwatch.core.alerts.findings import Finding
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind, Resource


@dataclass(frozen=True, slots=True)
class Judgement:
    """The settings by which a snapshot was judged; stored with it, so that a replay judges alike.

    `rank` is the place of the generation in the account's configured order; `charge_from` overrides the moment from
    which a generation is charged.
    """

    grid: EpochGrid = EpochGrid()
    confirm_absence: int = 2
    confirm_suspicious: timedelta = timedelta(minutes=30)
    rank: int = 0
    charge_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One complete list of one account and generation.

    `sent_at` is when the request that was answered was sent (what it lists was there then), `answered_at` when its
    answer had come (what it lacks was gone by then). Resources are in the order of their identities, each once.
    """

    account: str
    generation: Generation
    sent_at: datetime
    answered_at: datetime
    resources: tuple[Resource, ...]
    judgement: Judgement

    @property
    def ids(self) -> frozenset[str]:
        """The lower-cased ids of all that is listed."""
        return frozenset(resource.identity.id for resource in self.resources)


class Verdict(StrEnum):
    """Whether a list is believed. A suspicious one changes nothing until it has stayed so for long enough."""

    ACCEPTED = "accepted"
    SUSPICIOUS = "suspicious"


@dataclass(frozen=True, slots=True)
class ListState:
    """What is remembered of the lists of one account and generation: the last accepted one, and any doubt since.

    `charge_from` is None where lives are charged from their creation on, else the moment from which this generation
    is charged.
    """

    generation: Generation
    rank: int
    sent_at: datetime
    ids: frozenset[str]
    charge_from: datetime | None = None
    suspicious_since: datetime | None = None


def judge_list(last: ListState | None, snapshot: Snapshot, *, deleted_by_us: frozenset[str] = frozenset()) -> Verdict:
    """Whether `snapshot` is believed, given the `last` accepted list.

    A list that lacks more than half of the last accepted one, or turns empty, is suspicious until it has stayed so
    for `confirm_suspicious`; ids that we asked to be deleted explain their own absence.
    """
    if last is None:
        return Verdict.ACCEPTED
    expected = last.ids - (deleted_by_us - snapshot.ids)
    lacking = expected - snapshot.ids
    suspicious = 2 * len(lacking) > len(expected) or bool(expected and not snapshot.ids)
    if not suspicious:
        return Verdict.ACCEPTED
    since = last.suspicious_since or snapshot.sent_at
    stayed = snapshot.sent_at - since >= snapshot.judgement.confirm_suspicious
    return Verdict.ACCEPTED if stayed else Verdict.SUSPICIOUS


class Presence(StrEnum):
    """Whether the last accepted lists show a resource: missing from the last, gone from enough in a row."""

    PRESENT = "present"
    MISSING = "missing"
    GONE = "gone"


class Basis(StrEnum):
    """What a charge rests on (`design.md` section 2)."""

    OBSERVED = "observed"
    INFERRED = "inferred"
    REPORTED = "reported"


class Reason(StrEnum):
    """Why a row of the ledger exists: an epoch began, or a total that the provider reported decided."""

    EPOCH = "epoch"
    OPENING_TOTAL = "opening_total"
    ENDED_TOTAL = "ended_total"
    BOUNDARY_REPORTED = "boundary_reported"
    REFUND = "refund"
    RECONCILED = "reconciled"


@dataclass(frozen=True, slots=True)
class Charge:
    """One row of the ledger. While it is not `closed` its end and basis may still change; afterwards nothing does.

    `reported` rows may be negative and may overlap others; all other rows of one resource never overlap.
    """

    identity: Identity
    span: Span
    amount: Usd
    basis: Basis
    reason: Reason = Reason.EPOCH
    closed: bool = False


class Cause(StrEnum):
    """Why an amount is uncertain: it may or may not be on the bill."""

    FIRST_FRAGMENT = "first_fragment"
    BEFORE_FIRST_SIGHT = "before_first_sight"
    PRICE_CHANGED_UNSEEN = "price_changed_unseen"
    AFTER_LAST_SIGHT = "after_last_sight"
    TOTAL_UNCONFIRMED = "total_unconfirmed"
    BOUNDARY_REPORTED = "boundary_reported"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An amount that the bill may hold on top of the total. None: not even the price is known."""

    span: Span
    amount: Usd | None
    cause: Cause


@dataclass(frozen=True, slots=True)
class Settling:
    """A total that the provider reports and that decides once it has stood still.

    `looks` counts the looks, far enough from a boundary, at which it was `total`. Until it decides, `adjustment` (zero
    or negative) holds our total at or below the reported one and `uncertain` is the difference between both.
    """

    reason: Reason
    span: Span
    total: Usd
    looks: int = 0
    adjustment: Usd = ZERO
    uncertain: Usd = ZERO


class Phase(StrEnum):
    """Where a resource's boundaries come from: the configured grid (provisional), or a charge time that it reported."""

    GRID = "grid"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class ResourceState:
    """All that is remembered of one resource in order to go on charging it.

    `last_seen` is None while the resource stands in the last accepted list of its generation: then that list's
    `sent_at` says when it was last seen. `epoch` is the newest epoch that began, `epoch_charge` its row (None where
    no price is known). `charged` is the sum of all its rows but a pending adjustment of `settling`. `unpriced` are epochs
    that await a first price. `grid` is the one that provisional ends were taken from; `run_since` is when the present
    run of charged epochs began (creation, first sight or return from an uncharged status). `problems` are those of the
    newest sighting. `due_prices` are the prices around the end of `epoch` where it has passed but its charge is late.
    """

    identity: Identity
    kind: Kind
    generation: Generation
    created_at: datetime | None
    first_seen: datetime
    status: str
    price: Decimal | None
    last_seen: datetime | None = None
    presence: Presence = Presence.PRESENT
    absences: int = 0
    absent_since: datetime | None = None
    billed: bool = False
    retired: bool = False
    charged_under: str | None = None
    phase: Phase = Phase.GRID
    grid: EpochGrid = EpochGrid()
    run_since: datetime | None = None
    epoch: Span | None = None
    epoch_charge: Charge | None = None
    charged: Usd = ZERO
    unpriced: tuple[Span, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    settling: Settling | None = None
    problems: tuple[str, ...] = ()
    due_prices: tuple[Decimal, ...] = ()


def altered(state: ResourceState, **facts: Any) -> ResourceState:
    """`state` with `facts`; itself where it says all of them already, as nearly every look at a fleet finds it."""
    for name, fact in facts.items():
        if getattr(state, name) != fact:
            return replace(state, **facts)
    return state


@dataclass(frozen=True, slots=True)
class History:
    """All that is remembered of one account. `has_past` is true once any list of it was ever accepted."""

    account: str
    lists: Mapping[Generation, ListState] = field(default_factory=dict)
    resources: Mapping[str, ResourceState] = field(default_factory=dict)
    has_past: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What one snapshot did to an account: the new history, the rows to write, and what to tell.

    `charges` holds rows that are new or that changed while open; a row is known by its identity, the start of its
    span and its reason.
    """

    history: History
    verdict: Verdict
    charges: tuple[Charge, ...] = ()
    findings: tuple[Finding, ...] = ()


def seen_last(state: ResourceState, lists: Mapping[Generation, ListState]) -> datetime:
    """When the resource was last seen in a list that was believed."""
    if state.last_seen is not None:
        return state.last_seen
    owner = lists.get(state.generation)
    return owner.sent_at if owner is not None else state.first_seen


def added_at(
    history: History, generation: Generation, *, first_asked: Mapping[Generation, datetime], now: datetime
) -> datetime | None:
    """When `generation` was added, if it is new to an account that has a history: then it is charged from there on.

    `first_asked` says when the account was first asked for each generation. One that the account was asked for from its
    first cycle on, whatever came of it, is charged from the creation of its resources, as is one whose lists are known.
    One that did not answer at first was added when it was first asked for. One that was retired meanwhile is new again.
    """
    if generation in history.lists or not history.has_past:
        return None
    returns = any(state.retired and state.generation is generation for state in history.resources.values())
    belongs = first_asked.get(generation) == min(first_asked.values(), default=None)
    if returns:
        return now
    return None if belongs and first_asked else min(now, first_asked.get(generation, now))


def accepted(last: ListState | None, snapshot: Snapshot, *, charge_from: datetime | None) -> ListState:
    """The list state after `snapshot` was believed."""
    fresh = ListState(
        generation=snapshot.generation,
        rank=snapshot.judgement.rank,
        sent_at=snapshot.sent_at,
        ids=snapshot.ids,
        charge_from=charge_from,
    )
    return fresh if last is None else replace(fresh, charge_from=last.charge_from)
