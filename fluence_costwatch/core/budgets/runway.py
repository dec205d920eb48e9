"""When an account's balance ends if nothing changes, and what is removed when (`fluence-api.md` 5.3)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Final

# The provider removes machines and addresses at an unpaid debt of 5 USD or after 3 days, disks at 20 USD. Whether the
# ten days that its text gives disks begin at day 3 or later is not said, so the earlier of 20 USD and day 3 is taken
# (`fluence-api.md` 7 #22).
MACHINES_REMOVED_AT_DEBT: Final = Decimal(5)
DISKS_REMOVED_AT_DEBT: Final = Decimal(20)
REMOVED_AFTER: Final = timedelta(days=3)

# Further ahead than this nobody plans.
HORIZON: Final = timedelta(days=3650)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR: Final = Decimal(timedelta(hours=1) // _MICROSECOND)
_NONE: Final = Decimal(0)
# Ten years have 15 digits of microseconds; a price of any sane length times them stays exact.
_PRECISION: Final = 80


@dataclass(frozen=True, slots=True)
class Flow:
    """What a metered resource costs by the hour."""

    per_hour: Decimal
    is_disk: bool = False


@dataclass(frozen=True, slots=True)
class Stair:
    """What a prepaid resource costs at each boundary, from `next_at` on."""

    next_at: datetime
    length: timedelta
    price: Decimal


@dataclass(frozen=True, slots=True)
class Runway:
    """When the balance is used up, and at the worst when machines and disks are removed. None: not within ten years."""

    ends_at: datetime | None
    machines_removed_at: datetime | None = None
    disks_removed_at: datetime | None = None


def runway_of(balance: Decimal, *, at: datetime, flows: Sequence[Flow], stairs: Sequence[Stair]) -> Runway:
    """When `balance`, as it was `at`, is used up if nothing changes, and what the debt rules then take at the worst.

    The end is the last instant, to the microsecond, up to which the balance covers what flows and every charge that
    falls due: a charge that takes the last of it is covered.
    """
    due = _Due.of(flows, stairs, at=at)
    ends_at = _exceeds(balance, due, at=at)
    if ends_at is None:
        return Runway(None)
    latest = ends_at + REMOVED_AFTER
    indebted = _exceeds(balance + MACHINES_REMOVED_AT_DEBT, due, at=at)
    deeply = _exceeds(balance + DISKS_REMOVED_AT_DEBT, due, at=at)
    return Runway(
        ends_at=ends_at,
        machines_removed_at=min(latest, indebted or latest),
        disks_removed_at=min(latest, deeply or latest) if any(flow.is_disk for flow in flows) else None,
    )


@dataclass(frozen=True, slots=True)
class _Due:
    """All that falls due, by microseconds from an instant on, in dollars times the microseconds of an hour.

    `steps` are (first, every, price) of each staircase.
    """

    per_microsecond: Decimal
    steps: tuple[tuple[int, int, Decimal], ...]

    @classmethod
    def of(cls, flows: Iterable[Flow], stairs: Iterable[Stair], *, at: datetime) -> _Due:
        # What is charged at the same boundaries is one staircase: hundreds of machines have a few of them.
        prices: dict[tuple[int, int], Decimal] = {}
        for stair in stairs:
            step = ((stair.next_at - at) // _MICROSECOND, stair.length // _MICROSECOND)
            prices[step] = prices.get(step, Decimal(0)) + stair.price
        return cls(
            per_microsecond=sum((flow.per_hour for flow in flows), Decimal(0)),
            steps=tuple((first, every, price * _MICROSECONDS_PER_HOUR) for (first, every), price in prices.items()),
        )

    def flowing(self, until: int) -> Decimal:
        return self.per_microsecond * until

    def stepping(self, until: int) -> Decimal:
        return sum(
            (price * ((until - first) // every + 1) for first, every, price in self.steps if first <= until), _NONE
        )


def _exceeds(limit: Decimal, due: _Due, *, at: datetime) -> datetime | None:
    """The instant at which all that falls due from `at` on comes to exceed `limit`; None if that is not foreseeable."""
    with localcontext() as context:
        context.prec = _PRECISION
        bound = limit * _MICROSECONDS_PER_HOUR
        moments = range(HORIZON // _MICROSECOND + 1)
        # What falls due only ever grows, so its first instant above the bound can be searched for by halving.
        first = bisect_right(moments, bound, key=lambda until: due.flowing(until) + due.stepping(until))
        if first == len(moments):
            return None
        flowed_over = first > 0 and due.flowing(first) + due.stepping(first - 1) > bound
    return at + (first - 1 if flowed_over else first) * _MICROSECOND
