"""The outbox: one row per message and target, committed with what it tells, sent by a job of its own (`design.md` 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.message import Message


class DigestEvery(StrEnum):
    """How often a target gets the digest."""

    NONE = "none"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Route:
    """What one target is told: from a severity on, some kinds and accounts or all (empty), and a digest or none."""

    target: str
    min_severity: Severity = Severity.WARNING
    kinds: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    digest: DigestEvery = DigestEvery.NONE


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times between which only what is critical is sent; it may span midnight."""

    begin: time
    end: time
    zone: tzinfo


class Delivery(StrEnum):
    """What became of a row. `unconfirmed`: handed over whole, but the channel did not say in time that it took it."""

    QUEUED = "queued"
    SENT = "sent"
    UNCONFIRMED = "unconfirmed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message for a target that is about to be put into the outbox. The same `key` and target again change nothing."""

    key: str
    target: str
    message: Message
    not_before: datetime
    deletion: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message on its way to one target. `next_at` is when it is (or was) due to be tried next.

    `deletion` is the id of the deletion of which it is the notice.
    """

    number: int
    key: str
    target: str
    message: Message
    made_at: datetime
    next_at: datetime
    state: Delivery = Delivery.QUEUED
    attempts: int = 0
    error: str = ""
    settled_at: datetime | None = None
    deletion: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one try to send went. `permanent` where the channel said that trying again is no use.

    `unconfirmed`: it was handed over whole and not answered. `retry_after` is what the channel asked for.
    """

    sent: bool
    error: str = ""
    permanent: bool = False
    unconfirmed: bool = False
    retry_after: timedelta | None = None
