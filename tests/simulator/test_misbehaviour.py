"""Every fault, through a real socket."""

from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from http.client import BadStatusLine, IncompleteRead
from typing import Any

import pytest

from fluence_costwatch.simulator.distortions import DISTORTIONS, HOSTILE_NAMES
from fluence_costwatch.simulator.misbehaviour import KINDS
from tests.servers.marketplace import ControlRefused, Marketplace, marketplace
from tests.simulator.asking import Answered, ask, at, listed

MEGABYTE = 1024 * 1024
NOON = at("2026-03-01 12:00")


@pytest.fixture
def market() -> Iterator[Marketplace]:
    """Four VMs at noon, in the richer flavour."""
    with marketplace(start=NOON, flavour="rich") as market:
        for name in ("one", "two", "three", "four"):
            market.create(name)
        yield market


# How an answer arrives.


@pytest.mark.parametrize("code", [400, 401, 403, 404, 429, 500, 502, 503, 504, 599])
def test_a_status_code_comes_with_the_body_such_a_server_would_send(market: Marketplace, code: int) -> None:
    market.misbehave("status", code=code)
    answer = ask(market, "/vms/v2")

    assert code == answer.status
    assert (b"<html>" in answer.body) == (code in (502, 503, 504))
    assert (b"No such API Key" in answer.body) == (code == 403)


def test_retry_after_comes_in_seconds_as_a_date_or_as_rubbish(market: Marketplace) -> None:
    market.misbehave("status", 1, code=429, retry_after=7)
    market.misbehave("status", 1, code=503, retry_after_date=90)
    market.misbehave("status", 1, code=503, retry_after="soon")

    values = [ask(market, "/vms/v2").headers["Retry-After"] for _ in range(3)]

    assert ["7", "Sun, 01 Mar 2026 12:01:30 GMT", "soon"] == values


def test_latency_holds_an_answer_back_and_goes_with_another_fault(market: Marketplace) -> None:
    market.misbehave("latency", 1, seconds=0.2)
    market.misbehave("status", 1, code=500)
    before = time.monotonic()

    assert 500 == ask(market, "/vms/v2").status
    assert time.monotonic() - before >= 0.2
    assert 200 == ask(market, "/vms/v2").status


def test_a_redirect_points_elsewhere(market: Marketplace) -> None:
    market.misbehave("redirect", code=307, location="http://other.invalid/vms/v2")
    answer = ask(market, "/vms/v2")

    assert (307, "http://other.invalid/vms/v2") == (answer.status, answer.headers["Location"])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("close_before_headers", BadStatusLine),
        ("reset", ConnectionResetError),
        ("close_after_headers", IncompleteRead),
        ("cut_short", IncompleteRead),
    ],
)
def test_a_connection_breaks_off(market: Marketplace, kind: str, expected: type[Exception]) -> None:
    market.misbehave(kind, 1)
    with pytest.raises(expected):
        ask(market, "/vms/v2")

    assert 200 == ask(market, "/vms/v2").status


def test_a_body_hangs_in_the_middle(market: Marketplace) -> None:
    market.misbehave("hang")
    with pytest.raises(TimeoutError):
        ask(market, "/vms/v2", timeout=0.3)


def test_a_body_drips_in_without_ever_pausing_for_long(market: Marketplace) -> None:
    market.misbehave("drip", bytes=200, interval=0.02)
    before = time.monotonic()

    assert 4 == len(ask(market, "/vms/v2", timeout=2).json())
    assert time.monotonic() - before > 0.2


def test_stopping_does_not_wait_for_an_answer_that_hangs(market: Marketplace) -> None:
    market.misbehave("latency", seconds=3600)
    with pytest.raises(TimeoutError):
        ask(market, "/vms/v2", timeout=0.2)
    before = time.monotonic()
    market.go_down()

    assert time.monotonic() - before < 2


@pytest.mark.parametrize("kind", ["truncated_json", "invalid_json", "html", "empty_body", "not_utf8", "deep_nesting"])
def test_a_body_is_no_json_although_all_is_well(market: Marketplace, kind: str) -> None:
    market.misbehave(kind)
    answer = ask(market, "/vms/v2")

    assert 200 == answer.status
    with pytest.raises((ValueError, RecursionError)):
        answer.json()


def test_a_name_holds_half_a_character(market: Marketplace) -> None:
    market.misbehave("lone_surrogate")

    assert "\ud800one" == listed(market)[0]["vmName"]


@pytest.mark.parametrize("value", [{"vms": []}, None, "text", 7, True])
def test_a_body_is_of_another_type(market: Marketplace, value: object) -> None:
    market.misbehave("wrong_type", value=value)

    assert value == ask(market, "/vms/v2").json()


@pytest.mark.parametrize("declared", [True, False], ids=["its size declared", "its size not declared"])
def test_a_body_is_huge(market: Marketplace, declared: bool) -> None:
    market.misbehave("huge_body", megabytes=3, declared=declared)
    answer = ask(market, "/vms/v2")

    assert len(answer.body) > 3 * MEGABYTE
    assert declared == ("Content-Length" in answer.headers)
    assert 4 == len(answer.json())


