"""Faults of the newer paths: pages that are not what they should be, and older faults in their words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fluence_costwatch.simulator import AccountOptions
from fluence_costwatch.simulator.distortions import DISTORTIONS, HOSTILE_NAMES
from fluence_costwatch.simulator.pages import PAGE_FAULTS
from tests.servers.marketplace import CloudIds, Marketplace, marketplace
from tests.simulator.asking import ask, at

LISTS = (
    "/v2/vms",
    "/v1/storages",
    "/v1/public_ips",
    "/v1/prices/vm",
    "/v1/clusters",
    "/gpu/instances/",
    "/gpu/instances/vms",
)


@pytest.fixture
def market() -> Iterator[Marketplace]:
    """Five metered VMs in pages of two, and a GPU container."""
    with marketplace(
        start=at("2026-03-01 12:00"), generations=("cloud-v2", "gpu", "vms-v3"), page_size=2, spec="0.13"
    ) as market:
        for name in "abcde":
            market.create_vm_cloud(name)
        market.create_gpu("train")
        yield market


def pages(market: Marketplace, *, count: int = 3) -> list[list[str]]:
    return [[vm["name"] for vm in page(market, n)["items"]] for n in range(1, count + 1)]


def page(market: Marketplace, number: int) -> dict[str, Any]:
    envelope: dict[str, Any] = ask(market, f"/v2/vms?page={number}").json()
    return envelope


def test_a_page_is_short_although_all_is_announced(market: Marketplace) -> None:
    market.misbehave("page_short", page=2)

    assert [["a", "b"], ["c"], ["e"]] == pages(market)
    assert (5, 5, 3) == tuple(
        page(market, 2)["pagination"][n] for n in ("totalRecords", "filteredRecords", "totalPages")
    )

    market.behave()
    market.misbehave("page_short", 1, drop=2)

    assert [[], ["c", "d"], ["e"]] == pages(market)


def test_a_page_repeats_the_one_before(market: Marketplace) -> None:
    market.misbehave("page_repeats", page=3)

    assert [["a", "b"], ["c", "d"], ["c", "d"]] == pages(market)
    assert 3 == page(market, 3)["pagination"]["currentPage"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, (6, 6, 3)), ({"totalRecords": 0, "filteredRecords": -9, "totalPages": -1}, (5, 0, 2))],
    ids=["one too many", "too few"],
)
def test_totals_do_not_match(market: Marketplace, fields: dict[str, int], expected: tuple[int, ...]) -> None:
    market.misbehave("page_totals", **fields)
    envelope = page(market, 1)

    assert expected == tuple(envelope["pagination"][n] for n in ("totalRecords", "filteredRecords", "totalPages"))
    assert 2 == len(envelope["items"])


def test_there_is_always_a_page_more(market: Marketplace) -> None:
    market.misbehave("page_endless")

    assert [["a", "b"], ["c", "d"], ["e"], ["a", "b"], ["a", "b"]] == pages(market, count=5)
    assert 9 == page(market, 8)["pagination"]["totalPages"]

    market.behave()
    market.misbehave("page_endless", fresh=True)
    ids = [vm["id"] for n in range(1, 30) for vm in page(market, n)["items"]]

    assert len(ids) == len(set(ids)) == 57


def test_items_move_between_pages(market: Marketplace) -> None:
    market.misbehave("page_moves")

    assert [["a", "b"], ["b", "c"], ["d", "e"]] == pages(market)

    market.behave()
    market.misbehave("page_moves", by=-1)

    assert [["a", "b"], ["d", "e"], []] == pages(market)


@pytest.mark.parametrize(
    ("name", "left"), [("pagination", ["items"]), ("items", ["pagination"]), ("totalPages", ["items", "pagination"])]
)
def test_parts_of_the_envelope_are_missing(market: Marketplace, name: str, left: list[str]) -> None:
    market.misbehave("page_without", name=name)
    envelope = page(market, 1)

    assert left == list(envelope)
    assert name not in envelope.get("pagination", {})


def test_a_fault_of_one_page_waits_for_it(market: Marketplace) -> None:
    market.misbehave("page_short", 1, page=2, drop=2)

    assert [["a", "b"], [], ["e"]] == pages(market)
    assert [["a", "b"], ["c", "d"], ["e"]] == pages(market)


def test_a_wrong_list_is_wrong_before_it_is_cut_into_pages(market: Marketplace) -> None:
    market.misbehave("half_list")

    assert [["a", "c"], ["e"], []] == pages(market)
    assert 3 == page(market, 1)["pagination"]["filteredRecords"]

    market.behave()
    market.misbehave("empty_list", path="/v2/vms")

    assert [[], [], []] == pages(market)
    assert 2 == len(ask(market, "/v1/storages").json()["items"])


def test_price_lists_are_empty_or_say_nothing(market: Marketplace) -> None:
    market.misbehave("empty_list", 1, path="/v1/prices/vm")
    market.misbehave("price_null", 1, path="/v1/prices/storage")

    assert [] == ask(market, "/v1/prices/vm").json()["items"]
    assert [{"pricePerHourPerQty": None}] == [r["priceInfo"] for r in ask(market, "/v1/prices/storage").json()["items"]]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("price_float", 0.031),
        ("price_null", None),
        ("price_negative", "-0.0310"),
        ("price_text", "free"),
        ("price_too_precise", "0.03100000001"),
    ],
)
def test_an_hourly_price_is_not_what_it_should_be(market: Marketplace, kind: str, expected: object) -> None:
    market.misbehave(kind)

    assert expected == page(market, 1)["items"][0]["priceHourlyUsd"]


def test_texts_are_hostile_in_the_words_of_each_generation(market: Marketplace) -> None:
    market.misbehave("hostile_name", 2)
    market.misbehave("unknown_status", 2)
    market.misbehave("id_case", 2)
    vm, container = page(market, 1)["items"][0], ask(market, "/gpu/instances/").json()[0]

    assert [(HOSTILE_NAMES[0], "Hibernating")] * 2 == [
        (vm["name"], vm["status"]),
        (container["name"], container["instance_status"]),
    ]
    assert vm["id"] == vm["id"].upper()

    market.misbehave("lone_surrogate", 1)

    assert "\ud800a" == page(market, 1)["items"][0]["name"]


@pytest.mark.parametrize(("form", "kind"), [("string", str), ("object", dict), ("list", list), ("null", type(None))])
def test_who_uses_an_address_or_a_disk_comes_in_any_form(market: Marketplace, form: str, kind: type) -> None:
    market.misbehave("attached_to", form=form)

    assert {kind} == {
        type(ask(market, path).json()["items"][0]["attachedTo"]) for path in ("/v1/public_ips", "/v1/storages")
    }


def test_errors_come_in_the_words_of_the_path(market: Marketplace) -> None:
    market.misbehave("status", code=403, path="/v2/users/balances")
    market.misbehave("status", code=500, path="/v1/billing/charges/*")
    market.misbehave("status", 1, code=500, path="/gpu/instances/*-*")
    gpu = next(resource["id"] for resource in market.resources() if resource["type"] == "GpuInstance")
    query = "startDate=2026-03-01&endDate=2026-03-02"

    assert [
        (403, {"code": "forbidden", "error": "Forbidden"}),
        (500, {"code": "internal_server_error", "error": "Internal Server Error"}),
        (500, {"detail": "Internal Server Error"}),
    ] == [
        (answer.status, answer.json())
        for answer in (
            ask(market, path)
            for path in ("/v2/users/balances", f"/v1/billing/charges/aggregated?{query}", f"/gpu/instances/{gpu}")
        )
    ]
    assert [200, 200] == [ask(market, path).status for path in ("/gpu/instances/", f"/gpu/instances/{gpu}")]


def test_a_fault_may_mean_one_account() -> None:
    accounts = (AccountOptions("red", ("red",)), AccountOptions("blue", ("blue",)))
    with marketplace(generations=("cloud-v2",), accounts=accounts) as market:
        market.misbehave("status", code=500, account="red")
        market.misbehave("page_without", account="blue")

        assert (500, ["items"]) == (
            ask(market, "/v2/vms", headers={"X-API-KEY": "red"}).status,
            list(ask(market, "/v2/vms", headers={"X-API-KEY": "blue"}).json()),
        )


def test_a_deletion_whose_answer_is_lost_happened_or_did_not(market: Marketplace) -> None:
    ids: CloudIds = market.create_vm_cloud("f")
    path = f"/v2/vms/{ids.vm}/terminate"
    market.misbehave("status", 1, code=503, method="POST")
    market.misbehave("status", 1, code=503, method="POST", effect=True)

    assert [503, 503, 406] == [ask(market, path, method="POST").status for _ in range(3)]


@pytest.mark.parametrize("kind", [*DISTORTIONS, *PAGE_FAULTS])
def test_every_fault_of_content_leaves_every_list_one_that_can_be_sent(market: Marketplace, kind: str) -> None:
    market.misbehave(kind)

    assert {200} == {ask(market, path).status for path in LISTS}
    assert all(ask(market, path).json() is not None for path in LISTS)
