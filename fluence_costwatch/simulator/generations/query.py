"""Reading a query string: plain, repeated and bracketed parameters, and what they may say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from ..options import Options
from ..pages import Page
from ..wire import BadRequest

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]{40}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def checked_id(text: str) -> str:
    """An id in lower case; BadRequest where it cannot be one."""
    if not _ID.fullmatch(text):
        raise BadRequest(f"Invalid URL: UUID parsing failed: {text!r}")
    return text.lower()


class Query:
    """The parameters of a request; BadRequest for any that cannot be understood."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = tuple(pairs)

    def text(self, *names: str) -> str | None:
        """The value of the first of these names that is there; its last one where it comes more than once."""
        for name in names:
            if values := self.texts(name):
                return values[-1]
        return None

    def texts(self, name: str) -> list[str]:
        """`name=a`, `name=a&name=b`, `name[]=a` and `name[0]=a&name[1]=b`, in the order in which they were written."""
        bracketed = re.compile(rf"{re.escape(name)}\[\d*\]", re.ASCII)
        return [value for key, value in self._pairs if key == name or bracketed.fullmatch(key)]

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        value = self.text(name)
        return None if value is None else _allowed(name, value, allowed)

    def choices(self, name: str, allowed: Sequence[str]) -> list[str]:
        return [_allowed(name, value, allowed) for value in self.texts(name)]

    def ids(self, name: str) -> list[str]:
        return [checked_id(value) for value in self.texts(name)]

    def id(self, name: str) -> str | None:
        return next(iter(self.ids(name)), None)

    def flag(self, name: str) -> bool:
        return self.choice(name, ("true", "false")) == "true"

    def number(self, *names: str) -> int | None:
        value = self.text(*names)
        if value is not None and not re.fullmatch(r"\d{1,18}", value, re.ASCII):
            raise BadRequest(f"Query deserialize error: {names[0]}: invalid digit found in {value!r}")
        return None if value is None else int(value)

    def day(self, name: str, *, needed: bool = False) -> datetime | None:
        """The start of a UTC day."""
        value = self.text(name)
        if value is None:
            if needed:
                raise BadRequest(f"Query deserialize error: missing field `{name}`")
            return None
        try:
            if not _DAY.fullmatch(value):
                raise ValueError(value)
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError as exc:
            raise BadRequest(f"Query deserialize error: {name}: not a date: {value!r}") from exc


def page_of(rows: list[dict[str, Any]], query: Query, options: Options, *, total: int) -> Page:
    """The page that the query names out of these rows; the largest page where it asks for more than that."""
    size = query.number("per_page" if options.spec == "0.8" else "perPage")
    if size == 0:
        raise BadRequest("Query deserialize error: perPage: must not be 0")
    number = query.number("page")
    index = 0 if number is None else max(0, number - options.page_base)
    size = options.page_size if size is None else min(size, options.max_page_size)
    return Page(rows, total, index, size, options.page_base)


def _allowed(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise BadRequest(f"Query deserialize error: {name}: unknown variant {value!r}")
    return value
