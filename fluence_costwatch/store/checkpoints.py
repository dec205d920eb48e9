"""Histories as one text each: what was remembered where the kept snapshots begin."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import sqlite

from fluence_costwatch.core.billing.history import History
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.store.rows import list_of, list_values, state_of, state_values
from fluence_costwatch.store.schema import checkpoints, lists, states
from fluence_costwatch.store.types import compact

_DIALECT: Final = sqlite.dialect()


def load_checkpoints(connection: Connection) -> dict[str, History]:
    """What was remembered of each account where the kept snapshots begin; nothing while none was ever pruned."""
    return {row.account: _decoded(row.account, row.content) for row in connection.execute(select(checkpoints))}


def encoded(history: History) -> bytes:
    """`history` as `load_checkpoints` reads it. The values stand as they would in their own columns."""
    content = {
        "has_past": history.has_past,
        "lists": [
            _plain(lists, {"generation": state.generation, **list_values(state)}) | {"ids": sorted(state.ids)}
            for state in history.lists.values()
        ],
        "resources": {id_: _plain(states, state_values(state)) for id_, state in history.resources.items()},
    }
    return zlib.compress(compact(content).encode(), level=6)


def _decoded(account: str, blob: bytes) -> History:
    content = json.loads(zlib.decompress(blob))
    believed = [list_of(_row(lists, plain), ids=frozenset(plain["ids"])) for plain in content["lists"]]
    return History(
        account=account,
        lists={state.generation: state for state in believed},
        resources={
            id_: state_of(_row(states, plain), Identity(account, id_)) for id_, plain in content["resources"].items()
        },
        has_past=content["has_past"],
    )


def _plain(table: Table, values: Mapping[str, object]) -> dict[str, object]:
    plain = {}
    for name, value in values.items():
        to_column = table.c[name].type.bind_processor(_DIALECT)
        plain[name] = value if to_column is None else to_column(value)
    return plain


def _row(table: Table, plain: Mapping[str, Any]) -> Any:
    """`plain` as a row of `table`; a column that a checkpoint does not know yet is NULL."""
    row = SimpleNamespace()
    for column in table.columns:
        from_column = column.type.result_processor(_DIALECT, None)
        value = plain.get(column.name)
        setattr(row, column.name, value if from_column is None else from_column(value))
    return row
