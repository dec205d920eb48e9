"""Money that buys nothing: disks and addresses that serve no machine, machines that bill without running, funds that
records of ended machines still hold (`fluence-api.md` 4, 5.2, 5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from fluence_costwatch.core.billing.history import Presence, ResourceState
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Generation, Kind, Resource, is_charged

# Statuses of a cloud-v2 machine that is billed, or must be taken to be, without doing its work.
_IDLE_STATUSES: Final = frozenset({"failed", "suspending", "suspended"})


class Ground(StrEnum):
    """Why something is waste."""

    ORPHAN = "orphan"
    NOT_RUNNING = "not_running"
    RESERVED = "reserved"


@dataclass(frozen=True, slots=True)
class Waste:
    """One wasteful resource: what it costs an hour (None: no price known) and what it holds back."""

    resource: Resource
    ground: Ground
    per_hour: Decimal | None
    held: Usd = ZERO

    @property
    def per_day(self) -> Decimal | None:
        """What it costs a day; None where no price is known."""
        return None if self.per_hour is None else self.per_hour * 24


def waste_in(records: Iterable[KnownResource]) -> tuple[Waste, ...]:
    """All that is wasted among `records` of any accounts, in their order.

    A disk or address is an orphan if the list says that it serves nothing, or only machines that have ended. One whose
    list does not say is not called an orphan.
    """
    records = list(records)
    live = {
        (record.resource.account, record.resource.id.lower())
        for record in records
        if record.resource.kind is Kind.VM and _is_live(record)
    }
    return tuple(_waste(records, live))


def _waste(records: Iterable[KnownResource], live: set[tuple[str, str]]) -> Iterator[Waste]:
    for record in records:
        resource, state = record.resource, record.state
        charged = is_charged_on(state) and state.charged_under is None
        if charged and resource.kind in (Kind.STORAGE, Kind.PUBLIC_IP):
            serves = resource.attached_to
            if serves is not None and not any((resource.account, each.lower()) in live for each in serves):
                yield Waste(resource, Ground.ORPHAN, state.price)
        elif charged and _bills_without_running(resource):
            yield Waste(resource, Ground.NOT_RUNNING, state.price)
        elif _holds_funds(resource, state):
            yield Waste(resource, Ground.RESERVED, Decimal(0), held=resource.reserved or ZERO)


def _is_live(record: KnownResource) -> bool:
    return record.state.presence is not Presence.GONE and is_charged(record.state.status, record.state.generation)


def _bills_without_running(resource: Resource) -> bool:
    return resource.generation is Generation.CLOUD_V2 and resource.status.casefold() in _IDLE_STATUSES


def _holds_funds(resource: Resource, state: ResourceState) -> bool:
    """A record of a machine that the provider ended keeps its reserve until the record is deleted."""
    ended = resource.status.casefold() == "terminated" and state.presence is not Presence.GONE
    return ended and resource.reserved is not None and resource.reserved > ZERO
