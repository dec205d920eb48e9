"""The house rules that a machine can hold: who may import what, where the clock is, how things are named.

The rules are data at the top; each check takes source text, so that the checks themselves are tested below.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "fluence_costwatch"


@dataclass(frozen=True, slots=True)
class MayImport:
    """What one part of the package may import beside itself and the standard library."""

    parts: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


ALL = ("*",)
SHARED = ("core", "errors", "ports")

# A part is a folder or a module at the top of the package. One that is not listed here may import nothing.
TABLE = {
    "__init__": MayImport(),
    "__main__": MayImport(("program", "cli")),
    "acts": MayImport(ALL),
    "asking": MayImport(ALL),
    "assessment": MayImport((*SHARED, "deleting")),
    "checking": MayImport(ALL),
    "cli": MayImport(SHARED, ("typer", "rich")),
    "config": MayImport(("core", "errors"), ("pydantic",)),
    "core": MayImport(),
    "cycle": MayImport((*SHARED, "assessment")),
    "daemon": MayImport(ALL, ("apscheduler",)),
    "deciding": MayImport(ALL),
    "deleting": MayImport(SHARED),
    "delivery": MayImport(SHARED),
    "demo": MayImport(ALL),
    "demo_config": MayImport(("config",)),
    "demo_terminal": MayImport(("core", "ports")),
    "errors": MayImport(("core",)),
    "fluence": MayImport((*SHARED, "http_client"), ("msgspec",)),
    "http_client": MayImport(("core", "errors"), ("httpx", "stamina")),
    "metrics": MayImport(SHARED, ("prometheus_client",)),
    "notify": MayImport((*SHARED, "http_client"), ("apprise", "jinja2", "requests")),
    "logs": MayImport(),
    "mailroom": MayImport(ALL),
    "noticeboard": MayImport(("core",)),
    "ports": MayImport(("core",)),
    "probing": MayImport(ALL),
    "program": MayImport(ALL),
    "showing": MayImport(ALL),
    "signals": MayImport((*SHARED, "http_client")),
    "reconcile": MayImport(SHARED),
    "simulator": MayImport(),
    "store": MayImport(SHARED, ("sqlalchemy", "alembic")),
    "systemd": MayImport(),
    "wiring": MayImport(ALL),
    "watcher": MayImport(ALL),
    "web": MayImport(SHARED, ("starlette", "uvicorn", "jinja2")),
}

# The version, which is all that the package's own __init__ holds.
WITHOUT_VERSION = ("core", "simulator")

# What core may take from the standard library: what computes, nothing that reads, writes, waits or asks the machine.
PURE = (
    "__future__",
    "abc",
    "bisect",
    "calendar",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fnmatch",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "re",
    "statistics",
    "string",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
)

# Standard modules with one home, as each outside library has.
HOMES = (
    ("http.client", ("simulator",)),
    ("http.server", ("simulator",)),
    ("sqlite3", ("store",)),
    ("urllib.request", ("simulator",)),
)

# `now` is an argument: the daemon makes the one clock, the simulated marketplace has its own.
WITH_A_CLOCK = ("daemon", "simulator")
TODAYS = ("now", "today", "utcnow")
WALL_CLOCKS = ("time", "time_ns", "gmtime", "localtime", "ctime", "asctime", "strftime")

SAYS_NOTHING = ("common", "helper", "helpers", "manager", "managers", "misc", "util", "utils")


def part_of(module: str) -> str:
    """The folder or top module that a dotted name inside the package belongs to."""
    names = module.split(".")
    return names[1] if len(names) > 1 else "__init__"


def imports_of(source: str, *, module: str, is_package: bool = False) -> Iterator[str]:
    """Every module that a source imports, wherever in it, in full: "from . import x" becomes "package.x"."""
    here = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                base = here.split(".")
                origin = ".".join([*base[: len(base) - node.level + 1], *filter(None, [node.module])])
            # The names may be modules or what a module holds; only in a few packages does it matter which.
            names = [f"{origin}.{alias.name}" for alias in node.names]
            yield from (name if origin == PACKAGE or name in dict(HOMES) else origin for name in names)


def refused_imports(source: str, *, module: str, is_package: bool = False) -> list[str]:
    """The imports of a module of ours that the table does not allow."""
    part = part_of(module)
    allowed = TABLE.get(part, MayImport())
    refused = []
    for imported in imports_of(source, module=module, is_package=is_package):
        top = imported.split(".")[0]
        if top == PACKAGE:
            other = part_of(imported)
            if other not in TABLE:  # a name that __init__ holds
                other = "__init__"
            if other == "__init__":
                fine = part not in WITHOUT_VERSION
            else:
                fine = other == part or other in allowed.parts or allowed.parts == ALL
        elif top in sys.stdlib_module_names:
            homes = [parts for name, parts in HOMES if imported == name or imported.startswith(f"{name}.")]
            fine = all(part in parts for parts in homes) and (part != "core" or top in PURE)
        else:
            fine = top in allowed.libraries
        if not fine:
            refused.append(f"{module} imports {imported}")
    return refused


def clock_readings(source: str) -> list[str]:
    """Where a source asks the machine what time it is; measuring a span with time.monotonic() is not that."""
    tree = ast.parse(source)
    date_names, time_names, found = {"datetime", "date"}, {"time"}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            date_names |= {alias.asname for alias in node.names if alias.name == "datetime" and alias.asname}
            time_names |= {alias.asname for alias in node.names if alias.name == "time" and alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module == "datetime":
            date_names |= {alias.asname or alias.name for alias in node.names if alias.name in {"datetime", "date"}}
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"from time import {alias.name}" for alias in node.names if alias.name in WALL_CLOCKS]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            if (node.attr in TODAYS and owner.split(".")[-1] in date_names) or (
                node.attr in WALL_CLOCKS and owner in time_names
            ):
                found.append(f"{owner}.{node.attr}")
    return found


def waits_and_mocks(source: str) -> list[str]:
    """Where a test sleeps or replaces a part of the product by a stand-in that agrees with everything."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in {"mock", "unittest.mock"}]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in names if name.startswith(("unittest.mock", "mock.")) or name == "time.sleep"]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep":
            found.append("time.sleep")
    return found


