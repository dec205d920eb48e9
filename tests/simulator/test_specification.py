"""The answers of `cloud-v2` against the published specification, where that lies beside the project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.servers.marketplace import CloudIds, Marketplace, marketplace
from tests.simulator.asking import ask, at

FILE = Path(__file__).resolve().parents[2].parent / "shared" / "fluence-openapi-0.10.0.json"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is not there; it is not part of the project")

LISTS = (
    ("/v2/vms", ""),
    (
        "/v2/vms",
        "?expand[0]=bootDisk&expand[1]=dataDisks&expand[2]=publicIp&expand[3]=networkInterfaces&page=2&perPage=1",
    ),
    ("/v1/storages", "?sort=name&order=desc"),
    ("/v1/public_ips", "?excludeAttached=true"),
    ("/v2/users/balances", ""),
    ("/v2/users/balances", "?entitlementKey=none"),
    ("/v1/billing/charges/aggregated", "?startDate=2026-03-01&endDate=2026-03-31"),
    ("/v1/billing/charges/aggregated", "?startDate=2026-03-01&endDate=2026-03-31&groupBy=RESOURCE&period=DAY"),
    ("/v1/billing/charges/aggregated", "?startDate=2026-03-01&endDate=2026-03-31&groupBy=RESOURCE_TYPE&period=MONTH"),
    ("/v1/billing/charges/aggregated", "?startDate=2026-03-01&endDate=2026-03-31&groupBy=CLUSTER"),
    ("/v1/billing/charges/total", ""),
    ("/v2/top-ups", ""),
    ("/v1/prices/vm", ""),
    ("/v1/prices/storage", ""),
    ("/v1/prices/public-ip", ""),
    ("/v1/configurations/virtual_machines", ""),
    ("/v1/clusters", ""),
    ("/v1/datacenters", ""),
    ("/v1/users/me", ""),
    ("/v1/service/status", ""),
)


@cache
def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return parsed


def problems(answer: Any, *, path: str, method: str, status: int) -> list[str]:
    """Where an answer differs from the schema of its operation and status; fields that it does not know differ too."""
    operation = document()["paths"][path][method.lower()]
    schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
    validator = Draft202012Validator(
        closed({**schema, "components": document()["components"]}), format_checker=FormatChecker()
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer)]


def closed(schema: Any) -> Any:
    """The schema with every object that names its properties taking no others; markers without any stay open."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    return (
        inner | {"additionalProperties": inner.get("additionalProperties", False)}
        if "properties" in inner and "type" in inner
        else inner
    )


@pytest.fixture
def lively() -> Iterator[tuple[Marketplace, CloudIds]]:
    """VMs, disks and addresses in every state of their lives."""
    with marketplace(
        start=at("2026-03-01 12:00:07.5"),
        generations=("cloud-v2",),
        delete_latency=timedelta(minutes=5),
        launch_time=timedelta(minutes=5),
    ) as market:
        ids = [
            market.create_vm_cloud(name, disks=[("0.01", 10), ("0.02", 20)]) for name in ("one", "two", "three", "four")
        ]
        market.create_disk("spare", "0.033", 30, kind="SSD/replicated")
        market.create_ip("spare-ip")
        market.top_up("25.50")
        market.advance(timedelta(days=2))
        market.delete(ids[1].vm)
        market.advance(timedelta(minutes=10))
        market.delete(ids[1].disks[0])
        market.delete(str(ids[1].ip))
        market.delete(ids[2].vm)
        market.fail(ids[3].vm)
        market.create_vm_cloud("new")
        market.detach(ids[0].disks[1])
        yield market, ids[0]


@pytest.mark.parametrize(("path", "query"), LISTS)
def test_every_list_is_as_specified(lively: tuple[Marketplace, CloudIds], path: str, query: str) -> None:
    answer = ask(lively[0], path + query)

    assert 200 == answer.status
    assert [] == problems(answer.json(), path=path, method="GET", status=200)


def test_every_object_and_every_action_is_as_specified(lively: tuple[Marketplace, CloudIds]) -> None:
    market, ids = lively
    spare, spare_ip = (market.resource(name)["id"] for name in ("spare", "spare-ip"))
    asked = (
        ("GET", "/v2/vms/{vm_id}", ids.vm, "?expand[0]=bootDisk"),
        ("GET", "/v1/storages/{storage_id}", ids.disks[0], ""),
        ("POST", "/v2/vms/{vm_id}/terminate", ids.vm, ""),
        ("DELETE", "/v1/storages/{storage_id}", spare, ""),
        ("DELETE", "/v1/public_ips/{public_ip_id}", spare_ip, ""),
    )
    for method, path, id, query in asked:
        answer = ask(market, f"{path.partition('{')[0]}{id}{path.partition('}')[2]}{query}", method=method)

        assert 200 == answer.status
        assert [] == problems(answer.json(), path=path, method=method, status=200)


def test_every_error_is_as_specified(lively: tuple[Marketplace, CloudIds]) -> None:
    market, ids = lively
    market.set_scopes(["vms:read", "storage:read", "storage:write"])
    cases = (
        (400, "GET", "/v2/vms", ask(market, "/v2/vms?page=x")),
        (401, "GET", "/v2/vms", ask(market, "/v2/vms", headers={})),
        (403, "GET", "/v1/public_ips", ask(market, "/v1/public_ips")),
        (422, "DELETE", "/v1/storages/{storage_id}", ask(market, f"/v1/storages/{ids.disks[0]}", method="DELETE")),
    )
    for status, method, path, answer in cases:
        assert status == answer.status
        assert [] == problems(answer.json(), path=path, method=method, status=status)

    unknown = ask(market, f"/v2/vms/{UNKNOWN_ID}")
    schema = {"$ref": "#/components/schemas/ErrorBody", "components": document()["components"]}

    assert [] == list(Draft202012Validator(schema).iter_errors(unknown.json()))


def test_parameters_and_prices_hidden_are_as_specified() -> None:
    with marketplace(generations=("cloud-v2",), prices_shown=False, paid_window=False) as market:
        market.create_vm_cloud("web")
        for path in ("/v2/vms", "/v1/storages", "/v1/public_ips"):
            assert [] == problems(ask(market, path).json(), path=path, method="GET", status=200)
            names = {parameter["name"] for parameter in document()["paths"][path]["get"]["parameters"]}
            assert {"ids", "name", "status", "excludeStatus", "sort", "order", "page", "perPage"} <= names


def test_what_differs_is_noticed() -> None:
    assert problems([{"balance": 5}], path="/v2/users/balances", method="GET", status=200)
    assert problems(
        {"maintenanceMode": False, "version": "1", "more": 1}, path="/v1/service/status", method="GET", status=200
    )
