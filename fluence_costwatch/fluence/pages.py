"""Lists in pages: all of their pages, or an error that says why the list is not whole.

Where pages begin, whether their size is heeded and what comes after the last one differs between servers, so the end is
known from several signs, and that the list is whole from the number of records that it says it has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from fluence_costwatch.errors import FluenceIncomplete, FluenceUnexpected
from fluence_costwatch.fluence.wire import NULL, decoded, resource_id, shown, unexpected
from fluence_costwatch.http_client import Budget, HttpAnswer, HttpClient

PER_PAGE: Final = 100
_OTHER_SIZE: Final = 83
_MOST_PAGES: Final = 500

# Oldest first, so that what is made meanwhile comes at the end and moves nothing from one page to another.
_IN_ORDER: Final = (("sort", "createdAt"), ("order", "asc"))


class _Pagination(msgspec.Struct, rename="camel"):
    total_records: int | None = None
    filtered_records: int | None = None
    total_pages: int | None = None
    current_page: int | None = None


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    pagination: _Pagination


class _Item(msgspec.Struct, gc=False, rename="camel"):
    id: msgspec.Raw
    created_at: msgspec.Raw = NULL


# Not strict: a number may be a text.
_PAGE: Final = msgspec.json.Decoder(_Page, strict=False)
_ITEM: Final = msgspec.json.Decoder(_Item)


@dataclass(frozen=True, slots=True)
class Pages:
    """The items of a whole list, each once, and when it was first asked for and last answered."""

    items: tuple[msgspec.Raw, ...]
    sent_at: datetime
    answered_at: datetime
    clock_ahead: timedelta | None


def read_pages(http: HttpClient, path: str, *, what: str, budget: Budget) -> Pages:
    """Every item of the list at `path`. Raises FluenceIncomplete where its pages and totals contradict each other.

    `what` it lists is for errors: "list of machines".
    """
    reading = _Reading(http, path, what=what, budget=budget)
    first, last = _read_through(reading, per_page=PER_PAGE, what=what)
    if reading.lacks_some and reading.overlaps:
        # Records of the same instant, made together, may stand in another order in each answer, so that one of them is
        # on two pages and one on none. Pages of another size end elsewhere.
        _, last = _read_through(reading, per_page=_OTHER_SIZE, what=what)
    reading.check()
    return Pages(reading.items, first.sent_at, last.answered_at, first.clock_ahead)


def _read_through(reading: _Reading, *, per_page: int, what: str) -> tuple[HttpAnswer, HttpAnswer]:
    """Read page after page to the end; the first and the last answer."""
    reading.begin(per_page)
    first = last = reading.take(1)
    # The first page may be called 0 in an answer though it is 1 in a request.
    behind = 1 if reading.current == 0 else 0
    number = 1
    while reading.fresh and not reading.ends_with(number, behind=behind):
        if number == _MOST_PAGES:
            raise _incomplete(what, f"it does not end after {_MOST_PAGES} pages")
        number += 1
        last = reading.take(number)
    if reading.lacks_some and not behind:
        # Where requests count from 0 too, the very first page has not been asked for.
        last = reading.take_if_there(0, otherwise=last)
    return first, last


class _Reading:
    """What the pages that were read until now hold and say."""

    def __init__(self, http: HttpClient, path: str, *, what: str, budget: Budget) -> None:
        self._http = http
        self._path = path
        self._what = what
        self._budget = budget
        self._found: dict[str, tuple[msgspec.Raw, msgspec.Raw]] = {}
        self._records: int | None = None
        self._pages: int | None = None
        self._per_page = PER_PAGE
        self._read: set[str] = set()
        self.current: int | None = None
        self.fresh = 0
        self.overlaps = False

    def begin(self, per_page: int) -> None:
        """Start again from the first page, with pages of this size; what was found stays."""
        self._per_page = per_page
        self._read = set()

    @property
    def items(self) -> tuple[msgspec.Raw, ...]:
        return tuple(item for item, _ in self._found.values())

    @property
    def lacks_some(self) -> bool:
        return self._records is not None and len(self._found) < self._records

    def ends_with(self, number: int, *, behind: int) -> bool:
        """Whether the page that was asked for as `number` says that it is the last one."""
        current = number if self.current is None else self.current + behind
        return self._pages is not None and current >= self._pages

    def take(self, number: int) -> HttpAnswer:
        """Read a page. A later one that is not there or is no page means that the list is not whole."""
        try:
            answer = self._ask(number)
            page = self._page(answer.body)
        except FluenceUnexpected as error:
            if number == 1:
                raise
            raise _incomplete(self._what, f"its page {number} cannot be had. {error}") from error
        self._keep(page, number)
        return answer

    def take_if_there(self, number: int, *, otherwise: HttpAnswer) -> HttpAnswer:
        """Read a page that a server need not have."""
        try:
            answer = self._ask(number)
            page = self._page(answer.body)
        except FluenceUnexpected:
            return otherwise
        self._keep(page, number)
        return answer

    def check(self) -> None:
        """Raise FluenceIncomplete unless as many items were found as the list says it has."""
        if self._records is None:
            raise _incomplete(self._what, "it does not say how many records it has")
        if len(self._found) != self._records:
            raise _incomplete(
                self._what, f"it says that it has {self._records} records, and its pages hold {len(self._found)}"
            )

    def _ask(self, number: int) -> HttpAnswer:
        query = (*_IN_ORDER, ("page", str(number)), ("perPage", str(self._per_page)))
        return self._http.get(self._path, query=query, budget=self._budget)

    def _page(self, body: bytes) -> _Page:
        try:
            return decoded(body, _PAGE)
        except (ValueError, RecursionError) as exc:
            raise unexpected(f"it is not a page of a list ({exc}) but begins {shown(body)}", what=self._what) from exc

    def _keep(self, page: _Page, number: int) -> None:
        before = len(self._read)
        for raw in page.items:
            item = self._item(raw)
            id = resource_id(item.id, what=self._what).lower()
            _, created_at = self._found.setdefault(id, (msgspec.Raw(bytes(raw)), msgspec.Raw(bytes(item.created_at))))
            if created_at != item.created_at:
                raise _incomplete(
                    self._what, f"two of its records have the id {id} and were created at different times"
                )
            self._read.add(id)
        self.fresh = len(self._read) - before
        self.overlaps = self.overlaps or 0 < self.fresh < len(page.items)
        said = page.pagination
        records = said.total_records if said.filtered_records is None else said.filtered_records
        if self._records is not None and records != self._records:
            raise _incomplete(
                self._what,
                f"it had {self._records} records and on page {number} {records}: it changed while it was read",
            )
        self._records = records
        self._pages = said.total_pages
        self.current = said.current_page

    def _item(self, raw: msgspec.Raw) -> _Item:
        try:
            return _ITEM.decode(raw)
        except (ValueError, RecursionError) as exc:
            raise unexpected(f"an element of it is not an object with an id ({exc})", what=self._what) from exc


def _incomplete(what: str, why: str) -> FluenceIncomplete:
    return FluenceIncomplete(
        f"Fluence's {what} is not whole: {why}. None of it is taken over: charges go on as uncertain, and nothing is taken "
        "for ended. If this lasts, say so to Fluence's support."
    )
