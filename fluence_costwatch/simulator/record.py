"""What was asked of the marketplace, kept for tests to look at; no key is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

KEY_HEADERS = ("x-api-key", "authorization")
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request; `key_in` names the headers that carried a key, in lower case."""

    at: datetime
    method: str
    path: str
    """With the query, as received."""
    headers: dict[str, str]
    key_in: tuple[str, ...]
    body: str
    account: str | None
    """Whose key it was; None for a key that opens nothing."""


class Record:
    """All requests since the last clearing, oldest first."""

    def __init__(self) -> None:
        self._requests: list[Recorded] = []

    @property
    def requests(self) -> tuple[Recorded, ...]:
        return tuple(self._requests)

    def add(
        self,
        *,
        at: datetime,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        account: str | None,
    ) -> None:
        named = {name.lower(): value for name, value in headers}
        shown = {name: HIDDEN if name in KEY_HEADERS else value for name, value in named.items()}
        key_in = tuple(name for name in KEY_HEADERS if name in named)
        text = body.decode("utf-8", "replace")
        self._requests.append(Recorded(at, method, path, shown, key_in, text, account))

    def clear(self) -> None:
        self._requests.clear()
