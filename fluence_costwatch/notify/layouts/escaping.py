"""Texts that come out as texts: no mention, link, formatting or control survives in what a name holds.

Where a channel has no way to escape a character, an invisible space behind it takes its meaning, or a look-alike its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fluence_costwatch.core.messages.message import Message, Section, Table
from fluence_costwatch.core.untrusted import printable

Escape = Callable[[str], str]
"""Makes one text harmless for one kind of channel."""

_INVISIBLE: Final = "\u200b"

# What chats take for a call to a person or to all, wherever it stands; and what they or mail programs make links of.
_ALL: Final = "all|channel|everyone|group|here|online|room|team"
_ACTS: Final = re.compile(
    rf"@(?=(?:{_ALL})\b)|(?<![\w.+-])@(?=\S)|<(?=[!@#]|at\b|users/)|:(?=//)|\bwww(?=\.)", re.IGNORECASE
)
_EMOJI: Final = re.compile(r":(?=[a-z_+][\w+-]*:)", re.IGNORECASE)

# An underscore inside a word means nothing anywhere, and names are full of them.
_MARKS: Final = re.compile(r"[\\`*{}\[\]<>#|~()!&^$]|(?<![^\W_])_|_(?![^\W_])")
_LINE_MARKS: Final = re.compile(r"^([-+=])|^(\d{1,9})([.)])(?=\s|$)")

# Slack knows no escape for these. The rest Apprise turns from CommonMark into what Slack takes.
_SLACK: Final = (("`", "ˋ"), ("*", "∗"), ("~", "∼"), ("\\", "∖"))
_SLACK_UNDERSCORE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_SLACK_MARKS: Final = re.compile(r"[\[\]<>#()!]")

_LINK: Final = re.compile(r"https?://[^\s<>\"'`|\\^{}]+", re.IGNORECASE)


def plain(text: str) -> str:
    """`text` for channels that show what they get: nobody is called and nothing can be clicked."""
    return _ACTS.sub(lambda found: f"{found[0]}{_INVISIBLE}", text)


def markdown(text: str) -> str:
    """`text` for CommonMark, of which Apprise makes the dialect of the channel."""
    marked = _MARKS.sub(r"\\\g<0>", _EMOJI.sub(f":{_INVISIBLE}", plain(text)))
    return _LINE_MARKS.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", marked)


def slack(text: str) -> str:
    """`text` for the CommonMark of which Apprise makes Slack's own."""
    shown = _EMOJI.sub(f":{_INVISIBLE}", plain(text))
    for mark, alike in _SLACK:
        shown = shown.replace(mark, alike)
    return _SLACK_MARKS.sub(r"\\\g<0>", _SLACK_UNDERSCORE.sub("＿", shown))


def code(text: str) -> str:
    """`text` as a piece of code in Markdown, whatever backticks it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def slack_code(text: str) -> str:
    """`text` as a piece of code in Slack."""
    return f"`{text.replace('`', 'ˋ')}`"


def is_link(text: str) -> bool:
    """Whether `text` is a web address, and nothing that could break out of where one stands."""
    return _LINK.fullmatch(text) is not None


def cleaned(message: Message) -> Message:
    """`message` with every text on one line and free of controls, which hold for all channels alike."""
    return replace(
        message,
        subject=printable(message.subject),
        sections=tuple(_cleaned(section) for section in message.sections),
        action=printable(message.action),
        link=printable(message.link),
        why=printable(message.why),
        chart=replace(message.chart, title=printable(message.chart.title)) if message.chart else None,
    )


def _cleaned(section: Section) -> Section:
    table = section.table
    return replace(
        section,
        heading=printable(section.heading),
        lines=tuple(printable(line) for line in section.lines),
        table=table
        and Table(
            tuple(printable(column) for column in table.columns),
            tuple(tuple(printable(cell) for cell in row) for row in table.rows),
            table.right,
        ),
    )
