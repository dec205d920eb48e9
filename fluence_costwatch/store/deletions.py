"""Deletions with their transitions. Nothing here is ever dropped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Transition
from fluence_costwatch.store.deletion_tables import deletions, transitions
from fluence_costwatch.store.records import OnConnection, record_of, values_of


class DeletionWriting(OnConnection):
    """What a transaction can do to deletions."""

    def save_deletion(self, deletion: Deletion, *, was: DeletionState | None) -> bool:
        """Store a deletion with those of its transitions that are new, if it is still in the state `was` (None: new).

        False, and nothing is stored, where somebody else has changed it meanwhile: its state is another one, or it has
        transitions that `deletion` does not know of.
        """
        state = self.connection.scalar(select(deletions.c.state).where(deletions.c.id == deletion.id))
        kept = _transitions(self.connection.execute(_of(deletion.id)))
        if state is not was or kept != deletion.history[: len(kept)]:
            return False
        values = values_of(deletion, but=("history",))
        if was is None:
            self.connection.execute(insert(deletions).values(**values))
        else:
            self.connection.execute(update(deletions).where(deletions.c.id == deletion.id).values(**values))
        new = [
            {"deletion": deletion.id, "position": position, **values_of(step)}
            for position, step in enumerate(deletion.history)
            if position >= len(kept)
        ]
        if new:
            self.connection.execute(insert(transitions), new)
        return True


class DeletionReading(OnConnection):
    """What can be asked about deletions."""

    def deletions(self, *, states: Iterable[DeletionState] | None = None) -> Sequence[Deletion]:
        """Every deletion of those states (None: all), oldest first, each with all its transitions."""
        wanted = select(deletions).order_by(deletions.c.proposed_at, deletions.c.id)
        steps = select(transitions).order_by(transitions.c.deletion, transitions.c.position)
        if states is not None:
            of_states = deletions.c.state.in_(list(states))
            wanted = wanted.where(of_states)
            steps = steps.where(transitions.c.deletion.in_(select(deletions.c.id).where(of_states)))
        histories: dict[str, list[Any]] = defaultdict(list)
        for row in self.connection.execute(steps):
            histories[row.deletion].append(row)
        return [
            record_of(Deletion, row, history=_transitions(histories[row.id])) for row in self.connection.execute(wanted)
        ]


def _of(deletion: str) -> Select[Any]:
    return select(transitions).where(transitions.c.deletion == deletion).order_by(transitions.c.position)


def _transitions(rows: Iterable[Any]) -> tuple[Transition, ...]:
    return tuple(record_of(Transition, row) for row in rows)
