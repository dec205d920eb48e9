"""Writing epochs into the ledger: how the open row closes, new ones begin, and what price each has.

`design.md` 3.1 "Prices" and 3.3: rows never overlap, leave no hole while a resource is charged, and stay as they are
once closed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from fluence_costwatch.core.alerts.findings import Finding
from fluence_costwatch.core.billing.history import Basis, Cause, Charge, Doubt, Reason, ResourceState
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.money import AmountInvalid, Usd
from fluence_costwatch.core.resources import Resource
from fluence_costwatch.core.untrusted import printable

_LONGEST_NAME: Final = 60
_LONGEST_ID: Final = 80


@dataclass(frozen=True, slots=True)
class Look:
    """One believed look at one list, as the rules for a single resource need it.

    `moment` is when the request was sent, `answered_at` when its answer had come. `since_list` is the former believed
    look at the same list, `charge_from` the moment from which its resources are charged (None: from creation).
    """

    moment: datetime
    answered_at: datetime
    grid: EpochGrid
    confirm_absence: int
    since_list: datetime | None
    charge_from: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look did to one resource: its new state, the rows to write, what to tell."""

    state: ResourceState
    charges: tuple[Charge, ...] = ()
    findings: tuple[Finding, ...] = ()

    def then(
        self, state: ResourceState, *, charges: Iterable[Charge] = (), findings: Iterable[Finding] = ()
    ) -> Outcome:
        """This outcome followed by a further step."""
        return Outcome(state, (*self.charges, *charges), (*self.findings, *findings))


@dataclass(frozen=True, slots=True)
class Begun:
    """An epoch to be written, with its price (None: not known) and what it rests on."""

    span: Span
    amount: Usd | None
    basis: Basis


# Remembered, as a fleet has few prices and every look asks for each of them several times.
@lru_cache(maxsize=4_096)
def amount_of(price: Decimal | None) -> Usd | None:
    """What one prepaid epoch costs at `price`; None where that is not known exactly."""
    if price is None:
        return None
    try:
        return Usd.exactly(price)
    except AmountInvalid:
        return None


def price_at(
    boundary: datetime, *, before: Decimal | None, now: Decimal | None, moment: datetime
) -> tuple[Usd | None, Usd | None]:
    """The price in force at `boundary`, and how much more it may have been.

    `before` is the last price known before the boundary, `now` the one read at `moment`. Where both differ and nobody
    saw the change, the lower one is charged and the difference is uncertain. An unreadable price is the last known one.
    """
    former, present = amount_of(before), amount_of(now)
    if former is None or present is None:
        return present if former is None else former, None
    if former == present or boundary >= moment:
        return present, None
    return min(former, present), abs(former - present)


def begin(outcome: Outcome, epochs: Iterable[Begun]) -> Outcome:
    """`outcome` with `epochs` begun one after the other: each closes the row that was open."""
    state = outcome.state
    rows: list[Charge] = []
    for epoch in epochs:
        if state.epoch_charge is not None and not state.epoch_charge.closed:
            rows.append(replace(state.epoch_charge, closed=True))
        charge = None
        if epoch.amount is None:
            state = replace(state, unpriced=(*state.unpriced, epoch.span))
        else:
            charge = Charge(state.identity, epoch.span, epoch.amount, epoch.basis)
            rows.append(charge)
            state = replace(state, charged=state.charged + epoch.amount)
        state = replace(state, epoch=epoch.span, epoch_charge=charge)
    return outcome.then(state, charges=rows)


def move_end(outcome: Outcome, end: datetime) -> Outcome:
    """`outcome` with the open epoch ending at `end` instead. A closed row stays as it is."""
    state = outcome.state
    epoch, charge = state.epoch, state.epoch_charge
    if epoch is None or epoch.end == end or (charge is not None and charge.closed):
        return outcome
    span = Span(epoch.start, end)
    unpriced = tuple(span if unpriced == epoch else unpriced for unpriced in state.unpriced)
    if charge is None:
        return outcome.then(replace(state, epoch=span, unpriced=unpriced))
    charge = replace(charge, span=span)
    return outcome.then(replace(state, epoch=span, epoch_charge=charge), charges=(charge,))


def close(outcome: Outcome) -> Outcome:
    """`outcome` with the open row closed."""
    charge = outcome.state.epoch_charge
    if charge is None or charge.closed:
        return outcome
    charge = replace(charge, closed=True)
    return outcome.then(replace(outcome.state, epoch_charge=charge), charges=(charge,))


def price_unpriced(outcome: Outcome, price: Decimal | None) -> Outcome:
    """`outcome` with the epochs that awaited a price charged at `price`, `inferred`, now that it is known."""
    state, amount = outcome.state, amount_of(price)
    if amount is None or not state.unpriced:
        return outcome
    rows = []
    for span in state.unpriced:
        row = Charge(state.identity, span, amount, Basis.INFERRED, closed=span != state.epoch)
        rows.append(row)
        state = replace(state, charged=state.charged + amount)
        if span == state.epoch:
            state = replace(state, epoch_charge=row)
    return outcome.then(replace(state, unpriced=()), charges=rows)


def correct(outcome: Outcome, *, amount: Usd, span: Span, reason: Reason) -> Outcome:
    """`outcome` with one closed `reported` row of `amount`, which may be negative; none for zero."""
    if not amount:
        return outcome
    state = outcome.state
    row = Charge(state.identity, span, amount, Basis.REPORTED, reason, closed=True)
    return outcome.then(replace(state, charged=state.charged + amount), charges=(row,))


def doubt(outcome: Outcome, *, span: Span, amount: Usd | None, cause: Cause) -> Outcome:
    """`outcome` with one more amount that the bill may hold."""
    state = outcome.state
    return outcome.then(replace(state, doubts=(*state.doubts, Doubt(span, amount, cause))))


def tell(
    outcome: Outcome, kind: str, severity: str, summary: str, *, rule: str = "", means: str = "", advice: str = ""
) -> Outcome:
    """`outcome` with one more thing that an operator should hear of."""
    state = outcome.state
    finding = Finding(
        kind, severity, state.identity.account, state.identity.id, summary, rule=rule, means=means, advice=advice
    )
    return outcome.then(state, findings=(finding,))


def in_words(resource: Resource) -> str:
    """How a finding names a resource, in characters that do no harm."""
    id = printable(resource.id, limit=_LONGEST_ID)
    return f"'{printable(resource.name, limit=_LONGEST_NAME)}' ({id})" if resource.name else id
