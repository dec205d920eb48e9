"""The GPU cloud: clock hours, refunds, and what only details say."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from fluence_costwatch.simulator import AccountOptions, read_script
from tests.servers.marketplace import ControlRefused, Marketplace, marketplace
from tests.simulator.asking import ask, at, listed

NOON = at("2026-03-01 12:00")
GPU: dict[str, Any] = {"start": NOON, "generations": ("gpu",)}
PATHS = {"container": "/gpu/instances/", "vm": "/gpu/instances/vms/", "baremetal": "/gpu/instances/baremetal/"}


def detail(market: Marketplace, id: str, kind: str = "container") -> dict[str, Any]:
    rendered: dict[str, Any] = ask(market, PATHS[kind] + id).json()
    return rendered


def epochs(market: Marketplace, id: str) -> list[tuple[datetime, datetime, int]]:
    return [(charge.epoch_start, charge.epoch_end, charge.amount) for charge in market.books().of(id)]


def test_from_two_minutes_before_to_two_after_the_full_hour_are_two_charges() -> None:
    with marketplace(**GPU | {"start": at("2026-03-01 12:58")}) as market:
        id = market.create_gpu("train", "1.92")
        market.set_clock(at("2026-03-01 13:02"))
        market.delete(id)
        market.advance(timedelta(days=1))

        assert [
            (at("2026-03-01 12:58"), at("2026-03-01 13:00"), 1_920_000),
            (at("2026-03-01 13:00"), at("2026-03-01 14:00"), 1_920_000),
        ] == epochs(market, id)
        assert (1_000_000_000 - 2 * 1_920_000, 0) == (market.books().balance, market.books().reserved)


def test_three_hours_are_taken_on_deployment_and_two_of_them_held() -> None:
    with marketplace(**GPU) as market:
        id = market.create_gpu("train", "1.22")

        assert 1_000_000_000 - 3 * 1_220_000 == market.books().balance
        assert {
            "hourly_usage": 1.22,
            "total_spendings": 1.22,
            "reserved_amount": 2.44,
            "next_billing_period": "2026-03-01T13:00:00Z",
        } == detail(market, id)["billing"]

        market.advance(timedelta(hours=1))

        assert (2.44, 2.44) == tuple(
            detail(market, id)["billing"][name] for name in ("total_spendings", "reserved_amount")
        )


def test_amounts_are_json_numbers_rounded_to_cents() -> None:
    with marketplace(**GPU) as market:
        id = market.create_gpu("train", "0.755")
        market.advance(timedelta(hours=1))

        assert (
            b'"hourly_usage":0.76,"total_spendings":1.51,"reserved_amount":1.51'
            in ask(market, PATHS["container"] + id).body
        )


@pytest.mark.parametrize(
    ("kind", "field"), [("container", "instance_status"), ("vm", "status"), ("baremetal", "status")]
)
def test_each_kind_has_a_list_and_details_of_its_own(kind: str, field: str) -> None:
    with marketplace(**GPU, launch_time=timedelta(minutes=3)) as market:
        id = market.create_gpu("train", kind=kind)
        lists = {
            name: ask(market, path if name == "container" else path.rstrip("/")).json() for name, path in PATHS.items()
        }

        assert {name: [id] if name == kind else [] for name in PATHS} == {
            name: [item["id"] for item in items] for name, items in lists.items()
        }
        assert ("INITIALIZED", False) == (lists[kind][0][field], "billing" in lists[kind][0])
        assert ("INITIALIZED", None) == (detail(market, id, kind)[field], detail(market, id, kind)["network"])

        market.advance(timedelta(minutes=3))
        active = detail(market, id, kind)

        assert "ACTIVE" == active[field]
        assert ("2026-03-01T12:00:00.000000Z", "2026-03-01T12:03:00.000000Z") == (
            active["created_at"],
            active["updated_at"],
        )
        assert 404 == ask(market, PATHS["vm" if kind == "container" else "container"] + id).status


def test_the_environment_of_a_container_holds_a_secret() -> None:
    with marketplace(**GPU) as market:
        id = market.create_gpu("train", environment={"TOKEN": "hush"})

        assert {"TOKEN": "hush"} == detail(market, id)["container_info"]["environment"]
        assert b"hush" not in ask(market, PATHS["container"]).body


def test_only_what_is_active_can_be_deleted_and_history_stays() -> None:
    with marketplace(**GPU, launch_time=timedelta(minutes=3)) as market:
        id = market.create_gpu("train", kind="vm")
        path = PATHS["vm"] + id
        early = ask(market, path, method="DELETE")

        assert (400, str) == (early.status, type(early.json()["detail"]))

        market.advance(timedelta(minutes=3))
        first, second = (ask(market, path, method="DELETE") for _ in range(2))

        assert (204, b"", 400) == (first.status, first.body, second.status)
        assert ["ENDED"] == [item["status"] for item in listed(market, "/gpu/instances/vms")]
        assert {
            "hourly_usage": 0,
            "total_spendings": 1.92,
            "reserved_amount": 0,
            "next_billing_period": None,
        } == detail(market, id, "vm")["billing"]
        assert (404, {"detail": "Instance not found"}) == (
            ask(market, path[:-1] + "0", method="DELETE").status,
            ask(market, path[:-1] + "0").json(),
        )


def test_what_failed_is_refunded_in_full() -> None:
    with marketplace(**GPU, launch_time=timedelta(minutes=30)) as market:
        id = market.create_gpu("train", "1.92")
        market.advance(timedelta(minutes=10))
        market.fail(id)
        market.advance(timedelta(days=1))

        assert (1_000_000_000, 0, {}) == (market.books().balance, market.books().reserved, market.books().total_by_vm)
        assert ("FAILED", 0) == (
            detail(market, id)["instance_status"],
            detail(market, id)["billing"]["total_spendings"],
        )
        assert ["charge", "reserve", "refund", "reversal"] == [entry["kind"] for entry in market.entries()[1:]]


def test_a_list_may_say_failed_where_the_detail_says_ended() -> None:
    with marketplace(**GPU, gpu_lists_failed=True) as market:
        id = market.create_gpu("train")
        market.terminate(id)

        assert ("FAILED", "ENDED") == (
            listed(market, PATHS["container"])[0]["instance_status"],
            detail(market, id)["instance_status"],
        )


def test_an_empty_account_pays_from_what_is_held_and_then_the_instance_ends() -> None:
    with marketplace(**GPU, accounts=(AccountOptions(balance="4.5"),)) as market:
        id = market.create_gpu("train", "1")
        market.advance(timedelta(hours=3))

        assert [False, False, True, True] == [charge.from_reserve for charge in market.books().of(id)]

        market.top_up("1")
        market.advance(timedelta(hours=1))

        assert "ACTIVE" == detail(market, id)["instance_status"]

        market.advance(timedelta(hours=2))

        assert "ENDED" == detail(market, id)["instance_status"]
        assert 5_000_000 == market.books().total
        with pytest.raises(ControlRefused, match="3 hours"):
            market.create_gpu("more", "1")


def test_a_price_holds_from_the_next_hour_on_and_a_deletion_may_take_its_time() -> None:
    with marketplace(**GPU, delete_latency=timedelta(minutes=10)) as market:
        id = market.create_gpu("train", "1")
        market.set_price(id, "2")
        market.advance(timedelta(minutes=55))
        market.delete(id)
        market.rename(id, "trained")
        market.set_status(id, "PAUSED")

        assert "PAUSED" == detail(market, id)["instance_status"]

        market.advance(timedelta(hours=5))

        assert [1_000_000, 2_000_000] == [charge.amount for charge in market.books().of(id)]
        assert ("trained", "ENDED") == (detail(market, id)["name"], detail(market, id)["instance_status"])


def test_epochs_may_be_shorter_for_a_quick_trial() -> None:
    with marketplace(**GPU, gpu_epoch=timedelta(seconds=10)) as market:
        id = market.create_gpu("train", "1")
        market.advance(timedelta(minutes=1))

        assert 7 == len(market.books().of(id))


def test_the_slash_at_the_end_matters() -> None:
    with marketplace(**GPU) as market:
        answer = ask(market, "/gpu/instances")

        assert (307, "/gpu/instances/") == (answer.status, answer.headers["Location"])


def test_keys_that_are_wrong_or_read_only_are_refused() -> None:
    accounts = (AccountOptions(keys=("all", "reader"), scopes={"reader": ("vms:read", "billing:get_history")}),)
    with marketplace(**GPU, accounts=accounts) as market:
        answers = [ask(market, PATHS["container"], headers={"X-API-KEY": key}) for key in ("all", "reader", "wrong")]

        assert [200, 403, 401] == [answer.status for answer in answers]
        assert [list, dict, dict] == [type(answer.json()) for answer in answers]
        assert "detail" in answers[2].json()


def test_a_script_can_rent_and_end_everything() -> None:
    script = [
        {"do": "create_vm", "vm": "web", "name": "web", "price": "0.5", "disks": [["0.1", 10], ["0.1", 20, "HDD"]], "ip_price": "0.01"},
        {"do": "create_gpu", "vm": "g", "name": "train", "price": "1"},
        {"at": 3600, "do": "delete", "vm": "web"},
        {"at": 3600, "do": "price", "vm": "web-data-1", "price": "0.2"},
        {"at": 7200, "do": "delete", "vm": "web-boot"},
        {"at": 7200, "do": "delete", "vm": "g"},
        {"at": 7200, "do": "maintenance", "on": True},
        {"at": 7200, "do": "expire", "key": "demo-key"},
    ]  # fmt: skip
    with marketplace(start=NOON, generations=("cloud-v2", "gpu"), script=read_script(script)) as market:
        market.advance(timedelta(hours=4))

        assert [] == market.script_failures()
        assert {"web": 500_000, "web-boot": 200_000, "web-data-1": 700_000, "web-ip": 40_000} == {
            resource["name"]: market.books().metered[resource["id"]]
            for resource in market.resources()
            if resource["id"] in market.books().metered
        }
        assert 3_000_000 == market.books().total
        assert ask(market, "/v1/service/status").json()["maintenanceMode"]
        assert 401 == ask(market, "/v2/vms").status
