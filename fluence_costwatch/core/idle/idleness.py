"""Idle verdicts: active, idle or unknown, with evidence, per rule and machine (`design.md` section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from fluence_costwatch.core.idle.rules import Condition
from fluence_costwatch.core.resources import Identity


class IdleVerdict(StrEnum):
    """No data is unknown, and unknown is not idle."""

    ACTIVE = "active"
    IDLE = "idle"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one condition said of one resource at one instant. `holds` None: unknown, and `says` is why.

    `says` is the evidence for a person ("cpu 0.8% busy over 5m", "no answer from 10.0.0.7:9100").
    """

    condition: Condition
    holds: bool | None
    says: str


@dataclass(frozen=True, slots=True)
class IdleClock:
    """What is remembered of one rule for one resource; its size does not grow with time.

    `at` is that of the newest look. `since` is when the conditions began to hold without interruption (None: they do not
    hold, or it is not known). `buckets` are (watched, known) microseconds of equal parts of the last `for`, oldest first;
    the newest part began at `bucket_started_at`. `coverage` is the known share of the last `for`, or of the time since
    the clock started where that is less. `digest` is that of the rule it was kept by, `created_at` and `price` those of
    the resource: a change starts it anew. `evidence` is what each condition of the rule said, in their order. `busy_at`
    is when they were last known not to hold.
    """

    identity: Identity
    rule: str
    digest: str
    verdict: IdleVerdict
    at: datetime
    since: datetime | None = None
    created_at: datetime | None = None
    price: Decimal | None = None
    bucket_started_at: datetime | None = None
    buckets: tuple[tuple[int, int], ...] = ()
    coverage: Decimal = Decimal(0)
    evidence: tuple[str, ...] = ()
    busy_at: datetime | None = None
