"""Holding the reins: the clock, the record of requests, the script, and the marketplace as a process of its own."""

from __future__ import annotations

import json
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.simulator import (
    AccountOptions,
    Options,
    ScriptError,
    demo_script,
    read_script,
    read_script_file,
)
from tests.eventually import eventually
from tests.servers.marketplace import ControlRefused, marketplace, marketplace_process
from tests.simulator.asking import ask, at, listed

NOON = at("2026-03-01 12:00")


def test_a_held_clock_stands_still_until_it_is_set_and_never_goes_back() -> None:
    with marketplace(start=NOON) as market:
        assert NOON == market.now() == market.now()
        assert at("2026-03-02 00:00") == market.set_clock(at("2026-03-02 00:00"))
        assert at("2026-03-02 00:05") == market.advance(timedelta(minutes=5))

        with pytest.raises(ControlRefused, match="cannot go back"):
            market.set_clock(NOON)


def test_a_clock_can_be_let_run_from_where_it_is_and_held_again() -> None:
    with marketplace(start=NOON) as market:
        market.run_clock()

        eventually(lambda: NOON < market.now() < NOON + timedelta(minutes=1))

        market.advance(timedelta(days=1))

        assert NOON + timedelta(days=1) < market.now() < NOON + timedelta(days=1, minutes=1)

        held = market.hold_clock()

        assert held == market.now()


def test_the_date_header_follows_the_clock() -> None:
    with marketplace(start=NOON) as market:
        market.set_clock(at("2027-01-01 00:00"))

        assert at("2027-01-01 00:00") == ask(market, "/vms/v2").date


def test_a_running_marketplace_bills_epochs_of_a_second_by_itself() -> None:
    with marketplace(epoch=timedelta(seconds=1)) as market:
        vm = market.create("web")
        eventually(lambda: len(market.books().of(vm)) >= 3)
        charges = market.books().of(vm)

        assert [c.epoch_end for c in charges[:-1]] == [c.epoch_start for c in charges[1:]]


def test_accounts_have_keys_fleets_and_books_of_their_own() -> None:
    accounts = (AccountOptions("red", ("red-1", "red-2"), "10"), AccountOptions("blue", ("blue-1",), "20"))
    with marketplace(start=NOON, accounts=accounts) as market:
        market.create("mine", "1")
        market.create("theirs", "2", account="blue")

        def names(key: str) -> list[str]:
            return [vm["vmName"] for vm in ask(market, "/vms/v3", headers={"X-API-KEY": key}).json()]

        assert [["mine"], ["mine"], ["theirs"]] == [names(key) for key in ("red-1", "red-2", "blue-1")]
        assert [8_000_000, 16_000_000] == [market.books(name).balance for name in ("red", "blue")]
        with pytest.raises(ControlRefused, match="no account 'green'"):
            market.books("green")


def test_requests_are_recorded_without_their_keys() -> None:
    with marketplace(start=NOON) as market:
        ask(market, "/vms/v3/status?ids=0x1")
        ask(market, "/vms/v3", method="DELETE", body={"vmIds": []}, headers={"Authorization": "Bearer demo-key"})
        ask(market, "/vms/v2", headers={"X-API-KEY": "secret-of-another"})
        first, second, third = market.requests()

        assert ("GET", "/vms/v3/status?ids=0x1", ("x-api-key",), "main", NOON) == (
            first.method,
            first.path,
            first.key_in,
            first.account,
            first.at,
        )
        assert ("DELETE", ("authorization",), '{"vmIds": []}') == (second.method, second.key_in, second.body)
        assert (None, "***") == (third.account, third.headers["x-api-key"])
        assert not any(key in repr(market.requests()) for key in ("demo-key", "secret-of-another"))

        market.forget_requests()

        assert () == market.requests()


def test_a_marketplace_that_was_down_comes_back_with_its_fleet_on_its_port() -> None:
    with marketplace(start=NOON) as market:
        vm = market.create("web")
        market.go_down()
        with pytest.raises(ConnectionRefusedError):
            ask(market, "/vms/v3")
        market.come_back()

        assert [vm] == [item["id"] for item in listed(market)]


