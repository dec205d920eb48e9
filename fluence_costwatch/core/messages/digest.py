"""Digests: what was spent, where it is heading and what is wasted, at a fixed local hour; also the text of `report`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.alerts.waste import Ground, Waste, waste_in
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.deletion.deletions import Deletion
from fluence_costwatch.core.deletion.savings import savings as savings_of
from fluence_costwatch.core.known import Known
from fluence_costwatch.core.known_part import OfAccounts
from fluence_costwatch.core.local_times import instant_of, local_day
from fluence_costwatch.core.messages.context import Context, daily_spend, only
from fluence_costwatch.core.messages.message import Message, Section, Table
from fluence_costwatch.core.messages.outbox import DigestEvery, Draft, QuietHours, Route
from fluence_costwatch.core.messages.routing import earliest
from fluence_costwatch.core.messages.sections import budget_sections, chart_of, data_lines, described
from fluence_costwatch.core.messages.wording import counted, day_text, instant, label, money, sentence, share
from fluence_costwatch.core.money import Usd, total
from fluence_costwatch.core.views.fleet import Watched
from fluence_costwatch.core.views.spending import SpendView, calendar_view, spend_view

SENT_AT: Final = time(8)
"""The local time of a digest."""

_LISTED: Final = 10
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_MONDAY: Final = 0
_GROUNDS: Final = (
    (Ground.ORPHAN, "serves no machine"),
    (Ground.NOT_RUNNING, "bills without running"),
    (Ground.RESERVED, "ended, and still holds funds"),
)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole local days from `first` to `last`, both included; `title` is when that is ("on 2 March"), `before`
    when the days before were."""

    first: date
    last: date
    title: str
    before: str

    def bounds(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """The instants at which it begins and ends."""
        return instant_of(self.first, time(0), zone=zone), instant_of(self.last + _DAY, time(0), zone=zone)

    @property
    def earlier(self) -> Period:
        """As many days before it."""
        length = self.last + _DAY - self.first
        return Period(self.first - length, self.last - length, self.before, "")


def yesterday(today: date) -> Period:
    """The day before `today`."""
    day = today - _DAY
    return Period(day, day, f"on {day_text(day)}", "on the day before")


def last_week(today: date) -> Period:
    """The last whole week, from Monday to Sunday, before `today`."""
    monday = today - today.weekday() * _DAY - _WEEK
    sunday = monday + _WEEK - _DAY
    return Period(monday, sunday, f"from {day_text(monday)} to {day_text(sunday)}", "in the week before")


def due_digests(routes: Iterable[Route], *, zone: tzinfo, since: datetime | None, now: datetime) -> tuple[Route, ...]:
    """The targets whose digest fell due after `since` (None: not known) and is of today; the weekly one is of Monday.

    A digest that was missed is due later on the same day, and never on another.
    """
    today = local_day(now, zone=zone)
    due_at = instant_of(today, SENT_AT, zone=zone)
    if now < due_at or (since is not None and since >= due_at):
        return ()
    weekly_too = today.weekday() == _MONDAY
    return tuple(
        route
        for route in routes
        if route.digest is DigestEvery.DAILY or (route.digest is DigestEvery.WEEKLY and weekly_too)
    )


def digests(
    known: Known,
    *,
    routes: Sequence[Route],
    quiet: QuietHours | None,
    watched: Watched,
    alerts: Sequence[Alert],
    context: Context,
    savings: Sequence[str] = (),
    since: datetime | None = None,
    now: datetime,
) -> tuple[Draft, ...]:
    """The digests that fell due after `since`, in the zone of `context`. A digest has the same key all day long."""
    today = local_day(now, zone=context.zone)
    drafts, composed = [], dict[tuple[DigestEvery, tuple[str, ...]], Message]()
    for route in due_digests(routes, zone=context.zone, since=since, now=now):
        period = yesterday(today) if route.digest is DigestEvery.DAILY else last_week(today)
        same = (route.digest, route.accounts)
        if same not in composed:
            composed[same] = report_message(
                known,
                period=period,
                watched=watched,
                alerts=alerts,
                context=context,
                savings=savings,
                accounts=route.accounts,
                now=now,
            )
        why = f"You get this because target {route.target} takes a {route.digest} digest, beside {described(route)}."
        drafts.append(
            Draft(
                key=f"digest-{route.digest}-{today.isoformat()}",
                target=route.target,
                message=replace(composed[same], why=why, thread=f"digest-{route.digest}"),
                not_before=earliest(quiet, urgent=False, now=now),
            )
        )
    return tuple(drafts)


def report_message(
    known: Known,
    *,
    period: Period,
    watched: Watched,
    alerts: Sequence[Alert],
    context: Context,
    savings: Sequence[str] = (),
    accounts: Sequence[str] = (),
    now: datetime,
) -> Message:
    """What was spent in a period by resource, budgets with their forecast, the charges that come in as long a time,
    waste, what was saved (`savings`, one sentence each) and what fires; of some accounts, or of all."""
    zone = context.zone
    watched = replace(
        watched,
        zone=zone,
        accounts=tuple(each for each in watched.accounts if not accounts or each.account in accounts),
    )
    known = OfAccounts(known, frozenset(accounts)) if accounts else known
    context = only(context, accounts)
    context = replace(context, daily=daily_spend(known, watched=watched, until=period.last, now=now))
    since, until = period.bounds(zone)
    spent = spend_view(known, watched=watched, since=since, until=until, now=now)
    earlier_since, earlier_until = period.earlier.bounds(zone)
    before = spend_view(known, watched=watched, since=earlier_since, until=earlier_until, now=now)
    waste = sorted(
        waste_in(known.resources(gone=False)), key=lambda one: (-(one.per_day or 0), -one.held.micros, one.resource.id)
    )
    firing = sorted(
        (
            alert
            for alert in alerts
            if alert.state is AlertState.FIRING and (not accounts or not alert.account or alert.account in accounts)
        ),
        key=lambda alert: (-alert.severity.rank, alert.since, alert.id),
    )
    sections = [
        _spent(spent, before=before, period=period),
        *budget_sections(context.statuses, context=context, now=now),
        _coming(known, watched=watched, days=(period.last - period.first).days + 1, context=context, now=now),
        *_wasted(waste),
        *([Section("Saved", tuple(savings))] if savings else []),
        *_firing(firing, context=context),
        *_age(context, now=now),
    ]
    return Message(
        severity=Severity.INFO,
        subject=_subject(spent, period=period, statuses=context.statuses, firing=firing),
        thread="report",
        sections=tuple(sections),
        action=f"{context.command} alerts" if firing else "",
        link=context.public_url or "",
        chart=chart_of(context),
    )


def _subject(spent: SpendView, *, period: Period, statuses: Sequence[BudgetStatus], firing: Sequence[Alert]) -> str:
    fullest = max(statuses, key=lambda status: status.used, default=None)
    budget = f", {fullest.budget.name} at {share(fullest.used)}" if fullest is not None else ""
    alerts = f", {counted(len(firing), 'alert')} firing" if firing else ""
    return f"[DIGEST] {money(spent.total, at_least=spent.at_least)} spent {period.title}{budget}{alerts}"


def _spent(spent: SpendView, *, before: SpendView, period: Period) -> Section:
    lines = [
        f"{money(spent.total, at_least=spent.at_least)} in all, {_compared(spent.total, before.total)} {period.before}."
    ]
    if spent.uncertain:
        lines.append(f"The bill may hold up to {money(spent.uncertain)} more than is known.")
    rows = tuple((label(row.name, id=row.key), money(row.amount)) for row in spent.rows[:_LISTED])
    return Section(
        f"Spent {period.title}",
        tuple(lines),
        Table(("Resource", "Spent"), rows, right=(1,)) if rows else None,
        left_out=max(0, len(spent.rows) - _LISTED),
    )


def _compared(now: Usd, before: Usd) -> str:
    if now == before:
        return "as much as"
    return f"{money(abs(now - before))} {'more' if now > before else 'less'} than"


def _coming(known: Known, *, watched: Watched, days: int, context: Context, now: datetime) -> Section:
    view = calendar_view(known, watched=watched, now=now, days=days)
    due: dict[tuple[str, str], tuple[str, datetime, int, Usd]] = {}
    for charge in view.charges:
        subject = (charge.account, charge.resource_id)
        name, first, count, amount = due.get(subject, (label(charge.name, id=charge.resource_id), charge.at, 0, Usd(0)))
        due[subject] = (name, first, count + 1, amount + charge.amount)
    dearest = sorted(due.values(), key=lambda each: (-each[3].micros, each[1], each[0]))
    rows = tuple(
        (name, instant(first, zone=context.zone), str(count), money(amount))
        for name, first, count, amount in dearest[:_LISTED]
    )
    lines = [
        f"{counted(len(view.charges), 'charge')} in the next {'24 hours' if days == 1 else f'{days} days'}, "
        f"{money(total(charge.amount for charge in view.charges), at_least=bool(view.unpriced))} in all, if nothing changes. "
        "What is metered by the hour comes on top."
    ]
    columns = ("Resource", "First on", "Charges", "In all")
    return Section(
        "Charges that come",
        tuple(lines),
        Table(columns, rows, right=(2, 3)) if rows else None,
        left_out=max(0, len(dearest) - _LISTED),
    )


def _wasted(waste: Sequence[Waste]) -> Iterator[Section]:
    if not waste:
        return
    per_day = sum((one.per_day or Decimal(0) for one in waste), Decimal(0))
    held = total(one.held for one in waste)
    costs = f"{counted(len(waste), 'resource')} cost {money(per_day)} a day for nothing"
    line = f"{costs}, and hold {money(held)} of funds." if held else f"{costs}."
    grounds = dict(_GROUNDS)
    rows = tuple(
        (label(one.resource.name, id=one.resource.id), grounds[one.ground], money(one.per_day), money(one.held))
        for one in waste[:_LISTED]
    )
    table = Table(("Resource", "Why", "A day", "Holds"), rows, right=(2, 3))
    yield Section("Waste", (line,), table, left_out=max(0, len(waste) - _LISTED))


def _firing(firing: Sequence[Alert], *, context: Context) -> Iterator[Section]:
    if firing:
        lines = tuple(
            f"{alert.severity}: {alert.summary.rstrip('.')} (since {instant(alert.since, zone=context.zone)}; {alert.id})"
            for alert in firing[:_LISTED]
        )
        yield Section(f"Alerts that fire ({len(firing)})", lines, left_out=max(0, len(firing) - _LISTED))


def _age(context: Context, *, now: datetime) -> Iterator[Section]:
    lines = data_lines(context.as_of, context=context, now=now)
    if lines:
        yield Section("Data", tuple(sentence(line) for line in lines))


def saving_lines(deletions: Sequence[Deletion], *, now: datetime) -> tuple[str, ...]:
    """What the deletions that were proven in the last week have saved, in sentences; nothing where none was."""
    saved = savings_of(deletions, since=now - _WEEK)
    if not saved.count:
        return ()
    return (
        f"In the last 7 days {counted(saved.count, 'deletion')} {'was' if saved.count == 1 else 'were'} proven: next charges "
        f"of {money(saved.avoided)} did not fall, and {money(saved.burn_per_day)} a day less is spent.",
    )
