"""The last look before a deletion: every guard of `design.md` section 7, each with its sentence. What is not known refuses.

A refusal that is `lasting` has broken the ground, so the deletion is withdrawn; any other may pass, so it waits for its
moment, or for the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING
from typing import Final

from fluence_costwatch.core.billing.history import Presence, ResourceState
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy, DeletionState, Ground, Mode
from fluence_costwatch.core.deletion.grounds import MACHINES, Situation, breaches, ground_by
from fluence_costwatch.core.deletion.outcomes import explain_absence
from fluence_costwatch.core.deletion.timing import is_allowed, moment_for, pace_of
from fluence_costwatch.core.idle.conditions import KnownHeartbeat, Present, reading_of, shared_marks
from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.idling import is_there
from fluence_costwatch.core.idle.rules import Condition, Match
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import counted, instant, span
from fluence_costwatch.core.resources import Identity, Kind, Resource, is_charged

CLOCKS_MAY_DIFFER_BY: Final = timedelta(minutes=5)
LIST_IS_FRESH_FOR: Final = timedelta(minutes=2)
DAY: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class FreshList:
    """A complete list that was asked for right now. `suspicious` None: nothing to compare it with."""

    sent_at: datetime
    answered_at: datetime
    resources: tuple[Resource, ...]
    suspicious: bool | None
    clock_ahead: timedelta | None


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out in this turn for one deletion; None is not known, with the reason in `missing`.

    `readings` are what the rule's conditions that must be asked for say now; `listed_at` is when the generation's last
    list was believed. `rolled_back`: the database is older than what is known beside it.
    """

    fresh: FreshList | None
    maintenance: bool | None
    rolled_back: bool
    listed_at: datetime | None
    missing: tuple[str, ...] = ()
    readings: Mapping[tuple[Identity, Condition], Reading] = field(default_factory=dict)
    heartbeats: Mapping[Identity, KnownHeartbeat] = field(default_factory=dict)
    listening_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a deletion is not carried out now; a lasting one withdraws it."""

    says: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class _AsListed:
    """A remembered resource with what a fresh list says of it."""

    resource: Resource
    state: ResourceState
    last_seen: datetime


def refusals(deletion: Deletion, found: Examined, situation: Situation, *, now: datetime) -> tuple[Refusal, ...]:
    """Everything that speaks against carrying out `deletion` now; only where there is nothing may the API be called."""
    return (
        *keys_missing(deletion, situation.policy, rolled_back=found.rolled_back),
        *_moment(deletion, situation, now=now),
        *_doubtful_facts(deletion, found, situation, now=now),
        *_caps(deletion, situation, now=now),
        *_ground(deletion, found, situation, now=now),
    )


def deletions_of_a_day(deletions: Sequence[Deletion], *, now: datetime) -> tuple[Deletion, ...]:
    """The deletions that were asked for in the last 24 hours, as far as the API may have taken them."""
    return tuple(
        one for one in deletions if one.was_asked_for and one.requested_at is not None and one.requested_at > now - DAY
    )


def fleet_at_start_of_day(situation: Situation, *, account: str, ground: Ground = Ground.IDLE, now: datetime) -> int:
    """How many machines that bill the account had 24 hours ago, or when it was first looked at, if that is later.

    Records to reclaim are counted where one of them is to go, addresses where one is released.
    """
    kinds = (*MACHINES, Kind.PUBLIC_IP) if ground is Ground.RELEASE else MACHINES
    ours = {one.identity for one in deletions_of_a_day(situation.deletions, now=now)}
    machines = [
        record
        for identity, record in situation.records.items()
        if identity.account == account and record.state.kind in kinds
    ]
    first_look = min((record.state.first_seen for record in machines), default=now)
    start = max(now - DAY, first_look)
    return sum(
        min(record.state.first_seen, record.state.created_at or record.state.first_seen) <= start
        and record.last_seen >= start
        and (record.state.billed or record.state.identity in ours or ground is Ground.RECLAIM)
        for record in machines
    )


def most_of_fleet(situation: Situation, *, account: str, ground: Ground = Ground.IDLE, now: datetime) -> int:
    """How many deletions in 24 hours `max_fleet_share` allows the account."""
    fleet = fleet_at_start_of_day(situation, account=account, ground=ground, now=now)
    share = situation.policy.max_fleet_share * fleet
    return int(share.to_integral_value(ROUND_CEILING)) if share > 0 else 0


def keys_missing(deletion: Deletion, policy: DeletionPolicy, *, rolled_back: bool) -> tuple[Refusal, ...]:
    """What forbids to act at all: the mode, the second key, a database that is older than it was, no approval."""
    return tuple(_keys(deletion, policy, rolled_back=rolled_back))


def _keys(deletion: Deletion, policy: DeletionPolicy, *, rolled_back: bool) -> Iterator[Refusal]:
    if policy.mode is Mode.OBSERVE or deletion.mode is Mode.OBSERVE:
        yield Refusal("the mode is observe, which deletes nothing")
    if not policy.armed:
        yield Refusal("the second key is missing: the daemon was started without --allow-delete")
    if rolled_back:
        yield Refusal(
            "the database is older than it was: nothing is deleted until an operator confirms it", lasting=True
        )
    if deletion.state not in (DeletionState.NOTIFIED, DeletionState.APPROVED):
        yield Refusal(f"it is {deletion.state}")
    if Mode.PROPOSE in (policy.mode, deletion.mode):
        if deletion.state is not DeletionState.APPROVED:
            yield Refusal("the mode is propose, and nobody has approved it")
        elif deletion.approved_for is None or deletion.approved_for != deletion.execute_at:
            yield Refusal("it was approved for another moment")


def _moment(deletion: Deletion, situation: Situation, *, now: datetime) -> Iterator[Refusal]:
    policy = situation.policy
    if deletion.notified_at is None:
        yield Refusal("no target has accepted its notice")
    elif now < deletion.notified_at or now - deletion.notified_at < policy.min_notice:
        yield Refusal(f"its notice was accepted less than {span(policy.min_notice)} ago")
    if deletion.execute_at is None:
        yield Refusal("no moment for it could be found")
    elif now < deletion.execute_at:
        yield Refusal(f"it is not due before {instant(deletion.execute_at, zone=UTC)}")
    if not is_allowed(now, policy=policy):
        yield Refusal("it is outside the allowed hours")


def _doubtful_facts(deletion: Deletion, found: Examined, situation: Situation, *, now: datetime) -> Iterator[Refusal]:
    yield from (Refusal(says) for says in found.missing)
    fresh = found.fresh
    if fresh is None:
        yield Refusal("no complete list could be had")
    else:
        if not timedelta(0) <= now - fresh.sent_at <= LIST_IS_FRESH_FOR:
            yield Refusal("the list is not fresh, or the clock was changed meanwhile")
        if fresh.suspicious is not False:
            lacks = "there is no earlier one to compare it with" if fresh.suspicious is None else "it lacks too much"
            yield Refusal(f"the list is suspicious: {lacks}")
        vanished, known = _vanished(deletion, fresh, situation, now=now)
        if vanished >= 2 and 2 * vanished >= known:
            yield Refusal(f"{vanished} of {known} resources of the last 24 hours have vanished, and not by us")
        if fresh.clock_ahead is None:
            yield Refusal("the marketplace does not say what time it is")
        elif abs(fresh.clock_ahead) > CLOCKS_MAY_DIFFER_BY:
            yield Refusal(f"the clocks here and at the marketplace differ by {span(abs(fresh.clock_ahead))}")
    if found.maintenance is None:
        yield Refusal("whether the marketplace is under maintenance is not known")
    elif found.maintenance:
        yield Refusal("the marketplace is under maintenance")
    if found.listed_at is None or not timedelta(0) <= now - found.listed_at <= situation.patience:
        yield Refusal("what is remembered of the account is stale")


def _vanished(deletion: Deletion, fresh: FreshList, situation: Situation, *, now: datetime) -> tuple[int, int]:
    """How many of the resources that the lists have shown within a day are not in the fresh one, though CostWatch has not
    ended them, and of how many. Half a fleet may go by its owner's hand; that is no moment to delete more."""
    account, generation = deletion.identity.account, deletion.generation
    ours = explain_absence(situation.deletions, account=account, sent_at=fresh.sent_at)
    lately = {
        identity.id
        for identity, record in situation.records.items()
        if identity.account == account
        and record.state.generation is generation
        and not record.state.retired
        and record.last_seen > now - DAY
    }
    expected = lately - (ours - {one.identity.id for one in fresh.resources})
    return len(expected - {one.identity.id for one in fresh.resources}), len(expected)


