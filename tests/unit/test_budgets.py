from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Finding, Severity, Telling
from fluence_costwatch.core.billing.history import Cause, Doubt, Presence
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.budgets.budget_findings import judge_budgets
from fluence_costwatch.core.budgets.budget_views import budgets_view, forecast_view
from fluence_costwatch.core.budgets.budgeting import statuses, window_of
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.core.views import shapes
from tests.known import DAY, NOW, Facts, at, known_account, known_charge, known_resource, metered, watched
from tests.watch import usd

GRID = EpochGrid()
WATCHED = watched("main", "other")
BERLIN = ZoneInfo("Europe/Berlin")


def budget(limit: str = "50", window: Window = Window.MONTH, **facts: Any) -> Budget:
    """One named "team-a", with zone UTC."""
    return replace(Budget("team-a", usd(limit), window, UTC), **facts)


def status_of(one: Budget, facts: Facts, *, now: datetime = NOW) -> BudgetStatus:
    """How far one budget is used."""
    return statuses([one], facts, watched=WATCHED, now=now)[0]


@pytest.mark.parametrize(
    ("window", "zone", "now", "start", "end"),
    [
        pytest.param("epoch", "UTC", "2026-03-03 12:00", "2026-03-02 17:55", "2026-03-03 17:55", id="the grid's epoch"),
        pytest.param("epoch", "UTC", "2026-03-03 17:55", "2026-03-03 17:55", "2026-03-04 17:55", id="on its boundary"),
        pytest.param("day", "UTC", "2026-03-03 00:00", "2026-03-03 00:00", "2026-03-04 00:00", id="midnight begins"),
        pytest.param(
            "week", "UTC", "2026-03-01 23:59", "2026-02-23 00:00", "2026-03-02 00:00", id="Sunday ends a week"
        ),
        pytest.param("week", "UTC", "2026-03-02 00:00", "2026-03-02 00:00", "2026-03-09 00:00", id="Monday begins one"),
        pytest.param("month", "UTC", "2024-02-29 12:00", "2024-02-01 00:00", "2024-03-01 00:00", id="a leap February"),
        pytest.param("month", "UTC", "2026-12-31 23:59", "2026-12-01 00:00", "2027-01-01 00:00", id="over the year"),
        pytest.param(
            "day", "Europe/Berlin", "2026-03-29 12:00", "2026-03-28 23:00", "2026-03-29 22:00", id="23 hours in spring"
        ),
        pytest.param(
            "day", "Europe/Berlin", "2026-10-25 12:00", "2026-10-24 22:00", "2026-10-25 23:00", id="25 in autumn"
        ),
        pytest.param(
            "month", "Europe/Berlin", "2026-03-31 22:30", "2026-03-31 22:00", "2026-04-30 22:00", id="April in Berlin"
        ),
        pytest.param(
            "day", "Asia/Beirut", "2026-03-29 12:00", "2026-03-28 22:00", "2026-03-29 21:00", id="midnight is skipped"
        ),
        pytest.param(
            "day", "America/Havana", "2026-11-01 04:30", "2026-11-01 04:00", "2026-11-02 05:00", id="midnight is twice"
        ),
        pytest.param(
            "day",
            "America/St_Johns",
            "2010-11-07 02:45",
            "2010-11-07 02:30",
            "2010-11-08 03:30",
            id="back over midnight",
        ),
        pytest.param(
            "day", "Pacific/Apia", "2011-12-30 09:00", "2011-12-29 10:00", "2011-12-30 10:00", id="before a day skipped"
        ),
        pytest.param("30d", "UTC", "2026-03-03 12:00", "2026-02-01 12:00", "2026-03-04 12:00", id="30 days and one"),
    ],
)
def test_a_window_holds_now(window: str, zone: str, now: str, start: str, end: str) -> None:
    assert (at(start), at(end)) == window_of(Window(window), zone=ZoneInfo(zone), grid=GRID, now=at(now))


def test_the_whole_time_has_no_bounds() -> None:
    assert (None, None) == window_of(Window.TOTAL, zone=UTC, grid=GRID, now=NOW)


