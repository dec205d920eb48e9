"""Deletions and what protects from them: changed by one at a time, never forgotten, and stopped by a restored backup."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.billing.history import Basis, Charge, History, Reason, Snapshot, Step, Verdict
from fluence_costwatch.core.billing.ledger import remember
from fluence_costwatch.core.deletion.deletions import (
    Deletion,
    DeletionState,
    Ground,
    Kept,
    Lease,
    Mode,
    Transition,
    Veto,
)
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.errors import StoreError
from fluence_costwatch.ports import CycleRecord
from fluence_costwatch.store import SqliteStore, open_beside, open_store
from tests.builders import at, charge, metered, resource, snapshot, usd

NOW = at("2026-03-01 12:00")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEB, DB = Identity("main", "0xweb"), Identity("main", "0xdb")
PROPOSED, NOTIFIED, APPROVED = DeletionState.PROPOSED, DeletionState.NOTIFIED, DeletionState.APPROVED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store of a test lies."""
    return tmp_path / "watch.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(path, now=NOW) as store:
        yield store


def step(state: DeletionState, moment: datetime = NOW) -> Transition:
    return Transition(moment, state, "costwatch", f"it is {state} now")


def deletion(id: str = "d1", *, states: tuple[DeletionState, ...] = (PROPOSED,), **facts: Any) -> Deletion:
    plain = Deletion(
        id=id,
        identity=WEB,
        target_id="0xWeb",
        name="web",
        kind=Kind.VM,
        generation=Generation.VMS_V3,
        created_at=NOW - DAY,
        ground=Ground.IDLE,
        rule="idle",
        reason="idle for 24 h",
        mode=Mode.EXECUTE,
        state=states[-1],
        proposed_at=NOW,
        history=tuple(step(state) for state in states),
    )
    return replace(plain, **facts)


def save(store: SqliteStore, one: Deletion, *, was: DeletionState | None = None) -> bool:
    with store.transaction() as tx:
        return tx.save_deletion(one, was=was)


def kept_deletions(store: SqliteStore, **asked: Any) -> list[Deletion]:
    with store.reading() as reading:
        return list(reading.deletions(**asked))


def look(store: SqliteStore, seen: Snapshot, *, deleted_by_us: frozenset[str] = frozenset()) -> Step:
    with store.transaction() as tx:
        before = tx.history(seen.account)
        step = remember(before, seen, claimed_elsewhere=tx.claimed_elsewhere(seen.account), deleted_by_us=deleted_by_us)
        number = tx.save_snapshot(seen, step.verdict, deleted_by_us=deleted_by_us)
        tx.save_step(before, step)
        tx.save_cycle(CycleRecord(seen.account, seen.generation, seen.sent_at, seen.answered_at, "ok", "", number))
    return step


def count_cycles(store: SqliteStore, several: int = 1) -> None:
    for _ in range(several):
        with store.transaction() as tx:
            tx.count_cycle()


def test_a_deletion_goes_through_its_states_and_keeps_every_transition_once(store: SqliteStore) -> None:
    assert save(store, deletion())
    assert save(store, deletion(states=(PROPOSED, NOTIFIED), notified_at=NOW), was=PROPOSED)
    approved = deletion(states=(PROPOSED, NOTIFIED, NOTIFIED, APPROVED), approved_for=NOW + DAY)
    assert save(store, approved, was=NOTIFIED)

    assert [approved] == kept_deletions(store)
    assert [] == kept_deletions(store, states=[PROPOSED, NOTIFIED])
    assert [approved] == kept_deletions(store, states=[APPROVED])


@pytest.mark.parametrize(
    ("second", "was"),
    [
        (deletion(states=(PROPOSED, NOTIFIED, APPROVED)), PROPOSED),
        (deletion(states=(PROPOSED, NOTIFIED)), None),
        (deletion(states=(PROPOSED, APPROVED)), NOTIFIED),
        (deletion(states=(PROPOSED,)), NOTIFIED),
        (deletion("another", states=(PROPOSED, NOTIFIED)), PROPOSED),
    ],
    ids=["another state", "not new", "another history", "a history that lacks a step", "not there"],
)
def test_what_somebody_else_changed_meanwhile_is_left_alone(
    store: SqliteStore, second: Deletion, was: DeletionState | None
) -> None:
    first = deletion(states=(PROPOSED, NOTIFIED))
    assert save(store, first)

    assert not save(store, second, was=was)
    assert [first] == kept_deletions(store)


