"""Tables of a parsed file, each read on its own, so that a mistake in one hides none in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import ValidationError

from fluence_costwatch.config import tables
from fluence_costwatch.config.problems import Findings, dotted, nearest, note_errors, shown, unknown_key

_Table = TypeVar("_Table", bound=tables.Table)


def note_unknown_tables(document: Mapping[str, object], findings: Findings) -> None:
    """Note what stands at the top of the file and is no table of ours."""
    known = tuple(name for name, _ in (*tables.SECTIONS, *tables.LISTS))
    for name in document:
        if name not in known:
            homes = [section for section, model in tables.SECTIONS if name in model.known_keys()]
            hint = f"unknown key; it belongs under [{homes[0]}]" if homes else unknown_key(name, known)
            findings.problem(dotted(name), hint)


def mapping(document: Mapping[str, object], name: str) -> dict[str, object]:
    """The table `name`, empty where it is missing or something else."""
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def read_section(document: Mapping[str, object], name: str, model: type[_Table], findings: Findings) -> _Table:
    """The table `[name]`; where it has problems these are noted, and its defaults stand in until all is judged."""
    found = document.get(name, {})
    if not isinstance(found, dict):
        findings.problem(name, f"must be a table that begins with [{name}] on a line of its own")
        return model()
    return read_table(found, model, findings, at=(name,)) or model()


def read_table(
    found: Mapping[str, object], model: type[_Table], findings: Findings, *, at: tuple[str | int, ...]
) -> _Table | None:
    """The table that stands at `at`; None where it has problems, which are noted."""
    known = model.known_keys()
    for key in found:
        if key not in known:
            findings.problem(dotted(*at, key), unknown_key(key, known))
    try:
        return model.model_validate(found)
    except ValidationError as error:
        note_errors(error, findings, at=at)
        return None


def read_inner(
    outer: Mapping[str, object],
    key: str,
    model: type[_Table],
    findings: Findings,
    *,
    at: tuple[str | int, ...],
    like: str,
) -> _Table | None:
    """The table that is a value in another one, which stands at `at`; without it, the defaults."""
    found = outer.get(key, {})
    if not isinstance(found, dict):
        findings.problem(dotted(*at, key), f"must be a table, as in {like}")
        return None
    return read_table(found, model, findings, at=(*at, key))


def without(found: Mapping[str, object], *keys: str) -> dict[str, object]:
    """`found` less what is read on its own."""
    return {key: value for key, value in found.items() if key not in keys}


def items(document: Mapping[str, object], name: str, findings: Findings | None = None) -> list[dict[str, object]]:
    """The tables `[[name]]`; empty where they are missing, or are something else, which is noted where asked for."""
    found = document.get(name, [])
    if isinstance(found, list) and all(isinstance(item, dict) for item in found):
        return found
    if findings is not None:
        one = name.removesuffix("s")
        findings.problem(name, f"each {one} must be a table that begins with [[{name}]], in double brackets")
    return []


def note_repeated_names(found: list[dict[str, object]], name: str, findings: Findings) -> None:
    """Note tables `[[name]]` that are called as one before them."""
    first: dict[str, int] = {}
    for index, item in enumerate(found):
        called = item.get("name")
        if isinstance(called, str) and first.setdefault(called, index) != index:
            other = dotted(name, first[called], "name")
            findings.problem(dotted(name, index, "name"), f"must differ from {other}, is {shown(called)} as well")


def account_names(document: Mapping[str, object]) -> tuple[str, ...]:
    """How the accounts of the file are called, as far as that can be read."""
    return tuple(name for item in items(document, "accounts") if isinstance(name := item.get("name"), str))


def note_unknown_accounts(
    names: Sequence[str], document: Mapping[str, object], findings: Findings, *, where: str
) -> None:
    """Note names that no account has. Where no account can be read at all, that is the problem."""
    known = account_names(document)
    for name in names:
        if known and name not in known:
            guess = nearest(name, known)
            hint = f"; did you mean {shown(guess)}?" if guess else ""
            findings.problem(where, f"there is no account {shown(name)}{hint}")
