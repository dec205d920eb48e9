"""The control API under `/control/`: time, fleet, books, misbehaviour and what was asked. It needs no key."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from .actions import ACTIONS, THING_ACTIONS, Stage, find, perform
from .books import Entry
from .catalogue import Cluster
from .fleet import Vm
from .gpu import GpuInstance
from .market import Market
from .meter import DAY, Meter, midnight
from .misbehaviour import Fault, Misbehaviour, read_fault
from .parts import AnyPart
from .record import Record
from .refusals import NoSuch, Refused
from .script import parse_instant
from .wire import Answer, BadRequest, error

PREFIX = "/control/"

JsonObject = dict[str, Any]


class Control:
    """Answers the control API; JSON in and out, 400 with the reason for whatever cannot be done."""

    def __init__(self, market: Market, stage: Stage, misbehaviour: Misbehaviour, record: Record) -> None:
        self._market = market
        self._stage = stage
        self._misbehaviour = misbehaviour
        self._record = record
        self._routes: dict[tuple[str, str], Callable[[JsonObject], Any]] = {
            ("GET", "clock"): self._clock,
            ("POST", "clock/set"): self._set_clock,
            ("POST", "clock/advance"): self._advance_clock,
            ("POST", "clock/run"): self._run_clock,
            ("POST", "clock/hold"): self._hold_clock,
            ("GET", "vms"): lambda fields: {"vms": [_vm(vm) for vm in self._market.vms(fields.get("account"))]},
            ("POST", "vms"): lambda fields: perform(self._market, "create", fields),
            ("POST", "top-up"): lambda fields: perform(self._market, "top_up", fields),
            ("POST", "do"): self._do,
            ("GET", "resources"): self._resources,
            ("GET", "books"): self._books,
            ("GET", "metered"): self._metered,
            ("GET", "faults"): lambda fields: {"faults": [_fault(fault) for fault in self._misbehaviour.faults]},
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "requests"): lambda fields: {"requests": [_json(item) for item in self._record.requests]},
            ("DELETE", "requests"): self._forget_requests,
            ("GET", "script"): lambda fields: {"failures": [_json(failure) for failure in self._stage.failures]},
        }

    def answer(self, method: str, path: str, fields: JsonObject) -> Answer:
        """`fields` are those of the body, or of the query where there is no body."""
        words = [unquote(word) for word in path.removeprefix(PREFIX).strip("/").split("/")]
        try:
            if route := self._routes.get((method, "/".join(words))):
                return Answer(200, route(fields))
            match (method, words):
                case ("GET", ["vms", vm]):
                    return Answer(200, _vm(self._market.find(vm)))
                case ("GET", ["resources", word]):
                    return Answer(200, self._thing(find(self._market, word)))
                case ("POST", ["vms", vm, action]) if action in THING_ACTIONS:
                    return Answer(200, perform(self._market, action, {**fields, "vm": vm}))
        except (BadRequest, NoSuch, Refused, ValueError) as exc:
            return error(400, str(exc))
        return error(404, f"the control API has no {method} {path}")

    def _do(self, fields: JsonObject) -> JsonObject:
        """Any action of a script, named in `do`."""
        action = fields.get("do")
        if action not in ACTIONS:
            raise BadRequest(f"do: one of {', '.join(ACTIONS)}, not {action!r}")
        return perform(self._market, action, {name: value for name, value in fields.items() if name != "do"})

    def _resources(self, fields: JsonObject) -> JsonObject:
        """Everything beside the epoch-billed VMs that ever was."""
        account = fields.get("account")
        things = [*self._market.cloud.parts(account), *self._market.gpu.instances(account)]
        return {"resources": [self._thing(thing) for thing in things]}

    def _thing(self, thing: Vm | AnyPart | GpuInstance) -> JsonObject:
        if isinstance(thing, Vm):
            return _vm(thing)
        status = thing.status if isinstance(thing, GpuInstance) else thing.status(now=self._market.now)
        rendered: JsonObject = _json(thing)
        return rendered | {"type": type(thing).__name__, "live": thing.live, "status": status}

    def _clock(self, fields: JsonObject) -> JsonObject:
        return {"now": _instant(self._market.settle()), "running": self._market.clock.running}

    def _set_clock(self, fields: JsonObject) -> JsonObject:
        self._market.clock.set(parse_instant(fields.get("at")))
        return self._clock(fields)

    def _advance_clock(self, fields: JsonObject) -> JsonObject:
        seconds = fields.get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
            raise BadRequest(f"seconds: must be a number, not negative, not {seconds!r}")
        self._market.clock.advance(timedelta(seconds=seconds))
        return self._clock(fields)

    def _run_clock(self, fields: JsonObject) -> JsonObject:
        self._market.clock.run()
        return self._clock(fields)

    def _hold_clock(self, fields: JsonObject) -> JsonObject:
        self._market.clock.hold()
        return self._clock(fields)

    def _books(self, fields: JsonObject) -> JsonObject:
        account = fields.get("account") or next(iter(self._market.books))
        books = self._market.books_of(account)
        totals = books.total_by_vm
        return {
            "account": account,
            "now": _instant(self._market.now),
            "balance": math.floor(books.free(at=self._market.now)),
            "balance_exact": str(books.free(at=self._market.now)),
            "reserved": sum(books.reserve_of(id) for id in self._prepaid(account)),
            "charges": [_charge(entry) for entry in books.charges],
            "entries": [_json(entry) for entry in books.entries],
            "total_by_vm": totals,
            "total": sum(totals.values()),
            "metered": {id: str(meter.total(until=self._market.now)) for id, meter in books.meters.items()},
        }

    def _prepaid(self, account: str) -> list[str]:
        instances = self._market.gpu.instances(account)
        return list(dict.fromkeys([*(vm.id for vm in self._market.vms(account)), *(one.id for one in instances)]))

    def _metered(self, fields: JsonObject) -> JsonObject:
        """What each resource cost in `[since, until)`, exact, in all and by UTC day; all that was where they are not given."""
        account = fields.get("account") or next(iter(self._market.books))
        now = self._market.now
        until = min(now, parse_instant(fields["until"])) if "until" in fields else now
        since = parse_instant(fields["since"]) if "since" in fields else None
        answer: JsonObject = {"total": {}, "by_day": {}}
        for id, meter in self._market.books_of(account).meters.items():
            start = meter.start if since is None else max(since, meter.start)
            answer["total"][id] = str(meter.cost(start, until))
            answer["by_day"][id] = _by_day(meter, start, until)
        return answer

    def _add_fault(self, fields: JsonObject) -> JsonObject:
        fault = read_fault(fields)
        self._misbehaviour.add(fault)
        return _fault(fault)

    def _clear_faults(self, fields: JsonObject) -> JsonObject:
        self._misbehaviour.clear(fields.get("kind"))
        return {"faults": [_fault(fault) for fault in self._misbehaviour.faults]}

    def _forget_requests(self, fields: JsonObject) -> JsonObject:
        self._record.clear()
        return {"requests": []}


def _by_day(meter: Meter, since: datetime, until: datetime) -> dict[str, str]:
    days: dict[str, str] = {}
    day, end = midnight(since), until if meter.end is None else min(until, meter.end)
    while day < end:
        days[f"{day:%Y-%m-%d}"] = str(meter.cost(max(day, since), min(day + DAY, end)))
        day += DAY
    return days


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _json(value: object) -> Any:
    if isinstance(value, Cluster):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _json(item) for name, item in value.items()}
    return value


def _vm(vm: Vm) -> JsonObject:
    return {name: _json(value) for name, value in _json(vm).items()} | {"live": vm.live}


def _charge(entry: Entry) -> JsonObject:
    return {
        "vm": entry.vm,
        "epoch_start": _json(entry.epoch_start),
        "epoch_end": _json(entry.epoch_end),
        "amount": entry.amount,
        "booked_at": _instant(entry.at),
        "from_reserve": entry.reserve_change < 0,
    }


def _fault(fault: Fault) -> JsonObject:
    rendered: JsonObject = _json(fault)
    return rendered
