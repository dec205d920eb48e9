"""Epochs: half-open spans of time that are paid for, and the grid on which they lie when the API does not say.

All instants are aware UTC datetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open stretch of time `[start, end)`; empty where both are equal."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a span cannot end ({self.end}) before it starts ({self.start})")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def length(self) -> timedelta:
        """How long the span lasts."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class EpochGrid:
    """Boundaries at `1970-01-01T<anchor>Z + k x length` for every whole k.

    The default is the daily 17:55 UTC that the first Fluence documentation names (`fluence-api.md` 5.1). It is an
    accident of deployment, so it serves only where the API reports no charge time.
    """

    anchor: time = time(17, 55)
    length: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if self.length <= timedelta(0):
            raise ValueError(f"an epoch must have a length above zero, not {self.length}")

    @property
    def _phase(self) -> datetime:
        return ORIGIN + timedelta(
            hours=self.anchor.hour,
            minutes=self.anchor.minute,
            seconds=self.anchor.second,
            microseconds=self.anchor.microsecond,
        )

    def at_or_before(self, moment: datetime) -> datetime:
        """The last boundary that is not after `moment`."""
        return moment - (moment - self._phase) % self.length

    def after(self, moment: datetime) -> datetime:
        """The first boundary that is later than `moment`."""
        return self.at_or_before(moment) + self.length

    def containing(self, moment: datetime) -> Span:
        """The epoch in which `moment` lies; a boundary belongs to the epoch that it begins."""
        start = self.at_or_before(moment)
        return Span(start, start + self.length)

    def touching(self, since: datetime, until: datetime) -> tuple[Span, ...]:
        """The epochs that have a moment in `[since, until)`, oldest first; none where it is empty."""
        spans = []
        start = self.at_or_before(since)
        while start < until and since < until:
            spans.append(Span(start, start + self.length))
            start += self.length
        return tuple(spans)


UTC_HOURS: Final = EpochGrid(anchor=time(0), length=timedelta(hours=1))
"""The epochs of the GPU cloud: every full UTC hour (`fluence-api.md` 5.4)."""


def first_in_phase_after(moment: datetime, *, boundary: datetime, length: timedelta) -> datetime:
    """The first of `boundary + k x length` (k any whole number) that is later than `moment`."""
    return moment + length - (moment - boundary) % length


def nearest_count(distance: timedelta, length: timedelta) -> int:
    """How many lengths `distance` is, to the nearest whole number; a half counts upward."""
    return (2 * distance + length) // (2 * length)
