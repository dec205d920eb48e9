"""What the marketplace makes of the one call: whatever it answers, no second one is made, and the lists tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.deletion.deletions import DeletionState
from tests.faults.deletion_scene import IDLE, MINUTE, prepared, rented


@pytest.mark.parametrize(
    ("kind", "fields", "state", "end"),
    [
        pytest.param("status", {"code": 500}, "executing", "failed", id="an error that says nothing"),
        pytest.param("close_before_headers", {}, "executing", "failed", id="no answer"),
        pytest.param("status", {"code": 404}, "executing", "failed", id="an id that is not known"),
        pytest.param("status", {"code": 429}, "executing", "failed", id="too many requests"),
        pytest.param("hang", {"effect": False}, "requested", "unconfirmed", id="success that is never spelled out"),
        pytest.param("status", {"code": 403}, "failed", "failed", id="a key that may not"),
    ],
)
def test_a_call_that_fails_is_not_made_again(
    tmp_path: Path, kind: str, fields: dict[str, Any], state: str, end: str
) -> None:
    """Neither by the same process nor by the next one; after the time to verify a person is told."""
    with prepared(IDLE, tmp_path) as on:
        on.last_looks()
        on.until_due()
        on.watch.market.misbehave(kind, method="DELETE", path="/vms/v3", **fields)
        (carried,) = on.act()
        on.watch.market.behave()
        on.watch.restart()
        for _ in range(5):
            on.look(15 * MINUTE)
            on.act()
        on.come_due(days=1)
        on.persist()

        assert (state, end) == (carried.deletion.state, on.watch.deletions()[0].state)
        assert 1 == len(on.calls())
        told = "Whether idle was deleted is not known" if end == "unconfirmed" else "idle could not be deleted"
        assert f"[CRIT] {told}" in on.told()


def test_a_call_that_was_taken_and_not_answered_is_proven_by_the_lists(tmp_path: Path) -> None:
    with prepared(IDLE, tmp_path) as on:
        on.last_looks()
        on.until_due()
        on.watch.market.misbehave("close_before_headers", method="DELETE", path="/vms/v3", effect=True)
        (carried,) = on.act()
        on.watch.restart()
        for _ in range(3):
            on.look(MINUTE)

        assert DeletionState.EXECUTING is carried.deletion.state
        assert DeletionState.VERIFIED is on.deletion.state
        assert 1 == len(on.calls())


def test_a_machine_that_comes_while_another_goes_is_none_of_its_business(tmp_path: Path) -> None:
    """A new machine under the same name, rented after the deletion, stays."""
    with prepared(IDLE, tmp_path) as on:
        on.last_looks()
        on.until_due()
        on.act()
        new = rented(on.watch, on.setting.generation, "idle")
        for _ in range(3):
            on.look(MINUTE)
            on.act()

        assert 1 == len(on.calls())
        assert "Active" == on.watch.market.vm(new)["status"]