@given(
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Beirut", "America/Sao_Paulo", "Pacific/Apia"]
    ),
    window=st.sampled_from([Window.DAY, Window.WEEK, Window.MONTH, Window.EPOCH]),
    minutes=st.integers(0, 35 * 366 * 24 * 60),
)
def test_every_instant_lies_in_one_window_and_windows_leave_no_hole(zone: str, window: Window, minutes: int) -> None:
    def window_at(moment: datetime) -> tuple[datetime, datetime]:
        start, end = window_of(window, zone=ZoneInfo(zone), grid=EpochGrid(time(3, 7), timedelta(hours=7)), now=moment)
        assert start is not None
        assert end is not None
        assert start <= moment < end
        return start, end

    start, end = window_at(at("2005-01-01 00:00") + timedelta(minutes=minutes))
    assert end == window_at(end)[0]
    assert start == window_at(start - timedelta(microseconds=1))[1]
    assert (start, end) == window_at(start) == window_at(end - timedelta(microseconds=1))


def test_an_epoch_window_is_that_of_the_first_account_that_the_budget_is_about() -> None:
    hourly = EpochGrid(time(0), timedelta(hours=1))
    main, other = WATCHED.accounts
    found = statuses(
        [budget(window=Window.EPOCH, select=Selector(accounts=("other",))), budget(window=Window.EPOCH)],
        Facts(),
        watched=replace(WATCHED, accounts=(main, replace(other, grid=hourly))),
        now=NOW,
    )
    assert [at("2026-03-03 12:00"), at("2026-03-02 17:55")] == [each.starts_at for each in found]


# A VM and its rows, and a metered one whose row of the grid's epoch straddles midnight.
WEB = known_resource("0xa1", start="2026-03-02 17:55")
ROCK = metered("vm-1", price="0.5", start="2026-03-02 17:55")
WEB_ROWS = tuple(known_charge(f"2026-{day} 17:55") for day in ("02-28", "03-01", "03-02"))
ROCK_ROW = known_charge("2026-03-01 17:55", "12", id="vm-1")


@pytest.mark.parametrize(
    ("window", "spent", "forecast"),
    [
        # The day: no boundary yet, one at 17:55.
        pytest.param(Window.DAY, "0", "0.298160", id="day"),
        pytest.param(Window.EPOCH, "0.298160", "0.298160", id="epoch"),
        # Monday to Sunday: charged on the 2nd, and on the 3rd to the 8th.
        pytest.param(Window.WEEK, "0.298160", "2.087120", id="week"),
        pytest.param(Window.MONTH, "0.596320", "9.242960", id="month"),
        pytest.param(Window.TOTAL, "0.894480", None, id="total"),
        pytest.param(Window.ROLLING, "0.894480", "1.192640", id="30 days, and one ahead"),
    ],
)
def test_a_prepaid_charge_counts_at_the_start_of_its_epoch(window: Window, spent: str, forecast: str | None) -> None:
    found = status_of(budget(window=window), Facts((WEB,), WEB_ROWS))

    assert usd(spent) == found.spent == found.committed
    assert (None if forecast is None else usd(forecast)) == found.forecast
    assert not found.at_least


@pytest.mark.parametrize(
    ("window", "spent", "forecast"),
    [
        # Since midnight 11 h 55 min were seen, of the open row that began at 17:55 the day before.
        pytest.param(Window.DAY, "5.958333", "12", id="day: the open row by its part"),
        pytest.param(Window.EPOCH, "9", "12", id="epoch: the open row whole"),
        # Of the row before, 17 h 55 min of 24 lie in the week.
        pytest.param(Window.WEEK, "17.958333", "84", id="week: a written row by its part"),
        pytest.param(Window.MONTH, "21", "363.041667", id="month"),
    ],
)
def test_a_metered_charge_counts_by_its_time(window: Window, spent: str, forecast: str) -> None:
    found = status_of(budget(window=window), Facts((ROCK,), (ROCK_ROW,)))

    assert usd(spent) == found.spent
    assert usd(forecast) == found.forecast


