"""Which schema a database has, and bringing an old one up to date.

Alembic is loaded only where there is something to migrate.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from fluence_costwatch.errors import DatabaseDamaged, DatabaseFromFuture, DatabaseMissing, DatabaseOutdated, StoreError
from fluence_costwatch.store.backup import write_backup
from fluence_costwatch.store.engine import migration_engine, reader_engine, translated
from fluence_costwatch.store.schema import REVISIONS

HEAD: Final = REVISIONS[-1]
"""The schema that this version reads and writes."""

_PACKAGE: Final = Path(__file__).resolve().parent.parent


def migrations_directory() -> Path:
    """Where the migrations lie: inside an installed package, else beside the package in the source tree."""
    installed = _PACKAGE / "migrations"
    return installed if (installed / "env.py").is_file() else _PACKAGE.parent / "migrations"


def current_revision(path: Path) -> str | None:
    """The schema of the database at `path`; None where it is still empty.

    Raises StoreError for a SQLite file that somebody else made, and DatabaseDamaged for a file that is none.
    """
    engine = reader_engine(path)
    try:
        with translated(path), engine.connect() as connection:
            return _revision(connection, path)
    finally:
        engine.dispose()


def _revision(connection: Connection, path: Path) -> str | None:
    tables = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
    if not tables:
        return None
    if "alembic_version" not in tables or "charges" not in tables:
        raise StoreError(f"{path} is a SQLite database, but not one of CostWatch. Name another file.")
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def require_readable(connection: Connection, path: Path) -> None:
    """Raise unless the schema is the one that this version reads."""
    revision = _revision(connection, path)
    if revision is None:
        raise DatabaseMissing(f"{path} is still empty: nothing was watched yet. Start `fluence-costwatch run` first.")
    if revision == HEAD:
        return
    if revision in REVISIONS:
        raise DatabaseOutdated(
            f"{path} has schema {revision}, this version needs {HEAD}. "
            "Run `fluence-costwatch db upgrade`, or restart the daemon, which does it."
        )
    raise from_future(path, revision)


def from_future(path: Path, revision: str) -> DatabaseFromFuture:
    """The error for a schema that this version does not know."""
    return DatabaseFromFuture(
        f"{path} has schema {revision}, which this version does not know: a newer CostWatch has written it. "
        "Update CostWatch, or restore a backup from before the update."
    )


def migrate(path: Path, *, now: datetime) -> Path | None:
    """Bring the database at `path` to the schema of this version; the caller holds its lock.

    An existing database is backed up first, and the backup's path returned. All migrations are one transaction: a
    crash in the middle leaves the old schema.
    """
    revision = current_revision(path)
    if revision == HEAD:
        return None
    if revision is not None and revision not in REVISIONS:
        raise from_future(path, revision)
    saved = None
    if revision is not None:
        saved = write_backup(path, path.parent / "backups", label=f"before-upgrade-from-{revision}", now=now).path
    _run_migrations(path)
    return saved


def _run_migrations(path: Path) -> None:
    # Imported here: Alembic costs a third of a second, and there is nearly never something to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    engine = migration_engine(path)
    try:
        with translated(path), engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            broken = connection.execute(text("PRAGMA foreign_key_check")).all()
            if broken:
                raise DatabaseDamaged(
                    f"Migrating {path} would leave {len(broken)} rows without the rows they refer to; it was undone."
                )
    finally:
        engine.dispose()
