"""Which epochs of one resource have begun: the rules of `design.md` 3.1 "Boundaries", over spans alone.

The boundary comes from the charge time that the API reports for the resource; else, if it once reported, from the last
end by whole lengths; else from the configured grid, provisionally.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.billing.history import Phase
from fluence_costwatch.core.epochs import EpochGrid, Span, first_in_phase_after, nearest_count

# Fractions of an epoch's length, as design.md 3.1 names them.
MOVES_IGNORED_BELOW: Final = 100
OFF_PHASE_ABOVE: Final = 4
LATE_AFTER: Final = 4
SHORT_FRAGMENT_BELOW: Final = 24


@dataclass(frozen=True, slots=True)
class Began:
    """An epoch that began. A `late` one is charged on our word: the reported charge time has not moved on."""

    span: Span
    late: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """What has passed since the last look at a charged resource.

    `epoch` is the formerly open epoch with its end as it is known now; `began` are the epochs after it, each beginning
    where the one before ended. `off_phase` is how far the report lies from where the next boundary was expected, if
    that is worth an alert. `miscounted` is how many more epochs the provisional grid has counted than the first
    reported boundary allows (negative: fewer).
    """

    epoch: Span
    began: tuple[Began, ...]
    phase: Phase
    off_phase: timedelta | None = None
    miscounted: int = 0


def is_plausible(reported: datetime, *, moment: datetime, length: timedelta) -> bool:
    """Whether a next charge time can be right: it lies at most a length and a quarter ahead.

    A next charge is never more than one epoch away; the quarter allows for a boundary that is being moved.
    """
    return reported - moment <= length + length / OFF_PHASE_ABOVE


def is_long_past(reported: datetime, moment: datetime, length: timedelta) -> bool:
    """Whether a next charge time lies further back than a charge is ever late: more than a length and a quarter."""
    return moment - reported > length + length / OFF_PHASE_ABOVE


def passage_on_grid(
    epoch: Span, *, grid: EpochGrid, former_grid: EpochGrid, seen_before: datetime, moment: datetime
) -> Passage:
    """What has passed by `moment` where no charge time was ever reported.

    The end of the open epoch is provisional: where the configured grid has changed it moves to the new grid's first
    boundary after `seen_before`, without a charge.
    """
    end = epoch.end
    if grid != former_grid:
        end = grid.after(max(seen_before, epoch.start))
    return Passage(Span(epoch.start, end), tuple(map(Began, _grid_epochs(grid, since=end, moment=moment))), Phase.GRID)


def _grid_epochs(grid: EpochGrid, *, since: datetime, moment: datetime) -> Iterator[Span]:
    start = since
    while start <= moment:
        end = grid.after(start)
        yield Span(start, end)
        start = end


def passage_unreported(epoch: Span, *, length: timedelta, moment: datetime) -> Passage:
    """What has passed by `moment` where charge times were reported once, but not now: last end + n x length."""
    began = []
    start = epoch.end
    while start <= moment:
        began.append(Began(Span(start, start + length)))
        start += length
    return Passage(epoch, tuple(began), Phase.REPORTED)


def first_report(
    epoch: Span,
    *,
    reported: datetime,
    length: timedelta,
    grid: EpochGrid,
    run_since: datetime,
    seen_before: datetime,
    moment: datetime,
) -> Passage:
    """What has passed by `moment` where the end of `epoch` was provisional and a charge time is now reported.

    The end becomes the first boundary in the reported phase after `seen_before`, without a charge. Where the grid has
    counted another number of epochs between `run_since` and `seen_before` than the reported phase holds, the
    difference is given as `miscounted`. A boundary that passed before the provisional end was due, or less than a 24th
    of a length after `run_since`, may have been the activation, which ends no epoch: it counts as one too few, not as a
    charge.
    """
    since = max(seen_before, epoch.start)
    end = first_in_phase_after(since, boundary=reported, length=length)
    miscounted = _boundaries_between(run_since, since, boundary=grid.at_or_before(run_since), length=length)
    miscounted -= _boundaries_between(run_since, since, boundary=reported, length=length)
    not_due = moment < epoch.end or (end - run_since) * SHORT_FRAGMENT_BELOW < length
    if end <= moment < reported and not_due:
        end += length
        miscounted -= 1
    rest = passage_reported(Span(epoch.start, end), reported=reported, length=length, moment=moment)
    return Passage(rest.epoch, rest.began, Phase.REPORTED, miscounted=miscounted)


def _boundaries_between(since: datetime, until: datetime, *, boundary: datetime, length: timedelta) -> int:
    """How many of `boundary + k x length` lie in `(since, until]`."""
    return (until - boundary) // length - (since - boundary) // length


def passage_reported(epoch: Span, *, reported: datetime, length: timedelta, moment: datetime) -> Passage:
    """What has passed by `moment` where the API reports a charge time and has done so before.

    With k = round((reported - end) / length): for k >= 1 that many boundaries have passed, the last epoch ending at
    `reported`; else the end moves to `reported`, unless by less than 1% of the length. A report before the start of the
    open epoch, or less than 1% of the length away from it and further from the end, tells of a charge that is already
    counted. A boundary that has passed without the report moving on begins an epoch once it is a quarter of a length
    late.
    """
    end = epoch.end
    began: list[Began] = []
    off_phase = timedelta(0)
    since_start = reported - epoch.start
    if since_start * MOVES_IGNORED_BELOW >= length or end - reported < since_start:
        count = max(0, nearest_count(reported - end, length))
        off_phase = abs(reported - (end + count * length))
        if count == 0 and off_phase * MOVES_IGNORED_BELOW >= length:
            end = reported
        for passed in range(count):
            start = end + passed * length
            began.append(Began(Span(start, reported if passed == count - 1 else start + length)))
    opened = Span(epoch.start, end)
    start = began[-1].span.end if began else end
    while moment - start >= length / LATE_AFTER:
        began.append(Began(Span(start, start + length), late=True))
        start += length
    alarming = off_phase if off_phase > length / OFF_PHASE_ABOVE else None
    return Passage(opened, tuple(began), Phase.REPORTED, off_phase=alarming)


def starts_after(epoch: Span, *, length: timedelta, until: datetime) -> Iterator[datetime]:
    """The boundaries from the end of `epoch` on, by whole lengths, up to and including `until`."""
    start = epoch.end
    while start <= until:
        yield start
        start += length
