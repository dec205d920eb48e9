"""Which target is told what, and when at the earliest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.local_times import quiet_until
from fluence_costwatch.core.messages.outbox import QuietHours, Route

TARGET_FACT: Final = "target"
"""The fact of an alert that names the target it is about."""


def takes(route: Route, *, kind: str, severity: Severity, account: str) -> bool:
    """Whether a target is told of that. What belongs to no account goes to every target that takes its kind."""
    return (
        severity.rank >= route.min_severity.rank
        and (not route.kinds or kind in route.kinds)
        and (not route.accounts or not account or account in route.accounts)
    )


def routes_of(alert: Alert, routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that take an alert; its end those that took it when it was most severe. One about a target goes past
    that target, as long as another one takes it."""
    severity = alert.told_as if alert.state is AlertState.RESOLVED else alert.severity
    taking = tuple(route for route in routes if takes(route, kind=alert.kind, severity=severity, account=alert.account))
    troubled = dict(alert.facts).get(TARGET_FACT)
    others = tuple(route for route in taking if route.target != troubled)
    return others or taking


def earliest(quiet: QuietHours | None, *, urgent: bool, now: datetime) -> datetime:
    """When a message may be sent: now, or at the end of the quiet hours if it is not urgent."""
    return now if urgent else quiet_until(quiet, now=now) or now
