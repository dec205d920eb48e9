"""Whether the ground of a deletion stands: the same machine as when it was proposed, nothing that keeps it, and still idle,
over budget or out of lease (`design.md` section 7).

Planning asks this of the remembered state in every cycle, the guards of a fresh list right before the call. Whatever is
not known breaks the ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from fluence_costwatch.core.alerts.findings import fingerprint_of
from fluence_costwatch.core.billing.booking import amount_of
from fluence_costwatch.core.billing.history import Presence, ResourceState
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy, DeletionState, Ground, Veto
from fluence_costwatch.core.deletion.protection import Keeping, protection_of
from fluence_costwatch.core.deletion.vetoes import veto_on
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.idle.idling import verdict_of
from fluence_costwatch.core.idle.rules import Action, Rule, Signal
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import label
from fluence_costwatch.core.money import ZERO
from fluence_costwatch.core.resources import Generation, Identity, Kind, Resource, is_charged, is_recognised

MACHINES: Final = (Kind.VM, Kind.GPU_CONTAINER, Kind.GPU_VM, Kind.GPU_BAREMETAL)
RELEASE_RULE: Final = "release_public_ips"
RECLAIM_RULE: Final = "reclaim"

_TERMINABLE: Final = {
    Generation.VMS_V2: ("active", "smallbalance"),
    Generation.VMS_V3: ("active", "smallbalance"),
    Generation.GPU: ("active",),
}
# Where `cloud-v2` does not say which actions it allows, only what runs or is ready is ended (`fluence-api.md` 4.2).
_TERMINABLE_UNSAID: Final = {Kind.VM: ("launched",), Kind.PUBLIC_IP: ("created", "ready")}
_ENDING_ACTION: Final = {Kind.VM: "terminate", Kind.PUBLIC_IP: "delete"}
_NEVER_ENDED: Final = ("unknown", "terminating", "removing")


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is remembered and configured that bears on deletions, at one instant.

    `records` are all resources ever seen, of every account. `configured` are the generations that the configuration
    names; what was found by asking is not among them, and nothing of it is deleted. `patience` is how old data may be.
    `twins` are likely the same machine under another id.
    """

    policy: DeletionPolicy
    records: Mapping[Identity, KnownResource] = field(default_factory=dict)
    configured: frozenset[tuple[str, Generation]] = frozenset()
    deletions: tuple[Deletion, ...] = ()
    rules: tuple[Rule, ...] = ()
    clocks: Mapping[tuple[Identity, str], IdleClock] = field(default_factory=dict)
    statuses: tuple[BudgetStatus, ...] = ()
    keeping: Keeping = Keeping()
    twins: Mapping[Identity, Resource] = field(default_factory=dict)
    vetoes: tuple[Veto, ...] = ()
    latency: timedelta = timedelta(0)
    patience: timedelta = timedelta(minutes=15)
    confirm_suspicious: timedelta = timedelta(minutes=30)


def breaches(
    deletion: Deletion, resource: Resource, state: ResourceState, situation: Situation, *, now: datetime
) -> tuple[str, ...]:
    """Why the ground of `deletion` does not stand any more for `resource` as a list shows it; none where it stands."""
    return (
        *_another_subject(deletion, resource, state, situation),
        *_kept(deletion, resource, situation, now=now),
        *_not_terminable(deletion, resource),
        *_without_ground(deletion, resource, state, situation, now=now),
    )


def verdict_on(record: KnownResource, situation: Situation, *, now: datetime) -> IdleVerdict | None:
    """What all rules together say of a resource."""
    return verdict_of(record, rules=situation.rules, clocks=situation.clocks, now=now, patience=situation.patience)


def is_over(status: BudgetStatus) -> bool:
    """Whether a budget is at or above its threshold of deletion, and above its limit."""
    delete_at, forecast, limit = status.budget.delete_at, status.forecast, status.budget.limit
    if delete_at is None or forecast is None or status.ends_at is None:
        return False
    return forecast >= limit and Decimal(forecast.micros) >= delete_at * limit.micros


def is_only_a_state(rule: Rule) -> bool:
    """Whether a rule rests on what the provider says of a status alone, which is never ground enough."""
    return all(condition.signal is Signal.STATE for condition in rule.when)


