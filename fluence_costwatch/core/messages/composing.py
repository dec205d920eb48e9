"""Composing: what happened in one cycle becomes one message per target (`design.md` section 8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertEvent, Change
from fluence_costwatch.core.alerts.findings import KINDS, Severity
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.messages.context import Context, Driver, only
from fluence_costwatch.core.messages.message import Message, Section, Table
from fluence_costwatch.core.messages.outbox import Draft, QuietHours, Route
from fluence_costwatch.core.messages.routing import earliest, routes_of
from fluence_costwatch.core.messages.sections import budget_sections, chart_of, data_lines, described, key_of, tag_of
from fluence_costwatch.core.messages.wording import instant, label, money, sentence, span
from fluence_costwatch.core.money import Usd, total
from fluence_costwatch.core.untrusted import printable

LISTED: Final = 10
"""How many alerts of one severity a message lists."""

BUDGET_FACT: Final = "budget"
"""The fact of an alert that names the budget it is about."""

RESOLVED_TAG: Final = "[RESOLVED]"

_HEADINGS: Final = (
    (Severity.CRITICAL, "Critical"),
    (Severity.WARNING, "Warnings"),
    (Severity.INFO, "For information"),
)
_ABOUT_BUDGETS: Final = ("budget", "forecast")
# Where the alert itself is about what something costs, the dearest resources are worth their lines.
_ABOUT_MONEY: Final = (*_ABOUT_BUDGETS, "anomaly", "idle", "waste", "runway", "price")
_DRIVERS: Final = 5
_LISTED_CHARGES: Final = 3
# What is left of the 150 characters that the shortest headline of a channel holds, for "and 1000 more".
_LONGEST_FACT: Final = 135


def compose(
    events: Sequence[AlertEvent], *, routes: Sequence[Route], quiet: QuietHours | None, context: Context, now: datetime
) -> tuple[Draft, ...]:
    """One message for each target that takes any of what happened. The same events at the same instant give the same
    key. Held back in quiet hours unless something critical began or ended: then what is told stays in order."""
    drafts = []
    for route in routes:
        told = [event for event in events if route in routes_of(event.alert, routes)]
        if told:
            urgent = any(event.alert.severity is Severity.CRITICAL for event in told)
            drafts.append(
                Draft(
                    key=_key(told, now=now),
                    target=route.target,
                    message=message_of(told, route=route, context=only(context, route.accounts), now=now),
                    not_before=earliest(quiet, urgent=urgent, now=now),
                )
            )
    return tuple(drafts)


def message_of(events: Sequence[AlertEvent], *, route: Route, context: Context, now: datetime) -> Message:
    """The message that tells one target of events, at least one."""
    ordered = _in_order(events)
    first = ordered[0]
    open_alerts = [event.alert for event in ordered if event.change is not Change.RESOLVED]
    severity = max((alert.severity for alert in open_alerts), key=lambda each: each.rank, default=Severity.INFO)
    about_money = any(alert.kind in _ABOUT_MONEY for alert in open_alerts)
    about_budgets = any(event.alert.kind in _ABOUT_BUDGETS for event in events)
    sections = [
        *_what_changed(ordered, context=context),
        *(budget_sections(_statuses_of(ordered, context=context), context=context, now=now) if about_budgets else ()),
        *(_drivers(open_alerts, context=context) if about_money else ()),
        *_what_comes(open_alerts, context=context, now=now),
        *_waiting(open_alerts),
        _data(ordered, context=context, now=now),
    ]
    return Message(
        severity=severity,
        subject=_subject(ordered),
        thread=first.alert.group or first.alert.fingerprint,
        sections=tuple(sections),
        action=_action(first, count=len(ordered), context=context),
        link=context.public_url or "",
        why=_why(first, route=route, count=len(ordered), context=context),
        chart=chart_of(context) if about_budgets and context.daily else None,
    )


def silence_command(alert: Alert, *, command: str) -> str:
    """The command that silences an alert for a day."""
    return f"{command} silence {alert.id} --for 1d"


def _key(events: Iterable[AlertEvent], *, now: datetime) -> str:
    told = sorted(f"{event.alert.id} {event.change.value}" for event in events)
    return f"alerts-{key_of(now.isoformat(), *told)}"


def _in_order(events: Iterable[AlertEvent]) -> list[AlertEvent]:
    """What is open before what is over, severe before slight, new before known. Then the first of every kind, so that
    none is lost among many of another; within a kind the dearest, the oldest first."""
    numbers = Counter[tuple[bool, Severity, str]]()
    ranked = []
    for event in sorted(events, key=lambda each: (-(each.alert.cost_per_day or 0), each.alert.since, each.alert.id)):
        alert, over = event.alert, event.change is Change.RESOLVED
        known = event.change is Change.REPEATED
        of_kind = (over, alert.severity, alert.kind)
        kind = KINDS.index(alert.kind) if alert.kind in KINDS else len(KINDS)
        ranked.append(((over, -alert.severity.rank, known, numbers[of_kind], kind), event))
        numbers[of_kind] += 1
    return [event for _, event in sorted(ranked, key=lambda each: each[0])]


def _subject(ordered: Sequence[AlertEvent]) -> str:
    first, more = ordered[0], len(ordered) - 1
    fact = first.alert.summary
    if first.change is Change.RESOLVED:
        tag = RESOLVED_TAG
        fact = f"{fact} ({first.reason})" if first.reason and not more else fact
    else:
        tag = tag_of(first.alert.severity)
    cut = printable(fact.rstrip("."), limit=_LONGEST_FACT - len(tag))
    return f"{tag} {cut}{f' and {more} more' if more else ''}"


def _what_changed(ordered: Sequence[AlertEvent], *, context: Context) -> Iterator[Section]:
    if len(ordered) == 1:
        yield Section("What changed", tuple(_in_full(ordered[0], context=context)))
        return
    kinds = Counter(event.alert.kind for event in ordered)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda each: (-each[1], each[0])))
    yield Section("What changed", (f"{len(ordered)} alerts: {counts}.",))
    for severity, heading in _HEADINGS:
        these = [event for event in ordered if event.change is not Change.RESOLVED and event.alert.severity is severity]
        yield from _listed(these, heading=heading, context=context)
    over = [event for event in ordered if event.change is Change.RESOLVED]
    yield from _listed(over, heading="Resolved", context=context)


def _in_full(event: AlertEvent, *, context: Context) -> Iterator[str]:
    alert = event.alert
    yield sentence(alert.summary)
    if event.change is Change.RESOLVED:
        yield sentence(f"It is over: {event.reason or 'it holds no more'}")
    elif alert.means:
        yield sentence(alert.means)
    yield f"Since {instant(alert.since, zone=context.zone)}."
    if event.change is not Change.RESOLVED and event.reason:
        yield sentence(f"Told because: {event.reason}")


def _listed(events: Sequence[AlertEvent], *, heading: str, context: Context) -> Iterator[Section]:
    if events:
        lines = tuple(_in_short(event, context=context) for event in events[:LISTED])
        yield Section(f"{heading} ({len(events)})", lines, left_out=max(0, len(events) - LISTED))


def _in_short(event: AlertEvent, *, context: Context) -> str:
    alert = event.alert
    reason = f"; {event.reason}" if event.reason else ""
    return f"{alert.summary.rstrip('.')} (since {instant(alert.since, zone=context.zone)}{reason}; {alert.id})"


def _statuses_of(events: Iterable[AlertEvent], *, context: Context) -> tuple[BudgetStatus, ...]:
    """The budgets that the alerts are about; where they name none, all."""
    names = {dict(event.alert.facts).get(BUDGET_FACT) for event in events if event.alert.kind in _ABOUT_BUDGETS}
    about = tuple(status for status in context.statuses if status.budget.name in names)
    return about or context.statuses


def _drivers(alerts: Sequence[Alert], *, context: Context) -> Iterator[Section]:
    """The dearest resources: of the budget, where the message is about one; else of the accounts that it is about."""
    budgets = {dict(alert.facts).get(BUDGET_FACT) for alert in alerts if alert.kind in _ABOUT_BUDGETS}
    about = [status for status in context.statuses if status.budget.name in budgets]
    if len(about) == 1 and about[0].drivers:
        spent = about[0].drivers[:_DRIVERS]
        yield _resource_table(
            "Biggest drivers", "Spent", ((account, label(name, id=id), amount) for account, id, name, amount in spent)
        )
        return
    accounts = {alert.account for alert in alerts}
    dearest = [one for one in context.drivers if "" in accounts or one.account in accounts][:_DRIVERS]
    if dearest:
        yield _resource_table("Biggest drivers", "A day", ((one.account, _name(one), one.per_day) for one in dearest))


def _resource_table(heading: str, figure: str, rows: Iterable[tuple[str, str, Usd | Decimal]]) -> Section:
    listed = tuple((name, account, money(amount)) for account, name, amount in rows)
    return Section(heading, table=Table(("Resource", "Account", figure), listed, right=(2,)))


def _name(driver: Driver) -> str:
    return label(driver.name, id=driver.resource_id)


def _what_comes(alerts: Sequence[Alert], *, context: Context, now: datetime) -> Iterator[Section]:
    """The next charges of the resources that the alerts are about; of their accounts, where they are about none."""
    named = {(alert.account, alert.resource_id) for alert in alerts if alert.resource_id is not None}
    accounts = {alert.account for alert in alerts if alert.kind in _ABOUT_MONEY and alert.resource_id is None}
    charges = [
        charge
        for charge in context.charges
        if charge.at > now
        and ((charge.account, charge.resource_id) in named or "" in accounts or charge.account in accounts)
    ]
    if not charges:
        return
    at = charges[0].at
    together = [charge for charge in charges if charge.at == at]
    amount = money(total(charge.amount for charge in together))
    names = ", ".join(label(charge.name, id=charge.resource_id) for charge in together[:_LISTED_CHARGES])
    more = len(together) - _LISTED_CHARGES
    yield Section(
        "What happens next",
        (
            f"Next charge: {amount} on {instant(at, zone=context.zone)}, in {span(at - now)}, for {names}"
            f"{f' and {more} more' if more > 0 else ''}.",
        ),
    )


def _waiting(alerts: Sequence[Alert]) -> Iterator[Section]:
    """What it costs a day to do nothing; a resource that several alerts are about counts once."""
    costs: dict[tuple[str, str], Decimal] = {}
    for alert in alerts:
        if alert.cost_per_day:
            subject = (alert.account, alert.resource_id or alert.fingerprint)
            costs[subject] = max(costs.get(subject, Decimal(0)), alert.cost_per_day)
    if costs:
        yield Section("What waiting costs", (f"{money(sum(costs.values(), Decimal(0)))} a day, if nothing is done.",))


def _data(events: Sequence[AlertEvent], *, context: Context, now: datetime) -> Section:
    accounts = {event.alert.account for event in events}
    about = context.as_of.keys() if "" in accounts else accounts
    lines = data_lines(about, context=context, now=now)
    return Section("Data", (f"State of {instant(now, zone=context.zone)}.", *lines))


def _action(first: AlertEvent, *, count: int, context: Context) -> str:
    if first.change is Change.RESOLVED:
        return ""
    if count == 1 and first.alert.advice:
        return first.alert.advice
    return f"{context.command} alerts"


def _why(first: AlertEvent, *, route: Route, count: int, context: Context) -> str:
    alert = first.alert
    rule = f", rule {printable(alert.rule, limit=80)}" if alert.rule and count == 1 else ""
    about = f"kind {alert.kind}{rule}, severity {alert.severity}" if count == 1 else "alerts of one look together"
    because = f"You get this ({about}) because target {route.target} takes {described(route)}."
    if first.change is Change.RESOLVED:
        return because
    which = "it" if count == 1 else "the first of them"
    return f"{because} To silence {which}: {silence_command(alert, command=context.command)}"
