"""Who is idle, by which rule, since when, and what that costs (`design.md` section 6). Unknown is not idle.

The clock of a rule and resource starts anew where the rule, the price or the creation time changed, where a condition does
not hold, and where too much is unknown. It is held while a look says nothing, and says unknown meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.billing.metering import cost_of, is_metered
from fluence_costwatch.core.deletion.deletions import Lease
from fluence_costwatch.core.idle.conditions import KnownHeartbeat, Present, age_of, reading_of, shared_marks
from fluence_costwatch.core.idle.idle_clock import Sample, advanced, started_at
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict, Reading
from fluence_costwatch.core.idle.rules import ACTIVITY, Condition, Rule
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import instant, label, money, share
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Identity, is_recognised
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.fleet import burn_per_day

KIND: Final = "idle"

Clocks = Mapping[tuple[Identity, str], IdleClock]

_LONGEST_EVIDENCE: Final = 200


def next_clocks(
    rules: Iterable[Rule],
    records: Iterable[KnownResource],
    *,
    readings: Mapping[tuple[Identity, Condition], Reading],
    clocks: Clocks,
    leases: Mapping[Identity, Lease],
    heartbeats: Mapping[Identity, KnownHeartbeat],
    listening_since: datetime | None,
    interval: timedelta,
    beside: Iterable[KnownResource] = (),
    now: datetime,
) -> tuple[IdleClock, ...]:
    """The clocks after one look at the account that `records` are of, whether or not it brought a list.

    A resource that was not seen since the look before is unknown. `listening_since` is from when on heartbeats could
    arrive (None: nobody listens); `interval` is that of looks. `beside` are the resources of other accounts, which the
    same signals may be about.
    """
    records = [each for each in records if is_there(each)]
    shared = shared_marks(each.resource for each in (*records, *beside) if is_there(each))
    present = Present(now, readings, leases, heartbeats, listening_since, shared)
    return tuple(
        _next(rule, digest, record, clocks.get((record.state.identity, rule.name)), present, interval=interval)
        for rule, digest in [(rule, rule.digest) for rule in rules]
        for record in records
        if rule.judges(record.resource)
    )


def _next(
    rule: Rule, digest: str, record: KnownResource, former: IdleClock | None, present: Present, *, interval: timedelta
) -> IdleClock:
    now = present.now
    doubt = _doubt_about(record, former, interval=interval, now=now)
    if former is None or _is_of_another(digest, record, former, now=now):
        former = started_at(IdleClock(record.state.identity, rule.name, digest, IdleVerdict.UNKNOWN, now), now)
    elif _has_another_price(record, former):
        former = started_at(former, now)
    sample = _sample(rule, record, present, doubt=doubt)
    clock = advanced(former, sample, held_for=rule.held_for, interval=interval, now=now)
    state = record.state
    verdict = _verdict(rule, record, clock, sample, now=now)
    created_at = clock.created_at if state.created_at is None else state.created_at
    price = clock.price if state.price is None else state.price
    if (verdict, created_at, price) == (clock.verdict, clock.created_at, clock.price):
        return clock
    return replace(clock, verdict=verdict, created_at=created_at, price=price)


def _is_of_another(digest: str, record: KnownResource, clock: IdleClock, *, now: datetime) -> bool:
    """Whether what was remembered is of another rule or another life, or of a time that is yet to come."""
    born = record.state.created_at
    reborn = born is not None and clock.created_at is not None and born != clock.created_at
    return clock.digest != digest or reborn or now < clock.at


def _has_another_price(record: KnownResource, clock: IdleClock) -> bool:
    price = record.state.price
    return price is not None and clock.price is not None and price != clock.price


def _doubt_about(record: KnownResource, former: IdleClock | None, *, interval: timedelta, now: datetime) -> str | None:
    """Why nothing that is said of the resource in this look may count as idleness."""
    resource = record.resource
    if record.state.presence is Presence.MISSING:
        return "missing from the newest list"
    if not is_recognised(resource.status, resource.generation):
        return f"status {printable(resource.status, limit=60)} is not one that is known"
    # A list that failed or is suspicious leaves the last sighting where it was: before the former look.
    last_seen = record.last_seen
    unseen = now - last_seen > interval if former is None else last_seen <= former.at and last_seen < now
    return "the newest look brought no list that shows it" if unseen else None


def _sample(rule: Rule, record: KnownResource, present: Present, *, doubt: str | None) -> Sample:
    said = [reading_of(condition, record, present) for condition in rule.when]
    busy = any(each.holds is False for each in said)
    if doubt is not None:
        return Sample(None, busy, (doubt,))
    holds = False if busy else True if said and all(each.holds for each in said) else None
    return Sample(holds, busy, tuple(printable(each.says, limit=_LONGEST_EVIDENCE) for each in said))


def _verdict(rule: Rule, record: KnownResource, clock: IdleClock, sample: Sample, *, now: datetime) -> IdleVerdict:
    """What the clock says now. Before the conditions have been watched to hold for long enough, it is active if it is
    known that it was busy, or did not exist, within that time; else nobody can know."""
    if sample.holds is None:
        return IdleVerdict.UNKNOWN
    if not sample.holds:
        return IdleVerdict.ACTIVE
    age, exact = age_of(record, now=now)
    if age < rule.min_age:
        return IdleVerdict.ACTIVE if exact else IdleVerdict.UNKNOWN
    if clock.since is not None and now - clock.since >= rule.held_for:
        return IdleVerdict.IDLE
    was_busy = clock.busy_at is not None and now - clock.busy_at <= rule.held_for
    return IdleVerdict.ACTIVE if was_busy or (exact and age < rule.held_for) else IdleVerdict.UNKNOWN


def verdict_of(
    record: KnownResource, *, rules: Iterable[Rule], clocks: Clocks, now: datetime, patience: timedelta
) -> IdleVerdict | None:
    """Idle if any rule says so, else unknown if any, else active; None where no rule is about it.

    What was judged longer than `patience` ago, or by a rule as it was, is unknown.
    """
    verdicts = {
        standing_verdict(clocks.get((record.state.identity, rule.name)), rule=rule, now=now, patience=patience)
        for rule in rules
        if rule.judges(record.resource)
    }
    for verdict in (IdleVerdict.IDLE, IdleVerdict.UNKNOWN, IdleVerdict.ACTIVE):
        if verdict in verdicts:
            return verdict
    return None


def standing_verdict(clock: IdleClock | None, *, rule: Rule, now: datetime, patience: timedelta) -> IdleVerdict:
    """What `clock` still says at `now`."""
    if clock is None or clock.digest != rule.digest or now - clock.at > patience:
        return IdleVerdict.UNKNOWN
    return clock.verdict


def wasted(record: KnownResource, *, since: datetime | None, now: datetime) -> Usd | None:
    """What was spent since then: the epochs that have begun, or the time that has passed. None: its price is not known."""
    state = record.state
    if since is None or not is_charged_on(state) or state.charged_under is not None:
        return ZERO
    if state.price is None:
        return None
    if is_metered(state.generation):
        return cost_of(state.price, max(min(record.last_seen, now) - since, timedelta(0)))
    if state.epoch is None or state.epoch.start < since:
        return ZERO
    begun = (state.epoch.start - since) // state.grid.length + 1
    return Usd.rounded(state.price * begun)


def next_charge_at(record: KnownResource) -> datetime | None:
    """When the next prepaid charge falls due; None where none does, or where time is charged as it passes."""
    state = record.state
    prepaid = is_charged_on(state) and state.charged_under is None and not is_metered(state.generation)
    return state.epoch.end if prepaid and state.epoch is not None else None


def idle_findings(
    rules: Sequence[Rule],
    records: Iterable[KnownResource],
    clocks: Clocks,
    *,
    alerts: Iterable[Alert],
    now: datetime,
) -> Judged:
    """A finding for each rule that calls a resource idle, and an ending for each alert whose idleness is known to be over.

    `records` are all that were ever seen, gone ones included. Unknown ends nothing.
    """
    by_name = {rule.name: rule for rule in rules}
    known = {record.state.identity: record for record in records}
    findings = tuple(
        _finding(rule, record, clock, now=now)
        for rule in rules
        for record in known.values()
        if (clock := clocks.get((record.state.identity, rule.name))) is not None
        and clock.verdict is IdleVerdict.IDLE
        and clock.digest == rule.digest
        and rule.judges(record.resource)
        and is_there(record)
    )
    return Judged(findings, tuple(_endings(by_name, known, clocks, alerts=alerts)))


def is_there(record: KnownResource) -> bool:
    """Whether the resource may still be there, and is watched."""
    return record.state.presence is not Presence.GONE and not record.state.retired


def _finding(rule: Rule, record: KnownResource, clock: IdleClock, *, now: datetime) -> Finding:
    resource, state = record.resource, record.state
    since, due = clock.since or now, next_charge_at(record)
    charged = is_charged_on(state) and state.charged_under is None
    per_day = burn_per_day(state, per=resource.price_per) if charged else None
    conditions = ", ".join(printable(one.in_words, limit=60) for one in rule.when)
    facts = [("idle since", _utc(since)), ("watched", f"{share(clock.coverage)} of the time")]
    facts += [("evidence", one) for one in clock.evidence]
    if due is not None:
        facts.append(("next charge", _utc(due)))
    return Finding(
        kind=KIND,
        severity=Severity.WARNING,
        account=state.identity.account,
        resource_id=state.identity.id,
        rule=rule.name,
        name=resource.name,
        summary=f"{label(resource.name, id=resource.id)} has been idle since {_utc(since)}: {conditions}.",
        means=_means(record, since=since, due=due, now=now),
        advice="Delete it before it costs more, unless it is needed: "
        f"`fluence-costwatch explain {printable(resource.id)}` shows why it is called idle.",
        telling=Telling.STATE,
        cost_per_day=per_day,
        facts=tuple(facts),
    )


def _means(record: KnownResource, *, since: datetime, due: datetime | None, now: datetime) -> str:
    spent = wasted(record, since=since, now=now)
    so_far = f"{money(spent)} was spent since then." if spent else "Nothing was charged since then."
    if spent is None:
        so_far = "What it costs is not known."
    if due is not None:
        return f"{so_far} The next charge, {money(record.state.price)}, falls at {_utc(due)}."
    if is_metered(record.state.generation) and record.state.price is not None and is_charged_on(record.state):
        return f"{so_far} It goes on at {money(record.state.price)} an hour."
    return so_far


def _endings(
    rules: Mapping[str, Rule], known: Mapping[Identity, KnownResource], clocks: Clocks, *, alerts: Iterable[Alert]
) -> Iterator[Ending]:
    for alert in alerts:
        if alert.kind != KIND or alert.state is AlertState.RESOLVED or alert.resource_id is None:
            continue
        identity = Identity(alert.account, alert.resource_id)
        record, rule = known.get(identity), rules.get(alert.rule)
        if rule is None:
            yield Ending(alert.fingerprint, "rule no longer configured")
        elif record is not None and record.state.presence is Presence.GONE:
            yield Ending(alert.fingerprint, "gone")
        elif record is not None and record.state.retired:
            yield Ending(alert.fingerprint, "no longer watched")
        elif record is not None and not rule.judges(record.resource):
            yield Ending(alert.fingerprint, "the rule is no longer about it")
        else:
            clock = clocks.get((identity, rule.name))
            if clock is not None and clock.digest == rule.digest and clock.verdict is IdleVerdict.ACTIVE:
                yield Ending(alert.fingerprint, _why_active(rule, clock))


def _why_active(rule: Rule, clock: IdleClock) -> str:
    if clock.busy_at is None:
        return "not old enough for the rule"
    what = "busy again" if any(one.signal in ACTIVITY for one in rule.when) else "no longer so"
    return f"{what}: {'; '.join(clock.evidence)}" if clock.busy_at == clock.at else f"{what} at {_utc(clock.busy_at)}"


def _utc(moment: datetime) -> str:
    return instant(moment, zone=UTC)
