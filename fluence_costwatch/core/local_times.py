"""Local times of day as instants, through the days on which clocks are changed: quiet hours, and when a digest is due."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from fluence_costwatch.core.messages.outbox import QuietHours

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


def instant_of(day: date, clock: time, *, zone: tzinfo) -> datetime:
    """The first instant at which the clocks of `zone` show `clock` of `day`, or have passed over it."""
    wanted = datetime.combine(day, clock)
    found = wanted.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _shown(found, zone=zone) == wanted:
        return found
    # The clocks skip `wanted`: it was passed at the instant at which they were put forward.
    before = wanted.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while found - before > _SECOND:
        middle = before + (found - before) // 2
        if _shown(middle, zone=zone) < wanted:
            before = middle
        else:
            found = middle
    return found.replace(microsecond=0)


def local_day(moment: datetime, *, zone: tzinfo) -> date:
    """The date that people in `zone` write at `moment`."""
    return moment.astimezone(zone).date()


def quiet_until(quiet: QuietHours | None, *, now: datetime) -> datetime | None:
    """The end of the quiet hours in which `now` lies; None where it lies in none. Equal begin and end are no hours."""
    if quiet is None or quiet.begin == quiet.end:
        return None
    today = local_day(now, zone=quiet.zone)
    for day in (today - _DAY, today):
        last_day = day if quiet.begin < quiet.end else day + _DAY
        end = instant_of(last_day, quiet.end, zone=quiet.zone)
        if instant_of(day, quiet.begin, zone=quiet.zone) <= now < end:
            return end
    return None


def _shown(moment: datetime, *, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)