def ground_by(rule: Rule) -> Ground:
    """The ground of a deletion by this rule."""
    return Ground.LEASE if any(one.signal is Signal.LEASE for one in rule.when) else Ground.IDLE


def alerts_about(deletion: Deletion) -> tuple[str, ...]:
    """The fingerprints of the alerts by which people hear of `deletion`; a silence of one of them keeps the resource."""
    account, id = deletion.identity.account, deletion.identity.id
    return (
        fingerprint_of("idle", account, id, deletion.rule),
        fingerprint_of("deletion", account, id, deletion.id),
    )


def _another_subject(
    deletion: Deletion, resource: Resource, state: ResourceState, situation: Situation
) -> Iterator[str]:
    if resource.identity != deletion.identity or resource.id != deletion.target_id:
        yield "its id is not the one that was proposed"
    if resource.name != deletion.name:
        yield f"it was renamed: {_named(deletion.name)} is {_named(resource.name)} now"
    if resource.created_at != deletion.created_at:
        yield "it was created anew: its creation time is another one"
    if resource.kind is not deletion.kind:
        yield f"it is a {resource.kind} now, not a {deletion.kind}"
    if resource.generation is not deletion.generation or state.generation is not deletion.generation:
        yield "it is listed by another generation of the API now"
    if (deletion.identity.account, deletion.generation) not in situation.configured:
        yield f"the configuration does not name {deletion.generation} for account {deletion.identity.account}"
    if state.retired or state.presence is Presence.GONE:
        yield "it is gone"
    if state.charged_under is not None:
        yield f"its id is charged under account {state.charged_under}"
    if (twin := situation.twins.get(deletion.identity)) is not None:
        name = label(twin.name, id=twin.id)
        yield f"it may be the same machine as {name} of {twin.account} ({twin.generation}): watch it once only"
    if resource.price is None:
        yield "its price is not known"
    elif resource.price != deletion.price:
        yield "its price has changed"
    yield from (f"not all of it can be read: {problem}" for problem in {*resource.problems, *state.problems})


def _kept(deletion: Deletion, resource: Resource, situation: Situation, *, now: datetime) -> Iterator[str]:
    protection = protection_of(resource, situation.keeping, rule=deletion.rule, alerts=alerts_about(deletion), now=now)
    if protection is not None:
        yield protection
    for identity in situation.keeping.known_as(deletion.identity):
        veto = veto_on(identity, deletion.rule, situation.vetoes, now=now)
        if veto is not None:
            yield f"it was vetoed by {veto.actor}: {veto.reason}"


def _not_terminable(deletion: Deletion, resource: Resource) -> Iterator[str]:
    status, kind = resource.status.casefold(), resource.kind
    said = label(resource.status, id="(none)")
    if kind not in (*MACHINES, Kind.PUBLIC_IP) or (kind is Kind.PUBLIC_IP) != (deletion.ground is Ground.RELEASE):
        yield f"a {kind} is not deleted on this ground"
        return
    if not is_recognised(resource.status, resource.generation) or status in _NEVER_ENDED:
        yield f"its status {said} is not one in which anything is deleted"
        return
    if deletion.ground is Ground.RECLAIM:
        if status != "terminated":
            yield f"its status is {said}, not Terminated"
        return
    if not is_charged(resource.status, resource.generation):
        yield f"its status is {said}, in which nothing is charged"
    elif resource.generation is Generation.CLOUD_V2:
        if resource.allowed_actions is not None:
            if _ENDING_ACTION.get(kind) not in resource.allowed_actions:
                yield f"the API does not allow to {_ENDING_ACTION.get(kind, 'end')} it now"
        elif status not in _TERMINABLE_UNSAID.get(kind, ()):
            yield f"its status is {said}, and the API does not say whether it may be ended"
    elif status not in _TERMINABLE[resource.generation]:
        yield f"its status is {said}, in which it is not ended"
    elif resource.generation is Generation.VMS_V3 and resource.next_charge_at is None:
        yield "the API does not say when its next charge falls due"


