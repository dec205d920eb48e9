"""Figures and instants as they are worded in messages to people."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.untrusted import printable, shortened

LONGEST_NAME: Final = 60
UNKNOWN: Final = "?"

_CENT: Final = Decimal("0.01")
_CENTS_HIDE_NOTHING_FROM: Final = 10
_MICRO: Final = Decimal("0.000001")
# What an API may call an amount is longer than what the usual context can round.
_LONG: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_UTC: Final = timedelta(0)


def money(amount: Usd | Decimal | None, *, at_least: bool = False) -> str:
    """ "$41.50", "$0.29816": from ten dollars on to the cent, below as many decimals as are needed up to six."""
    if amount is None:
        return UNKNOWN
    exact = amount.dollars if isinstance(amount, Usd) else amount
    rounded = exact.quantize(_CENT if abs(exact) >= _CENTS_HIDE_NOTHING_FROM else _MICRO, context=_LONG)
    whole, _, decimals = f"{abs(rounded):f}".partition(".")
    sign = "-" if rounded < 0 else ""
    return f"{'≥ ' if at_least else ''}{sign}${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def share(ratio: Decimal) -> str:
    """ "83%": rounded down, so that what is not reached does not look as if it were."""
    return f"{int((ratio * 100).to_integral_value(ROUND_FLOOR, context=_LONG))}%"


def instant(moment: datetime, *, zone: tzinfo) -> str:
    """ "2026-03-01 17:55 UTC (18:55 CET)": in UTC and, where that differs, in `zone`."""
    offset = moment.utcoffset()
    utc = (moment if offset is None else moment - offset).replace(tzinfo=None)
    local = moment.astimezone(zone)
    text = f"{utc:%Y-%m-%d} {_clock(utc)} UTC"
    if local.utcoffset() == _UTC:
        return text
    day = "" if local.date() == utc.date() else f"{local:%Y-%m-%d} "
    return f"{text} ({day}{_clock(local)} {local.tzname()})"


def day_text(day: date) -> str:
    """ "31 March"."""
    return f"{day.day} {day:%B}"


def span(length: timedelta) -> str:
    """ "12 d 4 h", "35 min": a length in its largest unit and the next one below, rounded down."""
    seconds = int(length.total_seconds())
    for place, (size, unit) in enumerate(_UNITS):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            counts = [(count, unit)] + [(rest // below, name) for below, name in _UNITS[place + 1 : place + 2]]
            return " ".join(f"{number} {name}" for number, name in counts if number)
    return "0 s"


def counted(count: int, noun: str) -> str:
    """ "1 charge", "2 charges"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def label(name: str | None, *, id: str) -> str:
    """A name that the API gave, harmless; what has none goes by its id."""
    return printable(name, limit=LONGEST_NAME) if name else shortened(printable(id), width=LONGEST_NAME)


def sentence(text: str) -> str:
    """`text` with a full stop at its end."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
