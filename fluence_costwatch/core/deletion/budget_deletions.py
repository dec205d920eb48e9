"""Which machines go because of a budget: only as many as bring its forecast back under the limit (`design.md` section 5).

Idle ones go first, then the most expensive, then the newest. If no set of them suffices, none goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.budgets.forecast import foreseen
from fluence_costwatch.core.deletion.deletions import LIVE, Deletion, Ground, Mode
from fluence_costwatch.core.deletion.grounds import MACHINES, Situation, is_over, verdict_on
from fluence_costwatch.core.deletion.timing import execute_at, pace_of
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.core.views.fleet import burn_per_day


@dataclass(frozen=True, slots=True)
class Choice:
    """What one budget wants gone. `surplus` are live deletions of it that are not needed (any more).

    `short_by` is by how much even all of them together leave the forecast too high: then none is chosen.
    """

    status: BudgetStatus
    chosen: tuple[Identity, ...] = ()
    surplus: tuple[str, ...] = ()
    short_by: Usd | None = None


def choices(
    situation: Situation, *, may_go: Iterable[tuple[BudgetStatus, KnownResource]], now: datetime
) -> tuple[Choice, ...]:
    """What every budget that is over its threshold of deletion wants gone, in the order of the budgets.

    `may_go` are the machines, with the budget on whose account, for which nothing but the choice itself is missing.
    """
    allowed = [(status.budget.name, record) for status, record in may_go]
    taken: list[Identity] = []
    made = []
    for status in situation.statuses:
        if is_over(status):
            candidates = [record for name, record in allowed if name == status.budget.name]
            choice = _choice(status, candidates, situation, taken=taken, now=now)
            taken.extend(choice.chosen)
            made.append(choice)
    return tuple(made)


def avoidable(record: KnownResource, *, since: datetime, until: datetime) -> Usd:
    """What a machine will be charged in `[since, until)` unless it goes."""
    ahead = foreseen([record])
    return ahead.stepping(since, until) + ahead.metered(since, until)


def avoided_by(
    record: KnownResource, ground: Ground, status: BudgetStatus, situation: Situation, *, now: datetime
) -> Usd:
    """What the budget is spared if the machine is noticed now and goes at its moment; nothing where it has none."""
    pace = pace_of(record.state, record.resource)
    moment = None
    if pace is not None:
        moment = execute_at(
            pace, ground=ground, notified_at=now, policy=situation.policy, latency=situation.latency, now=now
        )
    if moment is None or status.ends_at is None or moment >= status.ends_at:
        return ZERO
    return avoidable(record, since=moment, until=status.ends_at)


def _choice(
    status: BudgetStatus,
    candidates: Sequence[KnownResource],
    situation: Situation,
    *,
    taken: Sequence[Identity],
    now: datetime,
) -> Choice:
    left = status.forecast or ZERO
    limit = status.budget.limit
    for identity, spared in _going(status, situation, taken=taken, now=now):
        if identity is not None:
            left -= spared
    own = [one for one in _live(situation) if one.ground is Ground.BUDGET and one.rule == status.budget.name]
    surplus = []
    for deletion in own:
        if left < limit and deletion.requested_at is None:
            surplus.append(deletion.id)
        else:
            left -= _spared_by(deletion, status, situation, now=now)
    chosen = []
    for record, spared in _ordered(candidates, status, situation, taken=taken, now=now):
        if left < limit:
            break
        chosen.append(record.state.identity)
        left -= spared
    if left < limit:
        return Choice(status, tuple(chosen), tuple(surplus))
    waiting = tuple(one.id for one in own if one.requested_at is None)
    return Choice(status, (), waiting, short_by=left - limit + Usd(1))


def _live(situation: Situation) -> list[Deletion]:
    """The deletions that will go, or may: those of the present mode."""
    return [
        one
        for one in situation.deletions
        if one.state in LIVE and (one.mode is Mode.OBSERVE) == (situation.policy.mode is Mode.OBSERVE)
    ]


def _going(
    status: BudgetStatus, situation: Situation, *, taken: Sequence[Identity], now: datetime
) -> list[tuple[Identity | None, Usd]]:
    """What goes for other reasons, and what the budget is spared by each."""
    others = [
        (one.identity, _spared_by(one, status, situation, now=now))
        for one in _live(situation)
        if one.ground is not Ground.BUDGET or one.rule != status.budget.name
    ]
    mine = [
        (identity, avoided_by(record, Ground.BUDGET, status, situation, now=now))
        for identity in taken
        if (record := situation.records.get(identity)) is not None and status.budget.select.matches(record.resource)
    ]
    return [*others, *mine]


def _spared_by(deletion: Deletion, status: BudgetStatus, situation: Situation, *, now: datetime) -> Usd:
    record = situation.records.get(deletion.identity)
    if record is None or deletion.kind not in MACHINES or not status.budget.select.matches(record.resource):
        return ZERO
    if deletion.requested_at is not None or deletion.execute_at is not None:
        since = deletion.requested_at or deletion.execute_at or now
        return ZERO if status.ends_at is None else avoidable(record, since=max(since, now), until=status.ends_at)
    return avoided_by(record, deletion.ground, status, situation, now=now)


def _ordered(
    candidates: Sequence[KnownResource],
    status: BudgetStatus,
    situation: Situation,
    *,
    taken: Sequence[Identity],
    now: datetime,
) -> list[tuple[KnownResource, Usd]]:
    """The machines that may go and that spare the budget something: idle first, then dearest, then newest."""
    standing = {one.identity for one in _live(situation)} | set(taken)
    useful = [
        (record, spared)
        for record in candidates
        if record.state.identity not in standing
        and record.state.presence is Presence.PRESENT
        and verdict_on(record, situation, now=now) is not IdleVerdict.UNKNOWN
        and (spared := avoided_by(record, Ground.BUDGET, status, situation, now=now)) > ZERO
    ]

    def place(entry: tuple[KnownResource, Usd]) -> tuple[bool, Decimal, float, Identity]:
        record = entry[0]
        burn = burn_per_day(record.state, per=record.resource.price_per) or Decimal(0)
        born = record.state.created_at or record.state.first_seen
        idle = verdict_on(record, situation, now=now) is IdleVerdict.IDLE
        return (not idle, -burn, -born.timestamp(), record.state.identity)

    return sorted(useful, key=place)
