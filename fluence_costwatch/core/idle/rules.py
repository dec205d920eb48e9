"""Idle and waste rules as they are configured (`design.md` section 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from fluence_costwatch.core.messages.wording import span
from fluence_costwatch.core.resources import Kind, Resource
from fluence_costwatch.core.selectors import Selector

NOT_MACHINES = (Kind.STORAGE, Kind.PUBLIC_IP)
"""Kinds that do nothing by themselves."""


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

    @property
    def in_words(self) -> str:
        """What must be so, for a person: "cpu below 3%", "no heartbeat for 6 h"."""
        match self.signal:
            case Signal.CPU:
                return f"cpu below {_plain(_or_zero(self.below) * 100)}%"
            case Signal.NETWORK:
                return f"network below {_plain(_or_zero(self.below))} B/s"
            case Signal.PROMQL:
                return f"{self.query} below {_plain(_or_zero(self.below))}"
            case Signal.HEARTBEAT:
                return f"no heartbeat for {span(self.silent or timedelta(0))}"
            case Signal.AGE:
                return f"created more than {span(self.above or timedelta(0))} ago"
            case Signal.LEASE:
                return "its lease has run out"
            case Signal.STATE:
                return f"status {' or '.join(self.statuses)}"


ASKED = (Signal.CPU, Signal.NETWORK, Signal.PROMQL)
"""Signals that have to be asked for over the network; all others follow from what is remembered."""

ACTIVITY = (*ASKED, Signal.HEARTBEAT)
"""Signals that say whether a machine does anything; disks and addresses have none."""


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

    def judges(self, resource: Resource) -> bool:
        """Whether it is about `resource`. Disks and addresses are only judged by rules that name their kind."""
        machine_or_named = resource.kind not in NOT_MACHINES or resource.kind in self.select.kinds
        return machine_or_named and self.select.matches(resource)


def _or_zero(limit: Decimal | None) -> Decimal:
    return Decimal(0) if limit is None else limit


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
