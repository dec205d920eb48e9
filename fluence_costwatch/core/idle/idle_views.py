"""What `idle` and `explain` show: every rule's verdict with its evidence, its clock and what the idleness costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from fluence_costwatch.core.deletion.deletions import Lease
from fluence_costwatch.core.deletion.protection import Keeping, protection_of
from fluence_costwatch.core.idle.conditions import KnownHeartbeat
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.idle.idling import next_charge_at, standing_verdict, verdict_of, wasted
from fluence_costwatch.core.idle.leases import Term, term_of
from fluence_costwatch.core.idle.rules import Action, Rule
from fluence_costwatch.core.known import Known, KnownResource
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.core.views.fleet import View, VmsView, VmView, Watched, stale_accounts, vm_view


class KnownIdleness(Known, Protocol):
    """What is known of idleness, beside all else."""

    def clocks(self) -> Mapping[tuple[Identity, str], IdleClock]: ...
    def leases(self) -> Mapping[Identity, Lease]: ...
    def heartbeats(self) -> Mapping[Identity, KnownHeartbeat]: ...


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule says of one resource.

    `evidence` is what each condition said when it was last judged (`judged_at`; None: not yet). `wasted` is what was spent
    since `since`; None where no price is known. `next_charge_at` is None where time is charged as it passes.
    """

    account: str
    resource_id: str
    name: str | None
    rule: str
    action: Action
    conditions: tuple[str, ...]
    held_for: timedelta
    min_age: timedelta
    verdict: IdleVerdict
    since: datetime | None
    judged_at: datetime | None
    busy_at: datetime | None
    coverage: Decimal
    evidence: tuple[str, ...]
    wasted: Usd | None
    next_charge_at: datetime | None


@dataclass(frozen=True, slots=True)
class IdleView(View):
    """Every verdict, by account, id and rule."""

    verdicts: tuple[RuleVerdict, ...]


@dataclass(frozen=True, slots=True)
class ExplainView(View):
    """Why one resource is called what it is called.

    `other_rules` are those that are not about it. `lease` is None where it has none; `protection` says why it is
    never deleted, empty where nothing says so. `standing` is what else stands about it: vetoes, a deletion under way.
    """

    resource: VmView
    verdict: IdleVerdict | None
    rules: tuple[RuleVerdict, ...]
    other_rules: tuple[str, ...]
    lease: Term | None
    last_heartbeat: datetime | None
    protection: tuple[str, ...]
    standing: tuple[str, ...] = ()


def idle_view(known: KnownIdleness, *, rules: Sequence[Rule], watched: Watched, now: datetime) -> IdleView:
    """What every rule says of every resource that is there."""
    clocks = known.clocks()
    records = sorted(known.resources(gone=False), key=lambda record: record.state.identity)
    return IdleView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        verdicts=tuple(
            _rule_verdict(rule, record, clocks.get((record.state.identity, rule.name)), watched=watched, now=now)
            for record in records
            if not record.state.retired
            for rule in rules
            if rule.judges(record.resource)
        ),
    )


def explain_view(
    known: KnownIdleness,
    record: KnownResource,
    *,
    rules: Sequence[Rule],
    watched: Watched,
    protection: Sequence[str] = (),
    standing: Sequence[str] = (),
    now: datetime,
) -> ExplainView:
    """Why `record` is called idle, active or unknown, and what keeps it."""
    identity, clocks = record.state.identity, known.clocks()
    beat = known.heartbeats().get(identity)
    return ExplainView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        resource=vm_view(record, now=now),
        verdict=verdict_of(record, rules=rules, clocks=clocks, now=now, patience=watched.patience),
        rules=tuple(
            _rule_verdict(rule, record, clocks.get((identity, rule.name)), watched=watched, now=now)
            for rule in rules
            if rule.judges(record.resource)
        ),
        other_rules=tuple(rule.name for rule in rules if not rule.judges(record.resource)),
        lease=term_of(record.resource.name, created_at=record.state.created_at, lease=known.leases().get(identity)),
        last_heartbeat=None if beat is None else beat.last_at,
        protection=tuple(protection),
        standing=tuple(standing),
    )


def judged_vms(
    view: VmsView, known: KnownIdleness, *, rules: Sequence[Rule], keeping: Keeping, watched: Watched, now: datetime
) -> VmsView:
    """`view` with the verdict on each resource, and whether anything protects it. What is gone has neither."""
    clocks = known.clocks()
    records = {
        (record.state.identity.account, record.state.identity.id): record
        for record in known.resources(gone=False)
        if not record.state.retired
    }
    return replace(
        view,
        resources=tuple(
            each
            if (record := records.get((each.account, each.id))) is None
            else replace(
                each,
                verdict=verdict_of(record, rules=rules, clocks=clocks, now=now, patience=watched.patience),
                protected=protection_of(record.resource, keeping, now=now) is not None,
            )
            for each in view.resources
        ),
    )


def _rule_verdict(
    rule: Rule, record: KnownResource, clock: IdleClock | None, *, watched: Watched, now: datetime
) -> RuleVerdict:
    kept = clock if clock is not None and clock.digest == rule.digest else None
    verdict = standing_verdict(clock, rule=rule, now=now, patience=watched.patience)
    since = None if kept is None else kept.since
    return RuleVerdict(
        account=record.state.identity.account,
        resource_id=record.state.identity.id,
        name=record.resource.name,
        rule=rule.name,
        action=rule.action,
        conditions=tuple(condition.in_words for condition in rule.when),
        held_for=rule.held_for,
        min_age=rule.min_age,
        verdict=verdict,
        since=since,
        judged_at=None if kept is None else kept.at,
        busy_at=None if kept is None else kept.busy_at,
        coverage=Decimal(0) if kept is None else kept.coverage,
        evidence=("not judged yet",) if kept is None else kept.evidence,
        wasted=wasted(record, since=since, now=now),
        next_charge_at=next_charge_at(record),
    )
