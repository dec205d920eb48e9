"""Metered resources: an hourly price for as long as they exist, billed by the second (`design.md` 3.2).

One row of the ledger per resource and epoch of the configured grid. The open row is not written but computed: the
price times the time from its start to the last sighting. It is written when it closes, when the price changes and when
the resource ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final

from fluence_costwatch.core.billing.booking import Look, Outcome, doubt
from fluence_costwatch.core.billing.history import Basis, Cause, Charge, Presence, Reason, ResourceState
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Generation, Resource

_HOUR: Final = timedelta(hours=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR: Final = Decimal(_HOUR // _MICROSECOND)
_MICRO_DOLLAR: Final = Decimal("0.000001")


def is_metered(generation: Generation) -> bool:
    """Whether resources of `generation` are charged by time instead of by prepaid epoch."""
    return generation is Generation.CLOUD_V2


def cost_of(price: Decimal, length: timedelta) -> Usd:
    """What `length` costs at an hourly `price`, rounded half-even to a micro-dollar."""
    return Usd.rounded(price * (length // _MICROSECOND) / _MICROSECONDS_PER_HOUR)


def cost_at_most(price: Decimal, length: timedelta) -> Usd:
    """What `length` costs at an hourly `price`, rounded up: what is uncertain must not be told too small."""
    exact = price * (length // _MICROSECOND) / _MICROSECONDS_PER_HOUR
    return Usd.exactly(exact.quantize(_MICRO_DOLLAR, ROUND_CEILING))


def open_charge(state: ResourceState, *, seen: datetime) -> Charge | None:
    """The open row of a metered resource last seen at `seen`, computed; None where there is none or no price."""
    epoch = state.epoch
    if epoch is None or not _runs(state) or state.price is None or seen <= epoch.start:
        return None
    span = Span(epoch.start, min(seen, epoch.end))
    return Charge(state.identity, span, cost_of(state.price, span.length), Basis.OBSERVED)


def _runs(state: ResourceState) -> bool:
    return (
        is_metered(state.generation)
        and state.billed
        and state.presence is not Presence.GONE
        and not state.retired
        and state.charged_under is None
    )


def first_sight(outcome: Outcome, resource: Resource, look: Look, *, charged: bool) -> Outcome:
    """`outcome` of a metered resource seen for the first time: charged from its creation, `inferred`.

    Without a creation time the time since the former list is uncertain. One that has ended already is charged only
    where it was created after the former list: its whole life lies between two looks, and the list tells it exactly.
    """
    born, since_list = resource.created_at, look.since_list
    begun = born if born is not None and born <= look.moment else look.moment
    if look.charge_from is not None:
        begun = min(max(begun, look.charge_from), look.moment)
    if charged:
        outcome = _open(outcome, at=begun, look=look)
        if born is None and since_list is not None:
            outcome = _doubt_between(
                outcome, since_list, until=begun, price=resource.price, cause=Cause.BEFORE_FIRST_SIGHT
            )
        return accrue(outcome, look, until=look.moment, price=resource.price, since=look.moment)
    ended = resource.status_changed_at
    if (
        born is None
        or since_list is None
        or born < since_list
        or ended is None
        or not born <= ended <= look.answered_at
    ):
        return outcome
    outcome = accrue(_open(outcome, at=born, look=look), look, until=ended, price=resource.price, since=ended)
    return cut(outcome, at=ended, price=resource.price, since=ended)


def _open(outcome: Outcome, *, at: datetime, look: Look) -> Outcome:
    return outcome.then(replace(outcome.state, epoch=Span(at, look.grid.after(at)), epoch_charge=None, run_since=at))


def go_on(outcome: Outcome, resource: Resource, look: Look, *, seen_before: datetime) -> Outcome:
    """`outcome` of a metered resource that was charged before and still is.

    A price that changed unseen is the lower one from `seen_before` on, the difference uncertain.
    """
    outcome = _reopened(price_unpriced(outcome, resource.price), look)
    former, present = outcome.state.price, resource.price
    if outcome.state.epoch is None:
        return first_sight(outcome, resource, look, charged=True)
    if former is None or present is None or former == present:
        return accrue(outcome, look, until=look.moment, price=present if former is None else former, since=seen_before)
    outcome = cut(
        accrue(outcome, look, until=seen_before, price=former, since=seen_before),
        at=seen_before,
        price=former,
        since=seen_before,
        look=look,
    )
    outcome = _doubt_between(
        outcome,
        seen_before,
        until=look.moment,
        price=abs(former - present),
        cause=Cause.PRICE_CHANGED_UNSEEN,
    )
    lower = min(former, present)
    outcome = accrue(outcome, look, until=look.moment, price=lower, since=seen_before)
    return cut(outcome, at=look.moment, price=lower, since=seen_before, look=look)


def resume(outcome: Outcome, resource: Resource, look: Look, *, doubtful_since: datetime | None) -> Outcome:
    """`outcome` of a metered resource that was not charged and is again: from this look on, and not before what is
    written of it ends; what was before is uncertain since `doubtful_since`."""
    written = outcome.state.epoch
    begun = look.moment if written is None else max(look.moment, written.end)
    if doubtful_since is not None:
        outcome = _doubt_between(
            outcome, doubtful_since, until=begun, price=resource.price, cause=Cause.BEFORE_FIRST_SIGHT
        )
    return _open(outcome, at=begun, look=look)


def _reopened(outcome: Outcome, look: Look) -> Outcome:
    """`outcome` of a resource whose row was closed while it seemed gone: it goes on where that ended."""
    epoch = outcome.state.epoch
    if epoch is None or epoch.end > epoch.start:
        return outcome
    return outcome.then(replace(outcome.state, epoch=Span(epoch.start, look.grid.after(epoch.start))))


def end(outcome: Outcome, resource: Resource, look: Look, *, seen_before: datetime) -> Outcome:
    """`outcome` of a metered resource seen in an uncharged status: charged to its end where the API tells it, else to
    its last sighting, and uncertain from there to this look."""
    outcome = _reopened(outcome, look)
    state = outcome.state
    if state.epoch is None:
        return outcome
    ended = resource.status_changed_at
    if ended is not None and not (state.created_at or ended) <= ended <= look.answered_at:
        ended = None
    at = max(state.epoch.start, ended if ended is not None else seen_before)
    price = state.price if state.price is not None else resource.price
    outcome = cut(
        accrue(outcome, look, until=at, price=price, since=seen_before), at=at, price=price, since=seen_before
    )
    if ended is None:
        outcome = _doubt_between(outcome, at, until=look.answered_at, price=price, cause=Cause.AFTER_LAST_SIGHT)
    return outcome


def leave(outcome: Outcome, look: Look, *, seen_before: datetime, until: datetime) -> Outcome:
    """`outcome` of a metered resource that is gone: charged to its last sighting, uncertain to its first absence."""
    state = outcome.state
    if state.epoch is None or not state.billed:
        return outcome
    at = max(state.epoch.start, seen_before)
    outcome = cut(
        accrue(outcome, look, until=at, price=state.price, since=seen_before),
        at=at,
        price=state.price,
        since=seen_before,
    )
    return _doubt_between(outcome, at, until=until, price=state.price, cause=Cause.AFTER_LAST_SIGHT)


def stop(outcome: Outcome, *, at: datetime) -> Outcome:
    """`outcome` of a metered resource that is no longer watched: its open row is written up to `at`."""
    state = outcome.state
    if state.epoch is None or not _runs(state):
        return outcome
    while outcome.state.epoch is not None and outcome.state.epoch.end <= at:
        end_of_row = outcome.state.epoch.end
        outcome = cut(outcome, at=end_of_row, price=state.price, since=at)
        outcome = outcome.then(replace(outcome.state, epoch=Span(end_of_row, state.grid.after(end_of_row))))
    return cut(outcome, at=at, price=state.price, since=at)


def _doubt_between(
    outcome: Outcome, since: datetime, *, until: datetime, price: Decimal | None, cause: Cause
) -> Outcome:
    """`outcome` with the time from `since` to `until` doubtful at `price`; none where the clock has gone back."""
    if until <= since:
        return outcome
    amount = None if price is None else cost_at_most(price, until - since)
    return doubt(outcome, span=Span(since, until), amount=amount, cause=cause)


def accrue(outcome: Outcome, look: Look, *, until: datetime, price: Decimal | None, since: datetime) -> Outcome:
    """`outcome` with every reporting epoch that ended by `until` written. `since` is the last sighting before."""
    for span in _ended(outcome.state, look, until=until):
        outcome = _write(outcome, span, price=price, seen=(since, look.moment))
        outcome = outcome.then(replace(outcome.state, epoch=Span(span.end, look.grid.after(span.end))))
    return outcome


def _ended(state: ResourceState, look: Look, *, until: datetime) -> Iterator[Span]:
    if state.epoch is None:
        return
    start, stop = state.epoch.start, state.epoch.end
    while stop <= until:
        yield Span(start, stop)
        start, stop = stop, look.grid.after(stop)


def cut(outcome: Outcome, *, at: datetime, price: Decimal | None, since: datetime, look: Look | None = None) -> Outcome:
    """`outcome` with the open row written up to `at`. With a `look` the next one begins there, else none does."""
    epoch = outcome.state.epoch
    if epoch is None:
        return outcome
    if at > epoch.start:
        outcome = _write(outcome, Span(epoch.start, at), price=price, seen=(since, at))
    start = max(at, epoch.start)
    following = Span(start, start if look is None else look.grid.after(start))
    return outcome.then(replace(outcome.state, epoch=following))


def _write(outcome: Outcome, span: Span, *, price: Decimal | None, seen: tuple[datetime, ...]) -> Outcome:
    state = outcome.state
    if price is None:
        return outcome.then(replace(state, unpriced=(*state.unpriced, span)))
    observed = any(span.start <= moment <= span.end for moment in seen)
    amount = cost_of(price, span.length)
    basis = Basis.OBSERVED if observed else Basis.INFERRED
    row = Charge(state.identity, span, amount, basis, Reason.EPOCH, closed=True)
    return outcome.then(replace(state, charged=state.charged + amount), charges=(row,))


def price_unpriced(outcome: Outcome, price: Decimal | None) -> Outcome:
    """`outcome` with the stretches that awaited a price charged at `price`, `inferred`, now that it is known."""
    state = outcome.state
    if price is None or not state.unpriced:
        return outcome
    rows = [
        Charge(state.identity, span, cost_of(price, span.length), Basis.INFERRED, Reason.EPOCH, closed=True)
        for span in state.unpriced
    ]
    summed = sum((row.amount for row in rows), ZERO)
    return outcome.then(replace(state, unpriced=(), charged=state.charged + summed), charges=rows)


def uncertain_since(state: ResourceState, *, seen: datetime, now: datetime) -> tuple[Span, Usd | None] | None:
    """The stretch since the last sighting in which a metered resource may have gone on, and what it would cost."""
    if not _runs(state) or state.epoch is None:
        return None
    since = max(seen, state.epoch.start)
    if now <= since:
        return None
    return Span(since, now), None if state.price is None else cost_at_most(state.price, now - since)
