"""When a deletion is carried out: just before the next charge, with notice, inside the allowed hours (`design.md` 7).

A prepaid epoch is already paid, so a deletion waits for the last safe moment in it. A metered resource goes when its grace
is over, a record to reclaim after the notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from fluence_costwatch.core.billing.history import ResourceState
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy, DeletionState, Ground, IfMissed
from fluence_costwatch.core.epochs import Span, first_in_phase_after
from fluence_costwatch.core.local_times import instant_of, local_day
from fluence_costwatch.core.resources import Resource

# So many of the last verified deletions say how long one takes.
_MEASURED: Final = 20
_MEASURED_BY: Final = 0.95
# Without this part of the margin left before the end of an epoch, its moment is missed.
_ROOM: Final = 3
# Hours that are never found are not looked for any further.
_LONGEST_SEARCH: Final = 400


@dataclass(frozen=True, slots=True)
class Pace:
    """How a resource is charged: epochs of `length` with one boundary at `boundary`, or by time (None)."""

    boundary: datetime | None
    length: timedelta = timedelta(hours=24)

    def end_after(self, moment: datetime) -> datetime | None:
        """The first epoch end later than `moment`; None where it is charged by time."""
        if self.boundary is None:
            return None
        return first_in_phase_after(moment, boundary=self.boundary, length=self.length)


def pace_of(state: ResourceState, listed: Resource | None = None, *, ground: Ground = Ground.IDLE) -> Pace | None:
    """How a resource is charged, by the charge time that `listed` reports if it does; None where that is not known.

    A record to reclaim is charged no more, so it waits for no boundary.
    """
    if is_metered(state.generation) or ground is Ground.RECLAIM:
        return Pace(None)
    if listed is not None and listed.next_charge_at is not None:
        return Pace(listed.next_charge_at, state.grid.length)
    return None if state.epoch is None else Pace(state.epoch.end, state.grid.length)


def measured_latency(deletions: Iterable[Deletion]) -> timedelta:
    """How long 95% of the last verified deletions took from the call to the first list without the resource."""
    verified = [one for one in deletions if one.state is DeletionState.VERIFIED and one.requested_at is not None]
    newest = sorted(verified, key=lambda one: one.requested_at or one.proposed_at)[-_MEASURED:]
    took = sorted(one.settled_at - one.requested_at for one in newest if one.settled_at and one.requested_at)
    return max(timedelta(0), took[ceil(_MEASURED_BY * len(took)) - 1]) if took else timedelta(0)


def room(policy: DeletionPolicy, *, latency: timedelta) -> timedelta:
    """What must be left before the end of an epoch: the measured latency, a third of the margin at least."""
    third = policy.margin / _ROOM
    # A margin is at most doubled; a latency beyond that would leave no moment at all.
    return max(third, min(latency, 2 * policy.margin - third))


def widened_margin(policy: DeletionPolicy, *, latency: timedelta) -> timedelta:
    """How long before the end of an epoch a deletion is due: the margin, or what it needs by experience, at most twice."""
    return max(policy.margin, room(policy, latency=latency) + policy.margin / _ROOM)


def execute_at(
    pace: Pace, *, ground: Ground, notified_at: datetime, policy: DeletionPolicy, latency: timedelta, now: datetime
) -> datetime | None:
    """The moment of a deletion whose notice was accepted at `notified_at`; None where none can be found.

    It may lie a little in the past where there is still room to do it before the charge.
    """
    if ground is Ground.RECLAIM:
        return first_allowed(max(notified_at + policy.min_notice, now), policy=policy)
    if pace.boundary is None:
        wait = max(policy.grace, policy.min_notice)
        return first_allowed(max(notified_at + wait, now), policy=policy)
    if 2 * policy.margin >= pace.length:
        return None
    margin = widened_margin(policy, latency=latency)
    needed = room(policy, latency=latency)
    earliest = notified_at + policy.min_notice
    after = max(earliest, now)
    for _ in range(_LONGEST_SEARCH):
        end = first_in_phase_after(after, boundary=pace.boundary, length=pace.length)
        moment = last_allowed(end - margin, policy=policy, needed=needed)
        if moment is not None and moment >= earliest and moment > end - pace.length:
            in_time = moment >= now or (end - now >= needed and is_allowed(now, policy=policy))
            if in_time:
                return moment
        after = end
        opens = first_allowed(end - margin, policy=policy)
        if opens is not None:
            after = max(end, opens)
    return None


def is_missed(moment: datetime, pace: Pace, *, policy: DeletionPolicy, latency: timedelta, now: datetime) -> bool:
    """Whether too little is left of the epoch for which `moment` was set."""
    end = pace.end_after(moment)
    return end is not None and end - now < room(policy, latency=latency)


def moment_for(
    deletion: Deletion, pace: Pace | None, *, policy: DeletionPolicy, latency: timedelta, now: datetime
) -> datetime | None:
    """The moment that holds for a notified deletion now: the one that was set as long as it serves, else another.

    What was set stays where the boundaries move by little, so that an approval is not lost over seconds. Where it has
    passed and too little of its epoch is left, `if_missed` decides.
    """
    current, notified_at = deletion.execute_at, deletion.notified_at
    if notified_at is None or pace is None:
        return None
    fresh = execute_at(pace, ground=deletion.ground, notified_at=notified_at, policy=policy, latency=latency, now=now)
    if current is None or current < notified_at + policy.min_notice:
        return fresh
    by_time = pace.boundary is None or deletion.ground is Ground.RECLAIM
    if by_time:
        wait = policy.min_notice if deletion.ground is Ground.RECLAIM else max(policy.grace, policy.min_notice)
        serves = current >= notified_at + wait and is_allowed(max(current, now), policy=policy)
        return current if serves else fresh
    if current <= now and policy.if_missed is IfMissed.NOW:
        return current if is_allowed(now, policy=policy) else first_allowed(now, policy=policy)
    if is_missed(current, pace, policy=policy, latency=latency, now=now) or not is_allowed(current, policy=policy):
        return fresh
    end, needed = pace.end_after(current), room(policy, latency=latency)
    before = timedelta(0) if end is None else end - current
    is_near = needed <= before <= 2 * policy.margin + policy.margin / _ROOM
    unmoved = fresh is not None and abs(fresh - current) <= policy.margin / _ROOM
    return current if is_near or unmoved else fresh


def is_allowed(moment: datetime, *, policy: DeletionPolicy) -> bool:
    """Whether deletions may happen at `moment`; the hours are half-open."""
    return policy.allowed_from == policy.allowed_until or any(moment in span for span in _hours(moment, policy))


def first_allowed(moment: datetime, *, policy: DeletionPolicy) -> datetime | None:
    """The first allowed instant at or after `moment`."""
    if is_allowed(moment, policy=policy):
        return moment
    return min((span.start for span in _hours(moment, policy) if span.start >= moment), default=None)


def last_allowed(moment: datetime, *, policy: DeletionPolicy, needed: timedelta) -> datetime | None:
    """`moment` where it is allowed, else the last moment before it that is and leaves what is `needed` to do it."""
    if is_allowed(moment, policy=policy):
        return moment
    over = [span for span in _hours(moment, policy) if span.end <= moment]
    if not over:
        return None
    last = max(over)
    return max(last.start, last.end - needed)


def _hours(moment: datetime, policy: DeletionPolicy) -> Iterator[Span]:
    """The allowed hours of the days around `moment`; those that span midnight belong to the day on which they begin."""
    zone = policy.zone or UTC
    today = local_day(moment, zone=zone)
    for days in range(-2, 3):
        day = today + timedelta(days=days)
        spans_midnight = policy.allowed_until <= policy.allowed_from
        last = day + timedelta(days=1) if spans_midnight else day
        begin = instant_of(day, policy.allowed_from, zone=zone)
        end = instant_of(last, policy.allowed_until, zone=zone)
        if begin < end:
            yield Span(begin, end)
