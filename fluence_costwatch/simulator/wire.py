"""Requests and answers as values, before anything is broken and sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .market import Market


class BadRequest(ValueError):
    """The request cannot be understood: 400, with this as the reason."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a customer whose key was good."""

    account: str
    query: dict[str, str]
    body: bytes
    number: int
    """Counts requests, so that what differs from answer to answer does so the same way in every run."""

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise BadRequest(f"Json deserialize error: {exc}") from exc

    def json_object(self) -> dict[str, Any]:
        value = self.json()
        if not isinstance(value, dict):
            raise BadRequest("Json deserialize error: expected an object")
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be answered; `vms` says that the value is a list of VM objects, which may be distorted."""

    status: int
    value: Any = None
    vms: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=())

    def body(self) -> bytes:
        """The compact JSON of the value; nothing where there is none."""
        if self.value is None:
            return b""
        return json.dumps(self.value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Route:
    """A method on a constant path, and what answers it."""

    method: str
    path: str
    answer: Callable[[Market, Request], Answer]


def error(status: int, text: str) -> Answer:
    return Answer(status, {"error": text})
