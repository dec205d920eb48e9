"""ARCHITECTURE.md against the tree and the import rules."""

from __future__ import annotations

import re

from tests.docs.markdown import ROOT, rows_of, section_of, text_of
from tests.test_architecture import ALL, PACKAGE, TABLE, modules, part_of

PAGE = "ARCHITECTURE.md"


def names(cell: str) -> tuple[str, ...]:
    return ALL if cell == "everything" else tuple(sorted(re.findall(r"`([\w.]+)`", cell)))


def test_the_layers_are_those_that_the_imports_are_held_to() -> None:
    present = {part_of(name) for name, _ in modules()} - {"__init__"}
    rows = {row[0].strip("`"): (names(row[1]), names(row[2])) for row in rows_of(section_of(PAGE, "Layers"))}

    held = {part: (tuple(sorted(TABLE[part].parts)), tuple(sorted(TABLE[part].libraries))) for part in present}
    assert held == {part: row for part, row in rows.items() if part in TABLE}


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|toml)|(?:\w+/)+\w*)`", text_of(PAGE)))
    places = (ROOT, ROOT / PACKAGE, ROOT / "tests")

    assert named
    assert [] == sorted(name for name in named if not any((place / name).exists() for place in places))
