from __future__ import annotations

import csv
import io
import json
from datetime import time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from fluence_costwatch import __version__
from fluence_costwatch.cli.app import build_app
from fluence_costwatch.cli.program import CheckLine, DemoOptions, Looked, SimulateOptions
from fluence_costwatch.core.billing.history import Basis, Cause, Doubt, Presence
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.views.spending import By
from fluence_costwatch.errors import ConfigInvalid, DatabaseMissing, FluenceRefused
from tests.fake_program import FakeProgram
from tests.known import NOW, Facts, at, known_account, known_charge, known_resource, watched

HOSTILE = "<b>Zoë</b> \x1b[31mred\x1b[0m\n\x9b2J [bold]x[/bold] \u202egnp.exe :smile:"
LONG_ID = "0x8d85b445599a96c8dce30e95b72e9a00000000a1"
DOUBT = Doubt(Span(at("2026-03-01 17:55"), at("2026-03-02 17:55")), Usd.parse("0.3"), Cause.AFTER_LAST_SIGHT)
FLEET = Facts(
    (
        known_resource(LONG_ID, name="api-gateway"),
        known_resource("0xb2", name="postgres-main", price="1.274400", start="2026-03-03 06:00:20"),
        known_resource("0xc3", name=HOSTILE),
        known_resource("0xd4", name="model-training-with-a-rather-long-name-2026", price="4.752", doubts=(DOUBT,)),
        known_resource("0xe5", name="日本語のとても長い名前のサーバー", presence=Presence.MISSING),
        known_resource("0xf6", name=None, status="InsufficientFunds", billed=False),
        known_resource("0xa7", name="old", presence=Presence.GONE),
    ),
    (
        known_charge("2026-03-01 17:55", id=LONG_ID, name="api-gateway"),
        known_charge("2026-03-01 17:55", "1.2744", id="0xb2", name="postgres-main"),
        known_charge("2026-03-02 17:55", id=LONG_ID, name="api-gateway"),
        known_charge("2026-03-02 17:55", id="0xc3", name=HOSTILE),
    ),
    (known_account(),),
)


def call(program: FakeProgram, *arguments: str, columns: int = 80, **environment: str) -> Result:
    return CliRunner().invoke(build_app(program), arguments, env={"COLUMNS": str(columns), **environment})


def fleet(**facts: Any) -> FakeProgram:
    return FakeProgram(**{"facts": FLEET, **facts})


# What a person sees


def test_vms_in_80_columns() -> None:
    assert [
        "As of 2026-03-03 12:00 UTC",
        "NAME                  STATUS                A DAY  PAID UNTIL              SPENT",
        "api-gateway           Active             $0.29816  17:55                $0.59632",
        "postgres-main         Active              $1.2744  2026-03-04 06:00:20  $0.59632",
        "<b>Zoë</b> \\x1b[31m…  Active             $0.29816  17:55                $0.59632",
        "model-training-with…  Active               $4.752  17:55                $0.59632",
        "日本語のとても長い …  Active, missing    $0.29816  17:55                $0.59632",
        "0xf6                  InsufficientFunds     $0.00  -                    $0.59632",
        "6 resources, 5 billed: $6.92088 a day, $3.57792 spent + up to $0.30 uncertain",
    ] == call(fleet(), "vms").stdout.splitlines()


def test_vms_in_200_columns_shows_all_there_is() -> None:
    lines = call(fleet(), "vms", columns=200).stdout.splitlines()

    assert ["NAME", "STATUS", "PRICE", "A", "DAY", "PAID", "UNTIL", "SPENT", "UNCERTAIN", "ID"] == lines[1].split()[:10]
    assert LONG_ID in lines[2]
    assert "$1.2744/epoch" in lines[3]
    assert "+ $0.30" in lines[5]
    assert "model-training-with-a-rather-long-name-2026 " in lines[5]


def test_vms_all_shows_what_is_gone() -> None:
    assert "Active, gone" in call(fleet(), "vms", "--all").stdout
    assert "Active, gone" not in call(fleet(), "vms").stdout