def modules() -> list[tuple[str, Path]]:
    """Every module of the package by its dotted name."""
    return [(dotted(path), path) for path in sorted((ROOT / PACKAGE).rglob("*.py"))]


def dotted(path: Path) -> str:
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def files_of_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


def test_every_import_is_one_that_the_table_allows() -> None:
    refused = [
        line
        for name, path in modules()
        for line in refused_imports(path.read_text("utf-8"), module=name, is_package=path.name == "__init__.py")
    ]

    assert [] == refused


def test_every_part_of_the_package_is_in_the_table() -> None:
    parts = {part_of(name) for name, _ in modules()}

    assert set() == parts - set(TABLE)


def test_only_the_daemon_and_the_simulator_have_a_clock() -> None:
    readings = [
        f"{name}: {reading}"
        for name, path in modules()
        if part_of(name) not in WITH_A_CLOCK
        for reading in clock_readings(path.read_text("utf-8"))
    ]

    assert [] == readings


def test_every_package_says_what_it_is_for() -> None:
    silent = [
        name
        for name, path in modules()
        if path.name == "__init__.py" and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]

    assert [] == silent


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for _, path in modules()}

    assert [] == sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists())


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = [path for _, path in modules()] + files_of_tests()

    assert [] == [str(path.relative_to(ROOT)) for path in names if path.stem in SAYS_NOTHING]


def test_tests_neither_sleep_nor_mock() -> None:
    offences = [
        f"{path.relative_to(ROOT)}: {offence}"
        for path in files_of_tests()
        if path.name != "eventually.py"
        for offence in waits_and_mocks(path.read_text("utf-8"))
    ]

    assert [] == offences


REFUSED = (
    ("core.money", "import os", "the machine in core"),
    ("core.money", "from zoneinfo import ZoneInfo", "files in core"),
    ("core.money", "import httpx", "a library in core"),
    ("core.money", "from fluence_costwatch.errors import CostwatchError", "the shell in core"),
    ("core.money", "from fluence_costwatch import __version__", "the version in core"),
    ("store.queries", "from fluence_costwatch.web import page", "one adapter in another"),
    ("store.queries", "from fluence_costwatch import web", "one adapter in another, taken from the package"),
    ("store.queries", "from .. import web", "one adapter in another, relative"),
    ("store.queries", "from ..web.page import render", "one adapter in another, relative and deep"),
    ("web.page", "def render():\n    import sqlalchemy", "a library in a function away from home"),
    ("web.page", "if TYPE_CHECKING:\n    from fluence_costwatch.store import Store", "an adapter for its types"),
    ("fluence.wire", "import httpx", "the client library away from home"),
    ("fluence.wire", "import urllib.request", "another client"),
    ("fluence.wire", "from http import client", "another client, taken from its package"),
    ("web.page", "import sqlite3", "the database away from home"),
    ("cycle", "from fluence_costwatch.store import Store", "an adapter in the story"),
    ("simulator.market", "from fluence_costwatch.core.money import Usd", "the product in the simulator"),
    ("__main__", "from fluence_costwatch.store import Store", "an adapter in the entry point"),
    ("brandnew", "import typer", "a library in a part that the table does not know"),
)


@pytest.mark.parametrize(("module", "source"), [pytest.param(*row[:2], id=row[2]) for row in REFUSED])
def test_the_import_check_refuses(module: str, source: str) -> None:
    assert refused_imports(source, module=f"{PACKAGE}.{module}")


ALLOWED = (
    ("core.money", "from __future__ import annotations\nfrom collections.abc import Iterator", "what computes"),
    ("core.billing.ledger", "from fluence_costwatch.core.money import Usd\nfrom . import epochs", "core in core"),
    ("web.page", "from fluence_costwatch.ports import Store\nfrom starlette.routing import Route", "its own library"),
    ("web.page", "from fluence_costwatch import __version__, errors", "the version"),
    ("daemon", "from fluence_costwatch.store import Store\nimport apscheduler.events", "all of it in the daemon"),
    ("simulator.market", "import http.server\nfrom .fleet import Fleet", "the simulator's own"),
)


@pytest.mark.parametrize(("module", "source"), [pytest.param(*row[:2], id=row[2]) for row in ALLOWED])
def test_the_import_check_allows(module: str, source: str) -> None:
    assert [] == refused_imports(source, module=f"{PACKAGE}.{module}")


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "from datetime import datetime as When\nclock = When.now",
        "from datetime import date\ndate.today()",
        "import time\ntime.time()",
        "import time as t\nt.time_ns()",
        "from time import time",
    ],
)
def test_the_clock_check_finds(source: str) -> None:
    assert clock_readings(source)


@pytest.mark.parametrize(
    "source", ["import time\ntime.monotonic()", "def charge(*, now): return now.date()", "policy.now()"]
)
def test_the_clock_check_lets_be(source: str) -> None:
    assert [] == clock_readings(source)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "from time import sleep",
        "from unittest.mock import Mock",
        "from unittest import mock",
        "import unittest.mock",
    ],
)
def test_the_check_of_tests_finds(source: str) -> None:
    assert waits_and_mocks(source)
