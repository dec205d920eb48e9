"""What people say to a deletion: by a link that is its own and lasts as long as it waits, by veto and by approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fluence_costwatch.core.deletion.deletions import DeletionState, Mode, Veto
from fluence_costwatch.core.deletion.vetoes import (
    approved,
    can_be_vetoed,
    is_token_of,
    lifted,
    token_of,
    veto_on,
    vetoed,
)
from fluence_costwatch.core.idle.idleness import IdleVerdict
from tests.deletable import NOW, RULE, WEB, deletion, idle_clock

SECRET = b"s" * 32
WEEK = timedelta(days=7)


def test_a_token_is_good_for_its_own_deletion() -> None:
    assert is_token_of(token_of("d1", secret=SECRET), "d1", secret=SECRET)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="none"),
        pytest.param(token_of("d2", secret=SECRET), id="of another deletion"),
        pytest.param(token_of("d1", secret=b"t" * 32), id="by another secret"),
        pytest.param(token_of("d1", secret=SECRET)[:-1], id="cut short"),
        pytest.param(token_of("d1", secret=SECRET).upper(), id="in capitals"),
        pytest.param("é\ud800", id="not even text"),
    ],
)
def test_any_other_token_is_not(token: str) -> None:
    assert not is_token_of(token, "d1", secret=SECRET)


@pytest.mark.parametrize("state", list(DeletionState))
def test_only_what_waits_can_be_vetoed(state: DeletionState) -> None:
    waits = state in (DeletionState.PROPOSED, DeletionState.NOTIFIED, DeletionState.APPROVED)
    it = deletion(state=state)

    assert waits is can_be_vetoed(it)
    assert waits is (vetoed(it, actor="cli ann", reason="", veto_for=WEEK, now=NOW) is not None)


def test_a_veto_stops_the_deletion_and_keeps_the_machine_from_the_rule() -> None:
    said = vetoed(deletion(), actor="link 10.0.0.7", reason=" still\nneeded ", veto_for=WEEK, now=NOW)

    assert said is not None
    stopped, veto = said
    assert DeletionState.VETOED is stopped.state
    assert ("link 10.0.0.7", "still\\nneeded") == (stopped.history[-1].actor, stopped.history[-1].reason)
    assert Veto(WEB, RULE.name, NOW + WEEK, "link 10.0.0.7", "still\\nneeded", NOW) == veto
    assert veto == veto_on(WEB, RULE.name, [veto], now=NOW + WEEK - timedelta(seconds=1))
    assert veto_on(WEB, RULE.name, [veto], now=NOW + WEEK) is None
    assert veto_on(WEB, "another", [veto], now=NOW) is None


def test_a_veto_is_lifted_when_the_machine_was_active_after_it() -> None:
    veto = Veto(WEB, RULE.name, NOW + WEEK, "ann", "", NOW - timedelta(hours=1))
    active = idle_clock(verdict=IdleVerdict.ACTIVE)

    assert ((WEB, RULE.name),) == lifted([veto], {(WEB, RULE.name): active})
    assert () == lifted([veto], {(WEB, RULE.name): idle_clock()})
    assert () == lifted([veto], {(WEB, RULE.name): replace(active, at=veto.made_at)})
    assert () == lifted([veto], {})


def test_an_approval_is_for_the_moment_that_is_set() -> None:
    said = approved(deletion(mode=Mode.PROPOSE), actor="cli ann", reason="", now=NOW)

    assert said is not None
    assert (DeletionState.APPROVED, NOW) == (said.state, said.approved_for)


@pytest.mark.parametrize(
    "it",
    [
        pytest.param(deletion(state=DeletionState.PROPOSED), id="not notified"),
        pytest.param(deletion(execute_at=None), id="no moment"),
        pytest.param(deletion(mode=Mode.OBSERVE), id="only observed"),
        pytest.param(deletion(state=DeletionState.VETOED), id="vetoed"),
        pytest.param(deletion(state=DeletionState.EXECUTING), id="too late"),
    ],
)
def test_what_cannot_be_approved(it: object) -> None:
    assert approved(it, actor="cli ann", reason="", now=NOW) is None  # type: ignore[arg-type]  # parametrized as object
