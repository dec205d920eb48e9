"""The database: SQLite through SQLAlchemy Core, its schema brought up to date by Alembic."""

from fluence_costwatch.store.opening import (
    backup_database,
    database_size,
    open_reading,
    rebuild_database,
    verify_database,
)
from fluence_costwatch.store.sqlite import SqliteStore, open_beside, open_store, upgrade_database

__all__ = [
    "SqliteStore",
    "backup_database",
    "database_size",
    "open_beside",
    "open_reading",
    "open_store",
    "rebuild_database",
    "upgrade_database",
    "verify_database",
]
