"""How far budgets are used: their windows, what was spent in them, and what it will be at their end (`design.md` 5).

A prepaid charge counts at the start of its epoch, a metered one by its time: a row that began before the window counts by
the part that lies in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from heapq import nsmallest
from typing import Final

from fluence_costwatch.core.billing.history import Charge, ResourceState
from fluence_costwatch.core.billing.ledger import doubts_of
from fluence_costwatch.core.billing.metering import is_metered, open_charge
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.budgets.crossing import Spending, crossed_at
from fluence_costwatch.core.budgets.forecast import Foreseen, foreseen, part_of
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.known import Known, KnownResource
from fluence_costwatch.core.money import ZERO, Usd, total
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.core.views.fleet import Watched

ROLLING_DAYS: Final = timedelta(days=30)
ROLLING_AHEAD: Final = timedelta(days=1)
DRIVERS: Final = 5

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured: the resources, the window, and the limit whose crossing is looked for (None: none)."""

    select: Selector
    starts_at: datetime | None
    ends_at: datetime | None
    limit: Usd | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; the words are those of `BudgetStatus`.

    `charges_due` counts the prepaid charges that are still to come in the window.
    """

    spent: Usd
    uncertain: Usd
    forecast: Usd | None
    exhausted_at: datetime | None
    at_least: bool
    drivers: tuple[tuple[str, str, str | None, Usd], ...]
    charges_due: int


def window_of(
    window: Window, *, zone: tzinfo, grid: EpochGrid, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """The window `[start, end)` that holds `now`, in UTC; None is no bound.

    A day begins with the first instant that its zone calls midnight, or with the change of the clock that skips it.
    """
    if window is Window.TOTAL:
        return None, None
    if window is Window.ROLLING:
        return now - ROLLING_DAYS, now + ROLLING_AHEAD
    if window is Window.EPOCH:
        epoch = grid.containing(now)
        return epoch.start, epoch.end
    today = _day_of(now, zone)
    if window is Window.DAY:
        first, after = today, today + _DAY
    elif window is Window.WEEK:
        first = today - today.weekday() * _DAY
        after = first + _WEEK
    else:
        first = today.replace(day=1)
        after = (first + 31 * _DAY).replace(day=1)
    return _midnight(first, zone), _midnight(after, zone)


def _day_of(now: datetime, zone: tzinfo) -> date:
    """The day whose midnights enclose `now`: the local date, but where the clock was put back over midnight."""
    day = now.astimezone(zone).date()
    if now >= _midnight(day + _DAY, zone):
        return day + _DAY
    return day - _DAY if now < _midnight(day, zone) else day


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def statuses(budgets: Sequence[Budget], known: Known, *, watched: Watched, now: datetime) -> tuple[BudgetStatus, ...]:
    """How far each of `budgets` is used, in their order.

    Spent is what the ledger says; what has passed since and nobody saw is uncertain, and in the forecast. Committed is
    what cannot be avoided any more even if everything were deleted now: an epoch is charged as it begins and metered
    time as it passes, so that is what is spent.
    """
    windows = [
        window_of(budget.window, zone=budget.zone, grid=_grid_of(budget.select, watched), now=now) for budget in budgets
    ]
    questions = [
        Question(budget.select, starts_at, ends_at, budget.limit)
        for budget, (starts_at, ends_at) in zip(budgets, windows, strict=True)
    ]
    return tuple(
        BudgetStatus(
            budget=budget,
            starts_at=starts_at,
            ends_at=ends_at,
            spent=found.spent,
            uncertain=found.uncertain,
            committed=found.spent,
            forecast=found.forecast,
            exhausted_at=found.exhausted_at,
            at_least=found.at_least,
            drivers=found.drivers,
        )
        for budget, (starts_at, ends_at), found in zip(
            budgets, windows, measure(questions, known, now=now), strict=True
        )
    )


def _grid_of(select: Selector, watched: Watched) -> EpochGrid:
    """The grid of the first configured account that the selector names."""
    grids = [each.grid for each in watched.accounts if not select.accounts or each.account in select.accounts]
    return grids[0] if grids else EpochGrid()


def began_at(select: Selector, records: Iterable[KnownResource]) -> datetime | None:
    """When spending on what is selected can have begun, as far as is known; None where there is nothing of it."""
    return min((_began(each.state) for each in records if select.matches(each.resource)), default=None)


def _began(state: ResourceState) -> datetime:
    return state.grid.at_or_before(state.first_seen) if state.created_at is None else state.created_at


def measure(questions: Sequence[Question], known: Known, *, now: datetime) -> tuple[Figures, ...]:
    """The figures that each question asks for, in their order."""
    if not questions:
        return ()
    subjects = [_Subject.of(record, now=now) for record in known.resources()]
    starts = {question.starts_at for question in questions}
    cut_rows = {
        start: () if start is None else tuple(row.charge for row in known.straddling(start)) for start in starts
    }
    written = {
        (question.starts_at, question.ends_at): known.spent(since=question.starts_at, until=question.ends_at)
        for question in questions
    }
    chosen = {select: _Chosen.of(select, subjects) for select in {question.select for question in questions}}
    return tuple(
        _measured(
            question,
            chosen[question.select],
            Spending(
                known=known,
                written=written[question.starts_at, question.ends_at],
                cut=cut_rows[question.starts_at],
            ),
            now=now,
        )
        for question in questions
    )


@dataclass(frozen=True, slots=True)
class _Subject:
    """One resource with what is asked of it once for all windows: its open row, its doubts, and what lacks a price."""

    record: KnownResource
    identity: Identity
    is_metered: bool
    opened: Charge | None
    doubts: tuple[tuple[Span, Usd], ...]
    unpriced: tuple[Span, ...]

    @classmethod
    def of(cls, record: KnownResource, *, now: datetime) -> _Subject:
        state = record.state
        doubts = doubts_of(state, now=now, seen=record.last_seen)
        return cls(
            record=record,
            identity=state.identity,
            is_metered=is_metered(state.generation),
            opened=open_charge(state, seen=record.last_seen),
            doubts=tuple((one.span, one.amount) for one in doubts if one.amount is not None),
            unpriced=(*state.unpriced, *(one.span for one in doubts if one.amount is None)),
        )

    def uncertain(self, since: datetime | None, until: datetime | None) -> Usd:
        """What may be on the bill of the window: of metered time the part in it, else what began in it."""
        return total(
            part_of(amount, span, since=since) if self.is_metered else amount
            for span, amount in self.doubts
            if (until is None or span.start < until) and (since is None or self.is_metered or since <= span.start)
        )

    def lacks_a_price(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether something in the window could not be charged for want of a price."""
        return any(
            (until is None or span.start < until) and (since is None or since < span.end) for span in self.unpriced
        )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What a selector chooses, and what is foreseen of it; the same for all windows."""

    subjects: tuple[_Subject, ...]
    ahead: Foreseen

    @classmethod
    def of(cls, select: Selector, subjects: Iterable[_Subject]) -> _Chosen:
        chosen = tuple(each for each in subjects if select.matches(each.record.resource))
        return cls(chosen, foreseen(each.record for each in chosen))


def _measured(question: Question, choice: _Chosen, spending: Spending, *, now: datetime) -> Figures:
    since, until, chosen, ahead = question.starts_at, question.ends_at, choice.subjects, choice.ahead
    by_resource = _by_resource(chosen, spending, since=since)
    spent = total(by_resource.values())
    forecast = exhausted_at = None
    if since is not None and until is not None:
        opened = total(part_of(row.amount, row.span, since=since) for row in _open_rows(chosen))
        forecast = spent - opened + ahead.metered(since, until) + ahead.stepping(since, until)
        if question.limit is not None and spent < question.limit <= forecast:
            exhausted_at = ahead.reaches(question.limit - spent, since=since, until=until)
    if question.limit is not None and spent >= question.limit:
        exhausted_at = crossed_at(
            question.limit,
            spending,
            metered={each.identity: each.is_metered for each in chosen},
            opened=tuple(_open_rows(chosen)),
            began=since or began_at(question.select, (each.record for each in chosen)) or now,
            since=since,
            now=now,
        )
    return Figures(
        spent=spent,
        uncertain=total(each.uncertain(since, until) for each in chosen if each.doubts),
        forecast=forecast,
        exhausted_at=exhausted_at,
        at_least=(until is not None and ahead.at_least) or any(each.lacks_a_price(since, until) for each in chosen),
        drivers=_drivers(chosen, by_resource),
        charges_due=0 if until is None else ahead.charges(now, until),
    )


def _open_rows(chosen: Iterable[_Subject]) -> Iterable[Charge]:
    return (each.opened for each in chosen if each.opened is not None)


def _by_resource(chosen: Sequence[_Subject], spending: Spending, *, since: datetime | None) -> Mapping[Identity, Usd]:
    """What each of the chosen resources has spent in the window."""
    spent = {each.identity: spending.written.get(each.identity, ZERO) for each in chosen}
    for row in spending.cut:
        if row.identity in spent:
            spent[row.identity] += part_of(row.amount, row.span, since=since)
    for row in _open_rows(chosen):
        spent[row.identity] += part_of(row.amount, row.span, since=since)
    return spent


def _drivers(chosen: Sequence[_Subject], spent: Mapping[Identity, Usd]) -> tuple[tuple[str, str, str | None, Usd], ...]:
    costly = (each for each in chosen if spent[each.identity] > ZERO)
    dearest = nsmallest(DRIVERS, costly, key=lambda each: (-spent[each.identity].micros, each.identity))
    return tuple(
        (each.identity.account, each.identity.id, each.record.resource.name, spent[each.identity]) for each in dearest
    )