def test_what_passed_unseen_is_uncertain_and_in_the_forecast() -> None:
    late = known_resource("0xa1", start="2026-03-01 17:55", last_seen="2026-03-02 12:00")
    rock = metered("vm-1", price="0.5", start="2026-03-01 17:55", last_seen="2026-03-02 17:55")
    missing = known_resource("0xb2", start="2026-03-02 17:55", presence=Presence.MISSING)
    gone = known_resource("0xc3", start="2026-03-02 17:55", presence=Presence.GONE, billed=True)
    elsewhere = known_resource("0xd4", start="2026-03-02 17:55", charged_under="other")

    week = status_of(budget(window=Window.WEEK), Facts((late,)))
    assert (usd("0"), usd("0.298160"), usd("2.087120")) == (week.spent, week.uncertain, week.forecast)
    day = status_of(budget(window=Window.DAY), Facts((late,)))
    assert (usd("0"), usd("0.298160")) == (day.uncertain, day.forecast)
    flowing = status_of(budget(window=Window.DAY), Facts((rock,)))
    assert (usd("0"), usd("6"), usd("12")) == (flowing.spent, flowing.uncertain, flowing.forecast)
    assert usd("0.298160") == status_of(budget(window=Window.DAY), Facts((missing, gone, elsewhere))).forecast


def test_a_boundary_whose_charge_is_late_costs_the_lower_price_around_it() -> None:
    late = known_resource(
        "0xa1", price="0.5", start="2026-03-02 11:00", due_prices=(Decimal("0.3"), Decimal("0.5")), length=DAY
    )
    found = status_of(budget(window=Window.WEEK), Facts((late,)), now=at("2026-03-03 12:00"))

    assert usd("2.8") == found.forecast


def test_a_doubt_counts_where_it_begins_and_a_missing_price_is_said() -> None:
    doubted = known_resource(
        "0xa1",
        price=None,
        doubts=(
            Doubt(Span(at("2026-03-02 17:55"), at("2026-03-03 17:55")), usd("0.1"), Cause.PRICE_CHANGED_UNSEEN),
            Doubt(Span(at("2026-02-27 17:55"), at("2026-02-28 17:55")), usd("0.2"), Cause.PRICE_CHANGED_UNSEEN),
        ),
    )
    found = status_of(budget(), Facts((doubted,)))
    assert (usd("0.1"), True) == (found.uncertain, found.at_least)
    whole = status_of(budget(window=Window.TOTAL), Facts((doubted,)))
    assert (usd("0.3"), False) == (whole.uncertain, whole.at_least)
    unpriced = replace(doubted, state=replace(doubted.state, billed=False, unpriced=(doubted.state.doubts[0].span,)))
    assert status_of(budget(), Facts((unpriced,))).at_least
    assert not status_of(budget(), Facts((unpriced,)), now=at("2026-05-03 12:00")).at_least


@pytest.mark.parametrize(
    ("facts", "limit", "exhausted"),
    [
        pytest.param(Facts((WEB,), WEB_ROWS), "0.3", "2026-03-02 17:55", id="crossed by a charge of the past"),
        pytest.param(Facts((WEB,), WEB_ROWS), "0.596320", "2026-03-02 17:55", id="reached exactly is crossed"),
        pytest.param(Facts((WEB,), WEB_ROWS), "0.596321", "2026-03-03 17:55", id="by the next charge"),
        pytest.param(Facts((WEB,), WEB_ROWS), "9.242960", "2026-03-31 17:55", id="by the last charge of the month"),
        pytest.param(Facts((WEB,), WEB_ROWS), "9.242961", None, id="not in this month"),
        pytest.param(Facts((ROCK,), (ROCK_ROW,)), "6", "2026-03-02 05:55", id="within a written row"),
        pytest.param(Facts((ROCK,), (ROCK_ROW,)), "14", "2026-03-02 21:55", id="within the open row"),
        pytest.param(Facts((ROCK,), (ROCK_ROW,)), "22", "2026-03-03 13:55", id="by time to come"),
        pytest.param(
            Facts((ROCK, WEB), (ROCK_ROW, *WEB_ROWS)), "12.298160", "2026-03-02 17:55", id="both together, in the past"
        ),
        pytest.param(
            Facts((ROCK, WEB), (ROCK_ROW, *WEB_ROWS)), "24.7", "2026-03-03 17:55", id="both together, to come"
        ),
    ],
)
def test_the_limit_is_reached_at(facts: Facts, limit: str, exhausted: str | None) -> None:
    assert (None if exhausted is None else at(exhausted)) == status_of(budget(limit), facts).exhausted_at


