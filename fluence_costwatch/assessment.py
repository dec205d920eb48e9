"""Judging and telling: what one turn makes of all that is remembered, in the transaction of that turn.

clocks of idle rules -> budgets -> deletions that are proposed, moved or withdrawn -> findings -> alerts -> messages
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo

from fluence_costwatch.core.alerts import judging
from fluence_costwatch.core.alerts.alert import Alert, AlertEvent
from fluence_costwatch.core.alerts.alerting import AlertStep, next_alerts
from fluence_costwatch.core.alerts.delivery_findings import WATCHED_STATES, delivery_findings
from fluence_costwatch.core.alerts.findings import Judged
from fluence_costwatch.core.alerts.subjects import together
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.billing.twins import judge_twins
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.budgets.budgeting import statuses as budget_statuses
from fluence_costwatch.core.deletion.deletion_findings import deletion_findings
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Mode
from fluence_costwatch.core.deletion.grounds import Situation
from fluence_costwatch.core.deletion.planning import expected_at
from fluence_costwatch.core.idle.idleness import IdleClock
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.idling import idle_findings, next_clocks
from fluence_costwatch.core.idle.rules import Condition
from fluence_costwatch.core.messages.composing import compose
from fluence_costwatch.core.messages.context import Context, context_of
from fluence_costwatch.core.messages.digest import digests, due_digests, saving_lines
from fluence_costwatch.core.messages.notices import notices, veto_link
from fluence_costwatch.core.messages.outbox import Draft, QuietHours, Route
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.deleting import Stock, Terms, situation_in, take_stock
from fluence_costwatch.ports import Reading, Transaction


@dataclass(frozen=True, slots=True)
class Policy:
    """All that is configured and bears on what is judged and told.

    `terms` hold the rules, budgets and what bears on deletions; `interval` is that of looks. `secret` signs the links of
    vetoes, `new_id` makes the ids of deletions. `command`, `zone` and `public_url` are for the words of messages.
    """

    judging: judging.Policy
    terms: Terms
    new_id: Callable[[], str]
    secret: bytes = field(repr=False)
    routes: tuple[Route, ...] = ()
    quiet: QuietHours | None = None
    interval: timedelta = timedelta(minutes=5)
    command: str = "fluence-costwatch"
    zone: tzinfo = UTC
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """One account that was looked at in this turn, and what it brought: the generations whose list was believed, what
    signals said of its machines, and how far the marketplace's clock is ahead of ours, if it said."""

    account: str
    readable: tuple[Generation, ...] = ()
    readings: Mapping[tuple[Identity, Condition], SignalReading] = field(default_factory=dict)
    clock_ahead: timedelta | None = None


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
    terms = policy.terms
    clocks = known.clocks() if looked is None else _move_clocks(tx, known, looked, policy=policy, now=now)
    statuses = budget_statuses(terms.budgets, known, watched=terms.watched, now=now)
    if looked is None:
        stock = Stock(situation_in(known, terms, clocks=clocks, statuses=statuses, now=now))
    else:
        stock = take_stock(
            tx,
            account=looked.account,
            terms=terms,
            clocks=clocks,
            statuses=statuses,
            readable=looked.readable,
            rolled_back=rolled_back,
            new_id=policy.new_id,
            clock_ahead=looked.clock_ahead,
            now=now,
        )
    situation = stock.situation
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
                    judge_twins(_listed(situation), alerts=stored),
                    delivery_findings(
                        known.outbox(states=WATCHED_STATES),
                        targets=tuple(route.target for route in policy.routes),
                        alerts=stored,
                        command=policy.command,
                        now=now,
                    ),
                    idle_findings(terms.rules, situation.records.values(), clocks, alerts=stored, now=now),
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
        _messages(known, step, stock, statuses, policy=policy, stored=stored, since=digests_since, now=now),
        at=now,
    )
    return Assessed(step.events, (*stock.proposed, *stock.changed))


def _stored(known: Reading) -> tuple[Alert, ...]:
    """All alerts that are not resolved, and all that are told ONCE."""
    by_id = {alert.id: alert for alert in (*known.once_told().values(), *known.alerts())}
    return tuple(by_id.values())


def _listed(situation: Situation) -> list[Resource]:
    return [record.resource for record in situation.records.values() if record.state.presence is not Presence.GONE]


def _move_clocks(
    tx: Transaction, known: Reading, looked: Looked, *, policy: Policy, now: datetime
) -> Mapping[tuple[Identity, str], IdleClock]:
    """All clocks, those of the account that was looked at moved on."""
    before, rules = known.clocks(), policy.terms.rules
    former_rules = {rule for _, rule in before} - {rule.name for rule in rules}
    if former_rules:
        tx.forget_clocks(former_rules)
    records = known.resources()
    own = [record for record in records if record.state.identity.account == looked.account]
    after = next_clocks(
        rules,
        own,
        beside=[record for record in records if record.state.identity.account != looked.account],
        readings=looked.readings,
        clocks=before,
        leases=known.leases(),
        heartbeats=known.heartbeats(),
        listening_since=policy.terms.listening_since,
        interval=policy.interval,
        now=now,
    )
    tx.save_clocks(after)
    return {**before, **{(clock.identity, clock.rule): clock for clock in after}}


def _messages(
    known: Reading,
    step: AlertStep,
    stock: Stock,
    statuses: Sequence[BudgetStatus],
    *,
    policy: Policy,
    stored: Sequence[Alert],
    since: datetime | None,
    now: datetime,
) -> tuple[Draft, ...]:
    """All that goes into the outbox in this turn: alerts, notices of deletions, digests."""
    # Also what was proposed before and still waits: its notice may be for a target that is not configured any more. Who
    # has a notice of it already gets no other one.
    told = [
        deletion
        for deletion in stock.situation.deletions
        if deletion.state is DeletionState.PROPOSED
        and deletion.mode is not Mode.OBSERVE
        and (deletion.identity.account, deletion.generation) in stock.situation.configured
    ]
    watched = replace(policy.judging.watched, zone=policy.zone)
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
        drafts += _notices(deletion, stock.situation, context, policy=policy, now=now)
    if digest_is_due:
        after = {alert.id: alert for alert in (*stored, *step.alerts)}
        drafts += digests(
            known,
            routes=policy.routes,
            quiet=policy.quiet,
            watched=watched,
            alerts=tuple(after.values()),
            context=context,
            savings=saving_lines(stock.situation.deletions, now=now),
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
