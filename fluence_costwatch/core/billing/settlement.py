"""Totals that the provider reports, and when they decide over our own count (`design.md` 3.1 "Opening" and "Gaps").

A reported total may lag behind a boundary, so it decides only after it has stood unchanged over two looks that were
more than a 24th of an epoch away from one.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.billing.booking import Outcome, amount_of, correct, doubt, in_words, tell
from fluence_costwatch.core.billing.boundaries import SHORT_FRAGMENT_BELOW
from fluence_costwatch.core.billing.history import Basis, Cause, Charge, Reason, Settling
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import ZERO, Usd, total
from fluence_costwatch.core.resources import Resource

LOOKS_NEEDED: Final = 2


def await_total(outcome: Outcome, resource: Resource, *, reason: Reason, span: Span) -> Outcome:
    """`outcome` waiting for the reported total to decide over `span`, if one is reported and none is awaited yet."""
    reported = resource.total_spent
    if reported is None or reported <= ZERO or outcome.state.settling is not None:
        return outcome
    return outcome.then(replace(outcome.state, settling=Settling(reason, span, reported)))


def watch_total(outcome: Outcome, resource: Resource, *, moment: datetime, length: timedelta) -> Outcome:
    """`outcome` after one more look at the awaited total: it decides, or the difference stays uncertain."""
    state = outcome.state
    settling, reported = state.settling, resource.total_spent
    if settling is None or reported is None or reported <= ZERO:
        return outcome
    looks = settling.looks if reported == settling.total else 0
    if _away_from_boundaries(moment, outcome, length=length):
        looks += 1
    difference = reported - state.charged
    if looks >= LOOKS_NEEDED:
        return _decide(outcome, settling, resource, difference)
    if settling.reason is not Reason.OPENING_TOTAL:
        return outcome.then(replace(state, settling=replace(settling, total=reported, looks=looks)))
    pending = replace(
        settling, total=reported, looks=looks, adjustment=min(difference, ZERO), uncertain=abs(difference)
    )
    rows = [] if pending.adjustment == settling.adjustment else [_pending_row(outcome, pending)]
    return outcome.then(replace(state, settling=pending), charges=rows)


def _away_from_boundaries(moment: datetime, outcome: Outcome, *, length: timedelta) -> bool:
    epoch = outcome.state.epoch
    if epoch is None:
        return True
    margin = length / SHORT_FRAGMENT_BELOW
    since_boundary = (moment - epoch.end) % length
    return since_boundary > margin and length - since_boundary > margin


def _pending_row(outcome: Outcome, settling: Settling, *, closed: bool = False) -> Charge:
    identity = outcome.state.identity
    return Charge(identity, settling.span, settling.adjustment, Basis.REPORTED, settling.reason, closed=closed)


def _decide(outcome: Outcome, settling: Settling, resource: Resource, difference: Usd) -> Outcome:
    """The total has stood still: where it may decide, one row makes ours equal to it, and all earlier doubt ends."""
    state = outcome.state
    doubtful = total(one.amount for one in state.doubts if one.amount is not None)
    price = amount_of(state.price)
    if settling.reason is not Reason.OPENING_TOTAL and not ZERO <= difference <= doubtful:
        return tell(
            outcome.then(replace(state, settling=None)),
            "drift",
            "warning",
            f"For {in_words(resource)} the provider reports {resource.total_spent} USD in all, the ledger holds {state.charged} USD and {doubtful} USD uncertain. The ledger was left as it is.",
            rule="total_refused",
            means="One of both figures is wrong by more than what is uncertain.",
            advice="`fluence-costwatch reconcile` shows where they differ.",
        )
    settled = outcome.then(replace(state, settling=None, doubts=(), unpriced=()))
    if difference:
        settled = correct(settled, amount=difference, span=settling.span, reason=settling.reason)
    elif settling.adjustment:
        settled = settled.then(
            settled.state, charges=(_pending_row(outcome, replace(settling, adjustment=ZERO), closed=True),)
        )
    if settling.reason is Reason.OPENING_TOTAL and price is not None and abs(difference) > price:
        settled = tell(
            settled,
            "drift",
            "warning",
            f"{in_words(resource)} had cost {resource.total_spent} USD by the provider's total when first seen, which "
            f"is {abs(difference)} USD {'more' if difference > ZERO else 'less'} than its epochs since creation. "
            f"The provider's total was taken.",
            rule="opening_total",
            means="What it had cost before it was first seen could only be reckoned back; the total is the bill.",
        )
    return settled


def give_up_total(outcome: Outcome) -> Outcome:
    """`outcome` of a resource that is gone before its total decided: what was uncertain stays so."""
    state = outcome.state
    settling = state.settling
    if settling is None:
        return outcome
    given_up = outcome.then(replace(state, settling=None))
    if settling.adjustment:
        row = _pending_row(outcome, settling, closed=True)
        given_up = given_up.then(
            replace(given_up.state, charged=given_up.state.charged + settling.adjustment), charges=(row,)
        )
    if settling.uncertain:
        given_up = doubt(given_up, span=settling.span, amount=settling.uncertain, cause=Cause.TOTAL_UNCONFIRMED)
    return given_up
