"""Alerts and silences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, or_, select

from fluence_costwatch.core.alerts.alert import Alert, AlertState, Silence
from fluence_costwatch.core.alerts.findings import Telling
from fluence_costwatch.store.alert_tables import NOT_RESOLVED, TOLD_ONCE, alerts, silences
from fluence_costwatch.store.records import OnConnection, put, record_of, values_of
from fluence_costwatch.store.schema import cycles

ONCE_FOR: Final = timedelta(days=62)
"""For how long after its end an alert is not told again: twice the longest window that ends, a month."""


class AlertWriting(OnConnection):
    """What a transaction can do to alerts and silences."""

    def save_alerts(self, changed: Iterable[Alert]) -> None:
        """Store alerts as they are now, new ones and changed ones, each by its id."""
        put(self.connection, alerts, *(values_of(alert) for alert in changed))

    def save_silence(self, silence: Silence) -> None:
        """Keep a silence; one of the same id is replaced."""
        put(self.connection, silences, values_of(silence))


class AlertReading(OnConnection):
    """What can be asked about alerts and silences."""

    def alerts(self, *, resolved_since: datetime | None = None) -> Sequence[Alert]:
        """Every alert that is not resolved, and those that were resolved from `resolved_since` on (None: no others), by
        when they were first found."""
        found = [record_of(Alert, row) for row in self.connection.execute(select(alerts).where(NOT_RESOLVED))]
        if resolved_since is not None:
            # Asked apart, so that each half has an index.
            resolved = select(alerts).where(
                alerts.c.resolved_at >= resolved_since, alerts.c.state == AlertState.RESOLVED
            )
            found += [record_of(Alert, row) for row in self.connection.execute(resolved)]
        return sorted(found, key=lambda alert: (alert.since, alert.id))

    def once_told(self) -> Mapping[str, Alert]:
        """By fingerprint, the newest alert that is told ONCE: those that are not resolved, and those resolved within two
        months before the newest cycle. No window that ends is longer, so none of the others can come up again."""
        told = select(alerts).where(TOLD_ONCE).order_by(alerts.c.since, alerts.c.id)
        newest = self.connection.scalar(select(cycles.c.started_at).order_by(cycles.c.pk.desc()).limit(1))
        if newest is not None:
            told = told.where(or_(alerts.c.resolved_at.is_(None), alerts.c.resolved_at >= newest - ONCE_FOR))
        return {row.fingerprint: record_of(Alert, row) for row in self.connection.execute(told)}

    def silences(self) -> Sequence[Silence]:
        """Every silence, ended ones included, by their end."""
        ordered = select(silences).order_by(silences.c.until, silences.c.id)
        return [record_of(Silence, row) for row in self.connection.execute(ordered)]


def drop_alerts(connection: Connection, *, before: datetime) -> None:
    """Drop alerts that were resolved before `before`, but those told ONCE not while they keep others from being told;
    and silences that ended before it."""
    resolved = delete(alerts).where(alerts.c.state == AlertState.RESOLVED)
    connection.execute(resolved.where(alerts.c.resolved_at < before, alerts.c.telling != Telling.ONCE))
    connection.execute(resolved.where(alerts.c.resolved_at < before - ONCE_FOR))
    connection.execute(delete(silences).where(silences.c.until < before))
