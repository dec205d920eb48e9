"""When an account's balance ends if nothing changes, and what is removed when (`fluence-api.md` 5.3)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

# The provider removes machines and addresses at an unpaid debt of 5 USD or after 3 days, disks at 20 USD. Whether the
# ten days that its text gives disks begin at day 3 or later is not said, so the earlier of 20 USD and day 3 is taken
# (`fluence-api.md` 7 #22).
MACHINES_REMOVED_AT_DEBT: Final = Decimal(5)
DISKS_REMOVED_AT_DEBT: Final = Decimal(20)
REMOVED_AFTER: Final = timedelta(days=3)

# Further ahead than this nobody plans, and the staircase of charges would only cost time.
HORIZON: Final = timedelta(days=3650)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR: Final = Decimal(timedelta(hours=1) // _MICROSECOND)


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

    The end is exact for whole micro-dollars of time: the first instant at which no balance is left, or at which a
    charge falls due that it does not cover.
    """
    ends_at = _used_up(balance, at=at, flows=flows, stairs=stairs)
    if ends_at is None:
        return Runway(None)
    indebted = _used_up(balance + MACHINES_REMOVED_AT_DEBT, at=at, flows=flows, stairs=stairs)
    deeply = _used_up(balance + DISKS_REMOVED_AT_DEBT, at=at, flows=flows, stairs=stairs)
    latest = ends_at + REMOVED_AFTER
    return Runway(
        ends_at=ends_at,
        machines_removed_at=min(latest, indebted or latest),
        disks_removed_at=min(latest, deeply or latest) if any(flow.is_disk for flow in flows) else None,
    )


def _used_up(balance: Decimal, *, at: datetime, flows: Sequence[Flow], stairs: Sequence[Stair]) -> datetime | None:
    if balance <= 0:
        return at
    per_hour = sum((flow.per_hour for flow in flows), Decimal(0))
    due = [(stair.next_at, number, stair) for number, stair in enumerate(stairs) if stair.price > 0]
    heapq.heapify(due)
    moment, left = at, balance
    while due and due[0][0] <= at + HORIZON:
        next_at, number, stair = due[0]
        flowing = _cost(per_hour, max(next_at, moment) - moment)
        if flowing >= left:
            break
        moment, left = max(next_at, moment), left - flowing
        if stair.price > left:
            return moment
        left -= stair.price
        heapq.heapreplace(due, (next_at + stair.length, number, stair))
    if per_hour <= 0:
        return None
    microseconds = int(left * _MICROSECONDS_PER_HOUR / per_hour)
    if microseconds > (at + HORIZON - moment) // _MICROSECOND:
        return None
    return moment + microseconds * _MICROSECOND


def _cost(per_hour: Decimal, length: timedelta) -> Decimal:
    return per_hour * (length // _MICROSECOND) / _MICROSECONDS_PER_HOUR
