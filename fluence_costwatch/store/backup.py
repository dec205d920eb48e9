"""Consistent copies of the database, taken while it is in use."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fluence_costwatch.errors import DatabaseDamaged, StoreError
from fluence_costwatch.ports import Backup
from fluence_costwatch.store.engine import connect_read_only, translated
from fluence_costwatch.store.files import sync

KEPT: Final = 7
"""How many automatic backups stay in their directory."""


def write_backup(path: Path, directory: Path, *, now: datetime, label: str = "", keep: int | None = None) -> Backup:
    """Copy the database at `path` into `directory` under a name made of `label` and `now`.

    The copy appears under its name only when it is complete and readable. With `keep`, only so many of the newest
    copies of this label stay. Writers are not held up.
    """
    name = f"{path.stem}-{label}-" if label else f"{path.stem}-"
    target = directory / f"{name}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.db"
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(path, unfinished)
        unfinished.replace(target)
        sync(directory)
    except OSError as error:
        raise StoreError(f"The backup {target} could not be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):  # what kept it from being written may keep it from being removed; that was told
            unfinished.unlink(missing_ok=True)
    if keep is not None:
        _drop_older(directory, name, keep)
    return Backup(path=target, size_bytes=target.stat().st_size)


def _copy(source: Path, target: Path) -> None:
    with translated(source), closing(connect_read_only(source)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    with translated(target), closing(connect_read_only(target)) as copy:
        found = copy.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise DatabaseDamaged(f"The backup of {source} came out damaged ({found}); it was thrown away.")
    sync(target)


def _drop_older(directory: Path, name: str, keep: int) -> None:
    stamp = "[0-9]" * 8 + "T" + "[0-9]" * 6 + "Z"
    for old in sorted(directory.glob(f"{name}{stamp}.db"))[:-keep]:
        old.unlink(missing_ok=True)
