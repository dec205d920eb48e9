"""The daemon may die between any two steps of a cycle or a delivery: begun again, it ends with the ledger that it would
have had, and everybody was told everything, once but for a death between sending and noting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.deaths import lives

MODULE = "tests.faults.dying_watch"

WHEN = [
    pytest.param("again", id="it begins again where it died"),
    pytest.param("later", id="it misses the look or the delivery in which it died"),
]


def assert_all_end_alike(runs: list[dict[str, Any]], *, when: str) -> None:
    undisturbed, *others = runs
    assert len(undisturbed["rows"]) > 10
    assert len(undisturbed["alerts"]) > 20
    assert [] == [run["fatal"] for run in others if run["rows"] != undisturbed["rows"]]
    assert [] == [run["fatal"] for run in others if run["alerts"] != undisturbed["alerts"]]
    if when == "again":  # else what happened in two looks may be told in one message
        assert [] == [run["fatal"] for run in others if run["told"] != undisturbed["told"]]
    for what in ("wrong", "unsent", "counts", "untold"):
        assert [] == [(run["fatal"], run[what]) for run in runs if run[what]]
    assert [] == [run["fatal"] for run in runs if len(run["doubted"]) > 1]


# Every boundary is tried by one of so many tests. A step is taken before and after every call, and after one call is
# before the next: every other step is every boundary.
PARTS = 5
BOUNDARY = 2


@pytest.mark.parametrize("when", WHEN)
def test_a_death_at_some_steps_costs_neither_a_charge_nor_a_message(tmp_path: Path, when: str) -> None:
    runs = lives(MODULE, tmp_path, when, 1, 144)

    assert len(runs) > 8
    assert_all_end_alike(runs, when=when)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_boundary_costs_neither_a_charge_nor_a_message(tmp_path: Path, part: int) -> None:
    """In parts, so that several processors share the work; together they are every boundary."""
    runs = lives(MODULE, tmp_path, "again", BOUNDARY * (1 + part), BOUNDARY * PARTS)

    assert len(runs) > 1000 / (BOUNDARY * PARTS)
    assert_all_end_alike(runs, when="again")


@pytest.mark.slow
def test_a_longer_pause_after_a_death_costs_neither_a_charge_nor_a_message(tmp_path: Path) -> None:
    runs = lives(MODULE, tmp_path, "later", BOUNDARY, 4 * BOUNDARY * PARTS)

    assert len(runs) > 1000 / (4 * BOUNDARY * PARTS)
    assert_all_end_alike(runs, when="later")
