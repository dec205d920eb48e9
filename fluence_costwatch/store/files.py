"""Small files that are written whole or not at all, and outlive a power cut."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Let a file, or what was made and renamed in a directory, outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Put `content` into the file at `path`, which only its owner may read, in one step.

    Unless it may `replace` a file, one that is there already stays. Raises OSError where nothing was put there.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
        sync(unfinished)
        if replace:
            unfinished.replace(path)
        else:
            with suppress(FileExistsError):
                os.link(unfinished, path)
        sync(path.parent)
    finally:
        with suppress(OSError):  # what kept it from being written may keep it from being removed; that is told
            unfinished.unlink(missing_ok=True)
