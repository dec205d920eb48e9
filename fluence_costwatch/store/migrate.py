"""Which schema a database has, and bringing an old one up to date.

Alembic is loaded only where there is something to migrate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from fluence_costwatch.errors import DatabaseDamaged, DatabaseFromFuture, DatabaseMissing, DatabaseOutdated, StoreError
from fluence_costwatch.store.backup import write_backup
from fluence_costwatch.store.engine import migration_engine, reader_engine, translated
from fluence_costwatch.store.schema import REVISIONS

_PACKAGE: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Migrations:
    """A line of schemas: the names of its migrations, oldest first, and the directory where they lie."""

    directory: Path
    revisions: tuple[str, ...] = REVISIONS

    @property
    def head(self) -> str:
        """The schema that is read and written."""
        return self.revisions[-1]


def migrations_directory(package: Path) -> Path:
    """Where the migrations of the package at that path lie: inside it once installed, else beside it."""
    installed = package / "migrations"
    return installed if (installed / "env.py").is_file() else package.parent / "migrations"


def our_migrations() -> Migrations:
    """The migrations that came with this version."""
    return Migrations(migrations_directory(_PACKAGE))


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


def require_readable(connection: Connection, path: Path, *, revisions: tuple[str, ...] = REVISIONS) -> None:
    """Raise unless the schema is the one that this version reads."""
    revision = _revision(connection, path)
    if revision is None:
        raise DatabaseMissing(f"{path} is still empty: nothing was watched yet. Start `fluence-costwatch run` first.")
    if revision == revisions[-1]:
        return
    if revision in revisions:
        raise DatabaseOutdated(
            f"{path} has schema {revision}, this version needs {revisions[-1]}. "
            "Run `fluence-costwatch db upgrade`, or restart the daemon, which does it."
        )
    raise _from_future(path, revision)


def _from_future(path: Path, revision: str) -> DatabaseFromFuture:
    return DatabaseFromFuture(
        f"{path} has schema {revision}, which this version does not know: a newer CostWatch has written it. "
        "Update CostWatch, or restore a backup from before the update."
    )


def migrate(path: Path, *, now: datetime, migrations: Migrations | None = None) -> Path | None:
    """Bring the database at `path` to the schema of this version; the caller holds its lock.

    An existing database is backed up first, and the backup's path returned. All migrations are one transaction: a
    crash in the middle leaves the old schema.
    """
    migrations = migrations or our_migrations()
    revision = current_revision(path)
    if revision == migrations.head:
        return None
    if revision is not None and revision not in migrations.revisions:
        raise _from_future(path, revision)
    saved = None
    if revision is not None:
        saved = write_backup(path, path.parent / "backups", label=f"before-upgrade-from-{revision}", now=now).path
    _run_migrations(path, migrations.directory)
    return saved


def _run_migrations(path: Path, directory: Path) -> None:
    # Imported here: Alembic costs a third of a second, and there is nearly never something to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(directory).replace("%", "%%"))
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
