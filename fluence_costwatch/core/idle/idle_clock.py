"""The idle clock of one rule and resource: how long conditions have held, and how much of that time was really watched.

A look stands for the time since the look before it, but for no more than about one interval: what lies further back was
not watched. So neither more nor fewer looks, nor another interval, make a stretch better known than it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from fluence_costwatch.core.idle.idleness import IdleClock

PARTS: Final = 20
"""In how many parts the last `for` is remembered; one more is being filled."""

Buckets = tuple[tuple[int, int], ...]

_NOTHING: Final[Buckets] = ((0, 0),) * (PARTS + 1)
_MICROSECOND: Final = timedelta(microseconds=1)
_FINEST: Final = Decimal("0.0001")
# Of the last `for`, at most one part in so many may be unknown.
_UNKNOWN_AT_MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look says: whether all conditions hold (None: unknown), and what each said.

    `busy` is whether one of them is known not to hold, which ends idleness even where the rest is in doubt.
    """

    holds: bool | None
    busy: bool
    evidence: tuple[str, ...]


def started_at(clock: IdleClock, moment: datetime) -> IdleClock:
    """`clock` with nothing watched yet."""
    return replace(clock, at=moment, since=None, bucket_started_at=moment, buckets=_NOTHING, coverage=Decimal(0))


def advanced(clock: IdleClock, sample: Sample, *, held_for: timedelta, interval: timedelta, now: datetime) -> IdleClock:
    """`clock` after one more look; its verdict is not judged here.

    `since` survives unknown looks while they are no more than a tenth of `held_for`; what is more starts it anew.
    """
    newest, buckets = _poured(clock, sample, held_for=held_for, interval=interval, now=now)
    unknown = sum(watched - known for watched, known in buckets)
    is_too_unknown = unknown * _UNKNOWN_AT_MOST > held_for // _MICROSECOND
    since = None if sample.busy or is_too_unknown else clock.since
    if sample.holds and since is None:  # nothing watched yet
        since, newest, buckets, unknown = now, now, _NOTHING, 0
    return replace(
        clock,
        at=now,
        since=since,
        bucket_started_at=newest,
        buckets=buckets,
        coverage=_coverage(buckets, sample, unknown=unknown, held_for=held_for),
        evidence=sample.evidence,
        busy_at=now if sample.busy else clock.busy_at,
    )


def _poured(
    clock: IdleClock, sample: Sample, *, held_for: timedelta, interval: timedelta, now: datetime
) -> tuple[datetime, Buckets]:
    """The parts of `clock` with the time since its last look in them, known as far as this look stands for it; and when
    the newest of them began."""
    length = max(held_for / PARTS, _MICROSECOND)
    newest = clock.bucket_started_at or clock.at
    steps = (now - newest) // length
    parts = list((clock.buckets or _NOTHING)[-(PARTS + 1) :])
    first = newest - (len(parts) - 1) * length
    if steps > 0:
        kept = parts[steps:]
        parts = kept + [(0, 0)] * (len(parts) - len(kept))
        first, newest = first + steps * length, newest + steps * length
    elapsed = now - clock.at
    stands_for = elapsed if 2 * elapsed < 3 * interval else interval
    known_from = now - stands_for if sample.holds is not None or sample.busy else now
    for place, part in _slices(clock.at, known_from, first=first, length=length):
        parts[place] = (parts[place][0] + part // _MICROSECOND, parts[place][1])
    for place, part in _slices(known_from, now, first=first, length=length):
        parts[place] = (parts[place][0] + part // _MICROSECOND, parts[place][1] + part // _MICROSECOND)
    return newest, tuple(parts)


def _slices(since: datetime, until: datetime, *, first: datetime, length: timedelta) -> Iterator[tuple[int, timedelta]]:
    """The stretch from `since` to `until`, cut at the borders of the parts; what is before the first is forgotten."""
    start = max(since, first)
    while start < until:
        place = (start - first) // length
        stop = min(until, first + (place + 1) * length)
        yield place, stop - start
        start = stop


def _coverage(buckets: Buckets, sample: Sample, *, unknown: int, held_for: timedelta) -> Decimal:
    watched = min(sum(watched for watched, _ in buckets), held_for // _MICROSECOND)
    if not watched:
        return Decimal(sample.holds is not None or sample.busy)
    share = Decimal(max(watched - unknown, 0)) / watched
    return share.quantize(_FINEST, ROUND_FLOOR)
