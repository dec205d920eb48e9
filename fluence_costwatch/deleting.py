"""Deleting: the only place from which something is ended, and the story of how (`design.md` section 7).

In every cycle `take_stock` decides within the cycle's transaction what is proposed, told, moved, withdrawn and proven. When
a deletion is due, `carry_out` looks anew, asks every guard, commits the intent, calls once, and commits what came of it. A
crash between any two of these steps ends in what the lists show later, never in a second call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.billing.history import Judgement, ListState, Snapshot, Verdict, judge_list
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus
from fluence_costwatch.core.budgets.budgeting import statuses as statuses_of
from fluence_costwatch.core.deletion.deletions import (
    API,
    Deletion,
    DeletionPolicy,
    DeletionState,
    Ground,
    Mode,
    moved,
    noted,
)
from fluence_costwatch.core.deletion.grounds import Situation
from fluence_costwatch.core.deletion.guards import Examined, FreshList, Refusal, keys_missing, refusals
from fluence_costwatch.core.deletion.outcomes import explain_absence
from fluence_costwatch.core.deletion.planning import Planned, accepted_notices, applied, plan, situation_of, timed
from fluence_costwatch.core.deletion.protection import Keeping, newly_kept, newly_seen_protected
from fluence_costwatch.core.deletion.vetoes import lifted
from fluence_costwatch.core.idle.conditions import conditions_to_ask
from fluence_costwatch.core.idle.idleness import IdleClock
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.rules import Condition, Rule
from fluence_costwatch.core.messages.outbox import OutboxRow
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.core.views.fleet import Watched, burn_per_day
from fluence_costwatch.core.views.shapes import instant
from fluence_costwatch.errors import FluenceError, FluenceRefused, FluenceUnexpected, StoreError
from fluence_costwatch.ports import Clock, Cloud, Deleter, Listing, Reading, Signals, Store, Transaction

log = logging.getLogger(__name__)

RETRY_AFTER: Final = timedelta(minutes=1)
# With short epochs margins are short too; one is tried in several times.
_TRIES_IN_A_MARGIN: Final = 10

# With these the API has said no, or nothing was sent; after anything else the call may have been taken.
_SAID_NO: Final = (FluenceRefused, FluenceUnexpected)
_NOT_KNOWN: Final = "whether a deletion was taken is not known; the lists will tell, it is not sent again"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says, as it is in force at this moment.

    `configured` are the generations that it names itself. `judgements` say how the lists of each account are judged.
    `listening_since` is from when on heartbeats could arrive (None: nobody listens).
    """

    policy: DeletionPolicy
    rules: tuple[Rule, ...]
    budgets: tuple[Budget, ...]
    watched: Watched
    configured: frozenset[tuple[str, Generation]]
    judgements: Mapping[tuple[str, Generation], Judgement] = field(default_factory=dict)
    confirm_suspicious: timedelta = timedelta(minutes=30)
    listening_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """What a cycle made of the deletions: `proposed` are new and want a notice each, `situation` is what holds now."""

    situation: Situation
    proposed: tuple[Deletion, ...] = ()
    changed: tuple[Deletion, ...] = ()


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of one due deletion. `called`: the API was called, so that the lists should be looked at soon."""

    deletion: Deletion
    refusals: tuple[Refusal, ...] = ()
    called: bool = False


def take_stock(
    tx: Transaction,
    *,
    account: str,
    terms: Terms,
    clocks: Mapping[tuple[Identity, str], IdleClock],
    statuses: Sequence[BudgetStatus],
    readable: Iterable[Generation],
    rolled_back: bool,
    new_id: Callable[[], str],
    clock_ahead: timedelta | None = None,
    now: datetime,
) -> Stock:
    """The part of a cycle that is about deletions, within its transaction. `clocks` are all clocks after this turn,
    `readable` the generations whose list was believed in it, `clock_ahead` by how much the marketplace's clock is before
    ours, if it said."""
    known = tx.reading()
    situation = situation_in(known, terms, clocks=clocks, statuses=statuses, now=now)
    for kept in newly_kept(known.resources(), replace(situation.keeping, kept=known.kept()), now=now):
        tx.keep(kept)
    for identity, rule in lifted(situation.vetoes, clocks):
        tx.lift_veto(identity, rule)
    planned = plan(
        situation,
        account=account,
        accepted=accepted_notices(known, situation.deletions),
        readable=readable,
        new_id=new_id,
        rolled_back=rolled_back,
        clock_ahead=clock_ahead,
        now=now,
    )
    stored: list[Planned] = [(deletion, was) for deletion, was in planned if tx.save_deletion(deletion, was=was)]
    for deletion, was in stored:
        _log("deletion planned", deletion, was=was, reason=deletion.history[-1].reason)
    return Stock(
        situation=applied(situation, stored),
        proposed=tuple(deletion for deletion, was in stored if was is None),
        changed=tuple(deletion for deletion, was in stored if was is not None),
    )


def note_accepted(tx: Transaction, row: OutboxRow, at: datetime, *, terms: Terms) -> None:
    """A target took the message in `row` (`delivery.OnAccepted`): if it is a notice, its deletion gets its moment."""
    if row.deletion is None:
        return
    known = tx.reading()
    waiting = [one for one in known.deletions(states=(DeletionState.PROPOSED,)) if one.id == row.deletion]
    for deletion in waiting:
        if deletion.mode is Mode.OBSERVE:
            continue
        situation = situation_in(known, terms, clocks={}, statuses=(), now=at)
        told = moved(
            deletion,
            DeletionState.NOTIFIED,
            at=at,
            reason=f"target {row.target} accepted the notice",
            notified_at=at,
        )
        if deletion.identity in situation.records:
            told = timed(told, situation, now=at)
        if tx.save_deletion(told, was=DeletionState.PROPOSED):
            _log("notice of a deletion accepted", told, target=row.target, due=told.execute_at)


def is_due(deletion: Deletion, *, now: datetime) -> bool:
    """Whether its moment has come, and nothing but the guards stands before it."""
    at = deletion.execute_at
    if at is None or now < at:
        return False
    if deletion.state is DeletionState.NOTIFIED:
        return deletion.mode is Mode.EXECUTE
    return deletion.state is DeletionState.APPROVED and deletion.approved_for == at


def next_wake(deletions: Iterable[Deletion], *, policy: DeletionPolicy, tried_at: datetime | None) -> datetime | None:
    """When to call `carry_out_due` next, perhaps at once; None where nothing waits for its moment.

    `tried_at` is when it was last called: what was due then and was kept is tried again a little later.
    """
    retry = min(RETRY_AFTER, policy.margin / _TRIES_IN_A_MARGIN)
    moments = [
        one.execute_at if tried_at is None or tried_at < one.execute_at else tried_at + retry
        for one in deletions
        if one.execute_at is not None and is_due(one, now=one.execute_at)
    ]
    return min(moments, default=None)


def carry_out_due(
    account: str,
    *,
    cloud: Cloud,
    deleter: Deleter,
    signals: Signals,
    store: Store,
    terms: Callable[[], Terms],
    clock: Clock,
) -> tuple[Carried, ...]:
    """Carry out what is due of one account, one after the other, each by a list of its own."""
    with store.reading() as reading:
        waiting = reading.deletions(states=(DeletionState.NOTIFIED, DeletionState.APPROVED))
    now = clock()
    due = sorted(
        (one for one in waiting if one.identity.account == account and is_due(one, now=now)),
        key=lambda one: (one.execute_at or now, one.id),
    )
    return tuple(
        carry_out(deletion, cloud=cloud, deleter=deleter, signals=signals, store=store, terms=terms, clock=clock)
        for deletion in due
    )


def carry_out(
    deletion: Deletion,
    *,
    cloud: Cloud,
    deleter: Deleter,
    signals: Signals,
    store: Store,
    terms: Callable[[], Terms],
    clock: Clock,
) -> Carried:
    """Carry out one deletion that is due, or say why it is kept. The API is called at most once, after the intent is
    committed; `terms` is asked again right before that, so that a configuration made safer meanwhile counts."""
    rolled_back = store.was_rolled_back()
    if forbidden := keys_missing(deletion, terms().policy, rolled_back=rolled_back):
        return _keep(deletion, forbidden, store=store, terms=terms, clock=clock)

    # Look: nothing that was known before this moment is enough.
    listing = _look(cloud, deletion)
    maintenance = _maintenance(deleter, deletion)
    readings = _gather(signals, deletion, listing, terms().rules, now=clock())

    # Decide and commit the intent in one transaction: nobody can veto, keep or delete between the two.
    with store.transaction() as tx:
        now, in_force = clock(), terms()
        known = tx.reading()
        stored = _stored(known, deletion.id)
        if stored is None or not is_due(stored, now=now):
            return Carried(stored or deletion)
        _keep_protected(tx, listing, in_force.policy, now=now)
        examined = _examined(tx, stored, listing, maintenance, readings, in_force, rolled_back=rolled_back)
        situation = situation_in(
            known, in_force, clocks=known.clocks(), statuses=_statuses(stored, known, in_force, now=now), now=now
        )
        refused = refusals(stored, examined, situation, now=now)
        if refused:
            kept = _kept(stored, refused, situation, now=now)
            tx.save_deletion(kept, was=stored.state)
            _log_kept(kept, refused)
            return Carried(kept, refused)
        intent = _intent(stored, situation, now=now)
        if not tx.save_deletion(intent, was=stored.state):
            return Carried(stored)
    _log("deleting", intent, ground=intent.ground, rule=intent.rule)

    return Carried(_call(intent, deleter=deleter, store=store, clock=clock), called=True)


def _call(intent: Deletion, *, deleter: Deleter, store: Store, clock: Clock) -> Deletion:
    """Call once, and note what the API said. Whatever is not a clear answer leaves the intent standing: the lists tell."""
    try:
        deleter.delete(intent)
    except _SAID_NO as exc:
        state, reason = DeletionState.FAILED, str(exc)
    except FluenceError as exc:
        log.warning(_NOT_KNOWN, extra=_facts(intent, detail=exc))
        return intent
    except Exception:
        # A mistake of ours on the way there or back: nobody knows how far it came.
        log.exception(_NOT_KNOWN, extra=_facts(intent))
        return intent
    else:
        state, reason = DeletionState.REQUESTED, "the API took the call"
    try:
        return _settle(intent, state, reason, store=store, clock=clock)
    except StoreError as exc:
        log.error("what the API said to a deletion could not be kept", extra=_facts(intent, said=state, error=exc))
        return intent


def _keep_protected(tx: Transaction, listing: Listing | FluenceError, policy: DeletionPolicy, *, now: datetime) -> None:
    """Keep from now on what the list shows under a protected name, also if no other list will."""
    if isinstance(listing, Listing):
        known = tx.reading()
        keeping = Keeping(policy.protect, known.kept(), known.released())
        for kept in newly_seen_protected(listing.resources, keeping, now=now):
            tx.keep(kept)


def _look(cloud: Cloud, deletion: Deletion) -> Listing | FluenceError:
    try:
        return cloud.look(deletion.generation)
    except FluenceError as exc:
        return exc


def _maintenance(deleter: Deleter, deletion: Deletion) -> bool | FluenceError:
    try:
        return deleter.maintenance(deletion.generation)
    except FluenceError as exc:
        return exc


def _gather(
    signals: Signals, deletion: Deletion, listing: Listing | FluenceError, rules: Sequence[Rule], *, now: datetime
) -> Mapping[tuple[Identity, Condition], SignalReading]:
    """What the conditions of the deletion's rule say now of the machine as the fresh list shows it."""
    if isinstance(listing, FluenceError) or deletion.ground not in (Ground.IDLE, Ground.LEASE):
        return {}
    listed = [one for one in listing.resources if one.identity == deletion.identity]
    return signals.gather(conditions_to_ask([rule for rule in rules if rule.name == deletion.rule]), listed, now=now)


