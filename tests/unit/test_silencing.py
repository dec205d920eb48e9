"""What a silence matches, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fluence_costwatch.core.alerts.silencing import is_silenced
from tests.alerts import NOW, finding, fired, silence

ABOUT_A_DISK = finding(kind="waste", resource_id="disk-1", rule="orphan")
ABOUT_A_BUDGET = finding(
    kind="budget", account="", rule="team-a 2026-03-01 50.000000 0.8", facts=(("budget", "team-a"),)
)


@pytest.mark.parametrize(
    ("about", "says", "expected"),
    [
        pytest.param(ABOUT_A_DISK, {"alert": ABOUT_A_DISK.fingerprint}, True, id="its fingerprint"),
        pytest.param(ABOUT_A_DISK, {"alert": ABOUT_A_BUDGET.fingerprint}, False, id="another fingerprint"),
        pytest.param(ABOUT_A_DISK, {"account": "main", "resource_id": "DISK-1"}, True, id="its resource, in any case"),
        pytest.param(ABOUT_A_DISK, {"account": "other", "resource_id": "disk-1"}, False, id="an id of another account"),
        pytest.param(ABOUT_A_DISK, {"account": "main", "resource_id": "disk-2"}, False, id="another resource"),
        pytest.param(ABOUT_A_DISK, {"rule": "orphan"}, True, id="its rule"),
        pytest.param(ABOUT_A_BUDGET, {"rule": "team-a"}, True, id="the name of its budget"),
        pytest.param(ABOUT_A_BUDGET, {"rule": "team"}, False, id="a part of the name"),
        pytest.param(ABOUT_A_DISK, {"account": "main"}, True, id="its account"),
        pytest.param(ABOUT_A_BUDGET, {"account": "main"}, False, id="an account, where the alert has none"),
        pytest.param(ABOUT_A_BUDGET, {}, False, id="nothing at all"),
    ],
)
def test_a_silence_matches_what_it_names(about: Any, says: dict[str, str], expected: bool) -> None:
    assert expected == is_silenced(fired(about), [silence(**says)], now=NOW)


@pytest.mark.parametrize(("left", "expected"), [(timedelta(seconds=1), True), (timedelta(0), False)])
def test_a_silence_ends_at_its_end(left: timedelta, expected: bool) -> None:
    assert expected == is_silenced(fired(), [silence(account="main", until=NOW + left)], now=NOW)