def test_a_row_that_reaches_into_the_window_may_cross_the_limit_in_it() -> None:
    found = status_of(budget("6", window=Window.WEEK), Facts((ROCK,), (ROCK_ROW,)))

    assert found.exhausted_at is not None
    # The part of a row is rounded to a micro-dollar, which takes it a few milliseconds to earn.
    assert abs(at("2026-03-02 12:00") - found.exhausted_at) < timedelta(milliseconds=10)


def test_a_long_past_crossing_is_found_in_the_rows() -> None:
    rows = tuple(
        known_charge(str((at("2025-01-01 17:55") + day * DAY).replace(tzinfo=None)), "1") for day in range(400)
    )
    old = known_resource("0xa1", created_at=at("2025-01-01 17:55"))
    found = status_of(budget("100", window=Window.TOTAL), Facts((old,), rows))

    assert at("2025-01-01 17:55") + 99 * DAY == found.exhausted_at
    beyond = status_of(budget("1000", window=Window.TOTAL), Facts((old,), rows))
    assert (None, None) == (beyond.forecast, beyond.exhausted_at)


def test_the_dearest_resources_drive_a_budget() -> None:
    records = tuple(known_resource(f"0x{number}", name=f"vm-{number}") for number in range(8))
    rows = tuple(known_charge("2026-03-02 17:55", f"{number}", id=f"0x{number}") for number in range(8))
    found = status_of(budget(), Facts(records, rows))

    assert [("main", f"0x{number}", f"vm-{number}", usd(str(number))) for number in (7, 6, 5, 4, 3)] == list(
        found.drivers
    )
    chosen = status_of(budget(select=Selector(names=("vm-[12]",))), Facts(records, rows))
    assert usd("3") == chosen.spent


STATUS = BudgetStatus(
    budget=budget(select=Selector(accounts=("main",))),
    starts_at=at("2026-03-01 00:00"),
    ends_at=at("2026-04-01 00:00"),
    spent=usd("41.50"),
    uncertain=usd("0"),
    committed=usd("41.50"),
    forecast=usd("61.20"),
    exhausted_at=at("2026-03-24 17:55"),
    drivers=(("main", "0xa1", "web\x1b[31m", usd("30")),),
)


def stored(found: Finding, state: AlertState = AlertState.FIRING) -> Alert:
    """The alert that is kept of a finding."""
    return Alert(
        id="a1",
        fingerprint=found.fingerprint,
        kind=found.kind,
        severity=Severity(found.severity),
        state=state,
        account=found.account,
        resource_id=found.resource_id,
        rule=found.rule,
        name=found.name,
        summary=found.summary,
        means=found.means,
        advice=found.advice,
        telling=found.telling,
        group=found.group,
        level=found.level,
        cost_per_day=None,
        facts=found.facts,
        since=NOW,
        fired_at=NOW,
    )


def judged(status: BudgetStatus, *alerts: Alert) -> tuple[list[tuple[str, str, str]], list[str]]:
    """What is found of one status, as (kind, severity, threshold), and the reasons of what ends."""
    outcome = judge_budgets([status], alerts=alerts, now=NOW)
    found = [(one.kind, str(one.severity), dict(one.facts)["threshold"]) for one in outcome.findings]
    return found, [ending.reason for ending in outcome.endings]


