"""docs/commands.md against the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from fluence_costwatch import errors
from fluence_costwatch.cli.app import build_app
from fluence_costwatch.cli.budgeting import EXCEEDED
from fluence_costwatch.cli.reading import STALE
from fluence_costwatch.core.views.fleet import ANSWERED
from fluence_costwatch.errors import CostwatchError
from fluence_costwatch.metrics.tallies import REASONS
from tests.docs.markdown import ROOT, rows_of, section_of, text_of
from tests.fake_program import FakeProgram

PAGE = "docs/commands.md"
OPERATING = "docs/operating.md"
USAGE = 2


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by the words that call it."""

    def below(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            yield " ".join((*words, name)), command
            if hasattr(command, "commands"):
                yield from below(command, (*words, name))

    return below(typer.main.get_command(build_app(FakeProgram())), ())


def options_of(command: Any) -> set[str]:
    options = [each for each in command.params if each.param_type_name == "option"]
    return {word for option in options for word in option.opts} - {"--help", "-h"}


def documented_options(section: str) -> set[str]:
    own = re.split(r"^###", section, flags=re.MULTILINE)[0]
    return {word for row in rows_of(own) for word in re.findall(r"`(--?[\w-]+)", row[0])}


@pytest.mark.parametrize(("words", "command"), [pytest.param(*one, id=one[0]) for one in commands()])
def test_every_command_has_a_section_with_exactly_its_options(words: str, command: Any) -> None:
    assert options_of(command) == documented_options(section_of(PAGE, words))


@pytest.mark.parametrize(("words", "command"), [pytest.param(*one, id=one[0]) for one in commands()])
def test_every_argument_stands_in_the_section_of_its_command(words: str, command: Any) -> None:
    arguments = [each.metavar for each in command.params if each.param_type_name == "argument"]
    usages = [
        line for line in section_of(PAGE, words).splitlines() if line.startswith(f"    fluence-costwatch {words} ")
    ]

    assert [] == [name for name in arguments if not any(name in usage for usage in usages)]


def test_the_options_before_the_command_are_documented() -> None:
    root = typer.main.get_command(build_app(FakeProgram()))

    assert options_of(root) | {"--help", "-h"} == documented_options(text_of(PAGE).split("## Exit codes")[0])


def test_every_command_is_in_the_readme() -> None:
    listed = {row[0].strip("`") for row in rows_of(section_of("README.md", "Commands"))}

    assert set() == {words for words, _ in commands() if " " not in words} - listed


def every_error(kind: type[CostwatchError] = CostwatchError) -> Iterator[type[CostwatchError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from every_error(narrower)


@pytest.mark.parametrize(("page", "heading"), [("README.md", "Commands"), (PAGE, "Exit codes")])
def test_the_exit_codes_are_those_that_commands_return(page: str, heading: str) -> None:
    documented = {int(row[0]) for row in rows_of(section_of(page, heading)) if row[0].isdigit()}

    assert {0, USAGE, STALE, EXCEEDED} | {kind.exit_code for kind in every_error()} == documented


def test_every_way_in_which_a_look_can_go_is_explained() -> None:
    explained = text_of(OPERATING)

    assert [] == [outcome for outcome in (*ANSWERED, *REASONS) if f"`{outcome}`" not in explained]


def test_every_error_that_an_operator_can_meet_has_its_exit_code_and_its_remedy() -> None:
    # Roots are never raised themselves.
    met = {kind.__name__ for kind in every_error() if not kind.__subclasses__()}
    assert met <= set(vars(errors))

    remedies = [row for row in rows_of(section_of(OPERATING, "Errors and what to do")) if row[0].startswith("`")]

    assert met == {row[0].strip("`") for row in remedies}
    assert [] == [row[0] for row in remedies if int(row[1]) != getattr(errors, row[0].strip("`")).exit_code]


LOGGED = re.compile(r"log\.(?:warning|error|exception)\(\s*\"([^\"]+)\"")


def test_every_trouble_that_the_daemon_logs_is_explained() -> None:
    package = ROOT / "fluence_costwatch"
    logged = {line for name in ("daemon.py", "watcher.py") for line in LOGGED.findall((package / name).read_text())}
    explained = [row[0].strip("`").removesuffix("...") for row in rows_of(section_of(OPERATING, "Logs"))]

    assert len(logged) > 10
    assert [] == sorted(line for line in logged if not any(text and line.startswith(text) for text in explained))


def test_the_log_lines_that_are_explained_are_logged() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "fluence_costwatch").rglob("*.py"))
    explained = [row[0] for row in rows_of(section_of(OPERATING, "Logs")) if row[0].startswith("`")]

    assert [] == [
        cell
        for cell in explained
        for text in filter(None, map(str.strip, cell.strip("`").split("...")))
        if text not in sources
    ]
