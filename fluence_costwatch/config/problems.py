"""What is wrong with a configuration, in sentences: dotted paths, nearest matches, values that are safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError

_LONGEST_SHOWN: Final = 60
# Values that may be a secret, also by a slip such as a key pasted where its file's name belongs.
_NEVER_SHOWN: Final = frozenset(
    [
        *("api_key", "api_key_env", "api_key_file", "auth", "dead_man_url_file", "delete_api_key_file"),
        *("token_file", "url", "url_env", "url_file"),
    ]
)


@dataclass(slots=True)
class Findings:
    """The problems and remarks found so far, in the order in which they were found."""

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def problem(self, path: str, sentence: str) -> None:
        """Note something that must be mended before the configuration can be used."""
        self.problems.append(f"{path}: {sentence}")

    def remark(self, path: str, sentence: str) -> None:
        """Note something that works but is worth a warning."""
        self.remarks.append(f"{path}: {sentence}")


def printable(text: str, *, longest: int | None = None) -> str:
    """`text` with everything escaped that a terminal might act upon, cut to `longest` characters."""
    cut = text if longest is None or len(text) <= longest else f"{text[:longest]}..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in cut)


def shown(value: object) -> str:
    """How a sentence quotes `value`: as it would stand in the file, short, and harmless on a terminal."""
    if isinstance(value, str):
        return f'"{printable(value, longest=_LONGEST_SHOWN)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else "a huge number"
    if isinstance(value, (Decimal, float)):
        return str(value)[:_LONGEST_SHOWN]
    if isinstance(value, (date, time)):
        return value.isoformat()
    return "a list" if isinstance(value, list) else "a table"


def dotted(*parts: str | int) -> str:
    """The path of a value: `accounts[0].epoch.length`; a key that is no bare TOML key is quoted."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]{1,60}", part)
            path += f"{'.' if path else ''}{part if bare else shown(part)}"
    return path


def listed(words: Iterable[str], *, last: str = "or") -> str:
    """`"a", "b" or "c"`."""
    *first, final = [f'"{word}"' for word in words]
    return f"{', '.join(first)} {last} {final}" if first else final


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was most likely meant to be; None if nothing comes near."""
    by_folded = {name.casefold(): name for name in known}
    matches = get_close_matches(word[:_LONGEST_SHOWN].casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def unknown_key(key: str, known: Sequence[str]) -> str:
    """The sentence about a key that no table of this name has."""
    guess = nearest(key, known)
    return (
        f'unknown key; did you mean "{guess}"?' if guess else f"unknown key; known here are {listed(known, last='and')}"
    )


def sentence_for(kind: str, message: str, value: object, *, key: str, context: dict[str, object]) -> str:
    """Our sentence for one error of pydantic's; what it was given is quoted only where it cannot be a secret."""
    given = "" if key in _NEVER_SHOWN else f", is {shown(value)}"
    match kind:
        case "missing":
            return "must be given"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {str(context['expected']).replace(chr(39), chr(34))}{given}"
        case "bool_type":
            return f"must be true or false, without quotes{given}"
        case "string_type":
            return f"must be text in quotes{given}"
        case "model_type":
            return "must be a table"
    return message[:1].lower() + message[1:]


def note_errors(error: ValidationError, findings: Findings, *, at: tuple[str | int, ...]) -> None:
    """Note each error of a table that stands at `at`; unknown keys are the business of whoever knows the neighbours."""
    for item in error.errors(include_url=False):
        location = item["loc"]
        key = str(location[0]) if location else ""
        sentence = sentence_for(item["type"], item["msg"], item["input"], key=key, context=dict(item.get("ctx", {})))
        findings.problem(dotted(*at, *location), sentence)