def test_of_an_approval_and_a_veto_at_once_one_wins(store: SqliteStore) -> None:
    notified = deletion(states=(PROPOSED, NOTIFIED))
    save(store, notified)

    def become(state: DeletionState) -> bool:
        with open_beside(store.path) as beside:
            return save(beside, deletion(states=(PROPOSED, NOTIFIED, state)), was=NOTIFIED)

    with ThreadPoolExecutor(2) as threads:
        won = list(threads.map(become, (APPROVED, DeletionState.VETOED)))

    assert [False, True] == sorted(won)
    assert 3 == len(kept_deletions(store)[0].history)


def test_deletions_are_told_oldest_first(store: SqliteStore) -> None:
    for id_, moment in (("b", NOW), ("c", NOW - DAY), ("a", NOW)):
        save(store, deletion(id_, proposed_at=moment))

    assert ["c", "a", "b"] == [one.id for one in kept_deletions(store)]


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("DELETE FROM deletions", "a deletion is never dropped"),
        ("DELETE FROM transitions", "never dropped"),
        ("UPDATE transitions SET actor = 'nobody'", "never changes"),
    ],
)
def test_sql_itself_refuses_to_forget_what_became_of_a_deletion(
    store: SqliteStore, statement: str, refusal: str
) -> None:
    save(store, deletion())

    with pytest.raises(StoreError, match=refusal), store.transaction() as tx:
        tx.connection.exec_driver_sql(statement)


def test_pruning_keeps_deletions_and_what_protects_from_them(store: SqliteStore) -> None:
    save(store, deletion())
    with store.transaction() as tx:
        tx.save_veto(Veto(WEB, "idle", NOW, "alice", "", NOW))
        tx.save_lease(Lease(WEB, NOW, "alice", NOW))
        tx.keep(Kept(WEB, NOW, "alice", ""))
        tx.release(DB, actor="alice", at=NOW)
    store.prune(before=NOW + 999 * DAY)

    with store.reading() as reading:
        assert (1, 1, [WEB], [WEB], [DB]) == (
            len(reading.deletions()),
            len(reading.vetoes()),
            list(reading.leases()),
            list(reading.kept()),
            list(reading.released()),
        )


def test_vetoes_and_leases_are_replaced_and_dropped_by_what_they_are_of(store: SqliteStore) -> None:
    veto, lease = Veto(WEB, "idle", NOW + DAY, "alice", "needed", NOW), Lease(WEB, NOW + DAY, "alice", NOW)
    with open_beside(store.path) as beside, beside.transaction() as tx:
        for until in (NOW, NOW + DAY):
            tx.save_veto(replace(veto, until=until))
            tx.save_lease(replace(lease, until=until))
        tx.save_veto(replace(veto, rule="another"))
        tx.save_lease(replace(lease, identity=DB))
        tx.lift_veto(WEB, "another")
        tx.lift_veto(DB, "idle")
        tx.end_lease(DB)

    with store.reading() as reading:
        assert [veto] == reading.vetoes()
        assert {WEB: lease} == reading.leases()


def test_what_is_protected_stays_so_with_its_first_reason_until_it_is_released(store: SqliteStore) -> None:
    first = Kept(WEB, NOW, "costwatch", "seen under the protected name 'db-1'")
    with store.transaction() as tx:
        tx.keep(first)
        tx.keep(replace(first, reason="another", actor="alice"))
        assert {WEB: first} == tx.reading().kept()
        tx.release(WEB, actor="alice", at=NOW)
        assert {} == tx.reading().kept()
        tx.keep(replace(first, reason="another"))
        assert "another" == tx.reading().kept()[WEB].reason


def test_a_release_notes_every_name_that_any_list_or_former_release_knew(store: SqliteStore) -> None:
    for minute, name in enumerate(["db-1", "db-1", None, "plain"]):
        look(store, snapshot(NOW + minute * MINUTE, resource(name=name), resource("0xDb", name="other")))
    with store.transaction() as tx:
        tx.release(WEB, actor="alice", at=NOW)
        tx.release(Identity("main", "0xnever"), actor="alice", at=NOW)

        assert {WEB: (None, "db-1", "plain"), Identity("main", "0xnever"): ()} == tx.reading().released()
    look(store, snapshot(NOW + HOUR, resource(name="db-2"), resource("0xDb", name="other")))
    store.prune(before=NOW + 2 * HOUR)
    with store.transaction() as tx:
        tx.release(WEB, actor="bob", at=NOW)

        assert (None, "db-1", "db-2", "plain") == tx.reading().released()[WEB]