def test_spend() -> None:
    assert [
        "From 2026-03-01 17:55 UTC to 2026-03-03 12:00 UTC",
        "NAME                                ID                                     SPENT",
        "postgres-main                       0xb2                                 $1.2744",
        "api-gateway                         0x8d85b445599a96c…b72e9a00000000a1  $0.59632",
        "<b>Zoë</b> \\x1b[31mred\\x1b[0m\\n\\x…  0xc3                                $0.29816",
        "Total $2.16888 + up to $0.30 uncertain",
    ] == call(fleet(), "spend").stdout.splitlines()


def test_spend_by_epoch() -> None:
    assert [
        "From 2026-03-01 17:55 UTC to 2026-03-03 12:00 UTC",
        "EPOCH FROM               SPENT",
        "2026-03-01 17:55 UTC  $1.57256",
        "2026-03-02 17:55 UTC  $0.59632",
        "Total $2.16888 + up to $0.30 uncertain",
    ] == call(fleet(), "spend", "--by", "epoch").stdout.splitlines()


def test_calendar() -> None:
    facts = Facts((known_resource(), known_resource("0xb2", name="db", price="1", start="2026-03-03 06:00:20")))

    assert [
        "From 2026-03-03 12:00 UTC to 2026-03-05 12:00 UTC",
        "DUE                  NAME    AMOUNT  ID",
        "17:55                web   $0.29816  0xa1",
        "2026-03-04 06:00:20  db       $1.00  0xb2",
        "2026-03-04 17:55     web   $0.29816  0xa1",
        "2026-03-05 06:00:20  db       $1.00  0xb2",
        "4 charges, $2.59632",
    ] == call(fleet(facts=facts), "calendar", "--days", "2").stdout.splitlines()


def test_a_calendar_of_many_charges_says_how_many_it_leaves_out() -> None:
    facts = Facts((known_resource(length=timedelta(hours=1), start="2026-03-03 11:55"),))

    lines = call(fleet(facts=facts), "calendar").stdout.splitlines()

    assert ["and 118 more, $35.18; --json lists them all", "168 charges, $50.09"] == lines[-2:]


def test_status_says_how_each_account_stands() -> None:
    refused = known_account(
        "other", last_success="2026-03-01 12:00", outcome="refused", detail="the key was refused (401)\x1b[2J"
    )
    program = fleet(
        facts=Facts(FLEET.records, looks=(known_account(), refused)), watched=watched("main", "other", "new")
    )

    result = call(program, "status")

    assert [
        "As of 2026-03-03 12:00 UTC",
        "ACCOUNT  STATE        LAST SUCCESS                BILLED     A DAY     SPENT",
        "main     ok           11:55 (5 min ago)                5  $6.92088  $4.17424",
        "other    stale        2026-03-01 12:00 (2 d ago)       0     $0.00     $0.00",
        "new      no data yet  never                            0     $0.00     $0.00",
        "other: vms-v3: refused: the key was refused (401)\\x1b[2J",
        "$6.92088 a day, $4.17424 spent + up to $0.30 uncertain",
    ] == result.stdout.splitlines()
    assert 5 == result.exit_code


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 132, 200])
@pytest.mark.parametrize("command", ["status", "vms", "spend", "calendar"])
def test_no_table_is_wider_than_the_terminal(command: str, columns: int) -> None:
    lines = call(fleet(), command, columns=columns).stdout.splitlines()

    # Below 80 columns what must stay may need more; nothing is cut beyond recognition.
    assert max(80, columns) >= max(cell_len(line) for line in lines)
    assert "api-gateway" in "\n".join(lines) or command == "status"


def test_instants_are_in_the_zone_of_the_configuration() -> None:
    program = fleet(watched=watched(zone=ZoneInfo("Asia/Kolkata")))

    lines = call(program, "vms").stdout.splitlines()

    assert "As of 2026-03-03 17:30 IST" == lines[0]
    assert "23:25" in lines[2]


@pytest.mark.parametrize("command", ["vms", "spend", "calendar", "export"])
@pytest.mark.parametrize("columns", [80, 400])
def test_a_hostile_name_does_not_act_on_the_terminal(command: str, columns: int) -> None:
    output = call(fleet(), command, columns=columns, FORCE_COLOR="1").output

    assert "Zoë" in output
    assert [] == [harm for harm in ("\x1b[31m", "\x9b", "\u202e", "😄") if harm in output]
    if columns == 400:
        assert "\\x1b[31mred\\x1b[0m\\n\\x9b2J [bold]x[/bold] \\u202egnp.exe :smile:" in output


