"""Generation `cloud-v2`: `/v2/vms`, `/v3/vms` and `/v1`: VMs, disks and addresses, in pages, each billed on its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..market import Market
from ..options import Options
from ..parts import Address, AnyPart, CloudVm, Disk
from ..refusals import NoSuch
from ..wire import Answer, Request, Route
from . import cloud_account, cloud_catalogue
from .cloud_manners import MANNERS
from .cloud_objects import address_object, charged_type, disk_object, part_object, vm_object
from .query import Query, checked_id, page_of

VM_STATUSES = (
    "new", "launching", "launched", "failed", "updating", "terminating", "terminated", "suspending", "suspended",
    "restarting", "softRebooting", "unknown", "draft",
)  # fmt: skip
PART_STATUSES = ("new", "created", "ready", "updating", "failed", "removing", "removed")
EXPANDABLE = ("bootDisk", "dataDisks", "publicIp", "subnets", "sshKeys", "networkInterfaces")
SORTS: dict[str, Callable[[AnyPart, Market], Any]] = {
    "createdAt": lambda part, market: part.created_at,
    "name": lambda part, market: part.name,
    "status": lambda part, market: part.status(now=market.now),
}


def list_vms(market: Market, request: Request) -> Answer:
    """VMs without drafts."""
    return _list_vms(market, request, drafts=False)


def list_all_vms(market: Market, request: Request) -> Answer:
    """VMs, drafts too."""
    return _list_vms(market, request, drafts=True)


def get_vm(market: Market, request: Request) -> Answer:
    vm = _find(market, request, CloudVm)
    expand = tuple(Query(request.pairs).choices("expand", EXPANDABLE))
    return Answer(200, vm_object(vm, market, full=False, expand=expand, answer=request.number))


def terminate_vm(market: Market, request: Request) -> Answer:
    """Asynchronous: the answer says `terminating`, the end comes later, and disks and address stay."""
    return _delete(market, request, CloudVm)


def discard_vm(market: Market, request: Request) -> Answer:
    market.cloud.discard(_find(market, request, CloudVm))
    return Answer(204)


def list_storages(market: Market, request: Request) -> Answer:
    query = Query(request.pairs)
    wanted, only_free = query.choice("storageType", ("HDD", "SSD", "NVMe")), query.flag("excludeAttached")

    def matches(disk: Any) -> bool:
        return not (only_free and disk.attached_to) and wanted in (None, charged_type(disk))

    return _list(market, request, Disk, PART_STATUSES, matches, lambda disk: disk_object(disk, market))


def get_storage(market: Market, request: Request) -> Answer:
    return Answer(200, disk_object(_find(market, request, Disk), market))


def delete_storage(market: Market, request: Request) -> Answer:
    return _delete(market, request, Disk)


def list_public_ips(market: Market, request: Request) -> Answer:
    query = Query(request.pairs)
    datacenter, city = query.id("datacenterId"), query.text("cityCode")
    kind, only_free = query.choice("addressType", ("V4", "V6")), query.flag("excludeAttached")

    def matches(address: Any) -> bool:
        place = address.cluster.datacenter
        wanted = datacenter in (None, place.id) and city in (None, place.city) and kind in (None, address.kind)
        return wanted and not (only_free and address.attached_to)

    return _list(market, request, Address, PART_STATUSES, matches, lambda address: address_object(address, market))


def delete_public_ip(market: Market, request: Request) -> Answer:
    return _delete(market, request, Address)


def _list_vms(market: Market, request: Request, *, drafts: bool) -> Answer:
    query = Query(request.pairs)
    expand = () if market.options.spec == "0.8" else tuple(query.choices("expand", EXPANDABLE))
    address = query.id("publicIpId")

    def matches(vm: Any) -> bool:
        return (drafts or not vm.draft) and address in (None, vm.address)

    def render(vm: Any) -> dict[str, Any]:
        return vm_object(vm, market, full=True, expand=expand, answer=request.number)

    return _list(market, request, CloudVm, VM_STATUSES, matches, render)


def _list(
    market: Market,
    request: Request,
    kind: type[AnyPart],
    statuses: Sequence[str],
    matches: Callable[[Any], bool],
    render: Callable[[Any], dict[str, Any]],
) -> Answer:
    """The page that was asked for of all parts of that kind which match."""
    query, options = Query(request.pairs), market.options
    old = options.spec == "0.8"
    ids, name, cluster = query.ids("ids"), query.text("name"), query.id("clusterId")
    wanted, unwanted = query.choices("status", statuses), [] if old else query.choices("excludeStatus", statuses)
    like = None if name is None else _ilike(name)
    everything = [part for part in market.cloud.listed(request.account) if isinstance(part, kind)]
    chosen = [
        part
        for part in everything
        if (not ids or part.id.lower() in ids)
        and (like is None or like.fullmatch(part.name))
        and cluster in (None, part.cluster.id)
        and (not wanted or part.status(now=market.now) in wanted)
        and part.status(now=market.now) not in unwanted
        and matches(part)
    ]
    if not old:
        sort = query.choice("sort", tuple(SORTS)) or "createdAt"
        descending = query.choice("order", ("asc", "desc")) == "desc"
        chosen.sort(key=lambda part: (SORTS[sort](part, market), part.number), reverse=descending)
    page = page_of([render(part) for part in chosen], query, options, total=len(everything))
    return Answer(200, page=page, listed=True)


def _ilike(pattern: str) -> re.Pattern[str]:
    """Of SQL: any case, `%` is any text, `_` any character; text without either matches anywhere."""
    wild = {"%": ".*", "_": "."}
    body = "".join(wild.get(character, re.escape(character)) for character in pattern)
    return re.compile(f".*{body}.*" if not set(pattern) & {"%"} else body, re.IGNORECASE | re.DOTALL)


def _delete(market: Market, request: Request, kind: type[AnyPart]) -> Answer:
    part = _find(market, request, kind)
    market.cloud.delete(part)
    return Answer(200, part_object(part, market))


def _find(market: Market, request: Request, kind: type[AnyPart]) -> Any:
    """The part that the path names; NoSuch where the account has none of that kind."""
    id = checked_id(request.path["id"])
    for part in market.cloud.listed(request.account):
        if isinstance(part, kind) and part.id.lower() == id:
            return part
    raise NoSuch(f"{request.path['id']} not found")


def _since_0_13(options: Options) -> bool:
    return options.spec == "0.13"


ROUTES = (
    Route("GET", "/v2/vms", list_vms, MANNERS, "vms:read"),
    Route("GET", "/v2/vms/{id}", get_vm, MANNERS, "vms:read"),
    Route("POST", "/v2/vms/{id}/terminate", terminate_vm, MANNERS, "vms:write"),
    Route("GET", "/v3/vms", list_all_vms, MANNERS, "vms:read", spoken=_since_0_13),
    Route("GET", "/v3/vms/{id}", get_vm, MANNERS, "vms:read", spoken=_since_0_13),
    Route("POST", "/v3/vms/{id}/terminate", terminate_vm, MANNERS, "vms:write", spoken=_since_0_13),
    Route("DELETE", "/v3/vms/{id}", discard_vm, MANNERS, "vms:write", spoken=_since_0_13),
    Route("GET", "/v1/storages", list_storages, MANNERS, "storage:read"),
    Route("GET", "/v1/storages/{id}", get_storage, MANNERS, "storage:read"),
    Route("DELETE", "/v1/storages/{id}", delete_storage, MANNERS, "storage:write"),
    Route("GET", "/v1/public_ips", list_public_ips, MANNERS, "public_ip:read"),
    Route("DELETE", "/v1/public_ips/{id}", delete_public_ip, MANNERS, "public_ip:write"),
    *cloud_account.ROUTES,
    *cloud_catalogue.ROUTES,
)
