"""Which target is told what, and when: severities, kinds, accounts, targets in trouble, quiet hours."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.outbox import QuietHours, Route
from fluence_costwatch.core.messages.routing import earliest, routes_of
from tests.builders import at
from tests.telling import alert

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7), BERLIN)


@pytest.mark.parametrize(
    ("route", "facts", "taken"),
    [
        pytest.param({}, {}, True, id="everything from warning on"),
        pytest.param({}, {"severity": Severity.INFO}, False, id="too slight"),
        pytest.param({"min_severity": Severity.WARNING}, {"severity": Severity.CRITICAL}, True, id="more severe"),
        pytest.param({"kinds": ("idle", "waste")}, {}, True, id="a kind that it takes"),
        pytest.param({"kinds": ("budget",)}, {}, False, id="another kind"),
        pytest.param({"accounts": ("main",)}, {}, True, id="an account that it takes"),
        pytest.param({"accounts": ("other",)}, {}, False, id="another account"),
        pytest.param({"accounts": ("other",)}, {"account": ""}, True, id="of no account"),
        pytest.param({"accounts": ("other",), "kinds": ("key",)}, {"account": ""}, False, id="no account, other kind"),
    ],
)
def test_a_route_takes(route: dict[str, Any], facts: dict[str, Any], taken: bool) -> None:
    only = Route("ops", **route)

    assert ((only,) if taken else ()) == routes_of(alert(**facts), [only])


@pytest.mark.parametrize(
    ("others", "told"),
    [
        pytest.param([Route("mail")], ["mail"], id="to another target, where one takes it"),
        pytest.param([], ["ops"], id="to itself, where it is the only one"),
        pytest.param([Route("mail", kinds=("budget",))], ["ops"], id="to itself, where no other takes it"),
    ],
)
def test_trouble_with_a_target_is_told(others: list[Route], told: list[str]) -> None:
    trouble = alert(kind="delivery", account="", facts=(("target", "ops"),))

    assert told == [route.target for route in routes_of(trouble, [Route("ops"), *others])]


@pytest.mark.parametrize(
    ("quiet", "now", "then"),
    [
        pytest.param(NIGHT, "2026-03-03 12:00", "2026-03-03 12:00", id="by day"),
        pytest.param(NIGHT, "2026-03-03 21:00", "2026-03-04 06:00", id="as they begin"),
        pytest.param(NIGHT, "2026-03-03 20:59:59", "2026-03-03 20:59:59", id="a second before"),
        pytest.param(NIGHT, "2026-03-04 02:00", "2026-03-04 06:00", id="after midnight"),
        pytest.param(NIGHT, "2026-03-04 06:00", "2026-03-04 06:00", id="as they end"),
        pytest.param(NIGHT, "2026-03-28 23:00", "2026-03-29 05:00", id="clocks go forward in the night"),
        pytest.param(NIGHT, "2026-10-24 23:00", "2026-10-25 06:00", id="clocks go back in the night"),
        pytest.param(QuietHours(time(12), time(14), BERLIN), "2026-03-03 12:00", "2026-03-03 13:00", id="at noon"),
        pytest.param(QuietHours(time(7), time(7), BERLIN), "2026-03-03 12:00", "2026-03-03 12:00", id="no hours"),
        pytest.param(None, "2026-03-03 23:00", "2026-03-03 23:00", id="none configured"),
        pytest.param(
            QuietHours(time(0), time(2, 30), BERLIN),
            "2026-03-29 00:30",
            "2026-03-29 01:00",
            id="an end that is skipped",
        ),
        pytest.param(
            QuietHours(time(0), time(2, 30), BERLIN),
            "2026-10-25 00:10",
            "2026-10-25 00:30",
            id="an end that comes twice",
        ),
        pytest.param(
            QuietHours(time(0), time(2, 30), BERLIN), "2026-10-25 01:10", "2026-10-25 01:10", id="after its first time"
        ),
    ],
)
def test_what_is_not_urgent_waits_for_the_end_of_quiet_hours(quiet: QuietHours | None, now: str, then: str) -> None:
    assert at(then) == earliest(quiet, urgent=False, now=at(now))


def test_what_is_urgent_does_not_wait() -> None:
    moment: datetime = at("2026-03-04 02:00")

    assert moment == earliest(NIGHT, urgent=True, now=moment)
