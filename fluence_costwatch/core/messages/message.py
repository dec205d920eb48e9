"""What a person gets to read: the content of one message, free of any channel's markup.

All texts are plain: names from the API are in them as they are but for controls (`untrusted.printable`). Whoever puts a
message into Markdown, HTML or a chat escapes every text of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.money import Usd


@dataclass(frozen=True, slots=True)
class Table:
    """A small table; every row is as long as `columns`. The columns in `right` hold figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """What was spent day by day, oldest first."""

    title: str
    bars: tuple[tuple[date, Usd], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a message under its own heading: sentences, then a table. `left_out` counts what was cut off."""

    heading: str
    lines: tuple[str, ...] = ()
    table: Table | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    `thread` is the same for all messages about one thing. `action` is the one command or link that acts ("" for none);
    `why` says why it was sent and how to silence it.
    """

    severity: Severity
    subject: str
    thread: str
    sections: tuple[Section, ...]
    action: str = ""
    link: str = ""
    why: str = ""
    chart: Chart | None = None
