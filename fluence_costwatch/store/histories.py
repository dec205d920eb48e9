"""Reading what is remembered: the history of an account, and who charges which id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sqlalchemy import Connection, select

from fluence_costwatch.core.history import History, Presence
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.store.rows import list_of, state_of
from fluence_costwatch.store.schema import accounts, listed, lists, resources, states


def load_history(connection: Connection, account: str) -> History:
    """All that is remembered of `account`, gone resources included; an empty history for a new one."""
    has_past = connection.scalar(select(accounts.c.has_past).where(accounts.c.name == account))
    known = select(resources.c.id, states).join_from(states, resources).where(resources.c.account == account)
    ids = select(listed.c.list, resources.c.id).join_from(listed, resources).where(resources.c.account == account)
    stood: dict[int, set[str]] = defaultdict(set)
    for key, id_ in connection.execute(ids):
        stood[key].add(id_)
    believed = select(lists).where(lists.c.account == account, lists.c.sent_at.is_not(None))
    return History(
        account=account,
        lists={row.generation: list_of(row, ids=frozenset(stood[row.pk])) for row in connection.execute(believed)},
        resources={row.id: state_of(row, Identity(account, row.id)) for row in connection.execute(known)},
        has_past=bool(has_past),
    )


def claims_of_others(connection: Connection, account: str) -> Mapping[str, str]:
    """Ids that are charged, and not gone, under another account than `account`: id -> that account.

    What a retired account once charged is free again.
    """
    claims = (
        select(resources.c.id, resources.c.account)
        .join_from(states, resources)
        .where(
            resources.c.account != account,
            states.c.presence != Presence.GONE,
            states.c.retired.is_(False),
            states.c.charged_under.is_(None),
        )
        .order_by(resources.c.account.desc())
    )
    return {row.id: row.account for row in connection.execute(claims)}
