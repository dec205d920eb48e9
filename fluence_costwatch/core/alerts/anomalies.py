"""What is unusual (`design.md` section 6): an epoch that costs far more than the ones before, a dear new machine, a changed
price, many more machines than a day ago.

All of it is derived from what is remembered, and told as an EVENT. A price that changed exactly at a boundary, between two
looks, and fell is not seen: the epoch that began there was charged the lower price already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.findings import Finding, Judged, Severity, Telling
from fluence_costwatch.core.alerts.subjects import COMMAND, in_sentence, moment_text, open_of, subject_of
from fluence_costwatch.core.billing.history import Cause, Presence, ResourceState
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.billing.metering import is_metered, open_charge
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.known import Known, KnownResource
from fluence_costwatch.core.messages.wording import counted, money, span
from fluence_costwatch.core.money import MICROS_PER_DOLLAR, Usd
from fluence_costwatch.core.resources import Identity, Kind
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount, burn_per_day

KIND: Final = "anomaly"
SPEND: Final = "spend"
COUNT: Final = "count"
NEW_MACHINE: Final = "new_machine"
PRICE_CHANGE: Final = "price_change"

# As many epochs as these, whole and seen from beginning to end, are what an epoch is compared with.
HISTORY: Final = 7
# Beyond the median: half of it, five times the usual spread, and an amount that anybody cares about.
_SHARE_BEYOND: Final = 2
_SPREADS_BEYOND: Final = 5
_SPREAD_OF_DEVIATION: Final = Decimal("1.4826")
_LEAST_BEYOND: Final = Usd(MICROS_PER_DOLLAR // 4)

_JUMP_FACTOR: Final = 2
_JUMP_LEAST: Final = 3
_DAY: Final = timedelta(days=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_HOUR: Final = timedelta(hours=1)
_ADDED: Final = (Kind.STORAGE, Kind.PUBLIC_IP)
_HUNDREDTH_OF_A_CENT: Final = Decimal("0.0001")


def judge_anomalies(
    known: Known,
    records: Mapping[str, Sequence[KnownResource]],
    *,
    watched: Watched,
    new_vm_above: Usd | None,
    fresh_for: timedelta,
    alerts: Iterable[Alert],
    now: datetime,
) -> Judged:
    """What is unusual now. `records` are the resources by account, gone ones included; what is new is so `fresh_for` long."""
    spending = _Spending(known, records)
    told = {alert.fingerprint: alert for alert in open_of(alerts, KIND)}
    findings: list[Finding] = []
    for account in watched.accounts:
        owned = records.get(account.account, ())
        findings += _unusual_spend(account, owned, spending, now=now)
        findings += _jumps(account.account, owned, now=now)
        if new_vm_above is not None:
            findings += _new_machines(owned, above=new_vm_above, fresh_for=fresh_for, now=now)
        findings += _changed_prices(known, owned, fresh_for=fresh_for, now=now)
    return Judged(findings=tuple(_as_told(finding, told.get(finding.fingerprint)) for finding in findings))


def enough_history(records: Iterable[KnownResource], *, grid: EpochGrid) -> datetime | None:
    """From when on the spend of an account is compared with what is usual; None where it never spent anything."""
    first = min((record.state.first_seen for record in records), default=None)
    return None if first is None else _window(grid, first, ahead=1).start + HISTORY * grid.length


def _as_told(finding: Finding, alert: Alert | None) -> Finding:
    """What goes on is told in the words in which it was told first, so that growing figures are no new event."""
    if alert is None:
        return finding
    return replace(finding, summary=alert.summary, means=alert.means, facts=alert.facts)


# Spend


class _Spending:
    """What was spent in a stretch of time by account, open rows included; each stretch is asked for once."""

    def __init__(self, known: Known, records: Mapping[str, Sequence[KnownResource]]) -> None:
        self._known = known
        self._sums: dict[Span, dict[str, int]] = {}
        self._running: dict[str, list[tuple[datetime, int]]] = {}
        for account, owned in records.items():
            rows = (open_charge(each.state, seen=each.last_seen) for each in owned if is_metered(each.state.generation))
            self._running[account] = [(row.span.start, row.amount.micros) for row in rows if row is not None]

    def of(self, account: str, window: Span) -> Usd:
        if window not in self._sums:
            sums: dict[str, int] = {}
            for identity, amount in self._known.spent(since=window.start, until=window.end).items():
                sums[identity.account] = sums.get(identity.account, 0) + amount.micros
            self._sums[window] = sums
        running = sum(micros for start, micros in self._running.get(account, ()) if start in window)
        return Usd(self._sums[window].get(account, 0) + running)


def _window(grid: EpochGrid, moment: datetime, *, ahead: int = 0) -> Span:
    """The stretch around one boundary of the grid that contains `moment`, or one that many later.

    Most charges fall on the boundaries, a little sooner or later: each must be counted with its own.
    """
    start = grid.at_or_before(moment + grid.length / 2) - grid.length / 2 + ahead * grid.length
    return Span(start, start + grid.length)


def _unusual_spend(
    account: WatchedAccount, records: Sequence[KnownResource], spending: _Spending, *, now: datetime
) -> Iterator[Finding]:
    """The present epoch, else the one before it, against the ones before that. What was spent so far only grows, so that it
    can be too much before its epoch is over."""
    name, length = account.account, account.grid.length
    since = enough_history(records, grid=account.grid)
    if since is None:
        return
    for ahead in (0, -1):
        window = _window(account.grid, now, ahead=ahead)
        earlier = [Span(window.start - n * length, window.end - n * length) for n in range(1, HISTORY + 1)]
        if window.start < since:
            continue
        spent = spending.of(name, window)
        if spent < _LEAST_BEYOND:
            continue
        usual = [spending.of(name, one) for one in earlier]
        most = _most_usual(usual)
        if spent <= most:
            continue
        middle = Usd(int(median([one.micros for one in usual])))
        per = "a day" if length == _DAY else f"in {span(length)}"
        yield Finding(
            kind=KIND,
            severity=Severity.WARNING,
            account=name,
            resource_id=None,
            rule=SPEND,
            summary=f"Account {name!r} spends unusually much: {money(spent)} since {moment_text(window.start)}, "
            f"usually {money(middle)} {per}",
            means=f"Of the last {HISTORY} epochs half cost {money(middle)} or less.",
            advice=f"`{COMMAND} spend --by resource --since {window.start:%Y-%m-%d}` shows what costs so much.",
            telling=Telling.EVENT,
            facts=(("since", window.start.isoformat()), ("usual", str(middle)), ("spent", str(spent))),
        )
        return


def _most_usual(amounts: Sequence[Usd]) -> Usd:
    """The most that is not unusual beside `amounts`, by their median and the median of their distances from it."""
    micros = [amount.micros for amount in amounts]
    middle = Decimal(median(micros))
    spread = Decimal(median([abs(each - middle) for each in micros])) * _SPREAD_OF_DEVIATION
    beyond = max(middle / _SHARE_BEYOND, spread * _SPREADS_BEYOND, Decimal(_LEAST_BEYOND.micros))
    return Usd(int(middle + beyond))


# Machines


def _first_sights(records: Iterable[KnownResource]) -> dict[str, datetime]:
    """When each generation showed its first resource: what was there then is not new."""
    first: dict[str, datetime] = {}
    for record in records:
        generation, seen = record.state.generation, record.state.first_seen
        first[generation] = min(seen, first.get(generation, seen))
    return first


def _new_machines(
    records: Sequence[KnownResource], *, above: Usd, fresh_for: timedelta, now: datetime
) -> Iterator[Finding]:
    first = _first_sights(records)
    for record in records:
        state = record.state
        is_new = now - state.first_seen < fresh_for and state.first_seen > first[state.generation]
        if not is_new or state.kind in _ADDED or not _is_billed(state):
            continue
        per_day = burn_per_day(state, per=record.resource.price_per)
        if per_day is None or per_day <= above.dollars:
            continue
        yield _about(
            record,
            NEW_MACHINE,
            f"{subject_of(record)} is new and costs {money(per_day)} a day",
            means=f"New machines above {money(above)} a day are told of.",
            advice="See whether somebody meant to rent it; end it if not.",
            facts=(("per_day", str(per_day)),),
        )


def _jumps(account: str, records: Sequence[KnownResource], *, now: datetime) -> Iterator[Finding]:
    since = now - _DAY
    first = _first_sights(records)
    machines = [
        each.state for each in records if each.state.kind not in _ADDED and first[each.state.generation] <= since
    ]
    present = sum(_is_billed(state) for state in machines)
    before = sum(_was_there(state, since) for state in machines)
    if present < _JUMP_FACTOR * before or present - before < _JUMP_LEAST:
        return
    yield Finding(
        kind=KIND,
        severity=Severity.WARNING,
        account=account,
        resource_id=None,
        rule=COUNT,
        summary=f"Account {account!r} has {counted(present, 'machine')}, a day ago it had {before}",
        means="Each of them is billed until it is ended.",
        advice=f"`{COMMAND} vms` shows them; end what nobody meant to rent.",
        telling=Telling.EVENT,
        facts=(("before", str(before)), ("now", str(present))),
    )


def _is_billed(state: ResourceState) -> bool:
    return is_charged_on(state) and state.charged_under is None


def _was_there(state: ResourceState, moment: datetime) -> bool:
    """Whether a machine was seen by `moment` and had not gone by then; one that has stopped being billed since counts."""
    if state.first_seen > moment or state.charged_under is not None:
        return False
    if state.presence is Presence.GONE:
        return state.absent_since is not None and state.absent_since > moment
    return state.billed or (state.epoch is not None and state.epoch.end > moment)


# Prices


@dataclass(frozen=True, slots=True)
class _Repriced:
    """A price that changed; `former` is only roughly known where nobody saw the change."""

    record: KnownResource
    former: Decimal
    present: Decimal
    roughly: bool = False


def _changed_prices(
    known: Known, records: Iterable[KnownResource], *, fresh_for: timedelta, now: datetime
) -> Iterator[Finding]:
    for record in records:
        if record.state.price is None or not _is_billed(record.state):
            continue
        repriced = _within_epoch(record) or _between_looks(known, record, since=now - fresh_for)
        if repriced is not None:
            yield _price_finding(repriced)


def _within_epoch(record: KnownResource) -> _Repriced | None:
    """A prepaid price that is no longer the one that the open epoch was charged."""
    state = record.state
    if is_metered(state.generation) or state.epoch_charge is None or state.price is None:
        return None
    former = state.epoch_charge.amount.dollars
    return None if former == state.price else _Repriced(record, former, state.price)


def _between_looks(known: Known, record: KnownResource, *, since: datetime) -> _Repriced | None:
    """A metered price that changed between two looks: the ledger notes by how much, and its rows which way."""
    state, present = record.state, record.state.price
    if not is_metered(state.generation) or present is None:
        return None
    changes = [
        doubt
        for doubt in state.doubts
        if doubt.cause is Cause.PRICE_CHANGED_UNSEEN and doubt.span.end > since and doubt.amount is not None
    ]
    if not changes:
        return None
    newest = max(changes, key=lambda one: one.span.end)
    hours = Decimal(newest.span.length // _MICROSECOND) / Decimal(_HOUR // _MICROSECOND)
    if newest.amount is None or not hours:
        return None
    change = (newest.amount.dollars / hours).quantize(_HUNDREDTH_OF_A_CENT)
    charged = _charged_per_hour(known, state.identity, newest.span)
    if charged is None or not change:
        return None
    # The lower of both prices is charged in between.
    fell = abs(charged - present) < abs(charged + change - present)
    return _Repriced(record, present + change if fell else max(present - change, Decimal(0)), present, roughly=True)


def _charged_per_hour(known: Known, identity: Identity, window: Span) -> Decimal | None:
    """At what price the row that begins within `window` was charged."""
    for row in known.charges(since=window.start, until=window.end, account=identity.account):
        charge = row.charge
        if charge.identity == identity and charge.span.length:
            return charge.amount.dollars * Decimal(_HOUR // _MICROSECOND) / (charge.span.length // _MICROSECOND)
    return None


def _price_finding(repriced: _Repriced) -> Finding:
    record, rose = repriced.record, repriced.present > repriced.former
    per = record.resource.price_per
    about = "about " if repriced.roughly else ""
    return _about(
        record,
        f"{PRICE_CHANGE} {repriced.present}",
        f"The price of {in_sentence(record)} {'rose' if rose else 'fell'} from {about}{money(repriced.former)} "
        f"to {money(repriced.present)} per {per}",
        means="It holds for what is charged from now on; what was charged stays as it is.",
        advice="See whether the machine is still worth it." if rose else "",
        severity=Severity.WARNING if rose else Severity.INFO,
        facts=(("former", str(repriced.former)), ("present", str(repriced.present))),
    )


def _about(
    record: KnownResource,
    rule: str,
    summary: str,
    *,
    means: str,
    advice: str,
    severity: Severity = Severity.WARNING,
    facts: tuple[tuple[str, str], ...],
) -> Finding:
    state = record.state
    return Finding(
        kind=KIND,
        severity=severity,
        account=state.identity.account,
        resource_id=state.identity.id,
        rule=rule,
        name=record.resource.name,
        summary=summary,
        means=means,
        advice=advice,
        telling=Telling.EVENT,
        facts=facts,
    )
