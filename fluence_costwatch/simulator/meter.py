"""A meter: an hourly price, running from an instant to an instant, billed by time to the last digit."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_PRICE = re.compile(r"(?=\.?\d)\d*(?:\.\d*)?", re.ASCII)


def hourly_micros(price: str) -> Fraction:
    """The micro-dollars per hour of a decimal string, however fine; ValueError where it is none or negative."""
    if not _PRICE.fullmatch(price):
        raise ValueError(f"not a price: {price!r}")
    return Fraction(price) * 1_000_000


def decimal_text(dollars: Fraction, *, digits: int) -> str:
    """Dollars with exactly `digits` decimals, rounded half to even."""
    scaled = round(dollars * 10**digits)
    whole, rest = divmod(abs(scaled), 10**digits)
    return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{digits}}" if digits else str(scaled)


def midnight(moment: datetime) -> datetime:
    """The start of the UTC day in which a moment lies."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


class Meter:
    """What one resource costs over time, in exact micro-dollars."""

    def __init__(self, rate: Fraction, *, at: datetime) -> None:
        self._rates: list[tuple[datetime, Fraction]] = [(at, rate)]
        self._settled = Fraction(0)
        self.start = at
        self.end: datetime | None = None

    @property
    def rate(self) -> Fraction:
        """What it costs per hour now; nothing once it has stopped."""
        return Fraction(0) if self.end is not None else self._rates[-1][1]

    def set_rate(self, rate: Fraction, *, at: datetime) -> None:
        """Another price from `at` on, which is not before the last change; the time before keeps its own."""
        self._settled = self.total(until=at)
        self._rates.append((at, rate))

    def stop(self, *, at: datetime) -> None:
        """Bill nothing from `at` on. Stopping twice changes nothing."""
        if self.end is None:
            self.end = at

    def total(self, *, until: datetime) -> Fraction:
        """What it cost since it began, up to an instant that is not before the last change."""
        since, rate = self._rates[-1]
        return self._settled + rate * _hours(since, until if self.end is None else min(until, self.end))

    def cost(self, since: datetime, until: datetime) -> Fraction:
        """What it cost in `[since, until)`."""
        end = until if self.end is None else min(until, self.end)
        edges = [*self._rates, (end, Fraction(0))]
        return sum((rate * _hours(max(a, since), min(b, end)) for (a, rate), (b, _) in pairwise(edges)), Fraction(0))

    def hours(self, since: datetime, until: datetime) -> Fraction:
        """For how many hours of `[since, until)` it ran."""
        return _hours(max(self.start, since), until if self.end is None else min(until, self.end))


def _hours(since: datetime, until: datetime) -> Fraction:
    return Fraction(max(until - since, timedelta()) // MICROSECOND, HOUR // MICROSECOND)
