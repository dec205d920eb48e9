"""One function per kind of single value: what the file says in, what the program uses out, or why not.

Each raises ValueError with a sentence that continues after the dotted path: "must be ..., is ...".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Final, TypeVar
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from fluence_costwatch.config.problems import listed, nearest, shown
from fluence_costwatch.core.alerts.findings import KINDS
from fluence_costwatch.core.resources import Kind

GPU: Final = "gpu"
GENERATIONS: Final = ("cloud-v2", "vms-v3", "vms-v2", GPU)
AUTO: Final = "auto"

_Word = TypeVar("_Word", bound=StrEnum)
_GENERATIONS_RIGHT: Final = f'write "{AUTO}" alone, or one or a list of {listed(GENERATIONS, last="and")}'
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOURS: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_LONGEST_WORD: Final = 200
_LONGEST_QUERY: Final = 10_000


def parse_anchor(value: object) -> time:
    """A time of day, UTC: "HH:MM" or "HH:MM:SS"."""
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?", value):
        raise ValueError(f'must be a UTC time of day in quotes, "HH:MM" or "HH:MM:SS", is {shown(value)}')
    return time.fromisoformat(value)


def parse_hours(value: object) -> tuple[time, time]:
    """Two times of day, the second possibly on the next day. The whole day, "00:00-24:00", is midnight twice."""
    right = 'must be two times of day in quotes, as in "22:00-07:00"'
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{right} (the last may be "24:00"), is {shown(value)}')
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3] or 0), int(match[4] or 0))
    if begin == end and value != "00:00-24:00":
        raise ValueError(f'ends when it begins, is {shown(value)}; the whole day is "00:00-24:00"')
    return begin, end


def parse_quiet_hours(value: object) -> tuple[time, time]:
    """Hours that are less than the whole day."""
    if value == "00:00-24:00":
        raise ValueError('would hold messages back for ever, is "00:00-24:00"; tell targets less by "min_severity"')
    return parse_hours(value)


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


def parse_name(value: object) -> str:
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


def word_of(words: type[_Word]) -> Callable[[object], _Word]:
    """The function that reads one of `words`."""

    def parse(value: object) -> _Word:
        return words(_known(value, tuple(words)))

    return parse


def parse_texts(value: object) -> tuple[str, ...]:
    """A text or a list of them, each once; an empty list would match everything by mistake and is refused."""
    found = value if isinstance(value, list) else [value]
    if not found:
        raise ValueError("must name at least one; leave it out to match all")
    for item in found:
        if not isinstance(item, str):
            raise ValueError(f"must be text in quotes or a list of texts, is {shown(item)}")
        if not item.strip() or not item.isprintable() or len(item) > _LONGEST_WORD:
            raise ValueError(f"must be at most {_LONGEST_WORD} characters that can be printed, is {shown(item)}")
    return tuple(dict.fromkeys(found))


def parse_resource_kinds(value: object) -> tuple[str, ...]:
    """Kinds of resource, one or a list."""
    return tuple(_known(word, tuple(Kind)) for word in parse_texts(value))


def parse_alert_kinds(value: object) -> tuple[str, ...]:
    """Kinds of alert, one or a list; none are all."""
    return () if value == [] else tuple(_known(word, KINDS) for word in parse_texts(value))


def parse_account_names(value: object) -> tuple[str, ...]:
    """Names of accounts, one or a list; none are all. Whether there are such accounts is not judged here."""
    return () if value == [] else parse_texts(value)


def parse_globs(value: object) -> tuple[str, ...]:
    """Patterns of names, one or a list. One that could never match as it was meant is refused."""
    globs = parse_texts(value)
    for glob in globs:
        _judge_glob(glob)
    return globs


def parse_ids(value: object) -> tuple[str, ...]:
    """Ids in small letters, one or a list. Patterns are refused, because ids are compared whole."""
    ids = parse_texts(value)
    for one in ids:
        if re.search(r"[\s*?\[\]]", one):
            raise ValueError(f"must be whole ids without spaces, * ? [ or ], is {shown(one)}; patterns are for names")
    return tuple(dict.fromkeys(one.lower() for one in ids))


def parse_protected_globs(value: object) -> tuple[str, ...]:
    """As `parse_globs`, but there may be none."""
    return () if value == [] else parse_globs(value)


def parse_protected_ids(value: object) -> tuple[str, ...]:
    """As `parse_ids`, but there may be none."""
    return () if value == [] else parse_ids(value)


def parse_query(value: object) -> str:
    """A PromQL expression; only Prometheus can tell whether it is one."""
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_QUERY:
        raise ValueError(f"must be a PromQL expression in quotes, is {shown(value)}")
    return value


def parse_label(value: object) -> str:
    """The name of a label of Prometheus."""
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise ValueError(f'must be the name of a label, as in "instance", is {shown(value)}')
    return value


def _known(value: object, words: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in words:
        guess = nearest(value, words) if isinstance(value, str) else None
        raise ValueError(
            f"must be {listed(words)}, is {shown(value)}{f'; did you mean {shown(guess)}?' if guess else ''}"
        )
    return value


def _judge_glob(glob: str) -> None:
    """Raise ValueError where a bracket is not closed or holds a backward range: fnmatch would match neither."""
    at = glob.find("[")
    while at >= 0:
        begin = at + 2 if glob[at + 1 : at + 2] == "!" else at + 1
        end = glob.find("]", begin + 1)
        if end < 0:
            raise ValueError(f'the pattern {shown(glob)} has a "[" that is not closed; write "[[]" for the character')
        for dash in range(begin + 1, end - 1):
            if glob[dash] == "-" and glob[dash - 1] > glob[dash + 1]:
                backward = shown(glob[dash - 1 : dash + 2])
                raise ValueError(f"the pattern {shown(glob)} has a range that runs backward, {backward}")
        at = glob.find("[", end + 1)
