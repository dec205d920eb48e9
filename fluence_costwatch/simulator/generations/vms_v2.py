"""Generation `vms-v2`: `GET /vms/v2`, money in whole base units, only what is active.

Three flavours: `seed` (the first page's object), `rich` (days later: charge times, totals as strings of digits) and
`transition` (on the way to `vms-v3`: title-case status, decimal strings, supplies as strings).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..fleet import LAUNCHING, Resource, Vm
from ..market import Market
from ..wire import Answer, BadRequest, Request, Route, error
from . import removal, vms_v3

LIST_PATH = "/vms/v2"


def list_vms(market: Market, request: Request) -> Answer:
    vms = [vm for vm in market.listed(request.account) if vm.live]
    return Answer(200, [render(vm, market, answer=request.number) for vm in vms], listed=True)


def update(market: Market, request: Request) -> Answer:
    """`{id, vmName?, openPorts?}`; the ports replace the whole set."""
    body = request.json_object()
    if not isinstance(body.get("id"), str):
        raise BadRequest("Json deserialize error: missing field `id`")
    vm = next((vm for vm in market.listed(request.account) if vm.id.lower() == body["id"].lower()), None)
    if vm is None:
        return error(404, f"VM not found: {body['id']}")
    vms_v3.apply_update(market, vm, body)
    return Answer(204)


def render(vm: Vm, market: Market, *, answer: int) -> dict[str, Any]:
    """One VM, in the fields and their order of the flavour that is set."""
    if market.options.flavour == "transition":
        return _transitional(vms_v3.render(vm, market, answer=answer))
    rendered: dict[str, Any] = {
        "id": vm.id,
        "vmName": vm.name,
        "status": _status(vm),
        "pricePerEpoch": vm.price,
        "resources": [_resource(part) for part in vm.resources],
    }
    return rendered | _riches(vm, market, answer=answer) if market.options.flavour == "rich" else rendered


def long_instant(moment: datetime) -> str:
    """An instant as this generation writes it: a six-digit year and nine decimals."""
    utc = moment.astimezone(UTC)
    return f"+00{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond:06}000Z"


def _riches(vm: Vm, market: Market, *, answer: int) -> dict[str, Any]:
    books, next_charge = market.books[vm.account], market.next_charge(vm, answer=answer)
    optional: dict[str, Any] = {
        "createdAt": long_instant(vm.created_at),
        "nextBillingAt": None if next_charge is None else long_instant(next_charge),
        "osImage": vm.os_image,
        "datacenter": vm.datacenter,
        "publicIp": vm.public_ip if vm.has_address else None,
        "ports": vm.ports,
        "reservedBalance": str(books.reserve_of(vm.id)),
        "totalSpent": str(books.charged(vm.id)),
    }
    return {name: value for name, value in optional.items() if value is not None}


def _status(vm: Vm) -> str:
    if vm.shown_status is not None:
        return vm.shown_status
    return "LAUNCHING" if vm.status == LAUNCHING else "ACTIVE"


def _resource(part: Resource) -> dict[str, Any]:
    rendered = {"type": part.type, "quantity": part.quantity, "metadata": part.metadata}
    return rendered if part.details is None else rendered | {"details": part.details}


def _transitional(rendered: dict[str, Any]) -> dict[str, Any]:
    for part in rendered["resources"]:
        if part.get("units") == "GiB":
            part.update(supply=str(part["supply"] * 1024), units="MiB")
    return rendered


ROUTES = (
    Route("GET", LIST_PATH, list_vms),
    Route("PATCH", LIST_PATH, update),
    removal.ROUTE,
)
