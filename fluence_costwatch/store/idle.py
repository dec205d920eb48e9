"""Idle clocks and heartbeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.core.idle.idleness import IdleClock
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.ports import Heartbeat
from fluence_costwatch.store.deletion_tables import heartbeats, idle_clocks
from fluence_costwatch.store.records import OnConnection, identity_of, put, record_of, values_of


class IdleWriting(OnConnection):
    """What a transaction can do to clocks and heartbeats."""

    def save_clocks(self, clocks: Iterable[IdleClock]) -> None:
        """Store idle clocks, each by its resource and rule."""
        put(self.connection, idle_clocks, *(values_of(clock) for clock in clocks))

    def forget_clocks(self, rules: Iterable[str]) -> None:
        """Drop the clocks of those rules, which are no longer configured."""
        self.connection.execute(delete(idle_clocks).where(idle_clocks.c.rule.in_(list(rules))))

    def save_heartbeat(self, identity: Identity, *, at: datetime) -> None:
        """Note a beat. A clock that was set back makes none older."""
        beat = insert(heartbeats).values(account=identity.account, resource_id=identity.id, first_at=at, last_at=at)
        self.connection.execute(
            beat.on_conflict_do_update(
                index_elements=["account", "resource_id"],
                set_={"last_at": func.max(heartbeats.c.last_at, beat.excluded.last_at)},
            )
        )


class IdleReading(OnConnection):
    """What can be asked about clocks and heartbeats."""

    def clocks(self) -> Mapping[tuple[Identity, str], IdleClock]:
        """The idle clock of each resource and rule."""
        kept = (record_of(IdleClock, row) for row in self.connection.execute(select(idle_clocks)))
        return {(clock.identity, clock.rule): clock for clock in kept}

    def heartbeats(self) -> Mapping[Identity, Heartbeat]:
        """The beats of each resource that ever beat."""
        return {identity_of(row): record_of(Heartbeat, row) for row in self.connection.execute(select(heartbeats))}


def drop_clocks(connection: Connection, *, before: datetime) -> None:
    """Drop clocks that have not gone on since `before`: what they were of is gone."""
    connection.execute(delete(idle_clocks).where(idle_clocks.c.at < before))
