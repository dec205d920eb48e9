"""When a deletion happens: one row per way in which the moment is found, kept, moved or missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy, DeletionState, Ground, IfMissed
from fluence_costwatch.core.deletion.timing import (
    Pace,
    execute_at,
    first_allowed,
    is_allowed,
    is_missed,
    last_allowed,
    measured_latency,
    moment_for,
    pace_of,
    widened_margin,
)
from tests.deletable import asked_for, deletion, machine
from tests.known import at

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAILY = Pace(at("2026-03-01 17:55"))
HOURLY = Pace(at("2026-03-01 00:00"), HOUR)
METERED = Pace(None)
POLICY = DeletionPolicy()
SHORT = DeletionPolicy(margin=5 * MINUTE)


def allowed(begin: str, end: str, zone: str = "UTC", **facts: Any) -> DeletionPolicy:
    return replace(
        POLICY,
        allowed_from=time.fromisoformat(begin),
        allowed_until=time.fromisoformat(end),
        zone=ZoneInfo(zone),
        **facts,
    )


# what, pace, policy, notified at, expected
MOMENTS = (
    ("half an hour before the charge", DAILY, POLICY, "2026-03-03 09:00", "2026-03-03 17:25"),
    ("with exactly the notice it needs", DAILY, POLICY, "2026-03-03 15:25", "2026-03-03 17:25"),
    ("a second short of notice it lives on", DAILY, POLICY, "2026-03-03 15:25:01", "2026-03-04 17:25"),
    ("notified inside the margin", DAILY, POLICY, "2026-03-03 17:40", "2026-03-04 17:25"),
    ("a notice of two days", DAILY, replace(POLICY, min_notice=48 * HOUR), "2026-03-03 09:00", "2026-03-05 17:25"),
    ("a notice that spans several hours", HOURLY, SHORT, "2026-03-03 09:00", "2026-03-03 11:55"),
    ("a margin of half an epoch has no moment", HOURLY, POLICY, "2026-03-03 09:00", None),
    ("metered: after the grace", METERED, POLICY, "2026-03-03 09:00", "2026-03-04 09:00"),
    (
        "metered: a grace shorter than the notice",
        METERED,
        replace(POLICY, grace=HOUR),
        "2026-03-03 09:00",
        "2026-03-03 11:00",
    ),
    (
        "metered: into the hours",
        METERED,
        allowed("10:00", "16:00"),
        "2026-03-03 20:00",
        "2026-03-05 10:00",
    ),
    ("hours that hold the moment", DAILY, allowed("09:00", "18:00"), "2026-03-03 09:00", "2026-03-03 17:25"),
    ("the last moment of the hours before", DAILY, allowed("09:00", "17:00"), "2026-03-03 09:00", "2026-03-03 16:50"),
    ("hours over before the notice is", DAILY, allowed("09:00", "17:00"), "2026-03-03 15:00", "2026-03-04 16:50"),
    ("hours that span midnight", DAILY, allowed("22:00", "06:00"), "2026-03-02 19:00", "2026-03-03 05:50"),
    (
        "hours of another zone",
        DAILY,
        allowed("09:00", "17:00", "Europe/Berlin"),
        "2026-03-03 09:00",
        "2026-03-03 15:50",
    ),
    ("hours shorter than what is needed", DAILY, allowed("09:00", "09:05"), "2026-03-03 00:00", "2026-03-03 09:00"),
    (
        "an hourly epoch inside the hours",
        HOURLY,
        allowed("09:00", "10:00", margin=5 * MINUTE),
        "2026-03-03 12:00",
        "2026-03-04 09:55",
    ),
)


@pytest.mark.parametrize(
    ("pace", "policy", "notified", "expected"), [pytest.param(*row[1:], id=row[0]) for row in MOMENTS]
)
def test_the_moment(pace: Pace, policy: DeletionPolicy, notified: str, expected: str | None) -> None:
    found = moment(pace, policy, notified)

    assert (None if expected is None else at(expected)) == found


def moment(
    pace: Pace,
    policy: DeletionPolicy,
    notified: str,
    *,
    ground: Ground = Ground.IDLE,
    latency: timedelta = timedelta(0),
    now: str | None = None,
) -> datetime | None:
    return execute_at(
        pace, ground=ground, notified_at=at(notified), policy=policy, latency=latency, now=at(now or notified)
    )


def test_a_record_is_reclaimed_after_the_notice_wherever_its_epoch_ends() -> None:
    assert at("2026-03-03 11:00") == moment(DAILY, POLICY, "2026-03-03 09:00", ground=Ground.RECLAIM)


def test_short_epochs_under_hours_are_found_without_a_walk_through_the_night() -> None:
    pace = Pace(at("2026-03-01 00:00"), timedelta(seconds=20))
    policy = allowed("09:00", "10:00", margin=timedelta(seconds=5), min_notice=timedelta(seconds=60))

    found = moment(pace, policy, "2026-03-03 12:00")

    assert at("2026-03-04 09:00:15") == found


@pytest.mark.parametrize(
    ("latency", "margin"),
    [(0, 30), (10, 30), (20, 30), (25, 35), (50, 60), (600, 60)],
)
def test_the_margin_widens_to_what_deletions_need_but_at_most_doubles(latency: int, margin: int) -> None:
    assert margin * MINUTE == widened_margin(POLICY, latency=latency * MINUTE)


@pytest.mark.parametrize(
    ("left", "latency", "missed"),
    [(30, 0, False), (10, 0, False), (9, 0, True), (19, 20, True), (20, 20, False), (49, 600, True), (50, 600, False)],
)
def test_a_moment_is_missed_when_less_is_left_than_it_takes(left: int, latency: int, missed: bool) -> None:
    due, now = at("2026-03-03 17:25"), at("2026-03-03 17:55") - left * MINUTE

    assert missed is is_missed(min(due, now), DAILY, policy=POLICY, latency=latency * MINUTE, now=now)


def noticed(execute: str | None, *, notified: str = "2026-03-03 09:00", **facts: Any) -> Deletion:
    return deletion(notified_at=at(notified), execute_at=None if execute is None else at(execute), **facts)


# what, the moment that was set, now, the boundary by now, policy, the moment that holds
HELD = (
    ("not fixed yet", None, "2026-03-03 09:05", "2026-03-03 17:55", POLICY, "2026-03-03 17:25"),
    ("it stays", "2026-03-03 17:25", "2026-03-03 12:00", "2026-03-03 17:55", POLICY, "2026-03-03 17:25"),
    ("due, and still time", "2026-03-03 17:25", "2026-03-03 17:44", "2026-03-03 17:55", POLICY, "2026-03-03 17:25"),
    ("missed: the next epoch", "2026-03-03 17:25", "2026-03-03 17:46", "2026-03-03 17:55", POLICY, "2026-03-04 17:25"),
    ("missed by hours", "2026-03-03 17:25", "2026-03-04 08:00", "2026-03-03 17:55", POLICY, "2026-03-04 17:25"),
    (
        "missed, but wanted at once",
        "2026-03-03 17:25",
        "2026-03-03 18:10",
        "2026-03-03 17:55",
        replace(POLICY, if_missed=IfMissed.NOW),
        "2026-03-03 17:25",
    ),
    (
        "wanted at once, when the hours begin",
        "2026-03-03 16:50",
        "2026-03-03 18:10",
        "2026-03-03 17:55",
        allowed("09:00", "17:00", if_missed=IfMissed.NOW),
        "2026-03-04 09:00",
    ),
    ("moved by seconds", "2026-03-03 17:25", "2026-03-03 12:00", "2026-03-03 17:55:20", POLICY, "2026-03-03 17:25"),
    ("moved by hours", "2026-03-03 17:25", "2026-03-03 12:00", "2026-03-03 21:00", POLICY, "2026-03-03 20:30"),
    ("moved to before it", "2026-03-03 17:25", "2026-03-03 12:00", "2026-03-03 17:00", POLICY, "2026-03-03 16:30"),
    (
        "a longer notice was configured",
        "2026-03-03 17:25",
        "2026-03-03 12:00",
        "2026-03-03 17:55",
        replace(POLICY, min_notice=10 * HOUR),
        "2026-03-04 17:25",
    ),
    (
        "hours were configured",
        "2026-03-03 17:25",
        "2026-03-03 12:00",
        "2026-03-03 17:55",
        allowed("09:00", "15:00"),
        "2026-03-03 14:50",
    ),
)


@pytest.mark.parametrize(
    ("was", "now", "boundary", "policy", "expected"), [pytest.param(*row[1:], id=row[0]) for row in HELD]
)
def test_the_moment_that_holds(was: str | None, now: str, boundary: str, policy: DeletionPolicy, expected: str) -> None:
    found = moment_for(noticed(was), Pace(at(boundary)), policy=policy, latency=timedelta(0), now=at(now))

    assert at(expected) == found


def test_without_a_notice_or_a_pace_there_is_no_moment() -> None:
    terms: dict[str, Any] = {"policy": POLICY, "latency": timedelta(0), "now": at("2026-03-03 12:00")}

    assert moment_for(replace(noticed("2026-03-03 17:25"), notified_at=None), DAILY, **terms) is None
    assert moment_for(noticed("2026-03-03 17:25"), None, **terms) is None


def test_a_metered_machine_never_misses_its_moment() -> None:
    it = noticed("2026-03-04 09:00")

    found = moment_for(it, METERED, policy=POLICY, latency=HOUR, now=at("2026-03-07 12:00"))

    assert at("2026-03-04 09:00") == found


def test_the_latency_is_that_of_nearly_all_of_the_last_deletions() -> None:
    took = [
        replace(one, settled_at=(one.requested_at or at("2026-03-03 00:00")) + minutes * MINUTE)
        for one, minutes in ((asked_for(f"0x{minutes}", hours_ago=minutes), minutes) for minutes in range(1, 21))
    ]
    waiting = replace(took[0], state=DeletionState.REQUESTED, settled_at=None)

    assert 19 * MINUTE == measured_latency([*took, waiting])
    assert timedelta(0) == measured_latency([waiting])


def test_hours_follow_the_clocks_of_their_zone() -> None:
    policy = allowed("02:30", "03:30", "Europe/Berlin")  # on the night of 29 March clocks go from 02:00 to 03:00

    assert at("2026-03-29 01:00") == first_allowed(at("2026-03-28 12:00"), policy=policy)
    assert at("2026-03-29 01:20") == last_allowed(at("2026-03-29 12:00"), policy=policy, needed=10 * MINUTE)
    assert is_allowed(at("2026-03-29 01:29"), policy=policy)
    assert not is_allowed(at("2026-03-29 01:30"), policy=policy)


def test_a_record_to_reclaim_waits_for_no_boundary() -> None:
    """One that was first seen after it had ended has no epoch at all."""
    ended = replace(machine().state, epoch=None)

    assert None is pace_of(ended)
    assert Pace(None) == pace_of(ended, ground=Ground.RECLAIM)
