"""Messages as HTML: a mail that every program can show (no images, no script, no outside address), and the little that
chats take."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.message import Chart, Message
from fluence_costwatch.core.messages.wording import money
from fluence_costwatch.notify.layouts import escaping
from fluence_costwatch.notify.layouts.texts import Style, more

if TYPE_CHECKING:
    import jinja2

_CHART_HEIGHT: Final = 72
_LEAST_BAR: Final = 2
_LONGEST_PREHEADER: Final = 140


@dataclass(frozen=True, slots=True)
class _Tone:
    """The word and the colours of a severity; white on `strong`, and `strong` on white, are readable."""

    word: str
    strong: str


_TONES: Final = (
    (Severity.INFO, _Tone("For information", "#1d4ed8")),
    (Severity.WARNING, _Tone("Warning", "#b45309")),
    (Severity.CRITICAL, _Tone("Critical", "#b91c1c")),
)


@dataclass(frozen=True, slots=True)
class _Bar:
    height: int
    label: str


@dataclass(frozen=True, slots=True)
class _Bars:
    """A chart as cells of a table."""

    title: str
    bars: tuple[_Bar, ...]
    height: int
    first: str
    last: str
    highest: str


def html_mail(message: Message) -> str:
    """A cleaned message as the HTML side of a mail."""
    return _template().render(
        message=message,
        tone=dict(_TONES)[message.severity],
        bars=_bars(message.chart) if message.chart and message.chart.bars else None,
        preheader=_preheader(message),
        action_is_link=escaping.is_link(message.action),
        has_link=escaping.is_link(message.link),
    )


def _escaped(text: str) -> str:
    return html.escape(escaping.plain(text))


# For channels whose HTML knows hardly more than these.
SIMPLE: Final = Style(
    _escaped,
    lambda text: f"<code>{html.escape(text)}</code>",
    "<b>{}</b>",
    '<a href="{0}">{0}</a>',
    "<br/>\n",
    "<br/><br/>\n",
)


def _preheader(message: Message) -> str:
    """What lists of mails show behind the subject: the first thing said."""
    first = next((line for section in message.sections for line in section.lines), "")
    return first if len(first) <= _LONGEST_PREHEADER else f"{first[: _LONGEST_PREHEADER - 1]}…"


def _bars(chart: Chart) -> _Bars:
    highest = max(amount for _, amount in chart.bars)
    top = max(highest.micros, 1)
    return _Bars(
        title=chart.title,
        bars=tuple(
            _Bar(max(max(amount.micros, 0) * _CHART_HEIGHT // top, _LEAST_BAR), f"{day}: {money(amount)}")
            for day, amount in chart.bars
        ),
        height=_CHART_HEIGHT,
        first=chart.bars[0][0].isoformat(),
        last=chart.bars[-1][0].isoformat(),
        highest=money(highest),
    )


@cache
def _template() -> jinja2.Template:
    # Loaded with the first mail: no command line needs it.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = escaping.plain
    environment.filters["more"] = more
    return environment.get_template("mail.html.j2")
