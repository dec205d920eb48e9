"""Alerts: what is stored of a finding, and when it is told (`design.md` sections 2 and 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from fluence_costwatch.core.alerts.findings import Severity, Telling


class AlertState(StrEnum):
    """As in Alertmanager: a finding that must hold for a while first is pending."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


TOLD_AS: Final = "told_as"
"""The fact of an alert that was told at a higher severity than it has now: that severity."""


@dataclass(frozen=True, slots=True)
class Alert:
    """The stored state of one finding.

    `id` is short and safe to print; a finding that comes back after it was resolved is a new alert with a new id, except
    where it is told ONCE. `since` is when it was first found, `fired_at` when it began to fire, `told_at` when it was last
    put into the outbox (None: never, as while it is silenced). What the finding says is that of the newest.
    """

    id: str
    fingerprint: str
    kind: str
    severity: Severity
    state: AlertState
    account: str
    resource_id: str | None
    rule: str
    name: str | None
    summary: str
    means: str
    advice: str
    telling: Telling
    group: str
    level: Decimal
    cost_per_day: Decimal | None
    facts: tuple[tuple[str, str], ...]
    since: datetime
    fired_at: datetime | None = None
    told_at: datetime | None = None
    resolved_at: datetime | None = None
    resolved_because: str = ""

    @property
    def told_as(self) -> Severity:
        """The highest severity at which it was told: whoever heard of that hears of its end."""
        told = dict(self.facts).get(TOLD_AS)
        return self.severity if told is None else max(self.severity, Severity(told), key=lambda each: each.rank)


class Change(StrEnum):
    """What is told of an alert."""

    FIRED = "fired"
    ROSE = "rose"
    REPEATED = "repeated"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One thing to tell, with its reason ("reminder after 24h", "a new window began")."""

    alert: Alert
    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing is told of what matches until `until`; alerts go on being kept.

    Exactly one of `alert` (an alert's fingerprint), `resource_id` (with `account`), `rule` or `account` says what matches.
    """

    id: str
    until: datetime
    author: str
    reason: str
    made_at: datetime
    alert: str | None = None
    account: str | None = None
    resource_id: str | None = None
    rule: str | None = None
