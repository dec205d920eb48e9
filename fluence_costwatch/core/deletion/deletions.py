"""Deletions: the states a deletion goes through, each transition with time, actor and reason (`design.md` section 7)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from fluence_costwatch.core.resources import Generation, Identity, Kind


class Mode(StrEnum):
    """What may happen without a person: nothing, proposals, or deletion after notice."""

    OBSERVE = "observe"
    PROPOSE = "propose"
    EXECUTE = "execute"


class IfMissed(StrEnum):
    """What happens where the moment of a deletion has passed: wait for the next epoch's end, or do it at once."""

    NEXT_EPOCH = "next_epoch"
    NOW = "now"


class Ground(StrEnum):
    """Why something is to go; established anew right before it goes."""

    IDLE = "idle"
    LEASE = "lease"
    BUDGET = "budget"
    RECLAIM = "reclaim"
    RELEASE = "release"


class DeletionState(StrEnum):
    """`requested` is accepted by the API, `verified` proven by later lists. `unconfirmed` may or may not have gone."""

    PROPOSED = "proposed"
    NOTIFIED = "notified"
    APPROVED = "approved"
    VETOED = "vetoed"
    WITHDRAWN = "withdrawn"
    EXECUTING = "executing"
    REQUESTED = "requested"
    VERIFIED = "verified"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"


AWAITING = (DeletionState.PROPOSED, DeletionState.NOTIFIED, DeletionState.APPROVED)
"""Nothing was sent to the API yet; these may still be withdrawn or vetoed."""

UNDER_WAY = (DeletionState.EXECUTING, DeletionState.REQUESTED)
"""The call may have been sent; what became of it is found out by later lists."""

LIVE = (*AWAITING, *UNDER_WAY, DeletionState.UNCONFIRMED)
"""While one of these stands no other deletion of the same resource is proposed: an unconfirmed one is a person's case."""

COSTWATCH: Final = "costwatch"
API: Final = "api"

# Which state may follow which. A state that follows itself is a note: why it was kept for now, or moved.
_FOLLOWS: Final = {
    DeletionState.PROPOSED: ("proposed", "notified", "vetoed", "withdrawn"),
    DeletionState.NOTIFIED: ("notified", "approved", "vetoed", "withdrawn", "executing"),
    DeletionState.APPROVED: ("approved", "notified", "vetoed", "withdrawn", "executing"),
    DeletionState.EXECUTING: ("requested", "failed", "unconfirmed"),
    DeletionState.REQUESTED: ("verified", "unconfirmed"),
    DeletionState.UNCONFIRMED: ("verified",),
    DeletionState.VERIFIED: ("failed",),
}


@dataclass(frozen=True, slots=True)
class Protection:
    """What is never deleted, beside what was once seen under a protected name: globs of names, and lower-cased ids."""

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeletionPolicy:
    """The `[deletion]` section. `armed` is the second key: `--allow-delete` was given.

    `allowed_from`, `allowed_until` are local times in `zone`; equal ones (midnight both) allow the whole day.
    """

    mode: Mode = Mode.OBSERVE
    armed: bool = False
    margin: timedelta = timedelta(minutes=30)
    min_notice: timedelta = timedelta(hours=2)
    grace: timedelta = timedelta(hours=24)
    if_missed: IfMissed = IfMissed.NEXT_EPOCH
    max_per_day: int = 3
    max_fleet_share: Decimal = Decimal("0.2")
    allowed_from: time = time(0)
    allowed_until: time = time(0)
    zone: tzinfo | None = None
    veto_for: timedelta = timedelta(days=7)
    verify_within: timedelta = timedelta(hours=1)
    reclaim: bool = False
    release_public_ips: bool = False
    protect: Protection = Protection()


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a deletion. `actor` is "costwatch", "api", or who did it ("cli alice", "link 10.0.0.7")."""

    at: datetime
    state: DeletionState
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """One deletion from its proposal on.

    `id` is random. `target_id` is the resource's id as the API writes it; `name` and `created_at` are those it was
    proposed under and must still have. `rule` is the idle rule's, budget's or lease's name. `execute_at` is None until a
    target has accepted the notice (`notified_at`) or where no time can be found. `approved_for` is the one execution
    time that an approval serves. `requested_at` is when the call was about to be sent. `settled_at` is when it was over:
    for a verified one, when the first list came that lacked the resource. `burn_per_day`, `next_charge` and
    `next_charge_at` are what it cost, and what the next charge would have been, at execution.
    """

    id: str
    identity: Identity
    target_id: str
    name: str | None
    kind: Kind
    generation: Generation
    created_at: datetime | None
    ground: Ground
    rule: str
    reason: str
    mode: Mode
    state: DeletionState
    proposed_at: datetime
    evidence: tuple[str, ...] = ()
    price: Decimal | None = None
    notified_at: datetime | None = None
    execute_at: datetime | None = None
    approved_for: datetime | None = None
    requested_at: datetime | None = None
    settled_at: datetime | None = None
    burn_per_day: Decimal | None = None
    next_charge: Decimal | None = None
    next_charge_at: datetime | None = None
    history: tuple[Transition, ...] = ()

    @property
    def was_asked_for(self) -> bool:
        """Whether the API may have taken the call: all but those that it refused, or that never were sent."""
        steps = {step.state for step in self.history} | {self.state}
        refused = any(step.state is DeletionState.FAILED and step.actor == API for step in self.history)
        return not refused and not steps.isdisjoint((*UNDER_WAY, DeletionState.UNCONFIRMED))


def moved(
    deletion: Deletion, state: DeletionState, *, at: datetime, reason: str, actor: str = COSTWATCH, **facts: Any
) -> Deletion:
    """`deletion` in its next state, with `facts` changed and the step noted. Raises ValueError where it cannot follow."""
    if state.value not in _FOLLOWS.get(deletion.state, ()):
        raise ValueError(f"a deletion that is {deletion.state} cannot become {state}")
    step = Transition(at, state, actor, reason)
    return replace(deletion, state=state, history=(*deletion.history, step), **facts)


def noted(deletion: Deletion, *, at: datetime, reason: str, **facts: Any) -> Deletion:
    """`deletion` with a note in its history, once as long as the note stays the same."""
    last = deletion.history[-1] if deletion.history else None
    if last is not None and last.state is deletion.state and last.reason == reason:
        return replace(deletion, **facts)
    return moved(deletion, deletion.state, at=at, reason=reason, **facts)


@dataclass(frozen=True, slots=True)
class Veto:
    """A person wants this resource kept from this rule; lifted once its verdict was `active` again, or at `until`."""

    identity: Identity
    rule: str
    until: datetime
    actor: str
    reason: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """A person wants this resource kept until then, and not longer."""

    identity: Identity
    until: datetime
    actor: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource that is protected until released by command, and why ("seen under the protected name 'db-1'")."""

    identity: Identity
    since: datetime
    actor: str
    reason: str
