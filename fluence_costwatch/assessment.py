"""Judging and telling: what one turn makes of all that is remembered, in the transaction of that turn.

clocks of idle rules -> budgets -> deletions that are proposed, moved or withdrawn -> findings -> alerts -> messages
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fluence_costwatch.core import judging
from fluence_costwatch.core.alerting import AlertStep, next_alerts
from fluence_costwatch.core.alerts import Alert, AlertEvent
from fluence_costwatch.core.budgeting import statuses as budget_statuses
from fluence_costwatch.core.budgets import Budget, BudgetStatus
from fluence_costwatch.core.composing import compose
from fluence_costwatch.core.context import Context, context_of
from fluence_costwatch.core.deletion_findings import deletion_findings
from fluence_costwatch.core.deletions import Deletion, DeletionPolicy, Mode
from fluence_costwatch.core.digest import digests, due_digests, saving_lines
from fluence_costwatch.core.findings import Judged
from fluence_costwatch.core.grounds import Situation
from fluence_costwatch.core.idleness import IdleClock
from fluence_costwatch.core.idleness import Reading as SignalReading
from fluence_costwatch.core.idling import idle_findings, next_clocks
from fluence_costwatch.core.notices import notices, veto_link
from fluence_costwatch.core.outbox import Draft, QuietHours, Route
from fluence_costwatch.core.planning import accepted_notices, applied, expected_at, plan, situation_of
from fluence_costwatch.core.protection import newly_kept
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.core.rules import Condition, Rule
from fluence_costwatch.core.subjects import together
from fluence_costwatch.core.vetoes import lifted
from fluence_costwatch.ports import Reading, Transaction


@dataclass(frozen=True, slots=True)
class Policy:
    """All that is configured and bears on what is judged and told.

    `configured` are the generations that the configuration names itself; `interval` is that of looks. `secret` signs the
    links of vetoes, `new_id` makes the ids of deletions. `command` and `public_url` are for the words of messages.
    """

    judging: judging.Policy
    new_id: Callable[[], str]
    secret: bytes = field(repr=False)
    budgets: tuple[Budget, ...] = ()
    rules: tuple[Rule, ...] = ()
    deletion: DeletionPolicy = DeletionPolicy()
    configured: frozenset[tuple[str, Generation]] = frozenset()
    routes: tuple[Route, ...] = ()
    quiet: QuietHours | None = None
    interval: timedelta = timedelta(minutes=5)
    confirm_suspicious: timedelta = timedelta(minutes=30)
    command: str = "fluence-costwatch"
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """One account that was looked at in this turn, and what it brought: the generations whose list was believed, and what
    signals said of its machines. `listening_since` is from when on heartbeats could arrive."""

    account: str
    readable: tuple[Generation, ...] = ()
    readings: Mapping[tuple[Identity, Condition], SignalReading] = field(default_factory=dict)
    listening_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assessed:
    """What was told, and the deletions that were proposed or changed."""

    events: tuple[AlertEvent, ...] = ()
    deletions: tuple[Deletion, ...] = ()


def assess(
    tx: Transaction,
    *,
    policy: Policy,
    looked: Looked | None,
    noticed: Judged,
    rolled_back: bool,
    digests_since: datetime | None = None,
    now: datetime,
) -> Assessed:
    """Judge all that is remembered, and put what is to be told into the outbox.

    Clocks and deletions move on for the account that was `looked` at alone; without one, alerts and digests do.
    """
    known = tx.reading()
    clocks = known.clocks() if looked is None else _move_clocks(tx, known, looked, policy=policy, now=now)
    statuses = budget_statuses(policy.budgets, known, watched=policy.judging.watched, now=now)
    situation = _situation(known, clocks, statuses, policy=policy, now=now)
    proposed: tuple[Deletion, ...] = ()
    moved: tuple[Deletion, ...] = ()
    if looked is not None:
        _keep_what_is_protected(tx, situation, now=now)
        situation, proposed, moved = _move_deletions(
            tx, known, looked, situation, policy=policy, rolled_back=rolled_back, now=now
        )
    stored = _stored(known)
    step = next_alerts(
        stored,
        judging.judge(
            known,
            policy=policy.judging,
            alerts=stored,
            noticed=together(
                (
                    noticed,
                    idle_findings(policy.rules, situation.records.values(), clocks, alerts=stored, now=now),
                    deletion_findings(
                        situation, alerts=stored, rolled_back=rolled_back, repeat=policy.judging.repeat, now=now
                    ),
                )
            ),
            statuses=statuses,
            now=now,
        ),
        known.silences(),
        repeat=policy.judging.repeat,
        now=now,
    )
    tx.save_alerts(step.alerts)
    tx.enqueue(
        _messages(
            known, step, proposed, situation, statuses, policy=policy, stored=stored, since=digests_since, now=now
        ),
        at=now,
    )
    return Assessed(step.events, (*proposed, *moved))


def _stored(known: Reading) -> tuple[Alert, ...]:
    """All alerts that are not resolved, and all that are told ONCE."""
    by_id = {alert.id: alert for alert in (*known.once_told().values(), *known.alerts())}
    return tuple(by_id.values())


def _move_clocks(
    tx: Transaction, known: Reading, looked: Looked, *, policy: Policy, now: datetime
) -> Mapping[tuple[Identity, str], IdleClock]:
    """All clocks, those of the account that was looked at moved on; vetoes that have served are lifted."""
    before = known.clocks()
    former_rules = {rule for _, rule in before} - {rule.name for rule in policy.rules}
    if former_rules:
        tx.forget_clocks(former_rules)
    after = next_clocks(
        policy.rules,
        [record for record in known.resources(gone=False) if record.state.identity.account == looked.account],
        readings=looked.readings,
        clocks=before,
        leases=known.leases(),
        heartbeats=known.heartbeats(),
        listening_since=looked.listening_since,
        interval=policy.interval,
        now=now,
    )
    tx.save_clocks(after)
    clocks = {**before, **{(clock.identity, clock.rule): clock for clock in after}}
    for identity, rule in lifted(known.vetoes(), clocks):
        tx.lift_veto(identity, rule)
    return clocks


def _situation(
    known: Reading,
    clocks: Mapping[tuple[Identity, str], IdleClock],
    statuses: Sequence[BudgetStatus],
    *,
    policy: Policy,
    now: datetime,
) -> Situation:
    return situation_of(
        known,
        policy=policy.deletion,
        rules=policy.rules,
        configured=policy.configured,
        clocks=clocks,
        statuses=statuses,
        patience=policy.judging.watched.patience,
        confirm_suspicious=policy.confirm_suspicious,
        now=now,
    )


def _keep_what_is_protected(tx: Transaction, situation: Situation, *, now: datetime) -> None:
    """Protection is kept, not looked up: what stands under a protected name now stays protected under any other."""
    stored = tx.reading().kept()
    for kept in newly_kept(situation.records.values(), replace(situation.keeping, kept=stored), now=now):
        tx.keep(kept)


def _move_deletions(
    tx: Transaction,
    known: Reading,
    looked: Looked,
    situation: Situation,
    *,
    policy: Policy,
    rolled_back: bool,
    now: datetime,
) -> tuple[Situation, tuple[Deletion, ...], tuple[Deletion, ...]]:
    """The situation after this turn's plan, the deletions that were proposed, and those that changed."""
    planned = plan(
        situation,
        account=looked.account,
        accepted=accepted_notices(known, situation.deletions),
        readable=looked.readable,
        new_id=policy.new_id,
        rolled_back=rolled_back,
        now=now,
    )
    # What somebody else has changed meanwhile is planned anew in the next turn.
    saved = [(deletion, was) for deletion, was in planned if tx.save_deletion(deletion, was=was)]
    return (
        applied(situation, saved),
        tuple(deletion for deletion, was in saved if was is None),
        tuple(deletion for deletion, was in saved if was is not None),
    )


