"""Findings, alerts and silences, one line per fact; and a store of alerts that lives through steps and restarts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fluence_costwatch.core.alerts.alert import Alert, AlertEvent, AlertState, Silence
from fluence_costwatch.core.alerts.alerting import AlertStep, next_alerts
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
REPEAT = timedelta(hours=24)


def finding(**facts: Any) -> Finding:
    """A warning about account "main" that is told when it begins, as a reminder, and when it ends."""
    plain = Finding(
        kind="waste", severity=Severity.WARNING, account="main", resource_id=None, summary="it", telling=Telling.STATE
    )
    return replace(plain, **facts)


def step(
    stored: Sequence[Alert],
    *findings: Finding,
    ended: Iterable[Finding] = (),
    silences: Sequence[Silence] = (),
    now: datetime = NOW,
) -> AlertStep:
    """The next step; what has `ended` did so because "it is over"."""
    endings = tuple(Ending(one.fingerprint, "it is over") for one in ended)
    return next_alerts(stored, Judged(findings, endings), silences, repeat=REPEAT, now=now)


def fired(about: Finding | None = None, *, ago: timedelta = timedelta(hours=1), **facts: Any) -> Alert:
    """The alert of a finding that fired, and was told, that long ago."""
    (alert,) = step((), replace(about or finding(), patience=timedelta(0)), now=NOW - ago).alerts
    return replace(alert, **facts)


def silence(**says: Any) -> Silence:
    """A silence for another day, made by ann."""
    plain = Silence("s1", until=NOW + timedelta(days=1), author="ann", reason="known", made_at=NOW)
    return replace(plain, **says)


@dataclass
class Kept:
    """Alerts as the store keeps them, and all that was ever told."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    told: list[AlertEvent] = field(default_factory=list)

    def stored(self) -> list[Alert]:
        """What the next step is given: all that are not resolved, and all that are told ONCE."""
        return [
            alert
            for alert in self.alerts.values()
            if alert.state is not AlertState.RESOLVED or alert.telling is Telling.ONCE
        ]

    def keep(self, step: AlertStep) -> None:
        """Store a step."""
        self.alerts |= {alert.id: alert for alert in step.alerts}
        self.told += step.events
