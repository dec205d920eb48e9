from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from fluence_costwatch.core.billing.history import Cause, Doubt, Presence
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Kind, Per
from fluence_costwatch.core.views.fleet import VmView, patience_of, status_view, vms_view
from fluence_costwatch.ports import AccountRecord, ResourceRecord
from tests.known import NOW, Facts, at, known_account, known_balance, known_resource, metered, watched


def view_of(record: ResourceRecord) -> VmView:
    return vms_view(Facts((record,)), watched=watched(), now=NOW, everything=True).resources[0]


def test_a_billed_vm_shows_what_it_costs_and_until_when_it_is_paid() -> None:
    view = view_of(known_resource("0xA1"))

    assert ("0xa1", True, Decimal("0.298160"), at("2026-03-03 17:55"), Usd.parse("0.596320")) == (
        view.id,
        view.billed,
        view.burn_per_day,
        view.paid_until,
        view.spent,
    )


@pytest.mark.parametrize(
    ("price", "length", "expected"),
    [
        pytest.param("0.298160", timedelta(hours=24), "0.298160", id="a daily epoch"),
        pytest.param("0.298160", timedelta(hours=1), "7.155840", id="an hourly epoch"),
        pytest.param("0.000001", timedelta(seconds=20), "0.004320", id="a short epoch"),
        pytest.param("1", timedelta(hours=7), "3.428571428571", id="a length that does not divide the day"),
    ],
)
def test_burn_per_day_is_price_times_epochs_in_a_day(price: str, length: timedelta, expected: str) -> None:
    assert Decimal(expected) == view_of(known_resource(price=price, length=length)).burn_per_day


def test_a_metered_resource_burns_24_hours_a_day() -> None:
    assert Decimal("0.24") == view_of(known_resource(price="0.01", of_resource={"price_per": Per.HOUR})).burn_per_day


@pytest.mark.parametrize(
    ("record", "billed"),
    [
        pytest.param(known_resource(), True, id="present"),
        pytest.param(known_resource(presence=Presence.MISSING), True, id="missing is not gone"),
        pytest.param(known_resource(presence=Presence.GONE), False, id="gone"),
        pytest.param(known_resource(billed=False), False, id="in an uncharged status"),
        pytest.param(known_resource(charged_under="other"), False, id="charged under another account"),
    ],
)
def test_only_what_will_be_charged_again_is_billed(record: ResourceRecord, billed: bool) -> None:
    view = view_of(record)

    assert (billed, billed, billed) == (view.billed, view.paid_until is not None, view.burn_per_day != 0)


def test_an_unknown_price_is_not_a_burn_of_zero() -> None:
    facts = Facts((known_resource(price=None),), looks=(known_account(),))

    assert view_of(facts.records[0]).burn_per_day is None
    assert status_view(facts, watched=watched(), now=NOW).accounts[0].at_least


def test_what_is_gone_is_shown_only_on_request() -> None:
    facts = Facts((known_resource("0xa1"), known_resource("0xb2", presence=Presence.GONE)))

    assert ["0xa1"] == [view.id for view in vms_view(facts, watched=watched(), now=NOW).resources]
    assert ["0xa1", "0xb2"] == [
        view.id for view in vms_view(facts, watched=watched(), now=NOW, everything=True).resources
    ]


def test_an_account_sums_up_its_resources_those_that_are_gone_included() -> None:
    doubt = Doubt(Span(at("2026-03-01 17:55"), at("2026-03-02 17:55")), Usd.parse("0.1"), Cause.AFTER_LAST_SIGHT)
    facts = Facts(
        (
            known_resource("0xa1"),
            known_resource("0xb2", presence=Presence.GONE, charged="1", doubts=(doubt,)),
            known_resource("0xc3", account="other", charged="40"),
        ),
        looks=(known_account("main"), known_account("other")),
    )

    main = status_view(facts, watched=watched("main", "other"), now=NOW).accounts[0]

    assert (1, Decimal("0.298160"), Usd.parse("1.596320"), Usd.parse("0.1"), False) == (
        main.billed,
        main.burn_per_day,
        main.spent,
        main.uncertain,
        main.at_least,
    )


