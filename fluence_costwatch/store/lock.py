"""The lock that keeps a second daemon away from a database.

It is held on a file beside the database by the open descriptor, so it goes when the process goes, however it dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from fluence_costwatch.errors import DatabaseInUse, StoreError


class FileLock:
    """Holds `<path>.lock` from its making until `release`. Raises DatabaseInUse where somebody else does."""

    def __init__(self, path: Path) -> None:
        lock_file = path.with_name(path.name + ".lock")
        try:
            self._descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{lock_file} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip()
            os.close(self._descriptor)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise DatabaseInUse(f"{path} is in use by {who}. Only one may write to it: stop that one first.") from error
        # The file is never removed: another process might just be waiting on the removed one.
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have the database; harmless when done twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