def test_a_list_is_judged_again_by_what_we_had_asked_to_be_deleted(store: SqliteStore) -> None:
    fleet = [resource(f"0x{number}") for number in range(4)]
    ours = frozenset({"0x1", "0x2", "0x3"})
    look(store, snapshot("2026-03-01 12:00", *fleet))

    assert Verdict.ACCEPTED is look(store, snapshot("2026-03-01 12:05", fleet[0]), deleted_by_us=ours).verdict
    assert Verdict.ACCEPTED is look(store, snapshot("2026-03-01 12:10", fleet[0])).verdict
    assert [] == store.rebuild()
    store.prune(before=at("2026-03-01 12:04"))
    assert [] == store.rebuild()
    with store.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE snapshots SET explained = NULL")
    assert "snapshot 2 was accepted, replaying finds it suspicious" in store.rebuild()


def test_what_was_spent_is_the_sum_of_the_rows_that_start_in_the_window(store: SqliteStore) -> None:
    boundaries = [NOW + count * DAY for count in range(5)]
    rows = [
        charge(f"{start:%F %T}", f"{end:%F %T}", amount, identity=identity, closed=True)
        for (identity, amount) in ((WEB, "0.30697"), (DB, "0.4"))
        for start, end in pairwise(boundaries)
    ]
    put(store, *rows)

    with store.reading() as reading:
        assert {WEB: usd("1.22788"), DB: usd("1.6")} == reading.spent(since=None, until=None)
        assert {WEB: usd("0.61394"), DB: usd("0.8")} == reading.spent(since=boundaries[1], until=boundaries[3])
        assert {WEB: usd("0.30697"), DB: usd("0.4")} == reading.spent(since=boundaries[3], until=None)
        assert {} == reading.spent(since=boundaries[4], until=None)


def put(store: SqliteStore, *rows: Charge) -> None:
    with store.transaction() as tx:
        tx.save_step(History("main"), Step(History("main"), Verdict.ACCEPTED, rows))


def test_only_rows_of_metered_resources_that_begin_before_and_end_after_straddle(store: SqliteStore) -> None:
    vm, disk = metered(), metered("disk-1", kind=Kind.STORAGE, name=None)
    look(store, snapshot(NOW, vm, disk, generation=Generation.CLOUD_V2))
    look(store, snapshot(NOW, resource(price=None)))

    def row(identity: Identity, start: int, end: int, **facts: Any) -> Charge:
        span = Span(NOW + start * HOUR, NOW + end * HOUR)
        return replace(Charge(identity, span, usd("0.1"), Basis.OBSERVED, closed=True), **facts)

    reported: dict[str, Any] = {"basis": Basis.REPORTED, "reason": Reason.RECONCILED}
    over_both = row(vm.identity, 0, 6, **reported)
    first, second = row(vm.identity, 1, 3), row(vm.identity, 3, 5)
    other, older = row(disk.identity, 1, 4), row(disk.identity, -9, 0)
    put(store, first, second, other, older, over_both, row(vm.identity, 1, 2, **reported), row(WEB, 1, 4))

    def straddling(hours: int, minutes: int = 0) -> list[tuple[Charge, str | None, str]]:
        with store.reading() as reading:
            found = reading.straddling(NOW + hours * HOUR + minutes * MINUTE)
            return [(record.charge, record.name, record.kind) for record in found]

    assert [(over_both, "web", "vm"), (other, None, "storage"), (first, "web", "vm")] == straddling(2)
    assert [(over_both, "web", "vm"), (other, None, "storage")] == straddling(3)
    assert [(over_both, "web", "vm"), (second, "web", "vm")] == straddling(4)
    assert [] == straddling(6)
    assert [(older, None, "storage")] == straddling(-1)
    assert [(over_both, "web", "vm")] == straddling(0, 1)