def _examined(
    tx: Transaction,
    deletion: Deletion,
    listing: Listing | FluenceError,
    maintenance: bool | FluenceError,
    readings: Mapping[tuple[Identity, Condition], SignalReading],
    terms: Terms,
    *,
    rolled_back: bool,
) -> Examined:
    account, generation = deletion.identity.account, deletion.generation
    known = tx.reading()
    looks = next((each for each in known.accounts() if each.account == account), None)
    missing = [str(each) for each in (listing, maintenance) if isinstance(each, FluenceError)]
    fresh = None
    if isinstance(listing, Listing):
        last = tx.history(account, listed=frozenset()).lists.get(generation)
        judgement = terms.judgements.get((account, generation), Judgement())
        fresh = FreshList(
            sent_at=listing.sent_at,
            answered_at=listing.answered_at,
            resources=listing.resources,
            suspicious=_is_suspicious(listing, last, judgement, known.deletions(), account=account),
            clock_ahead=listing.clock_ahead,
        )
    return Examined(
        fresh=fresh,
        maintenance=None if isinstance(maintenance, FluenceError) else maintenance,
        rolled_back=rolled_back,
        listed_at=None if looks is None else looks.last_success.get(generation),
        missing=tuple(missing),
        readings=readings,
        heartbeats=known.heartbeats(),
        listening_since=terms.listening_since,
    )


