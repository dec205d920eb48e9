"""Generation `vms-v3`: everything under `/vms/v3`, money in decimal strings, records of ended VMs stay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..books import dollars
from ..fleet import Resource, Vm
from ..market import Market
from ..wire import Answer, BadRequest, Request, Route, error
from . import removal

LIST_PATH = "/vms/v3"
STATUS_PATH = "/vms/v3/status"
MIB_PER_GIB = 1024


def list_vms(market: Market, request: Request) -> Answer:
    vms = market.listed(request.account)
    return Answer(200, [render(vm, market, answer=request.number) for vm in vms], listed=True)


def statuses(market: Market, request: Request) -> Answer:
    """The statuses of the ids that were asked for, without those that are not in the list."""
    wanted = [word.lower() for word in request.query.get("ids", "").split(",") if word]
    if not wanted:
        raise BadRequest("Query deserialize error: missing field `ids`")
    return Answer(200, [_brief(vm) for vm in market.listed(request.account) if vm.id.lower() in wanted])


def update(market: Market, request: Request) -> Answer:
    """`{"updates": [{id, vmName?, openPorts?}]}`: all of them or none."""
    updates = request.json_object().get("updates")
    if not isinstance(updates, list) or not all(isinstance(item, dict) and "id" in item for item in updates):
        raise BadRequest("Json deserialize error: missing field `updates`")
    own = {vm.id.lower(): vm for vm in market.listed(request.account)}
    if unknown := [str(item["id"]) for item in updates if str(item["id"]).lower() not in own]:
        return error(404, f"VM not found: {', '.join(unknown)}")
    for item in updates:
        apply_update(market, own[item["id"].lower()], item)
    return Answer(204)


def apply_update(market: Market, vm: Vm, item: dict[str, Any]) -> None:
    if isinstance(item.get("vmName"), str):
        market.rename(vm, item["vmName"])
    if isinstance(item.get("openPorts"), list):
        vm.ports = item["openPorts"]


def render(vm: Vm, market: Market, *, answer: int) -> dict[str, Any]:
    """One VM. The reserve is written without its leading zero, as the marketplace does; that of an ended VM too."""
    books, next_charge = market.books[vm.account], market.next_charge(vm, answer=answer)
    reserve = dollars(books.reserve_of(vm.id), decimals=vm.decimals)
    rendered = {
        "id": vm.id,
        "vmName": vm.name,
        "status": vm.reported_status,
        "pricePerEpoch": dollars(vm.price, decimals=vm.decimals),
        "resources": [_resource(part) for part in vm.resources],
        "osImage": vm.os_image,
        "datacenter": _datacenter(vm) if vm.live else None,
        "publicIp": vm.public_ip if vm.has_address else None,
        "ports": vm.ports,
        "reservedBalance": reserve[1:] if reserve.startswith("0.") else reserve,
        "totalSpent": dollars(books.charged(vm.id), decimals=vm.decimals),
        "createdAt": instant(vm.created_at),
    }
    if next_charge is not None:
        rendered["nextBillingAt"] = instant(next_charge)
    return rendered | {"statusChangedAt": instant(vm.status_changed_at)}


def instant(moment: datetime) -> str:
    """An instant as this generation writes it: whole seconds, Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _datacenter(vm: Vm) -> dict[str, Any] | None:
    """Its `id` is documented and never answered."""
    return None if vm.datacenter is None else {name: vm.datacenter[name] for name in vm.datacenter if name != "id"}


def _resource(part: Resource) -> dict[str, Any]:
    rendered: dict[str, Any] = {"type": part.type}
    if part.type in ("RAM", "STORAGE"):
        whole, rest = divmod(part.quantity, MIB_PER_GIB)
        rendered |= {"supply": part.quantity, "units": "MiB"} if rest else {"supply": whole, "units": "GiB"}
    else:
        rendered["quantity"] = part.quantity
    return rendered | {"metadata": part.metadata, "details": part.details or None}


def _brief(vm: Vm) -> dict[str, Any]:
    brief = {"id": vm.id, "status": vm.reported_status, "statusChangedAt": instant(vm.status_changed_at)}
    return brief | {"publicIp": vm.public_ip} if vm.has_address and vm.public_ip is not None else brief


ROUTES = (
    Route("GET", LIST_PATH, list_vms),
    Route("GET", STATUS_PATH, statuses),
    Route("PATCH", LIST_PATH, update),
    removal.ROUTE,
)
