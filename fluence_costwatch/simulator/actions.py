"""What can be done to a fleet, by its script and by whoever holds the control API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import fleet
from .fleet import Resource, Vm
from .market import AFTERWARDS, Market, NoSuch, Refused
from .script import Event, Script

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


def perform(market: Market, action: str, fields: dict[str, Any]) -> Vm | None:
    """Do one of the actions of a script; the VM it was done to, if any. ValueError, NoSuch or Refused say why not."""
    account = _text(fields, "account") if "account" in fields else None
    if action == "create":
        return _create(market, fields)
    if action == "top_up":
        market.top_up(_text(fields, "amount"), account=account)
        return None
    vm = market.find(_text(fields, "vm"), account=account)
    if action == "delete":
        market.delete(vm)
    elif action == "price":
        market.set_price(vm, _text(fields, "price"))
    elif action == "rename":
        market.rename(vm, _text(fields, "name"))
    elif action == "terminate":
        market.terminate(vm)
    elif action == "status":
        status = None if fields.get("status") is None else _text(fields, "status")
        market.override_status(vm, status, billed=fields.get("billed"))
    else:
        raise ValueError(f"no action {action!r}")
    return vm


def _create(market: Market, fields: dict[str, Any]) -> Vm:
    if unknown := set(fields) - {*_TEXTS, *_SIZES, *_DETAILS, "resources"}:
        raise ValueError(f"no VM has {', '.join(sorted(unknown))}")
    texts = {name: _text(fields, name) for name in {*_TEXTS} & {*fields} | {"name", "price"}}
    details = {name: fields[name] for name in _DETAILS if name in fields}
    return market.create(**texts, resources=_resources(fields), details=details)


def _resources(fields: dict[str, Any]) -> tuple[Resource, ...]:
    if "resources" in fields:
        try:
            return tuple(Resource(**part) for part in fields["resources"])
        except TypeError as exc:
            raise ValueError(f"resources: {exc}") from exc
    sizes = {name: fields[name] for name in _SIZES if name in fields}
    if wrong := [name for name, size in sizes.items() if not isinstance(size, int)]:
        raise ValueError(f"{', '.join(wrong)}: must be whole numbers")
    return fleet.resources(**sizes)


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be text, not {value!r}")
    return value
