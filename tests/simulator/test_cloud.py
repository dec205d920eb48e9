"""`cloud-v2` over HTTP: lists in pages, what may be asked, what may be done, and who may do it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from fluence_costwatch.simulator import AccountOptions
from tests.servers.marketplace import KEY, CloudIds, ControlRefused, Marketplace, marketplace
from tests.simulator.asking import Answered, ask, at

NOON = at("2026-03-01 12:00")
CLOUD: dict[str, Any] = {"start": NOON, "generations": ("cloud-v2",)}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def items(market: Marketplace, target: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(market, target).json()["items"]
    return rows


def names(market: Marketplace, target: str) -> list[str]:
    return [item["name"] for item in items(market, target)]


def pagination(market: Marketplace, target: str) -> tuple[int, ...]:
    page = ask(market, target).json()["pagination"]
    return tuple(page[name] for name in ("totalRecords", "filteredRecords", "totalPages", "currentPage", "perPage"))


def post(market: Marketplace, target: str, **options: Any) -> Answered:
    return ask(market, target, method="POST", **options)


def fleet(market: Marketplace, *, count: int = 5) -> list[CloudIds]:
    """VMs a, b, c, ... an hour apart."""
    made = []
    for number in range(count):
        made.append(market.create_vm_cloud(chr(ord("a") + number)))
        market.advance(timedelta(hours=1))
    return made


# Pages.


def test_a_list_comes_in_pages_that_hold_everything_once() -> None:
    with marketplace(**CLOUD, page_size=2) as market:
        fleet(market)

        assert [["a", "b"], ["c", "d"], ["e"], []] == [names(market, f"/v2/vms?page={n}") for n in (1, 2, 3, 4)]
        assert [["a", "b"], ["a", "b"]] == [names(market, target) for target in ("/v2/vms", "/v2/vms?page=0")]
        assert [(5, 5, 3, n, 2) for n in (1, 2, 3, 4)] == [
            pagination(market, f"/v2/vms?page={n}") for n in (1, 2, 3, 4)
        ]


def test_the_first_page_may_be_number_zero() -> None:
    with marketplace(**CLOUD, page_base=0) as market:
        fleet(market)

        assert [["a", "b"], ["c", "d"]] == [names(market, f"/v2/vms?page={n}&perPage=2") for n in (0, 1)]
        assert (5, 5, 3, 1, 2) == pagination(market, "/v2/vms?page=1&perPage=2")


def test_a_page_is_never_larger_than_the_largest() -> None:
    with marketplace(**CLOUD, page_size=2, max_page_size=3) as market:
        fleet(market)

        assert (5, 5, 2, 1, 3) == pagination(market, "/v2/vms?perPage=1000")
        assert (5, 5, 3, 1, 2) == pagination(market, "/v2/vms?per_page=3")


def test_an_empty_list_has_no_pages() -> None:
    with marketplace(**CLOUD) as market:
        assert (0, 0, 0, 1, 20) == pagination(market, "/v1/public_ips")


# Filters.


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("status=launched", "bcde", id="one status"),
        pytest.param("status[0]=launched&status[1]=terminated", "abcde", id="several statuses in brackets"),
        pytest.param("status[]=terminated", "a", id="empty brackets"),
        pytest.param("status=launched&status=terminated", "abcde", id="a repeated plain parameter"),
        pytest.param("status%5B0%5D=terminated", "a", id="escaped brackets"),
        pytest.param("excludeStatus[0]=terminated", "bcde", id="all but one status"),
        pytest.param("status=launched&excludeStatus[0]=launched", "", id="an intersection that is empty"),
        pytest.param("name=C", "c", id="a name in other case"),
        pytest.param("name=_", "abcde", id="an underscore is any character"),
        pytest.param("name=%25c%25", "c", id="a percent sign is any text"),
        pytest.param("sort=name&order=desc", "edcba", id="by name backwards"),
        pytest.param("sort=createdAt&order=asc", "abcde", id="by age"),
        pytest.param("sort=status", "bcdea", id="by status"),
        pytest.param(f"ids[0]={UNKNOWN_ID}", "", id="an id that is not there"),
        pytest.param(f"clusterId={UNKNOWN_ID}", "", id="a cluster that is not there"),
        pytest.param("somethingElse=1", "abcde", id="an unknown parameter"),
    ],
)
def test_lists_are_filtered_and_sorted(query: str, expected: str) -> None:
    with marketplace(**CLOUD) as market:
        fleet(market)
        market.delete("a")

        assert list(expected) == names(market, f"/v2/vms?{query}")


def test_vms_are_found_by_ids_cluster_and_address() -> None:
    with marketplace(**CLOUD) as market:
        made = fleet(market)
        cluster = items(market, "/v1/clusters")[0]["id"]

        assert ["b", "d"] == names(market, f"/v2/vms?ids[0]={made[1].vm}&ids[1]={made[3].vm.upper()}")
        assert ["c"] == names(market, f"/v2/vms?publicIpId={made[2].ip}")
        assert (5, 5, 1, 1, 20) == pagination(market, f"/v2/vms?clusterId={cluster}")
        assert (5, 1, 1, 1, 20) == pagination(market, f"/v2/vms?ids={made[1].vm}")


def test_free_disks_and_addresses_are_found() -> None:
    with marketplace(**CLOUD) as market:
        fleet(market, count=2)
        market.create_disk("spare", "0.01", 10, kind="SSD")
        market.create_ip("spare-ip")
        place = items(market, "/v1/datacenters")[0]["id"]

        assert ["spare"] == names(market, "/v1/storages?excludeAttached=true")
        assert ["spare-ip"] == names(market, "/v1/public_ips?excludeAttached=true")
        assert ["spare"] == names(market, "/v1/storages?storageType=SSD")
        assert ["a-boot", "b-boot"] == names(market, "/v1/storages?storageType=NVMe&excludeAttached=false")
        assert 3 == len(names(market, f"/v1/public_ips?datacenterId={place}&cityCode=WAW&addressType=V4"))
        assert [] == names(market, "/v1/public_ips?addressType=V6")


@pytest.mark.parametrize(
    "target",
    [
        "/v2/vms?status[0]=asleep",
        "/v2/vms?excludeStatus=LAUNCHED",
        "/v2/vms?ids[0]=web",
        "/v2/vms?clusterId=1",
        "/v2/vms?sort=price",
        "/v2/vms?order=up",
        "/v2/vms?expand[0]=everything",
        "/v2/vms?page=-1",
        "/v2/vms?page=first",
        "/v2/vms?perPage=0",
        "/v2/vms/web",
        "/v1/storages?excludeAttached=yes",
        "/v1/storages?storageType=NVME",
        "/v1/public_ips?addressType=V5",
    ],
)
def test_a_malformed_question_is_a_bad_request(target: str) -> None:
    with marketplace(**CLOUD) as market:
        answer = ask(market, target)

        assert (400, "bad_request") == (answer.status, answer.json()["code"])


def test_attached_resources_come_inline_only_where_they_are_named() -> None:
    with marketplace(**CLOUD) as market:
        ids = market.create_vm_cloud("web", disks=[("0.01", 10), ("0.02", 20)])
        (plain,) = items(market, "/v2/vms")
        (vm,) = items(market, "/v2/vms?expand[0]=bootDisk&expand[1]=dataDisks&expand[2]=publicIp")
        detail = ask(market, f"/v2/vms/{ids.vm}?expand=networkInterfaces").json()

        assert plain["expanded"] is None
        assert ["bootDisk", "dataDisks", "publicIp"] == list(vm["expanded"])
        assert (10, [20]) == (
            vm["expanded"]["bootDisk"]["volumeGb"],
            [disk["volumeGb"] for disk in vm["expanded"]["dataDisks"]],
        )
        assert re.fullmatch(r"203\.0\.113\.\d+", vm["expanded"]["publicIp"]["address"])
        assert ["networkInterfaces"] == list(detail["expanded"])
        assert "configurationName" in plain
        assert "configurationName" not in detail


# Life and death.


def test_terminating_takes_time_is_done_once_and_takes_nothing_else_along() -> None:
    with marketplace(**CLOUD, delete_latency=timedelta(minutes=2)) as market:
        ids = market.create_vm_cloud("web", disks=[("0.01", 10), ("0.02", 20)])
        first, second = (post(market, f"/v2/vms/{ids.vm}/terminate") for _ in range(2))

        assert (200, "terminating", []) == (first.status, first.json()["status"], first.json()["allowedActions"])
        assert (406, "not_acceptable") == (second.status, second.json()["code"])

        market.advance(timedelta(minutes=2))
        (vm,) = items(market, "/v2/vms")

        assert ("terminated", [], "2026-03-01T12:02:00") == (
            vm["status"],
            vm["allowedActions"],
            vm["terminatedAt"][:19],
        )
        assert (ids.disks[0], [ids.disks[1]], ids.ip) == (vm["bootDisk"], vm["dataDisks"], vm["publicIp"])
        assert [("ready", []), ("ready", [])] == [(d["status"], d["attachedTo"]) for d in items(market, "/v1/storages")]
        assert [("ready", None)] == [(ip["status"], ip["attachedTo"]) for ip in items(market, "/v1/public_ips")]
        assert 406 == post(market, f"/v2/vms/{ids.vm}/terminate").status


def test_disks_and_addresses_are_deleted_only_when_nothing_uses_them() -> None:
    with marketplace(**CLOUD) as market:
        ids = market.create_vm_cloud("web")
        paths = (f"/v1/storages/{ids.disks[0]}", f"/v1/public_ips/{ids.ip}")
        refused = [ask(market, path, method="DELETE") for path in paths]

        assert [(422, "unprocessable_entity")] * 2 == [(answer.status, answer.json()["code"]) for answer in refused]

        post(market, f"/v2/vms/{ids.vm}/terminate")
        accepted = [ask(market, path, method="DELETE") for path in paths]

        assert [(200, "removing")] * 2 == [(answer.status, answer.json()["status"]) for answer in accepted]
        assert ["removed"] == [disk["status"] for disk in items(market, "/v1/storages")]
        assert ["removed"] == [address["status"] for address in items(market, "/v1/public_ips")]
        assert "removed" == ask(market, paths[0]).json()["status"]
        assert 406 == ask(market, paths[0], method="DELETE").status


def test_a_vm_starts_by_and_by_and_cannot_be_terminated_meanwhile() -> None:
    with marketplace(**CLOUD, launch_time=timedelta(minutes=5), listing_delay=timedelta(seconds=3)) as market:
        vm = market.create_vm_cloud("web").vm

        assert [] == items(market, "/v2/vms")

        market.advance(timedelta(minutes=1))

        assert [("launching", [], None)] == [
            (item["status"], item["allowedActions"], item["readySince"]) for item in items(market, "/v2/vms")
        ]
        assert 406 == post(market, f"/v2/vms/{vm}/terminate").status

        market.advance(timedelta(minutes=4))

        assert ["launched"] == [item["status"] for item in items(market, "/v2/vms")]


def test_a_failed_vm_may_be_terminated_and_a_strange_one_may_not() -> None:
    with marketplace(**CLOUD) as market:
        failed, strange = (market.create_vm_cloud(name).vm for name in ("failed", "strange"))
        market.fail(failed)
        market.set_status(strange, "unknown")

        assert [["terminate"], []] == [item["allowedActions"] for item in items(market, "/v2/vms")]
        assert [200, 406] == [post(market, f"/v2/vms/{id}/terminate").status for id in (failed, strange)]


def test_parts_are_detached_attached_renamed_and_taken_away_by_the_provider() -> None:
    with marketplace(**CLOUD) as market:
        ids = market.create_vm_cloud("web", disks=[("0.01", 10), ("0.02", 20)])
        other = market.create_vm_cloud("other", ip_price=None).vm
        with pytest.raises(ControlRefused, match="boots from"):
            market.detach(ids.disks[0])
        market.detach(ids.disks[1])
        market.detach(str(ids.ip))
        market.attach(ids.disks[1], other)
        market.attach(str(ids.ip), other)
        market.rename(ids.disks[1], "moved")

        assert [([], None), ([ids.disks[1]], ids.ip)] == [
            (vm["dataDisks"], vm["publicIp"]) for vm in items(market, "/v2/vms")
        ]
        assert {"id": other, "name": "other"} == items(market, "/v1/public_ips")[0]["attachedTo"]
        assert [other] == ask(market, f"/v1/storages/{market.resource('moved')['id']}").json()["attachedTo"]

        market.terminate("moved")
        market.terminate(ids.vm)

        assert [("terminated", []), ("launched", [])] == [
            (vm["status"], vm["dataDisks"]) for vm in items(market, "/v2/vms")
        ]


def test_paid_windows_are_hours_since_creation_or_not_told() -> None:
    with marketplace(**CLOUD) as market:
        market.create_vm_cloud("web")
        market.advance(timedelta(minutes=150))
        (vm,) = items(market, "/v2/vms")

        assert ("2026-03-01T14:00:00", "2026-03-01T15:00:00") == (vm["lastPaidAt"][:19], vm["paidUntil"][:19])
    with marketplace(**CLOUD, paid_window=False) as market:
        market.create_vm_cloud("web")

        assert (None, None) == (items(market, "/v2/vms")[0]["lastPaidAt"], items(market, "/v2/vms")[0]["paidUntil"])


def test_instants_have_as_many_decimals_as_chance_has_it() -> None:
    with marketplace(**CLOUD, page_size=100) as market:
        for number in range(20):
            market.create_vm_cloud(f"vm-{number}", disks=[], ip_price=None)
        lengths = {len(vm["createdAt"]) for vm in items(market, "/v2/vms")}

        assert {20, 22, 24, 27, 30} == lengths


# Prices.


def test_price_lists_alone_tell_every_price_where_objects_do_not() -> None:
    with marketplace(**CLOUD, prices_shown=False, page_size=100) as market:
        truth: dict[str, float] = {}
        for number in range(30):
            vm, disk = f"0.0{number + 10}", f"0.0{number + 3}"
            ids = market.create_vm_cloud(f"vm-{number}", vm, [(disk, number + 7)], "0.005" if number % 2 else "0.0055")
            truth |= {ids.vm: float(vm), ids.disks[0]: float(disk)}
        vms = {
            (row["vmTypeId"]["vmConfigurationId"], row["vmTypeId"]["clusterId"]): row["priceInfo"]["pricePerHourPerQty"]
            for row in items(market, "/v1/prices/vm")
        }
        disks = {tuple(row["storageTypeId"].values()): row["priceInfo"] for row in items(market, "/v1/prices/storage")}
        told = {vm["id"]: float(vms[vm["configurationId"], vm["clusterId"]]) for vm in items(market, "/v2/vms")}
        told |= {
            disk["id"]: float(disks[disk["storageType"], disk["replicated"], disk["clusterId"]]["pricePerHourPerQty"])
            * disk["volumeGb"]
            for disk in items(market, "/v1/storages")
        }

        assert "priceHourlyUsd" not in items(market, "/v2/vms")[0]
        assert truth == pytest.approx(told, rel=1e-12)
        cluster = items(market, "/v1/clusters")[1]["id"]
        assert {cluster} == {
            row["publicIpTypeId"]["clusterId"] for row in items(market, f"/v1/prices/public-ip?clusterId={cluster}")
        }


def test_a_list_price_follows_the_only_part_that_has_it() -> None:
    with marketplace(**CLOUD) as market:
        first = market.create_vm_cloud("first", "0.5", [], None).vm
        market.set_price(first, "0.6")

        assert ["0.60"] == [row["priceInfo"]["pricePerHourPerQty"] for row in items(market, "/v1/prices/vm")]

        market.create_vm_cloud("second", "0.6", [], None)
        market.set_price(first, "0.7")

        assert ["0.60"] == [row["priceInfo"]["pricePerHourPerQty"] for row in items(market, "/v1/prices/vm")]
        assert ["0.7", "0.6"] == [vm["priceHourlyUsd"] for vm in items(market, "/v2/vms")]


def test_a_plan_and_a_cluster_can_be_named() -> None:
    with marketplace(**CLOUD) as market:
        market.create_vm_cloud("web", "0.5", [], None, plan="cpu-premium-8vcpu-32gb", cluster="cluster-1")
        (vm,) = items(market, "/v2/vms")

        assert ("Premium 8 vCPU / 32 GB", 8, 32) == (vm["configurationName"], vm["vcpu"], vm["ramGb"])
        with pytest.raises(ControlRefused, match="another list price"):
            market.create_vm_cloud("dear", "0.6", [], None, plan="cpu-premium-8vcpu-32gb", cluster="cluster-1")
        with pytest.raises(ControlRefused, match="no cluster"):
            market.create_vm_cloud("lost", "0.6", cluster="cluster-9")


# Who may ask.


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"X-API-KEY": KEY}, 200, id="a key"),
        pytest.param({"X-API-KEY": KEY, "Authorization": f"X-API-KEY {KEY}"}, 200, id="a key in both places"),
        pytest.param({"Authorization": f"X-API-KEY {KEY}"}, 401, id="the scheme of wrong documentation"),
        pytest.param({"Authorization": f"Bearer {KEY}"}, 401, id="a key where a token belongs"),
        pytest.param({"X-API-KEY": "wrong"}, 401, id="an unknown key"),
        pytest.param({}, 401, id="no key"),
    ],
)
def test_only_a_good_key_in_its_own_header_opens(headers: dict[str, str], status: int) -> None:
    with marketplace(**CLOUD) as market:
        answer = ask(market, "/v2/vms", headers=headers)

        assert status == answer.status
        assert status == 200 or "unauthorized" == answer.json()["code"]
        assert 200 == ask(market, "/v1/service/status", headers=headers).status


def test_a_key_does_what_its_scopes_allow_and_says_which_they_are() -> None:
    accounts = (AccountOptions(keys=("all", "some"), scopes={"some": ("vms:read", "prices:read")}),)
    with marketplace(**CLOUD, accounts=accounts) as market:
        vm = market.create_vm_cloud("web").vm

        def status(path: str, key: str, method: str = "GET") -> int:
            return ask(market, path, headers={"X-API-KEY": key}, method=method).status

        assert [200, 200, 403, 403, 403, 200] == [
            status(path, "some")
            for path in (
                "/v2/vms",
                "/v1/prices/vm",
                "/v1/storages",
                "/v1/billing/charges/total",
                "/v2/top-ups",
                "/v2/users/balances",
            )
        ]
        assert 403 == status(f"/v2/vms/{vm}/terminate", "some", "POST")
        refusal = ask(market, "/v1/public_ips", headers={"X-API-KEY": "some"}).json()
        assert {"code": "forbidden", "error": "Missing scope public_ip:read"} == refusal
        me = ask(market, "/v1/users/me", headers={"X-API-KEY": "some"}).json()
        assert ["vms:read", "prices:read"] == me["permissions"]

        market.set_scopes(["storage:read"], key="all")

        assert [403, 200] == [status(path, "all") for path in ("/v2/vms", "/v1/storages")]

        market.set_scopes(None, key="all")

        assert 200 == status("/v2/vms", "all")


def test_a_key_expires() -> None:
    with marketplace(**CLOUD) as market:
        market.expire_key()
        answer = ask(market, "/v2/vms")

        assert (401, "API key has expired") == (answer.status, answer.json()["error"])

        market.expire_key(expired=False)

        assert 200 == ask(market, "/v2/vms").status


# Which API.


def test_accounts_may_speak_different_generations() -> None:
    accounts = (
        AccountOptions("old", ("old",), generations=("vms-v3",)),
        AccountOptions("new", ("new",), generations=("cloud-v2",)),
        AccountOptions("gpu", ("gpu",), generations=("gpu", "cloud-v2")),
    )
    with marketplace(start=NOON, generations=(), accounts=accounts) as market:
        paths = ("/vms/v2", "/vms/v3", "/v2/vms", "/gpu/instances/vms")

        assert {"old": [404, 200, 404, 404], "new": [404, 404, 200, 404], "gpu": [404, 404, 200, 200]} == {
            key: [ask(market, path, headers={"X-API-KEY": key}).status for path in paths]
            for key in ("old", "new", "gpu")
        }


@pytest.mark.parametrize(("not_found", "start"), [("json", b"{"), ("html", b"<!DOCTYPE html>")])
def test_a_path_that_is_not_spoken_is_not_found(not_found: str, start: bytes) -> None:
    with marketplace(start=NOON, not_found=not_found) as market:
        answer = ask(market, "/v2/vms")

        assert (404, True) == (answer.status, answer.body.startswith(start))


def test_a_wrong_method_and_an_unknown_id_are_told_apart() -> None:
    with marketplace(**CLOUD) as market:
        assert (405, "code") == (post(market, "/v1/storages").status, next(iter(post(market, "/v1/storages").json())))
        unknown = ask(market, f"/v2/vms/{UNKNOWN_ID}")
        assert (404, "not_found") == (unknown.status, unknown.json()["code"])
        assert 404 == post(market, f"/v2/vms/{UNKNOWN_ID}/terminate").status


def test_the_service_says_its_version_and_whether_it_is_being_maintained() -> None:
    for spec, version in (("0.8", "0.8.210"), ("0.10", "0.10.0"), ("0.13", "0.13.1")):
        with marketplace(**CLOUD, spec=spec) as market:
            assert {"maintenanceMode": False, "version": version} == ask(
                market, "/v1/service/status", headers={}
            ).json()

            market.maintenance()

            assert ask(market, "/v1/service/status", headers={}).json()["maintenanceMode"]


def test_the_oldest_specification_knows_neither_actions_nor_prices() -> None:
    with marketplace(**CLOUD, spec="0.8") as market:
        ids = fleet(market, count=2)[0]
        vm, address = (
            items(market, "/v2/vms?per_page=1&perPage=2&sort=bad&expand=bad")[0],
            items(market, "/v1/public_ips")[0],
        )

        assert not {"allowedActions", "priceHourlyUsd", "expanded", "configurationName"} & set(vm)
        assert (2, 2, 2, 1, 1) == pagination(market, "/v2/vms?per_page=1")
        assert ids.vm == address["attachedTo"]
        assert ["id", "name", "dc_id"] == list(ask(market, "/v1/clusters").json()[0])
        assert {"error"} == set(ask(market, "/v2/vms?page=x").json())


def test_a_later_specification_has_drafts_and_details_of_what_is_wrong() -> None:
    with marketplace(**CLOUD, spec="0.13") as market:
        live = market.create_vm_cloud("live")
        draft = market.create_vm_cloud("draft", draft=True)
        market.advance(timedelta(hours=1))

        assert ["live"] == names(market, "/v2/vms")
        assert [("live", "launched"), ("draft", "draft")] == [
            (vm["name"], vm["status"]) for vm in items(market, "/v3/vms")
        ]
        assert ["draft"] == names(market, "/v3/vms?status[0]=draft")
        assert draft.vm not in market.books().metered
        assert str(draft.ip) in market.books().metered
        assert [406, 406] == [
            post(market, f"/v3/vms/{draft.vm}/terminate").status,
            ask(market, f"/v3/vms/{live.vm}", method="DELETE").status,
        ]
        attached = ask(market, f"/v1/storages/{live.disks[0]}", method="DELETE")
        assert (422, "attached_to_vm", "attached_to_vm") == (
            attached.status,
            attached.json()["code"],
            attached.json()["violations"][0]["code"],
        )

        assert 204 == ask(market, f"/v3/vms/{draft.vm}", method="DELETE").status
        assert ["live"] == names(market, "/v3/vms")
        assert "removed" == ask(market, f"/v1/public_ips?ids={draft.ip}").json()["items"][0]["status"]


def test_a_draft_that_is_provisioned_bills_from_then_on() -> None:
    with marketplace(**CLOUD, spec="0.13") as market:
        vm = market.create_vm_cloud("web", "1", [], None, draft=True).vm
        market.advance(timedelta(hours=5))
        market.provision(vm)
        market.advance(timedelta(hours=1))

        assert {vm: 1_000_000} == market.books().metered
        assert "launched" == ask(market, f"/v3/vms/{vm}").json()["status"]


def test_drafts_are_not_found_before_their_time() -> None:
    with marketplace(**CLOUD) as market:
        assert 404 == ask(market, "/v3/vms").status


def test_the_balance_may_have_several_entries() -> None:
    with marketplace(**CLOUD, balance_keys=("credits", "promo")) as market:
        market.create_vm_cloud("web", "1", [], None)

        assert [("credits", "1000.000000000000", 41), ("promo", "0.000000000000", None)] == [
            (entry["featureKey"], entry["balance"], entry["usageDaysLeft"])
            for entry in ask(market, "/v2/users/balances").json()
        ]
        assert ["promo"] == [
            entry["featureKey"] for entry in ask(market, "/v2/users/balances?entitlementKey=promo").json()
        ]
        assert [] == ask(market, "/v2/users/balances?entitlementKey=none").json()


def test_top_ups_are_listed_newest_first_or_by_amount() -> None:
    with marketplace(**CLOUD) as market:
        for amount in ("20", "10.005", "30"):
            market.top_up(amount)
            market.advance(timedelta(hours=1))

        def cents(query: str) -> list[int]:
            return [item["amountCents"] for item in items(market, f"/v2/top-ups?{query}")]

        assert [[3000, 1000, 2000], [2000, 1000, 3000], [3000, 2000, 1000], [3000, 1000]] == [
            cents(query) for query in ("", "order=asc", "sort=amount", "perPage=2")
        ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"do": "create_vm", "name": "web"}, "price"),
        ({"do": "create_vm", "name": "web", "price": "cheap"}, "not a price"),
        ({"do": "create_vm", "name": "web", "price": "1", "disks": [["0.1"]]}, "whole gigabytes"),
        ({"do": "create_vm", "name": "web", "price": "1", "disks": [["0.1", 0]]}, "at least one gigabyte"),
        ({"do": "create_vm", "name": "web", "price": "1", "colour": "red"}, "colour"),
        ({"do": "create_vm", "name": "web", "price": "1", "account": "nobody"}, "no account"),
        ({"do": "create_disk", "name": "web", "price": "1", "gb": "10"}, "whole gigabytes"),
        ({"do": "create_gpu", "name": "web", "price": "1", "kind": "toaster"}, "container, vm, baremetal"),
        ({"do": "explode"}, "do: one of"),
        ({"do": "detach", "vm": "nobody"}, "no VM 'nobody'"),
        ({"do": "scopes", "key": "nobody", "scopes": None}, "no such key"),
        ({"do": "scopes", "key": KEY, "scopes": "vms:read"}, "a list of texts"),
    ],
)
def test_what_cannot_be_done_to_the_cloud_is_refused(fields: dict[str, Any], reason: str) -> None:
    with marketplace(**CLOUD) as market:
        answer = post(market, "/control/do", body=fields)

        assert 400 == answer.status
        assert reason in answer.json()["error"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"spec": "0.9"}, "spec"),
        ({"not_found": "xml"}, "not_found"),
        ({"page_base": 2}, "page_base"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 101}, "page_size"),
        ({"balance_keys": ()}, "balance_keys"),
        ({"gpu_epoch": timedelta(0)}, "gpu_epoch"),
        ({"charges_lag": timedelta(seconds=-1)}, "charges_lag"),
        ({"accounts": (AccountOptions(generations=("vms-v9",)),)}, "vms-v9"),
    ],
)
def test_options_of_the_cloud_that_cannot_be_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason), marketplace(**CLOUD | options):
        pass
