"""What the pages show of an account of today comes, to the digit, from the story of one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fluence_costwatch.config import load
from fluence_costwatch.fluence.scopes import SCOPES
from fluence_costwatch.metrics.exporter import Exporter
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.store import open_reading
from fluence_costwatch.wiring import found_before, watched_of
from tests.docs.markdown import PAGES, Block, blocks_of, rows_of, section_of
from tests.docs.session import commands_and_outputs
from tests.docs.story import Story, story
from tests.docs.test_metrics import PREFIX
from tests.docs.test_metrics import documented as documented_metrics

TOLD = [block for page in PAGES for block in blocks_of(page, "console") if "story" in block.tags]
# A reader's home differs, and so does the port of a simulated marketplace.
FOLDER = "/home/you"
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with story(tmp_path_factory.mktemp("story") / "home") as account:
        yield account


def came(account: Story, command: str) -> str:
    result = account.type(command)
    assert 0 == result.exit_code, result.output
    return ADDRESS.sub("api.fluence.dev", result.stdout.replace(str(account.home), FOLDER))


def is_shown(shown: list[str], real: list[str]) -> bool:
    """Whether `shown` is what came, line by line; "..." stands for any lines that a page leaves out."""
    if not shown:
        return not real
    if shown[0].strip() == "...":
        return any(is_shown(shown[1:], real[skipped:]) for skipped in range(len(real) + 1))
    return bool(real) and shown[0].rstrip() == real[0].rstrip() and is_shown(shown[1:], real[1:])


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in TOLD])
def test_what_a_page_shows_of_the_account_is_what_comes(block: Block, played: Story, tmp_path: Path) -> None:
    account = played.copy(tmp_path / "home")
    for command, shown in commands_and_outputs(block):
        real = came(account, command)
        assert is_shown(shown.splitlines(), real.splitlines()), f"{command}\ncame:\n{real}"


def test_the_story_is_shown_where_people_look() -> None:
    assert {"README.md", "docs/commands.md"} <= {block.page for block in TOLD}


def test_the_keys_of_reconcile_are_those_that_are_documented(played: Story) -> None:
    keys = set(re.findall(r'"(\w+)":', came(played, "fluence-costwatch reconcile --json")))
    documented = {
        word for row in rows_of(section_of("docs/commands.md", "reconcile")) for word in re.findall(r"`(\w+)`", row[0])
    }

    assert set() == keys - documented
    assert json.loads(came(played, "fluence-costwatch reconcile --json --all"))["applied"] is False


def test_the_scopes_of_the_readme_are_those_that_are_used() -> None:
    rows = rows_of(section_of("README.md", "Give it your key"))
    listed = [(row[0].strip("`"), row[1].startswith("blind")) for row in rows if row[0].startswith("`")]

    assert [(scope.name, scope.is_essential) for scope in SCOPES] == listed


def test_the_labels_of_balance_waste_and_drift_are_those_that_are_documented(played: Story) -> None:
    settings = load(None, environ={"HOME": str(played.home)})
    with open_reading(settings.database.path) as reading:
        watched = watched_of(settings, found_before(reading))
        exporter = Exporter(
            version="0",
            watched=lambda: watched,
            tallies=Tallies(),
            size_bytes=lambda: 0,
            drift=lambda: {("main", "charges"): Decimal(1)},
        )
        exporter.show(reading, now=played.market.now())
    families = {one.name: one for one in text_string_to_metric_families(exporter.metrics()[0].decode())}

    tables = documented_metrics()
    for name in ("balance_usd", "runway_timestamp_seconds", "waste_usd_per_day", "reconcile_drift_usd"):
        samples = families[PREFIX + name].samples
        assert {tables[PREFIX + name][1]} == {frozenset(sample.labels) for sample in samples}
