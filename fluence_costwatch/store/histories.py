"""Reading what is remembered: the history of an account, and who charges which id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select, select

from fluence_costwatch.core.billing.history import History, ResourceState
from fluence_costwatch.store.remembered import STATE, state_from
from fluence_costwatch.store.rows import list_of
from fluence_costwatch.store.schema import NOT_GONE, accounts, listed, lists, resources, states

V = TypeVar("V")

_ASKED_AT_ONCE: Final = 500  # well below the number of parameters that SQLite takes

# Joined to nothing, so that SQLite starts from the few states that are not gone instead of all that an account ever had.
_ACCOUNT: Final[Any] = resources.c.account.concat("")
_STATES: Final = select(resources.c.id, *STATE).join_from(states, resources)


def load_history(connection: Connection, account: str, *, gone: bool = True) -> History:
    """All that is remembered of `account`, but what is gone only if `gone`; an empty history for a new one."""
    has_past = connection.scalar(select(accounts.c.has_past).where(accounts.c.name == account))
    ids = (
        select(listed.c.list, resources.c.id)
        .join_from(lists, listed)
        .join(resources, resources.c.pk == listed.c.resource)
        .where(lists.c.account == account)
    )
    stood: dict[int, set[str]] = defaultdict(set)
    for key, id_ in connection.execute(ids):
        stood[key].add(id_)
    believed = select(lists).where(lists.c.account == account, lists.c.sent_at.is_not(None))
    known = _STATES.where(resources.c.account == account) if gone else _STATES.where(account == _ACCOUNT, NOT_GONE)
    return History(
        account=account,
        lists={row.generation: list_of(row, ids=frozenset(stood[row.pk])) for row in connection.execute(believed)},
        resources=_read(connection, account, known),
        has_past=bool(has_past),
    )


def with_listed(connection: Connection, present: History, listed_ids: frozenset[str]) -> History:
    """`present`, which lacks what is gone, with those of `listed_ids` that are: a list of these ids neither shows nor
    changes any other."""
    of_account = _STATES.where(resources.c.account == present.account)
    found: dict[str, ResourceState] = {}
    for some in in_parts(listed_ids - present.resources.keys()):
        found |= _read(connection, present.account, of_account.where(resources.c.id.in_(some)))
    return replace(present, resources={**present.resources, **found}) if found else present


def _read(connection: Connection, account: str, known: Select[Any]) -> dict[str, ResourceState]:
    return {row[0]: state_from(row[1:], account=account, id=row[0]) for row in connection.execute(known)}


def in_parts(values: Iterable[V]) -> Iterator[Sequence[V]]:
    """`values` in parts that one query can name."""
    several = list(values)
    for start in range(0, len(several), _ASKED_AT_ONCE):
        yield several[start : start + _ASKED_AT_ONCE]


def claims_of_others(connection: Connection, account: str) -> Mapping[str, str]:
    """Ids that are charged, and not gone, under another account than `account`: id -> that account.

    What a retired account once charged is free again.
    """
    claims = (
        select(resources.c.account, resources.c.id)
        .join_from(states, resources)
        .where(
            account != _ACCOUNT,
            NOT_GONE,
            states.c.retired.is_(False),
            states.c.charged_under.is_(None),
        )
    )
    # Sorted here: asked to sort by account, SQLite would go through all resources. The first account claims an id.
    return {id_: other for other, id_ in sorted(map(tuple, connection.execute(claims)), reverse=True)}