def _messages(
    known: Reading,
    step: AlertStep,
    proposed: Iterable[Deletion],
    situation: Situation,
    statuses: Sequence[BudgetStatus],
    *,
    policy: Policy,
    stored: Sequence[Alert],
    since: datetime | None,
    now: datetime,
) -> tuple[Draft, ...]:
    """All that goes into the outbox in this turn: alerts, notices of deletions, digests."""
    told = [deletion for deletion in proposed if deletion.mode is not Mode.OBSERVE]
    watched = policy.judging.watched
    digest_is_due = bool(due_digests(policy.routes, zone=watched.zone, since=since, now=now))
    if not (step.events or told or digest_is_due):
        return ()
    context = context_of(
        known,
        watched=watched,
        statuses=statuses,
        command=policy.command,
        public_url=policy.public_url,
        now=now,
    )
    drafts = list(compose(step.events, routes=policy.routes, quiet=policy.quiet, context=context, now=now))
    for deletion in told:
        drafts += _notices(deletion, situation, context, policy=policy, now=now)
    if digest_is_due:
        after = {alert.id: alert for alert in (*stored, *step.alerts)}
        drafts += digests(
            known,
            routes=policy.routes,
            quiet=policy.quiet,
            watched=watched,
            alerts=tuple(after.values()),
            context=context,
            savings=saving_lines(situation.deletions, now=now),
            since=since,
            now=now,
        )
    return tuple(drafts)


def _notices(
    deletion: Deletion, situation: Situation, context: Context, *, policy: Policy, now: datetime
) -> tuple[Draft, ...]:
    return notices(
        deletion,
        routes=policy.routes,
        quiet=policy.quiet,
        context=context,
        veto_link=veto_link(deletion.id, secret=policy.secret, public_url=policy.public_url),
        earliest=expected_at(deletion, situation, now=now),
        now=now,
    )
