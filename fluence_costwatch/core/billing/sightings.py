"""One resource in one believed list: what seeing it makes of what is remembered (`design.md` 3.1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from fluence_costwatch.core.billing import metering, prepaid
from fluence_costwatch.core.billing.absence import leave
from fluence_costwatch.core.billing.booking import (
    Begun,
    Look,
    Outcome,
    amount_of,
    begin,
    close,
    doubt,
    in_words,
    move_end,
    price_unpriced,
    tell,
)
from fluence_costwatch.core.billing.boundaries import (
    is_long_past,
    is_plausible,
)
from fluence_costwatch.core.billing.history import Basis, Cause, Phase, Presence, ResourceState, altered
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.billing.opening import first_state, open_ended, open_life
from fluence_costwatch.core.billing.settlement import give_up_total, watch_total
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Resource, is_charged, is_recognised

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
            outcome = prepaid.go_on(
                open_life(outcome, resource, look, reported=reported), resource, look, reported=reported
            )
        elif claimed_by is None:
            outcome = open_ended(outcome, resource, look)
        former = None
    else:
        former = state
        outcome = Outcome(
            altered(
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
        altered(
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
    if created == resource.created_at and len(problems) == len(resource.problems):
        return resource, reported
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
        outcome = prepaid.await_opening_total(outcome, resource, look)
    outcome = price_unpriced(outcome, resource.price)
    if former.presence is Presence.GONE and former.billed and former.epoch is not None:
        outcome = prepaid.forget_absence(outcome, since=former.epoch.end)
    if charged and former.billed and not counted_elsewhere:
        return prepaid.go_on(outcome, resource, look, reported=reported, seen_before=seen_before)
    if charged:
        return prepaid.resume(
            outcome,
            resource,
            look,
            reported=reported,
            doubtful_since=None if former.retired else seen_before,
            paid_elsewhere=former.charged_under is not None and not former.retired,
        )
    if former.billed and not counted_elsewhere:
        return prepaid.end(outcome, resource, look, seen_before=seen_before)
    return outcome


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
        outcome = prepaid.forget_absence(outcome, since=former.epoch.start)
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
    outcome = leave(outcome, former, look, seen_before=seen_before, until=former.absent_since or look.answered_at)
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
    begun, end = prepaid.epoch_now(replace(outcome.state, phase=Phase.GRID), look, reported=reported)
    if doubtful_since is not None:
        for span in prepaid.epochs_before(begun, since=max(doubtful_since, start), length=look.grid.length):
            outcome = doubt(outcome, span=span, amount=amount_of(price), cause=Cause.BEFORE_FIRST_SIGHT)
    begun = max(begun, start) if written is not None else begun
    if begun < end and former.charged_under is None:
        outcome = begin(outcome, [Begun(Span(begun, end), amount_of(price), Basis.OBSERVED)])
    return prepaid.go_on(outcome, resource, look, reported=reported, seen_before=look.moment)


def _end_life(outcome: Outcome, former: ResourceState, look: Look, *, at: datetime, seen_before: datetime) -> Outcome:
    """`outcome` with the former life over: it is charged through its last sighting and uncertain from there to the
    creation of the next, and its last epoch is cut so that the next one cannot overlap it."""
    outcome = leave(outcome, former, look, seen_before=min(seen_before, at), until=at)
    outcome = prepaid.forget_absence(give_up_total(outcome), since=at)
    epoch = outcome.state.epoch
    if epoch is not None:
        outcome = close(move_end(outcome, min(epoch.end, at)))
    return outcome.then(replace(outcome.state, epoch=None, epoch_charge=None, due_prices=()))


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
            rule="charged_elsewhere",
            means="Both accounts show it; it is counted once, under the first.",
            advice="Watch it through one account only.",
        )
    return outcome
