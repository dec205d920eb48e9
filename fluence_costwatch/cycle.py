"""The story of one turn for one account: look, remember, charge, judge, tell, show. Acting is `deleting.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.assessment import Assessed, Looked, Policy, assess
from fluence_costwatch.core.alerts.findings import Finding, Judged
from fluence_costwatch.core.alerts.subjects import together
from fluence_costwatch.core.billing.history import History, Judgement, Snapshot, Verdict, added_at
from fluence_costwatch.core.billing.ledger import remember, retire
from fluence_costwatch.core.deletion.outcomes import explain_absence
from fluence_costwatch.core.idle.conditions import conditions_to_ask
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.rules import Condition, Rule
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.ports import (
    BalanceEntry,
    Billing,
    Clock,
    Cloud,
    CycleRecord,
    Display,
    Listing,
    Signals,
    Store,
    Transaction,
)

SUCCESS: Final = "ok"


@dataclass(frozen=True, slots=True)
class Watching:
    """One account as it is to be watched: its generations in their order, and how each list is judged.

    Where the generations are `found` by asking, one that is not found any more is silent, not taken out of use.
    """

    account: str
    judgements: tuple[tuple[Generation, Judgement], ...]
    found: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One answer, or why there is none. `started_at` is when its cycle began."""

    generation: Generation
    judgement: Judgement
    started_at: datetime
    ended_at: datetime
    answer: Listing | FluenceError


@dataclass(frozen=True, slots=True)
class Around:
    """What the process knows beside what a cycle finds: what other parts noticed, and up to when digests were looked
    after."""

    noticed: Judged = Judged()
    digests_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one cycle brought: how each look went, why the balance could not be read, what the ledger found and what was
    told of all that is remembered."""

    records: tuple[CycleRecord, ...]
    findings: tuple[Finding, ...]
    assessed: Assessed
    clock_ahead: timedelta | None
    blind_to_balance: FluenceError | None = None

    @property
    def failures(self) -> tuple[CycleRecord, ...]:
        """The looks that brought no list."""
        return tuple(record for record in self.records if record.snapshot_id is None)


def run_cycle(
    watching: Watching,
    *,
    cloud: Cloud,
    billing: Billing | None = None,
    signals: Signals | None = None,
    store: Store,
    display: Display,
    policy: Policy,
    around: Around = Around(),
    clock: Clock,
) -> Turn:
    """One turn of the watch. Safe to repeat, safe to stop anywhere: all that it learns is kept, or nothing."""
    started_at = clock()
    looks = [
        look(cloud, generation, judgement, started_at=started_at, clock=clock)
        for generation, judgement in watching.judgements
    ]
    asked_at, balances = clock(), look_at_balance(billing)
    readings = gather(signals, policy.terms.rules, looks, now=clock())
    now, rolled_back = clock(), store.was_rolled_back()
    with store.transaction() as tx:
        looks = charged_from(tx, watching.account, looks)
        told = [remember_look(tx, watching.account, each) for each in looks]
        if isinstance(balances, tuple):
            tx.save_balances(watching.account, balances, at=asked_at)
        tx.count_cycle()
        findings = tuple(finding for _, findings in told for finding in findings)
        assessed = assess(
            tx,
            policy=policy,
            looked=Looked(
                watching.account,
                readable=tuple(record.generation for record, _ in told if record.outcome == SUCCESS),
                readings=readings,
                clock_ahead=clock_ahead_of(looks),
            ),
            noticed=together((around.noticed, Judged(findings))),
            rolled_back=rolled_back,
            digests_since=around.digests_since,
            now=now,
        )
    with store.reading() as reading:
        display.show(reading, now=clock())
    return Turn(
        records=tuple(record for record, _ in told),
        findings=findings,
        assessed=assessed,
        clock_ahead=clock_ahead_of(looks),
        blind_to_balance=balances if isinstance(balances, FluenceError) else None,
    )


def clock_ahead_of(looks: Iterable[Look]) -> timedelta | None:
    """How far the marketplace's clock is ahead of ours, by the answer by which it is furthest; None where none said."""
    said = [each.answer.clock_ahead for each in looks if isinstance(each.answer, Listing)]
    return max((one for one in said if one is not None), key=abs, default=None)


def judge_anew(store: Store, *, policy: Policy, around: Around = Around(), now: datetime) -> Assessed:
    """Judge what is remembered without a look: data that grow old, and digests, wait for no answer."""
    rolled_back = store.was_rolled_back()
    with store.transaction() as tx:
        return assess(
            tx,
            policy=policy,
            looked=None,
            noticed=around.noticed,
            rolled_back=rolled_back,
            digests_since=around.digests_since,
            now=now,
        )


