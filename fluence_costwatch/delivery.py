"""Delivery: what is queued for a target is handed to it, one message at a time, each at least once.

One job per target. A message is sent while no transaction is open, and what came of it is noted afterwards: only who
dies between the two sends it again.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime

from fluence_costwatch.core.messages.backoff import (
    PASSED_OVER,
    Settled,
    broken,
    holds_others_back,
    next_turn,
    settled,
    turn_of,
)
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, OutboxRow
from fluence_costwatch.ports import Clock, Notifier, Store, Transaction

OnAccepted = Callable[[Transaction, OutboxRow, datetime], None]
"""Called in the transaction that notes that a target took a message, with the instant at which it did."""

Unrecorded = MutableMapping[int, tuple[Attempt, datetime]]
"""By the numbers of rows, tries that were made and could not be noted. Kept by the job of a target while it lives."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of a target did: how many messages it took, how many tries failed (for now or for good).

    `next_at` is when its next turn is due; None while nothing is queued.
    """

    accepted: int = 0
    failed: int = 0
    next_at: datetime | None = None


def nothing_more(tx: Transaction, row: OutboxRow, at: datetime) -> None:
    """For whoever has nothing to do when a message is accepted."""


def deliver(
    target: str,
    *,
    store: Store,
    notifier: Notifier,
    clock: Clock,
    unrecorded: Unrecorded | None = None,
    on_accepted: OnAccepted = nothing_more,
) -> Turn:
    """Send what is due for `target` in the order in which it was put in, until nothing is or a passing failure says
    that the channel is down.

    A message that was sent and could not be noted (a full disk) is not sent again as long as `unrecorded` is passed in
    again: the next turn notes it first.
    """
    unrecorded = {} if unrecorded is None else unrecorded
    accepted = failed = 0
    while True:
        queued = _queued(target, store=store)
        rows = turn_of(queued, now=clock())
        if not rows:
            return Turn(accepted, failed, next_turn(queued, now=clock()))
        passed_over = 0
        for row in rows:
            attempt, at = unrecorded.get(row.number) or _tried(row, notifier=notifier, clock=clock)
            unrecorded[row.number] = (attempt, at)
            outcome = settled(row, attempt, at=at)
            _note(row, outcome, store=store, at=at, on_accepted=on_accepted)
            del unrecorded[row.number]
            accepted += outcome.state is Delivery.SENT
            failed += outcome.state is not Delivery.SENT
            after = replace(row, attempts=row.attempts + 1, error=outcome.attempt.error)
            passed_over += outcome.state is Delivery.QUEUED
            if outcome.state is Delivery.QUEUED and (holds_others_back(after) or passed_over > PASSED_OVER):
                return Turn(accepted, failed, next_turn(_queued(target, store=store), now=clock()))


def _queued(target: str, *, store: Store) -> tuple[OutboxRow, ...]:
    with store.reading() as known:
        return tuple(known.outbox(states=(Delivery.QUEUED,), target=target))


def _tried(row: OutboxRow, *, notifier: Notifier, clock: Clock) -> tuple[Attempt, datetime]:
    try:
        attempt = notifier.send(row.target, row.message, reference=row.key)
    except Exception as exc:  # one message that breaks the notifier must not keep all later ones from being sent
        attempt = broken(row, exc)
    return attempt, clock()


def _note(row: OutboxRow, outcome: Settled, *, store: Store, at: datetime, on_accepted: OnAccepted) -> None:
    with store.transaction() as tx:
        tx.settle(row.number, outcome.attempt, state=outcome.state, next_at=outcome.next_at, at=at)
        if outcome.state is Delivery.SENT:
            on_accepted(tx, row, at)