def test_a_small_body_unpacks_to_a_huge_one(market: Marketplace) -> None:
    market.misbehave("gzip_bomb", megabytes=20)
    answer = ask(market, "/vms/v2")

    assert "gzip" == answer.headers["Content-Encoding"]
    assert len(answer.body) < MEGABYTE
    assert len(gzip.decompress(answer.body)) > 20 * MEGABYTE


def test_the_servers_date_is_off_or_missing(market: Marketplace) -> None:
    assert ask(market, "/vms/v2").date == NOON

    market.misbehave("clock_skew", 1, seconds=-600)

    assert ask(market, "/vms/v2").date == NOON - timedelta(minutes=10)

    market.misbehave("no_date", 1)

    assert ask(market, "/vms/v2").headers["Date"] is None


# What a list says.


def test_a_list_is_empty_half_or_short_of_one(market: Marketplace) -> None:
    last = listed(market)[-1]["id"]
    market.misbehave("empty_list", 1)
    market.misbehave("half_list", 1, path="/vms/v3")

    assert [] == listed(market, "/vms/v2")
    assert ["one", "three"] == names(market)

    market.misbehave("missing_vm", 1, vm=last.lower())

    assert ["one", "two", "three"] == names(market)


def test_a_vm_is_listed_twice_perhaps_not_the_same(market: Marketplace) -> None:
    market.misbehave("duplicate_vm", 1, changes={"status": "Stopped"})
    vms = listed(market)

    assert vms[0] | {"status": "Stopped"} == vms[-1]
    assert 5 == len(vms)


def test_a_list_holds_what_is_no_vm(market: Marketplace) -> None:
    market.misbehave("not_objects")

    odd: list[Any] = [None, 7, "vm", []]

    assert odd == listed(market)[4:]


def test_an_id_is_missing_null_or_in_other_letters(market: Marketplace) -> None:
    first = listed(market)[0]["id"]
    market.misbehave("id_missing", 1, vm=first)
    market.misbehave("id_null", 1)

    # The first fault takes the id, so that the second, which means all, can only put null.
    assert [None] * 4 == [vm["id"] for vm in listed(market)]

    market.misbehave("id_case", 1)
    swapped = listed(market)[0]["id"]

    assert first != swapped
    assert first.lower() == swapped.lower()


def test_hostile_names_are_sent_as_they_are(market: Marketplace) -> None:
    for number in range(len(HOSTILE_NAMES) - 4):
        market.create(f"more-{number}")
    market.misbehave("hostile_name", 1)

    assert list(HOSTILE_NAMES) == names(market)

    market.misbehave("hostile_name", 1, name="\x1b[2J")

    assert {"\x1b[2J"} == set(names(market))


@pytest.mark.parametrize(
    ("kind", "v2", "v3"),
    [
        ("price_float", 298160.0, 0.29816),
        ("price_null", None, None),
        ("price_negative", -298160, "-0.298160"),
        ("price_huge", 10**30, "1" + "0" * 30),
        ("price_text", "free", "free"),
        ("price_too_precise", "0.2981600000001", "0.2981600000001"),
        ("price_with_point", "0.298160", "0.298160"),
        ("price_digits", "298160", "0.298160"),
    ],
)
def test_a_price_is_not_what_it_should_be(market: Marketplace, kind: str, v2: object, v3: object) -> None:
    market.misbehave(kind)
    old, new = (listed(market, path)[0]["pricePerEpoch"] for path in ("/vms/v2", "/vms/v3"))

    assert (v2, v3, type(v2), type(v3)) == (old, new, type(old), type(new))


def test_a_field_is_missing_or_anything(market: Marketplace) -> None:
    market.misbehave("price_missing", 1)

    assert "pricePerEpoch" not in listed(market)[0]

    market.misbehave("field_missing", 1, name="vmName")
    market.misbehave("field", 1, name="resources", value="none")
    vm = listed(market)[0]

    assert (False, "none") == ("vmName" in vm, vm["resources"])


@pytest.mark.parametrize(("kind", "expected"), [("unknown_status", "Hibernating"), ("null_status", None)])
def test_a_status_is_unknown_or_null(market: Marketplace, kind: str, expected: str | None) -> None:
    market.misbehave(kind)

    assert {expected} == {vm["status"] for path in ("/vms/v2", "/vms/v3") for vm in listed(market, path)}


@pytest.mark.parametrize(
    ("kind", "v2", "v3"),
    [
        ("date_malformed", "+002025-03-01T00:00:000000000Z", "+002025-03-01T00:00:000000000Z"),
        ("date_null", None, None),
        ("date_future", "+009999-12-31T23:59:59.000000000Z", "9999-12-31T23:59:59Z"),
        ("date_past", "+001970-01-01T00:00:00.000000000Z", "1970-01-01T00:00:00Z"),
    ],
)
@pytest.mark.parametrize("field", ["nextBillingAt", "createdAt"])
def test_a_date_cannot_be_or_cannot_be_read(market: Marketplace, kind: str, v2: object, v3: object, field: str) -> None:
    market.misbehave(kind, field=field)

    assert (v2, v3) == tuple(listed(market, path)[0][field] for path in ("/vms/v2", "/vms/v3"))


