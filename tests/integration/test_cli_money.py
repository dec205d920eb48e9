"""What the command line shows of balances, waste and reconciliation."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from fluence_costwatch.cli.app import build_app
from fluence_costwatch.core.billing.reconciled import Skipped
from fluence_costwatch.core.billing.reconciliation import Against, Believed, Comparison
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Kind
from fluence_costwatch.errors import FluenceRefused
from fluence_costwatch.ports import TopUp
from tests.fake_program import FakeProgram
from tests.known import Facts, at, known_account, known_balance, known_resource, metered, watched

HOSTILE = "\x1b[31mred\u202e"
UNUSED = {"attached_to": ()}
FLEET = (
    known_resource("0xa1"),
    metered("vm-1", name="api", start="2026-03-02 17:55"),
    metered("vm-2", name="batch", price="0.25", status="suspended"),
    metered("d-1", kind=Kind.STORAGE, name="web-data", price="0.0012", status="ready", of_resource=UNUSED),
    metered("ip-1", kind=Kind.PUBLIC_IP, name=None, price="0.004", status="ready", of_resource=UNUSED),
    known_resource("0xc3", name="old", status="Terminated", billed=False, of_resource={"reserved": Usd.parse("0.89")}),
)
DAY = Span(at("2026-03-02 00:00"), at("2026-03-03 00:00"))
CHARGES = Comparison(
    "main",
    Against.CHARGES,
    "vm-1",
    "api",
    DAY,
    Decimal("12"),
    Decimal("12.5"),
    within=False,
    believed=Believed.PROVIDER,
    because="the charges endpoint is the bill",
)
AGREES = Comparison(
    "main",
    Against.CHARGES,
    "d-1",
    None,
    DAY,
    Decimal(1) / 3,
    Decimal("0.333333"),
    within=True,
    believed=Believed.PROVIDER,
    because="the charges endpoint is the bill",
)
TOTAL = Comparison(
    "main",
    Against.TOTAL_SPENT,
    "0xa1",
    HOSTILE,
    Span(at("2026-03-03 11:55"), at("2026-03-03 11:55")),
    Decimal("1.5"),
    Decimal("1.2"),
    within=False,
    believed=Believed.NEITHER,
    because="totals of vms-v2 do not add up",
)
BALANCE = Comparison(
    "main",
    Against.BALANCE,
    None,
    None,
    Span(at("2026-03-02 11:55"), at("2026-03-03 11:55")),
    Decimal("14"),
    Decimal("14"),
    within=True,
    believed=Believed.NEITHER,
    because="a balance also moves by refunds",
)
CLOUD = Facts(FLEET, looks=(known_account(),), left=(known_balance(vms="37.5", gpu="5"),))


def call(program: FakeProgram, *arguments: str, columns: int = 80) -> Result:
    return CliRunner().invoke(build_app(program), arguments, env={"COLUMNS": str(columns)})


def test_status_says_what_is_left_what_is_lost_at_the_worst_and_what_is_wasted() -> None:
    result = call(FakeProgram(CLOUD), "status")

    assert [
        "As of 2026-03-03 12:00 UTC",
        "ACCOUNT  STATE  LAST SUCCESS       BILLED   A DAY   SPENT  BALANCE  RUNWAY",
        "main     ok     11:55 (5 min ago)       5  $18.42  $14.79   $42.50  2 d 7 h",
        "main: $42.50 at 11:55 lasts 2 d 7 h, 2026-03-05 19:00 UTC, if nothing changes",
        "main: at the worst machines and addresses may be removed from 2026-03-06 01:37 UTC on, disks with all data from "
        "2026-03-06 21:05 UTC on",
        "main: the balance is the sum of 2 entries: vms $37.50, gpu $5.00",
        "main: machine batch is suspended but costs $6.00 a day",
        "main: address ip-1 serves no machine, costs $0.096 a day",
        "main: disk web-data serves no machine, costs $0.0288 a day",
        "main: machine old has ended, its record holds $0.89; deleting it frees that",
        "wasted: $6.1248 a day by 3 resources",
        "reclaimable: $0.89",
        "$18.42 a day, $14.79 spent + up to $0.062935 uncertain",
    ] == result.stdout.splitlines()
    assert 0 == result.exit_code


@pytest.mark.parametrize(
    ("left", "resources", "expected"),
    [
        pytest.param(
            "12", (metered(),), ["23 h 55 min", "$12.00 at 11:55 lasts 23 h 55 min, 2026-03-04 11:55 UTC"], id="lasts"
        ),
        pytest.param("0.25", (metered(),), ["25 min", "lasts 25 min, 2026-03-03 12:25 UTC"], id="lasts for minutes"),
        pytest.param("0.04", (metered(),), ["over", "was used up at 2026-03-03 11:59:48 UTC"], id="has ended since"),
        pytest.param("-1", (metered(),), ["over", "main: -$1.00 at 11:55 is debt"], id="debt"),
        pytest.param("9", (), ["> 10 years", "$9.00 at 11:55 lasts for more than ten years"], id="nothing costs"),
        pytest.param(
            "12",
            (metered(), metered("vm-2", price=None)),
            ["≤ 23 h 55 min", "may end earlier"],
            id="a price is unknown",
        ),
        pytest.param("12", (metered(price=None),), ["?", "may end earlier"], id="no price is known"),
    ],
)
def test_a_balance_in_words(left: str, resources: tuple[Any, ...], expected: list[str]) -> None:
    facts = Facts(resources, looks=(known_account(),), left=(known_balance(vms=left),))

    output = call(FakeProgram(facts), "status", columns=200).stdout

    assert [] == [words for words in expected if words not in output]


@pytest.mark.parametrize("amount", ["9" * 40, f"-{'9' * 39}", f"1{'0' * 25}.{'1' * 13}", f"0.{'1' * 38}"])
@pytest.mark.parametrize("command", [("status",), ("status", "--json"), ("reconcile",), ("reconcile", "--json")])
def test_absurd_amounts_are_shown_like_others(amount: str, command: tuple[str, ...]) -> None:
    facts = Facts((metered(),), looks=(known_account(),), left=(known_balance(vms=amount),))
    absurd = replace(CHARGES, theirs=Decimal(amount), believed=Believed.NEITHER)

    assert None is call(FakeProgram(facts, comparisons=(absurd,)), *command).exception


def test_without_any_balance_there_is_no_column_for_it() -> None:
    assert "BALANCE" not in call(FakeProgram(Facts(FLEET, looks=(known_account(),))), "status").stdout


def test_an_account_without_a_balance_stands_beside_one_that_has_it() -> None:
    program = FakeProgram(CLOUD, watched=watched("main", "other"))

    (line,) = [line for line in call(program, "status").stdout.splitlines() if line.startswith("other")]

    assert ["-", "-"] == line.split()[-2:]


def test_much_waste_is_cut_to_the_dearest() -> None:
    disks = [
        metered(f"d-{number:02}", kind=Kind.STORAGE, name=None, price=f"0.{number:02}", of_resource=UNUSED)
        for number in range(1, 15)
    ]
    facts = Facts(
        (*disks, metered("d-99", kind=Kind.STORAGE, price=None, of_resource=UNUSED)), looks=(known_account(),)
    )

    lines = call(FakeProgram(facts), "status").stdout.splitlines()

    assert "main: disk d-14 serves no machine, costs $3.36 a day" == lines[3]
    assert ["and 5 more like these", "wasted: ≥ $25.20 a day by 15 resources"] == lines[13:15]


def test_hostile_names_do_not_act_on_the_terminal() -> None:
    facts = Facts(
        (metered(name=HOSTILE, status="suspended"),),
        looks=(known_account(),),
        left=(known_balance(**{HOSTILE: "1", "vms": "2"}),),
    )

    output = call(FakeProgram(facts), "status").output

    assert "\x1b" not in output
    assert "\\x1b[31mred\\u202e" in output


def test_vms_shows_kinds_and_hourly_prices_where_there_is_more_than_vms() -> None:
    lines = call(FakeProgram(CLOUD), "vms", columns=200).stdout.splitlines()

    assert ["NAME", "STATUS", "KIND", "PRICE"] == lines[1].split()[:4]
    assert ["web", "Active", "vm", "$0.29816/epoch"] == lines[2].split()[:4]
    assert ["web-data", "ready", "storage", "$0.0012/h"] == lines[5].split()[:4]
    assert "KIND" not in call(FakeProgram(Facts(FLEET[:2])), "vms", columns=200).stdout


def test_spend_by_kind_holds_what_is_open() -> None:
    assert [
        "From 2026-03-02 17:55 UTC to 2026-03-03 12:00 UTC",
        "KIND         SPENT",
        "vm          $13.50",
        "public_ip   $0.072",
        "storage    $0.0216",
        "Total $13.59 + up to $0.062935 uncertain",
    ] == call(FakeProgram(CLOUD), "spend", "--by", "kind").stdout.splitlines()


# The ledger beside the provider's numbers

FOUND = FakeProgram(comparisons=(CHARGES, AGREES, TOTAL, BALANCE))


def test_reconcile_shows_what_disagrees_whom_it_believes_and_why() -> None:
    result = call(FOUND, "reconcile", columns=100)

    assert [
        "RESOURCE           AGAINST      WHEN           OURS  THEIRS   DRIFT  BELIEVED  ID",
        "api                charges      2026-03-02   $12.00  $12.50   $0.50  provider  vm-1",
        "\\x1b[31mred\\u202e  total spent  until 11:55   $1.50   $1.20  -$0.30  neither   0xa1",
        "charges: the provider is believed, because the charges endpoint is the bill",
        "total spent: neither side is believed, because totals of vms-v2 do not add up",
        "4 comparisons, 2 of them disagree",
        "main: the ledger holds $0.50 too little against charges",
        "main: the ledger holds $0.30 too much against total spent",
        "1 adjustment of $0.50 in all would be written; --apply does it",
    ] == result.stdout.splitlines()
    assert (0, "") == (result.exit_code, result.stderr)


def test_reconcile_shows_all_on_request() -> None:
    output = call(FOUND, "reconcile", "--all", columns=200).stdout

    assert "the whole account" in output
    assert "2026-03-02 11:55 - 11:55" in output
    assert "d-1" in output


def test_reconcile_says_that_all_agrees() -> None:
    result = call(FakeProgram(comparisons=(AGREES, BALANCE)), "reconcile")

    assert "2 comparisons, 0 of them disagree\n" == result.stdout


def test_what_was_applied_is_said_to_be() -> None:
    program = FakeProgram(comparisons=(CHARGES,))

    result = call(program, "reconcile", "--apply", "--account", "main", "--days", "7")

    assert {"config": None, "apply": True, "account": "main", "days": 7} == program.asked
    assert "1 adjustment of $0.50 in all written" == result.stdout.splitlines()[-1]


def test_where_nothing_is_to_apply_nothing_is_applied() -> None:
    result = call(FakeProgram(comparisons=(TOTAL,)), "reconcile", "--apply")

    assert (0, "Nothing was applied, because there is nothing to apply.\n") == (result.exit_code, result.stderr)


def test_what_could_not_be_compared_is_a_warning() -> None:
    program = FakeProgram(skipped=(Skipped("main", f"the key was refused {HOSTILE}"),))

    result = call(program, "reconcile")

    assert "warning: account main: the key was refused \\x1b[31mred\\u202e\n" == result.stderr
    assert "0 comparisons, 0 of them disagree\n" == result.stdout


def test_reconcile_answers_programs_with_everything() -> None:
    answer = json.loads(call(FOUND, "reconcile", "--json").stdout)

    assert ["as_of", "applied", "drift", "comparisons", "adjustments", "skipped"] == list(answer)
    assert [
        {"account": "main", "against": "charges", "usd": "0.500000"},
        {"account": "main", "against": "total_spent", "usd": "-0.300000"},
        {"account": "main", "against": "balance", "usd": "0.000000"},
    ] == answer["drift"]
    assert [
        {
            "account": "main",
            "resource_id": "vm-1",
            "since": "2026-03-02T00:00:00Z",
            "until": "2026-03-03T00:00:00Z",
            "usd": "0.500000",
        }
    ] == answer["adjustments"]
    assert {
        "account": "main",
        "against": "charges",
        "resource_id": "d-1",
        "name": None,
        "since": "2026-03-02T00:00:00Z",
        "until": "2026-03-03T00:00:00Z",
        "ours_usd": "0.333333333",
        "theirs_usd": "0.333333",
        "drift_usd": "-0.000000333",
        "within": True,
        "believed": "provider",
        "because": "the charges endpoint is the bill",
    } == answer["comparisons"][1]


def test_a_refused_key_ends_reconcile_with_its_own_code() -> None:
    result = call(FakeProgram(fails=FluenceRefused("the key was refused")), "reconcile")

    assert (4, "error: the key was refused\n") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("columns", [80, 100, 132, 200])
@pytest.mark.parametrize("command", ["status", "vms", "reconcile"])
def test_no_table_is_wider_than_the_terminal(command: str, columns: int) -> None:
    program = FakeProgram(CLOUD, comparisons=FOUND.comparisons)

    lines = call(program, command, columns=columns).stdout.splitlines()

    rows = lines[:3] if command == "status" else lines[:4]
    assert columns >= max(cell_len(line) for line in rows)


def test_the_newest_top_up_is_told_while_it_is_news() -> None:
    old = TopUp("1", at("2026-01-01 10:00"), Decimal(50))
    new = TopUp("2", at("2026-03-01 10:00"), Decimal("12.50"))
    facts = Facts((metered(),), looks=(known_account(),), left=(known_balance(credits="12"),), came_in=(old, new))

    told = call(FakeProgram(facts), "status")
    forgotten = call(FakeProgram(replace(facts, came_in=(old,))), "status")

    assert "main: last topped up with $12.50 at 2026-03-01 10:00 UTC" in told.stdout.splitlines()
    assert "topped up" not in forgotten.stdout