def test_vms_are_named_by_id_or_unique_name_however_odd() -> None:
    with marketplace(start=NOON) as market:
        odd = "a/b ?#\x1b[0m%2F"
        vm = market.create(odd)
        market.rename(odd, "plain")
        market.set_price(vm.lower(), "1")

        assert ("plain", 1_000_000) == (market.vm("plain")["name"], market.vm(vm)["price"])

        market.create("plain")
        with pytest.raises(ControlRefused, match="more than one"):
            market.rename("plain", "other")


@pytest.mark.parametrize(
    ("path", "fields", "reason"),
    [
        pytest.param("clock/set", {"at": "2026-03-01T12:00:00"}, "needs a zone", id="an instant without a zone"),
        pytest.param("clock/set", {"at": 7}, "not an instant", id="a number for an instant"),
        pytest.param("clock/advance", {"seconds": -1}, "not negative", id="back in time"),
        pytest.param("vms", {"name": "web"}, "price", id="a VM without a price"),
        pytest.param("vms", {"name": "web", "price": 1}, "must be text", id="a price that is a number"),
        pytest.param("vms", {"name": "web", "price": "0.0000001"}, "finer than", id="less than a micro-dollar"),
        pytest.param("vms", {"name": "web", "price": "-1"}, "not an amount", id="a negative price"),
        pytest.param("vms", {"name": "web", "price": "1", "colour": "red"}, "colour", id="an unknown field"),
        pytest.param("vms", {"name": "web", "price": "1", "vcpu": "2"}, "whole numbers", id="text for a number"),
        pytest.param("vms", {"name": "web", "price": "1", "resources": [{"x": 1}]}, "resources", id="no resource"),
        pytest.param("vms/nobody/delete", {}, "no VM 'nobody'", id="an unknown VM"),
        pytest.param("vms/nobody/paint", {}, "the control API has no", id="an unknown action"),
        pytest.param("top-up", {"amount": "much"}, "not an amount", id="no amount"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(path: str, fields: dict[str, Any], reason: str) -> None:
    with marketplace(start=NOON) as market:
        answer = ask(market, f"/control/{path}", method="POST", body=fields)

        assert answer.status in (400, 404)
        assert reason in answer.json()["error"]


def test_a_body_of_the_control_api_that_is_no_object_is_refused() -> None:
    with marketplace() as market:
        assert 400 == ask(market, "/control/clock/set", method="POST", body=[1]).status


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"epoch": timedelta(milliseconds=1500)}, "epoch"),
        ({"epoch": timedelta(0)}, "epoch"),
        ({"policy": "sometimes"}, "policy"),
        ({"flavour": "sweet"}, "flavour"),
        ({"delete_body": "id"}, "delete_body"),
        ({"auth": "basic"}, "auth"),
        ({"generations": ("vms-v9",)}, "vms-v9"),
        ({"start": NOON.replace(tzinfo=None)}, "start"),
        ({"charge_delay": timedelta(seconds=-1)}, "charge_delay"),
        ({"accounts": ()}, "accounts"),
        ({"accounts": (AccountOptions("a", ("k",)), AccountOptions("b", ("k",)))}, "accounts"),
        ({"accounts": (AccountOptions(balance="lots"),)}, "amount"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Options(**options)


# The script.


def test_scripted_events_happen_at_offsets_instants_and_epochs() -> None:
    script = read_script(
        {
            "events": [
                {"at": 60, "do": "create", "vm": "a", "name": "a", "price": "1"},
                {"at": "2026-03-02T00:00:00+02:00", "do": "rename", "vm": "a", "name": "b"},
                {"at": {"epochs": 2.5}, "do": "price", "vm": "a", "price": "2"},
                {"at": {"epochs": 3.5}, "do": "status", "vm": "a", "status": "Odd"},
                {"at": {"epochs": 4.5}, "do": "top_up", "amount": "5"},
                {"at": {"epochs": 5.5}, "do": "delete", "vm": "a"},
                {"at": {"epochs": 6.5}, "do": "delete", "vm": "nobody"},
            ]
        }
    )
    with marketplace(start=NOON, script=script) as market:
        market.set_clock(at("2026-03-01 12:00:59"))

        assert [] == market.vms()

        market.set_clock(at("2026-03-01 22:00"))

        assert at("2026-03-01 12:01").isoformat().replace("+00:00", "Z") == market.vm("b")["created_at"]

        # The grid boundary before the start lies at 17:55 on the last of February; two and a half days on is 05:55.
        market.set_clock(at("2026-03-03 05:54:59"))

        assert 1_000_000 == market.vm("b")["price"]

        market.set_clock(at("2026-03-03 05:55"))

        assert 2_000_000 == market.vm("b")["price"]

        market.set_clock(at("2026-03-20 00:00"))

        assert [] == listed(market)
        assert [("nobody", "no VM 'nobody'")] == [
            (failure["event"]["fields"]["vm"], failure["reason"]) for failure in market.script_failures()
        ]
        assert 1_000_000_000 + 5_000_000 - market.books().total == market.books().balance


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "a list of events"),
        ([7], r"events\[0\]: an event is an object"),
        ([{"do": "explode"}], "'do' must be one of create"),
        ([{"do": "create", "name": "x"}], "create needs price"),
        ([{"do": "top_up", "amount": "1"}, {"do": "delete"}], r"events\[1\]: delete needs vm"),
        ([{"do": "top_up", "amount": "1", "at": "noon"}], "not an instant"),
        ([{"do": "top_up", "amount": "1", "at": []}], "a time is"),
        ([{"do": "top_up", "amount": "1", "every": 0}], "positive span"),
    ],
)
def test_a_script_that_cannot_be_read_says_which_event_and_why(value: object, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        read_script(value)


def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps([{"do": "create", "name": "web", "price": "1"}]))

    assert ["create"] == [event.action for event in read_script_file(path).events]

    path.write_text("[")
    with pytest.raises(ScriptError, match=r"script\.json"):
        read_script_file(path)