def gather(
    signals: Signals | None, rules: Iterable[Rule], looks: Iterable[Look], *, now: datetime
) -> Mapping[tuple[Identity, Condition], SignalReading]:
    """What the machines that were listed say of themselves, as far as rules ask for it over the network."""
    rules = [rule for rule in rules if conditions_to_ask((rule,))]
    listed = [
        resource
        for each in looks
        if isinstance(each.answer, Listing)
        for resource in each.answer.resources
        if any(rule.judges(resource) for rule in rules)
    ]
    return {} if signals is None or not listed else signals.gather(conditions_to_ask(rules), listed, now=now)


def look(cloud: Cloud, generation: Generation, judgement: Judgement, *, started_at: datetime, clock: Clock) -> Look:
    """The complete list of one generation, or the error that says why it could not be had."""
    answer: Listing | FluenceError
    try:
        answer = cloud.look(generation)
    except FluenceError as exc:
        answer = exc
    return Look(generation, judgement, started_at, clock(), answer)


def look_at_balance(billing: Billing | None) -> tuple[BalanceEntry, ...] | FluenceError | None:
    """What is left on the account, or why that could not be had; None where it has no billing of its own."""
    if billing is None:
        return None
    try:
        return billing.balances()
    except FluenceError as exc:
        return exc


def charged_from(tx: Transaction, account: str, looks: Sequence[Look]) -> list[Look]:
    """`looks` with the moment from which each generation is charged, where it was added to an account with a history."""
    known = tx.history(account, listed=frozenset()).lists
    if all(each.generation in known or each.judgement.charge_from is not None for each in looks):
        return list(looks)
    history, first_asked = tx.history(account), tx.first_asked(account)
    return [
        each
        if each.judgement.charge_from is not None
        else replace(
            each,
            judgement=replace(
                each.judgement,
                charge_from=added_at(history, each.generation, first_asked=first_asked, now=each.started_at),
            ),
        )
        for each in looks
    ]


def remember_look(tx: Transaction, account: str, each: Look) -> tuple[CycleRecord, tuple[Finding, ...]]:
    """Keep a look, and charge what it shows. No answer is not an empty list: it ends and charges nothing."""
    if isinstance(each.answer, FluenceError):
        record = _record(account, each, outcome=each.answer.reason, detail=str(each.answer))
        tx.save_cycle(record)
        return record, ()
    snapshot = Snapshot(
        account=account,
        generation=each.generation,
        sent_at=each.answer.sent_at,
        answered_at=each.answer.answered_at,
        resources=each.answer.resources,
        judgement=each.judgement,
    )
    before = tx.history(account, listed=snapshot.ids)
    deleted = explain_absence(tuple(tx.reading().deletions()), account=account, sent_at=snapshot.sent_at)
    step = remember(before, snapshot, claimed_elsewhere=tx.claimed_elsewhere(account), deleted_by_us=deleted)
    number = tx.save_snapshot(snapshot, step.verdict, deleted_by_us=deleted & last_listed(before, each.generation))
    tx.save_step(before, step)
    if step.verdict is Verdict.ACCEPTED:
        record = _record(account, each, outcome=SUCCESS, snapshot_id=number)
    else:
        detail = "The list has lost more than half of the one before, or all of it. Nothing was concluded from it."
        record = _record(account, each, outcome="suspicious", detail=detail, snapshot_id=number)
    tx.save_cycle(record)
    return record, step.findings


def last_listed(history: History, generation: Generation) -> frozenset[str]:
    """The ids in the last list of `generation` that was believed."""
    last = history.lists.get(generation)
    return frozenset() if last is None else last.ids


def _record(account: str, each: Look, *, outcome: str, detail: str = "", snapshot_id: int | None = None) -> CycleRecord:
    return CycleRecord(
        account=account,
        generation=each.generation,
        started_at=each.started_at,
        ended_at=each.ended_at,
        outcome=outcome,
        detail=detail,
        snapshot_id=snapshot_id,
    )


def retire_removed(store: Store, watched: Iterable[Watching], *, now: datetime) -> tuple[tuple[str, Generation], ...]:
    """Retire every generation that has a history but is no longer configured; returns which those are."""
    watched = list(watched)
    configured = {(each.account, generation) for each in watched for generation, _ in each.judgements}
    open_ended = {each.account for each in watched if each.found}
    with store.reading() as reading:
        known = [record.account for record in reading.accounts()]
    removed = []
    with store.transaction() as tx:
        for account in known:
            for generation in tuple(tx.history(account).lists):
                if (account, generation) not in configured and account not in open_ended:
                    before = tx.history(account)
                    tx.save_step(before, retire(before, generation))
                    tx.save_retirement(account, generation, at=now)
                    removed.append((account, generation))
    return tuple(removed)
