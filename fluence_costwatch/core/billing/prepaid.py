"""Prepaid resources seen again: which epochs began, what each costs, and where it ends (`design.md` 3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from fluence_costwatch.core.billing.booking import (
    Begun,
    Look,
    Outcome,
    amount_of,
    begin,
    close,
    correct,
    doubt,
    in_words,
    move_end,
    price_at,
    tell,
)
from fluence_costwatch.core.billing.boundaries import (
    LATE_AFTER,
    SHORT_FRAGMENT_BELOW,
    Began,
    Passage,
    first_report,
    passage_on_grid,
    passage_reported,
    passage_unreported,
    starts_after,
)
from fluence_costwatch.core.billing.history import Basis, Cause, Phase, Reason, ResourceState, altered
from fluence_costwatch.core.billing.opening import open_life
from fluence_costwatch.core.billing.settlement import await_total, give_up_total
from fluence_costwatch.core.epochs import Span, nearest_count
from fluence_costwatch.core.resources import Generation, Resource


def go_on(
    outcome: Outcome,
    resource: Resource,
    look: Look,
    *,
    reported: datetime | None,
    seen_before: datetime | None = None,
) -> Outcome:
    """`outcome` of a resource that was charged before and still is: every epoch that began meanwhile is charged."""
    state = outcome.state
    since = seen_before if seen_before is not None else look.moment
    if state.epoch is None:
        return open_life(outcome, resource, look, reported=reported)
    passage = _passage(state, state.epoch, look, reported=reported, since=since)
    former_price = state.price
    outcome = move_end(outcome, passage.epoch.end)
    outcome = outcome.then(altered(outcome.state, phase=passage.phase))
    for began in _following(outcome, passage.began):
        outcome = _begin_one(outcome, began, resource, look, since=since, former_price=former_price)
    if not passage.began:
        outcome = _note_due_price(outcome, resource, look, former_price=former_price)
    outcome = _square_with_report(outcome, passage, resource, look, price=former_price)
    if passage.off_phase is not None:
        outcome = tell(
            outcome,
            "drift",
            "warning",
            f"The next charge of {in_words(resource)} is reported {passage.off_phase} away from where its epochs lead. "
            f"The reported time was taken.",
            rule="off_phase",
            means="An epoch may have been charged earlier or later than is counted here.",
            advice="`fluence-costwatch reconcile` compares the ledger with the provider's totals.",
        )
    return outcome


def _following(outcome: Outcome, began: Iterable[Began]) -> Iterable[Began]:
    """`began`, the first of them beginning where the open epoch really ends: the end of a closed row cannot move."""
    epoch = outcome.state.epoch
    later = [one for one in began if epoch is None or one.span.end > epoch.end]
    if epoch is not None and later:
        later[0] = replace(later[0], span=Span(epoch.end, later[0].span.end))
    return later


def _passage(state: ResourceState, epoch: Span, look: Look, *, reported: datetime | None, since: datetime) -> Passage:
    length = look.grid.length
    if reported is None and state.due_prices:
        reported = epoch.end  # known to be late: one look without a report does not mean that it was charged
    if reported is not None and state.phase is Phase.REPORTED:
        return passage_reported(epoch, reported=reported, length=length, moment=look.moment)
    if reported is not None:
        return first_report(
            epoch,
            reported=reported,
            length=length,
            grid=state.grid,
            run_since=state.run_since or state.first_seen,
            seen_before=since,
            moment=look.moment,
        )
    if state.phase is Phase.REPORTED:
        return passage_unreported(epoch, length=length, moment=look.moment)
    return passage_on_grid(epoch, grid=look.grid, former_grid=state.grid, seen_before=since, moment=look.moment)


def _begin_one(
    outcome: Outcome, began: Began, resource: Resource, look: Look, *, since: datetime, former_price: Decimal | None
) -> Outcome:
    span = began.span
    before, now = former_price, resource.price
    due = outcome.state.due_prices
    if due:
        before, now = min(due), max(due)
    moment = max(look.moment, span.end) if due else look.moment
    amount, above = price_at(span.start, before=before, now=now, moment=moment)
    was_seen = since in span or look.moment in span or span.start > look.moment
    readable = amount_of(resource.price) is not None
    basis = Basis.OBSERVED if was_seen and readable and not began.late else Basis.INFERRED
    outcome = begin(outcome, [Begun(span, amount, basis)])
    outcome = outcome.then(replace(outcome.state, due_prices=()))
    if above:
        outcome = doubt(outcome, span=span, amount=above, cause=Cause.PRICE_CHANGED_UNSEEN)
    return outcome


def _note_due_price(outcome: Outcome, resource: Resource, look: Look, *, former_price: Decimal | None) -> Outcome:
    """Where the end of the open epoch has passed but its charge is late, remember the prices around it: the charge
    will be one of these, whatever the price has become when it is booked. An end put off is not due any more."""
    state = outcome.state
    if state.epoch is None or look.moment < state.epoch.end:
        return outcome.then(altered(state, due_prices=()))
    if state.due_prices:
        return outcome
    prices = {price for price in (former_price, resource.price) if price is not None and amount_of(price) is not None}
    return outcome.then(replace(state, due_prices=tuple(sorted(prices))))


def _square_with_report(
    outcome: Outcome, passage: Passage, resource: Resource, look: Look, *, price: Decimal | None
) -> Outcome:
    """The provisional grid may have counted one epoch too many or too few before the first boundary was reported."""
    amount = amount_of(price)
    if not passage.miscounted or amount is None:
        return outcome
    reason = Reason.BOUNDARY_REPORTED
    if passage.miscounted > 0:
        return correct(outcome, amount=-(amount * passage.miscounted), span=passage.epoch, reason=reason)
    outcome = doubt(outcome, span=passage.epoch, amount=amount * -passage.miscounted, cause=Cause.BOUNDARY_REPORTED)
    return await_total(outcome, resource, reason=reason, span=passage.epoch) if _covers_life(outcome, look) else outcome


def _covers_life(outcome: Outcome, look: Look) -> bool:
    """Whether the ledger holds the whole life of the resource, so that its reported total can be compared with it."""
    created = outcome.state.created_at
    return created is not None and (look.charge_from is None or look.charge_from <= created)


def await_opening_total(outcome: Outcome, resource: Resource, look: Look) -> Outcome:
    """`outcome` waiting for the reported total to decide over an opening that nothing was known of but its times: a GPU
    instance whose detail could not be had at its first sight tells its price and its total later."""
    state = outcome.state
    born, epoch = state.created_at, state.epoch
    if born is None or epoch is None or amount_of(resource.price) is None or not _covers_life(outcome, look):
        return outcome
    if born >= epoch.start or all(span.start != born for span in state.unpriced):
        return outcome
    return await_total(outcome, resource, reason=Reason.OPENING_TOTAL, span=Span(born, epoch.start))


def resume(
    outcome: Outcome,
    resource: Resource,
    look: Look,
    *,
    reported: datetime | None,
    doubtful_since: datetime | None,
    paid_elsewhere: bool = False,
) -> Outcome:
    """`outcome` of a resource that was not charged and is again. Its epoch begins a length before the reported charge
    time, else where the grid says; epochs that began unseen since `doubtful_since` are uncertain. Where another account
    was charged for the present epoch (`paid_elsewhere`), the first charge is the next one."""
    former, length = outcome.state.epoch, look.grid.length
    if former is None:
        start, end = epoch_now(outcome.state, look, reported=reported)
        if resource.created_at is not None and resource.created_at <= look.moment:
            start = max(start, resource.created_at)
    elif reported is not None and nearest_count(reported - former.end, length) <= 0:
        outcome = forget_absence(outcome, since=former.end)
        return go_on(outcome, resource, look, reported=reported, seen_before=look.moment)
    elif reported is None and look.moment < former.end:
        return outcome
    else:
        start, end = epoch_now(outcome.state, look, reported=reported)
        start = max(start, former.end)
        if doubtful_since is not None:  # a boundary nearer to the start of the former epoch than to its end is its own
            doubtful_since = max(doubtful_since, former.end - length / 2)
    price = amount_of(resource.price)
    amount = price if price is not None else amount_of(outcome.state.price)
    outcome = forget_absence(outcome, since=start)
    if doubtful_since is not None:
        for span in epochs_before(end if paid_elsewhere else start, since=doubtful_since, length=length):
            outcome = doubt(outcome, span=span, amount=amount, cause=Cause.BEFORE_FIRST_SIGHT)
    resumed = replace(
        outcome.state,
        phase=Phase.REPORTED if reported is not None else outcome.state.phase,
        run_since=look.moment,
        due_prices=(),
    )
    # Its total at first sight, in an uncharged status, may hold the charge of an epoch that had begun before.
    in_total = former is None and bool(outcome.state.charged) and start < outcome.state.first_seen
    if paid_elsewhere or in_total:
        outcome = close(outcome.then(resumed))
        outcome = outcome.then(replace(outcome.state, epoch=Span(start, end), epoch_charge=None))
    else:
        begun = Begun(Span(start, end), amount, Basis.OBSERVED if price is not None else Basis.INFERRED)
        outcome = begin(outcome.then(resumed), [begun])
    if in_total:
        outcome = doubt(outcome, span=Span(start, end), amount=amount, cause=Cause.BEFORE_FIRST_SIGHT)
        if _covers_life(outcome, look):
            outcome = await_total(outcome, resource, reason=Reason.ENDED_TOTAL, span=Span(start, end))
    return go_on(outcome, resource, look, reported=reported, seen_before=look.moment)


def epoch_now(state: ResourceState, look: Look, *, reported: datetime | None) -> tuple[datetime, datetime]:
    length = look.grid.length
    if reported is not None:
        return reported - length, reported
    if state.phase is Phase.REPORTED and state.epoch is not None:
        start = look.moment - (look.moment - state.epoch.end) % length
        return start, start + length
    span = look.grid.containing(look.moment)
    return span.start, span.end


def epochs_before(start: datetime, *, since: datetime, length: timedelta) -> Iterable[Span]:
    """The epochs in the phase of `start` that began after `since` and before `start`, oldest first."""
    spans = []
    begun = start - length
    while begun > since:
        spans.append(Span(begun, begun + length))
        begun -= length
    return reversed(spans)


def end(outcome: Outcome, resource: Resource, look: Look, *, seen_before: datetime) -> Outcome:
    """`outcome` of a resource seen in an uncharged status after a charged one.

    It is charged through the epoch in which its status changed, where the API says when that was, else through its last
    charged sighting. An epoch that began less than a 24th of its length before the change is uncertain: a provider that
    cannot take a charge ends the resource right after the boundary.
    """
    state, length = outcome.state, look.grid.length
    if resource.generation is Generation.GPU and _was_refunded(state, resource):
        return _refund(outcome, look)
    changed, due = resource.status_changed_at, state.due_prices
    if changed is not None and not seen_before <= changed <= look.answered_at:
        changed = None
    if state.epoch is not None:
        for start in starts_after(state.epoch, length=length, until=changed or look.answered_at):
            span = Span(start, start + length)
            before, now = (state.price, resource.price) if not due else (min(due), max(due))
            amount, above = price_at(start, before=before, now=now, moment=span.end if due else look.moment)
            due = ()
            needed = length / (SHORT_FRAGMENT_BELOW if start > seen_before else LATE_AFTER)
            certain = changed is not None and changed - start > needed and outcome.state.epoch is not None
            if certain and outcome.state.epoch is not None and outcome.state.epoch.end == start:
                outcome = begin(outcome, [Begun(span, amount, Basis.INFERRED)])
                if above:
                    outcome = doubt(outcome, span=span, amount=above, cause=Cause.PRICE_CHANGED_UNSEEN)
            else:
                total = amount + above if amount is not None and above is not None else amount
                outcome = doubt(outcome, span=span, amount=total, cause=Cause.AFTER_LAST_SIGHT)
    outcome = outcome.then(replace(outcome.state, due_prices=()))
    if _covers_life(outcome, look) and outcome.state.doubts and state.epoch is not None:
        # The doubts that it decides begin at different times, so that a later total never takes the row of another.
        begun = min(one.span.start for one in outcome.state.doubts)
        ended = max(begun, changed or look.answered_at)
        outcome = await_total(outcome, resource, reason=Reason.ENDED_TOTAL, span=Span(begun, ended))
    return outcome


def _was_refunded(state: ResourceState, resource: Resource) -> bool:
    return state.status.casefold() == "initialized" and resource.status.casefold() == "failed"


def _refund(outcome: Outcome, look: Look) -> Outcome:
    """A GPU instance that failed before it ran is refunded in full (`fluence-api.md` 5.4)."""
    outcome = give_up_total(outcome)
    state = outcome.state
    begun = state.epoch.start if state.epoch is not None else state.first_seen
    span = Span(min(begun, look.moment), look.moment)
    outcome = correct(outcome, amount=-state.charged, span=span, reason=Reason.REFUND)
    return outcome.then(replace(outcome.state, doubts=(), unpriced=()))


def forget_absence(outcome: Outcome, *, since: datetime) -> Outcome:
    """`outcome` of a resource that is there after all, so that epochs from `since` on are judged anew."""
    kept = tuple(
        one for one in outcome.state.doubts if one.cause is not Cause.AFTER_LAST_SIGHT or one.span.start < since
    )
    return outcome.then(replace(outcome.state, doubts=kept))