def _is_suspicious(
    listing: Listing, last: ListState | None, judgement: Judgement, deletions: Sequence[Deletion], *, account: str
) -> bool | None:
    """Whether a list lacks too much to be acted on. One that has stayed suspicious is believed by the ledger in time; here
    only one that never was counts."""
    if last is None:
        return None
    if last.suspicious_since is not None:
        return True
    snapshot = Snapshot(
        account=account,
        generation=listing.generation,
        sent_at=listing.sent_at,
        answered_at=listing.answered_at,
        resources=listing.resources,
        judgement=judgement,
    )
    explained = explain_absence(tuple(deletions), account=account, sent_at=listing.sent_at)
    return judge_list(last, snapshot, deleted_by_us=explained) is not Verdict.ACCEPTED


def situation_in(
    known: Reading,
    terms: Terms,
    *,
    clocks: Mapping[tuple[Identity, str], IdleClock],
    statuses: Sequence[BudgetStatus],
    now: datetime,
) -> Situation:
    """What bears on deletions, by what is known and under these terms. `clocks` are all clocks after this turn."""
    return situation_of(
        known,
        policy=terms.policy,
        rules=terms.rules,
        configured=terms.configured,
        clocks=clocks,
        statuses=statuses,
        patience=terms.watched.patience,
        confirm_suspicious=terms.confirm_suspicious,
        now=now,
    )


