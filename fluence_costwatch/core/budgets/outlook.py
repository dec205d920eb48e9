"""What an account has left, and how long that lasts: its balance beside what its resources go on costing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from fluence_costwatch.core.billing.history import ResourceState
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.budgets.runway import Flow, Runway, Stair, runway_of
from fluence_costwatch.core.known import KnownBalance, KnownResource
from fluence_costwatch.core.resources import Kind


@dataclass(frozen=True, slots=True)
class Outlook:
    """What was left `as_of` an instant, in all and by feature, and when it ends if nothing changes from then on.

    `is_latest` is true where a price is not known: then the end may come earlier.
    """

    balance: Decimal
    as_of: datetime
    features: tuple[tuple[str, Decimal], ...]
    runway: Runway
    is_latest: bool = False


def outlook_of(noted: KnownBalance, records: Iterable[KnownResource]) -> Outlook:
    """How long the balance that was `noted` lasts; `records` are the resources of its account.

    All entries are summed, and all generations draw on the sum.
    """
    states = [each.state for each in records if is_charged_on(each.state) and each.state.charged_under is None]
    balance = sum((entry.balance for entry in noted.entries), Decimal(0))
    return Outlook(
        balance=balance,
        as_of=noted.at,
        features=tuple((entry.feature, entry.balance) for entry in noted.entries),
        runway=runway_of(balance, at=noted.at, flows=tuple(_flows(states)), stairs=tuple(_stairs(states, at=noted.at))),
        is_latest=any(state.price is None for state in states),
    )


def _flows(states: Iterable[ResourceState]) -> Iterator[Flow]:
    for state in states:
        if is_metered(state.generation) and state.price is not None:
            yield Flow(state.price, is_disk=state.kind is Kind.STORAGE)


def _stairs(states: Iterable[ResourceState], *, at: datetime) -> Iterator[Stair]:
    for state in states:
        if is_metered(state.generation) or state.price is None or state.epoch is None:
            continue
        length = state.grid.length
        # What fell due before the balance was noted is in it, or never will be.
        missed = max(0, -((state.epoch.end - at) // length))
        yield Stair(state.epoch.end + missed * length, length, state.price)
