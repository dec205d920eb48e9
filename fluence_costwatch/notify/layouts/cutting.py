"""Making a message fit a channel: whole lines go, from the end, and what went is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from fluence_costwatch.core.messages.message import Message, Section
from fluence_costwatch.core.untrusted import printable

_SHORTEST_SUBJECT: Final = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a text may be in bytes (so that it fits in whatever unit a channel counts), and of how many lines. 0: any."""

    size: int = 0
    lines: int = 0

    def hold(self, text: str) -> bool:
        """Whether `text` keeps to them."""
        return (not self.size or len(text.encode("utf-8", "surrogatepass")) <= self.size) and (
            not self.lines or text.count("\n") < self.lines
        )


def fitted(message: Message, *, render: Callable[[Message], str], limits: Limits) -> str:
    """`message` as `render` lays it out, cut until it keeps to `limits`.

    The chart goes first, then lines and rows from the end, then the reason; subject, action and link stay as long as
    there is room for them.
    """
    text = render(message)
    if limits.hold(text):
        return text
    bare = replace(message, chart=None)
    most = _largest(_units(message), lambda kept: limits.hold(render(_cut(bare, kept=kept))))
    if most is not None:
        return render(_cut(bare, kept=most))
    for smaller in _smaller(bare):
        text = render(smaller)
        if limits.hold(text):
            return text
    least = replace(bare, sections=(), why="", link="", action="")
    longest = _largest(len(message.subject), lambda width: limits.hold(render(_titled(least, width=width))))
    return render(_titled(least, width=longest or _SHORTEST_SUBJECT))


def _smaller(message: Message) -> Iterator[Message]:
    alone = replace(message, sections=(), why="")
    yield replace(message, sections=())
    yield alone
    if message.action:
        yield replace(alone, link="")
    yield replace(alone, action="")


def _titled(message: Message, *, width: int) -> Message:
    return replace(message, subject=printable(message.subject, limit=max(width, _SHORTEST_SUBJECT)))


def _units(message: Message) -> int:
    return sum(_size(section) for section in message.sections)


def _size(section: Section) -> int:
    return len(section.lines) + (len(section.table.rows) if section.table else 0)


def _cut(message: Message, *, kept: int) -> Message:
    """`message` with the first `kept` of its lines and rows; those of sections that went are counted in the end."""
    sections: list[Section] = []
    uncounted = 0
    for section in message.sections:
        take = min(kept, _size(section))
        kept -= take
        gone = _size(section) - take
        if gone and not take:
            uncounted += gone + section.left_out
            continue
        lines = section.lines[:take]
        table = section.table
        if table is not None:
            rows = table.rows[: max(take - len(section.lines), 0)]
            table = replace(table, rows=rows) if rows else None
        sections.append(replace(section, lines=lines, table=table, left_out=section.left_out + gone))
    if uncounted and sections and not sections[-1].left_out:
        sections[-1] = replace(sections[-1], left_out=uncounted)
    elif uncounted:  # beside a count of its own that a section has, which must stay true
        sections.append(Section("", left_out=uncounted))
    return replace(message, sections=tuple(sections))


def _largest(upto: int, holds: Callable[[int], bool]) -> int | None:
    """The largest number from 0 to `upto` that holds, where what holds for one holds for all below it."""
    if not holds(0):
        return None
    low, high = 0, upto
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
