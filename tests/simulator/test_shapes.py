"""The objects on the wire, compared with the samples of the API's documentation character for character."""

from __future__ import annotations

import json
from datetime import time, timedelta
from typing import Any

import pytest

from tests.servers.marketplace import KEY, ControlRefused, Marketplace, marketplace
from tests.simulator.asking import ask, at, listed

ID = "0x3aF10c5bD2e94477A1B0E6dE3c5F0912aB77C4d1"
AMD = {"manufacturer": "AMD", "brand": "EPYC", "architecture": "Zen", "generation": "3"}
NOTHING_ELSE = {"os_image": None, "datacenter": None, "public_ip": None, "ports": None}

SEED = (
    '[{"id":"0x3aF10c5bD2e94477A1B0E6dE3c5F0912aB77C4d1","vmName":"ci-runner-2","status":"ACTIVE","pricePerEpoch":412500,'
    '"resources":[{"type":"VCPU","quantity":4,"metadata":{"manufacturer":"AMD","brand":"EPYC","architecture":"Zen",'
    '"generation":"3"},"details":{"model":"7543"}},'
    '{"type":"RAM","quantity":8192,"metadata":{"type":"DDR","generation":"4"},"details":{}},'
    '{"type":"STORAGE","quantity":51200,"metadata":{"type":"NVMe"}},'
    '{"type":"PUBLIC_IP","quantity":1,"metadata":{"version":"4"},"details":{}}]}]'
)
RICH = SEED.removesuffix("}]") + (
    ',"createdAt":"+002025-04-11T08:02:31.000000000Z","nextBillingAt":"+002025-04-19T17:59:55.000000000Z",'
    '"reservedBalance":"412500","totalSpent":"3712500"}]'
)
V3 = (
    '[{"id":"0x91c2E7b40A63f5D8102aBc4400Ee7D19f3A5e802","vmName":"etl-worker","status":"Active","pricePerEpoch":"0.41250",'
    '"resources":[{"type":"VCPU","quantity":4,"metadata":{"manufacturer":"AMD","architecture":"Zen"},"details":null},'
    '{"type":"RAM","supply":8,"units":"GiB","metadata":{"type":"DDR","generation":"4"},"details":null},'
    '{"type":"STORAGE","supply":50,"units":"GiB","metadata":{"type":"NVMe"},"details":null},'
    '{"type":"PUBLIC_IP","quantity":1,"metadata":{"version":"4"},"details":null}],'
    '"osImage":"https://images.example.net/ubuntu-24.04.img",'
    '"datacenter":{"countryCode":"PL","cityCode":"WAW","cityIndex":1,"tier":3,"certifications":["ISO 27001"]},'
    '"publicIp":"203.0.113.18","ports":[{"port":22,"protocol":"tcp"},{"port":443,"protocol":"tcp"}],'
    '"reservedBalance":".41250","totalSpent":"5.36250",'
    '"createdAt":"2025-11-03T09:14:22Z","nextBillingAt":"2025-11-16T09:17:40Z","statusChangedAt":"2025-11-03T09:17:40Z"}]'
)


def parts(*rows: tuple[str, int, dict[str, str], dict[str, Any] | None]) -> list[dict[str, Any]]:
    return [{"type": kind, "quantity": n, "metadata": metadata, "details": d} for kind, n, metadata, d in rows]


def create_sample(market: Marketplace) -> str:
    return market.create(
        "ci-runner-2",
        "0.412500",
        id=ID,
        resources=parts(
            ("VCPU", 4, AMD, {"model": "7543"}),
            ("RAM", 8192, {"type": "DDR", "generation": "4"}, {}),
            ("STORAGE", 51200, {"type": "NVMe"}, None),
            ("PUBLIC_IP", 1, {"version": "4"}, {}),
        ),
        **NOTHING_ELSE,
    )


def test_the_first_pages_object_has_five_fields_and_a_whole_price() -> None:
    with marketplace(start=at("2025-04-11 08:02:31")) as market:
        create_sample(market)

        assert SEED == ask(market, "/vms/v2").body.decode()


def test_the_richer_object_adds_long_instants_and_totals_in_digits() -> None:
    with marketplace(start=at("2025-04-11 08:02:31"), flavour="rich", anchor=time(17, 59, 55)) as market:
        create_sample(market)
        market.set_clock(at("2025-04-19 12:00"))

        assert RICH == ask(market, "/vms/v2").body.decode()