def test_what_is_only_at_least_is_marked_and_explained() -> None:
    unpriced = known_resource(price=None, unpriced=(Span(at("2026-03-02 17:55"), at("2026-03-03 17:55")),))
    program = fleet(facts=Facts((unpriced,), FLEET.rows, FLEET.looks))

    for command in ("vms", "spend", "status"):
        result = call(program, command)
        assert "≥ $" in result.stdout
        assert "warning: ≥ marks what is at least so much" in result.stderr


def test_an_unpriced_resource_is_named_beside_the_calendar() -> None:
    result = call(fleet(facts=Facts((known_resource(price=None),), looks=FLEET.looks)), "calendar")

    assert "warning: 0xa1 will be charged, but its price is not known\n" == result.stderr


def test_nothing_to_show_is_said_on_stderr() -> None:
    result = call(fleet(facts=Facts(looks=FLEET.looks)), "vms")

    assert ("", "There are no resources.\n") == (result.stdout, result.stderr)


# What a program sees


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (("status",), ["as_of", "stale", "accounts"]),
        (("vms",), ["as_of", "resources"]),
        (("spend",), ["as_of", "since", "until", "total_usd", "uncertain_usd", "by", "rows"]),
        (("calendar",), ["as_of", "charges"]),
    ],
)
def test_json_is_all_that_goes_to_stdout(command: tuple[str, ...], keys: list[str]) -> None:
    program = fleet(facts=Facts(FLEET.records, FLEET.rows))

    result = call(program, *command, "--json")

    assert keys == list(json.loads(result.stdout))
    assert result.stdout.isascii()
    assert "has not answered for too long" in result.stderr


def test_json_holds_names_as_they_are() -> None:
    answer = json.loads(call(fleet(), "vms", "--json").stdout)

    assert HOSTILE in [resource["name"] for resource in answer["resources"]]


def test_an_export_is_csv_with_texts_that_stay_texts() -> None:
    names = ("=1+1", "+1", "-1", "@x", "\t=1", " =1", "plain", "a,b", 'say "x"', "two\nlines", None)
    facts = Facts(rows=tuple(known_charge("2026-03-01 17:55", name=name) for name in names))

    result = call(fleet(facts=facts), "export")

    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert (["'=1+1", "'+1", "'-1", "'@x", "'\\t=1", "' =1", "plain", "a,b", 'say "x"', "two\\nlines", ""]) == [
        row["resource_name"] for row in rows
    ]
    assert result.stdout.startswith(
        "account,resource_id,resource_name,kind,epoch_start,epoch_end,amount_usd,basis\n"
        "main,0xa1,'=1+1,vm,2026-03-01T17:55:00Z,2026-03-02T17:55:00Z,0.298160,observed\n"
    )


def test_a_negative_amount_stays_a_number() -> None:
    facts = Facts(rows=(known_charge("2026-03-01 17:55", "-0.1", basis=Basis.REPORTED),))

    (row,) = csv.DictReader(io.StringIO(call(fleet(facts=facts), "export").stdout))

    assert ("-0.100000", "reported") == (row["amount_usd"], row["basis"])


def test_an_export_is_json_with_names_as_they_are() -> None:
    answer = json.loads(call(fleet(), "export", "--format", "json").stdout)

    assert 4 == len(answer)
    assert {
        "account": "main",
        "resource_id": "0xc3",
        "resource_name": HOSTILE,
        "kind": "vm",
        "epoch_start": "2026-03-02T17:55:00Z",
        "epoch_end": "2026-03-03T17:55:00Z",
        "amount_usd": "0.298160",
        "basis": "observed",
    } == answer[-1]


def test_an_export_of_nothing_is_still_csv_and_json() -> None:
    nothing = fleet(facts=Facts())

    assert [] == json.loads(call(nothing, "export", "--format", "json").stdout)
    assert 1 == len(call(nothing, "export").stdout.splitlines())


