"""Messages: what their subject states, what is in them, to whom they go, and that a thousand findings stay readable."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fluence_costwatch.core.alerts.alert import AlertEvent, Change
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Ground, Mode
from fluence_costwatch.core.messages.composing import compose
from fluence_costwatch.core.messages.context import Context, Driver
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.notices import notice_of, notices
from fluence_costwatch.core.messages.outbox import Draft, QuietHours, Route
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.core.views.spending import DueCharge
from tests.builders import at, usd
from tests.telling import NOW, fired

UTC = ZoneInfo("UTC")
TEAM_A = BudgetStatus(
    Budget("team-a", usd("50"), Window.MONTH, UTC),
    starts_at=at("2026-03-01"),
    ends_at=at("2026-04-01"),
    spent=usd("41.50"),
    uncertain=usd("0.31"),
    committed=usd("45"),
    forecast=usd("61.20"),
    exhausted_at=at("2026-03-20 17:55"),
    drivers=(("main", "0xweb", "web", usd("20")), ("main", "0xdb", "db\x1b[31m", usd("11"))),
)
CONTEXT = Context(
    zone=ZoneInfo("Europe/Berlin"),
    as_of={"main": at("2026-03-03 11:56"), "other": at("2026-03-03 11:00")},
    statuses=(TEAM_A,),
    drivers=(Driver("main", "0xgpu", "gpu", Decimal("28.8")), Driver("other", "0xsecret", "secret", Decimal("1.5"))),
    charges=(DueCharge(at("2026-03-03 17:55"), "main", "0xweb", "web", usd("0.29816")),),
    daily=((at("2026-03-02").date(), usd("3")), (at("2026-03-03").date(), usd("4"))),
    public_url="https://costwatch.example",
)
BUDGET: dict[str, Any] = {
    "kind": "budget",
    "account": "",
    "resource_id": None,
    "summary": "team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March",
    "facts": (("budget", "team-a"),),
}


def composed(*events: AlertEvent, routes: tuple[Route, ...] = (Route("ops"),), **more: Any) -> tuple[Draft, ...]:
    return compose(events, **({"routes": routes, "quiet": None, "context": CONTEXT, "now": NOW} | more))


def text(message: Message) -> str:
    """All that a person reads of it, line by line."""
    lines = [message.subject]
    for section in message.sections:
        lines += [f"# {section.heading}", *section.lines]
        if section.table is not None:
            lines += [" | ".join(row) for row in (section.table.columns, *section.table.rows)]
        lines += [f"and {section.left_out} more"] if section.left_out else []
    return "\n".join([*lines, message.action, message.link, message.why])


def heading(message: Message, name: str) -> list[str]:
    """The lines under a heading."""
    return [line for section in message.sections if section.heading.startswith(name) for line in section.lines]


@pytest.mark.parametrize(
    ("events", "subject"),
    [
        ([fired(**BUDGET)], "[WARN] team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March"),
        ([fired(severity=Severity.CRITICAL)], "[CRIT] fact a1"),
        ([fired("a1"), fired("a2", severity=Severity.CRITICAL)], "[CRIT] fact a2 and 1 more"),
        ([fired("a1", change=Change.RESOLVED, severity=Severity.CRITICAL), fired("a2")], "[WARN] fact a2 and 1 more"),
        ([fired(change=Change.RESOLVED, reason="a new window began")], "[RESOLVED] fact a1 (a new window began)"),
        ([fired("a1", change=Change.REPEATED), fired("a2", since=NOW)], "[WARN] fact a2 and 1 more"),
        ([fired("a1", kind="idle"), fired("a2", kind="budget")], "[WARN] fact a2 and 1 more"),
        ([fired("a1"), fired("a2", cost_per_day=Decimal(3))], "[WARN] fact a2 and 1 more"),
        ([fired(summary="x" * 500)], f"[WARN] {'x' * 128}…"),
        ([fired(summary="a\nb\x1b[2J")], "[WARN] a\\nb\\x1b[2J"),
    ],
)
def test_the_subject_states_the_fact_that_matters_most(events: list[AlertEvent], subject: str) -> None:
    assert [subject] == [draft.message.subject for draft in composed(*events)]


def test_a_message_about_a_budget_says_all_that_a_person_needs() -> None:
    event = fired(
        "b1", **BUDGET, rule="team-a 0.8", means="9 days early.", advice="fluence-costwatch vms", reason="80%"
    )

    assert text(composed(event)[0].message) == (
        """[WARN] team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March
