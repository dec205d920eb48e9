"""The database as commands use it: for reading only, beside whoever writes. Nothing here creates or migrates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import text

from fluence_costwatch.errors import DatabaseDamaged, DatabaseMissing
from fluence_costwatch.ports import Backup
from fluence_costwatch.store.backup import write_backup
from fluence_costwatch.store.engine import reader_engine, require_sqlite, translated
from fluence_costwatch.store.migrate import require_readable
from fluence_costwatch.store.reading import SqliteReading
from fluence_costwatch.store.rebuild import differences


@contextmanager
def open_reading(path: Path) -> Iterator[SqliteReading]:
    """One consistent view of the database at `path`.

    Raises DatabaseMissing, DatabaseOutdated, DatabaseFromFuture or DatabaseDamaged where it cannot be read.
    """
    require_sqlite()
    if not path.is_file():
        raise DatabaseMissing(
            f"There is no database at {path} yet. Start `fluence-costwatch run` first, or name the right file."
        )
    engine = reader_engine(path)
    try:
        with translated(path), engine.begin() as connection:
            require_readable(connection, path)
            yield SqliteReading(connection)
    finally:
        engine.dispose()


def backup_database(path: Path, directory: Path, *, now: datetime) -> Backup:
    """Write a consistent copy of the database at `path` into `directory`, named by `now`; no other copy is touched."""
    with open_reading(path):
        return write_backup(path, directory, now=now)


def verify_database(path: Path) -> Sequence[str]:
    """What SQLite's integrity and foreign-key checks find wrong; empty when all is well."""
    try:
        with open_reading(path) as reading:
            ask = reading.connection.execute
            found = [line for (line,) in ask(text("PRAGMA integrity_check")) if line != "ok"]
            for table, row, parent, _ in ask(text("PRAGMA foreign_key_check")):
                found.append(f"row {row} of {table} refers to a row of {parent} that is not there")
    except DatabaseDamaged as error:
        return [str(error)]
    return found


def rebuild_database(path: Path) -> Sequence[str]:
    """Replay the kept snapshots; returns how the ledger kept while running differs, empty when it does not."""
    with open_reading(path) as reading:
        return differences(reading.connection)


def database_size(path: Path) -> int:
    """The size of the database at `path` with its write-ahead log; 0 for what is not there."""
    parts = (path, path.with_name(path.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.is_file())
