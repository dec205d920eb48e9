"""The pages about budgets, alerts, idle machines, deletions and messages against the words that the code knows."""

from __future__ import annotations

import re
import tomllib

import pytest

from fluence_costwatch.config import tables
from fluence_costwatch.core.alerts.findings import KINDS
from fluence_costwatch.core.budgets.budget import Window
from fluence_costwatch.core.deletion.deletions import DeletionPolicy, DeletionState, Ground, Mode
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.idle.rules import Signal
from fluence_costwatch.notify.channels import SEVERAL, problems_of
from tests.docs.markdown import anchors_of, blocks_of, prose_of, rows_of, section_of, text_of

BUDGETS, ALERTS, IDLE = "docs/budgets.md", "docs/alerts.md", "docs/idle-machines.md"
DELETION, NOTIFICATIONS = "docs/deletion.md", "docs/notifications.md"
ADDRESS = re.compile(r"(?:^|`)([a-z]+s?://[^\s`<>]+)", re.MULTILINE)


def first_words(page: str, heading: str) -> list[str]:
    """The words in the first cells of the tables of a section."""
    return [row[0].strip("`") for row in rows_of(section_of(page, heading)) if row[0].startswith("`")]


@pytest.mark.parametrize(
    ("page", "heading", "words"),
    [
        (BUDGETS, "Windows", Window),
        (DELETION, "Modes", [*Mode, *Ground]),
        (DELETION, "How it is done", DeletionState),
        (IDLE, "Verdicts", IdleVerdict),
    ],
)
def test_every_word_is_explained_once(page: str, heading: str, words: list[str]) -> None:
    assert sorted(map(str, words)) == sorted(first_words(page, heading))


def test_every_kind_of_alert_has_its_section_with_what_it_means_and_what_to_do() -> None:
    assert set(KINDS) <= anchors_of(ALERTS)

    lacking = [kind for kind in KINDS for word in ("*For the money:*", "*Do:*") if word not in section_of(ALERTS, kind)]
    assert [] == lacking


def test_every_signal_is_explained() -> None:
    rows = [row[0] for row in rows_of(section_of(IDLE, "Signals")) if row[0].startswith("`{signal")]

    assert sorted(Signal) == sorted(tomllib.loads(f"when = {row.strip('`')}")["when"]["signal"] for row in rows)


def test_the_settings_of_deletion_are_all_explained_with_their_defaults() -> None:
    page = text_of(DELETION)
    assert [] == [name for name in tables.DeletionTable.model_fields if name not in page]

    defaults = {row[0].strip("`"): row[2] for row in rows_of(section_of(DELETION, "When")) if len(row) == 3}
    policy = DeletionPolicy()
    assert f"`{policy.margin.seconds // 60}m`" == defaults["margin"]
    assert f"`{policy.min_notice.seconds // 3600}h`" == defaults["min_notice"]
    assert f"`{policy.grace.days * 24}h`" == defaults["grace"]
    caps = {row[0].strip("`"): row[2] for row in rows_of(section_of(DELETION, "Caps")) if len(row) == 3}
    assert {f"`{policy.max_per_day}`", f"`{policy.max_fleet_share}`"} == {
        caps["max_per_day"],
        caps["max_fleet_share"],
    }


def addresses() -> list[str]:
    texts = [block.text for block in blocks_of(NOTIFICATIONS, "text")]
    return [
        address
        for text in (*texts, prose_of(NOTIFICATIONS))
        for address in ADDRESS.findall(text)
        if "watch.example.com" not in address
    ]


def test_the_addresses_of_targets_can_be_used() -> None:
    assert len(addresses()) > 10
    assert {} == {address: problem for address in addresses() if (problem := problems_of(address)) is not None}


def test_an_address_with_several_recipients_is_refused_as_shown() -> None:
    assert SEVERAL in text_of(NOTIFICATIONS)
    assert SEVERAL == problems_of("mailto://127.0.0.1?from=costwatch@example.com&to=a@example.com,b@example.com")
