"""Digests: when they fall due, through changed clocks and pauses, and what is in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.known import Known
from fluence_costwatch.core.messages.context import Context, context_of, daily_spend
from fluence_costwatch.core.messages.digest import digests, due_digests, last_week, report_message, yesterday
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import DigestEvery, Draft, Route
from tests.builders import at, usd
from tests.known import Facts, known_charge, known_resource, watched
from tests.telling import alert
from tests.unit.test_composing import TEAM_A, heading

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = Route("daily", digest=DigestEvery.DAILY)
WEEKLY = Route("weekly", digest=DigestEvery.WEEKLY)
MORNING = at("2026-03-03 08:00")


@pytest.mark.parametrize(
    ("since", "now", "due"),
    [
        pytest.param(None, "2026-03-03 06:59", [], id="before eight"),
        pytest.param(None, "2026-03-03 07:00", ["daily"], id="at eight in Berlin"),
        pytest.param("2026-03-03 06:55", "2026-03-03 07:00", ["daily"], id="as the look before was earlier"),
        pytest.param("2026-03-03 07:00", "2026-03-03 07:05", [], id="once"),
        pytest.param("2026-03-02 20:00", "2026-03-03 22:59", ["daily"], id="late on the same day"),
        pytest.param("2026-03-02 20:00", "2026-03-03 23:00", [], id="not after midnight"),
        pytest.param(None, "2026-03-02 07:00", ["daily", "weekly"], id="weekly on Monday"),
        pytest.param(None, "2026-03-29 06:00", ["daily"], id="on the day on which clocks went forward"),
        pytest.param(None, "2026-03-29 05:59", [], id="not before eight of that day"),
        pytest.param(None, "2026-10-25 06:59", [], id="not before eight of the day on which they went back"),
    ],
)
def test_a_digest_is_due_at_eight_and_late_only_on_the_same_day(since: str | None, now: str, due: list[str]) -> None:
    routes = due_digests([DAILY, WEEKLY, Route("ops")], zone=BERLIN, since=at(since) if since else None, now=at(now))

    assert due == [route.target for route in routes]


def test_the_periods_are_yesterday_and_the_last_whole_week() -> None:
    assert (date(2026, 3, 2), date(2026, 3, 2), "on 2 March") == _of(yesterday(date(2026, 3, 3)))
    assert (date(2026, 2, 23), date(2026, 3, 1), "from 23 February to 1 March") == _of(last_week(date(2026, 3, 2)))
    assert (date(2026, 2, 16), date(2026, 2, 22), "in the week before") == _of(last_week(date(2026, 3, 2)).earlier)


def _of(period: Any) -> tuple[date, date, str]:
    return period.first, period.last, period.title


FACTS = Facts(
    records=(
        known_resource("0xa1", name="web"),
        known_resource("0xb2", name="db", price="1.5"),
        known_resource("0xc3", account="other", name="secret", price="9"),
    ),
    rows=(
        known_charge("2026-03-01 17:55", "1.00"),
        known_charge("2026-03-02 17:55", "0.298160"),
        known_charge("2026-03-02 18:00", "1.5", id="0xb2", name="db"),
        known_charge("2026-03-02 19:00", "9", id="0xc3", account="other", name="secret"),
    ),
)
WATCHED = replace(watched("main", "other"), zone=UTC)


def context() -> Context:
    plain = context_of(cast(Known, FACTS), watched=WATCHED, now=MORNING)
    return replace(plain, statuses=(TEAM_A,), as_of={"main": MORNING, "other": None})


def report(**more: Any) -> Message:
    plain: dict[str, Any] = {
        "period": yesterday(date(2026, 3, 3)),
        "watched": WATCHED,
        "alerts": (),
        "context": context(),
        "now": MORNING,
    }
    return report_message(cast(Known, FACTS), **(plain | more))


def drafts(*routes: Route, now: datetime = MORNING) -> tuple[Draft, ...]:
    return digests(
        cast(Known, FACTS), routes=routes, quiet=None, watched=WATCHED, alerts=(), context=context(), now=now
    )


def test_a_digest_says_what_was_spent_and_how_that_compares() -> None:
    message = report(alerts=[alert(severity=Severity.CRITICAL)])

    assert "[DIGEST] $10.80 spent on 2 March, team-a at 83%, 1 alert firing" == message.subject
    assert "$10.80 in all, $9.79816 more than on the day before." == heading(message, "Spent on 2 March")[0]
    table = message.sections[0].table
    assert table is not None
    assert (("secret", "$9.00"), ("db", "$1.50"), ("web", "$0.29816")) == table.rows
    assert ["critical: fact a1 (since 2026-03-03 11:00 UTC; a1)"] == heading(message, "Alerts that fire (1)")
    assert ["Data of other: no complete look yet.", "Data of main: as of 2026-03-03 08:00 UTC, 0 s old."] == heading(
        message, "Data"
    )


def test_a_digest_says_what_comes_and_what_was_saved() -> None:
    message = report(savings=("Deletions saved $3.00 this month.",))

    assert heading(message, "Charges that come")[0].startswith("3 charges in the next 24 hours, $10.80 in all")
    assert ["Deletions saved $3.00 this month."] == heading(message, "Saved")


def test_the_chart_shows_fourteen_days_those_without_charges_too() -> None:
    chart = report().chart

    assert chart is not None
    assert [date(2026, 2, 17) + timedelta(days=number) for number in range(14)] == [day for day, _ in chart.bars]
    assert [usd("0"), usd("1"), usd("10.79816")] == [amount for _, amount in chart.bars][-3:]


def test_a_target_of_some_accounts_gets_a_digest_of_them_alone() -> None:
    message = drafts(replace(DAILY, accounts=("main",)))[0].message

    assert "secret" not in repr(message)
    assert "[DIGEST] $1.79816 spent on 2 March, team-a at 83%" == message.subject
    assert message.chart is not None
    assert usd("1.79816") == message.chart.bars[-1][1]


def test_a_digest_has_one_key_all_day_and_another_the_day_after() -> None:
    keys = [drafts(DAILY, now=MORNING + timedelta(hours=hours))[0].key for hours in (0, 5, 24)]

    assert ["digest-daily-2026-03-03", "digest-daily-2026-03-03", "digest-daily-2026-03-04"] == keys


def test_days_are_those_of_the_zone() -> None:
    days = daily_spend(
        cast(Known, FACTS), watched=replace(WATCHED, zone=ZoneInfo("Asia/Tokyo")), until=date(2026, 3, 3), now=MORNING
    )

    assert (date(2026, 3, 3), usd("10.79816")) == days[-1]


def test_the_context_knows_the_dearest_resources_and_the_next_charges() -> None:
    made = context_of(cast(Known, FACTS), watched=WATCHED, now=MORNING)

    assert [("secret", Decimal(9)), ("db", Decimal("1.5")), ("web", Decimal("0.29816"))] == [
        (driver.name, driver.per_day) for driver in made.drivers
    ]
    assert at("2026-03-03 17:55") == made.charges[0].at