def _without_ground(
    deletion: Deletion, resource: Resource, state: ResourceState, situation: Situation, *, now: datetime
) -> Iterator[str]:
    match deletion.ground:
        case Ground.IDLE | Ground.LEASE:
            yield from _not_idle(deletion, resource, state, situation)
        case Ground.BUDGET:
            yield from _not_over(deletion, resource, state, situation, now=now)
        case Ground.RECLAIM:
            if not situation.policy.reclaim:
                yield "deletion.reclaim is off"
            if resource.kind is not Kind.VM or is_metered(resource.generation) or resource.reserved is None:
                yield "it is not known to hold reserved funds"
            elif resource.reserved <= ZERO:
                yield "it holds no reserved funds"
        case Ground.RELEASE:
            yield from _in_use(resource, situation)


def _not_idle(deletion: Deletion, resource: Resource, state: ResourceState, situation: Situation) -> Iterator[str]:
    rule = next((rule for rule in situation.rules if rule.name == deletion.rule), None)
    if rule is None:
        yield f"rule {label(deletion.rule, id='')} is no longer configured"
        return
    if rule.action is not Action.DELETE:
        yield f"rule {rule.name} does not delete any more"
    if is_only_a_state(rule):
        yield f"rule {rule.name} rests on a status alone, which is no ground to delete"
    if ground_by(rule) is not deletion.ground or not rule.judges(resource):
        yield f"rule {rule.name} is not about it any more"
    clock = situation.clocks.get((deletion.identity, rule.name))
    if clock is None:
        yield f"rule {rule.name} has not judged it"
    elif clock.digest != rule.digest:
        yield f"rule {rule.name} was changed"
    elif clock.verdict is not IdleVerdict.IDLE:
        evidence = f" ({'; '.join(clock.evidence)})" if clock.evidence else ""
        yield f"by rule {rule.name} it is {clock.verdict} now{evidence}"
    elif clock.since is None or clock.since > deletion.proposed_at:
        yield f"by rule {rule.name} it was not idle all the time since it was proposed"
    elif clock.created_at != state.created_at or clock.price not in (None, resource.price):
        yield f"rule {rule.name} judged it under another creation time or price"


def _not_over(
    deletion: Deletion, resource: Resource, state: ResourceState, situation: Situation, *, now: datetime
) -> Iterator[str]:
    status = next((status for status in situation.statuses if status.budget.name == deletion.rule), None)
    if status is None or status.budget.delete_at is None:
        yield f"budget {label(deletion.rule, id='')} does not delete any more"
        return
    if status.forecast is None or status.ends_at is None:
        yield f"what budget {status.budget.name} comes to is not known"
    elif not is_over(status):
        yield f"budget {status.budget.name} is not over any more"
    if any(_counts_unseen(status, each, situation, now=now) for each in situation.records.values()):
        yield f"what budget {status.budget.name} counts was not all seen lately, so what it comes to is not known"
    if not status.budget.select.matches(resource):
        yield f"budget {status.budget.name} is not about it any more"
    record = situation.records.get(deletion.identity)
    if record is None or verdict_on(record, situation, now=now) is IdleVerdict.UNKNOWN:
        yield "whether it is idle is not known"
    if amount_of(state.price) is None and not is_metered(state.generation):
        yield "its price cannot be charged"
    due = state.epoch.end if state.epoch is not None and not is_metered(state.generation) else now
    if status.ends_at is not None and due >= status.ends_at:
        yield f"no charge of it is left in the window of budget {status.budget.name}"


def _counts_unseen(status: BudgetStatus, record: KnownResource, situation: Situation, *, now: datetime) -> bool:
    """Whether a budget foresees charges of a resource that may have gone, be it of another account."""
    unseen = now - record.last_seen > situation.patience
    return unseen and is_charged_on(record.state) and status.budget.select.matches(record.resource)


def _in_use(resource: Resource, situation: Situation) -> Iterator[str]:
    if not situation.policy.release_public_ips:
        yield "deletion.release_public_ips is off"
    if not resource.attached_to:
        yield "which machine it served is not known"
        return
    gone = {one.identity for one in situation.deletions if one.state is DeletionState.VERIFIED and one.kind is Kind.VM}
    served = [Identity(resource.account, id.lower()) for id in resource.attached_to]
    if any(each not in gone for each in served):
        yield "it does not serve only machines that CostWatch has deleted"
    for each in served:
        record = situation.records.get(each)
        if record is not None and record.state.presence is not Presence.GONE and record.state.billed:
            yield f"machine {label(record.resource.name, id=each.id)} that it serves is still there"


def _named(name: str | None) -> str:
    return "a machine without a name" if name is None else f"'{label(name, id='')}'"
