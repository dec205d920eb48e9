"""Messages as one text each: frozen when they are committed, so every version can be read for as long as rows are kept."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, Final

from sqlalchemy import Dialect

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.message import Chart, Message, Section, Table
from fluence_costwatch.core.money import Usd
from fluence_costwatch.errors import StoreError
from fluence_costwatch.store.types import Written, compact

_VERSION: Final = 1


def message_text(message: Message) -> str:
    """`message` as one text."""
    return compact(
        {
            "version": _VERSION,
            "severity": message.severity.value,
            "subject": message.subject,
            "thread": message.thread,
            "sections": [_section_json(section) for section in message.sections],
            "action": message.action,
            "link": message.link,
            "why": message.why,
            "chart": None if message.chart is None else _chart_json(message.chart),
        }
    )


def message_of(text: str) -> Message:
    """The message that `message_text` wrote. Raises StoreError for a version that it never wrote."""
    content = json.loads(text)
    if content["version"] != _VERSION:
        raise StoreError(
            f"The outbox holds a message of version {content['version']}, which this CostWatch cannot read."
        )
    return Message(
        severity=Severity(content["severity"]),
        subject=content["subject"],
        thread=content["thread"],
        sections=tuple(_section(section) for section in content["sections"]),
        action=content["action"],
        link=content["link"],
        why=content["why"],
        chart=None if content["chart"] is None else _chart(content["chart"]),
    )


class MessageText(Written[Message]):
    """A message."""

    cache_ok = True

    def process_bind_param(self, value: Message | None, dialect: Dialect) -> str | None:
        return None if value is None else message_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Message | None:
        return None if value is None else message_of(value)


def _section_json(section: Section) -> dict[str, Any]:
    table = section.table
    return {
        "heading": section.heading,
        "lines": section.lines,
        "table": None if table is None else {"columns": table.columns, "rows": table.rows, "right": table.right},
        "left_out": section.left_out,
    }


def _section(content: dict[str, Any]) -> Section:
    table = content["table"]
    return Section(
        heading=content["heading"],
        lines=tuple(content["lines"]),
        table=None if table is None else _table(table),
        left_out=content["left_out"],
    )


def _table(content: dict[str, Any]) -> Table:
    return Table(
        columns=tuple(content["columns"]),
        rows=tuple(tuple(row) for row in content["rows"]),
        right=tuple(content["right"]),
    )


def _chart_json(chart: Chart) -> dict[str, Any]:
    return {"title": chart.title, "bars": [[day.isoformat(), spent.micros] for day, spent in chart.bars]}


def _chart(content: dict[str, Any]) -> Chart:
    return Chart(content["title"], tuple((date.fromisoformat(day), Usd(micros)) for day, micros in content["bars"]))
