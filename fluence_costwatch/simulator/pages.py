"""Lists that come in pages, and pages that are not what they should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of `size` rows out of all that match; `index` counts from 0 whatever the number of the first page."""

    rows: list[JsonObject]
    total: int
    """How many rows there are without any filter."""
    index: int
    size: int
    base: int


def cut(page: Page, faults: Iterable[tuple[str, JsonObject]] = ()) -> JsonObject:
    """The envelope of a page, as these faults leave it."""
    start, pages = page.index * page.size, -(-len(page.rows) // page.size)
    envelope: JsonObject = {
        "items": page.rows[start : start + page.size],
        "pagination": {
            "totalRecords": page.total,
            "filteredRecords": len(page.rows),
            "totalPages": pages,
            "currentPage": page.index + page.base,
            "perPage": page.size,
        },
    }
    for kind, params in faults:
        if params.get("page") in (None, page.index + page.base):
            _FAULTS[kind](envelope, page, params)
    return envelope


def _short(envelope: JsonObject, page: Page, params: JsonObject) -> None:
    envelope["items"] = envelope["items"][: max(0, len(envelope["items"]) - params["drop"])]


def _repeats(envelope: JsonObject, page: Page, params: JsonObject) -> None:
    """The rows of the page before, under the number that was asked for."""
    before = max(0, page.index - 1) * page.size
    envelope["items"] = page.rows[before : before + page.size]


def _totals(envelope: JsonObject, page: Page, params: JsonObject) -> None:
    for name in ("totalRecords", "filteredRecords", "totalPages"):
        envelope["pagination"][name] = max(0, envelope["pagination"][name] + params[name])


def _endless(envelope: JsonObject, page: Page, params: JsonObject) -> None:
    """There is always one page more; `fresh` gives its rows ids that nobody has seen."""
    envelope["pagination"]["totalPages"] = page.index + 2
    if not envelope["items"] or params["fresh"]:
        number = page.index + page.base
        rows = envelope["items"] or page.rows[: page.size]
        envelope["items"] = [
            {**row, "id": _fresh(str(row.get("id")), number)} if params["fresh"] else row for row in rows
        ]


def _fresh(id: str, number: int) -> str:
    digits = f"{number:x}"
    return id[: -len(digits)] + digits if number else id


def _moves(envelope: JsonObject, page: Page, params: JsonObject) -> None:
    """After the first page rows moved by that many: forward and some are seen twice, back and some never."""
    if page.index > 0:
        start = max(0, page.index * page.size - params["by"])
        envelope["items"] = page.rows[start : start + page.size]


def _without(envelope: JsonObject, page: Page, params: JsonObject) -> None:
    envelope.pop(params["name"], None)
    envelope.get("pagination", {}).pop(params["name"], None)


_FAULTS = {
    "page_short": _short,
    "page_repeats": _repeats,
    "page_totals": _totals,
    "page_endless": _endless,
    "page_moves": _moves,
    "page_without": _without,
}
PAGE_FAULTS: dict[str, JsonObject] = {
    "page_short": {"page": None, "drop": 1},
    "page_repeats": {"page": None},
    "page_totals": {"page": None, "totalRecords": 1, "filteredRecords": 1, "totalPages": 0},
    "page_endless": {"fresh": False},
    "page_moves": {"by": 1},
    "page_without": {"page": None, "name": "pagination"},
}
"""Each kind with its parameters and their defaults; `page` is the number of the only page meant, None means all."""