def test_details_are_of_any_type_and_unknown_fields_are_everywhere(market: Marketplace) -> None:
    market.misbehave("details_any", 1)

    assert len({json.dumps(part["details"]) for vm in listed(market) for part in vm["resources"]}) > 5

    market.misbehave("extra_fields", 1)
    vm = listed(market)[0]

    assert all("extraObject" in item for item in (vm, *vm["resources"], vm["datacenter"], *vm["ports"]))
    assert "extraText" not in listed(market)[0]["datacenter"]


def test_quantities_come_as_text(market: Marketplace) -> None:
    market.misbehave("supply_string")

    assert ["2", "4", "25", "1"] == [
        part.get("supply", part.get("quantity")) for part in listed(market, "/vms/v3")[0]["resources"]
    ]
    assert "4096" == listed(market, "/vms/v2")[0]["resources"][1]["quantity"]


# When a fault strikes.


def test_a_fault_strikes_a_number_of_times_or_until_cleared_and_only_where_it_should(market: Marketplace) -> None:
    market.misbehave("status", 2, code=500, path="/vms/v2")

    assert [200, 500, 500, 200] == [ask(market, f"/vms/{g}").status for g in ("v3", "v2", "v2", "v2")]

    market.misbehave("status", code=502)
    market.misbehave("empty_list")

    assert {502} == {ask(market, "/vms/v3").status for _ in range(5)}

    market.behave("status")

    assert [] == listed(market)

    market.behave()

    assert (4, []) == (len(listed(market)), market.faults())


def test_queued_faults_of_one_sort_strike_one_after_the_other(market: Marketplace) -> None:
    for code in (500, 503, 429):
        market.misbehave("status", 1, code=code)

    assert [500, 503, 429, 200] == [ask(market, "/vms/v2").status for _ in range(4)]


def test_a_fault_may_mean_one_method(market: Marketplace) -> None:
    market.misbehave("status", 1, code=500, method="DELETE")

    assert 200 == ask(market, "/vms/v3").status
    assert 500 == delete_first(market).status


def test_a_distortion_waits_for_a_list_that_it_can_distort(market: Marketplace) -> None:
    market.misbehave("empty_list", 1)

    assert 403 == ask(market, "/vms/v3", headers={}).status
    assert [] == listed(market)


@pytest.mark.parametrize(
    ("kind", "fields", "left"),
    [
        pytest.param("status", {}, 4, id="refused: nothing happened"),
        pytest.param("status", {"effect": True}, 3, id="refused, and yet it happened"),
        pytest.param("close_before_headers", {}, 4, id="cut off before it happened"),
        pytest.param("close_before_headers", {"effect": True}, 3, id="cut off after it happened"),
        pytest.param("close_after_headers", {}, 3, id="cut off while answering"),
        pytest.param("cut_short", {"effect": False}, 4, id="cut off while answering something that did not happen"),
    ],
)
def test_a_deletion_whose_answer_goes_wrong_happened_or_did_not(
    market: Marketplace, kind: str, fields: dict[str, Any], left: int
) -> None:
    market.misbehave(kind, 1, method="DELETE", **fields)
    with contextlib.suppress(BadStatusLine, IncompleteRead):
        delete_first(market)

    assert left == len(listed(market))


def test_the_control_api_never_misbehaves(market: Marketplace) -> None:
    market.misbehave("reset")

    assert NOON == market.now()


def test_every_fault_has_defaults_and_refuses_parameters_it_has_not(market: Marketplace) -> None:
    for kind in KINDS:
        market.misbehave(kind)
        with pytest.raises(ControlRefused, match="has no colour"):
            market.misbehave(kind, colour="red")

    assert list(KINDS) == [fault["kind"] for fault in market.faults()]


@pytest.mark.parametrize("kind", DISTORTIONS)
def test_every_distortion_leaves_a_list_of_both_generations_that_can_be_sent(market: Marketplace, kind: str) -> None:
    market.misbehave(kind)

    assert all(isinstance(listed(market, path), list) for path in ("/vms/v2", "/vms/v3"))


@pytest.mark.parametrize(
    "fields",
    [{"kind": "no_such"}, {"kind": "status", "times": 0}, {"kind": "latency", "seconds": "long"}],
    ids=["an unknown kind", "no times", "text for a number"],
)
def test_a_fault_that_cannot_be_is_refused(market: Marketplace, fields: dict[str, Any]) -> None:
    with pytest.raises(ControlRefused):
        market.misbehave(**fields)


def delete_first(market: Marketplace) -> Answered:
    return ask(market, "/vms/v3", method="DELETE", body={"vmIds": [market.vms()[0]["id"]]})


def names(market: Marketplace) -> list[str]:
    return [vm["vmName"] for vm in listed(market)]
