"""Housekeeping: backups that can be used, pruning that keeps every charge, a rebuild that finds every difference."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fluence_costwatch.core.billing.history import Charge, History, Snapshot, Verdict
from fluence_costwatch.core.billing.ledger import remember, retire
from fluence_costwatch.core.resources import Generation, Resource
from fluence_costwatch.errors import StoreError
from fluence_costwatch.ports import CycleRecord
from fluence_costwatch.store import SqliteStore, backup_database, open_reading, open_store
from tests.builders import at, resource, snapshot, usd

NOW = at("2026-03-01 12:00")
DAY = timedelta(days=1)
V2, V3 = Generation.VMS_V2, Generation.VMS_V3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store of the test lies."""
    return tmp_path / "watch.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(path, now=NOW) as store:
        yield store


def look(store: SqliteStore, seen: Snapshot) -> None:
    """What a cycle does with the list that it got."""
    with store.transaction() as tx:
        before = tx.history(seen.account)
        step = remember(before, seen, claimed_elsewhere=tx.claimed_elsewhere(seen.account))
        number = tx.save_snapshot(seen, step.verdict)
        tx.save_step(before, step)
        tx.save_cycle(CycleRecord(seen.account, seen.generation, seen.sent_at, seen.answered_at, "ok", "", number))


def end(store: SqliteStore, account: str, generation: Generation, moment: datetime) -> None:
    """What happens to a generation that is no longer configured."""
    with store.transaction() as tx:
        before = tx.history(account)
        tx.save_step(before, retire(before, generation))
        tx.save_retirement(account, generation, at=moment)


def of(account: str, generation: Generation, *listed: Resource) -> list[Resource]:
    return [replace(one, account=account, generation=generation) for one in listed]


def lived_through(store: SqliteStore, *, days: int = 6) -> None:
    """Days in the life of two accounts: arrivals, departures, a rename, a price change, a shared id, a suspicious list,
    an outage, a retirement and a return."""
    web, db, batch = resource("0xWeb"), resource("0xDb", name="db", reserved=usd("1")), resource("0xBatch", name=None)
    for hour in range(0, 24 * days, 3):
        moment = NOW + timedelta(hours=hour)
        fleet = [web, db] if hour < 40 else [replace(web, name="renamed"), replace(db, price=usd("0.4").dollars)]
        if 20 <= hour < 75:
            fleet.append(batch)
        if hour in {30, 33} or 48 <= hour < 60:  # suspicious, outage
            fleet = []
        if fleet or hour in {30, 33}:
            look(store, snapshot(moment, *fleet))
        if hour % 6 == 0:
            second = of("second", V2, resource("0xWEB"), resource("0xOwn"))
            look(store, snapshot(moment + timedelta(minutes=1), *second, account="second", generation=V2))
        if hour == 90:
            end(store, "main", V3, moment + timedelta(minutes=2))


def all_charges(store: SqliteStore) -> list[Charge]:
    with store.reading() as reading:
        return [record.charge for record in reading.charges()]


def all_snapshots(store: SqliteStore) -> list[tuple[int, Snapshot, Verdict]]:
    with store.reading() as reading:
        return list(reading.snapshots())


def all_histories(store: SqliteStore) -> list[History]:
    with store.transaction() as tx:
        return [tx.history(account) for account in ("main", "second")]


def test_a_backup_holds_all_that_was_committed_and_nothing_of_the_rest(store: SqliteStore, tmp_path: Path) -> None:
    look(store, snapshot("2026-03-01 12:00", resource()))
    with store.transaction() as tx:
        tx.save_snapshot(snapshot("2026-03-01 12:05", resource()), Verdict.ACCEPTED)
        made = store.backup(tmp_path / "backups", now=NOW)

    assert tmp_path / "backups" / "watch-20260301T120000Z.db" == made.path
    assert made.path.stat().st_size == made.size_bytes
    assert 0o600 == stat.S_IMODE(made.path.stat().st_mode)
    with open_reading(made.path) as reading:
        assert 1 == len(list(reading.snapshots()))


