"""The Fluence client against the simulated marketplace: real lists over real HTTP, and all its misbehaviour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Specs
from fluence_costwatch.errors import FluenceError, FluenceRefused, FluenceUnavailable, FluenceUnexpected
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Cloud, Listing
from tests.servers.marketplace import KEY, Marketplace, marketplace

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
V2, V3 = Generation.VMS_V2, Generation.VMS_V3
DIALECTS = (V2, V3)


@contextmanager
def a_market(**options: Any) -> Iterator[Marketplace]:
    with marketplace(start=START, **options) as market:
        yield market


def look(market: Marketplace, generation: Generation, **options: Any) -> Listing:
    settings: dict[str, Any] = {
        "account": "main",
        "api_url": market.url,
        "api_key": KEY,
        "clock": lambda: START,
        "attempts": 2,
        "back_off": timedelta(milliseconds=10),
        "deadline": timedelta(seconds=2),
        "max_bytes": 4 << 20,
    }
    cloud: Cloud = FluenceCloud(**(settings | options))
    try:
        return cloud.look(generation)
    finally:
        cloud.close()  # type: ignore[attr-defined]  # the port only looks; closing is between the daemon and this class


def test_the_seed_of_vms_v2_is_read_in_full() -> None:
    with a_market(flavour="seed") as market:
        id = market.create("web", "0.298160", vcpu=2, ram_mib=4096, storage_mib=25600)
        (machine,) = look(market, V2).resources

    assert (id, "web", "ACTIVE", Decimal("0.298160")) == (machine.id, machine.name, machine.status, machine.price)
    assert Specs(vcpu=2, ram_mib=4096, storage_mib=25600, public_ips=1) == machine.specs
    assert (None, None, ()) == (machine.created_at, machine.next_charge_at, machine.problems)


def test_the_rich_vms_v2_is_read_in_full() -> None:
    with a_market(flavour="rich") as market:
        market.create("web", "0.298160")
        (machine,) = look(market, V2).resources

    assert (START, START.replace(hour=17, minute=55)) == (machine.created_at, machine.next_charge_at)
    assert (Usd(298_160), Usd(298_160), ()) == (machine.total_spent, machine.reserved, machine.problems)


@pytest.mark.parametrize("generation", DIALECTS)
def test_the_same_fleet_is_the_same_in_both_dialects(generation: Generation) -> None:
    with a_market(flavour="transition") as market:
        market.create("web", "0.30697", ram_mib=8192)
        market.create("db", "2.4352", ram_mib=1000)
        machines = look(market, generation).resources

    assert {("web", Decimal("0.30697"), 8192), ("db", Decimal("2.4352"), 1000)} == {
        (machine.name, machine.price, machine.specs.ram_mib) for machine in machines if machine.specs
    }
    assert ((), ()) == tuple(machine.problems for machine in machines)


def test_the_record_of_a_terminated_machine_is_in_vms_v3_only() -> None:
    with a_market() as market:
        market.create("web", "0.30697")
        market.terminate("web")
        old, new = look(market, V2).resources, look(market, V3).resources

    assert () == old
    assert [("Terminated", None, Usd(306_970))] == [
        (machine.status, machine.public_ip, machine.reserved) for machine in new
    ]


@pytest.mark.parametrize(("generation", "path"), [(V2, "/vms/v2"), (V3, "/vms/v3")], ids=[V2.value, V3.value])
def test_a_look_is_one_get_of_the_path_of_its_generation(generation: Generation, path: str) -> None:
    with a_market() as market:
        look(market, generation)
        (asked,) = market.requests()

    assert ("GET", path, "") == (asked.method, asked.path, asked.body)


@pytest.mark.parametrize(("auth", "header"), [("x-api-key", "x-api-key"), ("bearer", "authorization")])
def test_the_key_goes_where_auth_says_and_nowhere_else(auth: str, header: str) -> None:
    with a_market(auth=auth) as market:
        look(market, V3, auth=auth)
        (asked,) = market.requests()

    assert (header,) == asked.key_in


def test_a_generation_that_is_not_served_is_not_an_empty_list() -> None:
    with a_market(generations=("vms-v3",)) as market, pytest.raises(FluenceUnexpected, match="another generation"):
        look(market, V2)


def test_a_wrong_key_is_refused() -> None:
    with a_market() as market, pytest.raises(FluenceRefused, match="No such API Key"):
        look(market, V3, api_key="another-key")


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "clé"])
def test_a_key_that_no_header_can_carry_is_not_sent(key: str) -> None:
    with a_market() as market:
        with pytest.raises(FluenceRefused, match="cannot be sent"):
            look(market, V3, api_key=key)
        assert () == market.requests()


def test_the_servers_clock_is_compared_with_ours() -> None:
    with a_market() as market:
        market.misbehave("clock_skew", seconds=600)
        skewed = look(market, V3)
        market.behave()
        market.misbehave("no_date")
        silent = look(market, V3)

    assert timedelta(minutes=10) == skewed.clock_ahead
    assert silent.clock_ahead is None


def test_a_cloud_shows_no_key() -> None:
    cloud = FluenceCloud(account="main", api_key="fk-secret-0123", clock=lambda: START)

    assert "<FluenceCloud 'main' over <HttpClient of api.fluence.dev>>" == repr(cloud)
    cloud.close()


FAILURES: tuple[tuple[str, dict[str, Any], type[FluenceError]], ...] = (
    ("status", {"code": 401}, FluenceRefused),
    ("status", {"code": 403}, FluenceRefused),
    ("status", {"code": 404}, FluenceUnexpected),
    ("status", {"code": 422}, FluenceUnexpected),
    ("status", {"code": 429, "retry_after": 3600}, FluenceUnavailable),
    ("status", {"code": 429, "retry_after_date": 3600}, FluenceUnavailable),
    ("status", {"code": 500}, FluenceUnavailable),
    ("status", {"code": 503}, FluenceUnavailable),
    ("redirect", {}, FluenceUnexpected),
    ("close_before_headers", {}, FluenceUnavailable),
    ("close_after_headers", {}, FluenceUnavailable),
    ("reset", {}, FluenceUnavailable),
    ("cut_short", {}, FluenceUnavailable),
    ("drip", {"interval": 0.1}, FluenceUnavailable),
    ("hang", {}, FluenceUnavailable),
    ("truncated_json", {}, FluenceUnexpected),
    ("invalid_json", {}, FluenceUnexpected),
    ("html", {}, FluenceUnexpected),
    ("empty_body", {}, FluenceUnexpected),
    ("wrong_type", {}, FluenceUnexpected),
    ("wrong_type", {"value": None}, FluenceUnexpected),
    ("deep_nesting", {}, FluenceUnexpected),
    ("huge_body", {"megabytes": 8}, FluenceUnexpected),
    ("huge_body", {"megabytes": 8, "declared": False}, FluenceUnexpected),
    ("gzip_bomb", {"megabytes": 64}, FluenceUnexpected),
    ("not_objects", {}, FluenceUnexpected),
    ("id_missing", {}, FluenceUnexpected),
    ("id_null", {}, FluenceUnexpected),
)


@pytest.mark.parametrize(
    ("kind", "fields", "error"), FAILURES, ids=[f"{kind} {fields or ''}".strip() for kind, fields, _ in FAILURES]
)
def test_a_list_that_cannot_be_had_whole_is_an_error(
    kind: str, fields: dict[str, Any], error: type[FluenceError]
) -> None:
    with a_market() as market:
        for name in ("web", "db", "ci"):
            market.create(name, "0.30697")
        market.misbehave(kind, path="/vms/v3", **fields)
        started = time.monotonic()
        with pytest.raises(error) as caught:
            look(market, V3, deadline=timedelta(seconds=0.5))

    assert error is type(caught.value)
    assert str(caught.value).isprintable()
    assert 5 > time.monotonic() - started


@pytest.mark.parametrize("kind", ["status", "close_before_headers", "reset", "cut_short"])
def test_a_fault_that_passes_is_not_noticed(kind: str) -> None:
    with a_market() as market:
        market.create("web", "0.30697")
        market.misbehave(kind, times=1)

        assert 1 == len(look(market, V3).resources)


DOUBTS = (
    ("price_null", "price"),
    ("price_missing", "price"),
    ("price_float", "price"),
    ("price_negative", "price"),
    ("price_huge", "price"),
    ("price_text", "price"),
    ("price_too_precise", "price"),
    ("null_status", "status"),
    ("date_malformed", "next_charge_at"),
    ("date_future", "next_charge_at"),
    ("date_past", "next_charge_at"),
    ("not_utf8", "name"),
)


@pytest.mark.parametrize("generation", DIALECTS)
@pytest.mark.parametrize(("kind", "value"), DOUBTS)
def test_a_bad_value_is_unknown_and_the_rest_stands(kind: str, value: str, generation: Generation) -> None:
    with a_market(flavour="rich") as market:
        market.create("web", "0.30697")
        (good,) = look(market, generation).resources
        market.misbehave(kind)
        (bad,) = look(market, generation).resources

    assert [value] == [problem.partition(":")[0] for problem in bad.problems]
    assert not getattr(bad, value)
    others = {"id", "status", "price", "created_at", "next_charge_at", "total_spent", "reserved", "specs"} - {value}
    assert {name: getattr(good, name) for name in others} == {name: getattr(bad, name) for name in others}


@pytest.mark.parametrize("generation", DIALECTS)
@pytest.mark.parametrize(
    "kind",
    ["date_null", "details_any", "extra_fields", "supply_string", "unknown_status"],
)
def test_what_is_only_odd_raises_no_doubt(kind: str, generation: Generation) -> None:
    with a_market(flavour="rich") as market:
        market.create("web", "0.30697")
        market.misbehave(kind)
        (machine,) = look(market, generation).resources

    assert () == machine.problems
    assert Specs(vcpu=2, ram_mib=4096, storage_mib=25600, public_ips=1) == machine.specs


@pytest.mark.parametrize("kind", ["hostile_name", "lone_surrogate"])
def test_a_hostile_name_is_just_a_name(kind: str) -> None:
    with a_market() as market:
        for number in range(12):
            market.create(f"web-{number}", "0.30697")
        market.misbehave(kind)
        machines = look(market, V3).resources

    assert 12 == len({machine.name for machine in machines})
    assert all(machine.name is not None and len(machine.name) <= 1000 for machine in machines)


def test_the_case_of_an_id_does_not_make_another_machine() -> None:
    with a_market() as market:
        market.create("web", "0.30697")
        before = look(market, V3).resources[0]
        market.misbehave("id_case")
        after = look(market, V3).resources[0]

    assert before.id != after.id
    assert before.identity == after.identity


def test_a_machine_that_is_listed_twice_is_one() -> None:
    with a_market() as market:
        market.create("web", "0.30697")
        market.misbehave("duplicate_vm", times=1)
        (alike,) = look(market, V3).resources
        market.misbehave("duplicate_vm", times=1, changes={"pricePerEpoch": "9"})
        (different,) = look(market, V3).resources

    assert ((), Decimal("0.30697")) == (alike.problems, different.price)
    assert different.problems[0].startswith("id: listed more than once")


def test_a_marketplace_that_is_down_is_unavailable_until_it_comes_back() -> None:
    with a_market() as market:
        market.create("web", "0.30697")
        market.go_down()
        with pytest.raises(FluenceUnavailable):
            look(market, V3)
        market.come_back()

        assert 1 == len(look(market, V3).resources)