# What changed
team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March.
9 days early.
Since 2026-03-03 11:00 UTC (12:00 CET).
Told because: 80%.
# Budgets
team-a: the bill may hold up to $0.31 more than is known.
team-a: the limit will be crossed on 2026-03-20 17:55 UTC (18:55 CET), in 17 d 5 h, if nothing changes.
Budget | Spent | Limit | Used | Forecast | Window ends
team-a | $41.50 | $50.00 | 83% | $61.20 | 2026-04-01 00:00 UTC (02:00 CEST)
# Biggest drivers
Resource | Account | Spent
web | main | $20.00
db\\x1b[31m | main | $11.00
# What happens next
Next charge: $0.29816 on 2026-03-03 17:55 UTC (18:55 CET), in 5 h 55 min, for web.
# Data
State of 2026-03-03 12:00 UTC (13:00 CET).
Data of other: as of 2026-03-03 11:00 UTC (12:00 CET), 1 h old.
Data of main: as of 2026-03-03 11:56 UTC (12:56 CET), 4 min old.
fluence-costwatch vms
https://costwatch.example
You get this (kind budget, rule team-a 0.8, severity warning) because target ops takes warning and worse of every kind """
        "from every account. To silence it: fluence-costwatch silence b1 --for 1d"
    )


def test_a_thousand_findings_make_one_readable_message() -> None:
    idle = [
        fired(f"i{n}", summary=f"machine {n} is idle", cost_per_day=Decimal(n), resource_id=f"{n}") for n in range(990)
    ]
    waste = [fired(f"w{n}", kind="waste", severity=Severity.INFO) for n in range(9)]

    drafts = composed(*idle, *waste, fired("b1", **BUDGET), routes=(Route("ops", min_severity=Severity.INFO),))

    message = drafts[0].message
    assert 1 == len(drafts)
    assert "[WARN] team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March and 999 more" == message.subject
    assert ["1000 alerts: 990 idle, 9 waste, 1 budget."] == heading(message, "What changed")
    assert [981] == [section.left_out for section in message.sections if section.heading == "Warnings (991)"]
    assert "machine 989 is idle (since 2026-03-03 11:00 UTC (12:00 CET); i989)" in heading(message, "Warnings")
    assert ["$489555.00 a day, if nothing is done."] == heading(message, "What waiting costs")
    assert len(text(message)) < 4000


def test_a_machine_that_two_rules_find_costs_its_price_once() -> None:
    drafts = composed(fired("a1", cost_per_day=Decimal(2)), fired("a2", cost_per_day=Decimal(2)))

    assert ["$2.00 a day, if nothing is done."] == heading(drafts[0].message, "What waiting costs")


def test_each_target_gets_one_message_of_what_it_takes_and_nothing_of_other_accounts() -> None:
    routes = (Route("ops"), Route("finance", kinds=("budget",)), Route("team", accounts=("other",)))

    drafts = composed(fired("a1"), fired("b1", **BUDGET), routes=routes)

    assert {"ops": "[WARN] team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March and 1 more"} | dict.fromkeys(
        ("finance", "team"), "[WARN] team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March"
    ) == {draft.target: draft.message.subject for draft in drafts}
    assert "Data of main" not in text(drafts[2].message)
    assert None is drafts[2].message.chart


def test_the_same_events_at_the_same_instant_have_the_same_key_and_any_others_another() -> None:
    one, two = fired("a1"), fired("a2")
    keys = [
        composed(*events, now=now)[0].key
        for events, now in (
            ((one, two), NOW),
            ((two, one), NOW),
            ((one,), NOW),
            ((one, two), NOW + timedelta(minutes=5)),
            ((one, fired("a2", change=Change.RESOLVED)), NOW),
        )
    ]

    assert keys[0] == keys[1]
    assert 4 == len(set(keys))


@pytest.mark.parametrize(
    ("events", "held"),
    [
        ([fired("a1")], True),
        ([fired("a1", severity=Severity.CRITICAL), fired("a2")], False),
        ([fired("a1", severity=Severity.CRITICAL, change=Change.RESOLVED)], False),
    ],
)
def test_quiet_hours_hold_back_what_is_not_critical(events: list[AlertEvent], held: bool) -> None:
    quiet = QuietHours(time(11), time(15), UTC)

    assert [at("2026-03-03 15:00") if held else NOW] == [draft.not_before for draft in composed(*events, quiet=quiet)]


def test_nothing_that_happened_makes_no_message() -> None:
    assert () == composed()


DELETION = Deletion(
    id="d1",
    identity=Identity("main", "0xweb"),
    target_id="0xWeb",
    name="web",
    kind=Kind.VM,
    generation=Generation.VMS_V3,
    created_at=at("2026-03-01"),
    ground=Ground.IDLE,
    rule="sleepers",
    reason="idle for 24 h",
    mode=Mode.EXECUTE,
    state=DeletionState.PROPOSED,
    proposed_at=NOW,
    evidence=("cpu 0.8% busy over 24h",),
    burn_per_day=Decimal("0.29816"),
)


def notice(mode: Mode = Mode.EXECUTE, **more: Any) -> Message:
    return notice_of(replace(DELETION, mode=mode), context=CONTEXT, now=NOW, **more)


def test_a_notice_says_what_goes_when_why_what_keeping_it_costs_and_how_to_stop_it() -> None:
    message = notice(veto_link="https://costwatch.example/deletions/d1?token=t", earliest=at("2026-03-03 17:25"))

    assert """[WARN] vm web of main will be deleted at the earliest on 2026-03-03 17:25 UTC (18:25 CET)
# What goes
vm web of account main, id 0xWeb.
All data on it go with it.
# When
It is deleted at the earliest on 2026-03-03 17:25 UTC (18:25 CET), unless somebody stops it.
The time is fixed when a target has taken this notice; `deletions show` tells it.
# Why
idle for 24 h.
cpu 0.8% busy over 24h.
Decided by: idle rule sleepers.
# What keeping it costs
$0.29816 with its next charge on 2026-03-03 17:55 UTC (18:55 CET), and $0.29816 a day from then on.
# How to stop it
Open the link of this message and confirm there; opening it alone changes nothing.
Or run: fluence-costwatch deletions veto d1 --reason 'still needed'
fluence-costwatch deletions veto d1 --reason 'still needed'
https://costwatch.example/deletions/d1?token=t
""" == text(message)


def test_a_proposal_says_how_to_approve_it() -> None:
    message = notice(Mode.PROPOSE)

    assert "fluence-costwatch deletions approve d1" == message.action
    assert message.subject.startswith("[WARN] vm web of main is proposed for deletion")


def test_a_notice_in_mode_observe_says_that_nothing_is_deleted() -> None:
    message = notice(Mode.OBSERVE)

    assert "[WARN] vm web of main would be deleted (mode observe)" == message.subject
    assert ["Not at all: the mode is observe, which only says what would be deleted."] == heading(message, "When")


def test_notices_go_to_those_who_take_warnings_about_deletions_and_carry_the_deletion() -> None:
    routes = (
        Route("ops"),
        Route("finance", kinds=("budget",)),
        Route("pager", min_severity=Severity.CRITICAL),
        Route("team", accounts=("other",)),
    )

    drafts = notices(DELETION, routes=routes, quiet=None, context=CONTEXT, now=NOW)

    assert [("ops", "notice-d1", "d1")] == [(draft.target, draft.key, draft.deletion) for draft in drafts]
