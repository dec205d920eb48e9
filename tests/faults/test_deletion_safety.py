"""Ways in which it must not delete, each against the real pipeline: a scene in which a machine is about to go, and an
obstacle. That the same scene without it does delete is shown first, once for each kind of scene. What keeps a machine must be
named in the audit trail or in what is told.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.deletion.deletions import DeletionState, Mode
from fluence_costwatch.core.deletion.vetoes import approved
from fluence_costwatch.core.messages.outbox import Delivery
from fluence_costwatch.errors import ConfigInvalid, DatabaseInUse
from fluence_costwatch.store import open_store
from tests.faults.deletion_obstacles import OBSTACLES, Obstacle, When, by_command, veto
from tests.faults.deletion_scene import (
    BY_BUDGET,
    BY_LEASE,
    DUE,
    EXECUTE,
    GPU,
    HOUR,
    IDLE,
    METERED,
    MINUTE,
    TERMINATED,
    Scene,
    Setting,
    configured,
    prepared,
    scene,
)

DAY = timedelta(days=1)
PROPOSE = replace(IDLE, name="an idle VM, proposed", deletion=replace(EXECUTE, mode=Mode.PROPOSE))
SETTINGS = (IDLE, METERED, GPU, BY_BUDGET, BY_LEASE, TERMINATED, PROPOSE)
# What keeps a machine after the last look is the harder case; what looks see as well is tried with the slow tests.
CASES = [
    pytest.param(
        obstacle,
        when,
        id=f"{obstacle.what}, {when}",
        marks=[pytest.mark.slow] if when is When.EARLY and obstacle.says(When.LATE) is not None else [],
    )
    for obstacle in OBSTACLES
    for when in When
    if obstacle.says(when) is not None
]

Control = Callable[[Setting], None]


def approve(on: Scene, tx: Any) -> None:
    """A person approves the newest deletion for the moment that is set."""
    before = on.deletion
    after = approved(before, actor="cli ann", reason="is not used", now=on.watch.now)
    assert after is not None
    assert tx.save_deletion(after, was=before.state)


@pytest.fixture(scope="session")
def control(tmp_path_factory: pytest.TempPathFactory) -> Control:
    """Shows that a scene without an obstacle deletes the one machine and nothing else, once for each kind of scene."""
    shown: set[str] = set()

    def show(setting: Setting) -> None:
        if setting.name in shown:
            return
        folder = tmp_path_factory.mktemp("control")
        with prepared(setting, folder) as on:
            assert DeletionState.NOTIFIED is on.deletion.state
            if setting is PROPOSE:
                by_command(approve)(on)
            on.last_looks()
            assert [] == on.calls()
            on.until_due()
            (carried,) = on.act()
            assert (DeletionState.REQUESTED, ()) == (carried.deletion.state, carried.refusals)
            on.look(MINUTE)
            on.look(MINUTE)
            assert "verified: proven by the lists" in on.told()
            (call,) = on.calls()
            assert on.vm in call
        shutil.rmtree(folder)
        shown.add(setting.name)

    return show


@pytest.mark.parametrize("setting", [pytest.param(setting, id=setting.name) for setting in SETTINGS])
def test_without_an_obstacle_it_is_deleted(control: Control, setting: Setting) -> None:
    control(setting)


@pytest.mark.parametrize(("obstacle", "when"), CASES)
def test_with_an_obstacle_it_is_kept_and_says_why(
    control: Control, tmp_path: Path, obstacle: Obstacle, when: When
) -> None:
    control(obstacle.setting)
    with prepared(obstacle.setting, tmp_path) as on:
        assert DeletionState.NOTIFIED is on.deletion.state
        if when is When.EARLY:
            obstacle.happens(on)
        on.last_looks()
        on.until_due()
        if when is When.LATE:
            obstacle.happens(on)
        elif when is When.MEANWHILE:
            on.interrupt(lambda: obstacle.happens(on))
        on.persist()

        assert [] == on.calls()
        says = obstacle.says(when)
        assert says is not None
        assert says in on.told()


def test_the_table_has_more_than_thirty_obstacles() -> None:
    assert len({obstacle.what for obstacle in OBSTACLES}) > 30


def test_observe_mode_only_says_what_would_be_deleted(control: Control, tmp_path: Path) -> None:
    control(IDLE)
    with prepared(replace(IDLE, deletion=replace(EXECUTE, mode=Mode.OBSERVE)), tmp_path) as on:
        on.come_due()
        on.persist()
        on.come_due(days=1)
        on.persist()

        assert [] == on.calls()
        assert DeletionState.PROPOSED is on.deletion.state
        assert "idle would be deleted, were the mode not observe" in on.told()


def test_without_an_approval_it_is_kept_in_propose_mode(control: Control, tmp_path: Path) -> None:
    control(PROPOSE)
    with prepared(PROPOSE, tmp_path) as on:
        on.come_due()
        on.persist()
        on.come_due(days=1)
        on.persist()

        assert [] == on.calls()
        assert "could be deleted at 2026-03-01 17:25 UTC, if somebody approves it" in on.told()


def test_an_approval_serves_the_moment_that_it_was_given_for(control: Control, tmp_path: Path) -> None:
    """The daemon slept through that moment; at the next one it asks anew."""
    control(PROPOSE)
    with prepared(PROPOSE, tmp_path) as on:
        by_command(approve)(on)
        on.look_until(DUE + 29 * MINUTE)
        on.act()
        on.come_due(days=1)
        on.persist()

        assert [] == on.calls()
        assert DeletionState.NOTIFIED is on.deletion.state
        assert "the approval was for the former one" in on.told()


def test_where_no_target_accepts_the_notice_nothing_is_deleted(control: Control, tmp_path: Path) -> None:
    control(IDLE)
    with scene(IDLE, tmp_path) as on:
        on.watch.notifier.down = True
        on.begin()
        on.come_due()
        on.persist()
        on.come_due(days=1)
        on.persist()

        assert [] == on.calls()
        assert (DeletionState.PROPOSED, None) == (on.deletion.state, on.deletion.execute_at)
        with on.watch.store.reading() as reading:
            assert any(row.deletion == on.deletion.id for row in reading.outbox(states=(Delivery.QUEUED,)))
        assert "delivery: " in on.told()


def test_without_any_target_nothing_is_deleted(control: Control, tmp_path: Path) -> None:
    control(IDLE)
    with scene(IDLE, tmp_path) as on:
        on.watch.policy = replace(on.watch.policy, routes=())
        on.begin()
        on.come_due()
        on.persist()

        assert [] == on.calls()
        assert (DeletionState.PROPOSED, None) == (on.deletion.state, on.deletion.execute_at)


def test_a_notice_that_is_too_young_waits_for_the_next_epoch(control: Control, tmp_path: Path) -> None:
    control(IDLE)
    with scene(IDLE, tmp_path) as on:
        on.watch.notifier.down = True
        on.begin()
        on.look_until(DUE - 110 * MINUTE)
        on.watch.notifier.down = False
        on.come_due()
        on.persist()

        assert [] == on.calls()
        assert DUE + DAY == on.deletion.execute_at


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param({"kind": "price_missing"}, "price: ", id="a price that was never known"),
        pytest.param({"kind": "field", "name": "vmName", "value": None}, "", id="a name that was never known"),
        pytest.param({"kind": "unknown_status"}, "status: ", id="a status that was never known"),
    ],
)
def test_what_was_never_known_is_never_proposed(
    control: Control, tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    control(IDLE)
    with scene(IDLE, tmp_path) as on:
        on.misbehave(**wrong, vm=on.vm)
        on.begin()
        on.come_due()
        on.persist()

        assert ([], []) == (on.calls(), on.watch.deletions())
        assert says in on.told()


def test_nothing_is_proposed_of_a_generation_that_was_found_by_asking(control: Control, tmp_path: Path) -> None:
    control(IDLE)
    with scene(IDLE, tmp_path) as on:
        on.terms(configured=frozenset())
        on.begin()
        on.come_due()
        on.persist()

        assert ([], []) == (on.calls(), on.watch.deletions())
        assert "idle has been idle since" in on.told()


def test_a_ground_that_broke_needs_a_new_notice(control: Control, tmp_path: Path) -> None:
    """It worked for a moment; when it is idle again all begins anew, so that this boundary comes too soon."""
    control(IDLE)
    with prepared(IDLE, tmp_path) as on:
        first = on.deletion
        on.machines.busy[on.vm] = 0.5
        on.look(15 * MINUTE)
        on.machines.busy[on.vm] = 0.005
        on.look(15 * MINUTE)
        on.come_due()
        on.persist()
        second = on.deletion

        assert [] == on.calls()
        assert second.id != first.id
        assert second.notified_at is not None
        assert second.notified_at > DUE - 2 * HOUR
        assert DUE + DAY == second.execute_at
        assert "by rule idle-vm it is active now" in on.told()


@pytest.mark.parametrize(
    ("idle", "facts", "go", "says"),
    [
        pytest.param(2, {"max_per_day": 1}, 1, "max_per_day is reached: 1 deletion in 24 hours", id="cap"),
        pytest.param(
            3, {}, 2, "max_fleet_share is reached: 2 deletions in 24 hours, 2 allowed for this fleet", id="share"
        ),
    ],
)
def test_a_cap_that_is_reached_keeps_the_rest(
    tmp_path: Path, idle: int, facts: dict[str, Any], go: int, says: str
) -> None:
    """Several are due at once; without the cap all of them would go."""
    for limits, expected in (({"max_per_day": 9, "max_fleet_share": Decimal(1)}, idle), (facts, go)):
        folder = tmp_path / str(expected)
        folder.mkdir()
        with scene(replace(IDLE, deletion=replace(EXECUTE, **limits)), folder) as on:
            for id in on.known_ids()[1:idle]:
                on.machines.busy[id] = 0.005
            on.begin()
            on.come_due()
            on.persist()

            assert expected == len(on.calls())
            assert (says in on.told()) is (limits is facts)


def test_what_went_a_day_ago_leaves_room_under_the_cap(tmp_path: Path) -> None:
    """Two are idle and one may go a day: the other follows a day later, not sooner."""
    with scene(replace(IDLE, deletion=replace(EXECUTE, max_per_day=1)), tmp_path) as on:
        on.machines.busy[on.known_ids()[1]] = 0.005
        on.begin()
        on.come_due()
        on.persist()
        assert 1 == len(on.calls())
        on.come_due(days=1)
        on.persist()

        assert 2 == len(set(on.calls())) == len(on.calls())


def test_nothing_goes_on_data_that_are_old(control: Control, tmp_path: Path) -> None:
    """Looks have stopped; the fresh list alone is not enough."""
    control(IDLE)
    with prepared(IDLE, tmp_path) as on:
        on.last_looks()
        on.advance(16 * MINUTE)
        on.act()

        assert [] == on.calls()
        assert "what is remembered of the account is stale" in on.told()
        assert "rule idle-vm was not judged lately" in on.told()


def test_nothing_goes_where_our_clock_was_set_back(control: Control, tmp_path: Path) -> None:
    """It was set ahead or back meanwhile: by our own clock the moment comes six minutes late."""
    control(IDLE)
    with prepared(IDLE, tmp_path) as on:
        on.last_looks()
        on.set_clock(wrong_by=-6 * MINUTE)
        on.until_due()
        on.advance(6 * MINUTE)
        on.act()

        assert [] == on.calls()
        assert "the clocks here and at the marketplace differ by 6 min" in on.told()


def test_nothing_goes_while_the_database_is_older_than_it_was(control: Control, tmp_path: Path) -> None:
    """A veto came after the backup. Once an operator has confirmed the older database, all begins with a new notice."""
    control(IDLE)
    with prepared(IDLE, tmp_path) as on:
        saved = on.watch.store.backup(tmp_path / "backups", now=on.watch.now).path
        by_command(veto)(on)
        on.look(HOUR)
        assert "vetoed: still needed" in on.told()
        on.watch.store.close()
        for former in tmp_path.glob("db*"):
            if former.name in ("db", "db-wal", "db-shm"):
                former.unlink()
        shutil.copyfile(saved, tmp_path / "db")
        on.watch.store = open_store(on.watch.path, now=on.watch.now)

        restored = on.deletion
        on.come_due()
        on.persist()

        assert (DeletionState.NOTIFIED, DeletionState.WITHDRAWN) == (restored.state, on.deletion.state)
        assert [] == on.calls()
        assert "The database is older than it was, so nothing is deleted until an operator confirms it" in on.told()


def test_the_log_says_when_a_deletion_is_due_whose_notice_was_accepted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "fluence_costwatch.deleting"), prepared(IDLE, tmp_path):
        (told,) = [line for line in caplog.records if line.getMessage() == "notice of a deletion accepted"]

    assert "2026-03-01T17:25:00Z" == vars(told)["facts"]["due"]


def test_a_second_daemon_on_the_same_file_is_refused(tmp_path: Path) -> None:
    with prepared(IDLE, tmp_path) as on:
        with pytest.raises(DatabaseInUse):
            open_store(on.watch.path, now=on.watch.now)
        on.come_due()
        on.act()

        assert 1 == len(on.calls())


@pytest.mark.parametrize("glob", ["db-[a", "[z-a]*", ""])
def test_a_configuration_whose_protection_cannot_be_read_is_refused(tmp_path: Path, glob: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"deletion\.protect\.names"):
        configured(tmp_path, f'[deletion]\nprotect = {{names = ["{glob}"]}}')
