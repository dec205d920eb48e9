"""Who may open the database, how, and what they are told where they may not."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

from fluence_costwatch.core.billing.history import History, Step, Verdict
from fluence_costwatch.errors import DatabaseDamaged, DatabaseInUse, DatabaseMissing, StoreError
from fluence_costwatch.store import open_reading, open_store, upgrade_database, verify_database
from fluence_costwatch.store.engine import translated
from tests.builders import at, charge, resource, snapshot
from tests.eventually import eventually

NOW = at("2026-03-01 12:00")

# Opens the store, leaves a snapshot in it that is in the write-ahead log only, and stays.
HOLDER = """
import sys
from pathlib import Path
from fluence_costwatch.core.billing.history import Verdict
from fluence_costwatch.store import open_store
from tests.builders import at, resource, snapshot

store = open_store(Path(sys.argv[1]), now=at("2026-03-01 12:00"))
with store.transaction() as tx:
    tx.save_snapshot(snapshot("2026-03-01 12:00", resource()), Verdict.ACCEPTED)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        try:
            assert "held\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


def filled(path: Path) -> None:
    """A database with some pages of content."""
    with open_store(path, now=NOW) as store, store.transaction() as tx:
        fleet = [resource(f"0x{number}", name=f"worker {number}") for number in range(300)]
        tx.save_snapshot(snapshot("2026-03-01 12:00", *fleet), Verdict.ACCEPTED)
        tx.save_step(
            History("main"),
            Step(History("main"), Verdict.ACCEPTED, (charge("2026-03-01 12:00", "2026-03-01 17:55"),)),
        )


def test_a_new_database_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "watch.db"

    open_store(path, now=NOW).close()

    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_second_opening_in_the_same_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    with open_store(path, now=NOW):
        with pytest.raises(DatabaseInUse, match=f"in use by process {os.getpid()}"):
            open_store(path, now=NOW)
        with pytest.raises(DatabaseInUse):
            upgrade_database(path, now=NOW)

    open_store(path, now=NOW).close()


def test_a_second_process_is_refused_until_kill_9_ends_the_first_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    with held_by_another_process(path) as holder:
        with pytest.raises(DatabaseInUse, match=f"in use by process {holder.pid}"):
            open_store(path, now=NOW)
        with open_reading(path) as reading:
            assert 1 == len(list(reading.snapshots()))
        holder.send_signal(signal.SIGKILL)
        holder.wait()

    with open_reading(path) as reading:
        assert 1 == len(list(reading.snapshots()))
    with eventually(lambda: open_store(path, now=NOW)) as store, store.reading() as reading:
        assert 1 == len(list(reading.snapshots()))
        assert [] == store.verify()


def test_reading_what_is_not_there_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissing, match="no database"), open_reading(tmp_path / "none" / "watch.db"):
        pass
    with pytest.raises(DatabaseMissing, match="no database"), open_reading(tmp_path / "watch.db"):
        pass
    assert [] == list(tmp_path.iterdir())


def test_a_file_that_is_still_empty_is_no_database_yet(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    path.touch()

    with pytest.raises(DatabaseMissing, match="still empty"), open_reading(path):
        pass
    assert 0 == path.stat().st_size
    open_store(path, now=NOW).close()


def test_commands_read_while_the_daemon_is_in_the_middle_of_writing(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    with open_store(path, now=NOW) as store, store.transaction() as tx:
        tx.save_snapshot(snapshot("2026-03-01 12:00", resource()), Verdict.ACCEPTED)
        with open_reading(path) as reading:
            assert [] == list(reading.snapshots())


def test_a_reading_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    filled(path)

    with pytest.raises(StoreError, match="cannot be opened as needed"), open_reading(path) as reading:
        reading.connection.exec_driver_sql("DELETE FROM cycles")


def test_a_file_that_is_no_database_is_called_damaged_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    path.write_bytes(b"this is a letter, not a database\n" * 200)
    content = path.read_bytes()

    with pytest.raises(DatabaseDamaged, match="Restore the newest backup"):
        open_store(path, now=NOW)
    with pytest.raises(DatabaseDamaged, match="Restore the newest backup"), open_reading(path):
        pass
    (said,) = verify_database(path)
    assert "damaged" in said
    assert content == path.read_bytes()


def test_a_database_with_a_damaged_page_is_told_by_verify_and_by_use(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    filled(path)
    assert [] == verify_database(path)
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'versions'").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)

    assert verify_database(path)
    with pytest.raises(DatabaseDamaged), open_reading(path) as reading:
        list(reading.snapshots())


def test_a_sqlite_without_strict_tables_is_told_by_its_version_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "watch.db"
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))

    with pytest.raises(StoreError, match=r"uses SQLite 3\.36\.0, but the database needs 3\.37 or newer"):
        open_store(path, now=NOW)
    with pytest.raises(StoreError, match=r"3\.36\.0"), open_reading(path):
        pass
    assert [] == list(tmp_path.iterdir())
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 0))
    open_store(path, now=NOW).close()


def test_a_directory_that_cannot_be_made_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(StoreError, match=str(tmp_path / "state")):
        open_store(tmp_path / "state" / "deep" / "watch.db", now=NOW)
    with pytest.raises(StoreError, match=str(tmp_path)):
        open_store(tmp_path, now=NOW)


def test_a_database_that_somebody_else_keeps_locked_is_told_as_in_use(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    filled(path)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as first,
        closing(sqlite3.connect(path, timeout=0)) as second,
    ):
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseInUse, match="nothing was written"), translated(path):
            second.execute("BEGIN IMMEDIATE")


def test_where_every_connection_stays_busy_the_database_is_told_as_in_use(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    engine = create_engine(f"sqlite:///{path}", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(DatabaseInUse) as told, translated(path), engine.begin():
        pytest.fail("there was a second connection")
    engine.dispose()

    said = str(told.value)
    assert said.startswith(f"All connections of this process to {path} have been busy")
    assert "nothing was written" in said


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    store = open_store(tmp_path / "watch.db", now=NOW)
    store.close()
    store.close()

    open_store(tmp_path / "watch.db", now=NOW).close()