def test_cycles_are_counted_here_and_beside_the_database_after_the_commit(store: SqliteStore, path: Path) -> None:
    file = path.with_name("watch.db.cycles")
    assert not store.was_rolled_back()
    count_cycles(store, 3)
    with store.transaction() as tx:
        tx.count_cycle()
        assert "3\n" == file.read_text()
        assert not store.was_rolled_back()

    assert "4\n" == file.read_text()
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert {"watch.db", "watch.db.lock", "watch.db.cycles", "watch.db-wal", "watch.db-shm"} == {
        one.name for one in path.parent.iterdir()
    }


def test_a_cycle_that_was_rolled_back_is_not_counted(store: SqliteStore) -> None:
    def stumble() -> None:
        with store.transaction() as tx:
            tx.count_cycle()
            raise ValueError("a mistake in the block")

    count_cycles(store)
    with pytest.raises(ValueError):
        stumble()
    count_cycles(store)

    assert not store.was_rolled_back()
    assert "2\n" == store.path.with_name("watch.db.cycles").read_text()


def test_a_restored_backup_is_told_until_an_operator_accepts_it_however_long_it_runs(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    count_cycles(store, 3)
    backup = store.backup(tmp_path / "backups", now=NOW).path
    count_cycles(store, 2)
    store.close()
    shutil.copy(backup, path)

    with open_store(path, now=NOW) as restored:
        assert restored.was_rolled_back()
        count_cycles(restored, 9)
        assert restored.was_rolled_back()
        with open_beside(path) as beside:
            beside.accept_rollback()
        assert not restored.was_rolled_back()
        count_cycles(restored, 2)
        assert not restored.was_rolled_back()
    assert "7\n" == path.with_name("watch.db.cycles").read_text()


@pytest.mark.parametrize("content", [None, b"", b"many\n", b"5", b"-3\n", b"\xff\xff", b"9" * 5000])
def test_a_count_that_is_lost_damaged_or_another_ones_is_as_good_as_a_restored_backup(
    store: SqliteStore, content: bytes | None
) -> None:
    count_cycles(store, 3)
    file = store.path.with_name("watch.db.cycles")
    file.unlink()
    if content is not None:
        file.write_bytes(content)

    assert store.was_rolled_back()
    count_cycles(store, 2)
    assert store.was_rolled_back()
    store.accept_rollback()
    count_cycles(store)
    assert not store.was_rolled_back()


@pytest.mark.parametrize("counted_before", [0, 3])
def test_a_crash_between_the_commit_and_the_file_is_no_restored_backup_however_often(
    store: SqliteStore, counted_before: int
) -> None:
    file = store.path.with_name("watch.db.cycles")
    count_cycles(store, counted_before)
    for _ in range(3):
        with store.transaction() as tx:
            tx.count_cycle()
            before = file.read_bytes() if file.exists() else None
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)
        assert not store.was_rolled_back()


def test_where_the_file_cannot_be_written_nothing_is_counted_past_it(store: SqliteStore) -> None:
    file = store.path.with_name("watch.db.cycles")
    count_cycles(store, 2)
    file.unlink()
    file.mkdir()
    (file / "in the way").touch()

    assert store.was_rolled_back()  # what cannot be read is in doubt
    with pytest.raises(StoreError, match=r"watch\.db\.cycles cannot be written"):
        store.accept_rollback()
    count_cycles(store)  # and yet the cycle itself is kept
    assert store.was_rolled_back()
    assert [] == [one.name for one in store.path.parent.iterdir() if one.name.startswith(".")]


def test_the_secret_is_made_once_and_for_its_owner_alone(store: SqliteStore) -> None:
    with ThreadPoolExecutor(4) as threads:
        secrets = set(threads.map(lambda _: store.secret(), range(8)))

    assert 1 == len(secrets)
    assert 32 == len(secrets.pop())
    file = store.path.with_name("watch.db.secret")
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    with open_beside(store.path) as beside:
        assert file.read_bytes() == beside.secret()


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_refused_rather_than_used(store: SqliteStore, content: bytes) -> None:
    store.path.with_name("watch.db.secret").write_bytes(content)

    with pytest.raises(StoreError, match="Remove it"):
        store.secret()


def test_the_room_that_is_left_is_that_of_the_database_s_disk(store: SqliteStore) -> None:
    assert 0 < store.free_bytes() <= shutil.disk_usage(store.path.parent).total