@pytest.mark.parametrize(
    ("spent", "forecast", "expected"),
    [
        pytest.param("24.999999", "49", [], id="below all"),
        pytest.param("25", "49", [("budget", "info", "0.5")], id="reached is crossed"),
        pytest.param(
            "41.50",
            "61.20",
            [("budget", "info", "0.5"), ("budget", "warning", "0.8"), ("forecast", "critical", "1")],
            id="two spent, one ahead",
        ),
        pytest.param(
            "50",
            "50",
            [
                ("budget", "info", "0.5"),
                ("budget", "warning", "0.8"),
                ("budget", "critical", "1"),
                ("forecast", "critical", "1"),
            ],
            id="all of them",
        ),
        pytest.param("0", "50", [("forecast", "critical", "1")], id="only ahead"),
    ],
)
def test_thresholds_are_crossed_from_their_amount_on(
    spent: str, forecast: str, expected: list[tuple[str, str, str]]
) -> None:
    assert (expected, []) == judged(replace(STATUS, spent=usd(spent), forecast=usd(forecast)))


def test_a_finding_says_the_fact_what_it_means_and_what_to_do() -> None:
    _, spent, ahead = judge_budgets([STATUS], alerts=(), now=NOW).findings

    assert "team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March" == spent.summary
    assert "team-a is heading for 122%: $41.50 of $50.00, forecast $61.20 on 31 March" == ahead.summary
    assert (
        "If nothing changes, the limit is reached on 24 March 17:55 UTC. If nothing changes, $19.70 more will be charged "
        r"in this window. Most of it: web\x1b[31m (main) $30.00." == spent.means
    )
    assert "fluence-costwatch spend --since 2026-03-01T00:00:00Z --account main --by resource" == spent.advice
    assert (Telling.ONCE, "budget team-a", Decimal("0.8"), "main") == (
        spent.telling,
        spent.group,
        spent.level,
        spent.account,
    )
    assert spent.level < ahead.level < Decimal(1)
    assert {
        "budget": "team-a",
        "of": "budget",
        "threshold": "0.8",
        "window": "month",
        "window_start": "2026-03-01T00:00:00Z",
        "window_end": "2026-04-01T00:00:00Z",
        "limit_usd": "50.000000",
        "spent_usd": "41.500000",
        "forecast_usd": "61.200000",
        "exhausted_at": "2026-03-24T17:55:00Z",
    } == dict(spent.facts)


@pytest.mark.parametrize(
    ("changed", "summary"),
    [
        pytest.param({"at_least": True}, "at least $41.50 of $50.00, forecast at least $61.20 on 31 March", id="least"),
        pytest.param(
            {"budget": budget(zone=BERLIN), "ends_at": at("2026-03-31 22:00")},
            "$41.50 of $50.00, forecast $61.20 on 31 March",
            id="the last day of the budget's zone",
        ),
        pytest.param(
            {"budget": budget(window=Window.EPOCH), "ends_at": at("2026-03-03 17:55")},
            "$41.50 of $50.00, forecast $61.20 at 3 March 17:55 UTC",
            id="an epoch ends at a time",
        ),
        pytest.param(
            {"budget": budget(window=Window.ROLLING)}, "$41.50 of $50.00, forecast $61.20 in a day", id="rolling"
        ),
        pytest.param(
            {"budget": budget(window=Window.TOTAL), "starts_at": None, "ends_at": None, "forecast": None},
            "$41.50 of $50.00",
            id="no end, no forecast",
        ),
        pytest.param(
            {"spent": usd("49.999999")}, "$50.00 of $50.00, forecast $61.20 on 31 March", id="rounded down to 99%"
        ),
    ],
)
def test_the_summary_names_what_there_is(changed: dict[str, Any], summary: str) -> None:
    status = replace(STATUS, **changed)
    found = [one for one in judge_budgets([status], alerts=(), now=NOW).findings if one.kind == "budget"]

    share = "99%" if "spent" in changed else "83%"
    assert f"team-a at {share}: {summary}" == found[-1].summary


