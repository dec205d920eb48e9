"""What the provider says the metered cloud has cost: by resource, kind or cluster, by day or month of UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal

from .books import Books
from .meter import DAY, midnight
from .parts import RESOURCE_TYPES, AnyPart

GroupBy = Literal["RESOURCE", "RESOURCE_TYPE", "CLUSTER"]
Period = Literal["DAY", "MONTH"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which charges are meant: usage in `[since, until)`, of one resource or type, or of all."""

    since: datetime
    until: datetime
    resource: str | None = None
    resource_type: str | None = None

    def holds(self, part: AnyPart) -> bool:
        return self.resource in (None, part.id.lower()) and self.resource_type in (None, RESOURCE_TYPES[type(part)])


@dataclass(slots=True)
class Sum:
    """What one group cost in one bucket of time, in exact micro-dollars; a part only where the group is one part."""

    start: datetime | None
    part: AnyPart | None
    resource_type: str | None
    cluster: str | None
    hours: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)


def sums(
    parts: list[AnyPart], books: Books, chosen: Selection, *, by: GroupBy = "RESOURCE", period: Period | None = None
) -> list[Sum]:
    """The sums of all groups that used anything, in order of time and creation."""
    found: dict[tuple[object, ...], Sum] = {}
    for part in parts:
        meter = books.meter(part.id)
        if meter is None or not chosen.holds(part):
            continue
        for start, since, until in _buckets(chosen, period, first=meter.start, last=meter.end or chosen.until):
            hours = meter.hours(since, until)
            if hours:
                group = _group(part, start, by)
                total = found.setdefault((start, *_key(group)), group)
                total.hours += hours
                total.cost += meter.cost(since, until)
    return sorted(found.values(), key=lambda total: (total.start is not None, total.start or chosen.since))


def _group(part: AnyPart, start: datetime | None, by: GroupBy) -> Sum:
    resource_type, cluster = RESOURCE_TYPES[type(part)], part.cluster.id
    if by == "RESOURCE":
        return Sum(start, part, resource_type, cluster)
    return Sum(start, None, resource_type, None) if by == "RESOURCE_TYPE" else Sum(start, None, None, cluster)


def _key(group: Sum) -> tuple[object, ...]:
    return (None if group.part is None else group.part.id, group.resource_type, group.cluster)


def _buckets(
    chosen: Selection, period: Period | None, *, first: datetime, last: datetime
) -> Iterator[tuple[datetime | None, datetime, datetime]]:
    """The start of each bucket by name, and the span of it that is meant; none without any usage."""
    if period is None:
        yield None, chosen.since, chosen.until
        return
    start = midnight(max(chosen.since, first))
    while start < min(chosen.until, last):
        if period == "MONTH":
            start = start.replace(day=1)
            following = (start + 31 * DAY).replace(day=1)
        else:
            following = start + DAY
        yield start, max(start, chosen.since), min(following, chosen.until)
        start = following
