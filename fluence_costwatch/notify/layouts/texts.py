"""Messages as text and as Markdown: for chats, for push notices, and for mail programs that show no HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fluence_costwatch.core.messages.message import Chart, Message, Section, Table
from fluence_costwatch.core.messages.wording import money
from fluence_costwatch.notify.layouts import escaping
from fluence_costwatch.notify.layouts.escaping import Escape

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Style:
    """How a kind of channel takes its texts."""

    escape: Escape
    code: Escape
    strong: str
    link: str
    line_end: str
    paragraph: str = "\n\n"


PLAIN: Final = Style(escaping.plain, lambda text: text, "{}", "{}", "\n")
# Two spaces end a line where Markdown would otherwise join it to the next.
MARKDOWN: Final = Style(escaping.markdown, escaping.code, "**{}**", "<{}>", "  \n")
SLACK: Final = Style(escaping.slack, escaping.slack_code, "**{}**", "<{}>", "\n")


def chat_text(message: Message, *, style: Style, with_subject: bool = True) -> str:
    """A cleaned message in short paragraphs; tables become one line for each row."""
    blocks = [[style.strong.format(style.escape(message.subject))]] if with_subject else []
    blocks += [_chat_section(section, style=style) for section in message.sections]
    if message.chart and message.chart.bars:
        blocks.append([style.escape(sparkline(message.chart))])
    blocks.append([_acting(text, style=style) for text in (message.action, message.link) if text])
    blocks.append([style.escape(message.why)] if message.why else [])
    return style.paragraph.join(style.line_end.join(block) for block in blocks if block)


def mail_text(message: Message) -> str:
    """A cleaned message as the plain side of a mail: its subject stands in a header, its tables are aligned."""
    blocks = [_mail_section(section) for section in message.sections]
    if message.chart and message.chart.bars:
        blocks.append([escaping.plain(sparkline(message.chart))])
    blocks.append([text for text in (message.action, message.link) if text])
    # The line that mail programs take for the beginning of what is not the message itself.
    blocks.append(["-- ", escaping.plain(message.why)] if message.why else [])
    text = "\n\n".join("\n".join(block) for block in blocks if block)
    return f"{text or escaping.plain(message.subject)}\n"


def sparkline(chart: Chart) -> str:
    """ "Spend by day: ▂▃█ (2026-03-01 to 2026-03-03, at most $3.10)"."""
    highest = max(amount for _, amount in chart.bars)
    top = max(highest.micros, 1)
    line = "".join(_BLOCKS[max(amount.micros, 0) * (len(_BLOCKS) - 1) // top] for _, amount in chart.bars)
    first, last = chart.bars[0][0], chart.bars[-1][0]
    return f"{chart.title}: {line} ({first} to {last}, at most {money(highest)})"


def more(count: int) -> str:
    """What stands for what was cut."""
    return f"… and {count} more"


def _acting(text: str, *, style: Style) -> str:
    return style.link.format(text) if escaping.is_link(text) else style.code(text)


def _chat_section(section: Section, *, style: Style) -> list[str]:
    lines = []
    columns = [column for column in section.table.columns if column] if section.table else []
    legend = style.escape(f"({' · '.join(columns)})") if columns else ""
    heading = style.strong.format(style.escape(section.heading)) if section.heading else ""
    if heading or legend:
        lines.append(" ".join(filter(None, (heading, legend))))
    lines += [style.escape(line) for line in section.lines]
    if section.table:
        lines += [f"• {' · '.join(style.escape(cell) for cell in row if cell)}" for row in section.table.rows]
    if section.left_out:
        lines.append(more(section.left_out))
    return lines


def _mail_section(section: Section) -> list[str]:
    lines = []
    if section.heading:
        heading = escaping.plain(section.heading)
        lines += [heading, "-" * len(heading)]
    lines += [escaping.plain(line) for line in section.lines]
    if section.table:
        lines += _aligned(section.table)
    if section.left_out:
        lines.append(more(section.left_out))
    return lines


def _aligned(table: Table) -> list[str]:
    rows = [[escaping.plain(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if place in table.right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"  {'  '.join(cells)}".rstrip()

    return [line(row) for row in rows]