def test_means_says_what_is_over_and_what_is_not_known() -> None:
    over = replace(
        STATUS, spent=usd("55"), uncertain=usd("1"), at_least=True, exhausted_at=at("2026-03-02 17:55"), drivers=()
    )
    assert (
        "The limit was reached on 2 March 17:55 UTC; $5.00 more than that is spent. If nothing changes, $6.20 more will be "
        "charged in this window. The bill may already hold up to $1.00 more than is known. Some prices are not known, so the "
        "figures are the least that it can be." == judge_budgets([over], alerts=(), now=NOW).findings[0].means
    )
    unseen = replace(STATUS, exhausted_at=at("2026-03-02 17:55"), drivers=(), forecast=usd("50"), spent=usd("40"))
    assert (
        judge_budgets([unseen], alerts=(), now=NOW)
        .findings[0]
        .means.startswith("If nothing changes, the limit was reached, if all still runs, on 2 March 17:55 UTC.")
    )


NEXT_MONTH = replace(STATUS, starts_at=at("2026-04-01 00:00"), ends_at=at("2026-05-01 00:00"))
CALM = replace(NEXT_MONTH, spent=usd("1"), forecast=usd("2"))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(CALM, "a new window began (1 April 00:00 UTC)", id="a new window"),
        pytest.param(NEXT_MONTH, "a new window began (1 April 00:00 UTC)", id="which is as full as the last"),
        pytest.param(
            replace(STATUS, budget=replace(STATUS.budget, limit=usd("100"))),
            "the limit was raised from $50.00 to $100.00",
            id="a raised limit",
        ),
        pytest.param(
            replace(STATUS, budget=replace(STATUS.budget, limit=usd("45"))),
            "the limit was lowered from $50.00 to $45.00",
            id="a lowered one is another one",
        ),
        pytest.param(
            replace(STATUS, spent=usd("38")),
            "what is spent fell from $41.50 to $38.00 of $50.00 (corrected or refunded, or a resource counts no longer)",
            id="a refund",
        ),
        pytest.param(
            replace(STATUS, budget=replace(STATUS.budget, thresholds=(Decimal("0.5"),))),
            "the threshold of 80% is no longer configured",
            id="a threshold that is no longer there",
        ),
        pytest.param(
            replace(STATUS, budget=replace(STATUS.budget, window=Window.WEEK)),
            "the window of the budget was changed from month to week",
            id="another window",
        ),
        pytest.param(
            replace(STATUS, budget=replace(STATUS.budget, select=Selector())),
            "the budget is about other accounts now",
            id="another selection",
        ),
        pytest.param(
            replace(STATUS, budget=replace(STATUS.budget, name="team-b")),
            "the budget is no longer configured",
            id="no such budget",
        ),
    ],
)
def test_an_alert_ends_with_its_reason(status: BudgetStatus, reason: str) -> None:
    alert = stored(judge_budgets([STATUS], alerts=(), now=NOW).findings[1])

    assert [reason] == judged(status, alert)[1]
    assert [] == judged(status, replace(alert, state=AlertState.RESOLVED))[1]
    assert [] == judged(STATUS, alert)[1]


def test_a_forecast_that_fell_ends_its_alert_but_not_for_want_of_a_price() -> None:
    alert = stored(judge_budgets([STATUS], alerts=(), now=NOW).findings[2])

    assert ["the forecast fell to $49.00 of $50.00"] == judged(replace(STATUS, forecast=usd("49")), alert)[1]
    assert [] == judged(replace(STATUS, forecast=usd("49"), at_least=True), alert)[1]
    assert ["the budget has no forecast any more"] == judged(replace(STATUS, forecast=None), alert)[1]


def test_a_rolling_window_is_told_as_it_changes_and_ends_below_95_percent_of_a_threshold() -> None:
    rolling = replace(STATUS, budget=replace(STATUS.budget, window=Window.ROLLING), spent=usd("40"), forecast=usd("41"))
    (half, most) = judge_budgets([rolling], alerts=(), now=NOW).findings
    assert {Telling.CHANGES} == {half.telling, most.telling}
    later = replace(rolling, starts_at=at("2026-03-02 00:00"), spent=usd("38"))

    assert ([("budget", "info", "0.5"), ("budget", "warning", "0.8")], []) == judged(later, stored(most))
    assert ([("budget", "info", "0.5")], []) == judged(later, stored(most, AlertState.RESOLVED))
    below = replace(later, spent=usd("37.999999"))
    assert (
        [("budget", "info", "0.5")],
        ["what is spent fell from $40.00 to $38.00 of $50.00"],
    ) == judged(below, stored(most))


