"""What can be done to a fleet, by its script and by whoever holds the control API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import fleet
from .cloud import DiskOrder
from .fleet import Resource, Vm
from .gpu import GpuInstance
from .market import Market
from .parts import AnyPart, CloudVm
from .refusals import NoSuch, Refused
from .script import Event, Script, parse_instant
from .timeline import AFTERWARDS

JsonObject = dict[str, Any]
Thing = Vm | AnyPart | GpuInstance

_TEXTS = ("name", "price", "account", "vm", "id")
_SIZES = ("vcpu", "ram_mib", "storage_mib", "public_ips")
_DETAILS = ("os_image", "datacenter", "public_ip", "ports")


@dataclass(frozen=True, slots=True)
class ScriptFailure:
    """A scripted event that could not happen."""

    at: datetime
    event: Event
    reason: str


class Stage:
    """A market on which a script is played."""

    def __init__(self, market: Market, script: Script) -> None:
        self._market = market
        self.failures: list[ScriptFailure] = []
        epoch = market.options.epoch
        boundary = market.options.next_boundary(market.now) - epoch
        for event in script.events:
            self._schedule(event.when.resolve(start=market.now, boundary=boundary, epoch=epoch), event)
        market.settle()

    def _schedule(self, at: datetime, event: Event) -> None:
        self._market.schedule(at, AFTERWARDS, lambda: self._play(at, event))

    def _play(self, at: datetime, event: Event) -> None:
        if event.every is not None:
            self._schedule(event.every.resolve(start=at, boundary=at, epoch=self._market.options.epoch), event)
        try:
            perform(self._market, event.action, event.fields)
        except (NoSuch, Refused, ValueError) as exc:
            self.failures.append(ScriptFailure(self._market.now, event, str(exc)))


def perform(market: Market, action: str, fields: JsonObject) -> JsonObject:
    """Do one of the actions of a script; the `id` of what it was done to, if anything. ValueError, NoSuch or Refused say why not."""
    if action in _CREATIONS:
        done = _CREATIONS[action](market, fields)
    elif action in _TO_THE_MARKET:
        _TO_THE_MARKET[action](market, fields)
        done = {"id": None}
    elif action in _TO_THINGS:
        account = _text(fields, "account") if "account" in fields else None
        thing = find(market, _text(fields, "vm"), account=account)
        _TO_THINGS[action](market, thing, fields)
        done = {"id": thing.id}
    else:
        raise ValueError(f"no action {action!r}")
    market.review()
    return done


def find(market: Market, word: str, *, account: str | None = None) -> Thing:
    """What has that handle, id or unique name: an epoch-billed VM, a part of the metered cloud or a GPU instance."""
    reasons: list[str] = []
    places: tuple[Callable[..., Thing], ...] = (market.find, market.cloud.find, market.gpu.find)
    for place in places:
        try:
            return place(word, account=account)
        except NoSuch as exc:
            reasons.append(str(exc))
    raise NoSuch(next((reason for reason in reasons if reason.startswith("more")), reasons[0]))


def _create(market: Market, fields: JsonObject) -> JsonObject:
    if unknown := set(fields) - {*_TEXTS, *_SIZES, *_DETAILS, "resources"}:
        raise ValueError(f"no VM has {', '.join(sorted(unknown))}")
    texts = {name: _text(fields, name) for name in {*_TEXTS} & {*fields} | {"name", "price"}}
    details = {name: fields[name] for name in _DETAILS if name in fields}
    return {"id": market.create(**texts, resources=_resources(fields), details=details).id}


def _create_vm(market: Market, fields: JsonObject) -> JsonObject:
    """A metered VM; `disks` are `[price, gb]` or `[price, gb, kind]`, the first one is booted from."""
    texts = _texts(market, fields, ("ip_price", "plan", "cluster"), others=("disks", "draft"))
    orders = [_order(item) for item in fields.get("disks") or ()]
    vm = market.cloud.create_vm(**texts, disks=orders, draft=fields.get("draft") is True)
    disks = [] if vm.boot_disk is None else [vm.boot_disk, *vm.data_disks]
    return {"id": vm.id, "disks": disks, "ip": vm.address}


def _create_disk(market: Market, fields: JsonObject) -> JsonObject:
    texts = _texts(market, fields, ("cluster", "kind"), others=("gb",))
    order = _order([texts.pop("price"), fields.get("gb"), texts.pop("kind", None)])
    return {"id": market.cloud.create_disk(**texts, order=order).id}


def _create_ip(market: Market, fields: JsonObject) -> JsonObject:
    return {"id": market.cloud.create_address(**_texts(market, fields, ("cluster",))).id}


def _create_gpu(market: Market, fields: JsonObject) -> JsonObject:
    texts = {"kind": "container"} | _texts(market, fields, ("kind",), others=("environment",))
    return {"id": market.gpu.create(**texts, environment=fields.get("environment")).id}


def _texts(market: Market, fields: JsonObject, optional: tuple[str, ...], others: tuple[str, ...] = ()) -> JsonObject:
    """The text fields of something to be created; `vm` is a handle for the script to name it by."""
    wanted = {name for name in ("account", "vm", "id", *optional) if fields.get(name) is not None}
    if unknown := set(fields) - {"name", "price", "account", "vm", "id", *optional, *others}:
        raise ValueError(f"that has no {', '.join(sorted(unknown))}")
    texts = {name: _text(fields, name) for name in {"name", "price"} | wanted}
    texts["account"] = _account(market, texts.get("account"))
    if "vm" in texts:
        texts["handle"] = texts.pop("vm")
    return texts


def _order(item: Any) -> DiskOrder:
    price, gigabytes, kind = (
        (*item, None)[:3] if isinstance(item, list | tuple) and len(item) in (2, 3) else (item,) * 3
    )
    if not isinstance(price, str) or not isinstance(gigabytes, int) or not isinstance(kind, str | None):
        raise ValueError(f"a disk is a price and whole gigabytes, not {item!r}")
    return DiskOrder(price, gigabytes, kind)


def _account(market: Market, name: str | None) -> str:
    account = next(iter(market.books)) if name is None else name
    market.books_of(account)
    return account


def _resources(fields: JsonObject) -> tuple[Resource, ...]:
    if "resources" in fields:
        try:
            return tuple(Resource(**part) for part in fields["resources"])
        except TypeError as exc:
            raise ValueError(f"resources: {exc}") from exc
    sizes = {name: fields[name] for name in _SIZES if name in fields}
    if wrong := [name for name, size in sizes.items() if not isinstance(size, int)]:
        raise ValueError(f"{', '.join(wrong)}: must be whole numbers")
    return fleet.resources(**sizes)


def _top_up(market: Market, fields: JsonObject) -> None:
    """Now, or `at` an instant to come."""
    amount, account = _text(fields, "amount"), _account(market, fields.get("account"))
    if fields.get("at") is None:
        market.top_up(amount, account=account)
    else:
        market.schedule(parse_instant(fields["at"]), AFTERWARDS, lambda: market.top_up(amount, account=account))


def _maintenance(market: Market, fields: JsonObject) -> None:
    market.maintenance = fields.get("on") is True


def _scopes(market: Market, fields: JsonObject) -> None:
    scopes = fields.get("scopes")
    if scopes is not None and not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
        raise ValueError(f"scopes: a list of texts, or nothing for all, not {scopes!r}")
    market.keys.limit(_text(fields, "key"), None if scopes is None else tuple(scopes))


def _expire(market: Market, fields: JsonObject) -> None:
    market.keys.expire(_text(fields, "key"), expired=fields.get("expired", True) is True)


def _delete(market: Market, thing: Thing, fields: JsonObject) -> None:
    if isinstance(thing, Vm):
        market.delete(thing)
    elif isinstance(thing, GpuInstance):
        market.gpu.delete(thing)
    else:
        market.cloud.delete(thing)


def _price(market: Market, thing: Thing, fields: JsonObject) -> None:
    price = _text(fields, "price")
    if isinstance(thing, Vm):
        market.set_price(thing, price)
    elif isinstance(thing, GpuInstance):
        market.gpu.set_price(thing, price)
    else:
        market.cloud.set_price(thing, price)


def _rename(market: Market, thing: Thing, fields: JsonObject) -> None:
    name = _text(fields, "name")
    if isinstance(thing, Vm):
        market.rename(thing, name)
    elif isinstance(thing, GpuInstance):
        market.gpu.rename(thing, name)
    else:
        market.cloud.rename(thing, name)


def _terminate(market: Market, thing: Thing, fields: JsonObject) -> None:
    if isinstance(thing, Vm):
        market.terminate(thing)
    elif isinstance(thing, GpuInstance):
        market.gpu.end(thing)
    else:
        market.cloud.end(thing)


def _status(market: Market, thing: Thing, fields: JsonObject) -> None:
    status = None if fields.get("status") is None else _text(fields, "status")
    if isinstance(thing, Vm):
        market.override_status(thing, status, billed=fields.get("billed"))
    elif isinstance(thing, GpuInstance):
        market.gpu.override_status(thing, status)
    else:
        market.cloud.override_status(thing, status, billed=fields.get("billed"))


def _fail(market: Market, thing: Thing, fields: JsonObject) -> None:
    if isinstance(thing, Vm):
        raise Refused("an epoch-billed VM does not fail")
    if isinstance(thing, GpuInstance):
        market.gpu.fail(thing)
    else:
        market.cloud.fail(thing)


def _attach(market: Market, thing: Thing, fields: JsonObject) -> None:
    market.cloud.attach(_metered(thing), market.cloud.find(_text(fields, "to")))


def _detach(market: Market, thing: Thing, fields: JsonObject) -> None:
    market.cloud.detach(_metered(thing))


def _provision(market: Market, thing: Thing, fields: JsonObject) -> None:
    if not isinstance(thing, CloudVm):
        raise Refused(f"{thing.id} is no metered VM")
    market.cloud.provision(thing)


def _metered(thing: Thing) -> AnyPart:
    if isinstance(thing, Vm | GpuInstance):
        raise Refused(f"{thing.id} is no part of the metered cloud")
    return thing


def _text(fields: JsonObject, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be text, not {value!r}")
    return value


_CREATIONS: dict[str, Callable[[Market, JsonObject], JsonObject]] = {
    "create": _create,
    "create_vm": _create_vm,
    "create_disk": _create_disk,
    "create_ip": _create_ip,
    "create_gpu": _create_gpu,
}
_TO_THE_MARKET: dict[str, Callable[[Market, JsonObject], None]] = {
    "top_up": _top_up,
    "maintenance": _maintenance,
    "scopes": _scopes,
    "expire": _expire,
}
_TO_THINGS: dict[str, Callable[[Market, Thing, JsonObject], None]] = {
    "delete": _delete,
    "price": _price,
    "rename": _rename,
    "terminate": _terminate,
    "fail": _fail,
    "status": _status,
    "attach": _attach,
    "detach": _detach,
    "provision": _provision,
}
THING_ACTIONS: tuple[str, ...] = tuple(_TO_THINGS)
ACTIONS: tuple[str, ...] = (*_CREATIONS, *_TO_THE_MARKET, *_TO_THINGS)
