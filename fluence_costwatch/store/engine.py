"""Connections to the SQLite file: how they are opened, how transactions begin, and what SQLite's errors mean.

The driver's own transaction handling lets a SELECT run outside of any transaction and lets DDL survive a rollback, so
it is switched off: every transaction begins with an explicit BEGIN. A writer begins IMMEDIATE, so that what it reads
cannot change under it; a reader begins DEFERRED, so that it never waits for a writer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.pool import QueuePool

from fluence_costwatch.errors import DatabaseDamaged, DatabaseInUse, StoreError

_BUSY_SECONDS: Final = 30
_OLDEST_SQLITE: Final = (3, 37)  # the first that knows strict tables
_WRITER_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


def require_sqlite() -> None:
    """Raise StoreError where Python was given a SQLite that is too old for the tables."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(
            f"This Python uses SQLite {'.'.join(map(str, sqlite3.sqlite_version_info))}, but the database needs "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} or newer. Install a newer SQLite, or run CostWatch with another Python."
        )


def writer_engine(path: Path) -> Engine:
    """Connections that may change the database at `path`, which must exist."""

    def connect() -> sqlite3.Connection:
        connection = _connect(path, mode="rw")
        for pragma in _WRITER_PRAGMAS:
            connection.execute(pragma)
        return connection

    return _engine(connect, begin="BEGIN IMMEDIATE")


def reader_engine(path: Path) -> Engine:
    """Connections that cannot change the database at `path` and never create it."""
    return _engine(lambda: connect_read_only(path), begin="BEGIN DEFERRED")


def migration_engine(path: Path) -> Engine:
    """Connections for schema changes. Foreign keys are off: changing a parent table would empty its children."""
    return _engine(lambda: _connect(path, mode="rw"), begin="BEGIN IMMEDIATE")


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A bare connection to the database at `path` that cannot change it."""
    return _connect(path, mode="ro")


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    # One connection is only ever used by one thread at a time, but the pool hands it from one to another.
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _engine(connect: Callable[[], sqlite3.Connection], *, begin: str) -> Engine:
    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=QueuePool, pool_timeout=_BUSY_SECONDS)

    @event.listens_for(engine, "begin")
    def emit_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises errors of SQLite and of the pool of connections as ours, with a sentence for the operator; all others pass untouched."""
    try:
        yield
    except DBAPIError as error:
        raise _meaning(error.orig, path) from error
    except NoneFree as error:
        raise DatabaseInUse(
            f"All connections of this process to {path} have been busy for {_BUSY_SECONDS} seconds; nothing was written. "
            "It carries on once one is free. If that does not come, check the disk, then start the process again."
        ) from error
    except sqlite3.Error as error:
        raise _meaning(error, path) from error


def _meaning(error: BaseException | None, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return DatabaseDamaged(
            f"{path} is damaged ({error}). Nothing is written to it any more. "
            "Restore the newest backup, or move the file away to begin anew."
        )
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return DatabaseInUse(
            f"{path} has been locked by another process for {_BUSY_SECONDS} seconds; nothing was written."
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            f"There is no space left for {path}; nothing was written. Free some, the next cycle carries on."
        )
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}:
        return StoreError(f"{path} cannot be opened as needed ({error}). Check who owns it and its directory.")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(f"Reading or writing {path} failed ({error}); nothing was written. Check the disk.")
    return StoreError(f"SQLite refuses what was asked of {path}: {error}")
