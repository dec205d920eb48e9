"""VMs, disks and addresses as `cloud-v2` writes them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from ..catalogue import made_id, plan_id, plan_size
from ..market import Market
from ..meter import decimal_text, hourly_micros
from ..parts import Address, AnyPart, CloudVm, Disk, actions_of, paid_window

JsonObject = dict[str, Any]
MONTH_HOURS = 730
IMAGE: JsonObject = {
    "id": "da1e99153be74618820a164eebcbdc66",
    "name": "24.04 (LTS) x64",
    "slug": "ubuntu-24-04-x64",
    "distribution": "Ubuntu",
}
FRACTION_DIGITS: tuple[int, ...] = (0, 1, 3, 6, 9)


def user_id(account: str) -> str:
    return made_id("user", account)


def instant(moment: datetime | None, *words: object) -> str | None:
    """An exact instant in UTC with as many decimals as chance has it, always the same for the same words."""
    if moment is None:
        return None
    utc = moment.astimezone(UTC)
    digits = f"{utc.microsecond:06}".rstrip("0")
    possible = [count for count in FRACTION_DIGITS if count >= len(digits)]
    count = possible[hashlib.sha256(repr(words).encode()).digest()[0] % len(possible)]
    return f"{utc:%Y-%m-%dT%H:%M:%S}{'.' if count else ''}{digits.ljust(count, '0')}Z"


def vm_object(vm: CloudVm, market: Market, *, full: bool, expand: tuple[str, ...] = (), answer: int = 0) -> JsonObject:
    """One VM; `full` adds what only lists say. The order of its interfaces differs from answer to answer."""
    options = market.options
    vcpu, ram = plan_size(vm.kind)
    interfaces = [made_id(vm.account, vm.id, "interface", n) for n in range(2 if vm.address else 1)]
    rendered: JsonObject = {
        "id": vm.id,
        "userId": user_id(vm.account),
        "clusterId": vm.cluster.id,
        "configurationId": plan_id(vm.kind),
        "name": vm.name,
        "status": vm.status(now=market.now),
        "restartRequired": False,
        "allowedActions": list(actions_of(vm, now=market.now)),
        "bootDisk": vm.boot_disk,
        "dataDisks": list(vm.data_disks),
        "publicIp": vm.address,
        "subnets": [made_id(vm.account, "subnet", vm.cluster.id)],
        "sshKeys": [],
        "networkInterfaces": interfaces if answer % 2 == 0 else interfaces[::-1],
        **_times(vm, market),
        "updatedAt": instant(vm.updated_at, vm.id, "updated"),
        "terminatedAt": instant(vm.ended_at, vm.id, "ended"),
    }
    if options.spec == "0.8":
        return {name: value for name, value in rendered.items() if name != "allowedActions"}
    rendered |= {"cloudInit": None, "expanded": _expanded(vm, market, expand, interfaces), **_prices(vm, market)}
    if full:
        rendered |= {"configurationName": _plan_name(vm.kind), "configurationSlug": vm.kind, "vcpu": vcpu, "ramGb": ram}
    return rendered


def disk_object(disk: Disk, market: Market) -> JsonObject:
    storage_type, _, replicated = disk.kind.partition("/")
    return {
        "id": disk.id,
        "userId": user_id(disk.account),
        "clusterId": disk.cluster.id,
        "name": disk.name,
        "storageType": storage_type,
        "status": disk.status(now=market.now),
        "role": "BOOT" if disk.boot else "DATA",
        "volumeGb": disk.gigabytes,
        "replicated": bool(replicated),
        "attachedTo": [] if disk.attached_to is None else [disk.attached_to],
        "image": dict(IMAGE) if disk.boot else None,
        "initUrl": None,
        **_common(disk, market),
    }


def address_object(address: Address, market: Market) -> JsonObject:
    attached: Any = None
    if address.attached_to is not None:
        vm = market.cloud.find(address.attached_to, account=address.account)
        attached = vm.id if market.options.spec == "0.8" else {"id": vm.id, "name": vm.name}
    return {
        "id": address.id,
        "userId": user_id(address.account),
        "clusterId": address.cluster.id,
        "name": address.name,
        "addressType": address.kind,
        "status": address.status(now=market.now),
        "address": address.address,
        "attachedTo": attached,
        **_common(address, market),
    }


def charged_type(disk: Disk) -> str:
    """The type of a disk as filters and charges spell it."""
    return disk.kind.partition("/")[0].replace("NVME", "NVMe")


def part_object(part: AnyPart, market: Market) -> JsonObject:
    """A disk or an address, whichever it is; a VM without what only lists say."""
    if isinstance(part, Disk):
        return disk_object(part, market)
    return address_object(part, market) if isinstance(part, Address) else vm_object(part, market, full=False)


def _common(part: Disk | Address, market: Market) -> JsonObject:
    rendered = {**_times(part, market), "removedAt": instant(part.ended_at, part.id, "ended")}
    if market.options.spec == "0.8":
        return rendered
    return rendered | {"allowedActions": list(actions_of(part, now=market.now)), **_prices(part, market)}


def _times(part: AnyPart, market: Market) -> JsonObject:
    window = paid_window(part, now=market.now) if market.options.paid_window else None
    ready = None if market.now < part.ready_at else part.ready_at
    return {
        "createdAt": instant(part.created_at, part.id, "created"),
        "readySince": instant(ready, part.id, "ready"),
        "lastPaidAt": None if window is None else instant(window[0], part.id, "paid"),
        "paidUntil": None if window is None else instant(window[1], part.id, "until"),
    }


def _prices(part: AnyPart, market: Market) -> JsonObject:
    """Nothing where only the price lists tell."""
    if not market.options.prices_shown:
        return {}
    monthly = Fraction(hourly_micros(part.price) * MONTH_HOURS, 1_000_000)
    return {"priceHourlyUsd": part.price, "priceMonthlyUsd": decimal_text(monthly, digits=2)}


def _plan_name(plan: str) -> str:
    vcpu, ram = plan_size(plan)
    return f"{plan.split('-')[1].capitalize()} {vcpu} vCPU / {ram} GB"


def _expanded(vm: CloudVm, market: Market, expand: tuple[str, ...], interfaces: list[str]) -> JsonObject | None:
    """What was asked for by name, in full."""
    if not expand:
        return None

    def full(id: str | None) -> JsonObject | None:
        return None if id is None else part_object(market.cloud.find(id, account=vm.account), market)

    whole: JsonObject = {
        "bootDisk": full(vm.boot_disk),
        "dataDisks": [full(disk) for disk in vm.data_disks],
        "publicIp": full(vm.address),
        "subnets": [],
        "sshKeys": [],
        "networkInterfaces": [
            {"id": id, "default": n == 0, "kind": _interface(vm, public=n == 1)} for n, id in enumerate(interfaces)
        ],
    }
    return {name: whole[name] for name in expand}


def _interface(vm: CloudVm, *, public: bool) -> JsonObject:
    if public:
        return {"public": {"public_ip": vm.address}}
    return {"private": {"subnet": made_id(vm.account, "subnet", vm.cluster.id)}}
