"""What a person may write for a moment, a span of time and an address. What cannot be understood is a usage error."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final

import typer

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN: Final = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_PART: Final = re.compile(r"([0-9]+)([smhdw])")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RIGHT_SPAN: Final = 'write whole numbers with a unit of s, m, h, d or w, as in "20s", "5m" or "1h30m"'
_RIGHT_MOMENT: Final = (
    'write a date ("2026-03-01", midnight UTC), an instant ("2026-03-01T17:55Z") or a span ago ("7d")'
)


def parse_span(text: str, *, option: str) -> timedelta:
    """A span of time above zero: "20s", "1h30m"."""
    length = _span(text)
    if not length:
        raise typer.BadParameter(f"{text!r} is no span of time; {_RIGHT_SPAN}", param_hint=f"'{option}'")
    return length


def parse_delay(text: str, *, option: str) -> timedelta:
    """A span of time that may be zero: "0s"."""
    length = _span(text)
    if length is None:
        raise typer.BadParameter(f"{text!r} is no span of time; {_RIGHT_SPAN}", param_hint=f"'{option}'")
    return length


def parse_moment(text: str, *, option: str, now: datetime) -> datetime:
    """An ISO date (midnight UTC), an ISO instant (UTC unless it says otherwise), or a span before `now`."""
    length = _span(text)
    try:
        return _instant(text) if length is None else now - length
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no moment; {_RIGHT_MOMENT}", param_hint=f"'{option}'") from None


def parse_instant(text: str, *, option: str) -> datetime:
    """An ISO instant, UTC unless it says otherwise."""
    try:
        return _instant(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f'{text!r} is no instant; write it as in "2026-03-01T17:55Z"', param_hint=f"'{option}'"
        ) from None


def parse_until(text: str, *, option: str, now: datetime) -> datetime:
    """A later instant: a span from `now` on ("3d"), the end of a day in UTC ("2026-12-01"), or an ISO instant."""
    length = _span(text)
    try:
        if length is not None:
            until = now + length
        else:
            until = _instant(text)
            if _DAY.fullmatch(text):
                until += timedelta(days=1)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f'{text!r} is no time; write a span ("3d"), a day that is still within ("2026-12-01"), or an instant',
            param_hint=f"'{option}'",
        ) from None
    if until <= now:
        raise typer.BadParameter(f"{text!r} is over already", param_hint=f"'{option}'")
    return until


def parse_time_of_day(text: str, *, option: str) -> time:
    """A time of day in UTC: "17:55"."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?", text):
        raise typer.BadParameter(f'{text!r} is no time of day; write it as in "17:55"', param_hint=f"'{option}'")
    return time.fromisoformat(text)


def parse_listen(text: str, *, option: str) -> tuple[str, int]:
    """An address to listen on: "127.0.0.1:17550", "[::1]:0"."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", text)
    if match is None or int(match[2]) > 65_535:
        raise typer.BadParameter(
            f'{text!r} is no address to listen on; write HOST:PORT, as in "127.0.0.1:17550"', param_hint=f"'{option}'"
        )
    return match[1].strip("[]"), int(match[2])


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return (instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).astimezone(UTC)


def _span(text: str) -> timedelta | None:
    """The span that `text` names; None where it names none."""
    if not _SPAN.fullmatch(text):
        return None
    try:
        return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(text)))
    except OverflowError:
        return None