def _caps(deletion: Deletion, situation: Situation, *, now: datetime) -> Iterator[Refusal]:
    policy, account = situation.policy, deletion.identity.account
    done = deletions_of_a_day(situation.deletions, now=now)
    if len(done) >= policy.max_per_day:
        yield Refusal(f"max_per_day is reached: {counted(len(done), 'deletion')} in 24 hours")
    own = sum(one.identity.account == account for one in done)
    most = most_of_fleet(situation, account=account, ground=deletion.ground, now=now)
    if own >= most:
        yield Refusal(
            f"max_fleet_share is reached: {counted(own, 'deletion')} in 24 hours, {most} allowed for this fleet"
        )
    if any(one.identity == deletion.identity and one.id != deletion.id for one in done):
        yield Refusal("another deletion of it was asked for within 24 hours")


def _ground(deletion: Deletion, found: Examined, situation: Situation, *, now: datetime) -> Iterator[Refusal]:
    record = situation.records.get(deletion.identity)
    if record is None:
        yield Refusal("nothing is remembered of it")
        return
    if record.state.presence is not Presence.PRESENT:
        yield Refusal(f"it is {record.state.presence} from the lists")
    if found.fresh is None:
        return
    listed = [one for one in found.fresh.resources if one.identity == deletion.identity]
    if len(listed) != 1:
        yield Refusal("the fresh list does not show it once")
        return
    yield from (Refusal(says, lasting=True) for says in breaches(deletion, listed[0], record.state, situation, now=now))
    yield from _by_the_fresh_list(deletion, listed[0], record, situation, now=now)
    if deletion.ground in (Ground.IDLE, Ground.LEASE):
        as_listed = _AsListed(listed[0], record.state, found.fresh.sent_at)
        yield from _not_idle_now(deletion, as_listed, found, situation, now=now)
    if deletion.ground is Ground.BUDGET and _costs_less_now(deletion, found.fresh, situation):
        yield Refusal(f"what budget {deletion.rule} comes to has changed since it was reckoned")