def _statuses(deletion: Deletion, known: Reading, terms: Terms, *, now: datetime) -> Sequence[BudgetStatus]:
    """The budget on whose account something goes, as it is used by now."""
    if deletion.ground is not Ground.BUDGET:
        return ()
    own = [budget for budget in terms.budgets if budget.name == deletion.rule]
    return statuses_of(own, known, watched=terms.watched, now=now)


def _stored(known: Reading, deletion_id: str) -> Deletion | None:
    waiting = known.deletions(states=(DeletionState.NOTIFIED, DeletionState.APPROVED))
    return next((one for one in waiting if one.id == deletion_id), None)


def _intent(deletion: Deletion, situation: Situation, *, now: datetime) -> Deletion:
    record = situation.records[deletion.identity]
    state = record.state
    prepaid = is_charged_on(state) and state.epoch is not None and not is_metered(state.generation)
    return moved(
        deletion,
        DeletionState.EXECUTING,
        at=now,
        reason=f"every guard agrees; {deletion.ground} by {deletion.rule} was established anew",
        requested_at=now,
        burn_per_day=burn_per_day(state, per=record.resource.price_per) if is_charged_on(state) else None,
        next_charge=state.price if prepaid else None,
        next_charge_at=state.epoch.end if prepaid and state.epoch is not None else None,
    )


def _kept(deletion: Deletion, refused: Sequence[Refusal], situation: Situation, *, now: datetime) -> Deletion:
    """What becomes of a deletion that the guards refused: withdrawn where its ground is broken, else it goes on waiting,
    for the next moment where this one is missed."""
    lasting = [refusal.says for refusal in refused if refusal.lasting]
    if lasting:
        reason = "; ".join(lasting)
        return moved(deletion, DeletionState.WITHDRAWN, at=now, reason=reason, settled_at=now)
    waiting = noted(deletion, at=now, reason="kept for now: " + "; ".join(refusal.says for refusal in refused))
    return timed(waiting, situation, now=now) if deletion.identity in situation.records else waiting


def _keep(
    deletion: Deletion,
    refused: tuple[Refusal, ...],
    *,
    store: Store,
    terms: Callable[[], Terms],
    clock: Clock,
) -> Carried:
    """Keep what may not go at all, without asking anybody."""
    with store.transaction() as tx:
        now, known = clock(), tx.reading()
        stored = _stored(known, deletion.id)
        if stored is None:
            return Carried(deletion, refused)
        situation = situation_in(known, terms(), clocks={}, statuses=(), now=now)
        kept = _kept(stored, refused, situation, now=now)
        tx.save_deletion(kept, was=stored.state)
    _log_kept(kept, refused)
    return Carried(kept, refused)


def _settle(intent: Deletion, state: DeletionState, reason: str, *, store: Store, clock: Clock) -> Deletion:
    """Note what the API said. Where the lists were faster, what they said stands."""
    with store.transaction() as tx:
        now = clock()
        settled_at = now if state is DeletionState.FAILED else None
        after = moved(intent, state, at=now, actor=API, reason=reason, settled_at=settled_at)
        stored = tx.save_deletion(after, was=DeletionState.EXECUTING)
    if not stored:
        return intent
    if state is DeletionState.FAILED:
        log.error("the API refused a deletion", extra=_facts(after, detail=reason))
    else:
        _log("deletion taken; later lists must prove it", after)
    return after


def _log(message: str, deletion: Deletion, **more: object) -> None:
    log.info(message, extra=_facts(deletion, state=deletion.state, **more))


def _log_kept(deletion: Deletion, refused: Iterable[Refusal]) -> None:
    reasons = "; ".join(refusal.says for refusal in refused)
    log.warning("not deleted", extra=_facts(deletion, state=deletion.state, reasons=reasons))


def _facts(deletion: Deletion, **more: object) -> dict[str, dict[str, object]]:
    """What a line of the log tells beside its message."""
    known = {"account": deletion.identity.account, "deletion": deletion.id, "resource": deletion.identity.id}
    told = {key: instant(value) if isinstance(value, datetime) else value for key, value in more.items()}
    return {"facts": known | told}