def test_the_object_of_vms_v3_has_decimal_strings_and_supplies() -> None:
    with marketplace(
        start=at("2025-11-03 09:14:22"), policy="per_vm", launch_time=timedelta(minutes=3, seconds=18)
    ) as market:
        market.create(
            "etl-worker",
            "0.41250",
            id="0x91c2E7b40A63f5D8102aBc4400Ee7D19f3A5e802",
            resources=parts(
                ("VCPU", 4, {"manufacturer": "AMD", "architecture": "Zen"}, None),
                ("RAM", 8192, {"type": "DDR", "generation": "4"}, None),
                ("STORAGE", 51200, {"type": "NVMe"}, None),
                ("PUBLIC_IP", 1, {"version": "4"}, None),
            ),
            public_ip="203.0.113.18",
            ports=[{"port": 22, "protocol": "tcp"}, {"port": 443, "protocol": "tcp"}],
            datacenter={
                "countryCode": "PL", "cityCode": "WAW", "cityIndex": 1, "tier": 3, "certifications": ["ISO 27001"],
            },
        )  # fmt: skip
        market.set_clock(at("2025-11-15 12:00"))

        assert V3 == ask(market, "/vms/v3").body.decode()


def test_on_the_way_to_vms_v3_the_old_path_shows_decimal_prices_and_supplies_as_text() -> None:
    with marketplace(start=at("2025-04-30 12:00"), flavour="transition") as market:
        market.create("web", "2.4352")
        vm = listed(market, "/vms/v2")[0]

        assert ("Active", "2.4352", "2025-04-30T12:00:00Z") == (vm["status"], vm["pricePerEpoch"], vm["createdAt"])
        assert ("4096", "MiB") == (vm["resources"][1]["supply"], vm["resources"][1]["units"])


def test_a_vm_is_launching_without_an_address_and_hidden_from_the_list_at_first() -> None:
    options: dict[str, Any] = {"launch_time": timedelta(minutes=5), "listing_delay": timedelta(seconds=10)}
    with marketplace(start=at("2026-03-01 12:00"), flavour="rich", **options) as market:
        vm = market.create("web")

        assert ([], []) == (listed(market, "/vms/v2"), listed(market, "/vms/v3"))

        market.advance(timedelta(seconds=10))

        assert ("Launching", None) == (listed(market)[0]["status"], listed(market)[0]["publicIp"])
        assert "LAUNCHING" == listed(market, "/vms/v2")[0]["status"]
        assert "publicIp" not in listed(market, "/vms/v2")[0]

        market.advance(timedelta(minutes=5))

        assert "Active" == listed(market)[0]["status"]
        assert [
            {"id": vm, "status": "Active", "statusChangedAt": "2026-03-01T12:05:00Z", "publicIp": "203.0.113.2"}
        ] == listed(market, f"/vms/v3/status?ids=0x00,{vm}")


def test_the_next_charge_is_the_first_boundary_of_the_network_wherever_that_lies() -> None:
    with marketplace(start=at("2025-05-01 11:23:05"), anchor=time(11, 55, 9)) as market:
        market.create("web", "0.30697")

        assert "2025-05-01T11:55:09Z" == listed(market)[0]["nextBillingAt"]
        assert (".30697", "0.30697") == (listed(market)[0]["reservedBalance"], listed(market)[0]["totalSpent"])


def test_a_wobbling_next_charge_differs_from_answer_to_answer_and_not_from_run_to_run() -> None:
    def answers() -> list[str]:
        with marketplace(start=at("2026-03-01 12:00"), next_billing_wobble=timedelta(minutes=2)) as market:
            market.create("web")
            return [listed(market)[0]["nextBillingAt"] for _ in range(20)]

    seen = answers()

    assert len(set(seen)) > 10
    assert all("2026-03-01T17:53:00Z" <= text <= "2026-03-01T17:57:00Z" for text in seen)
    assert seen == answers()


@pytest.mark.parametrize(
    ("accepted", "body", "status"),
    [
        pytest.param("vmId", {"vmId": ID}, 200, id="one id by the first page"),
        pytest.param("vmId", {"vmIds": [ID]}, 400, id="a list where one id is wanted"),
        pytest.param("vmIds", {"vmIds": [ID.lower()]}, 200, id="a list, and ids in other case"),
        pytest.param("vmIds", {"vmId": ID}, 400, id="one id where a list is wanted"),
        pytest.param("both", {"vmId": ID}, 200, id="both: one id"),
        pytest.param("both", {"vmIds": [ID]}, 200, id="both: a list"),
        pytest.param("both", {"vmIds": [ID, "0x00"]}, 404, id="a stranger among them: nothing is deleted"),
        pytest.param("both", {}, 400, id="nothing named"),
        pytest.param("both", [ID], 400, id="no object"),
        pytest.param("both", {"vmIds": ID}, 400, id="text for a list"),
    ],
)
def test_deleting_takes_the_body_that_is_set(accepted: str, body: object, status: int) -> None:
    with marketplace(start=at("2026-03-01 12:00"), delete_body=accepted) as market:
        market.create("web", id=ID)
        answer = ask(market, "/vms/v3", method="DELETE", body=body)

        assert status == answer.status
        assert [] == listed(market) if status == 200 else [ID] == [vm["id"] for vm in listed(market)]


