"""Figures and instants as people read them, in tables and messages."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.untrusted import printable

LONGEST_NAME: Final = 120
UNKNOWN: Final = "?"
NOTHING: Final = "-"

_CENT: Final = Decimal("0.01")
_CENTS_HIDE_NOTHING_FROM: Final = 10
_MICRO: Final = Decimal("0.000001")
# What an API may call an amount is longer than what the usual context can round.
_LONG: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def money(amount: Usd | Decimal | None, *, at_least: bool = False) -> str:
    """ "$0.29816", "$33650.34": from ten dollars on to the cent, below as many decimals as are needed up to six.

    A price finer than a micro-dollar is shown in full. Exact figures are in `--json` and exports.
    """
    if amount is None:
        return UNKNOWN
    exact = amount.dollars if isinstance(amount, Usd) else amount
    rounded = exact.quantize(_CENT if abs(exact) >= _CENTS_HIDE_NOTHING_FROM else _MICRO, context=_LONG)
    shown = rounded if rounded or not exact else exact
    whole, _, decimals = f"{abs(shown):f}".partition(".")
    text = f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"
    return f"{'≥ ' if at_least else ''}{'-' if shown < 0 else ''}{text}"


def uncertain(amount: Usd) -> str:
    """What the bill may hold on top, as it follows a total; nothing where there is no doubt."""
    return f" + up to {money(amount)} uncertain" if amount else ""


def moment(instant: datetime | None, *, zone: tzinfo, today: datetime) -> str:
    """`instant` in `zone`, without its date where that is the day of `today`; seconds only where there are any."""
    if instant is None:
        return NOTHING
    local = instant.astimezone(zone)
    clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    return clock if local.date() == today.astimezone(zone).date() else f"{local:%Y-%m-%d} {clock}"


def full_moment(instant: datetime, *, zone: tzinfo) -> str:
    """`instant` with its date and its zone."""
    local = instant.astimezone(zone)
    return f"{local:%Y-%m-%d} {local.strftime('%H:%M:%S' if local.second else '%H:%M')} {local.tzname()}"


def span(length: timedelta) -> str:
    """ "5 min", "3 h": a length in its largest unit, rounded down."""
    seconds = int(length.total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"


def long_span(length: timedelta) -> str:
    """ "12 d 4 h", "35 min": a length in its largest unit and the next one below, rounded down."""
    seconds = int(length.total_seconds())
    for place, (size, unit) in enumerate(_UNITS):
        if seconds >= size:
            count, rest = divmod(seconds, size)
            smaller = _UNITS[place + 1 :][:1]
            counts = [(count, unit)] + [(rest // below, name) for below, name in smaller]
            return " ".join(f"{number} {name}" for number, name in counts if number)
    return "0 s"


def label(name: str | None, *, otherwise: str) -> str:
    """A name that the API gave, harmless; what has none goes by something else."""
    return printable(name, limit=LONGEST_NAME) if name else otherwise


def counted(count: int, noun: str) -> str:
    """ "1 resource", "2 resources"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
