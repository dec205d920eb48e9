"""Dropping what retention no longer keeps. Charges, adjustments, top-ups and states stay, and a rebuild stays possible."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.store.checkpoints import encoded
from fluence_costwatch.store.replay import Replay, replay
from fluence_costwatch.store.schema import (
    adjustments,
    balances,
    checkpoints,
    cycles,
    details,
    judgements,
    reported_charges,
    retirements,
    snapshots,
    versions,
)


@dataclass(frozen=True, slots=True)
class Prunable:
    """The snapshots below number `below`, `count` of them, with what was remembered at their end."""

    below: int
    count: int
    replayed: Replay


def find_prunable(connection: Connection, *, before: datetime) -> Prunable | None:
    """What can go: the snapshots stored before the first one that is not older than `before`; None for nothing.

    Replaying takes a while, but what it reads no longer changes, so it needs no write transaction.
    """
    first_kept = connection.scalar(select(func.min(snapshots.c.number)).where(snapshots.c.sent_at >= before))
    if first_kept is None:
        first_kept = 1 + (connection.scalar(select(func.max(snapshots.c.number))) or 0)
    count = connection.scalar(select(func.count()).where(snapshots.c.number < first_kept)) or 0
    return Prunable(first_kept, count, replay(connection, below=first_kept)) if count else None


def drop(connection: Connection, prunable: Prunable) -> None:
    """Put checkpoints in the place of `prunable`. The newest version of a resource stays: it holds its name."""
    for account, history in prunable.replayed.histories.items():
        row = insert(checkpoints).values(account=account, content=encoded(history))
        connection.execute(
            row.on_conflict_do_update(index_elements=["account"], set_={"content": row.excluded.content})
        )
    connection.execute(delete(retirements).where(retirements.c.pk <= prunable.replayed.retired))
    connection.execute(
        update(adjustments).where(adjustments.c.pk <= prunable.replayed.adjusted).values(in_checkpoint=True)
    )
    connection.execute(delete(snapshots).where(snapshots.c.number < prunable.below))
    later = versions.alias("later")
    newest = (
        select(func.max(later.c.from_snapshot))
        .where(later.c.resource == versions.c.resource, later.c.list == versions.c.list)
        .scalar_subquery()
    )
    connection.execute(
        delete(versions).where(versions.c.to_snapshot <= prunable.below, versions.c.from_snapshot < newest)
    )
    connection.execute(delete(details).where(details.c.pk.not_in(select(versions.c.details))))
    connection.execute(delete(judgements).where(judgements.c.pk.not_in(select(snapshots.c.judgement))))


def drop_cycles(connection: Connection, *, before: datetime) -> None:
    """Drop the lines of the cycle log that are older than `before`, except the newest of each list."""
    newest = select(func.max(cycles.c.pk)).group_by(cycles.c.list)
    connection.execute(delete(cycles).where(cycles.c.started_at < before, cycles.c.pk.not_in(newest)))


def drop_numbers(connection: Connection, *, before: datetime) -> None:
    """Drop balances that were left behind before `before`, except the newest of each account, and what the provider
    charged on days that ended before it."""
    newest = select(func.max(balances.c.pk)).group_by(balances.c.account)
    connection.execute(delete(balances).where(balances.c.at < before, balances.c.pk.not_in(newest)))
    connection.execute(delete(reported_charges).where(reported_charges.c.day < before.astimezone(UTC).date()))