def test_the_receipt_of_a_deletion_names_what_was_removed() -> None:
    with marketplace(start=at("2026-03-01 12:00")) as market:
        market.create("web", id=ID)
        receipt = ask(market, "/vms/v3", method="DELETE", body={"vmIds": [ID]}).json()

        assert [ID] == receipt["removed_ids"]
        assert [66] == [len(transaction) for transaction in receipt["transactions"]]


def test_what_its_user_deleted_may_stay_listed_as_stopped() -> None:
    with marketplace(start=at("2026-03-01 12:00"), keep_stopped=True) as market:
        vm = market.create("web")
        market.delete(vm)

        assert ("Stopped", None) == (listed(market)[0]["status"], listed(market)[0]["datacenter"])
        assert 0 == market.books().reserved
        assert [] == listed(market, "/vms/v2")


def test_both_generations_rename_and_set_ports() -> None:
    with marketplace(start=at("2026-03-01 12:00")) as market:
        vm = market.create("web")
        ports = [{"port": 443, "protocol": "tcp"}]

        assert 204 == ask(market, "/vms/v2", method="PATCH", body={"id": vm, "vmName": "one"}).status
        assert "one" == listed(market, "/vms/v2")[0]["vmName"]

        update = {"updates": [{"id": vm, "vmName": "two", "openPorts": ports}]}

        assert 204 == ask(market, "/vms/v3", method="PATCH", body=update).status
        assert ("two", ports) == (listed(market)[0]["vmName"], listed(market)[0]["ports"])
        assert 404 == ask(market, "/vms/v2", method="PATCH", body={"id": "0x00", "vmName": "x"}).status
        assert 400 == ask(market, "/vms/v3", method="PATCH", body={"id": vm}).status


@pytest.mark.parametrize(
    ("auth", "headers", "status"),
    [
        pytest.param("both", {"X-API-KEY": KEY}, 200, id="a key of its own header"),
        pytest.param("both", {"Authorization": f"Bearer {KEY}"}, 200, id="a bearer"),
        pytest.param("both", {"Authorization": f"X-API-KEY {KEY}"}, 403, id="the scheme of wrong documentation"),
        pytest.param("both", {"Authorization": "Bearer no", "X-API-KEY": KEY}, 403, id="two keys: the bearer counts"),
        pytest.param("both", {"X-API-KEY": "wrong"}, 403, id="an unknown key"),
        pytest.param("both", {}, 403, id="no key"),
        pytest.param("x-api-key", {"Authorization": f"Bearer {KEY}"}, 403, id="bearers refused"),
        pytest.param("bearer", {"X-API-KEY": KEY}, 403, id="only bearers taken"),
    ],
)
def test_a_key_opens_its_account_and_nothing_else_does(auth: str, headers: dict[str, str], status: int) -> None:
    with marketplace(auth=auth) as market:
        answer = ask(market, "/vms/v3", headers=headers)

        assert status == answer.status
        assert status == 200 or b'{"error":"Auth failed. No such API Key"}' == answer.body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/vms", 404),
        ("GET", "/v3/vms", 404),
        ("GET", "/v1/service/status", 404),
        ("GET", "/vms/v2/", 404),
        ("POST", "/vms/v2", 405),
        ("GET", "/vms/v3/status", 400),
    ],
)
def test_other_paths_and_methods_are_errors_in_json(method: str, path: str, status: int) -> None:
    with marketplace() as market:
        answer = ask(market, path, method=method)

        assert status == answer.status
        assert ["error"] == list(answer.json())


def test_a_marketplace_may_speak_one_generation_only() -> None:
    with marketplace(generations=("vms-v2",)) as market:
        assert [200, 405] == [ask(market, path).status for path in ("/vms/v2", "/vms/v3")]
    with marketplace(generations=("vms-v3",)) as market:
        assert [404, 200] == [ask(market, path).status for path in ("/vms/v2", "/vms/v3")]


def test_an_id_is_given_once() -> None:
    with marketplace() as market:
        market.create("one", id=ID)
        with pytest.raises(ControlRefused, match="has or had"):
            market.create("two", id=ID.lower())


def test_a_whole_dollar_keeps_the_decimals_it_was_given() -> None:
    with marketplace(start=at("2026-03-01 12:00")) as market:
        for name, price in (("a", "2"), ("b", "2.00"), ("c", ".5"), ("d", "0")):
            market.create(name, price)

        assert ["2", "2.00", "0.5", "0"] == [vm["pricePerEpoch"] for vm in listed(market)]
        assert ["2", "2.00", ".5", "0"] == [vm["reservedBalance"] for vm in listed(market)]
        assert [2_000_000, 2_000_000, 500_000, 0] == [vm["pricePerEpoch"] for vm in listed(market, "/vms/v2")]
        assert json.dumps(listed(market))