# What is asked of the program


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param("2026-03-01", at("2026-03-01 00:00"), id="a date is midnight UTC"),
        pytest.param("2026-03-01T17:55:00Z", at("2026-03-01 17:55"), id="an instant"),
        pytest.param("2026-03-01T18:55+01:00", at("2026-03-01 17:55"), id="an instant elsewhere"),
        pytest.param("2026-03-01T17:55", at("2026-03-01 17:55"), id="an instant without a zone is UTC"),
        pytest.param("7d", NOW - timedelta(days=7), id="days ago"),
        pytest.param("1h30m", NOW - timedelta(minutes=90), id="hours and minutes ago"),
    ],
)
def test_since_and_until_name_moments(since: str, expected: object) -> None:
    for command in ("spend", "export"):
        program = fleet()

        assert 0 == call(program, command, "--since", since, "--until", since).exit_code

        assert expected == program.asked["since"] == program.asked["until"]


def test_options_reach_the_program() -> None:
    program = fleet()

    call(program, "--config", "watch.toml", "spend", "--by", "kind", "--account", "main")

    assert {"config": "watch.toml", "since": None, "until": None, "by": By.KIND, "account": "main"} == program.asked


@pytest.mark.parametrize("command", ["run", "once"])
def test_deletion_is_allowed_only_by_its_option(command: str) -> None:
    program = fleet()

    call(program, command)
    assert {"config": None, "allow_delete": False} == program.asked
    call(program, command, "--allow-delete")
    assert {"config": None, "allow_delete": True} == program.asked


def test_a_demo_needs_no_options_and_takes_four() -> None:
    program = fleet()

    call(program, "demo")
    assert {"options": DemoOptions(("127.0.0.1", 17550), timedelta(seconds=20), None, None)} == program.asked
    call(program, "demo", "--listen", "[::1]:0", "--epoch", "5s", "--duration", "2m", "--dir", "here")
    assert {
        "options": DemoOptions(("::1", 0), timedelta(seconds=5), timedelta(minutes=2), Path("here"))
    } == program.asked


def test_a_simulation_takes_what_the_marketplace_can_be_told() -> None:
    program = fleet()
    words = "--listen 127.0.0.1:8080 --epoch 30s --anchor 12:30 --policy per_vm --flavour rich --auth bearer"
    more = (
        "--generation cloud-v2 --generation gpu "
        "--delete-body vmIds --script demo --key a=1 --key b=2 --balance 5 --start 2026-03-01 --hold --charge-delay 3s"
    )

    result = call(program, "simulate", *words.split(), *more.split())

    assert "" == result.stderr
    assert {
        "options": SimulateOptions(
            listen=("127.0.0.1", 8080),
            generations=("cloud-v2", "gpu"),
            epoch=timedelta(seconds=30),
            anchor=time(12, 30),
            policy="per_vm",
            flavour="rich",
            auth="bearer",
            delete_body="vmIds",
            script="demo",
            keys=("a=1", "b=2"),
            balance="5",
            start=at("2026-03-01 00:00"),
            hold=True,
            delete_latency=timedelta(0),
            launch_time=timedelta(0),
            listing_delay=timedelta(0),
            charge_delay=timedelta(seconds=3),
            next_billing_wobble=timedelta(0),
        )
    } == program.asked


def test_the_database_commands() -> None:
    program = fleet()

    assert "The schema is up to date.\n" == call(program, "db", "upgrade").stdout
    assert "backups/costwatch.db (4096 bytes)\n" == call(program, "db", "backup", "--dir", "backups").stdout
    assert {"config": None, "directory": Path("backups")} == program.asked
    assert "The database is sound.\n" == call(program, "db", "verify").stdout
    assert "The ledger equals the one replayed from the snapshots.\n" == call(program, "db", "rebuild").stdout


# Exit codes and messages


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_a_finding_in_the_database_is_a_failure(command: str) -> None:
    result = call(fleet(findings=("row 3 of charges is missing",)), "db", command)

    assert (1, "row 3 of charges is missing\n") == (result.exit_code, result.stdout)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        pytest.param(("ok", "ok"), 0, id="all answered"),
        pytest.param(("ok", "suspicious"), 0, id="a suspicious list is an answer"),
        pytest.param(("ok", "refused"), 4, id="a key was refused"),
        pytest.param(("unavailable", "ok"), 4, id="one is unreachable"),
    ],
)
def test_once_fails_if_a_look_failed(outcomes: tuple[str, ...], code: int) -> None:
    looks = tuple(Looked("main", "vms-v3", outcome, "6 resources") for outcome in outcomes)

    result = call(fleet(looks=looks), "once")

    assert code == result.exit_code
    assert f"main vms-v3: {outcomes[0]}, 6 resources" == result.stdout.splitlines()[0]