@pytest.mark.parametrize(
    ("last_success", "stale"),
    [
        pytest.param("2026-03-03 11:45", False, id="as long ago as allowed"),
        pytest.param("2026-03-03 11:44:59", True, id="a second longer"),
        pytest.param(None, True, id="never"),
    ],
)
def test_an_account_without_recent_success_is_stale(last_success: str | None, stale: bool) -> None:
    facts = Facts(looks=(known_account(last_success=last_success),))

    view = status_view(facts, watched=watched(), now=NOW)

    assert (stale, ("main",) if stale else ()) == (view.accounts[0].stale, view.stale_accounts)


def test_an_account_that_was_never_looked_at_is_shown_and_stale() -> None:
    view = status_view(Facts(), watched=watched("main", "new"), now=NOW)

    assert ("main", "new") == view.stale_accounts
    assert [None, None] == [account.last_success for account in view.accounts]
    assert not view.accounts[0].answering


def test_an_account_is_known_up_to_the_generation_that_lags_most() -> None:
    both = (Generation.VMS_V3, Generation.VMS_V2)
    fresh, old = at("2026-03-03 11:55"), at("2026-03-03 09:00")
    looks = AccountRecord("main", {Generation.VMS_V3: fresh, Generation.VMS_V2: old}, {})

    view = status_view(Facts(looks=(looks,)), watched=watched(generations=both), now=NOW)

    assert (old, True) == (view.accounts[0].last_success, view.accounts[0].stale)
    assert (
        None
        is status_view(Facts(looks=(known_account(),)), watched=watched(generations=both), now=NOW)
        .accounts[0]
        .last_success
    )


def test_a_failed_look_says_why() -> None:
    facts = Facts(looks=(known_account(outcome="refused", detail="the key was refused (401)"),))

    account = status_view(facts, watched=watched(), now=NOW).accounts[0]

    assert (("vms-v3: refused: the key was refused (401)",), False) == (account.trouble, account.answering)


def test_a_suspicious_list_is_an_answer_and_trouble() -> None:
    account = status_view(Facts(looks=(known_account(outcome="suspicious"),)), watched=watched(), now=NOW).accounts[0]

    assert (("vms-v3: suspicious",), True) == (account.trouble, account.answering)


def test_patience_is_three_polls_or_what_is_configured() -> None:
    assert timedelta(minutes=15) == patience_of(interval=timedelta(minutes=1), stale_after=timedelta(minutes=15))
    assert timedelta(hours=3) == patience_of(interval=timedelta(hours=1), stale_after=timedelta(minutes=15))


# What an account has left


def test_an_account_shows_its_balance_and_how_long_it_lasts() -> None:
    facts = Facts((metered(),), looks=(known_account(),), left=(known_balance(vms="5", gpu="7"),))

    outlook = status_view(facts, watched=watched(), now=NOW).accounts[0].outlook

    assert outlook is not None
    assert (Decimal(12), at("2026-03-03 11:55")) == (outlook.balance, outlook.as_of)
    assert at("2026-03-04 11:55") == outlook.runway.ends_at


def test_the_balance_of_one_account_pays_for_no_other() -> None:
    facts = Facts((metered(account="other", price="9"), metered()), left=(known_balance(vms="12"),))

    main, other = status_view(facts, watched=watched("main", "other"), now=NOW).accounts

    assert main.outlook is not None
    assert at("2026-03-04 11:55") == main.outlook.runway.ends_at
    assert other.outlook is None


def test_waste_is_dearest_first() -> None:
    none = {"attached_to": ()}
    facts = Facts(
        (
            metered("d-1", kind=Kind.STORAGE, price="0.01", of_resource=none),
            metered("d-2", kind=Kind.STORAGE, price=None, of_resource=none),
            metered("ip-1", kind=Kind.PUBLIC_IP, price="0.02", of_resource=none),
            metered("vm-1"),
        )
    )

    account = status_view(facts, watched=watched(), now=NOW).accounts[0]

    assert ["ip-1", "d-1", "d-2"] == [one.resource.id for one in account.waste]


def test_an_account_whose_generations_are_not_found_yet_is_not_answering() -> None:
    account = status_view(Facts(), watched=watched(generations=()), now=NOW).accounts[0]

    assert (False, True, None) == (account.answering, account.stale, account.last_success)
