"""The first sight of a resource: what it has cost before anybody looked (`design.md` 3.1 "Opening").

Where the API gives a creation time, epochs are charged back to it; a positive total that the provider reports decides
over that count (`settlement.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from fluence_costwatch.core.billing.booking import Begun, Look, Outcome, amount_of, begin, correct, doubt
from fluence_costwatch.core.billing.boundaries import SHORT_FRAGMENT_BELOW
from fluence_costwatch.core.billing.history import Basis, Cause, Phase, Reason, ResourceState
from fluence_costwatch.core.billing.settlement import await_total
from fluence_costwatch.core.epochs import Span, first_in_phase_after
from fluence_costwatch.core.money import ZERO
from fluence_costwatch.core.resources import Generation, Resource


def first_state(resource: Resource, look: Look) -> ResourceState:
    """What is remembered of a resource that has just been seen for the first time; nothing is charged yet."""
    return ResourceState(
        identity=resource.identity,
        kind=resource.kind,
        generation=resource.generation,
        created_at=resource.created_at,
        first_seen=look.moment,
        status=resource.status,
        price=resource.price,
        grid=look.grid,
    )


@dataclass(frozen=True, slots=True)
class _Life:
    """The epochs of a life as they are known at its first sight: the open one, those before it, and any first fragment
    of which it cannot be seen whether it was an epoch at all."""

    open: Span
    before: tuple[Span, ...]
    fragment: Span | None


def open_life(outcome: Outcome, resource: Resource, look: Look, *, reported: datetime | None) -> Outcome:
    """`outcome` with the epoch open at the first sight charged, and those before it back to creation, `inferred`.

    `reported` is the charge time that the API gives, if it can be believed. Without a creation time, epochs that may
    have begun since the former list are uncertain.
    """
    born = resource.created_at if resource.created_at is not None and resource.created_at <= look.moment else None
    life = _life(resource, look, born=born, reported=reported)
    wanted = look.charge_from
    amount = amount_of(resource.price)
    opened = replace(
        outcome.state,
        billed=True,
        phase=Phase.REPORTED if reported is not None else Phase.GRID,
        run_since=born or look.moment,
    )
    basis = Basis.OBSERVED if look.moment in life.open or life.open.start > look.moment else Basis.INFERRED
    before = [Begun(span, amount, Basis.INFERRED) for span in life.before if wanted is None or span.end > wanted]
    outcome = begin(outcome.then(opened), [*before, Begun(life.open, amount, basis)])
    if life.fragment is not None and (wanted is None or life.fragment.end > wanted):
        outcome = doubt(outcome, span=life.fragment, amount=amount, cause=Cause.FIRST_FRAGMENT)
    if resource.created_at is None:
        for span in _since_former_list(life.open, look, reported=reported):
            outcome = doubt(outcome, span=span, amount=amount, cause=Cause.BEFORE_FIRST_SIGHT)
    whole_life = born is not None and (wanted is None or wanted <= born)
    if whole_life and born is not None and born < life.open.start:
        outcome = await_total(outcome, resource, reason=Reason.OPENING_TOTAL, span=Span(born, life.open.start))
    return outcome


def _life(resource: Resource, look: Look, *, born: datetime | None, reported: datetime | None) -> _Life:
    length = look.grid.length
    if reported is not None:
        earliest = reported - length
        if born is None:
            start = look.moment if look.moment < reported else earliest
        else:
            start = max(born, earliest)
        opened = Span(start, reported)
    elif born is not None:
        start = max(born, look.grid.at_or_before(look.moment))
        opened = Span(start, look.grid.after(start))
    elif resource.created_at is not None:
        opened = Span(look.moment, look.grid.after(look.moment))
    else:
        opened = look.grid.containing(look.moment)
    if born is None:
        return _Life(opened, (), None)
    before = tuple(_back_to(born, opened.start, look=look))[::-1]
    counts = reported is None or resource.generation is Generation.GPU
    if before and not counts and before[0].length * SHORT_FRAGMENT_BELOW < length:
        return _Life(opened, before[1:], before[0])
    return _Life(opened, before, None)


def _back_to(born: datetime, boundary: datetime, *, look: Look) -> Iterator[Span]:
    """The epochs before `boundary`, newest first; the last one begins at `born`."""
    end = boundary
    while end > born:
        start = max(born, end - look.grid.length)
        yield Span(start, end)
        end = start


def _since_former_list(opened: Span, look: Look, *, reported: datetime | None) -> Iterator[Span]:
    """The epochs that ended between the former list and the open epoch: a resource that nobody has seen in them may
    have been there."""
    if look.since_list is None:
        return
    length = look.grid.length
    boundary = opened.start if reported is None else reported
    end = first_in_phase_after(look.since_list, boundary=boundary, length=length)
    while end <= opened.start:
        yield Span(end - length, end)
        end += length


def open_ended(outcome: Outcome, resource: Resource, look: Look) -> Outcome:
    """`outcome` of a resource first seen in an uncharged status: one row that equals its reported total, nothing else."""
    reported = resource.total_spent
    ended = resource.status_changed_at or look.moment
    begun = resource.created_at if resource.created_at is not None else ended
    if reported is None or reported <= ZERO or look.charge_from is not None:
        return outcome
    return correct(outcome, amount=reported, span=Span(begun, max(begun, ended)), reason=Reason.OPENING_TOTAL)
