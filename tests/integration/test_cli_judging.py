"""What the command line shows of budgets, alerts, verdicts, deletions and messages, and what it asks to be written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from fluence_costwatch.cli.app import build_app
from fluence_costwatch.cli.program import CheckLine, Heartbeat, OutboxView, Period, ReportView, SilencesView, Subject
from fluence_costwatch.core.alerts.alert import AlertState, Silence
from fluence_costwatch.core.alerts.alert_views import AlertsView, AlertView
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.budgets.budget_views import budgets_view, forecast_view
from fluence_costwatch.core.deletion.deletion_views import deletions_view
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Ground, Mode, Transition
from fluence_costwatch.core.idle.idle_views import ExplainView, IdleView, RuleVerdict
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.idle.leases import Term
from fluence_costwatch.core.idle.rules import Action
from fluence_costwatch.core.messages.message import Message, Section, Table
from fluence_costwatch.core.messages.outbox import Delivery
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.core.views.fleet import vm_view
from fluence_costwatch.errors import CannotBeDone
from tests.fake_program import FakeProgram
from tests.known import NOW, Facts, at, known_account, known_charge, known_resource, watched
from tests.telling import alert, row

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOSTILE = "<!channel> \x1b[31mred\x1b[0m\n\x9b2J [bold]x[/bold] \u202egnp.exe :smile:"
HARMS = ("\x1b[31m", "\x9b", "\u202e", "😄")

FACTS = Facts(
    (known_resource("0xa1", charged="0.894480", start="2026-03-03 06:00"),),
    tuple(known_charge(f"2026-03-0{day} 06:00") for day in (1, 2, 3)),
    (known_account(),),
)
BUDGETS = (
    Budget("team-a", Usd.parse("8.50"), Window.MONTH, UTC),
    Budget("all", Usd.parse("0.80"), Window.TOTAL, UTC, forecast_thresholds=()),
)
SILENCE = Silence("5f1e", at("2026-03-04 12:00"), "ann", HOSTILE, NOW, rule="team-a")
ALERTS = AlertsView(
    NOW,
    UTC,
    (),
    (
        AlertView(alert("c0ffee0001", kind="key", severity=Severity.CRITICAL, summary="the key of main was refused")),
        AlertView(alert("c0ffee0002", summary=f"machine {HOSTILE} is idle", name=HOSTILE), SILENCE),
        AlertView(alert("c0ffee0003", state=AlertState.RESOLVED, resolved_at=at("2026-03-03 11:30"))),
    ),
    learning=(("main", at("2026-03-09 17:55")), ("new", None)),
)
IDLE = RuleVerdict(
    account="main",
    resource_id="0xa1",
    name="web",
    rule="unused",
    action=Action.DELETE,
    conditions=("cpu below 3%", "network below 2048 B/s"),
    held_for=DAY,
    min_age=DAY,
    verdict=IdleVerdict.IDLE,
    since=at("2026-03-02 09:00"),
    judged_at=at("2026-03-03 11:55"),
    busy_at=None,
    coverage=Decimal("0.979"),
    evidence=("cpu 0.8% busy over 5 min", "network 12 B/s over 5 min"),
    wasted=Usd.parse("0.298160"),
    next_charge_at=at("2026-03-03 17:55"),
)
UNKNOWN = replace(
    IDLE,
    resource_id="0xb2",
    name=HOSTILE,
    verdict=IdleVerdict.UNKNOWN,
    since=None,
    busy_at=at("2026-03-02 07:00"),
    coverage=Decimal("0.5"),
    evidence=("no answer from 10.0.0.7:9100",),
    wasted=Usd(0),
)
VERDICTS = IdleView(NOW, UTC, (), (IDLE, UNKNOWN))
EXPLAINED = ExplainView(
    NOW,
    UTC,
    (),
    replace(vm_view(known_resource(name=HOSTILE), now=NOW), verdict=IdleVerdict.IDLE),
    IdleVerdict.IDLE,
    (replace(IDLE, name=HOSTILE), replace(UNKNOWN, rule="lonely", action=Action.ALERT)),
    ("gpus",),
    Term(at("2026-04-01 00:00"), "leased by cli ann"),
    at("2026-03-03 11:50"),
    (f"its name is protected by {HOSTILE!r}",),
    ("vetoed for rule unused until 2026-03-09 12:00 UTC by cli ann: needed",),
)


def step(state: DeletionState, when: str, actor: str = "costwatch", reason: str = "it is idle") -> Transition:
    return Transition(at(when), state, actor, reason)


NOTIFIED = Deletion(
    id="d1d1d1d1",
    identity=Identity("main", "0xa1"),
    target_id="0xA1",
    name="web",
    kind=Kind.VM,
    generation=Generation.VMS_V3,
    created_at=at("2026-03-01 06:00"),
    ground=Ground.IDLE,
    rule="unused",
    reason="idle for 27 h",
    mode=Mode.PROPOSE,
    state=DeletionState.NOTIFIED,
    proposed_at=at("2026-03-03 09:00"),
    evidence=("cpu 0.8% busy over 5 min",),
    notified_at=at("2026-03-03 09:05"),
    execute_at=at("2026-03-03 17:25"),
    burn_per_day=Decimal("0.298160"),
    history=(step(DeletionState.PROPOSED, "2026-03-03 09:00"), step(DeletionState.NOTIFIED, "2026-03-03 09:05")),
)
GONE = replace(
    NOTIFIED,
    id="d0d0d0d0",
    name=HOSTILE,
    mode=Mode.EXECUTE,
    state=DeletionState.VERIFIED,
    proposed_at=at("2026-03-02 09:00"),
    settled_at=at("2026-03-02 17:40"),
    next_charge=Decimal("0.298160"),
    next_charge_at=at("2026-03-02 17:55"),
    history=(step(DeletionState.VERIFIED, "2026-03-02 17:40", f"link {HOSTILE}", HOSTILE),),
)
DELETIONS = deletions_view((GONE, NOTIFIED), zone=UTC, now=NOW)
OUTBOX = OutboxView(
    NOW,
    UTC,
    (),
    (
        row(7, state=Delivery.QUEUED, attempts=3, error="Slack answered 503"),
        row(8, state=Delivery.DEAD, attempts=1, error=HOSTILE),
        row(9, state=Delivery.UNCONFIRMED, attempts=1),
    ),
)
REPORT = ReportView(
    NOW,
    UTC,
    (),
    Message(
        Severity.INFO,
        "[DIGEST] $0.29816 spent on 2 March",
        "report",
        (
            Section(
                "Spent on 2 March",
                ("$0.29816 in all.",),
                Table(("Resource", "Spent"), ((HOSTILE, "$1.00"), ("b", "$22.00")), (1,)),
                3,
            ),
            Section("Data", ("Data of main: as of 11:55.",)),
        ),
        action="fluence-costwatch alerts",
    ),
)


def program(**facts: Any) -> FakeProgram:
    shown = {
        "budgets": budgets_view(BUDGETS, FACTS, watched=watched(), now=NOW),
        "forecast": forecast_view(FACTS, watched=watched(), now=NOW),
        "alerts": ALERTS,
        "silences": SilencesView(NOW, UTC, (), (SILENCE,)),
        "idle": VERDICTS,
        "explain": EXPLAINED,
        "deletions": DELETIONS,
        "outbox": OUTBOX,
        "report": REPORT,
    }
    return FakeProgram(shown=shown | facts.pop("shown", {}), **facts)


def call(of: FakeProgram, *arguments: str, columns: int = 80, typed: str | None = None, **environment: str) -> Result:
    settings = {"COLUMNS": str(columns), **environment}
    return CliRunner().invoke(build_app(of), arguments, env=settings, input=typed)


def lines(*arguments: str, columns: int = 80, **facts: Any) -> list[str]:
    return call(program(**facts), *arguments, columns=columns).stdout.splitlines()


# What a person sees


def test_budgets() -> None:
    assert [
        "As of 2026-03-03 12:00 UTC",
        "BUDGET  WINDOW  USED     SPENT  LIMIT  FORECAST  USED UP",
        "team-a  month    10%  $0.89448  $8.50  $9.24296  2026-03-29 06:00",
        "all     total   111%  $0.89448  $0.80         -  since 06:00",
    ] == lines("budgets")


def test_forecast() -> None:
    assert [
        "As of 2026-03-03 12:00 UTC",
        "WINDOW     SPENT  FORECAST  TO COME  UNTIL",
        "day     $0.29816  $0.29816        0  2026-03-04 00:00",
        "week    $0.59632  $2.08712        5  2026-03-09 00:00",
        "month   $0.89448  $9.24296       28  2026-04-01 00:00",
    ] == lines("forecast")


def test_alerts() -> None:
    assert [
        "As of 2026-03-03 12:00 UTC",
        "ID          SEVERITY  KIND  STATE     SINCE  UNTIL             WHAT",
        "c0ffee0001  critical  key   firing    11:00  -                 the key of main was refused",
        "c0ffee0002  warning   idle  silenced  11:00  2026-03-04 12:00  machine <!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/b…",
        "c0ffee0003  warning   idle  resolved  11:00  11:30             fact c0ffee0003",
        "2 alerts firing, 1 critical",
    ] == lines("alerts", columns=120)


def test_silences() -> None:
    assert [
        "SILENCE  OF           UNTIL             BY   REASON",
        "5f1e     rule team-a  2026-03-04 12:00  ann  <!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\…",
    ] == lines("silence", "--list", columns=100)


def test_idle() -> None:
    assert [
        "As of 2026-03-03 12:00 UTC",
        "NAME                               RULE    VERDICT  SINCE             KNOWN    WASTED  WHY",
        "web                                unused  idle     2026-03-02 09:00    97%  $0.29816  cpu 0.8% busy over 5 min; networ…",
        "<!channel> \\x1b[31mred\\x1b[0m\\n\\…  unused  unknown  -                   50%         -  no answer from 10.0.0.7:9100",
        "1 machine idle, $0.29816 wasted so far",
    ] == lines("idle", columns=120)


def test_explain() -> None:
    assert [
        "<!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smile: (0xa1) of main: idle",
        "  vm, Active, present; $0.29816 a day, next charge 17:55",
        "Rule unused (may have it deleted): idle. Idle after 1 d of cpu below 3% and network below 2048 B/s, from an age of 1 d on",
        "  cpu 0.8% busy over 5 min",
        "  network 12 B/s over 5 min",
        "  last judged 11:55, 97% of the time known",
        "  holds since 2026-03-02 09:00 (1 d 3 h), $0.29816 spent since",
        "Rule lonely (only tells): unknown. Idle after 1 d of cpu below 3% and network below 2048 B/s, from an age of 1 d on",
        "  no answer from 10.0.0.7:9100",
        "  last judged 11:55, 50% of the time known",
        "  last known busy 2026-03-02 07:00",
        "Not about it: gpus",
        "Lease: until 2026-04-01 00:00 UTC, leased by cli ann",
        "Last heartbeat: 2026-03-03 11:50 UTC",
        "Protected: its name is protected by '<!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smile:'",
        "Stands: vetoed for rule unused until 2026-03-09 12:00 UTC by cli ann: needed",
    ] == lines("explain", "web")


def test_deletions() -> None:
    assert [
        "As of 2026-03-03 12:00 UTC",
        "ID        NAME                                STATE     DUE    GROUND       MODE     REASON",
        "d1d1d1d1  web                                 notified  17:25  idle unused  propose  idle for 27 h",
        "d0d0d0d0  <!channel> \\x1b[31mred\\x1b[0m\\n\\x…  verified  -      idle unused  execute  <!channel> \\x1b[31mred\\x1b[0m\\n\\x9…",
        "1 deletion proven: $0.29816 of next charges did not fall, $0.29816 a day less is spent",
    ] == lines("deletions", columns=120)


def test_one_deletion_tells_its_whole_story() -> None:
    assert [
        "Deletion d0d0d0d0: vm <!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smile: (0xA1) of main, vms-v3",
        "State: verified; ground: idle unused; proposed in mode execute",
        "Why: idle for 27 h",
        "  cpu 0.8% busy over 5 min",
        "Created: 2026-03-01 06:00 UTC",
        "Notice accepted: 2026-03-03 09:05 UTC",
        "Next charge: $0.29816 on 2026-03-02 17:55 UTC",
        "Costs: $0.29816 a day",
        "Saved: $0.29816 of the next charge, $0.29816 a day",
        "2026-03-02 17:40 UTC  verified  by link <!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smile:: <!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smile:",
    ] == lines("deletions", "show", "d0d0d0d0")


def test_waiting_messages() -> None:
    assert [
        "As of 2026-03-03 12:00 UTC",
        "NUMBER  TARGET  STATE        SINCE  TRIES  SUBJECT  ERROR",
        "     7  ops     queued       12:00      3  fact 7   Slack answered 503",
        "     8  ops     given up     12:00      1  fact 8   <!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/…",
        "     9  ops     unconfirmed  12:00      1  fact 9   -",
    ] == lines("notify", "list", columns=100)


def test_report() -> None:
    assert [
        "[DIGEST] $0.29816 spent on 2 March",
        "",
        "Spent on 2 March:",
        "$0.29816 in all.",
        "RESOURCE                                                                   SPENT",
        "<!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smi…   $1.00",
        "b                                                                         $22.00",
        "and 3 more",
        "",
        "Data:",
        "Data of main: as of 11:55.",
        "",
        "fluence-costwatch alerts",
    ] == lines("report")


@pytest.mark.parametrize(
    ("command", "view", "said"),
    [
        (("budgets",), {"budgets": budgets_view((), FACTS, watched=watched(), now=NOW)}, "There are no budgets"),
        (("alerts",), {"alerts": replace(ALERTS, alerts=(), learning=())}, "There are no alerts."),
        (("silence", "--list"), {"silences": SilencesView(NOW, UTC, (), ())}, "Nothing is silenced."),
        (("idle",), {"idle": IdleView(NOW, UTC, (), ())}, "No rule judges anything"),
        (("deletions",), {"deletions": deletions_view((), zone=UTC, now=NOW)}, "There are no deletions."),
        (("notify", "list"), {"outbox": OutboxView(NOW, UTC, (), ())}, "Nothing waits"),
        (("notify", "test"), {}, "There are no targets"),
    ],
)
def test_nothing_to_show_is_said_on_stderr(command: tuple[str, ...], view: dict[str, Any], said: str) -> None:
    result = call(program(shown=view), *command)

    assert ("", 0) == (result.stdout, result.exit_code)
    assert result.stderr.startswith(said)


READING = (
    ("budgets",),
    ("forecast",),
    ("alerts",),
    ("silence", "--list"),
    ("idle",),
    ("explain", "web"),
    ("deletions",),
    ("deletions", "list"),
    ("deletions", "show", "d0d0d0d0"),
    ("notify", "list"),
    ("report",),
)


@pytest.mark.parametrize("columns", [40, 80, 400])
@pytest.mark.parametrize("command", READING)
def test_nothing_untrusted_acts_on_the_terminal(command: tuple[str, ...], columns: int) -> None:
    output = call(program(), *command, columns=columns, FORCE_COLOR="1").output

    assert [] == [harm for harm in HARMS if harm in output]
    if columns == 400 and command[0] not in ("budgets", "forecast"):
        assert "<!channel> \\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smile:" in output


@pytest.mark.parametrize("columns", [80, 100, 132, 200])
@pytest.mark.parametrize("command", [each for each in READING if each[0] != "explain" and "show" not in each])
def test_no_table_is_wider_than_the_terminal(command: tuple[str, ...], columns: int) -> None:
    shown = lines(*command, columns=columns)

    assert columns >= max(cell_len(line) for line in shown if "proven" not in line)


def test_the_zone_of_the_configuration_is_that_of_all_instants() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    zoned = program(shown={"deletions": replace(DELETIONS, zone=kolkata), "alerts": replace(ALERTS, zone=kolkata)})

    assert "2026-03-03 22:55 IST" in call(zoned, "deletions", "show", "d1d1d1d1").stdout
    assert "As of 2026-03-03 17:30 IST" == call(zoned, "alerts").stdout.splitlines()[0]


def test_old_data_are_warned_of() -> None:
    stale = program(shown={"idle": replace(VERDICTS, stale_accounts=("main",))})

    assert "warning: account main has not answered for too long" in call(stale, "idle").stderr


# What a program sees


@pytest.mark.parametrize(
    ("command", "within", "keys"),
    [
        (
            ("budgets",),
            "budgets",
            "name window_start window_end limit_usd spent_usd forecast_usd used_ratio exhausted_at",
        ),
        (("forecast",), "accounts", "account windows"),
        (
            ("alerts",),
            "alerts",
            "id fingerprint kind severity state subject summary since resolved_at",
        ),
        (("silence", "--list"), "silences", "id until author reason made_at alert resource_id rule account"),
        (("idle",), "verdicts", "account resource_id name rule verdict since coverage evidence wasted_usd"),
        (
            ("deletions",),
            "deletions",
            "id account resource_id name state mode ground rule reason execute_at history",
        ),
        (("notify", "list"), "messages", "number target state subject since next_at tries error"),
        (("report",), "sections", "heading lines table left_out"),
        (("deletions", "show", "d0d0d0d0"), "history", "at state actor reason"),
    ],
)
def test_json_is_all_that_goes_to_stdout(command: tuple[str, ...], within: str, keys: str) -> None:
    result = call(program(), *command, "--json")

    assert keys.split() == list(json.loads(result.stdout)[within][0])
    assert result.stdout.isascii()


def test_a_deletion_in_full_tells_what_it_saved() -> None:
    answer = json.loads(call(program(), "deletions", "show", "d0d0d0d0", "--json").stdout)

    assert ("verified", "0.298160", HOSTILE) == (answer["state"], answer["avoided_usd"], answer["name"])


# Exit codes


def test_a_spent_budget_is_an_exit_code_where_that_is_asked_for() -> None:
    assert 0 == call(program(), "budgets").exit_code

    checked = call(program(), "budgets", "--check")

    assert (10, "All is spent of all.\n") == (checked.exit_code, checked.stderr)
    within = budgets_view(BUDGETS[:1], FACTS, watched=watched(), now=NOW)
    assert 0 == call(program(shown={"budgets": within}), "budgets", "--check").exit_code


def test_a_target_that_does_not_take_the_sample_is_an_exit_code() -> None:
    took = CheckLine("target ops", "ok", "it took the sample")
    maybe = CheckLine("target chat", "warning", "it may have the sample: no answer")
    refused = CheckLine("target mail", "failed", f"it answered {HOSTILE}")

    assert 0 == call(program(lines=(took, maybe)), "notify", "test").exit_code

    result = call(program(lines=(took, refused)), "notify", "test", "mail")

    assert 1 == result.exit_code
    assert "ok      target ops: it took the sample" == result.stdout.splitlines()[0]
    assert "\x1b[31m" not in result.stdout


def test_what_cannot_be_done_is_said_and_is_an_exit_code() -> None:
    result = call(
        program(fails=CannotBeDone("deletion d1 cannot be vetoed: it is verified")), "deletions", "veto", "d1"
    )

    assert (1, "error: deletion d1 cannot be vetoed: it is verified\n") == (result.exit_code, result.stderr)


# What is asked to be written


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("silence c0ffee --for 8h", {"subject": Subject(alert="c0ffee"), "length": 8 * HOUR, "reason": ""}),
        (
            "silence --resource web --for 1d --reason upgrade",
            {"subject": Subject(resource="web"), "length": DAY, "reason": "upgrade"},
        ),
        ("silence --rule unused --for 30m", {"subject": Subject(rule="unused"), "length": HOUR / 2, "reason": ""}),
        ("silence --account main --for 1w", {"subject": Subject(account="main"), "length": 7 * DAY, "reason": ""}),
        ("silence --end 5f1e", {"ended": "5f1e"}),
        ("keep web --reason mine", {"kept": "web", "reason": "mine"}),
        ("keep web --off", {"released": "web"}),
        ("lease web 3d", {"leased": "web", "until": NOW + 3 * DAY}),
        ("lease web 2026-03-03", {"leased": "web", "until": at("2026-03-04 00:00")}),
        ("lease web 2026-03-03T18:00Z", {"leased": "web", "until": at("2026-03-03 18:00")}),
        ("lease web --off", {"lease_ended": "web"}),
        ("deletions approve d1 --reason ok", {"approved": "d1", "reason": "ok"}),
        ("deletions veto d1", {"vetoed": "d1", "reason": ""}),
        ("notify retry 8", {"number": 8}),
    ],
)
def test_writing_says_what_was_done(words: str, asked: dict[str, Any]) -> None:
    fake = program()

    result = call(fake, *words.split())

    assert ("It is done.\n", 0) == (result.stdout, result.exit_code)
    assert {"config": None} | asked == fake.asked


@pytest.mark.parametrize(
    "words",
    [
        "silence",
        "silence c0ffee",
        "silence c0ffee --for soon",
        "silence c0ffee --for 0s",
        "silence c0ffee --rule unused --for 1h",
        "silence c0ffee --for 1h --json",
        "silence --list --for 1h",
        "silence --list --end 5f1e",
        "keep web --off --reason no",
        "lease web",
        "lease web 3d --off",
        "lease web 2026-03-02",
        "lease web 2026-03-03T11:00Z",
        "lease web yesterday",
        "deletions --json show d1",
        "deletions approve",
        "notify retry eight",
        "report --period month",
    ],
)
def test_what_makes_no_sense_is_a_usage_error_and_writes_nothing(words: str) -> None:
    fake = program()

    assert 2 == call(fake, *words.split()).exit_code
    assert {} == fake.asked


def test_views_are_asked_for_as_they_are_wanted() -> None:
    fake = program()

    for words, asked in (
        ("alerts --all", {"everything": True}),
        ("deletions", {"everything": False}),
        ("deletions --all", {"everything": True}),
        ("deletions list --all", {"everything": True}),
        ("report --period week", {"period": Period.WEEK}),
        ("notify test mail", {"target": "mail"}),
        ("explain 0xA1", {"vm": "0xA1"}),
    ):
        call(fake, *words.split())
        assert {"config": None} | asked == fake.asked


@pytest.mark.parametrize("caution", ["", "only from here"])
def test_the_line_of_a_heartbeat_stands_alone_on_stdout_and_is_not_broken(caution: str) -> None:
    line = f"curl -fsS -X POST https://watch.example.com/{'a' * 40}/heartbeat/{'b' * 40}"
    fake = program(shown={"heartbeat": Heartbeat(line, f"It is for {'x' * 80}.", caution)})

    result = call(fake, "heartbeat", "web", columns=40)

    warned = f"warning: {caution}\n" if caution else ""
    assert (f"{line}\n", f"It is for {'x' * 80}.\n{warned}", 0) == (result.stdout, result.stderr, result.exit_code)
    assert {"config": None, "vm": "web"} == fake.asked


@pytest.mark.parametrize(
    ("words", "typed", "confirmed", "code"),
    [
        ("deletions confirm", "y\n", True, 0),
        ("deletions confirm", "n\n", False, 1),
        ("deletions confirm", "", False, 1),
        ("deletions confirm --yes", "", True, 0),
    ],
)
def test_a_restored_database_is_confirmed_by_a_person(words: str, typed: str, confirmed: bool, code: int) -> None:
    fake = program(is_rolled_back=True)

    result = call(fake, *words.split(), typed=typed)

    assert (confirmed, code) == ("confirmed" in fake.asked, result.exit_code)


def test_there_is_nothing_to_confirm_where_nothing_was_restored() -> None:
    fake = program()

    assert "There is nothing to confirm" in call(fake, "deletions", "confirm").stdout
    assert "confirmed" not in fake.asked