def test_the_demo_moves_within_six_epochs_and_stays_alive_for_a_day() -> None:
    epoch = timedelta(seconds=20)
    with marketplace(start=at("2026-03-01 12:00:07"), epoch=epoch, script=demo_script(),
                     accounts=(AccountOptions(balance="100"),)) as market:  # fmt: skip
        before = {vm["id"]: (vm["name"], vm["price"], vm["status"]) for vm in market.vms()}
        market.advance(timedelta(minutes=2))
        after = {vm["id"]: (vm["name"], vm["price"], vm["status"]) for vm in market.vms()}

        assert (8, 10) == (len(before), len(after))
        assert 1 == sum(before[vm][0] != after[vm][0] for vm in before)
        assert 1 == sum(before[vm][1] != after[vm][1] for vm in before)
        assert ["Terminated"] == [vm["status"] for vm in listed(market) if vm["status"] != "Active"]
        assert 1 == sum(vm["removed"] for vm in market.vms() if vm["id"] in before)

        market.advance(timedelta(days=1))

        assert [] == market.script_failures()
        assert {"Active", "Terminated"} == {vm["status"] for vm in listed(market)}
        assert 0 < market.books().balance < 5_000_000_000


# A process of its own.


def test_a_process_says_where_it_is_and_ends_on_sigterm() -> None:
    with marketplace_process(
        "--epoch", "2", "--script", "demo", "--key", "team=other", "--start", "2026-03-01T12:00Z"
    ) as m:
        assert at("2026-03-01 12:00") <= m.now() < at("2026-03-01 12:01")
        assert 8 == len(ask(m, "/vms/v2", headers={"X-API-KEY": "other"}).json())
        assert 8 == len(m.books("team").total_by_vm)
        assert m.process is not None

        m.process.send_signal(signal.SIGTERM)

        assert 0 == m.process.wait(timeout=10)
