"""The story of one turn for one account: look, remember, charge, show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fluence_costwatch.core.findings import Finding
from fluence_costwatch.core.history import Judgement, Snapshot, Verdict, added_at
from fluence_costwatch.core.ledger import remember, retire
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.twins import likely_twins
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.ports import (
    BalanceEntry,
    Billing,
    Clock,
    Cloud,
    CycleRecord,
    Display,
    Listing,
    Store,
    Transaction,
)


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
class Turn:
    """What one cycle brought: how each look went, why the balance could not be read, and what an operator should hear
    of."""

    records: tuple[CycleRecord, ...]
    findings: tuple[Finding, ...]
    clock_ahead: timedelta | None
    blind_to_balance: FluenceError | None = None

    @property
    def failures(self) -> tuple[CycleRecord, ...]:
        """The looks that brought no list."""
        return tuple(record for record in self.records if record.snapshot_id is None)


def run_cycle(
    watching: Watching, *, cloud: Cloud, billing: Billing | None = None, store: Store, display: Display, clock: Clock
) -> Turn:
    """One turn of the watch. Safe to repeat, safe to stop anywhere: all that it learns is kept, or nothing."""
    started_at = clock()
    looks = [
        look(cloud, generation, judgement, started_at=started_at, clock=clock)
        for generation, judgement in watching.judgements
    ]
    asked_at, balances = clock(), look_at_balance(billing)
    with store.transaction() as tx:
        looks = charged_from(tx, watching.account, looks)
        told = [remember_look(tx, watching.account, each) for each in looks]
        if isinstance(balances, tuple):
            tx.save_balances(watching.account, balances, at=asked_at)
    with store.reading() as reading:
        display.show(reading, now=clock())
    return Turn(
        records=tuple(record for record, _ in told),
        findings=tuple(finding for _, findings in told for finding in findings),
        clock_ahead=next((each.answer.clock_ahead for each in looks if isinstance(each.answer, Listing)), None),
        blind_to_balance=balances if isinstance(balances, FluenceError) else None,
    )


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
    step = remember(before, snapshot, claimed_elsewhere=tx.claimed_elsewhere(account))
    number = tx.save_snapshot(snapshot, step.verdict)
    tx.save_step(before, step)
    if step.verdict is Verdict.ACCEPTED:
        record = _record(account, each, outcome="ok", snapshot_id=number)
    else:
        detail = "The list has lost more than half of the one before, or all of it. Nothing was concluded from it."
        record = _record(account, each, outcome="suspicious", detail=detail, snapshot_id=number)
    tx.save_cycle(record)
    return record, step.findings


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


def find_twins(store: Store) -> tuple[Finding, ...]:
    """What looks like one machine watched twice, through several generations or accounts."""
    with store.reading() as reading:
        return likely_twins(record.resource for record in reading.resources(gone=False))


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
