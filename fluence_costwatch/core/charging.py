"""One resource at one look: seen in a charged status, seen in an uncharged one, or absent (`design.md` 3.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from fluence_costwatch.core import metering
from fluence_costwatch.core.booking import (
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
    price_unpriced,
    tell,
)
from fluence_costwatch.core.boundaries import (
    LATE_AFTER,
    SHORT_FRAGMENT_BELOW,
    Began,
    Passage,
    first_report,
    is_long_past,
    is_plausible,
    passage_on_grid,
    passage_reported,
    passage_unreported,
    starts_after,
)
from fluence_costwatch.core.epochs import Span, nearest_count
from fluence_costwatch.core.history import Basis, Cause, Phase, Presence, Reason, ResourceState
from fluence_costwatch.core.metering import is_metered
from fluence_costwatch.core.opening import first_state, open_ended, open_life
from fluence_costwatch.core.resources import Generation, Resource, is_charged, is_recognised
from fluence_costwatch.core.settlement import await_total, give_up_total, watch_total

# A creation time further back than this many epochs is not believed: charging back to it would invent a bill.
LONGEST_LIFE_IN_EPOCHS: Final = 50_000


def seen(
    state: ResourceState | None,
    resource: Resource,
    look: Look,
    *,
    seen_before: datetime | None,
    claimed_by: str | None,
) -> Outcome:
    """What seeing `resource` at `look` makes of its `state` (None: never seen).

    `seen_before` is its last sighting. `claimed_by` is the account that charges this id already, if another one does:
    then it is not charged here.
    """
    resource, reported = _believable(resource, look, once_reported=state is not None and state.phase is Phase.REPORTED)
    charged = is_charged(resource.status, resource.generation) and claimed_by is None
    if state is None or seen_before is None:
        outcome = Outcome(first_state(resource, look))
        if is_metered(resource.generation) and claimed_by is None:
            outcome = metering.first_sight(outcome, resource, look, charged=charged)
        elif charged:
            outcome = go_on(open_life(outcome, resource, look, reported=reported), resource, look, reported=reported)
        elif claimed_by is None:
            outcome = open_ended(outcome, resource, look)
        former = None
    else:
        former = state
        outcome = Outcome(
            replace(
                state,
                generation=resource.generation,
                presence=Presence.PRESENT,
                absences=0,
                absent_since=None,
                last_seen=None,
                retired=False,
            )
        )
        outcome = _known(outcome, former, resource, look, charged=charged, seen_before=seen_before, reported=reported)
    outcome = _tell_news(outcome, former, resource, claimed_by=claimed_by)
    outcome = outcome.then(
        replace(
            outcome.state,
            charged_under=claimed_by,
            status=resource.status,
            billed=charged,
            price=resource.price if _is_known(resource) else outcome.state.price,
            problems=resource.problems,
            grid=look.grid,
        )
    )
    return watch_total(outcome, resource, moment=look.moment, length=look.grid.length)


def _is_known(resource: Resource) -> bool:
    """Whether the price can be charged: a prepaid one must be whole micro-dollars, a metered one is multiplied."""
    return resource.price is not None and (is_metered(resource.generation) or amount_of(resource.price) is not None)


def _believable(resource: Resource, look: Look, *, once_reported: bool) -> tuple[Resource, datetime | None]:
    """`resource` without a creation time that cannot be right, and its charge time if that can be.

    A charge time may be stuck for days, but only of a resource that is known to have been there: a creation before it
    says so, or that charge times were reported before.
    """
    problems = list(resource.problems)
    created, reported = resource.created_at, resource.next_charge_at
    length = look.grid.length
    if created is not None and (look.moment - created) / length > LONGEST_LIFE_IN_EPOCHS:
        problems.append(f"created_at: {created} is too long ago to be believed")
        created = None
    if reported is not None and not is_plausible(reported, moment=look.moment, length=length):
        problems.append("next_charge_at: lies more than an epoch ahead")
        reported = None
    if reported is not None and created is not None and reported <= created:
        problems.append("next_charge_at: is not later than the creation")
        reported = None
    if reported is not None and created is None and not once_reported and is_long_past(reported, look.moment, length):
        problems.append("next_charge_at: lies more than an epoch back")
        reported = None
    return replace(resource, created_at=created, problems=tuple(problems)), reported


def _known(
    outcome: Outcome,
    former: ResourceState,
    resource: Resource,
    look: Look,
    *,
    charged: bool,
    seen_before: datetime,
    reported: datetime | None,
) -> Outcome:
    """What seeing a resource again makes of it; `former` is its state before this look."""
    created = resource.created_at
    if created is not None and _is_another_life(former, created, moment=look.moment):
        outcome = _end_life(outcome, former, look, at=min(created, look.moment), seen_before=seen_before)
        outcome = outcome.then(replace(outcome.state, created_at=created))
        if is_metered(resource.generation):
            return metering.first_sight(outcome, resource, look, charged=charged)
        return open_life(outcome, resource, look, reported=reported) if charged else open_ended(outcome, resource, look)
    counted_elsewhere = former.retired or former.charged_under is not None
    if is_metered(resource.generation) is not is_metered(former.generation):
        return _change_terms(
            outcome, former, resource, look, charged=charged, seen_before=seen_before, reported=reported
        )
    if is_metered(resource.generation):
        return _known_metered(
            outcome,
            former,
            resource,
            look,
            charged=charged,
            seen_before=seen_before,
            counted_elsewhere=counted_elsewhere,
        )
    if charged and former.billed and not counted_elsewhere:
        outcome = _await_opening_total(outcome, resource, look)
    outcome = price_unpriced(outcome, resource.price)
    if former.presence is Presence.GONE and former.billed and former.epoch is not None:
        outcome = _forget_absence(outcome, since=former.epoch.end)
    if charged and former.billed and not counted_elsewhere:
        return go_on(outcome, resource, look, reported=reported, seen_before=seen_before)
    if charged:
        return _resume(
            outcome,
            resource,
            look,
            reported=reported,
            doubtful_since=None if former.retired else seen_before,
            paid_elsewhere=former.charged_under is not None and not former.retired,
        )
    if former.billed and not counted_elsewhere:
        return _end(outcome, resource, look, seen_before=seen_before)
    return outcome


def _await_opening_total(outcome: Outcome, resource: Resource, look: Look) -> Outcome:
    """`outcome` waiting for the reported total to decide over an opening that nothing was known of but its times: a GPU
    instance whose detail could not be had at its first sight tells its price and its total later."""
    state = outcome.state
    born, epoch = state.created_at, state.epoch
    if born is None or epoch is None or amount_of(resource.price) is None or not _covers_life(outcome, look):
        return outcome
    if born >= epoch.start or all(span.start != born for span in state.unpriced):
        return outcome
    return await_total(outcome, resource, reason=Reason.OPENING_TOTAL, span=Span(born, epoch.start))


def _known_metered(
    outcome: Outcome,
    former: ResourceState,
    resource: Resource,
    look: Look,
    *,
    charged: bool,
    seen_before: datetime,
    counted_elsewhere: bool,
) -> Outcome:
    """What seeing a metered resource again makes of it."""
    was_charged = former.billed and not counted_elsewhere
    if former.presence is Presence.GONE and was_charged and former.epoch is not None:
        outcome = _forget_absence(outcome, since=former.epoch.start)
    if charged and was_charged:
        return metering.go_on(outcome, resource, look, seen_before=seen_before)
    if charged:
        return metering.resume(outcome, resource, look, doubtful_since=None if counted_elsewhere else seen_before)
    if was_charged:
        return metering.end(outcome, resource, look, seen_before=seen_before)
    return outcome


def _is_another_life(former: ResourceState, created: datetime, *, moment: datetime) -> bool:
    """Whether the id came back as another machine: absent meanwhile, and created at another time, later than the
    newest epoch of the former one began (or ended, where its row is closed)."""
    if former.presence is Presence.PRESENT or former.created_at is None or former.created_at == created:
        return False
    if former.epoch is None:
        return True
    closed = former.epoch_charge is not None and former.epoch_charge.closed
    begun = min(created, moment)  # by clocks that differ it may be created a little later than it is seen
    return former.epoch.end <= begun if closed else former.epoch.start < begun


def _change_terms(
    outcome: Outcome,
    former: ResourceState,
    resource: Resource,
    look: Look,
    *,
    charged: bool,
    seen_before: datetime,
    reported: datetime | None,
) -> Outcome:
    """`outcome` of a prepaid resource that is metered now, or the other way round, as its id went over to another
    generation: what it was charged by the former terms ends, and the new ones begin no earlier than that ends.

    The new terms may have been in force since the last sighting, which is uncertain. A total of the whole life can no
    longer be compared with what one of the terms has cost, so its creation is forgotten.
    """
    price = resource.price if _is_known(resource) else None
    outcome = _leave(outcome, former, look, seen_before=seen_before, until=former.absent_since or look.answered_at)
    outcome = close(give_up_total(outcome))
    for span in outcome.state.unpriced:
        outcome = doubt(outcome, span=span, amount=None, cause=Cause.UNSEEN)
    written = outcome.state.epoch
    start = look.moment if written is None else written.end
    outcome = outcome.then(
        replace(
            outcome.state,
            created_at=None,
            price=price,
            phase=Phase.GRID if reported is None else Phase.REPORTED,
            run_since=look.moment,
            epoch=Span(start, start),
            epoch_charge=None,
            unpriced=(),
            due_prices=(),
        )
    )
    doubtful_since = None if former.retired or not charged else seen_before
    if is_metered(resource.generation):
        return metering.resume(outcome, resource, look, doubtful_since=doubtful_since) if charged else outcome
    if not charged:
        return outcome
    begun, end = _epoch_now(replace(outcome.state, phase=Phase.GRID), look, reported=reported)
    if doubtful_since is not None:
        for span in _before(begun, since=max(doubtful_since, start), length=look.grid.length):
            outcome = doubt(outcome, span=span, amount=amount_of(price), cause=Cause.BEFORE_FIRST_SIGHT)
    begun = max(begun, start) if written is not None else begun
    if begun < end and former.charged_under is None:
        outcome = begin(outcome, [Begun(Span(begun, end), amount_of(price), Basis.OBSERVED)])
    return go_on(outcome, resource, look, reported=reported, seen_before=look.moment)


def _end_life(outcome: Outcome, former: ResourceState, look: Look, *, at: datetime, seen_before: datetime) -> Outcome:
    """`outcome` with the former life over: it is charged through its last sighting and uncertain from there to the
    creation of the next, and its last epoch is cut so that the next one cannot overlap it."""
    outcome = _leave(outcome, former, look, seen_before=min(seen_before, at), until=at)
    outcome = _forget_absence(give_up_total(outcome), since=at)
    epoch = outcome.state.epoch
    if epoch is not None:
        outcome = close(move_end(outcome, min(epoch.end, at)))
    return outcome.then(replace(outcome.state, epoch=None, epoch_charge=None, due_prices=()))


def _forget_absence(outcome: Outcome, *, since: datetime) -> Outcome:
    """`outcome` of a resource that is there after all, so that epochs from `since` on are judged anew."""
    kept = tuple(
        one for one in outcome.state.doubts if one.cause is not Cause.AFTER_LAST_SIGHT or one.span.start < since
    )
    return outcome.then(replace(outcome.state, doubts=kept))


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
    outcome = outcome.then(replace(outcome.state, phase=passage.phase))
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
        return outcome.then(replace(state, due_prices=()))
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


def _resume(
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
        start, end = _epoch_now(outcome.state, look, reported=reported)
        if resource.created_at is not None and resource.created_at <= look.moment:
            start = max(start, resource.created_at)
    elif reported is not None and nearest_count(reported - former.end, length) <= 0:
        outcome = _forget_absence(outcome, since=former.end)
        return go_on(outcome, resource, look, reported=reported, seen_before=look.moment)
    elif reported is None and look.moment < former.end:
        return outcome
    else:
        start, end = _epoch_now(outcome.state, look, reported=reported)
        start = max(start, former.end)
        if doubtful_since is not None:  # a boundary nearer to the start of the former epoch than to its end is its own
            doubtful_since = max(doubtful_since, former.end - length / 2)
    price = amount_of(resource.price)
    amount = price if price is not None else amount_of(outcome.state.price)
    outcome = _forget_absence(outcome, since=start)
    if doubtful_since is not None:
        for span in _before(end if paid_elsewhere else start, since=doubtful_since, length=length):
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


def _epoch_now(state: ResourceState, look: Look, *, reported: datetime | None) -> tuple[datetime, datetime]:
    length = look.grid.length
    if reported is not None:
        return reported - length, reported
    if state.phase is Phase.REPORTED and state.epoch is not None:
        start = look.moment - (look.moment - state.epoch.end) % length
        return start, start + length
    span = look.grid.containing(look.moment)
    return span.start, span.end


def _before(start: datetime, *, since: datetime, length: timedelta) -> Iterable[Span]:
    """The epochs in the phase of `start` that began after `since` and before `start`, oldest first."""
    spans = []
    begun = start - length
    while begun > since:
        spans.append(Span(begun, begun + length))
        begun -= length
    return reversed(spans)


def _end(outcome: Outcome, resource: Resource, look: Look, *, seen_before: datetime) -> Outcome:
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


def absent(state: ResourceState, look: Look, *, seen_before: datetime) -> Outcome:
    """What a believed list without the resource makes of it: missing, and gone after enough of them in a row.

    Of one that is gone, the epochs that began between its last sighting and its first absence stay uncertain.
    """
    since = state.absent_since or look.answered_at
    absences = state.absences + 1
    gone = absences >= look.confirm_absence
    outcome = Outcome(
        replace(
            state,
            presence=Presence.GONE if gone else Presence.MISSING,
            absences=absences,
            absent_since=since,
            last_seen=seen_before,
        )
    )
    if not gone:
        return outcome
    outcome = _leave(outcome, state, look, seen_before=seen_before, until=since)
    return outcome if is_metered(state.generation) else give_up_total(outcome)


def _leave(outcome: Outcome, former: ResourceState, look: Look, *, seen_before: datetime, until: datetime) -> Outcome:
    """`outcome` of a resource whose `former` state goes on no more: it is charged through its last sighting, and what
    began between that and `until` is uncertain. Nothing is left to do for one that was gone or not charged here."""
    if former.presence is Presence.GONE or former.retired or former.charged_under is not None:
        return outcome
    if is_metered(former.generation):
        return metering.leave(outcome, look, seen_before=seen_before, until=until)
    if former.billed and former.epoch is not None:
        price = max(former.due_prices, default=former.price)
        for start in starts_after(former.epoch, length=former.grid.length, until=until):
            span = Span(start, start + former.grid.length)
            outcome = doubt(outcome, span=span, amount=amount_of(price), cause=Cause.AFTER_LAST_SIGHT)
            price = former.price
    return outcome


def retired(state: ResourceState, *, seen_before: datetime) -> Outcome:
    """What taking its generation out of the configuration makes of a resource: nothing more is charged or uncertain."""
    outcome = close(give_up_total(Outcome(state)))
    if is_metered(state.generation):
        outcome = metering.stop(outcome, at=seen_before)
    return outcome.then(replace(outcome.state, retired=True, presence=Presence.GONE, last_seen=seen_before))


def _tell_news(
    outcome: Outcome, former: ResourceState | None, resource: Resource, *, claimed_by: str | None
) -> Outcome:
    """What an operator should hear of this sighting that the former one did not tell."""
    for problem in resource.problems:
        if former is None or problem not in former.problems:
            kind = "price" if problem.startswith("price") else "status"
            outcome = tell(
                outcome, kind, "warning", f"{in_words(resource)}: {problem}. That value is unknown, not zero."
            )
    if not is_recognised(resource.status, resource.generation) and (former is None or former.status != resource.status):
        outcome = tell(
            outcome,
            "status",
            "warning",
            f"{in_words(resource)} has the unrecognised status {resource.status!r}. It is charged as if it ran.",
        )
    if claimed_by is not None and (former is None or former.charged_under != claimed_by):
        outcome = tell(
            outcome,
            "drift",
            "warning",
            f"{in_words(resource)} is charged under account {claimed_by!r} already, so it is not charged here again.",
        )
    return outcome
