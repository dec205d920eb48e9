"""What lies beside the database in small files of its own: a count of its cycles, and a secret.

The count tells a database that was put back from a backup: it has lived through fewer cycles than the file says. The
file is written after the cycle is committed, so it may lag by the one cycle of a crash between both, or of a write that
failed; nothing is counted while it could lag by more. Any other difference stays until an operator accepts it.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select

from fluence_costwatch.errors import StoreError
from fluence_costwatch.store.deletion_tables import counters
from fluence_costwatch.store.files import write_whole
from fluence_costwatch.store.records import put

_CYCLES: Final = "cycles"
_SECRET_BYTES: Final = 32


def cycles_of(connection: Connection) -> int:
    """How many cycles the database has counted."""
    return connection.scalar(select(counters.c.value).where(counters.c.name == _CYCLES)) or 0


def set_cycles(connection: Connection, count: int) -> None:
    """Let the database have counted `count` cycles."""
    put(connection, counters, {"name": _CYCLES, "value": count})


class CycleFile:
    """The count of cycles beside the database at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".cycles")

    def read(self) -> int | None:
        """The count; 0 where there is no file, None where it cannot be read or holds something else."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return 0
        except OSError:
            return None
        digits = text.strip()
        return int(digits) if digits.isdigit() and len(digits) < 20 else None

    def write(self, count: int) -> None:
        """Let the file say `count`. Raises OSError, and then it says what it said."""
        write_whole(self.path, f"{count}\n".encode())

    def next_count(self, counted: int) -> int | None:
        """The count after one more cycle of a database that has `counted` cycles; None where it must not count on."""
        beside = self.read()
        if beside is None or not beside <= counted <= beside + 1:
            return None
        if beside < counted:
            try:
                self.write(counted)
            except OSError:
                return None
        return counted + 1


def secret_beside(path: Path) -> bytes:
    """32 random bytes in a file beside the database at `path` that only its owner may read; made where it is missing.

    Raises StoreError where the file cannot be read or made, or holds something else.
    """
    file = path.with_name(path.name + ".secret")
    try:
        if not file.exists():
            write_whole(file, secrets.token_bytes(_SECRET_BYTES), replace=False)
        secret = file.read_bytes()
    except OSError as error:
        raise StoreError(f"The secret {file} cannot be read or made: {error.strerror}.") from error
    if len(secret) != _SECRET_BYTES:
        raise StoreError(f"{file} is damaged. Remove it and restart: links that were sent before will no longer work.")
    return secret
