"""The ledger: from one snapshot to the next, what every resource is charged (`design.md` 3.1).

`remember` and `retire` are the only ways in which history changes, so that replaying the same snapshots gives the same
ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import chain

from fluence_costwatch.core.alerts.findings import Finding
from fluence_costwatch.core.billing.absence import absent, retired
from fluence_costwatch.core.billing.booking import Look, Outcome, amount_of
from fluence_costwatch.core.billing.boundaries import starts_after
from fluence_costwatch.core.billing.history import (
    Cause,
    Charge,
    Doubt,
    History,
    ListState,
    Presence,
    ResourceState,
    Snapshot,
    Step,
    Verdict,
    accepted,
    judge_list,
    seen_last,
)
from fluence_costwatch.core.billing.metering import is_metered, open_charge, uncertain_since
from fluence_costwatch.core.billing.sightings import seen
from fluence_costwatch.core.epochs import UTC_HOURS, Span
from fluence_costwatch.core.money import ZERO, Usd, total
from fluence_costwatch.core.resources import Generation


def remember(
    history: History,
    snapshot: Snapshot,
    *,
    claimed_elsewhere: Mapping[str, str],
    deleted_by_us: frozenset[str] = frozenset(),
) -> Step:
    """What `snapshot` makes of `history`: who is there, what was charged, what is uncertain, what to tell."""
    last = history.lists.get(snapshot.generation)
    verdict = judge_list(last, snapshot, deleted_by_us=deleted_by_us)
    if last is not None and verdict is Verdict.SUSPICIOUS:
        return _set_aside(history, last, snapshot)
    believed = accepted(last, snapshot, charge_from=snapshot.judgement.charge_from)
    look = Look(
        moment=snapshot.sent_at,
        answered_at=snapshot.answered_at,
        grid=UTC_HOURS if snapshot.generation is Generation.GPU else snapshot.judgement.grid,
        confirm_absence=snapshot.judgement.confirm_absence,
        since_list=last.sent_at if last is not None else None,
        charge_from=believed.charge_from,
    )
    outcomes = _seen(history, snapshot, look, claimed_elsewhere) | _absent(history, snapshot, look)
    return Step(
        history=replace(
            history,
            lists={**history.lists, snapshot.generation: believed},
            resources={**history.resources, **{key: outcome.state for key, outcome in outcomes.items()}},
            has_past=True,
        ),
        verdict=verdict,
        charges=tuple(chain.from_iterable(outcome.charges for outcome in outcomes.values())),
        findings=tuple(chain.from_iterable(outcome.findings for outcome in outcomes.values())),
    )


def _seen(history: History, snapshot: Snapshot, look: Look, claimed_elsewhere: Mapping[str, str]) -> dict[str, Outcome]:
    outcomes = {}
    for resource in snapshot.resources:
        key = resource.identity.id
        state = history.resources.get(key)
        if state is not None and _belongs_to_another(state, history, snapshot):
            continue
        outcomes[key] = seen(
            state,
            resource,
            look,
            seen_before=None if state is None else seen_last(state, history.lists),
            claimed_by=claimed_elsewhere.get(key),
        )
    return outcomes


def _belongs_to_another(state: ResourceState, history: History, snapshot: Snapshot) -> bool:
    """Whether an id that several generations show is charged under one that the account lists earlier."""
    owner = history.lists.get(state.generation)
    return (
        state.generation is not snapshot.generation
        and owner is not None
        and owner.rank < snapshot.judgement.rank
        and state.presence is not Presence.GONE
    )


def _absent(history: History, snapshot: Snapshot, look: Look) -> dict[str, Outcome]:
    ids = snapshot.ids
    return {
        key: absent(state, look, seen_before=seen_last(state, history.lists))
        for key, state in history.resources.items()
        if state.generation is snapshot.generation and state.presence is not Presence.GONE and key not in ids
    }


def _set_aside(history: History, last: ListState, snapshot: Snapshot) -> Step:
    """A suspicious list changes nothing but the note of what it lacked, and since when; it is told as it begins."""
    ids = snapshot.ids
    noted = {
        key: replace(state, absent_since=None if key in ids else state.absent_since or snapshot.answered_at)
        for key, state in history.resources.items()
        if state.generation is snapshot.generation and state.presence is Presence.PRESENT
    }
    doubted = replace(last, suspicious_since=last.suspicious_since or snapshot.sent_at)
    told = Finding(
        kind="suspicious",
        severity="warning",
        account=history.account,
        resource_id=None,
        summary=f"The {snapshot.generation} list of account {history.account!r} lacks {len(last.ids - ids)} of "
        f"{len(last.ids)} resources. Nothing is concluded from it unless it stays so for "
        f"{snapshot.judgement.confirm_suspicious}.",
        rule=snapshot.generation.value,
        means="What it lacks counts as uncertain meanwhile, and nothing is deleted.",
        advice="Compare the marketplace's own page with `fluence-costwatch vms`.",
    )
    return Step(
        history=replace(
            history,
            lists={**history.lists, snapshot.generation: doubted},
            resources={**history.resources, **noted},
        ),
        verdict=Verdict.SUSPICIOUS,
        findings=(told,) if last.suspicious_since is None else (),
    )


def retire(history: History, generation: Generation) -> Step:
    """`history` after `generation` was taken out of the configuration: its open epochs close, nothing more is charged."""
    outcomes = {
        key: retired(state, seen_before=seen_last(state, history.lists))
        for key, state in history.resources.items()
        if state.generation is generation and not state.retired
    }
    return Step(
        history=replace(
            history,
            lists={key: kept for key, kept in history.lists.items() if key is not generation},
            resources={**history.resources, **{key: outcome.state for key, outcome in outcomes.items()}},
        ),
        verdict=Verdict.ACCEPTED,
        charges=tuple(chain.from_iterable(outcome.charges for outcome in outcomes.values())),
    )


def adjust(history: History, adjustments: Iterable[Charge]) -> Step:
    """`history` with `adjustments` added to the ledger: `reported` rows that an operator asked for.

    An adjustment of a resource that nobody has seen is left out.
    """
    rows = [row for row in adjustments if row.identity.id in history.resources]
    resources = dict(history.resources)
    for row in rows:
        state = resources[row.identity.id]
        resources[row.identity.id] = replace(state, charged=state.charged + row.amount)
    return Step(replace(history, resources=resources), Verdict.ACCEPTED, charges=tuple(rows))


def charged_total(state: ResourceState) -> Usd:
    """The sum of the rows that are written: the open epoch of a prepaid resource and a pending adjustment included, the
    open row of a metered one (`metering.open_charge`) not."""
    return state.charged + (state.settling.adjustment if state.settling is not None else ZERO)


def spent_total(state: ResourceState, *, seen: datetime) -> Usd:
    """All that the resource, last seen at `seen`, has been charged: what is written and the open row."""
    open_row = open_charge(state, seen=seen)
    return charged_total(state) + (open_row.amount if open_row is not None else ZERO)


def doubts_of(state: ResourceState, *, now: datetime, seen: datetime | None = None) -> tuple[Doubt, ...]:
    """Every present doubt by `now`, epochs that began unseen and an unconfirmed total included; oldest first.

    `seen` is the last sighting; without it the whole open row of a metered resource is doubtful.
    """
    doubts = list(state.doubts)
    if state.settling is not None and state.settling.uncertain:
        doubts.append(Doubt(state.settling.span, state.settling.uncertain, Cause.TOTAL_UNCONFIRMED))
    if is_metered(state.generation):
        doubts.extend(_unseen_time(state, seen=seen, now=now))
    elif is_charged_on(state) and state.epoch is not None:
        length = state.grid.length
        amount = max((amount_of(price) for price in state.due_prices), key=_or_zero, default=amount_of(state.price))
        for start in starts_after(state.epoch, length=length, until=now):
            doubts.append(Doubt(Span(start, start + length), amount, Cause.UNSEEN))
            amount = amount_of(state.price)
    return tuple(sorted(doubts, key=lambda one: one.span))


def _unseen_time(state: ResourceState, *, seen: datetime | None, now: datetime) -> Iterable[Doubt]:
    since = seen if seen is not None else state.epoch.start if state.epoch is not None else now
    unseen = uncertain_since(state, seen=since, now=now)
    return () if unseen is None else (Doubt(*unseen, Cause.UNSEEN),)


def _or_zero(amount: Usd | None) -> Usd:
    return ZERO if amount is None else amount


def is_charged_on(state: ResourceState) -> bool:
    """Whether further epochs are charged unless something changes: in a charged status, and not known to be gone."""
    return state.billed and state.presence is not Presence.GONE and not state.retired


def uncertain_total(state: ResourceState, *, now: datetime, seen: datetime | None = None) -> Usd:
    """All that the bill may hold on top of the total by `now`, epochs that began unseen included."""
    return total(one.amount for one in doubts_of(state, now=now, seen=seen) if one.amount is not None)


def is_at_least(state: ResourceState) -> bool:
    """Whether the total lacks epochs whose price is not known, so that it can only be given as "at least"."""
    return bool(state.unpriced) or any(one.amount is None for one in state.doubts)
