"""`cloud-v2` over real HTTP: one list of machines, disks and addresses, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.resources import Generation, Kind, Per, Resource, Specs
from fluence_costwatch.errors import (
    FluenceError,
    FluenceIncomplete,
    FluenceRefused,
    FluenceUnavailable,
    FluenceUnexpected,
)
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Listing
from tests.servers.marketplace import KEY, Marketplace, marketplace
from tests.servers.scripted import Scripted, failing, paged, scripted

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLUSTER = "c07e0000-0000-4000-8000-000000000001"
PLAN = "f2b90000-0000-4000-8000-000000000001"
EMPTY = paged([])


@contextmanager
def a_market(**options: Any) -> Iterator[Marketplace]:
    with marketplace(**{"start": START, "generations": ("cloud-v2",)} | options) as market:
        yield market


def cloud_at(url: str, **options: Any) -> FluenceCloud:
    settings: dict[str, Any] = {
        "account": "main",
        "api_url": url,
        "api_key": KEY,
        "clock": lambda: START,
        "attempts": 1,
        "deadline": timedelta(seconds=5),
    }
    return FluenceCloud(**(settings | options))


def look(server: Marketplace | Scripted, **options: Any) -> Listing:
    cloud = cloud_at(server.url, **options)
    try:
        return cloud.look(Generation.CLOUD_V2)
    finally:
        cloud.close()


def named(listing: Listing) -> dict[str | None, Resource]:
    return {resource.name: resource for resource in listing.resources}


def id_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def machine(number: int, **fields: Any) -> dict[str, Any]:
    plain = {
        "id": id_of(number),
        "name": f"vm-{number}",
        "status": "launched",
        "clusterId": CLUSTER,
        "configurationId": PLAN,
        "createdAt": f"2026-02-01T00:{number:02d}:00Z",
        "priceHourlyUsd": "0.031",
    }
    return plain | fields


def disk(number: int, **fields: Any) -> dict[str, Any]:
    return machine(number, storageType="NVME", replicated=False, volumeGb=25, attachedTo=[], status="ready") | fields


def address(number: int, **fields: Any) -> dict[str, Any]:
    return machine(number, addressType="V4", address=f"203.0.113.{number}", status="ready") | fields


def serving(machines: Any = EMPTY, disks: Any = EMPTY, addresses: Any = EMPTY, **more: Any) -> dict[str, Any]:
    def listed(value: Any) -> Any:
        return paged(value) if isinstance(value, list) else value

    return {
        "/v2/vms": listed(machines),
        "/v1/storages": listed(disks),
        "/v1/public_ips": listed(addresses),
        "/v1/clusters": {"items": [{"id": CLUSTER, "name": "Cloudless", "dcId": "d"}]},
        **more,
    }


# What a list holds.


def test_a_machine_its_disks_and_its_address_are_resources_of_their_own() -> None:
    with a_market() as market:
        ids = market.create_vm_cloud("web", "0.0310", disks=[("0.0042", 25), ("0.0084", 50)], ip_price="0.0050")
        listing = look(market)
    found = {resource.id: resource for resource in listing.resources}

    assert {ids.vm, *ids.disks, ids.ip} == set(found)
    assert [Kind.PUBLIC_IP, Kind.STORAGE, Kind.STORAGE, Kind.VM] == sorted(r.kind for r in found.values())
    assert {Per.HOUR} == {resource.price_per for resource in found.values()}
    assert [Decimal(text) for text in ("0.031", "0.0042", "0.0084", "0.005")] == [
        found[id or ""].price for id in (ids.vm, *ids.disks, ids.ip)
    ]
    assert {(ids.vm,)} == {found[id or ""].attached_to for id in (*ids.disks, ids.ip)}
    web = found[ids.vm]
    assert ("web", "launched", START, None, ()) == (
        web.name,
        web.status,
        web.created_at,
        web.status_changed_at,
        web.problems,
    )
    assert web.allowed_actions is not None
    assert "terminate" in web.allowed_actions
    assert found[ids.ip or ""].public_ip == web.public_ip is not None
    assert web.datacenter


def test_what_has_ended_stays_listed_with_its_end() -> None:
    with a_market() as market:
        ids = market.create_vm_cloud("web")
        market.advance(timedelta(hours=1))
        market.delete("web")
        market.advance(timedelta(hours=1))
        market.delete(ids.ip or "")
        found = {resource.id: resource for resource in look(market).resources}

    assert ("terminated", START + timedelta(hours=1)) == (found[ids.vm].status, found[ids.vm].status_changed_at)
    assert ("removed", START + timedelta(hours=2)) == (
        found[ids.ip or ""].status,
        found[ids.ip or ""].status_changed_at,
    )
    assert ("ready", None) == (found[ids.disks[0]].status, found[ids.disks[0]].status_changed_at)


def test_what_a_machine_consists_of_is_added_up() -> None:
    machines = [machine(1, vcpu=4, ramGb=8, bootDisk=id_of(11), dataDisks=[id_of(12)], publicIp=id_of(21))]
    with scripted(serving(machines, [disk(11), disk(12, volumeGb=75)], [address(21)])) as server:
        found = named(look(server))

    # Gigabytes are decimal: 8 of them are 7629.39 MiB, and parts of a MiB are left out.
    assert Specs(vcpu=4, ram_mib=7629, storage_mib=95367, public_ips=1) == found["vm-1"].specs
    assert ("203.0.113.21", "Cloudless") == (found["vm-1"].public_ip, found["vm-1"].datacenter)
    assert [(id_of(1),)] * 3 == [found[name].attached_to for name in ("vm-11", "vm-12", "vm-21")]


def test_an_address_may_name_its_machine_where_the_machine_does_not_name_it() -> None:
    addresses = [
        address(21, attachedTo=id_of(1)),
        address(22, attachedTo={"id": id_of(2), "name": "vm-2"}),
        address(23, attachedTo=None),
        address(24),
    ]
    with scripted(serving([machine(1), machine(2)], [], addresses)) as server:
        found = named(look(server))

    assert ["203.0.113.21", "203.0.113.22"] == [found[name].public_ip for name in ("vm-1", "vm-2")]
    assert [(id_of(1),), (id_of(2),), (), ()] == [found[f"vm-{n}"].attached_to for n in (21, 22, 23, 24)]


def test_a_disk_that_does_not_say_what_it_serves_is_no_orphan() -> None:
    without = disk(11)
    del without["attachedTo"]
    with scripted(serving([], [without, disk(12), disk(13, attachedTo=7)])) as server:
        found = named(look(server))

    assert [None, (), None] == [found[f"vm-{n}"].attached_to for n in (11, 12, 13)]
    assert ["attached_to"] == [problem.partition(":")[0] for problem in found["vm-13"].problems]


def test_a_removed_address_is_not_that_of_a_machine() -> None:
    addresses = [address(21, attachedTo=id_of(1), status="removed", removedAt="2026-02-02T00:00:00Z")]
    with scripted(serving([machine(1)], [], addresses)) as server:
        found = named(look(server))

    assert (None, 0) == (found["vm-1"].public_ip, found["vm-1"].specs.public_ips if found["vm-1"].specs else None)


# Prices.

VM_PRICES = {
    "items": [
        {"vmTypeId": {"vmConfigurationId": PLAN, "clusterId": CLUSTER}, "priceInfo": {"pricePerHourPerQty": "0.0299"}},
        {"vmTypeId": {"vmConfigurationId": "dear", "clusterId": CLUSTER}, "priceInfo": {"pricePerHourPerQty": "-1"}},
        {"vmTypeId": {"vmConfigurationId": "two", "clusterId": CLUSTER}, "priceInfo": {"pricePerHourPerQty": "1"}},
        {"vmTypeId": {"vmConfigurationId": "two", "clusterId": CLUSTER}, "priceInfo": {"pricePerHourPerQty": "2"}},
        {"vmTypeId": None, "priceInfo": None},
    ]
}
DISK_PRICES = {
    "items": [
        {
            "storageTypeId": {"storageType": "NVMe", "replicated": replicated, "clusterId": CLUSTER},
            "priceInfo": {"pricePerHourPerQty": price},
        }
        for replicated, price in ((False, "0.000123456"), (True, "0.0003"))
    ]
}
ADDRESS_PRICES = {
    "items": [
        {"publicIpTypeId": {"addressType": "V4", "clusterId": CLUSTER}, "priceInfo": {"pricePerHourPerQty": "0.004"}}
    ]
}
PRICES = {"/v1/prices/vm": VM_PRICES, "/v1/prices/storage": DISK_PRICES, "/v1/prices/public-ip": ADDRESS_PRICES}


def test_a_price_that_is_not_stated_is_that_of_the_price_list() -> None:
    unpriced: dict[str, Any] = {"priceHourlyUsd": None}
    disks = [disk(11, **unpriced), disk(12, replicated=True, volumeGb=10, **unpriced)]
    with scripted(serving([machine(1, **unpriced)], disks, [address(21, **unpriced)], **PRICES)) as server:
        found = named(look(server))

    assert [Decimal("0.0299"), Decimal("0.003086400"), Decimal("0.0030"), Decimal("0.004")] == [
        found[f"vm-{n}"].price for n in (1, 11, 12, 21)
    ]
    assert {()} == {resource.problems for resource in found.values()}


def test_the_simulated_price_lists_say_what_the_records_would() -> None:
    with a_market() as market:
        market.create_vm_cloud("web")
        stated = look(market)
    with a_market(prices_shown=False) as market:
        market.create_vm_cloud("web")
        listed = look(market)

    assert {r.kind: r.price for r in stated.resources}.keys() == {r.kind: r.price for r in listed.resources}.keys()
    assert all(resource.price is not None and resource.price > 0 for resource in listed.resources)
    assert {()} == {resource.problems for resource in listed.resources}


@pytest.mark.parametrize("plan", ["dear", "two", "none", None], ids=["negative", "contradicted", "not there", "null"])
def test_without_any_price_it_is_unknown_and_not_zero(plan: str | None) -> None:
    machines = [machine(1, priceHourlyUsd=None, configurationId=plan)]
    with scripted(serving(machines, **PRICES)) as server:
        (found,) = look(server).resources

    assert (None, ("price: null is no price, and no price list has one",)) == (found.price, found.problems)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("-0.01", "is negative"),
        ("2000000000", "is beyond any price"),
        ("1e-3", "is not an amount of money"),
        ("free", "is not an amount of money"),
        (0.031, "is not a price in text"),
        (True, "is not a price in text"),
    ],
)
def test_a_price_that_cannot_be_is_unknown_and_not_looked_up(value: Any, why: str) -> None:
    with scripted(serving([machine(1, priceHourlyUsd=value)], **PRICES)) as server:
        (found,) = look(server).resources
        asked = server.asked("/v1/prices/vm")

    assert (None, []) == (found.price, asked)
    assert found.problems[0].startswith("price:")
    assert found.problems[0].endswith(why)


def test_a_zero_is_a_price_and_a_fine_one_is_kept_exactly() -> None:
    machines = [machine(1, priceHourlyUsd="0"), machine(2, priceHourlyUsd="0.00000012345")]
    with scripted(serving(machines)) as server:
        found = named(look(server))

    assert (Decimal(0), Decimal("0.00000012345")) == (found["vm-1"].price, found["vm-2"].price)


def test_what_has_ended_needs_no_price() -> None:
    machines = [machine(1, status="terminated", priceHourlyUsd=None), machine(2, status="draft", priceHourlyUsd=None)]
    with scripted(serving(machines, **PRICES)) as server:
        listing = look(server)
        asked = server.asked("/v1/prices/vm")

    assert [(None, ()), (None, ())] == [(resource.price, resource.problems) for resource in listing.resources]
    assert [] == asked


def test_the_catalogue_is_asked_once_in_ten_minutes_and_outlives_a_failure() -> None:
    now = [START]
    with scripted(serving([machine(1, priceHourlyUsd=None)], **PRICES)) as server:
        cloud = cloud_at(server.url, clock=lambda: now[0])
        prices = []
        for minutes, status in ((0, 200), (9, 200), (11, 200), (30, 500), (60 * 25, 500)):
            now[0] = START + timedelta(minutes=minutes)
            server.paths["/v1/prices/vm"] = VM_PRICES if status == 200 else failing(status)
            prices.append(cloud.look(Generation.CLOUD_V2).resources[0].price)
        cloud.close()
        asked = server.asked("/v1/prices/vm")

    assert [Decimal("0.0299")] * 4 + [None] == prices
    assert 4 == len(asked)


def test_a_key_without_prices_and_clusters_leaves_values_unknown_and_says_which_scope() -> None:
    refused = failing(403, {"code": "forbidden", "error": "Not allowed"})
    paths = serving([machine(1, priceHourlyUsd=None)], **{"/v1/prices/vm": refused, "/v1/clusters": refused})
    with scripted(paths) as server:
        (found,) = look(server).resources

    assert (None, None) == (found.price, found.datacenter)
    assert ["prices:read", "clusters:read"] == [
        scope for scope in ("prices:read", "clusters:read") if any(scope in problem for problem in found.problems)
    ]


def test_clusters_may_be_a_bare_array() -> None:
    with scripted(serving([machine(1)], **{"/v1/clusters": [{"id": CLUSTER, "name": "Old", "dc_id": "d"}]})) as server:
        (found,) = look(server).resources

    assert "Old" == found.datacenter


# Whole or not at all.


def test_a_list_is_read_over_all_its_pages() -> None:
    with a_market(page_size=2, max_page_size=2) as market:
        for number in range(5):
            market.create_vm_cloud(f"vm-{number}")
        listing = look(market)

    assert [5, 5, 5] == [
        sum(r.kind is kind for r in listing.resources) for kind in (Kind.VM, Kind.STORAGE, Kind.PUBLIC_IP)
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_pages_may_be_counted_from_zero(count: int) -> None:
    with a_market(page_base=0, page_size=2, max_page_size=2) as market:
        for number in range(count):
            market.create_vm_cloud(f"vm-{number}", disks=[], ip_price=None)
        listing = look(market)

    assert {f"vm-{number}" for number in range(count)} == {resource.name for resource in listing.resources}


def test_page_one_may_call_itself_page_zero() -> None:
    machines = [machine(number) for number in range(1, 6)]

    def answer(query: Any) -> tuple[int, Any]:
        status, body = paged(machines)(query)
        body["pagination"]["currentPage"] -= 1
        return status, body

    with scripted(serving(answer)) as server:
        listing = look(server)
        pages = [request.query["page"] for request in server.asked("/v2/vms")]

    assert (5, ["1", "2", "3"]) == (len(listing.resources), pages)


def test_pages_are_asked_for_oldest_first_with_a_size() -> None:
    with scripted(serving([machine(1)])) as server:
        look(server)
        targets = [request.target for request in server.requests]

    query = "?sort=createdAt&order=asc&page=1&perPage=100"
    assert [f"/v2/vms{query}", f"/v1/storages{query}", f"/v1/public_ips{query}", "/v1/clusters"] == targets


@pytest.mark.parametrize("path", ["/v2/vms", "/v1/storages", "/v1/public_ips"])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("page_short", {"page": 1}),
        ("page_short", {"page": 2}),
        ("page_short", {"page": 3}),
        ("page_repeats", {"page": 2}),
        ("page_repeats", {"page": 3}),
        ("page_totals", {}),
        ("page_totals", {"totalRecords": -1, "filteredRecords": -1}),
        ("page_moves", {"by": -1}),
        ("page_endless", {"fresh": True}),
    ],
    ids=str,
)
def test_no_list_with_a_hole_is_taken(path: str, kind: str, fields: dict[str, Any]) -> None:
    with a_market(page_size=2, max_page_size=2) as market:
        for number in range(5):
            market.create_vm_cloud(f"vm-{number}")
        market.misbehave(kind, path=path, **fields)
        with pytest.raises(FluenceIncomplete) as caught:
            look(market)

    assert "nothing is taken for ended" in str(caught.value)


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("broken", ["gone", "not JSON", "no page", "empty"])
def test_a_list_that_is_cut_short_at_any_page_is_not_taken(page: int, broken: str) -> None:
    machines = [machine(number) for number in range(1, 6)]
    answers: dict[str, tuple[int, Any]] = {
        "gone": (404, {"error": "no such page"}),
        "not JSON": (200, b"<html>"),
        "no page": (200, []),
        "empty": (200, paged([])({})[1] | {"pagination": paged(machines)({})[1]["pagination"]}),
    }

    def answer(query: Any) -> tuple[int, Any]:
        return answers[broken] if query["page"] == str(page) else paged(machines)(query)

    with scripted(serving(answer)) as server, pytest.raises(FluenceError) as caught:
        look(server)

    assert (FluenceUnexpected if page == 1 and broken != "empty" else FluenceIncomplete) is type(caught.value)


@pytest.mark.parametrize(
    "pagination",
    [
        {"totalRecords": None, "filteredRecords": None},
        {"totalRecords": 9, "filteredRecords": None},
        {"filteredRecords": 0},
        {"filteredRecords": 4},
    ],
    ids=str,
)
def test_a_list_whose_number_is_not_right_is_not_taken(pagination: dict[str, Any]) -> None:
    with (
        scripted(serving(paged([machine(n) for n in range(1, 6)], **pagination))) as server,
        pytest.raises(FluenceIncomplete),
    ):
        look(server)


@pytest.mark.parametrize(
    "pagination",
    [{"filteredRecords": None}, {"totalRecords": 99}, {"totalPages": None}, {"currentPage": None}, {"totalPages": "3"}],
    ids=str,
)
def test_a_list_may_say_less_or_more_about_its_pages(pagination: dict[str, Any]) -> None:
    with scripted(serving(paged([machine(n) for n in range(1, 6)], **pagination))) as server:
        assert 5 == len(look(server).resources)


def test_a_list_that_changes_while_it_is_read_is_not_taken() -> None:
    machines = [machine(number) for number in range(1, 6)]

    def answer(query: Any) -> tuple[int, Any]:
        return paged(machines if query["page"] == "1" else machines[1:])(query)

    with scripted(serving(answer)) as server, pytest.raises(FluenceIncomplete, match="changed while it was read"):
        look(server)


def test_records_of_one_instant_may_change_places_between_pages() -> None:
    machines = [machine(number % 60, id=id_of(number)) for number in range(250)]
    # In the second answer two records made together have changed places over the end of the first page.
    swapped = [*machines[:99], machines[100], machines[99], *machines[101:]]

    def answer(query: Any) -> tuple[int, Any]:
        return paged(swapped if query["page"] == "2" else machines, size=int(query["perPage"]))(query)

    def always_missing(query: Any) -> tuple[int, Any]:
        status, body = answer(query)
        return status, body | {"items": [item for item in body["items"] if item["id"] != id_of(100)]}

    with scripted(serving(answer)) as server:
        listing = look(server)
        asked = [(request.query["perPage"], request.query["page"]) for request in server.asked("/v2/vms")]
        server.paths["/v2/vms"] = always_missing
        with pytest.raises(FluenceIncomplete, match="its pages hold 249"):
            look(server)

    assert {id_of(number) for number in range(250)} == {resource.id for resource in listing.resources}
    assert [("100", "1"), ("100", "2"), ("100", "3"), ("100", "0")] == asked[:4]
    assert [("83", str(page)) for page in (1, 2, 3, 4)] == asked[4:]


def test_an_item_that_is_repeated_is_one_unless_it_is_another() -> None:
    same = [machine(1), machine(2), machine(2, status="failed")]
    other = [machine(1), machine(2), machine(2, createdAt="2026-02-02T00:00:00Z")]
    with scripted(serving(paged(same, filteredRecords=2))) as server:
        assert 2 == len(look(server).resources)
        server.paths["/v2/vms"] = paged(other, filteredRecords=2)
        with pytest.raises(FluenceIncomplete, match="created at different times"):
            look(server)


def test_one_id_for_a_machine_and_a_disk_is_not_taken() -> None:
    with scripted(serving([machine(1)], [disk(1)])) as server, pytest.raises(FluenceUnexpected, match="two resources"):
        look(server)


# Keys, paths and time.


@pytest.mark.parametrize(
    ("path", "scope"), [("/v2/vms", "vms:read"), ("/v1/storages", "storage:read"), ("/v1/public_ips", "public_ip:read")]
)
def test_a_missing_scope_is_named_with_what_is_lost(path: str, scope: str) -> None:
    refused = failing(403, {"code": "forbidden", "error": "Not allowed to call this endpoint"})
    with scripted(serving([machine(1)], **{path: refused})) as server, pytest.raises(FluenceRefused) as caught:
        look(server)

    assert f"lacks the scope {scope}: Fluence answered with 403 (forbidden: Not allowed" in str(caught.value)
    assert "cannot be listed" in str(caught.value)


def test_a_scope_is_missed_at_the_simulated_marketplace_too() -> None:
    with a_market() as market:
        market.create_vm_cloud("web")
        market.set_scopes(["vms:read", "public_ip:read"])
        with pytest.raises(FluenceRefused, match="scope storage:read"):
            look(market)


def test_a_key_that_expired_is_not_a_missing_scope() -> None:
    with a_market() as market:
        market.expire_key()
        with pytest.raises(FluenceRefused, match="refuses the key") as caught:
            look(market)

    assert "scope" not in str(caught.value)


@pytest.mark.parametrize("auth", ["x-api-key", "bearer"])
def test_the_key_is_sent_as_an_api_key_whatever_the_first_generations_want(auth: str) -> None:
    with scripted(serving([machine(1)])) as server:
        look(server, auth=auth)
        headers = server.requests[0].headers

    assert (KEY, None) == (headers.get("x-api-key"), headers.get("authorization"))


def test_drafts_are_read_where_only_their_list_is_left() -> None:
    drafts = paged([machine(1), machine(2, status="draft", priceHourlyUsd=None)])
    paths = serving(**{"/v3/vms": drafts})
    del paths["/v2/vms"]
    with scripted(paths) as server:
        listing = look(server)
        asked = {request.path for request in server.requests}

    assert ["launched", "draft"] == [resource.status for resource in listing.resources]
    assert {"/v2/vms", "/v3/vms", "/v1/storages", "/v1/public_ips", "/v1/clusters"} == asked


def test_without_either_list_the_first_one_is_missed() -> None:
    paths = serving()
    del paths["/v2/vms"]
    with scripted(paths) as server, pytest.raises(FluenceUnexpected, match="GET /v2/vms"):
        look(server)


def test_only_gets_are_sent() -> None:
    with a_market() as market:
        market.create_vm_cloud("web")
        look(market)
        methods = {asked.method for asked in market.requests()}

    assert {"GET"} == methods


def test_a_listing_spans_from_the_first_request_to_the_last_answer() -> None:
    seconds = iter(range(1000))
    with scripted(serving([machine(1), machine(2), machine(3)])) as server:
        listing = look(server, clock=lambda: START + timedelta(seconds=next(seconds)))

    # Two pages and two further lists: four requests, each a tick when sent and one when answered.
    assert (START, START + timedelta(seconds=7)) == (listing.sent_at, listing.answered_at)


def test_all_lists_share_one_budget() -> None:
    with a_market() as market:
        market.create_vm_cloud("web")
        market.misbehave("drip", path="/v1/storages", interval=0.05)
        with pytest.raises(FluenceUnavailable):
            look(market, budget=timedelta(seconds=1), deadline=timedelta(seconds=30))


@pytest.mark.parametrize(
    "kind", ["hostile_name", "lone_surrogate", "unknown_status", "null_status", "id_case", "extra_fields", "not_utf8"]
)
def test_odd_values_cost_no_list(kind: str) -> None:
    with a_market() as market:
        market.create_vm_cloud("web")
        market.misbehave(kind)

        assert 3 == len(look(market).resources)


@pytest.mark.parametrize("kind", ["not_objects", "id_missing", "id_null", "truncated_json", "html", "wrong_type"])
def test_what_is_no_list_is_not_taken(kind: str) -> None:
    with a_market() as market:
        market.create_vm_cloud("web")
        market.misbehave(kind, path="/v1/storages")
        with pytest.raises(FluenceError):
            look(market)


@pytest.mark.parametrize("form", ["string", "object", "list", "null"])
def test_attachment_is_read_in_every_form(form: str) -> None:
    with a_market() as market:
        ids = market.create_vm_cloud("web")
        market.misbehave("attached_to", form=form)
        found = {resource.id: resource for resource in look(market).resources}

    assert [(ids.vm,), (ids.vm,)] == [found[id or ""].attached_to for id in (ids.disks[0], ids.ip)]
