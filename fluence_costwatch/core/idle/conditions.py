"""What a condition says of a resource: those that follow from what is remembered, and those that were asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from fluence_costwatch.core.deletion.deletions import Lease
from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.leases import term_of
from fluence_costwatch.core.idle.rules import ASKED, NOT_MACHINES, Condition, Match, Rule, Signal
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import instant, span
from fluence_costwatch.core.resources import Identity, Resource
from fluence_costwatch.core.untrusted import printable


class KnownHeartbeat(Protocol):
    """The first and the newest beat of a resource."""

    @property
    def first_at(self) -> datetime: ...
    @property
    def last_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Present:
    """All that conditions are judged by in one look.

    `listening_since` is from when on beats could arrive; None: nobody listens, so that silence says nothing. `shared` are
    the resources that others have a name or address in common with: no series can be told to be theirs.
    """

    now: datetime
    readings: Mapping[tuple[Identity, Condition], Reading] = field(default_factory=dict)
    leases: Mapping[Identity, Lease] = field(default_factory=dict)
    heartbeats: Mapping[Identity, KnownHeartbeat] = field(default_factory=dict)
    listening_since: datetime | None = None
    shared: frozenset[tuple[Match, Identity]] = frozenset()


def conditions_to_ask(rules: Iterable[Rule]) -> tuple[Condition, ...]:
    """The conditions that have to be asked for over the network, each once."""
    return tuple(dict.fromkeys(one for rule in rules for one in rule.when if one.signal in ASKED))


def resources_to_ask(rules: Iterable[Rule], resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """The resources that such a condition is about."""
    asking = [rule for rule in rules if conditions_to_ask([rule])]
    return tuple(each for each in resources if any(rule.judges(each) for rule in asking))


def reading_of(condition: Condition, record: KnownResource, present: Present) -> Reading:
    """What `condition` says of the resource now."""
    match condition.signal:
        case Signal.PROMQL if (condition.match, record.state.identity) in present.shared:
            what = condition.match.replace("_", " ")
            return Reading(condition, None, f"promql: ambiguous, other machines have the same {what}")
        case Signal.CPU | Signal.NETWORK if (Match.PUBLIC_IP, record.state.identity) in present.shared:
            return Reading(condition, None, f"{condition.signal}: ambiguous, other machines have the same public ip")
        case Signal.CPU | Signal.NETWORK | Signal.PROMQL:
            unasked = Reading(condition, None, f"{condition.signal}: was not asked for in this look")
            return present.readings.get((record.state.identity, condition), unasked)
        case Signal.HEARTBEAT:
            return _heartbeat(condition, record, present)
        case Signal.AGE:
            return _age(condition, record, now=present.now)
        case Signal.LEASE:
            return _lease(condition, record, present)
        case Signal.STATE:
            status = record.resource.status
            holds = status.casefold() in {one.casefold() for one in condition.statuses}
            return Reading(condition, holds, f"status {printable(status, limit=60)}")


def shared_marks(resources: Iterable[Resource]) -> frozenset[tuple[Match, Identity]]:
    """The machines whose name or public address another one has too. One id in two accounts is one machine."""
    owners: dict[tuple[Match, str], set[Identity]] = {}
    for resource in resources:
        if resource.kind in NOT_MACHINES:
            continue
        for match, mark in ((Match.NAME, resource.name), (Match.PUBLIC_IP, resource.public_ip)):
            if mark:
                owners.setdefault((match, mark), set()).add(resource.identity)
    several = (each for each in owners.items() if len(each[1]) > 1 and len({one.id for one in each[1]}) > 1)
    return frozenset((match, one) for (match, _), owning in several for one in owning)


def age_of(record: KnownResource, *, now: datetime) -> tuple[timedelta, bool]:
    """How old the resource is, and whether that is all: without a creation time it is at least as old as first seen."""
    born = record.state.created_at
    return (now - record.state.first_seen, False) if born is None else (now - born, True)


def _age(condition: Condition, record: KnownResource, *, now: datetime) -> Reading:
    age, exact = age_of(record, now=now)
    holds = condition.above is not None and age > condition.above
    if exact:
        return Reading(condition, holds, f"created {span(age)} ago")
    return Reading(condition, True if holds else None, f"first seen {span(age)} ago, when it was created is not known")


def _lease(condition: Condition, record: KnownResource, present: Present) -> Reading:
    lease = present.leases.get(record.state.identity)
    term = term_of(record.resource.name, created_at=record.state.created_at, lease=lease)
    if term is None:
        return Reading(condition, False, "has no lease")
    if term.until is None:
        return Reading(condition, None, f"lease: {term.source}")
    over = term.has_run_out(present.now)
    return Reading(condition, over, f"lease {'ran out' if over else 'runs'} at {instant(term.until, zone=UTC)}")


def _heartbeat(condition: Condition, record: KnownResource, present: Present) -> Reading:
    beat = present.heartbeats.get(record.state.identity)
    if beat is None:
        return Reading(condition, None, "heartbeat: has never beaten")
    patience, silence = condition.silent or timedelta(0), present.now - beat.last_at
    if silence < patience:
        return Reading(condition, False, f"last heartbeat {span(max(silence, timedelta(0)))} ago")
    since = present.listening_since
    if since is None or present.now - since < patience:
        return Reading(condition, None, f"heartbeat: nobody has listened for {span(patience)} yet")
    return Reading(condition, True, f"no heartbeat for {span(silence)}")
