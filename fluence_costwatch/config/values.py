"""One function per kind of single value: what the file says in, what the program uses out, or why not.

Each raises ValueError with a sentence that continues after the dotted path: "must be ..., is ...".
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from fluence_costwatch.config.problems import listed, nearest, shown

GPU: Final = "gpu"
GENERATIONS: Final = ("cloud-v2", "vms-v3", "vms-v2", GPU)
AUTO: Final = "auto"
LARGEST_COUNT: Final = 1_000

_GENERATIONS_RIGHT: Final = f'write "{AUTO}" alone, or one or a list of {listed(GENERATIONS, last="and")}'
_RATIO: Final = re.compile(r"[0-9]*\.?[0-9]+(e-[0-9]{1,2})?")
_LONGEST_RATIO: Final = 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


def parse_count(value: object) -> int:
    """A whole number from 1 to `LARGEST_COUNT`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_COUNT:
        raise ValueError(f"must be a whole number from 1 to {LARGEST_COUNT}, is {shown(value)}")
    return value


def parse_anchor(value: object) -> time:
    """A time of day, UTC: "HH:MM" or "HH:MM:SS"."""
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?", value):
        raise ValueError(f'must be a UTC time of day in quotes, "HH:MM" or "HH:MM:SS", is {shown(value)}')
    return time.fromisoformat(value)


def parse_instant(value: object) -> datetime:
    """An ISO 8601 instant with its offset, as text or as TOML's own date-time; UTC comes out."""
    right = 'must be an instant with its offset, as in "2026-03-01T17:55:00Z"'
    if isinstance(value, str):
        try:
            moment: object = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{right}, is {shown(value)}") from None
    else:
        moment = value
    if not isinstance(moment, datetime):
        raise ValueError(f"{right}, is {shown(value)}{', a date without a time' if isinstance(value, date) else ''}")
    if moment.tzinfo is None:
        raise ValueError(f"{right}, is {shown(value)}, which names no offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{right}, is {shown(value)}, which lies out of range") from None


def parse_zone(value: object) -> ZoneInfo:
    """A zone of the IANA database."""
    if not isinstance(value, str):
        raise ValueError(f'must be the name of a time zone in quotes, as in "Europe/Berlin", is {shown(value)}')
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        guess = nearest(value, sorted(available_timezones()))
        right = f"did you mean {shown(guess)}?" if guess else 'write one as in "UTC" or "Europe/Berlin"'
        raise ValueError(f"{shown(value)} is no time zone that this machine knows; {right}") from None


def parse_account_name(value: object) -> str:
    """A name that is safe as a metrics label, in a terminal and in a file."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            "must be 1 to 64 letters, digits, dots, hyphens and underscores (ASCII), the first a letter or digit, "
            f"is {shown(value)}"
        )
    return value


def parse_generations(value: object) -> tuple[str, ...]:
    """One generation or a list of different ones, in the order in which they are listed; or "auto" alone."""
    names = value if isinstance(value, list) else [value]
    if not names:
        raise ValueError(f"must name at least one generation; {_GENERATIONS_RIGHT}")
    for name in names:
        if name not in (AUTO, *GENERATIONS):
            guess = nearest(name, (AUTO, *GENERATIONS)) if isinstance(name, str) else None
            hint = f"did you mean {shown(guess)}? " if guess else ""
            raise ValueError(f"{shown(name)} is no generation; {hint}{_GENERATIONS_RIGHT}")
    if AUTO in names and len(names) > 1:
        raise ValueError(f'"{AUTO}" finds out by itself which generations answer, so it stands alone')
    if len(set(names)) < len(names):
        raise ValueError(f"names a generation twice; {_GENERATIONS_RIGHT}")
    return tuple(names)


def parse_ratio(value: object) -> Decimal:
    """A ratio from 0 to 1 as it is written, in quotes or not: "0.01" is one hundredth exactly."""
    right = 'must be a ratio from 0 to 1, as in "0.01"'
    bare = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
    text = str(value) if bare else value
    if not isinstance(text, str) or not _RATIO.fullmatch(text) or len(text) > _LONGEST_RATIO or Decimal(text) > 1:
        raise ValueError(f"{right}, is {shown(value)}")
    return Decimal(text)


def parse_listen(value: object) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 address stands in brackets and comes out without them."""
    right = 'must be "HOST:PORT", as in "127.0.0.1:17550" or "[::1]:17550"'
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]{1,5})", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{right}, is {shown(value)}")
    host, port = match[1], int(match[2])
    if not host:
        raise ValueError(f'{right}, is {shown(value)}; every address is "0.0.0.0:{port}" or "[::]:{port}"')
    if port > 65_535:
        raise ValueError(f"must have a port from 0 to 65535, is {shown(value)}")
    if not _is_host(host):
        raise ValueError(f"{right}, is {shown(value)}")
    return host.strip("[]"), port


def parse_api_url(value: object) -> str:
    """The address before the API's paths, without a slash at its end. What is refused is never quoted whole."""
    right = 'must be an address as in "https://api.fluence.dev"'
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value) or "\\" in value:
        raise ValueError(f"{right}, without spaces or control characters")
    parts, port = _split(value)
    if parts is None or parts.scheme not in ("https", "http") or port == 0:
        raise ValueError(right)
    if "@" in parts.netloc:
        raise ValueError(f"{right}, without a user or password in it; the key has its own setting")
    if "?" in value or "#" in value:
        raise ValueError(f"{right}, without a query or fragment")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if not _is_host(host):
        raise ValueError(right)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"must begin with https://, since the key would travel in the open to {shown(parts.hostname)}")
    return value.rstrip("/")


def parse_database_url(value: object) -> str:
    """The path in a `sqlite:///` URL, or a plain path as it is; `~/` and a relative one are not resolved yet."""
    right = 'must be "sqlite:///PATH" or a plain path'
    if not isinstance(value, str):
        raise ValueError(f"{right} in quotes")
    scheme = re.match(
        r"([A-Za-z][A-Za-z0-9+.-]*):(?=//)|(sqlite|postgres(?:ql)?)(?:\+[a-z0-9]+)?:", value, re.IGNORECASE
    )
    if scheme is None:
        path = value
    elif scheme[0].lower().startswith("postgres"):
        raise ValueError(f"PostgreSQL is not supported by this version; it {right}")
    elif not value.lower().startswith("sqlite:///"):
        raise ValueError(f"{right}; a relative path has three slashes and an absolute one four")
    else:
        path = value[len("sqlite:///") :]
        if "?" in path or "#" in path:
            raise ValueError(f"{right}, without options after it (write ? as %3F and # as %23)")
        path = unquote(path)
    if path in ("", ":memory:"):
        raise ValueError(f"{right}; a database in memory would forget every charge")
    return path


def is_loopback(host: str) -> bool:
    """Whether `host` reaches this machine alone; a name other than localhost is not trusted to."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_host(host: str) -> bool:
    bracketed = host.startswith("[")
    try:
        return (ip_address(host.strip("[]")).version == 6) == bracketed
    except ValueError:
        # What consists of digits and dots alone is a mistyped address, not a name.
        return not bracketed and _HOST.fullmatch(host) is not None and not re.fullmatch(r"[0-9.]+", host)


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        return None, None
