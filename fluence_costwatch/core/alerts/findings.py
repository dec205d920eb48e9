"""What holds now and an operator should hear of: findings, and the endings of those that hold no more (`design.md` 2).

A finding names its subject by account, resource and rule; together with its kind they are its fingerprint, under which it
is told once however often it is found.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 2 for critical."""
        return SEVERITIES.index(self)


SEVERITIES: Final = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


class Telling(StrEnum):
    """How often a finding is told.

    ONCE: when it begins and when it ends, and never again under the same fingerprint (a threshold of a window).
    CHANGES: whenever it begins and ends, without reminders. STATE: the same with a reminder every `repeat`.
    EVENT: when it happens; it ends by itself after `repeat`, without a word.
    """

    ONCE = "once"
    CHANGES = "changes"
    STATE = "state"
    EVENT = "event"


KINDS: Final = (
    "budget",
    "forecast",
    "anomaly",
    "idle",
    "waste",
    "deletion",
    "runway",
    "price",
    "status",
    "api",
    "key",
    "stale",
    "suspicious",
    "drift",
    "delivery",
    "storage",
)
"""The kinds of alert (`design.md` 9.1)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that holds now.

    `summary` is the fact in one sentence that fits a subject; `means` says what it means for the money, `advice` what to do
    (one command or step). `rule` tells findings of one kind and subject apart (a budget with its window, limit and threshold;
    a generation; the name of an idle rule). `name` is the resource's name, untrusted. Findings of one `group` are told
    together, of those that begin at once only the one of the highest `level`. It must hold for `patience` before it is
    told. `facts` are kept with the alert: by them its end is explained. `cost_per_day` is what it costs in dollars to
    do nothing. An empty `account` is none: a budget over several, the database, a target.
    """

    kind: str
    severity: str
    account: str
    resource_id: str | None
    summary: str
    rule: str = ""
    name: str | None = None
    means: str = ""
    advice: str = ""
    telling: Telling = Telling.EVENT
    group: str = ""
    level: Decimal = Decimal(0)
    patience: timedelta = timedelta(0)
    cost_per_day: Decimal | None = None
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that stand for kind, account, resource and rule."""
        return fingerprint_of(self.kind, self.account, self.resource_id, self.rule)


def fingerprint_of(kind: str, account: str, resource_id: str | None, rule: str) -> str:
    """The fingerprint of a finding about that subject."""
    parts = (kind, account, "" if resource_id is None else f"={resource_id}", rule)
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Ending:
    """The finding of this fingerprint is known to hold no more, and why."""

    fingerprint: str
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """All that was found, and all that is known to have ended.

    What is in neither is not known to hold or to have ended (its data vanished): its alert stays as it is.
    """

    findings: tuple[Finding, ...] = ()
    endings: tuple[Ending, ...] = field(default=())
