"""What will be charged if nothing changes: a staircase of prepaid epochs and the flow of metered time, both exact.

`design.md` section 5. Charges fall on known boundaries at known prices, so nothing is estimated: the forecast is what the
ledger will hold if every resource goes on as it was last seen. A boundary that has passed unseen counts at its own start,
since its charge is booked there once the resource is seen again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

from fluence_costwatch.core.billing.booking import amount_of
from fluence_costwatch.core.billing.history import ResourceState
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.billing.metering import cost_of, is_metered
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.money import MICROS_PER_DOLLAR, ZERO, Usd

_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR: Final = 3_600_000_000
# A month has 13 digits of microseconds; a fleet's prices of any sane length times them stay exact.
_PRECISION: Final = 80


@dataclass(frozen=True, slots=True)
class Boundaries:
    """When a prepaid charge falls due: at `first` and then every `length`; None is that once only."""

    first: datetime
    length: timedelta | None

    def count(self, since: datetime, until: datetime) -> int:
        """How many of them lie in `[since, until)`."""
        if self.length is None:
            return int(since <= self.first < until)
        return max(0, _steps(until - self.first, self.length) - _steps(since - self.first, self.length))


@dataclass(frozen=True, slots=True)
class Meter:
    """A metered resource last seen at `seen`: its hourly price, its open row, and the grid on which its rows end."""

    price: Decimal
    epoch: Span
    grid: EpochGrid
    seen: datetime

    def charged(self, since: datetime, until: datetime) -> Usd:
        """What its rows from the open one on will charge for `[since, until)`, each rounded as the ledger rounds it."""
        second = Span(self.epoch.end, self.grid.after(self.epoch.end))
        charged = self._part(self.epoch, since, until) + self._part(second, since, until)
        first, last = self._whole_rows(second.end, since, until)
        length = self.grid.length
        if first > last:  # the window lies within one row
            return charged + (self._part(Span(last, first), since, until) if last >= second.end else ZERO)
        charged += cost_of(self.price, length) * ((last - first) // length)
        before = self._part(Span(first - length, first), since, until) if first > second.end else ZERO
        return charged + before + self._part(Span(last, last + length), since, until)

    def _whole_rows(self, from_: datetime, since: datetime, until: datetime) -> tuple[datetime, datetime]:
        """The first boundary from both on, and the last one that is not after `until`."""
        first = from_ if since <= from_ else self.grid.after(since - _MICROSECOND)
        return first, self.grid.at_or_before(until)

    def _part(self, row: Span, since: datetime, until: datetime) -> Usd:
        """What of `row` lies in `[since, until)`, if it is written no further than to `until`."""
        stop = min(row.end, until)
        if stop <= max(row.start, since):
            return ZERO
        span = Span(row.start, stop)
        return part_of(cost_of(self.price, span.length), span, since=since)


def part_of(amount: Usd, span: Span, *, since: datetime | None) -> Usd:
    """What of an `amount` for `span` falls on its time from `since` on, rounded half-even to a micro-dollar."""
    if since is None or since <= span.start:
        return amount
    if since >= span.end:
        return ZERO
    return Usd(round(Fraction(amount.micros * ((span.end - since) // _MICROSECOND), span.length // _MICROSECOND)))


def boundaries_of(state: ResourceState) -> tuple[tuple[Boundaries, Usd], ...]:
    """When a prepaid resource is charged next and from then on, and what each time; nothing where that is not known.

    The price of a boundary that has passed late is the lower one around it, as the ledger will book it.
    """
    amount = amount_of(state.price)
    if not goes_on(state) or is_metered(state.generation) or amount is None or state.epoch is None:
        return ()
    first, length = state.epoch.end, state.grid.length
    late = amount_of(min(state.due_prices)) if state.due_prices else None
    if late is None or late == amount:
        return ((Boundaries(first, length), amount),)
    return (Boundaries(first, None), late), (Boundaries(first + length, length), amount)


def meter_of(state: ResourceState, *, seen: datetime) -> Meter | None:
    """The meter that runs for a metered resource last seen at `seen`; None where none does or no price is known."""
    if not goes_on(state) or not is_metered(state.generation) or state.price is None or state.epoch is None:
        return None
    start, end = state.epoch.start, state.epoch.end
    return Meter(state.price, Span(start, end if end > start else state.grid.after(start)), state.grid, seen)


def goes_on(state: ResourceState) -> bool:
    """Whether the resource is charged on, and in its own account."""
    return is_charged_on(state) and state.charged_under is None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What some resources will be charged: the sum at each boundary, with the number of charges, and running meters.

    `at_least` is true where a price is not known, so that more will be charged.
    """

    stairs: tuple[tuple[Boundaries, Usd, int], ...] = ()
    meters: tuple[tuple[Meter, int], ...] = ()
    at_least: bool = False

    def stepping(self, since: datetime, until: datetime) -> Usd:
        """All prepaid charges that fall due in `[since, until)`."""
        return Usd(sum(amount.micros * each.count(since, until) for each, amount, _ in self.stairs))

    def metered(self, since: datetime, until: datetime) -> Usd:
        """All that open rows and those after them charge for `[since, until)`, what has passed already included."""
        return Usd(sum(each.charged(since, until).micros * many for each, many in self.meters))

    def charges(self, since: datetime, until: datetime) -> int:
        """How many prepaid charges fall due in `[since, until)`."""
        return sum(each.count(since, until) * many for each, _, many in self.stairs)

    def reaches(self, needed: Usd, *, since: datetime, until: datetime) -> datetime:
        """The first instant of the window at which what is foreseen comes to `needed`; its end where it does not before.

        Metered time counts from the last sighting on, to the microsecond.
        """
        rising = _Rising.of(self, since=since)
        moments = range((until - since) // _MICROSECOND)
        with localcontext() as context:
            context.prec = _PRECISION
            bound = Decimal(needed.micros) * _MICROSECONDS_PER_HOUR
            return since + bisect_left(moments, bound, key=rising.by) * _MICROSECOND


def foreseen(resources: Iterable[KnownResource]) -> Foreseen:
    """What `resources` will be charged if nothing changes. What is charged alike is one staircase, or one meter."""
    stairs: dict[Boundaries, tuple[int, int]] = {}
    meters: dict[Meter, int] = {}
    at_least = False
    for record in resources:
        state = record.state
        steps = boundaries_of(state)
        for boundaries, amount in steps:
            summed, many = stairs.get(boundaries, (0, 0))
            stairs[boundaries] = (summed + amount.micros, many + 1)
        meter = meter_of(state, seen=record.last_seen)
        if meter is not None:
            meters[meter] = meters.get(meter, 0) + 1
        at_least = at_least or (not steps and meter is None and goes_on(state))
    return Foreseen(
        stairs=tuple((each, Usd(summed), many) for each, (summed, many) in stairs.items()),
        meters=tuple(meters.items()),
        at_least=at_least,
    )


@dataclass(frozen=True, slots=True)
class _Rising:
    """What is foreseen by microseconds from an instant on, in micro-dollars times the microseconds of an hour.

    `steps` are (first, every or 0 for once, amount), `flows` (from when, how much a microsecond).
    """

    steps: tuple[tuple[int, int, int], ...]
    flows: tuple[tuple[int, Decimal], ...]

    @classmethod
    def of(cls, ahead: Foreseen, *, since: datetime) -> _Rising:
        steps = []
        for each, amount, _ in ahead.stairs:
            first, length = each.first, each.length
            if first < since:
                if length is None:
                    continue
                first += _steps(since - first, length) * length
            every = 0 if length is None else length // _MICROSECOND
            steps.append(((first - since) // _MICROSECOND, every, amount.micros * _MICROSECONDS_PER_HOUR))
        flows: dict[int, Decimal] = {}
        with localcontext() as context:
            context.prec = _PRECISION
            for meter, many in ahead.meters:
                begins = max(0, (max(meter.seen, meter.epoch.start) - since) // _MICROSECOND)
                flows[begins] = flows.get(begins, Decimal(0)) + meter.price * many * MICROS_PER_DOLLAR
        return cls(tuple(steps), tuple(flows.items()))

    def by(self, moment: int) -> Decimal:
        """All that is due up to and including `moment`."""
        stepped = sum(
            amount * ((moment - first) // every + 1 if every else 1)
            for first, every, amount in self.steps
            if first <= moment
        )
        return stepped + sum((rate * (moment - begins) for begins, rate in self.flows if begins < moment), Decimal(0))


def _steps(distance: timedelta, length: timedelta) -> int:
    """How many of 0, `length`, 2 `length`, ... lie before `distance`."""
    return max(0, -(-distance // length))
