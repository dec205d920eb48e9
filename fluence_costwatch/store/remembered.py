"""States and versions from their rows as SQLite holds them; what was made of a row is remembered with it.

A fleet hardly changes from one cycle to the next, and to make a value of a row costs many times what finding it again does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, TypeDecorator, type_coerce
from sqlalchemy.dialects import sqlite

from fluence_costwatch.core.billing.history import Presence, ResourceState
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.store.rows import resource_of, state_of
from fluence_costwatch.store.schema import details, states, versions

_DIALECT: Final = sqlite.dialect()
# What is gone is remembered apart, as there may be any number of it: it must not drive out what is there.
_REMEMBERED: Final = 20_000

_OF_STATES: Final = tuple(column for column in states.c if not column.primary_key)
_OF_VERSIONS: Final = (
    *(versions.c[name] for name in ("status", "price", "next_charge_at", "status_changed_at")),
    *(versions.c[name] for name in ("total_spent", "reserved", "problems")),
    details.c.content,
)
_PRESENCE: Final = _OF_STATES.index(states.c.presence)


def _bare(columns: Iterable[Column[Any]]) -> tuple[ColumnElement[Any], ...]:
    """`columns` as they are, without what makes our values of theirs."""
    kinds = ((column, column.type) for column in columns)
    return tuple(
        type_coerce(column, kind.impl if isinstance(kind, TypeDecorator) else kind).label(f"bare_{place}")
        for place, (column, kind) in enumerate(kinds)
    )


def _makers(columns: Iterable[Column[Any]]) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    """The names of `columns`, each with what makes our value of theirs (None: they are the same)."""
    return tuple((column.name, column.type.result_processor(_DIALECT, None)) for column in columns)


STATE: Final = _bare(_OF_STATES)
"""What is to be selected of `states` for `state_from`, in this order."""

VERSION: Final = _bare(_OF_VERSIONS)
"""What is to be selected of `versions` and `details` for `resource_from`, in this order."""

_STATE_MAKERS: Final = _makers(_OF_STATES)
_VERSION_MAKERS: Final = _makers(_OF_VERSIONS)


def state_from(values: Sequence[Any], *, account: str, id: str) -> ResourceState:
    """The state that the columns `STATE` hold."""
    remembered = _gone if values[_PRESENCE] == Presence.GONE.value else _there
    return remembered(account, id, tuple(values))


@lru_cache(_REMEMBERED)
def resource_from(values: tuple[Any, ...], *, account: str, generation: Generation) -> Resource:
    """The resource that the columns `VERSION` hold."""
    return resource_of(_row(_VERSION_MAKERS, values), account=account, generation=generation)


def _state(account: str, id: str, values: tuple[Any, ...]) -> ResourceState:
    return state_of(_row(_STATE_MAKERS, values), Identity(account, id))


_there: Final[Callable[[str, str, tuple[Any, ...]], ResourceState]] = lru_cache(_REMEMBERED)(_state)
_gone: Final[Callable[[str, str, tuple[Any, ...]], ResourceState]] = lru_cache(_REMEMBERED)(_state)


def _row(columns: Iterable[tuple[str, Callable[[Any], Any] | None]], values: Sequence[Any]) -> Any:
    row = SimpleNamespace()
    for (name, make), value in zip(columns, values, strict=True):
        setattr(row, name, value if make is None else make(value))
    return row
