"""Scripted events: what happens to the fleet, and when, without anybody asking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

Action = Literal[
    "create",
    "create_vm",
    "create_disk",
    "create_ip",
    "create_gpu",
    "delete",
    "price",
    "rename",
    "terminate",
    "fail",
    "status",
    "attach",
    "detach",
    "provision",
    "top_up",
    "maintenance",
    "scopes",
    "expire",
]
ACTIONS: tuple[str, ...] = get_args(Action)
NEEDED: dict[str, tuple[str, ...]] = {
    "create": ("name", "price"),
    "create_vm": ("name", "price"),
    "create_disk": ("name", "price", "gb"),
    "create_ip": ("name", "price"),
    "create_gpu": ("name", "price"),
    "delete": ("vm",),
    "price": ("vm", "price"),
    "rename": ("vm", "name"),
    "terminate": ("vm",),
    "fail": ("vm",),
    "status": ("vm", "status"),
    "attach": ("vm", "to"),
    "detach": ("vm",),
    "provision": ("vm",),
    "top_up": ("amount",),
    "maintenance": ("on",),
    "scopes": ("key", "scopes"),
    "expire": ("key",),
}


class ScriptError(ValueError):
    """The script cannot be read; says which event and why."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An absolute instant, seconds from the start, or epochs from the grid boundary before the start: exactly one."""

    at: datetime | None = None
    seconds: float | None = None
    epochs: float | None = None

    def resolve(self, *, start: datetime, boundary: datetime, epoch: timedelta) -> datetime:
        if self.at is not None:
            return self.at
        if self.seconds is not None:
            return start + timedelta(seconds=self.seconds)
        return boundary + (self.epochs or 0) * epoch


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens; with `every` it happens again and again."""

    when: Moment
    action: str
    fields: dict[str, Any]
    every: Moment | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The events in the order in which they were written, which decides where two fall on one instant."""

    events: tuple[Event, ...] = ()


def read_script(value: object) -> Script:
    """A script from a JSON value: a list of events, or an object that has it under `events`."""
    events = value.get("events") if isinstance(value, dict) else value
    if not isinstance(events, list):
        raise ScriptError("a script is a list of events, or an object with such a list under 'events'")
    return Script(tuple(_event(number, item) for number, item in enumerate(events)))


def read_script_file(path: Path) -> Script:
    """A script from a JSON file."""
    try:
        return read_script(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as exc:
        raise ScriptError(f"{path}: {exc}") from exc


def parse_instant(text: object) -> datetime:
    """An aware instant from ISO 8601; ValueError where it is none or names no zone."""
    if not isinstance(text, str):
        raise ValueError(f"not an instant: {text!r}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f"not an instant: {text!r}") from exc
    if moment.utcoffset() is None:
        raise ValueError(f"an instant needs a zone, such as Z: {text!r}")
    return moment.astimezone(UTC)


def _event(number: int, item: object) -> Event:
    try:
        if not isinstance(item, dict):
            raise ValueError("an event is an object")
        action = item.get("do")
        if action not in ACTIONS:
            raise ValueError(f"'do' must be one of {', '.join(ACTIONS)}, not {action!r}")
        fields = {name: value for name, value in item.items() if name not in ("at", "do", "every")}
        if missing := [name for name in NEEDED[action] if name not in fields]:
            raise ValueError(f"{action} needs {', '.join(missing)}")
        every = _moment(item["every"]) if "every" in item else None
        if every is not None and not (every.seconds or 0) + (every.epochs or 0) > 0:
            raise ValueError("'every' is a positive span: seconds or {\"epochs\": n}")
        return Event(_moment(item.get("at", 0)), action, fields, every)
    except ValueError as exc:
        raise ScriptError(f"events[{number}]: {exc}") from exc


def _moment(value: object) -> Moment:
    if isinstance(value, str):
        return Moment(at=parse_instant(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Moment(seconds=value)
    if isinstance(value, dict) and set(value) == {"epochs"} and isinstance(value["epochs"], int | float):
        return Moment(epochs=value["epochs"])
    raise ValueError(f'a time is seconds from the start, an instant or {{"epochs": n}}, not {value!r}')
