"""The outbox: what is to be sent, in the order in which it was put in, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.core.messages.outbox import Attempt, Delivery, Draft, OutboxRow
from fluence_costwatch.store.alert_tables import outbox
from fluence_costwatch.store.records import OnConnection, record_of

_GIVEN_UP: Final = (Delivery.DEAD, Delivery.UNCONFIRMED)


class OutboxWriting(OnConnection):
    """What a transaction can do to the outbox."""

    def enqueue(self, drafts: Iterable[Draft], *, at: datetime) -> None:
        """Put messages into the outbox, each once by its key and target."""
        rows = [
            {
                "key": draft.key,
                "target": draft.target,
                "message": draft.message,
                "made_at": at,
                "next_at": draft.not_before,
                "state": Delivery.QUEUED,
                "attempts": 0,
                "error": "",
                "deletion": draft.deletion,
            }
            for draft in drafts
        ]
        if rows:
            self.connection.execute(insert(outbox).on_conflict_do_nothing(index_elements=["key", "target"]), rows)

    def settle(self, number: int, attempt: Attempt, *, state: Delivery, next_at: datetime, at: datetime) -> None:
        """Note how one try to send a row of the outbox went, what it is now, and when it is due next if still queued."""
        self.connection.execute(
            update(outbox)
            .where(outbox.c.number == number)
            .values(
                state=state,
                attempts=outbox.c.attempts + 1,
                error=attempt.error,
                next_at=next_at,
                settled_at=None if state is Delivery.QUEUED else at,
            )
        )

    def requeue(self, number: int, *, at: datetime) -> bool:
        """Queue a dead or unconfirmed row again, as one that was not tried yet; False where there is none of that
        number."""
        given_up = update(outbox).where(outbox.c.number == number, outbox.c.state.in_(_GIVEN_UP))
        again = given_up.values(state=Delivery.QUEUED, attempts=0, next_at=at, settled_at=None)
        return self.connection.execute(again).rowcount == 1


class OutboxReading(OnConnection):
    """What can be asked about the outbox."""

    def outbox(self, *, states: Iterable[Delivery] | None = None, target: str | None = None) -> Sequence[OutboxRow]:
        """The rows of the outbox in the order in which they were put in, of those states (None: all)."""
        rows = select(outbox).order_by(outbox.c.number)
        if states is not None:
            rows = rows.where(outbox.c.state.in_(list(states)))
        if target is not None:
            rows = rows.where(outbox.c.target == target)
        return self._rows(rows)

    def due(self, *, target: str, now: datetime, limit: int) -> Sequence[OutboxRow]:
        """The first `limit` queued rows of a target that are due, in the order in which they were put in."""
        queued = select(outbox).where(
            outbox.c.target == target, outbox.c.state == Delivery.QUEUED, outbox.c.next_at <= now
        )
        return self._rows(queued.order_by(outbox.c.number).limit(limit))

    def _rows(self, rows: Select[Any]) -> Sequence[OutboxRow]:
        return [record_of(OutboxRow, row) for row in self.connection.execute(rows)]


def drop_settled(connection: Connection, *, before: datetime) -> None:
    """Drop rows that were settled before `before`, one way or another; never one that is still to be sent."""
    connection.execute(delete(outbox).where(outbox.c.settled_at < before, outbox.c.state != Delivery.QUEUED))
