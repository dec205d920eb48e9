"""Idle and waste rules as they are configured (`design.md` section 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from fluence_costwatch.core.selectors import Selector


class Signal(StrEnum):
    """Where a condition's facts come from."""

    CPU = "cpu"
    NETWORK = "network"
    PROMQL = "promql"
    HEARTBEAT = "heartbeat"
    AGE = "age"
    LEASE = "lease"
    STATE = "state"


class Match(StrEnum):
    """By what a PromQL series is matched to a resource."""

    PUBLIC_IP = "public_ip"
    NAME = "name"
    ID = "id"


class Action(StrEnum):
    """What a rule does where it holds. Deletion goes through the whole pipeline of `design.md` section 7."""

    ALERT = "alert"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. Which fields are given follows from the signal.

    `below`: cpu (busy ratio), network (bytes per second), promql. `silent`: heartbeat. `above`: age. `statuses`: state,
    compared case-folded. `query`, `match`, `label`: promql.
    """

    signal: Signal
    below: Decimal | None = None
    above: timedelta | None = None
    silent: timedelta | None = None
    statuses: tuple[str, ...] = ()
    query: str = ""
    match: Match = Match.PUBLIC_IP
    label: str = "instance"


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that must all hold, for how long without interruption, and what follows."""

    name: str
    when: tuple[Condition, ...]
    held_for: timedelta
    min_age: timedelta
    action: Action = Action.ALERT
    select: Selector = Selector()

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with anything by which the rule judges, so that its clocks start anew."""
        judged_by = (self.select, self.when, self.held_for, self.min_age)
        return hashlib.sha256(repr(judged_by).encode("utf-8", "surrogatepass")).hexdigest()[:16]
