"""The schema: made by migrations only, brought up to date after a backup, never half changed, never downgraded."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from fluence_costwatch.errors import DatabaseDamaged, DatabaseFromFuture, DatabaseOutdated, StoreError
from fluence_costwatch.store import open_reading, open_store, upgrade_database
from fluence_costwatch.store.engine import reader_engine
from fluence_costwatch.store.migrate import (
    Migrations,
    current_revision,
    migrate,
    migrations_directory,
    our_migrations,
    require_readable,
)
from fluence_costwatch.store.schema import REVISIONS, metadata
from tests.builders import at

NOW = at("2026-03-01 12:00")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An up-to-date database with one account in it."""
    path = tmp_path / "watch.db"
    open_store(path, now=NOW).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO accounts VALUES ('main', 1)")
        connection.execute("INSERT INTO resources VALUES (1, 'main', '0xweb')")
        connection.execute("INSERT INTO charges VALUES (1, 0, 'epoch', 1, 306970, 'observed', 1)")
    return path


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    """Reading connections to it."""
    engine = reader_engine(database)
    yield engine
    engine.dispose()


def with_next(tmp_path: Path, body: str) -> Migrations:
    """Our migrations and one more, whose upgrade is `body`."""
    directory = tmp_path / "migrations"
    shutil.copytree(our_migrations().directory, directory)
    (directory / "versions" / "next.py").write_text(
        f"from alembic import op\nrevision = 'next'\ndown_revision = {REVISIONS[-1]!r}\n"
        f"branch_labels = None\ndepends_on = None\ndef upgrade():\n    {body}\n"
    )
    return Migrations(directory, (*REVISIONS, "next"))


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_the_tables_in_code_are_those_that_the_migrations_make(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})

        assert [] == compare_metadata(context, metadata)


def test_even_the_strictness_keys_and_partial_indexes_are_the_same(database: Path, tmp_path: Path) -> None:
    by_code = tmp_path / "by_code.db"
    engine = create_engine(f"sqlite:///{by_code}")
    metadata.create_all(engine)
    engine.dispose()
    query = (
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'trigger' AND name != 'alembic_version'"
    )

    assert _as_sets(rows(by_code, query)) == _as_sets(rows(database, query))


def _as_sets(tables: list[tuple[object, ...]]) -> dict[object, frozenset[str]]:
    """What each table consists of; the order of its constraints says nothing."""
    return {name: frozenset(line.strip().rstrip(",") for line in str(sql).splitlines()) for name, sql in tables}


def test_the_known_revisions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(our_migrations().directory))
    scripts = ScriptDirectory.from_config(config).walk_revisions()

    assert list(REVISIONS) == [script.revision for script in scripts][::-1]


def test_migrations_are_taken_from_an_installed_package_else_from_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "fluence_costwatch"
    (package / "migrations").mkdir(parents=True)

    assert tmp_path / "migrations" == migrations_directory(package)

    (package / "migrations" / "env.py").touch()

    assert package / "migrations" == migrations_directory(package)


def test_an_up_to_date_database_is_neither_migrated_nor_backed_up(database: Path) -> None:
    assert upgrade_database(database, now=NOW) is None
    assert not (database.parent / "backups").exists()


def test_an_older_database_is_backed_up_and_then_migrated(database: Path, tmp_path: Path) -> None:
    migrations = with_next(tmp_path, "op.execute('ALTER TABLE accounts ADD COLUMN colour TEXT')")

    backup = migrate(database, now=NOW, migrations=migrations)

    assert "next" == current_revision(database)
    assert [("main", 1, None)] == rows(database, "SELECT * FROM accounts")
    assert backup == tmp_path / "backups" / f"watch-before-upgrade-from-{REVISIONS[-1]}-20260301T120000Z.db"
    assert REVISIONS[-1] == current_revision(backup)
    assert [("main", 1)] == rows(backup, "SELECT * FROM accounts")


def test_a_migration_that_fails_half_way_leaves_the_old_schema_and_rows(database: Path, tmp_path: Path) -> None:
    migrations = with_next(
        tmp_path,
        "op.execute('ALTER TABLE accounts ADD COLUMN colour TEXT'); op.execute('DELETE FROM accounts'); op.execute('no SQL')",
    )

    with pytest.raises(StoreError):
        migrate(database, now=NOW, migrations=migrations)

    assert REVISIONS[-1] == current_revision(database)
    assert [("main", 1)] == rows(database, "SELECT * FROM accounts")
    open_store(database, now=NOW).close()


def test_changing_a_parent_table_keeps_its_children(database: Path, tmp_path: Path) -> None:
    migrations = with_next(
        tmp_path,
        "with op.batch_alter_table('resources', recreate='always') as batch: batch.alter_column('id', new_column_name='name')",
    )

    migrate(database, now=NOW, migrations=migrations)

    assert [("0xweb",)] == rows(database, "SELECT name FROM resources")
    assert [(306970,)] == rows(database, "SELECT amount FROM charges")


def test_a_migration_that_would_orphan_rows_is_undone(database: Path, tmp_path: Path) -> None:
    migrations = with_next(tmp_path, "op.execute('DELETE FROM resources')")

    with pytest.raises(DatabaseDamaged, match="undone"):
        migrate(database, now=NOW, migrations=migrations)

    assert [("0xweb",)] == rows(database, "SELECT id FROM resources")


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database: Path, tmp_path: Path) -> None:
    migrate(database, now=NOW, migrations=with_next(tmp_path, "pass"))
    before = database.read_bytes()

    with pytest.raises(DatabaseFromFuture, match="newer CostWatch"):
        open_store(database, now=NOW)
    with pytest.raises(DatabaseFromFuture, match="newer CostWatch"), open_reading(database):
        pass
    assert before == database.read_bytes()


def test_reading_an_older_database_is_refused_rather_than_migrating_it(database: Path, engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(DatabaseOutdated, match="db upgrade"):
        require_readable(connection, database, revisions=(*REVISIONS, "next"))


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")

    with pytest.raises(StoreError, match="not one of CostWatch"):
        open_store(path, now=NOW)
    assert [("songs",)] == rows(path, "SELECT name FROM sqlite_master")


def test_a_path_with_characters_of_addresses_and_formats_is_just_a_path(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1?" / "watch & co.db"

    open_store(path, now=NOW).close()

    assert REVISIONS[-1] == current_revision(path)
    assert {"watch & co.db", "watch & co.db.lock"} == {file.name for file in path.parent.iterdir()}
