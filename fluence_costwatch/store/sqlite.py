"""The database as the daemon holds it: for writing, by one process alone."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType

from fluence_costwatch.errors import StoreError
from fluence_costwatch.ports import Backup
from fluence_costwatch.store.alerts import drop_alerts
from fluence_costwatch.store.backup import KEPT, write_backup
from fluence_costwatch.store.beside import CycleFile, cycles_of, secret_beside, set_cycles
from fluence_costwatch.store.engine import reader_engine, require_sqlite, translated, writer_engine
from fluence_costwatch.store.idle import drop_clocks
from fluence_costwatch.store.lock import FileLock
from fluence_costwatch.store.migrate import migrate
from fluence_costwatch.store.opening import database_size, open_reading, rebuild_database, verify_database
from fluence_costwatch.store.outbox import drop_settled
from fluence_costwatch.store.pruning import drop, drop_cycles, drop_numbers, find_prunable
from fluence_costwatch.store.reading import SqliteReading
from fluence_costwatch.store.transactions import SqliteTransaction


class SqliteStore:
    """The database, held for writing until `close` (`ports.Store`); without a `lock`, beside whoever holds it."""

    def __init__(self, path: Path, lock: FileLock | None) -> None:
        self.path = path
        self._lock = lock
        self._cycle_file = CycleFile(path)
        self._writer = writer_engine(path)
        self._reader = reader_engine(path)
        # Threads take turns here rather than by SQLite's polling. It is not reentrant: no transaction in another.
        self._turn = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """A write transaction: committed where the block ends, rolled back where it raises."""
        with self._turn:
            with translated(self.path), self._writer.begin() as connection:
                transaction = SqliteTransaction(connection, self._cycle_file)
                yield transaction
            if transaction.counted is not None:
                with suppress(OSError):  # the next cycle writes it, or counts no further
                    self._cycle_file.write(transaction.counted)

    @contextmanager
    def reading(self) -> Iterator[SqliteReading]:
        """A consistent view for reading; never waits for a writer."""
        with translated(self.path), self._reader.begin() as connection:
            yield SqliteReading(connection)

    def prune(self, *, before: datetime) -> int:
        """Drop snapshots, cycle-log lines, balances, the provider's charges, settled messages, resolved alerts, ended
        silences and idle clocks that stand still older than `before`; returns how many snapshots went.

        Never our own charges, top-ups, adjustments, deletions or what protects from them.
        """
        with self.reading() as reading:
            prunable = find_prunable(reading.connection, before=before)
        with self.transaction() as transaction:
            drop_cycles(transaction.connection, before=before)
            drop_numbers(transaction.connection, before=before)
            drop_alerts(transaction.connection, before=before)
            drop_settled(transaction.connection, before=before)
            drop_clocks(transaction.connection, before=before)
            if prunable is not None:
                drop(transaction.connection, prunable)
        return 0 if prunable is None else prunable.count

    def backup(self, directory: Path, *, now: datetime) -> Backup:
        """Write a consistent copy into `directory`, named by `now`; the newest seven stay there."""
        return write_backup(self.path, directory, now=now, keep=KEPT)

    def verify(self) -> Sequence[str]:
        """What SQLite's integrity and foreign-key checks find wrong; empty when all is well."""
        return verify_database(self.path)

    def rebuild(self) -> Sequence[str]:
        """Replay the kept snapshots; returns how the ledger kept while running differs, empty when it does not."""
        return rebuild_database(self.path)

    def size_bytes(self) -> int:
        """The size of the database with its write-ahead log."""
        return database_size(self.path)

    def free_bytes(self) -> int:
        """How much room is left where the database lies."""
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError as error:
            raise StoreError(f"{self.path.parent} cannot be asked for its room: {error.strerror}.") from error

    def secret(self) -> bytes:
        """32 random bytes that are kept beside the database, readable by its owner alone; made when first asked for."""
        return secret_beside(self.path)

    def was_rolled_back(self) -> bool:
        """Whether the cycle counter in the database disagrees with the one beside it: an older backup was restored, or
        the database came here without its counter, or that cannot be read or written."""
        # Read before and after, as a cycle may be counted in between.
        before = self._cycle_file.read()
        with self.reading() as reading:
            counted = cycles_of(reading.connection)
        after = self._cycle_file.read()
        return before is None or after is None or before > counted or after < counted - 1

    def accept_rollback(self) -> None:
        """An operator confirms that the database is as it should be: both counters agree again."""
        with self.transaction() as transaction:
            counted = max(cycles_of(transaction.connection), self._cycle_file.read() or 0)
            try:
                self._cycle_file.write(counted)
            except OSError as error:
                raise StoreError(f"{self._cycle_file.path} cannot be written: {error.strerror}.") from error
            set_cycles(transaction.connection, counted)

    def close(self) -> None:
        """Let go of the file, so that another process may write to it. Harmless when done twice."""
        self._reader.dispose()
        self._writer.dispose()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(path: Path, *, now: datetime) -> SqliteStore:
    """Hold the database at `path` for writing; make it where it is missing, migrate it after a backup where it is old.

    Raises DatabaseInUse where another process holds it, DatabaseFromFuture and DatabaseDamaged where it is of no use.
    """
    lock, _ = _hold(path, now=now)
    return SqliteStore(path, lock)


def open_beside(path: Path) -> SqliteStore:
    """Write to the database at `path` while the daemon may hold it: for commands with one short transaction.

    Never creates or migrates. Raises what `open_reading` raises.
    """
    with open_reading(path):
        return SqliteStore(path, None)


def upgrade_database(path: Path, *, now: datetime) -> Path | None:
    """Bring the database at `path` to the schema of this version, or make it; returns the backup if one was needed."""
    lock, saved = _hold(path, now=now)
    lock.release()
    return saved


def _hold(path: Path, *, now: datetime) -> tuple[FileLock, Path | None]:
    require_sqlite()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The directory {path.parent} cannot be made: {error.strerror}.") from error
    lock = FileLock(path)
    try:
        _ensure_file(path)
        return lock, migrate(path, now=now)
    except BaseException:
        lock.release()
        raise


def _ensure_file(path: Path) -> None:
    """An empty file that only its owner may read, where there is none; an existing one is left alone."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"{path} cannot be opened for writing: {error.strerror}.") from error