def test_a_new_window_or_limit_is_another_alert() -> None:
    prints = {
        one.fingerprint
        for status in (
            STATUS,
            NEXT_MONTH,
            replace(STATUS, budget=replace(STATUS.budget, limit=usd("49"))),
            replace(STATUS, budget=replace(STATUS.budget, name="team-b")),
            replace(STATUS, budget=replace(STATUS.budget, window=Window.ROLLING)),
        )
        for one in judge_budgets([status], alerts=(), now=NOW).findings
    }
    assert 5 * 3 == len(prints)


def test_the_shape_of_budgets_is_what_scripts_rely_on() -> None:
    budgets = [
        budget("0.7"),
        budget("0.4", window=Window.TOTAL, name="all"),
        budget("5", name="none", select=Selector(names=("x",)), window=Window.TOTAL),
    ]
    facts = Facts((WEB,), WEB_ROWS, (known_account(),))
    view = budgets_view(budgets, facts, watched=watched(), now=NOW)

    assert {
        "as_of": "2026-03-03T12:00:00Z",
        "budgets": [
            {
                "name": "team-a",
                "window_start": "2026-03-01T00:00:00Z",
                "window_end": "2026-04-01T00:00:00Z",
                "limit_usd": "0.700000",
                "spent_usd": "0.596320",
                "forecast_usd": "9.242960",
                "used_ratio": "0.851885",
                "exhausted_at": "2026-03-03T17:55:00Z",
            },
            {
                "name": "all",
                "window_start": "2026-02-28T17:55:00Z",
                "window_end": None,
                "limit_usd": "0.400000",
                "spent_usd": "0.894480",
                "forecast_usd": None,
                "used_ratio": "2.2362",
                "exhausted_at": "2026-03-01T17:55:00Z",
            },
            {
                "name": "none",
                "window_start": "2026-03-03T12:00:00Z",
                "window_end": None,
                "limit_usd": "5.000000",
                "spent_usd": "0.000000",
                "forecast_usd": None,
                "used_ratio": "0.00",
                "exhausted_at": None,
            },
        ],
    } == shapes.budgets(view)
    assert ("all",) == view.exceeded


def test_the_forecast_is_given_for_each_account_and_for_all() -> None:
    other = known_resource("0xb2", account="other", price="1")
    former = known_resource("0xc3", account="former", presence=Presence.GONE, billed=False)
    rows = (*WEB_ROWS, known_charge("2026-03-01 17:55", "2", id="0xc3", account="former"))
    view = forecast_view(
        Facts((WEB, other, former), rows, (known_account(),)), watched=watched("main", "other"), now=NOW
    )
    shown = shapes.forecast(view)

    assert ["main", "other", "former"] == [each["account"] for each in shown["accounts"]]
    assert [("day", "1.298160", 2), ("week", "8.087120", 12), ("month", "40.242960", 58)] == [
        (each["window"], each["forecast_usd"], each["charges_due"]) for each in shown["total"]
    ]
    assert {
        "window": "week",
        "window_start": "2026-03-02T00:00:00Z",
        "window_end": "2026-03-09T00:00:00Z",
        "spent_usd": "0.298160",
        "forecast_usd": "2.087120",
        "uncertain_usd": "0.000000",
        "charges_due": 6,
        "at_least": False,
    } == shown["accounts"][0]["windows"][1]
    assert ["main", "other"] == [
        each.account
        for each in forecast_view(
            Facts((WEB, other, former), WEB_ROWS), watched=watched("main", "other"), now=NOW
        ).accounts
    ]


def test_no_budgets_ask_nothing() -> None:
    class Unasked(Facts):
        def resources(self, *, gone: bool = True) -> Any:
            raise AssertionError("nothing was to be asked")

    assert () == statuses((), Unasked(), watched=WATCHED, now=NOW)
