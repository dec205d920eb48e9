"""The schema: made by migrations only, brought up to date after a backup, never half changed, never downgraded."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from fluence_costwatch.core.resources import Generation, Identity
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
from tests.builders import at, charge, resource, snapshot

NOW = at("2026-03-01 12:00")


# What the first schema's version left after three looks, a pruning, a fourth look and a retirement.
CHECKPOINT = (
    "789CED524D4FC3300CFD2F3E0F685959476EFC0E34556963B6882CA9E2649B34EDBFE3646DC7F705C4895E92DAB1FDDEF33BC246"
    "52D34B0A20828F3803A3291088C723ACD1A297413B0B02765BBADACD61065EDA6710C50C086D6824D795757D3B5F2E8BF19B41B7"
    "917E8DCD93775B10361AC3AF23F5BAD32E5243DA7638C6B54AC3A038A8969B17873DB6B03AAD780E928BBE434E1FCF693E9FB555"
    "190CBFFD1C5EE751065419D879C293F6141A42B403D4C5A2BA40A52043E419F0D005BD43EED07B9DE041717D7EC62123A70EE79E"
    "3DA3C3CC62B8067E25DB1CA3AC4EFE096FB9B6DA1864FC656217B44FF7492DD544ABD04F13782FA9FDDA6B95C8A64340598BBB3B"
    "511437CB0B87B49368C7491F1962EFBA4DC33CFDB4ABBA7E9FC6A46B4A5675555E92DEEDBFAE4CC96FEAE4D645D64554AF62AD24"
    "9DC476AC8EDF616296C2BC33CA6BCC608660671CBD5508C472E8156DDE921AD5522EB6C9B583D73004A3EDFAB22DD71ADC4E7915"
    "B1C9F543E4341AEFCF1D362F16F7F5BFC17E66B02CE22F196C51CEEFABDF37D8E9F402FEBBAE37"
)
WRITTEN_WITH_0001 = """
INSERT INTO accounts VALUES('main',1);
INSERT INTO charges VALUES(1,1772301300000000,'epoch',1772387700000000,400000,'observed',1);
INSERT INTO charges VALUES(1,1772387700000000,'epoch',1772474100000000,400000,'observed',1);
INSERT INTO charges VALUES(1,1772474100000000,'epoch',1772560500000000,400000,'observed',1);
INSERT INTO charges VALUES(2,1772301300000000,'epoch',1772387700000000,306970,'observed',1);
INSERT INTO charges VALUES(2,1772387700000000,'epoch',1772474100000000,306970,'observed',1);
INSERT INTO charges VALUES(2,1772474100000000,'epoch',1772560500000000,306970,'observed',1);
INSERT INTO checkpoints VALUES('main',X'the checkpoint');
INSERT INTO cycles VALUES(3,1,1772474400000000,1772474402000000,'ok','',3);
INSERT INTO cycles VALUES(4,1,1772474700000000,1772474702000000,'ok','',4);
INSERT INTO details VALUES(1,X'D382A4F279F33E822A49ECFBED953700','{"id":"0xDb","kind":"vm","name":"db","per":"epoch"}');
INSERT INTO details VALUES(3,X'172F0B231108DA8E872BCBD8ED7CCF1E','{"id":"0xWeb","kind":"vm","name":"renamed","per":"epoch"}');
INSERT INTO judgements VALUES(1,'{"grid":"17:55:00/86400000000","confirm_absence":2,"confirm_suspicious":1800000000,"rank":0,"charge_from":null}');
INSERT INTO lists VALUES(1,'main','vms-v3',NULL,NULL,NULL,NULL,1772474702000000);
INSERT INTO resources VALUES(1,'main','0xdb');
INSERT INTO resources VALUES(2,'main','0xweb');
INSERT INTO retirements VALUES(1,1,1772474760000000,4);
INSERT INTO snapshots VALUES(3,1,1772474400000000,1772474402000000,'accepted',1);
INSERT INTO snapshots VALUES(4,1,1772474700000000,1772474702000000,'accepted',1);
INSERT INTO states VALUES(1,'vm','vms-v3',NULL,1772366400000000,'Active','0.400000',1772474400000000,'gone',1,1772474702000000,1,1,NULL,'grid','17:55:00/86400000000',1772366400000000,1772474100000000,1772560500000000,1772474100000000,1772560500000000,400000,'observed','epoch',1,1200000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO states VALUES(2,'vm','vms-v3',NULL,1772366400000000,'Active','0.30697',1772474700000000,'gone',0,NULL,1,1,NULL,'grid','17:55:00/86400000000',1772366400000000,1772474100000000,1772560500000000,1772474100000000,1772560500000000,306970,'observed','epoch',1,920910,NULL,NULL,NULL,NULL,NULL);
INSERT INTO versions VALUES(1,1,1,4,1,'Active','0.400000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO versions VALUES(3,2,1,NULL,3,'Active','0.30697',NULL,NULL,NULL,NULL,NULL);
UPDATE sqlite_sequence SET seq = 4;
""".replace("the checkpoint", CHECKPOINT)


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


def up_to(revision: str, tmp_path: Path) -> Migrations:
    """Our migrations as they were when that one was the newest."""
    known = REVISIONS[: REVISIONS.index(revision) + 1]
    directory = tmp_path / f"until {revision}"
    newer = [f"{name}*" for name in REVISIONS if name not in known]
    shutil.copytree(our_migrations().directory, directory, ignore=shutil.ignore_patterns(*newer, "__pycache__"))
    return Migrations(directory, known)


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
    """What each table consists of; the order of its columns and constraints says nothing."""
    return {name: frozenset(_parts(" ".join(str(sql).split()))) for name, sql in tables}


def _parts(sql: str) -> Iterator[str]:
    """What stands before and after the outer parentheses, and between the commas directly inside them."""
    depth, part = 0, ""
    for letter in sql:
        depth += (letter == "(") - (letter == ")")
        if (letter, depth) in {("(", 1), (")", 0), (",", 1), (",", 0)}:
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()


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


def test_a_database_of_the_first_schema_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    path.touch()
    migrate(path, now=NOW, migrations=up_to("0001", tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(WRITTEN_WITH_0001)

    with open_store(path, now=NOW) as store, store.reading() as reading:
        charges = [record.charge for record in reading.charges()]
        snapshots = [seen for _, seen, _ in reading.snapshots()]
        (account,) = reading.accounts()
        assert {} == reading.newest_balances()
        assert ([], []) == (store.verify(), store.rebuild())

    web, db = resource(name="renamed"), resource("0xDb", name="db", price=Decimal("0.400000"))
    assert [snapshot("2026-03-02 18:00", web, db), snapshot("2026-03-02 18:05", web)] == snapshots
    assert [
        charge(f"{day} 17:55", f"{next_day} 17:55", amount, identity=Identity("main", id_), closed=True)
        for day, next_day in pairwise(["2026-02-28", "2026-03-01", "2026-03-02", "2026-03-03"])
        for id_, amount in (("0xdb", "0.4"), ("0xweb", "0.30697"))
    ] == charges
    assert at("2026-03-02 18:05:02") == account.last_success[Generation.VMS_V3]
    backup = tmp_path / "backups" / "watch-before-upgrade-from-0001-20260301T120000Z.db"
    assert "0001" == current_revision(backup)
    assert [(6,)] == rows(backup, "SELECT count(*) FROM charges")


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_every_older_schema_becomes_the_newest_and_keeps_its_rows(tmp_path: Path, revision: str) -> None:
    path, new = tmp_path / "watch.db", tmp_path / "new.db"
    path.touch()
    migrate(path, now=NOW, migrations=up_to(revision, tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(WRITTEN_WITH_0001)
    open_store(new, now=NOW).close()

    with open_store(path, now=NOW) as store, store.reading() as reading:
        assert ([], []) == (store.verify(), store.rebuild())
        assert [3, 4] == [number for number, _, _ in reading.snapshots()]
        assert (([], [], []), False) == (
            (reading.alerts(), reading.outbox(), reading.deletions()),
            store.was_rolled_back(),
        )
    everything = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    assert _as_sets(rows(new, everything)) == _as_sets(rows(path, everything))


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
