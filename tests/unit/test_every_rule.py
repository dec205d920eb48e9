"""Every sentence of the billing rules (`design.md` 3.1) has a test that names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit import (
    test_rules_absence,
    test_rules_accounts,
    test_rules_boundaries,
    test_rules_gaps,
    test_rules_opening,
    test_rules_prepaid,
    test_rules_prices,
    test_rules_statuses,
)
from tests.watch import RULES_PROVEN

# Importing them is what fills RULES_PROVEN.
TESTS = (
    test_rules_absence,
    test_rules_accounts,
    test_rules_boundaries,
    test_rules_gaps,
    test_rules_opening,
    test_rules_prepaid,
    test_rules_prices,
    test_rules_statuses,
)
DESIGN = Path(__file__).parents[3] / "shared" / "design.md"


def sentences(design: str) -> list[str]:
    """The sentences of section 3.1, list items included, each on one line and without the heading of its paragraph."""
    section = design.split("\n### 3.1 ", 1)[1].split("\n### ", 1)[0].split("\n", 1)[1]
    found = []
    for paragraph in re.split(r"\n\n|\n(?=- )", section):
        text = re.sub(r"^\*\*\w+\.?\*\*\s*", "", " ".join(paragraph.removeprefix("- ").split()))
        found += re.split(r"(?<=\.) (?=[A-Z`]|k [<>])", text)
    return [sentence for sentence in found if sentence]


@pytest.fixture(scope="module")
def rules() -> list[str]:
    if not DESIGN.exists():
        pytest.skip("the design is kept beside the repository, and is not there")
    return sentences(DESIGN.read_text(encoding="utf-8"))


def test_every_sentence_of_the_billing_rules_has_a_test_that_names_it(rules: list[str]) -> None:
    unproven = [rule for rule in rules if not any(quote in rule for quote in RULES_PROVEN)]

    assert [] == unproven


def test_every_sentence_that_a_test_names_is_in_the_billing_rules_once(rules: list[str]) -> None:
    places = {quote: sum(quote in rule for rule in rules) for quote in RULES_PROVEN}

    assert dict.fromkeys(places, 1) == places


def test_sentences_are_told_apart_with_their_list_items() -> None:
    design = (
        "\n### 3.1 Rules\n\nOne `a. b` is\none. `Two` is (2.5). 17:55 is no start.\n\n"
        "**Heads.** Three.\n- Four k <= 0. k >= 1: five.\n  Six.\n\n**Bare** seven.\n\n### 3.2 More\n\nEight."
    )

    assert [
        "One `a. b` is one.",
        "`Two` is (2.5). 17:55 is no start.",
        "Three.",
        "Four k <= 0.",
        "k >= 1: five.",
        "Six.",
        "seven.",
    ] == sentences(design)
