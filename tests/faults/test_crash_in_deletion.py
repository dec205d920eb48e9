"""The daemon may die between any two steps of a deletion, or be killed while the marketplace holds the call: nothing is
asked for twice, nothing goes that a guard would have kept, and what is known of it is true."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.store import open_store
from tests.eventually import eventually
from tests.faults.deaths import ROOT, lives
from tests.faults.dying_deletion import CREATED, MOST, called, fleet, go_on, lies, told
from tests.servers.marketplace import Marketplace

MODULE = "tests.faults.dying_deletion"

WHEN = [
    pytest.param("again", id="it begins again where it died"),
    pytest.param("later", id="it misses the look, the delivery or the moment in which it died"),
]


def assert_only_what_may_goes(runs: list[dict[str, Any]]) -> None:
    assert [] == [(run["fatal"], run["wrong"]) for run in runs if run["wrong"]]
    assert [] == [(run["fatal"], run["unsent"]) for run in runs if run["unsent"]]
    assert [] == [run["fatal"] for run in runs if run["states"].get("verified", 0) != run["calls"]]
    assert (MOST, 0) == (runs[0]["calls"], runs[0]["states"].get("failed", 0))


def assert_no_more_is_missed_than_one_call(runs: list[dict[str, Any]]) -> None:
    """Whoever dies after the intent and before the call does not call: then it is told to have failed."""
    assert [] == [run["fatal"] for run in runs if run["calls"] + run["states"].get("failed", 0) != MOST]


# Every boundary is tried by one of so many tests. A step is taken before and after every call, and after one call is
# before the next: every other step is every boundary.
PARTS = 5
BOUNDARY = 2


@pytest.mark.parametrize("when", WHEN)
def test_a_death_at_some_steps_deletes_nothing_twice_and_nothing_that_is_kept(tmp_path: Path, when: str) -> None:
    runs = lives(MODULE, "die", tmp_path, when, 1, 131)

    assert len(runs) > 5
    assert_only_what_may_goes(runs)
    if when == "again":
        assert_no_more_is_missed_than_one_call(runs)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_boundary_deletes_nothing_twice_and_nothing_that_is_kept(tmp_path: Path, part: int) -> None:
    """In parts, so that several processors share the work; together they are every boundary."""
    runs = lives(MODULE, "die", tmp_path, "again", BOUNDARY * (1 + part), BOUNDARY * PARTS)

    assert len(runs) > 500 / (BOUNDARY * PARTS)
    assert_only_what_may_goes(runs)
    assert_no_more_is_missed_than_one_call(runs)


@pytest.mark.slow
def test_a_longer_pause_after_a_death_deletes_nothing_twice_and_nothing_that_is_kept(tmp_path: Path) -> None:
    runs = lives(MODULE, "die", tmp_path, "later", BOUNDARY, 4 * BOUNDARY * PARTS)

    assert len(runs) > 500 / (4 * BOUNDARY * PARTS)
    assert_only_what_may_goes(runs)


@contextmanager
def killed_while_the_call_is_held(market: Marketplace, database: Path) -> Iterator[str]:
    """A process that was killed while the marketplace held its first call; the id that it had asked for."""
    open_store(database, now=CREATED).close()
    command = [sys.executable, "-m", MODULE, "watch", market.url, str(database)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        (vm,) = eventually(lambda: called(market), within=60)
        yield vm
    finally:
        process.kill()
        process.wait()


HELD = [
    pytest.param([{"kind": "hang", "keep": 0}], True, id="it was carried out, and half an answer came"),
    pytest.param([{"kind": "latency", "seconds": 2}], True, id="it is carried out after the death"),
    pytest.param([{"kind": "latency", "seconds": 2}, {"kind": "reset"}], False, id="it is never carried out"),
]


@pytest.mark.parametrize("later", [False, True], ids=["again at once", "later"])
@pytest.mark.parametrize(("faults", "goes"), HELD)
def test_a_kill_while_the_call_is_held_is_followed_by_a_look_and_no_second_call(
    tmp_path: Path, faults: list[dict[str, Any]], goes: bool, later: bool
) -> None:
    database = tmp_path / "watch.db"
    with fleet() as market:
        for fault in faults:
            market.misbehave(**fault, method="DELETE", times=1)
        with killed_while_the_call_is_held(market, database) as vm:
            assert [] == list(lies(market, database))
        if goes:
            eventually(lambda: not lives_on(market, vm))
        go_on(market, database, later=later)
        end = json.loads(told(market, database, fatal=0))

        assert ([], []) == (end["wrong"], end["unsent"])
        assert MOST == end["calls"]
        expected = {"verified": MOST} if goes else {"verified": 1, "failed": 1}
        assert expected == {state: number for state, number in end["states"].items() if state in ("verified", "failed")}
        assert goes is not lives_on(market, vm)


def lives_on(market: Marketplace, id: str) -> bool:
    """Whether the marketplace still has it."""
    return any(vm["live"] for vm in market.vms() if vm["id"].lower() == id)
