"""Asking the marketplace over a plain socket, with nothing in between that would repair what it breaks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.servers.marketplace import KEY, Marketplace


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def date(self) -> datetime:
        return parsedate_to_datetime(self.headers["Date"])


def ask(
    market: Marketplace,
    path: str,
    *,
    method: str = "GET",
    body: object = None,
    headers: dict[str, str] | None = None,
    timeout: float = 10,
) -> Answered:
    """One request on a connection of its own, with the demo key unless other headers are given."""
    connection = HTTPConnection(urlsplit(market.url).netloc, timeout=timeout)
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, body=sent, headers={"X-API-KEY": KEY} if headers is None else headers)
        response = connection.getresponse()
        return Answered(response.status, response.headers, response.read())
    finally:
        connection.close()


def listed(market: Marketplace, path: str = "/vms/v3") -> list[dict[str, Any]]:
    vms: list[dict[str, Any]] = ask(market, path).json()
    return vms


def at(text: str) -> datetime:
    """An instant in UTC, such as `2026-03-01 17:55`."""
    return datetime.fromisoformat(f"{text}+00:00")