def test_a_backup_can_be_put_in_the_place_of_the_database(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    lived_through(store)
    before = all_charges(store), all_snapshots(store), all_histories(store)
    made = store.backup(tmp_path / "backups", now=NOW)
    store.close()
    path.unlink()
    made.path.rename(path)

    with open_store(path, now=NOW) as restored:
        assert before == (all_charges(restored), all_snapshots(restored), all_histories(restored))
        assert [] == restored.verify()
        assert [] == restored.rebuild()


def test_only_the_newest_seven_automatic_backups_stay_and_no_other_file_goes(
    store: SqliteStore, tmp_path: Path
) -> None:
    directory = tmp_path / "backups"
    by_hand = backup_database(store.path, directory / "by hand", now=NOW)
    others = [directory / "watch-notes.db", directory / "watch-before-upgrade-from-0001-20200101T000000Z.db"]
    for count in range(9):
        store.backup(directory, now=NOW + count * DAY)
        for other in others:
            other.touch()

    names = sorted(file.name for file in directory.glob("watch-2*"))
    assert [f"watch-202603{day:02}T120000Z.db" for day in range(3, 10)] == names
    assert by_hand.path.exists()
    assert all(other.exists() for other in others)


def test_a_backup_that_cannot_be_written_is_told_and_leaves_no_rest(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="could not be written"):
        store.backup(tmp_path / "file" / "backups", now=NOW)


def test_size_counts_the_write_ahead_log(store: SqliteStore, path: Path) -> None:
    look(store, snapshot("2026-03-01 12:00", resource()))

    assert path.stat().st_size + Path(f"{path}-wal").stat().st_size == store.size_bytes()


def test_a_row_without_its_parent_is_found_by_verify(store: SqliteStore, path: Path) -> None:
    look(store, snapshot("2026-03-01 12:00", resource()))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE cycles SET list = 99")

    assert ["row 1 of cycles refers to a row of lists that is not there"] == list(store.verify())


def test_rebuilding_what_was_kept_while_running_finds_no_difference(store: SqliteStore) -> None:
    lived_through(store)

    assert [] == store.rebuild()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "INSERT INTO charges SELECT resource, 7, 'epoch', 8, 5, 'observed', 1 FROM charges LIMIT 1",
            "is kept, replaying does not give it",
        ),
        ("DELETE FROM charges WHERE NOT closed", "is not kept, replaying gives it"),
        ("UPDATE charges SET amount = amount + 1 WHERE NOT closed", "its rows sum to"),
        ("UPDATE charges SET ends_at = ends_at + 1 WHERE NOT closed", "is kept as"),
        ("UPDATE states SET absences = 7 WHERE resource = 1", "absences is kept as 7, replaying gives"),
        ("UPDATE lists SET rank = 7 WHERE pk = 2", "rank is kept as 7, replaying gives 0"),
        (
            "UPDATE snapshots SET verdict = 'suspicious' WHERE number = 1",
            "snapshot 1 was suspicious, replaying finds it accepted",
        ),
        ("DELETE FROM retirements", "retired is kept as True, replaying gives False"),
    ],
)
def test_rebuilding_tells_every_difference_in_a_sentence(store: SqliteStore, statement: str, sentence: str) -> None:
    lived_through(store)
    with store.transaction() as tx:
        tx.connection.exec_driver_sql(statement)

    assert any(sentence in found for found in store.rebuild()), store.rebuild()


@pytest.mark.parametrize("kept_from", range(0, 24 * 6 + 3, 9))
def test_pruning_keeps_charges_states_and_later_snapshots_and_a_rebuild_still_agrees(
    store: SqliteStore, kept_from: int
) -> None:
    lived_through(store)
    before = NOW + timedelta(hours=kept_from)
    charges, snapshots, histories = all_charges(store), all_snapshots(store), all_histories(store)
    kept = [one for one in snapshots if one[1].sent_at >= before]

    assert len(snapshots) - len(kept) == store.prune(before=before)

    assert charges == all_charges(store)
    assert histories == all_histories(store)
    assert kept == all_snapshots(store)
    assert [] == store.rebuild()
    assert [] == store.verify()


def test_pruning_day_by_day_ends_like_never_pruning(store: SqliteStore, tmp_path: Path) -> None:
    lived_through(store, days=3)
    for day in range(1, 4):
        store.prune(before=NOW + day * DAY)
        assert [] == store.rebuild()
    look(store, snapshot(NOW + 4 * DAY, resource("0xWeb"), resource("0xNew")))
    assert [] == store.rebuild()

    with open_store(tmp_path / "whole.db", now=NOW) as whole:
        lived_through(whole, days=3)
        look(whole, snapshot(NOW + 4 * DAY, resource("0xWeb"), resource("0xNew")))
        assert all_charges(whole) == all_charges(store)
        assert all_histories(whole) == all_histories(store)
        assert all_snapshots(whole)[-1] == all_snapshots(store)[-1]


def test_a_retirement_after_everything_was_pruned_is_replayed_once(store: SqliteStore) -> None:
    lived_through(store, days=2)
    store.prune(before=NOW + 9 * DAY)
    end(store, "second", V2, NOW + 9 * DAY)

    assert [] == store.rebuild()
    assert 0 == store.prune(before=NOW + 10 * DAY)
    assert [] == store.rebuild()


def test_names_of_what_is_long_gone_outlive_pruning(store: SqliteStore) -> None:
    lived_through(store)
    with store.reading() as reading:
        before = [(record.resource, record.last_seen) for record in reading.resources()]
    store.prune(before=NOW + 90 * DAY)
    with store.reading() as reading:
        assert before == [(record.resource, record.last_seen) for record in reading.resources()]
        assert {"renamed", "db", None, "web"} == {record.name for record in reading.charges()}


def test_pruning_drops_old_cycles_but_the_newest_of_each_list(store: SqliteStore) -> None:
    lived_through(store)
    with store.reading() as reading:
        before = reading.accounts()
    store.prune(before=NOW + 90 * DAY)
    with store.reading() as reading:
        assert before == reading.accounts()
        assert 2 == reading.connection.exec_driver_sql("SELECT count(*) FROM cycles").scalar()


def test_pruning_nothing_changes_nothing(store: SqliteStore) -> None:
    lived_through(store, days=2)
    before = all_snapshots(store)

    assert 0 == store.prune(before=NOW)
    assert before == all_snapshots(store)
    with store.reading() as reading:
        assert 0 == reading.connection.exec_driver_sql("SELECT count(*) FROM checkpoints").scalar()
