"""The watch may die between any two steps: begun again, it ends with the ledger that it would have had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 1200

WHEN = [
    pytest.param("again", id="it begins again with the same look"),
    pytest.param("later", id="it misses the look in which it died"),
]


def ledgers(folder: Path, when: str, *, first: int, stride: int) -> list[dict[str, Any]]:
    """What the ledger holds after a run without a death, and after each of those with one."""
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


def assert_all_end_alike(runs: list[dict[str, Any]]) -> None:
    undisturbed, *others = runs
    assert [] == undisturbed["wrong"]
    assert len(undisturbed["rows"]) > 10
    assert [] == [run["fatal"] for run in others if run["rows"] != undisturbed["rows"]]
    assert [] == [run for run in others if run["wrong"]]


@pytest.mark.parametrize("when", WHEN)
def test_a_death_at_some_steps_leaves_the_same_ledger(tmp_path: Path, when: str) -> None:
    runs = ledgers(tmp_path, when, first=1, stride=17)

    assert len(runs) > 10
    assert_all_end_alike(runs)


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
def test_a_death_at_any_step_leaves_the_same_ledger(tmp_path: Path, when: str) -> None:
    runs = ledgers(tmp_path, when, first=1, stride=1)

    assert len(runs) > 200
    assert_all_end_alike(runs)
