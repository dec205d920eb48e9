"""Spans of time as people write them in the configuration: "5m", "1h30m", "400d"."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

from fluence_costwatch.config.problems import shown

LONGEST: Final = timedelta(days=36_500)

_SECONDS: Final = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
# A timedelta that is too long is refused by its number of digits, before any arithmetic.
_PATTERN: Final = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,12}}){unit})?" for unit, _ in _SECONDS))
_RIGHT: Final = (
    'write whole numbers with a unit of s, m, h, d or w, the largest unit first, as in "30s", "5m" or "1h30m"'
)


def parse_duration(value: object) -> timedelta:
    """The span that `value` names, above zero and at most 36500 days. Raise ValueError if it names none."""
    if not isinstance(value, str):
        bare = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
        raise ValueError(f"is {shown(value)}, {'a number without a unit' if bare else 'not a duration'}; {_RIGHT}")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        raise ValueError(f"is {shown(value)}, a number without a unit; {_RIGHT}")
    match = _PATTERN.fullmatch(value)
    if match is None or not value:
        raise ValueError(f"is {shown(value)}, not a duration; {_RIGHT}")
    seconds = sum(int(match[unit] or 0) * size for unit, size in _SECONDS)
    if seconds == 0:
        raise ValueError(f"must be longer than zero, is {shown(value)}")
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"must be at most {format_duration(LONGEST)}, is {shown(value)}")
    return timedelta(seconds=seconds)


def format_duration(span: timedelta) -> str:
    """The shortest text in days, hours, minutes and seconds that `parse_duration` reads as `span`."""
    rest = span // timedelta(seconds=1)
    text = ""
    for unit, size in _SECONDS[1:]:
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text