def test_check_shows_every_line_and_fails_by_the_first_failure() -> None:
    lines = (
        CheckLine("configuration", "ok", "watch.toml"),
        CheckLine("clock", "warning", "40 s ahead of the server"),
        CheckLine("key of main", "failed", "refused (401)", exit_code=4),
        CheckLine("database", "failed", "cannot be written"),
    )

    result = call(fleet(lines=lines), "check")

    assert 4 == result.exit_code
    assert [
        "ok      configuration: watch.toml",
        "warning clock: 40 s ahead of the server",
        "FAILED  key of main: refused (401)",
        "FAILED  database: cannot be written",
    ] == result.stdout.splitlines()
    assert 0 == call(fleet(lines=lines[:2]), "check").exit_code


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(DatabaseMissing("no database at x.db"), 1, "error: no database at x.db\n", id="error"),
        pytest.param(
            ConfigInvalid("w.toml", ["a: bad", "b: worse"]),
            3,
            "error: w.toml is not a valid configuration:\n  a: bad\n  b: worse\n",
            id="configuration",
        ),
        pytest.param(FluenceRefused("the key was refused\x1b[2J"), 4, "error: the key was refused\\x1b[2J\n", id="key"),
    ],
)
@pytest.mark.parametrize(
    "command", ["run", "once", "demo", "check", "simulate", "status", "vms", "spend", "calendar", "export", "db verify"]
)
def test_an_error_is_one_message_and_its_exit_code(command: str, error: Exception, code: int, message: str) -> None:
    result = call(fleet(fails=error), *command.split())

    assert (code, "", message) == (result.exit_code, result.stdout, result.stderr)


def test_an_interruption_exits_with_130() -> None:
    result = call(fleet(fails=KeyboardInterrupt()), "run")

    assert (130, "") == (result.exit_code, result.output)


@pytest.mark.parametrize(
    "arguments",
    [
        "nothing",
        "vms --nothing",
        "spend --since yesterday",
        "spend --since 2026-13-01",
        "spend --since 999999999w",
        "spend --until 0001-01-01T00:00+01:00",
        "spend --by week",
        "export --format xml",
        "calendar --days 0",
        "calendar --days many",
        "demo --epoch 20",
        "demo --epoch 0s",
        "demo --listen 17550",
        "demo --listen 127.0.0.1:99999",
        "simulate --policy mine",
        "simulate --anchor 24:00",
        "simulate --start soon",
        "simulate --charge-delay -1s",
    ],
)
def test_a_usage_error_exits_with_2_and_says_so_on_stderr(arguments: str) -> None:
    result = call(fleet(), *arguments.split())

    assert (2, "") == (result.exit_code, result.stdout)
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_a_fresh_and_complete_status_exits_with_0_and_is_silent_on_stderr() -> None:
    result = call(fleet(), "status")

    assert (0, "") == (result.exit_code, result.stderr)


def test_others_warn_of_stale_data_and_exit_with_0() -> None:
    program = fleet(facts=Facts(FLEET.records, FLEET.rows, (known_account(last_success="2026-03-01 12:00"),)))

    for command in ("vms", "spend", "calendar"):
        result = call(program, command)
        assert 0 == result.exit_code
        assert "warning: account main has not answered for too long" in result.stderr


def test_version_and_help() -> None:
    assert f"fluence-costwatch {__version__}\n" == call(fleet(), "--version").stdout
    for arguments in ((), ("spend",), ("db",), ("db", "verify")):
        result = call(fleet(), *arguments, "--help")
        assert 0 == result.exit_code
        assert all(cell_len(line) <= 80 for line in result.stdout.splitlines())


def test_completion_can_be_had() -> None:
    result = CliRunner().invoke(build_app(fleet()), ["--help"], env={"COLUMNS": "80"})

    assert "--install-completion" in result.stdout
