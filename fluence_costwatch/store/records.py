"""Values whose table has a column for each of their fields, under its name; an identity has two."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import Field, fields
from functools import lru_cache
from typing import Any, ClassVar, Final, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, and_, or_
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.core.resources import Identity
from fluence_costwatch.store.rows import Row

_DIALECT: Final = sqlite.dialect()


class Record(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


V = TypeVar("V", bound=Record)


class OnConnection:
    """A part of a reading or of a transaction, on the connection that it shares with the other parts."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection


def values_of(value: Record, *, but: Collection[str] = ()) -> dict[str, Any]:
    """The columns of `value`, without the fields `but`."""
    values: dict[str, Any] = {}
    for name in _names(type(value)):
        held = getattr(value, name)
        if isinstance(held, Identity):
            values["account"], values["resource_id"] = held.account, held.id
        elif name not in but:
            values[name] = held
    return values


def record_of(kind: type[V], row: Row, **others: Any) -> V:
    """The value that `values_of` gave the columns of `row`; `others` are the fields that it was not given."""
    own = {
        name: identity_of(row) if name == "identity" else getattr(row, name)
        for name in _names(kind)
        if name not in others
    }
    return kind(**own, **others)


@lru_cache
def _names(kind: type[Record]) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind))


def identity_of(row: Row) -> Identity:
    """The resource that a row names."""
    return Identity(row.account, row.resource_id)


def is_of(table: Table, identity: Identity) -> ColumnElement[bool]:
    """Whether a row of `table` names that resource."""
    return and_(table.c.account == identity.account, table.c.resource_id == identity.id)


def put(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    """Add `rows`, each in the place of the one with the same key; one that says the same is not written again.

    All have the same columns. A fleet has many rows, so the driver gets them as it takes them.
    """
    if not rows:
        return
    statement, columns = _putting(table, tuple(rows[0]))
    connection.exec_driver_sql(
        statement,
        [tuple(row[name] if make is None else make(row[name]) for name, make in columns) for row in rows],
    )


@lru_cache
def _putting(table: Table, given: tuple[str, ...]) -> tuple[str, tuple[tuple[str, Callable[[Any], Any] | None], ...]]:
    """The statement that puts rows of the columns `given`, and the order of its parameters, each with what makes one of
    our value."""
    statement = insert(table)
    fresh = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    differs = [table.c[name].is_distinct_from(value) for name, value in fresh.items()]
    compiled = statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_=fresh,
        where=or_(*differs),
    ).compile(dialect=_DIALECT, column_keys=list(given))
    order = compiled.positiontup or ()
    return str(compiled), tuple((name, table.c[name].type.bind_processor(_DIALECT)) for name in order)