def _by_the_fresh_list(
    deletion: Deletion, listed: Resource, record: KnownResource, situation: Situation, *, now: datetime
) -> Iterator[Refusal]:
    """Its next charge may have moved, or have come, since the moment was set."""
    pace = pace_of(record.state, listed, ground=deletion.ground)
    moment = moment_for(deletion, pace, policy=situation.policy, latency=situation.latency, now=now)
    if moment is None:
        yield Refusal("when its next charge falls due is not known")
    elif moment > now:
        yield Refusal(f"its moment is {instant(moment, zone=UTC)} by the fresh list")


def _costs_less_now(deletion: Deletion, fresh: FreshList, situation: Situation) -> bool:
    """Whether something that the budget is about has another price by the fresh list, or is not charged any more, though
    CostWatch has not ended it. Then the budget may be met by now, and the next look reckons it anew."""
    selects = [status.budget.select for status in situation.statuses if status.budget.name == deletion.rule]
    listed = {one.identity: one for one in fresh.resources}
    account, generation = deletion.identity.account, deletion.generation
    ours = explain_absence(situation.deletions, account=account, sent_at=fresh.sent_at)
    return any(
        (now_listed := listed.get(identity)) is None
        or now_listed.price != record.resource.price
        or not is_charged(now_listed.status, generation)
        for identity, record in situation.records.items()
        if identity.account == account
        and record.state.generation is generation
        and record.state.presence is Presence.PRESENT
        and is_charged_on(record.state)
        and identity.id not in ours
        and any(select.matches(record.resource) for select in selects)
    )


def _shared(found: Examined, situation: Situation) -> frozenset[tuple[Match, Identity]]:
    """The machines that signals cannot tell apart, by what is remembered and by the fresh list."""
    listed = () if found.fresh is None else found.fresh.resources
    known = [record.resource for record in situation.records.values() if is_there(record)]
    return shared_marks((*known, *listed))


def _not_idle_now(
    deletion: Deletion, record: KnownResource, found: Examined, situation: Situation, *, now: datetime
) -> Iterator[Refusal]:
    """Every condition of the rule must hold at this very moment, by facts that were asked for in this turn."""
    rule = next((rule for rule in situation.rules if rule.name == deletion.rule), None)
    if rule is None or not rule.when or ground_by(rule) is not deletion.ground:
        yield Refusal("its rule cannot be asked", lasting=True)
        return
    clock = situation.clocks.get((deletion.identity, rule.name))
    if clock is None or not timedelta(0) <= now - clock.at <= situation.patience:
        yield Refusal(f"rule {rule.name} was not judged lately")
    present = Present(
        now,
        found.readings,
        situation.keeping.leases,
        found.heartbeats,
        found.listening_since,
        _shared(found, situation),
    )
    for condition in rule.when:
        reading = reading_of(condition, record, present)
        if reading.holds is None:
            yield Refusal(f"rule {rule.name} is not known to hold now: {reading.says}")
        elif not reading.holds:
            yield Refusal(f"rule {rule.name} does not hold now: {reading.says}", lasting=True)
