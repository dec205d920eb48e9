"""The alert state machine, row by row: what is stored, what was found or has ended, and what is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from fluence_costwatch.core.alerts.alert import Alert, AlertState, Change, Silence
from fluence_costwatch.core.alerts.findings import Finding, Severity, Telling
from fluence_costwatch.core.messages.outbox import Route
from fluence_costwatch.core.messages.routing import routes_of
from tests.alerts import NOW, Kept, finding, fired, silence, step

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

STATE = finding()
ONCE = finding(telling=Telling.ONCE)
CHANGES = finding(telling=Telling.CHANGES)
EVENT = finding(telling=Telling.EVENT)
PATIENT = finding(patience=HOUR)
CRITICAL = finding(severity=Severity.CRITICAL)
HALF = finding(telling=Telling.ONCE, rule="0.5", group="team-a", level=Decimal("0.5"))
MOST = finding(telling=Telling.ONCE, rule="0.8", group="team-a", level=Decimal("0.8"))
FORESEEN = replace(MOST, kind="forecast")
ALL = finding(telling=Telling.ONCE, rule="1.0", group="team-a", level=Decimal(1))

QUIET = silence(account="main")
PENDING = replace(fired(PATIENT), state=AlertState.PENDING, fired_at=None, told_at=None)
UNTOLD = fired(STATE, told_at=None)
OVER = fired(ONCE, state=AlertState.RESOLVED, resolved_at=NOW - HOUR / 2, resolved_because="refund")


@pytest.mark.parametrize(
    ("stored", "found", "ended", "silences", "told"),
    [
        pytest.param([], [STATE], [], [], [("fired", "it began")], id="a new finding fires and is told"),
        pytest.param([], [PATIENT], [], [], [], id="one that must hold for a while first is not told yet"),
        pytest.param(
            [PENDING], [PATIENT], [], [], [("fired", "it has held for 1 h")], id="it is told when it has held that long"
        ),
        pytest.param([PENDING], [], [PATIENT], [], [], id="what ends while it is pending is dropped without a word"),
        pytest.param([PENDING], [], [], [], [], id="pending and not heard of again, it does not fire"),
        pytest.param([fired()], [STATE], [], [], [], id="what goes on is not told again"),
        pytest.param(
            [fired(ago=DAY)], [STATE], [], [], [("repeated", "reminder after 1 d")], id="a state is told again daily"
        ),
        pytest.param([fired(ago=DAY - HOUR)], [STATE], [], [], [], id="and not sooner"),
        pytest.param([fired(ago=DAY)], [], [], [], [], id="no reminder of what nothing is heard of"),
        pytest.param([fired(CHANGES, ago=DAY)], [CHANGES], [], [], [], id="changes have no reminders"),
        pytest.param([fired(ONCE, ago=7 * DAY)], [ONCE], [], [], [], id="once is once, a week later too"),
        pytest.param(
            [fired()], [CRITICAL], [], [], [("rose", "it was warning")], id="a rise in severity is told at once"
        ),
        pytest.param([fired(CRITICAL)], [STATE], [], [], [], id="a fall in severity is not told"),
        pytest.param([fired()], [], [], [], [], id="data that vanished resolve nothing"),
        pytest.param(
            [fired()], [], [STATE], [], [("resolved", "it is over")], id="an ending resolves, with its reason"
        ),
        pytest.param([fired()], [STATE], [STATE], [], [], id="what is found has not ended, whoever says so"),
        pytest.param([UNTOLD], [], [STATE], [], [], id="what was never told is not told to be over"),
        pytest.param([], [], [STATE], [], [], id="the end of what nobody knows is nothing"),
        pytest.param([], [STATE], [], [QUIET], [], id="silenced, it fires unheard"),
        pytest.param(
            [UNTOLD],
            [STATE],
            [],
            [],
            [("fired", "its silence has ended and it goes on")],
            id="it is told when the silence ends",
        ),
        pytest.param([fired(ago=2 * DAY)], [STATE], [], [QUIET], [], id="no reminders while silenced"),
        pytest.param([fired()], [], [STATE], [QUIET], [], id="no endings while silenced"),
        pytest.param([fired()], [CRITICAL], [], [QUIET], [], id="no rise while silenced"),
        pytest.param([fired(EVENT, ago=DAY)], [], [], [], [], id="an event ends by itself without a word"),
        pytest.param([fired(EVENT, ago=DAY)], [EVENT], [], [], [], id="an event that still stands is not told again"),
        pytest.param(
            [fired(EVENT, ago=DAY)],
            [replace(EVENT, summary="another")],
            [],
            [],
            [("fired", "it happened again")],
            id="an event that happens again a day later is told again",
        ),
        pytest.param(
            [fired(EVENT)], [replace(EVENT, summary="another")], [], [], [], id="one that happens again sooner is not"
        ),
        pytest.param([OVER], [ONCE], [], [], [], id="told once, it comes back silently"),
        pytest.param([], [HALF, ALL, MOST], [], [], [("fired", "it began")], id="of a group only the highest is told"),
        pytest.param(
            [fired(MOST)], [MOST, HALF], [], [], [], id="a lower one is not told while a higher one is firing"
        ),
        pytest.param(
            [fired(FORESEEN)],
            [FORESEEN, HALF],
            [],
            [],
            [("fired", "it began")],
            id="a forecast that was told does not stand for what is spent later",
        ),
        pytest.param([], [HALF, FORESEEN], [], [], [("fired", "it began")], id="but where both begin at once it does"),
        pytest.param(
            [fired(HALF)], [MOST, HALF], [], [], [("fired", "it began")], id="a higher one is told beside a lower one"
        ),
        pytest.param(
            [fired(MOST)],
            [HALF],
            [MOST],
            [],
            [("fired", "it began"), ("resolved", "it is over")],
            id="a lower one is told where the higher one ends",
        ),
        pytest.param(
            [],
            [replace(HALF, level=Decimal(0)), replace(MOST, level=Decimal(0))],
            [],
            [],
            [("fired", "it began"), ("fired", "it began")],
            id="all of the highest level are told",
        ),
    ],
)
def test_what_is_told(
    stored: Sequence[Alert],
    found: Sequence[Finding],
    ended: Sequence[Finding],
    silences: Sequence[Silence],
    told: Sequence[tuple[str, str]],
) -> None:
    taken = step(stored, *found, ended=ended, silences=silences)

    assert told == [(event.change.value, event.reason) for event in taken.events]
    again = Kept({alert.id: alert for alert in stored})
    again.keep(taken)
    assert ((), ()) == (
        (once_more := step(again.stored(), *found, ended=ended, silences=silences)).alerts,
        once_more.events,
    ), "the same step once more changes nothing"


def test_the_highest_of_a_group_is_the_one_that_is_told() -> None:
    (event,) = step([], HALF, ALL, MOST).events

    assert ("1.0", Change.FIRED) == (event.alert.rule, event.change)


def test_what_another_was_told_for_is_not_told_to_be_over() -> None:
    kept = Kept()
    kept.keep(step([], HALF, MOST, ALL))
    kept.keep(step(kept.stored(), ended=[HALF, MOST, ALL], now=NOW + HOUR))

    assert [("1.0", "fired"), ("1.0", "resolved")] == [(one.alert.rule, one.change.value) for one in kept.told]


def test_an_alert_that_comes_back_is_a_new_one() -> None:
    kept = Kept()
    for hour, (found, ended) in enumerate([((STATE,), ()), ((), (STATE,)), ((STATE,), ())]):
        kept.keep(step(kept.stored(), *found, ended=ended, now=NOW + hour * HOUR))

    assert ["fired", "resolved", "fired"] == [event.change.value for event in kept.told]
    assert 2 == len(kept.alerts)


def test_an_alert_that_is_told_once_keeps_its_id_and_is_silent_from_its_second_life_on() -> None:
    kept = Kept()
    for hour, (found, ended) in enumerate([((ONCE,), ()), ((), (ONCE,)), ((ONCE,), ()), ((), (ONCE,))]):
        kept.keep(step(kept.stored(), *found, ended=ended, now=NOW + hour * HOUR))

    assert ["fired", "resolved"] == [event.change.value for event in kept.told]
    assert [AlertState.RESOLVED] == [alert.state for alert in kept.alerts.values()]


def test_whoever_heard_of_it_at_its_worst_hears_of_its_end() -> None:
    told = fired(CRITICAL)
    (fallen,) = step([told], STATE).alerts
    (over,) = step([fallen], ended=[STATE]).events

    assert (Severity.WARNING, Severity.CRITICAL) == (fallen.severity, fallen.told_as)
    only_critical = Route("pager", min_severity=Severity.CRITICAL)
    assert () == routes_of(fallen, [only_critical])
    assert (only_critical,) == routes_of(over.alert, [only_critical])
    (risen,) = step([fallen], CRITICAL).events
    assert (Change.ROSE, Severity.CRITICAL) == (risen.change, risen.alert.told_as)


def test_a_rise_in_silence_is_told_when_the_silence_ends() -> None:
    kept = Kept()
    kept.keep(step([], STATE))
    kept.keep(step(kept.stored(), CRITICAL, silences=[QUIET], now=NOW + HOUR))
    kept.keep(step(kept.stored(), CRITICAL, now=NOW + 2 * HOUR))

    assert ["fired", "rose"] == [event.change.value for event in kept.told]


def test_an_event_is_over_after_a_day_without_another() -> None:
    (alert,) = step([fired(EVENT, ago=DAY)]).alerts

    assert (AlertState.RESOLVED, "it has not happened again for 1 d") == (alert.state, alert.resolved_because)


def test_an_alert_says_what_its_newest_finding_says() -> None:
    (alert,) = step([fired()], replace(STATE, summary="more of it", means="more money")).alerts

    assert ("more of it", "more money", NOW - HOUR) == (alert.summary, alert.means, alert.since)


def test_of_two_findings_about_one_thing_the_graver_counts() -> None:
    (event,) = step([], CRITICAL, STATE).events

    assert Severity.CRITICAL == event.alert.severity
