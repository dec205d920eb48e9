"""When a limit was reached: looked for in the ledger only once it has been (`design.md` section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal, localcontext
from heapq import heappop, heappush
from typing import Final

from fluence_costwatch.core.billing.history import Charge
from fluence_costwatch.core.budgets.forecast import part_of
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.known import Known
from fluence_costwatch.core.money import ZERO, Usd, total
from fluence_costwatch.core.resources import Identity

_MICROSECOND: Final = timedelta(microseconds=1)
# Within so much time the rows are walked one by one; further than that, sums say in which half to look.
_WALKED: Final = timedelta(days=1)
_PRECISION: Final = 60


@dataclass(frozen=True, slots=True)
class Spending:
    """What a window has spent: the sums of the rows that began in it, and the metered rows that reach into it."""

    known: Known
    written: Mapping[Identity, Usd]
    cut: tuple[Charge, ...]


def crossed_at(
    limit: Usd,
    spending: Spending,
    *,
    metered: Mapping[Identity, bool],
    opened: tuple[Charge, ...],
    began: datetime,
    since: datetime | None,
    now: datetime,
) -> datetime:
    """The first instant at which the resources of `metered` (whether each is) had spent `limit`, which they have by `now`.

    `opened` are their open rows, `began` is when spending can have begun, `since` the start of the window. Where the
    provider took money back, it is an instant at which the rows that count now had come to the limit.
    """
    known = spending.known
    into = [
        (Span(since, row.span.end), part_of(row.amount, row.span, since=since))
        for row in (*spending.cut, *opened)
        if since is not None and row.identity in metered and row.span.start < since < row.span.end
    ]
    carried = total(amount for _, amount in into)
    low, high = began, max(began, now)
    while high - low > _WALKED:
        middle = low + (high - low) / 2
        begun = total(amount for key, amount in known.spent(since=since, until=middle).items() if key in metered)
        begun += carried + total(row.amount for row in opened if _starts_in(row, since, middle))
        low, high = (low, middle) if begun >= limit else (middle, high)
    return _walk(
        limit,
        before=_before(known, metered, opened, into, since=since, until=low),
        coming=_coming(known, metered, opened, since=low),
        metered=metered,
        at=low,
        now=now,
    )


def _starts_in(row: Charge, since: datetime | None, until: datetime) -> bool:
    return (since is None or since <= row.span.start) and row.span.start < until


def _before(
    known: Known,
    metered: Mapping[Identity, bool],
    opened: tuple[Charge, ...],
    into: list[tuple[Span, Usd]],
    *,
    since: datetime | None,
    until: datetime,
) -> tuple[Usd, list[tuple[Span, Usd]]]:
    """What was spent by `until` in rows that began before it, without the time of metered ones that was still to come;
    and that time with what it costs."""
    summed = [amount for key, amount in known.spent(since=since, until=until).items() if key in metered]
    summed += [row.amount for row in opened if _starts_in(row, since, until)]
    summed += [amount for _, amount in into]
    cut = (row.charge for row in known.straddling(until) if row.charge.identity in metered)
    going = [*into, *((row.span, row.amount) for row in (*cut, *opened) if _starts_in(row, since, until))]
    rest = [
        (Span(max(span.start, until), span.end), part_of(amount, span, since=until))
        for span, amount in going
        if span.end > until
    ]
    return total(summed) - total(amount for _, amount in rest), rest


def _coming(
    known: Known, metered: Mapping[Identity, bool], opened: tuple[Charge, ...], *, since: datetime
) -> Iterator[Charge]:
    """The rows that began from `since` on, oldest first."""
    later = sorted((row for row in opened if since <= row.span.start), key=lambda row: row.span.start)
    for record in known.charges(since=since):
        if record.charge.identity not in metered:
            continue
        while later and later[0].span.start < record.charge.span.start:
            yield later.pop(0)
        yield record.charge
    yield from later


def _walk(
    limit: Usd,
    *,
    before: tuple[Usd, list[tuple[Span, Usd]]],
    coming: Iterable[Charge],
    metered: Mapping[Identity, bool],
    at: datetime,
    now: datetime,
) -> datetime:
    """The instant at which `before` and then `coming` reach `limit`: prepaid rows as they begin, metered ones with time."""
    with localcontext() as context:
        context.prec = _PRECISION
        level = _Level(Decimal(before[0].micros), at, Decimal(limit.micros))
        for span, amount in before[1]:
            level.flow(span, amount)
        for row in coming:
            reached = level.rise(row.span.start)
            if reached is not None:
                return reached
            if metered[row.identity] and row.span.length:
                level.flow(row.span, row.amount)
            else:
                level.micros += row.amount.micros
            if level.micros >= level.limit:
                return level.at
        # What rounding leaves open is less than a micro-dollar for each row, after all of them.
        return level.rise(now) or level.at


class _Level:
    """How much has been spent by an instant that only goes forward, and how fast it rises there."""

    def __init__(self, micros: Decimal, at: datetime, limit: Decimal) -> None:
        self.micros = micros
        self.at = at
        self.limit = limit
        self._rate = Decimal(0)
        self._ends: list[tuple[datetime, Decimal]] = []

    def flow(self, span: Span, amount: Usd) -> None:
        """From now on `amount` flows over `span`, which begins here."""
        if amount == ZERO or not span.length:
            return
        rate = Decimal(amount.micros) / (span.length // _MICROSECOND)
        self._rate += rate
        heappush(self._ends, (span.end, rate))

    def rise(self, until: datetime) -> datetime | None:
        """Time goes on to `until`; the instant at which the limit is reached on the way, if it is."""
        while self._ends and self._ends[0][0] <= until:
            end, rate = heappop(self._ends)
            reached = self._flow_to(end)
            if reached is not None:
                return reached
            self._rate -= rate
        return self._flow_to(until)

    def _flow_to(self, moment: datetime) -> datetime | None:
        passed = max(0, (moment - self.at) // _MICROSECOND)
        if self._rate > 0 and self.micros + self._rate * passed >= self.limit:
            needed = max(Decimal(0), self.limit - self.micros) / self._rate
            return self.at + int(needed.to_integral_value(ROUND_CEILING)) * _MICROSECOND
        self.micros += self._rate * passed
        self.at = max(self.at, moment)
        return None
