"""A resource that a believed list lacks, or that is no longer watched (`design.md` 3.1 "Absence", "Accounts")."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fluence_costwatch.core.billing import metering
from fluence_costwatch.core.billing.booking import (
    Look,
    Outcome,
    amount_of,
    close,
    doubt,
)
from fluence_costwatch.core.billing.boundaries import (
    starts_after,
)
from fluence_costwatch.core.billing.history import Cause, Presence, ResourceState
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.billing.settlement import give_up_total
from fluence_costwatch.core.epochs import Span


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
    outcome = leave(outcome, state, look, seen_before=seen_before, until=since)
    return outcome if is_metered(state.generation) else give_up_total(outcome)


def leave(outcome: Outcome, former: ResourceState, look: Look, *, seen_before: datetime, until: datetime) -> Outcome:
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
