"""Requests and answers as values, before anything is broken and sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from .keys import Key
from .market import Market
from .options import Options
from .pages import Page

JSON_TYPE = "application/json"
NO_SUCH_KEY = "Auth failed. No such API Key"
_PHRASES = {int(status): status.phrase for status in HTTPStatus}
_HOLE = re.compile(r"\{(\w+)\}")


class BadRequest(ValueError):
    """The request cannot be understood: 400, with this as the reason."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a customer whose key was good, or of anybody where no key is needed."""

    account: str
    query: dict[str, str]
    body: bytes
    number: int
    """Counts requests, so that what differs from answer to answer does so the same way in every run."""
    pairs: tuple[tuple[str, str], ...] = ()
    """The query as it was written."""
    path: dict[str, str] = field(default_factory=dict)
    """What stood in the holes of the route's path."""
    key: Key = field(default_factory=lambda: Key("", ()))

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
    """What is to be answered. `listed` says that the value, or its `items`, are objects that may be distorted.

    A `page` is cut, perhaps wrongly, before it becomes the value. A `text` is sent instead of JSON.
    """

    status: int
    value: Any = None
    listed: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=())
    page: Page | None = None
    text: str | None = None
    content_type: str = JSON_TYPE

    def body(self) -> bytes:
        """The text, or the compact JSON of the value; nothing where there is neither."""
        if self.text is not None:
            return self.text.encode("utf-8", "surrogatepass")
        if self.value is None:
            return b""
        return json.dumps(self.value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def error(status: int, text: str) -> Answer:
    return Answer(status, {"error": text})


@dataclass(frozen=True, slots=True)
class Manners:
    """How a generation says what went wrong: status, text, and the code of newer ones, None for that of the status."""

    error: Callable[[Options, int, str, str | None], Answer]
    bad_key: tuple[int, str]
    refused: Callable[[str], int]
    """The status for the code of something that the marketplace refuses."""
    api_key_only: bool
    """Whether a bearer is something else than a key."""

    def phrase(self, status: int) -> str:
        """What there is to say of a status that is not explained any further."""
        return self.bad_key[1] if status == self.bad_key[0] else _PHRASES.get(status, "Something went wrong")


OLD_MANNERS = Manners(
    error=lambda options, status, text, code: error(status, text),
    bad_key=(403, NO_SUCH_KEY),
    refused=lambda code: 422,
    api_key_only=False,
)


@dataclass(frozen=True, slots=True)
class Route:
    """A method on a path, which may have holes such as `{id}`, and what answers it."""

    method: str
    path: str
    answer: Callable[[Market, Request], Answer]
    manners: Manners = OLD_MANNERS
    scope: str | None = None
    """What the key must be allowed."""
    open: bool = False
    """Answered without any key."""
    spoken: Callable[[Options], bool] = lambda options: True

    def match(self, path: str) -> dict[str, str] | None:
        """What stands in the holes; None for another path."""
        if path == self.path:
            return {}
        if "{" not in self.path:
            return None
        pieces = _HOLE.split(self.path)
        pattern = "".join(f"(?P<{p}>[^/]+)" if odd else re.escape(p) for n, p in enumerate(pieces) for odd in (n % 2,))
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()
