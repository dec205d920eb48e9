"""What is to become of every deletion in one cycle: proposed, told, moved, withdrawn, proven (`design.md` section 7).

Nothing here calls anybody. A deletion is called for by `deleting.py`, which asks every guard again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.billing.twins import twins_of
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.deletion.budget_deletions import Choice, choices
from fluence_costwatch.core.deletion.deletions import (
    AWAITING,
    COSTWATCH,
    LIVE,
    Deletion,
    DeletionPolicy,
    DeletionState,
    Ground,
    Kept,
    Lease,
    Mode,
    Transition,
    Veto,
    moved,
    noted,
)
from fluence_costwatch.core.deletion.grounds import (
    MACHINES,
    RECLAIM_RULE,
    RELEASE_RULE,
    Situation,
    breaches,
    ground_by,
    is_over,
    verdict_on,
)
from fluence_costwatch.core.deletion.guards import CLOCKS_MAY_DIFFER_BY
from fluence_costwatch.core.deletion.outcomes import outcome_of
from fluence_costwatch.core.deletion.protection import Keeping, namesakes_of, newly_kept
from fluence_costwatch.core.deletion.timing import execute_at, measured_latency, moment_for, pace_of
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.idle.rules import Action, Rule
from fluence_costwatch.core.known import KnownAccount, KnownResource
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow
from fluence_costwatch.core.messages.wording import money, span
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.core.views.fleet import burn_per_day

Planned = tuple[Deletion, DeletionState | None]
"""A deletion as it is to be stored, and the state that it must still be in (None: it is new)."""

# After a deletion that failed, whatever stopped it may stop the next one; a person was told.
REST_AFTER_FAILURE: Final = timedelta(hours=24)


class Remembered(Protocol):
    """The parts of what is remembered that deletions rest on (`ports.Reading`)."""

    def accounts(self) -> Sequence[KnownAccount]: ...
    def resources(self, *, gone: bool = True) -> Sequence[KnownResource]: ...
    def deletions(self, *, states: Iterable[DeletionState] | None = None) -> Sequence[Deletion]: ...
    def vetoes(self) -> Sequence[Veto]: ...
    def leases(self) -> Mapping[Identity, Lease]: ...
    def kept(self) -> Mapping[Identity, Kept]: ...
    def released(self) -> Mapping[Identity, tuple[str | None, ...]]: ...
    def silences(self) -> Sequence[Silence]: ...
    def outbox(self, *, states: Iterable[Delivery] | None = None, target: str | None = None) -> Sequence[OutboxRow]: ...


def situation_of(
    known: Remembered,
    *,
    policy: DeletionPolicy,
    rules: Sequence[Rule],
    configured: Iterable[tuple[str, Generation]],
    clocks: Mapping[tuple[Identity, str], IdleClock],
    statuses: Sequence[BudgetStatus],
    patience: timedelta,
    confirm_suspicious: timedelta,
    now: datetime,
) -> Situation:
    """What bears on deletions now. `clocks` are those after this turn, `configured` the generations that the configuration
    names itself. What is seen under a protected name is kept from this very turn on."""
    records = known.resources()
    by_identity = {record.state.identity: record for record in records}
    deletions = tuple(known.deletions())
    keeping = Keeping(
        protect=policy.protect,
        kept=known.kept(),
        released=known.released(),
        leases=known.leases(),
        silences=tuple(known.silences()),
        namesakes=namesakes_of(by_identity),
    )
    new = {kept.identity: kept for kept in newly_kept(records, keeping, now=now)}
    return Situation(
        policy=policy,
        records=by_identity,
        configured=frozenset(configured),
        deletions=deletions,
        rules=tuple(rules),
        clocks=clocks,
        statuses=tuple(statuses),
        keeping=replace(keeping, kept={**keeping.kept, **new}),
        twins=twins_of(
            record.resource
            for record in by_identity.values()
            if record.state.presence is not Presence.GONE and not record.state.retired
        ),
        vetoes=tuple(known.vetoes()),
        latency=measured_latency(deletions),
        patience=patience,
        confirm_suspicious=confirm_suspicious,
    )


def accepted_notices(known: Remembered, deletions: Iterable[Deletion]) -> dict[str, datetime]:
    """When the first target accepted the notice of each deletion that waits for that."""
    waiting = {one.id for one in deletions if one.state is DeletionState.PROPOSED}
    accepted: dict[str, datetime] = {}
    for row in known.outbox(states=(Delivery.SENT,)) if waiting else ():
        if row.deletion in waiting and row.settled_at is not None:
            accepted[row.deletion] = min(row.settled_at, accepted.get(row.deletion, row.settled_at))
    return accepted


def plan(
    situation: Situation,
    *,
    account: str,
    accepted: Mapping[str, datetime],
    readable: Iterable[Generation],
    new_id: Callable[[], str],
    rolled_back: bool,
    clock_ahead: timedelta | None = None,
    now: datetime,
) -> tuple[Planned, ...]:
    """What becomes of the deletions of one account in this cycle, and which are proposed.

    `accepted` is when a target accepted each notice (`accepted_notices`); `readable` are the generations whose list was
    believed in this very cycle: only of these anything is proposed. `rolled_back`: the database is older than it was, so
    that all proposals are withdrawn and none is made. So it is where the marketplace's clock is further ahead of ours (or
    behind) than it may be: a notice that was accepted by a wrong clock is not as old as it says.
    """
    doubt = "the database is older than it was; what was decided since is not known" if rolled_back else None
    apart = abs(clock_ahead or timedelta(0))
    if apart > CLOCKS_MAY_DIFFER_BY and situation.policy.mode is not Mode.OBSERVE:
        doubt = doubt or f"the clocks here and at the marketplace differ by {span(apart)}"
    budgets = choices(situation, may_go=_may_go(situation, now=now), now=now)
    surplus = {id for choice in budgets for id in choice.surplus}
    changed: list[Planned] = []
    for deletion in situation.deletions:
        if deletion.identity.account != account:
            continue
        if deletion.state in AWAITING:
            after = _awaiting(deletion, situation, accepted=accepted, surplus=surplus, doubt=doubt, now=now)
        else:
            after = outcome_of(deletion, situation, now=now)
        if after != deletion:
            changed.append((after, deletion.state))
    if doubt is not None:
        return tuple(changed)
    after_changes = applied(situation, changed)
    proposed = _proposals(after_changes, budgets, account=account, readable=frozenset(readable), now=now)
    return (*changed, *((_begun(one, id=new_id()), None) for one in proposed))


def applied(situation: Situation, planned: Iterable[Planned]) -> Situation:
    """`situation` after what was planned."""
    deletions = {one.id: one for one in situation.deletions}
    deletions |= {one.id: one for one, _ in planned}
    return replace(situation, deletions=tuple(deletions.values()))


def expected_at(deletion: Deletion, situation: Situation, *, now: datetime) -> datetime | None:
    """When a deletion will be carried out, at the earliest if its notice is still on its way."""
    record = situation.records.get(deletion.identity)
    pace = None if record is None else pace_of(record.state, record.resource, ground=deletion.ground)
    if deletion.execute_at is not None or pace is None:
        return deletion.execute_at
    return execute_at(
        pace,
        ground=deletion.ground,
        notified_at=deletion.notified_at or now,
        policy=situation.policy,
        latency=situation.latency,
        now=now,
    )


def shortfalls(situation: Situation, *, now: datetime) -> tuple[Choice, ...]:
    """The budgets that are over and that no set of machines brings back under their limit."""
    return tuple(
        choice
        for choice in choices(situation, may_go=_may_go(situation, now=now), now=now)
        if choice.short_by is not None
    )


def _awaiting(
    deletion: Deletion,
    situation: Situation,
    *,
    accepted: Mapping[str, datetime],
    surplus: set[str],
    doubt: str | None,
    now: datetime,
) -> Deletion:
    """A deletion of which nothing was sent yet: withdrawn where its ground is broken, else told and timed."""
    broken = list(_broken(deletion, situation, doubt=doubt, now=now))
    if deletion.id in surplus and not broken:
        broken = ["its budget does not need it to go, or would not be met by it either"]
    if broken:
        return moved(deletion, DeletionState.WITHDRAWN, at=now, reason="; ".join(broken), settled_at=now)
    if deletion.mode is Mode.OBSERVE:
        return deletion
    if deletion.mode is Mode.EXECUTE and situation.policy.mode is Mode.PROPOSE:
        deletion = noted(
            deletion, at=now, reason="the mode is propose now, so a person must approve it", mode=Mode.PROPOSE
        )
    if deletion.state is DeletionState.PROPOSED:
        told_at = accepted.get(deletion.id)
        if told_at is None:
            return deletion
        deletion = moved(
            deletion, DeletionState.NOTIFIED, at=now, reason="a target accepted the notice", notified_at=told_at
        )
    return timed(deletion, situation, now=now)


def timed(deletion: Deletion, situation: Situation, *, now: datetime) -> Deletion:
    """A notified deletion with the moment that holds now; an approval serves one moment only."""
    record = situation.records[deletion.identity]
    pace = pace_of(record.state, record.resource, ground=deletion.ground)
    moment = moment_for(deletion, pace, policy=situation.policy, latency=situation.latency, now=now)
    if moment == deletion.execute_at:
        return deletion
    if moment is None:
        reason = "no moment for it can be found"
    elif deletion.execute_at is None:
        reason = f"its moment is {moment:%Y-%m-%d %H:%M:%S} UTC"
    else:
        reason = f"its moment was missed or has moved; it is {moment:%Y-%m-%d %H:%M:%S} UTC now"
    if deletion.state is DeletionState.APPROVED:
        reason = f"{reason}; the approval was for the former one"
        return moved(deletion, DeletionState.NOTIFIED, at=now, reason=reason, execute_at=moment, approved_for=None)
    return noted(deletion, at=now, reason=reason, execute_at=moment)


def _broken(deletion: Deletion, situation: Situation, *, doubt: str | None, now: datetime) -> Iterator[str]:
    mode = situation.policy.mode
    if doubt is not None:
        yield doubt
    if deletion.notified_at is not None and deletion.notified_at < deletion.proposed_at:
        yield "its notice was accepted before it was proposed, so the clock was changed"
    if deletion.mode is not mode and not (deletion.mode is Mode.EXECUTE and mode is Mode.PROPOSE):
        yield f"the mode was {deletion.mode} and is {mode} now"
    record = situation.records.get(deletion.identity)
    if record is None:
        yield "nothing is remembered of it"
        return
    yield from breaches(deletion, record.resource, record.state, situation, now=now)


def _proposals(
    situation: Situation,
    budgets: Iterable[Choice],
    *,
    account: str,
    readable: frozenset[Generation],
    now: datetime,
) -> Iterator[Deletion]:
    """What is proposed, each resource once: by rules, by budgets, to be reclaimed, to be released."""
    chosen = {(choice.status.budget.name, identity) for choice in budgets for identity in choice.chosen}
    for record in situation.records.values():
        state = record.state
        if state.identity.account != account or state.generation not in readable:
            continue
        if state.presence is not Presence.PRESENT or _is_barred(record, situation, now=now):
            continue
        for draft in _drafts(record, situation, chosen, now=now):
            if not breaches(draft, record.resource, state, situation, now=now):
                yield draft
                break


def _is_barred(record: KnownResource, situation: Situation, *, now: datetime) -> bool:
    """Whether another deletion of the resource stands, or one has failed lately."""
    own = [one for one in situation.deletions if one.identity == record.state.identity]
    return any(
        one.state in LIVE
        or (
            one.state is DeletionState.FAILED
            and one.settled_at is not None
            and now - one.settled_at < REST_AFTER_FAILURE
        )
        or (one.state is DeletionState.VERIFIED and one.created_at == record.resource.created_at)
        for one in own
    )


def _drafts(
    record: KnownResource, situation: Situation, chosen: set[tuple[str, Identity]], *, now: datetime
) -> Iterator[Deletion]:
    """Every ground on which a resource may be proposed, none of them judged yet."""
    resource, identity = record.resource, record.state.identity
    if resource.kind in MACHINES:
        for rule in situation.rules:
            clock = situation.clocks.get((identity, rule.name))
            if rule.action is Action.DELETE and clock is not None and clock.verdict is IdleVerdict.IDLE:
                conditions = ", ".join(condition.in_words for condition in rule.when)
                yield _draft(record, ground_by(rule), rule.name, conditions, situation, clock.evidence, now=now)
        for status in situation.statuses:
            if (status.budget.name, identity) in chosen:
                yield _budget_draft(record, status, situation, now=now)
    if resource.kind is Kind.VM and situation.policy.reclaim:
        reason = f"its machine has ended, its record holds {money(resource.reserved)}"
        yield _draft(record, Ground.RECLAIM, RECLAIM_RULE, reason, situation, now=now)
    if resource.kind is Kind.PUBLIC_IP and situation.policy.release_public_ips:
        reason = "the machine that it served was deleted by CostWatch"
        yield _draft(record, Ground.RELEASE, RELEASE_RULE, reason, situation, now=now)


def _may_go(situation: Situation, *, now: datetime) -> Iterator[tuple[BudgetStatus, KnownResource]]:
    """The machines that a budget may choose from: all that nothing keeps."""
    for status in situation.statuses:
        if not is_over(status):
            continue
        for record in situation.records.values():
            if record.resource.kind not in MACHINES or record.state.presence is not Presence.PRESENT:
                continue
            draft = _budget_draft(record, status, situation, now=now)
            standing = _is_barred(record, situation, now=now)
            if not standing and not breaches(draft, record.resource, record.state, situation, now=now):
                yield status, record


def _budget_draft(record: KnownResource, status: BudgetStatus, situation: Situation, *, now: datetime) -> Deletion:
    name = status.budget.name
    reason = f"budget {name} comes to {money(status.forecast)} of {money(status.budget.limit)} if nothing changes"
    verdict = verdict_on(record, situation, now=now)
    evidence = () if verdict is None else (f"by its rules it is {verdict}",)
    return _draft(record, Ground.BUDGET, name, reason, situation, evidence, now=now)


def _draft(
    record: KnownResource,
    ground: Ground,
    rule: str,
    reason: str,
    situation: Situation,
    evidence: tuple[str, ...] = (),
    *,
    now: datetime,
) -> Deletion:
    resource, state = record.resource, record.state
    charged = is_charged_on(state)
    prepaid = charged and state.epoch is not None and not is_metered(state.generation)
    return Deletion(
        id="",
        identity=state.identity,
        target_id=resource.id,
        name=resource.name,
        kind=resource.kind,
        generation=resource.generation,
        created_at=resource.created_at,
        ground=ground,
        rule=rule,
        reason=reason,
        mode=situation.policy.mode,
        state=DeletionState.PROPOSED,
        proposed_at=now,
        evidence=evidence,
        price=resource.price,
        burn_per_day=burn_per_day(state, per=resource.price_per) if charged else None,
        next_charge=state.price if prepaid else None,
        next_charge_at=state.epoch.end if prepaid and state.epoch is not None else None,
    )


def _begun(draft: Deletion, *, id: str) -> Deletion:
    step = Transition(draft.proposed_at, DeletionState.PROPOSED, COSTWATCH, draft.reason)
    return replace(draft, id=id, history=(step,))
