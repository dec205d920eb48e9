"""The daemon may die between any two steps of a cycle or a delivery: begun again, it ends with the ledger that it would
have had, and everybody was told everything, once but for a death between sending and noting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 3000

WHEN = [
    pytest.param("again", id="it begins again where it died"),
    pytest.param("later", id="it misses the look or the delivery in which it died"),
]


def lives(folder: Path, when: str, *, first: int, stride: int) -> list[dict[str, Any]]:
    """What there is after a run without a death, and after each of those with one."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.dying_watch", str(folder), when, str(first), str(stride)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=PATIENCE_SECONDS,
    )
    assert 0 == done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


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


@pytest.mark.parametrize("when", WHEN)
def test_a_death_at_some_steps_costs_neither_a_charge_nor_a_message(tmp_path: Path, when: str) -> None:
    runs = lives(tmp_path, when, first=1, stride=67)

    assert len(runs) > 20
    assert_all_end_alike(runs, when=when)


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
def test_a_death_at_any_step_costs_neither_a_charge_nor_a_message(tmp_path: Path, when: str) -> None:
    runs = lives(tmp_path, when, first=1, stride=1)

    assert len(runs) > 1000
    assert any(run["doubted"] for run in runs)
    assert_all_end_alike(runs, when=when)
