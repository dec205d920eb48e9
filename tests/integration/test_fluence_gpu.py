"""The GPU cloud over real HTTP: three lists, a detail for each live instance, and no price made up."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Kind, Per, Resource, Specs
from fluence_costwatch.errors import FluenceError, FluenceRefused, FluenceUnavailable, FluenceUnexpected
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Listing
from tests.servers.marketplace import KEY, Marketplace, marketplace
from tests.servers.scripted import Scripted, failing, scripted

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LISTS = ["/gpu/instances/", "/gpu/instances/vms", "/gpu/instances/baremetal"]


@contextmanager
def a_market(**options: Any) -> Iterator[Marketplace]:
    with marketplace(**{"start": START, "generations": ("gpu",)} | options) as market:
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
        return cloud.look(Generation.GPU)
    finally:
        cloud.close()


def vm(id: str = "a", **fields: Any) -> dict[str, Any]:
    plain = {
        "id": id,
        "name": f"vm-{id}",
        "status": "ACTIVE",
        "created_at": "2026-03-01T10:30:00.123456Z",
        "updated_at": "2026-03-01T10:40:00.123456Z",
        "location": "us-east-2",
        "domain": "203.0.113.77",
        "resources": {
            "supply": {
                "vcpu": {"count": 24},
                "memory": {"count": 180, "units": "Gi"},
                "storage": {"count": 500, "units": "Gi"},
                "gpu_count": 1,
            }
        },
    }
    return plain | fields


def detail(id: str = "a", *, hourly: str = "1.92", due: str | None = "2026-03-01T13:00:00Z", **fields: Any) -> bytes:
    """A detail in which the amounts stand as `hourly` has them."""
    text = json.dumps(vm(id, **fields) | {"billing": {"next_billing_period": due, "total_spendings": 5.76}})
    return text.replace('"billing": {', f'"billing": {{"hourly_usage": {hourly}, "reserved_amount": 3.84, ').encode()


def serving(*vms: dict[str, Any], **more: Any) -> dict[str, Any]:
    details = {f"/gpu/instances/vms/{item['id']}": detail(item["id"]) for item in vms}
    return {"/gpu/instances/": [], "/gpu/instances/vms": list(vms), "/gpu/instances/baremetal": [], **details, **more}


def test_each_kind_is_read_with_its_detail() -> None:
    with a_market() as market:
        ids = [market.create_gpu(kind, "1.92", kind=kind) for kind in ("container", "vm", "baremetal")]
        market.advance(timedelta(minutes=30))
        found = {resource.id: resource for resource in look(market).resources}

    assert [Kind.GPU_CONTAINER, Kind.GPU_VM, Kind.GPU_BAREMETAL] == [found[id].kind for id in ids]
    for resource in found.values():
        assert ("ACTIVE", Decimal("1.92"), Per.EPOCH) == (resource.status, resource.price, resource.price_per)
        assert (START, START + timedelta(hours=1)) == (resource.created_at, resource.next_charge_at)
        assert (Usd.parse("1.92"), Usd.parse("3.84")) == (resource.total_spent, resource.reserved)
        assert () == resource.problems


def test_what_an_instance_consists_of_is_read() -> None:
    with scripted(serving(vm())) as server:
        (found,) = look(server).resources

    assert Specs(vcpu=24, ram_mib=184_320, storage_mib=512_000) == found.specs
    assert ("us-east-2", "203.0.113.77") == (found.datacenter, found.public_ip)


@pytest.mark.parametrize(
    ("hourly", "price"),
    [("1.92", "1.92"), ("0", "0"), ("2", "2"), ("0.10", "0.1"), ("5e-05", "0.00005"), ('"0.7"', "0.7")],
)
def test_an_amount_is_what_its_digits_say(hourly: str, price: str) -> None:
    with scripted(serving(vm(), **{"/gpu/instances/vms/a": detail(hourly=hourly)})) as server:
        (found,) = look(server).resources

    assert (Decimal(price), ()) == (found.price, found.problems)


@pytest.mark.parametrize("hourly", ["null", "-1", "1e300", "1.2345678", '"free"', "true", "[]", "{}"])
def test_an_amount_that_cannot_be_is_unknown(hourly: str) -> None:
    with scripted(serving(vm(), **{"/gpu/instances/vms/a": detail(hourly=hourly)})) as server:
        (found,) = look(server).resources

    assert found.price is None
    assert ["price"] == [problem.partition(":")[0] for problem in found.problems]
    assert Usd.parse("5.76") == found.total_spent


def test_details_are_asked_for_what_may_be_charged_only() -> None:
    statuses = ("ACTIVE", "INITIALIZED", "ENDED", "FAILED", "Hibernating")
    with scripted(serving(*(vm(status.lower(), status=status) for status in statuses))) as server:
        look(server)
        asked = {request.path.rpartition("/")[2] for request in server.requests} & {s.lower() for s in statuses}

    assert {"active", "initialized", "hibernating"} == asked


def test_where_list_and_detail_disagree_on_the_status_the_detail_is_right() -> None:
    ended = detail(hourly="0", due=None, status="ENDED")
    with scripted(serving(vm(), **{"/gpu/instances/vms/a": ended})) as server:
        (found,) = look(server).resources

    assert ("ENDED", None, None, ()) == (found.status, found.price, found.next_charge_at, found.problems)


def test_what_has_ended_has_no_price() -> None:
    with a_market() as market:
        market.create_gpu("train")
        market.advance(timedelta(minutes=5))
        market.delete("train")
        (found,) = look(market).resources

    assert ("ENDED", None, ()) == (found.status, found.price, found.problems)


# Details that cannot be had.


@pytest.mark.parametrize(
    "broken",
    [failing(500), failing(404), failing(403), b"<html>", b"[]", b"7", detail("another")],
    ids=["500", "404", "403", "html", "list", "number", "another's"],
)
def test_a_detail_that_cannot_be_had_leaves_the_price_unknown_and_nothing_else(broken: Any) -> None:
    with scripted(serving(vm("a"), vm("b"), **{"/gpu/instances/vms/a": broken})) as server:
        bad, good = look(server).resources

    assert (None, Decimal("1.92")) == (bad.price, good.price)
    assert "ACTIVE" == bad.status
    assert ["price"] == [problem.partition(":")[0] for problem in bad.problems]


def test_details_that_all_fail_leave_the_list_unless_the_key_is_refused() -> None:
    with scripted(serving(vm("a"), vm("b"))) as server:
        for id in ("a", "b"):
            server.paths[f"/gpu/instances/vms/{id}"] = failing(503)
        assert [None, None] == [resource.price for resource in look(server).resources]
        for id in ("a", "b"):
            server.paths[f"/gpu/instances/vms/{id}"] = failing(403)
        with pytest.raises(FluenceRefused):
            look(server)


def test_the_sentence_about_a_missing_detail_stays_the_same() -> None:
    with scripted(serving(vm("a"), vm("b"))) as server:
        server.paths["/gpu/instances/vms/a"] = failing(500)
        first = look(server).resources[0].problems
        server.paths["/gpu/instances/vms/a"] = failing(404)

        assert first == look(server).resources[0].problems


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("said", "error"),
    [(failing(404), FluenceUnexpected), (failing(500), FluenceUnavailable), (failing(403), FluenceRefused)],
    ids=["404", "500", "403"],
)
def test_without_one_of_the_lists_there_is_none(path: str, said: Any, error: type[FluenceError]) -> None:
    with scripted(serving(vm(), **{path: said})) as server, pytest.raises(error):
        look(server)


def test_nothing_of_a_containers_environment_comes_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with a_market() as market:
        id = market.create_gpu("train", environment={"TOKEN": "hush-hush"})
        listing = look(market)
    secret: dict[str, Any] = {"container_info": {"environment": {"TOKEN": "hush-hush"}}}
    with scripted(serving(vm(), **{"/gpu/instances/": secret, "/gpu/instances/vms/a": secret})) as server:
        with pytest.raises(FluenceUnexpected) as caught:
            look(server)
        server.paths["/gpu/instances/"] = []
        (found,) = look(server).resources

    assert [id] == [resource.id for resource in listing.resources]
    assert "hush" not in caplog.text + repr(listing) + str(caught.value) + repr(found)


# How often a detail is asked for.


def test_a_detail_is_asked_for_again_when_the_list_changes_or_the_next_charge_is_near() -> None:
    now = [START]
    with scripted(serving(vm())) as server:
        cloud = cloud_at(server.url, clock=lambda: now[0])
        counts = []

        def count(minutes: int) -> None:
            now[0] = START + timedelta(minutes=minutes)
            cloud.look(Generation.GPU)
            counts.append(len(server.asked("/gpu/instances/vms/a")))

        count(0)
        count(30)
        server.paths["/gpu/instances/vms"] = [vm(updated_at="2026-03-01T12:31:00Z")]
        count(32)
        count(54)
        count(56)
        count(58)
        server.paths["/gpu/instances/vms/a"] = detail(due="2026-03-01T14:00:00Z")
        count(62)
        count(80)
        count(90)
        cloud.close()

    # What was read at 0 and 62 was read just after a full hour, when a total may lag, so it was not kept.
    assert [1, 2, 3, 3, 4, 5, 6, 7, 7] == counts


def test_a_detail_that_was_not_understood_is_asked_for_again() -> None:
    with scripted(serving(vm(), **{"/gpu/instances/vms/a": detail(hourly="null")})) as server:
        cloud = cloud_at(server.url)
        prices = [cloud.look(Generation.GPU).resources[0].price]
        server.paths["/gpu/instances/vms/a"] = detail()
        prices.append(cloud.look(Generation.GPU).resources[0].price)
        cloud.close()

    assert [None, Decimal("1.92")] == prices


def test_four_details_are_asked_for_at_a_time() -> None:
    running, most, lock, meeting = [0], [0], threading.Lock(), threading.Barrier(4)
    vms = [vm(f"id-{number}") for number in range(12)]

    def slowly(id: str) -> Any:
        def answer(query: Any) -> tuple[int, Any]:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            meeting.wait(timeout=5)
            with lock:
                running[0] -= 1
            return 200, detail(id)

        return answer

    paths = serving(*vms)
    paths |= {f"/gpu/instances/vms/{item['id']}": slowly(item["id"]) for item in vms}
    with scripted(paths) as server:
        resources: tuple[Resource, ...] = look(server).resources

    assert (12, 4) == (len({resource.id for resource in resources if resource.price is not None}), most[0])


def test_the_paths_are_exact_and_nothing_but_gets_is_sent() -> None:
    with scripted(serving(vm("a/../b"))) as server:
        look(server)
        targets = [(request.method, request.target) for request in server.requests]

    assert [("GET", path) for path in [*LISTS, "/gpu/instances/vms/a%2F..%2Fb"]] == targets
