"""What the pages show of budgets, idle machines, deletions and messages comes, to the digit, from the story of a team."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, Block, blocks_of
from tests.docs.session import commands_and_outputs
from tests.docs.team import SHOWN, Team, team
from tests.docs.test_story import is_shown

TOLD = [block for page in PAGES for block in blocks_of(page) if "team" in block.tags]


def told(*languages: str) -> list[object]:
    return [pytest.param(block, id=block.place) for block in TOLD if block.language in languages]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team(tmp_path_factory.mktemp("team") / "home") as account:
        yield account


@pytest.mark.parametrize("block", told("console"))
def test_what_a_page_shows_of_the_team_is_what_comes(block: Block, played: Team, tmp_path: Path) -> None:
    account = played.copy(tmp_path / "home")
    for command, shown in commands_and_outputs(block):
        result = account.type(command)
        assert 0 == result.exit_code, result.output
        assert is_shown(shown.splitlines(), result.stdout.splitlines()), f"{command}\ncame:\n{result.stdout}"


@pytest.mark.parametrize("block", told("text"))
def test_a_message_that_a_page_shows_has_arrived(block: Block, played: Team) -> None:
    arrived = "\n\n=====\n\n".join(played.arrived)
    assert any(is_shown(block.text.splitlines(), one.splitlines()) for one in played.arrived), arrived


@pytest.mark.parametrize("block", told("toml"))
def test_a_configuration_that_a_page_shows_is_that_of_the_story(block: Block) -> None:
    assert block.text in SHOWN


def test_the_readme_shows_money_to_come_what_is_idle_what_goes_and_how_that_is_told() -> None:
    shown = [(block.language, block.text) for block in TOLD if block.page == "README.md"]
    commands = "".join(text for language, text in shown if language == "console")

    assert [] == [
        word for word in ("budgets", "forecast", "idle", "deletions") if f"costwatch {word}\n" not in commands
    ]
    assert {"console", "text", "toml"} == {language for language, _ in shown}
