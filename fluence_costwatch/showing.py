"""What every reading command shows, made from one reading of the database; the web serves the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fluence_costwatch.cli.program import OutboxView, Period, ReportView, SilencesView
from fluence_costwatch.config import Settings
from fluence_costwatch.core.alerts.alert_views import AlertsView, alerts_view
from fluence_costwatch.core.alerts.delivery_findings import WATCHED_STATES
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.budget_views import BudgetsView, ForecastView, budgets_view, forecast_view
from fluence_costwatch.core.budgets.budgeting import statuses
from fluence_costwatch.core.deletion.deletion_views import DeletionsView, deletions_view
from fluence_costwatch.core.deletion.deletions import LIVE, Deletion
from fluence_costwatch.core.deletion.protection import Keeping, namesakes_of, protection_of
from fluence_costwatch.core.deletion.vetoes import veto_on
from fluence_costwatch.core.idle.idle_views import ExplainView, IdleView, explain_view, idle_view, judged_vms
from fluence_costwatch.core.local_times import local_day
from fluence_costwatch.core.messages.context import context_of
from fluence_costwatch.core.messages.digest import last_week, report_message, saving_lines, yesterday
from fluence_costwatch.core.messages.wording import instant, label
from fluence_costwatch.core.resources import Resource
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views import shapes
from fluence_costwatch.core.views.fleet import StatusView, VmsView, Watched, stale_accounts, status_view, vms_view
from fluence_costwatch.core.views.spending import By, CalendarView, SpendView, calendar_view, spend_view
from fluence_costwatch.errors import UnknownName, UnusableOption
from fluence_costwatch.ports import Reading, ResourceRecord
from fluence_costwatch.wiring import Found, found_before, watched_of

SETTLED_IS_NEWS_FOR: Final = timedelta(days=30)
"""For how long a deletion that is over is listed unless all are asked for."""

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Showing:
    """The views of one reading. `found` are the generations of accounts whose configuration leaves them open."""

    settings: Settings
    found: Found
    reading: Reading
    now: datetime

    @property
    def watched(self) -> Watched:
        """What is configured, as the views need it."""
        return watched_of(self.settings, self.found)

    def status(self) -> StatusView:
        """The state of the watch."""
        return status_view(self.reading, watched=self.watched, now=self.now)

    def vms(self, *, everything: bool = False) -> VmsView:
        """The resources, those that are gone only with `everything`."""
        return judged_vms(
            vms_view(self.reading, watched=self.watched, now=self.now, everything=everything),
            self.reading,
            rules=self.settings.rules,
            keeping=keeping_of(self.settings, self.reading),
            watched=self.watched,
            now=self.now,
        )

    def spend(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: By = By.RESOURCE,
        account: str | None = None,
    ) -> SpendView:
        """What was spent in `[since, until)`. Raises UnknownName."""
        require_known(account, self.settings, self.reading)
        return spend_view(
            self.reading, watched=self.watched, now=self.now, since=since, until=until, by=by, account=account
        )

    def calendar(self, *, days: int = 7) -> CalendarView:
        """What falls due in the next days."""
        return calendar_view(self.reading, watched=self.watched, now=self.now, days=days)

    def budgets(self) -> BudgetsView:
        """How far the budgets are used."""
        return budgets_view(self.settings.budgets, self.reading, watched=self.watched, now=self.now)

    def forecast(self) -> ForecastView:
        """What this day, week and month will have cost."""
        return forecast_view(self.reading, watched=self.watched, now=self.now)

    def alerts(self, *, everything: bool = False) -> AlertsView:
        """The alerts that stand; with `everything` also those that are over."""
        return alerts_view(
            self.reading,
            self.reading.alerts(resolved_since=_BEGINNING if everything else None),
            self.reading.silences(),
            watched=self.watched,
            now=self.now,
        )

    def silences(self) -> SilencesView:
        """The silences that go on."""
        going_on = tuple(one for one in self.reading.silences() if self.now < one.until)
        return SilencesView(self.now, self.watched.zone, self._stale(), going_on)

    def idle(self) -> IdleView:
        """What every rule says of every resource."""
        return idle_view(self.reading, rules=self.settings.rules, watched=self.watched, now=self.now)

    def explain(self, vm: str) -> ExplainView:
        """Why one resource is called what it is called. Raises UnknownName."""
        record = resource_named(vm, self.reading)
        return explain_view(
            self.reading,
            record,
            rules=self.settings.rules,
            watched=self.watched,
            protection=self._protection(record.resource),
            standing=self._standing(record.resource),
            now=self.now,
        )

    def deletions(self, *, everything: bool = False) -> DeletionsView:
        """The deletions that stand or are news; all with `everything`. What was saved is that of all."""
        view = deletions_view(self.reading.deletions(), zone=self.watched.zone, now=self.now)
        since = _BEGINNING if everything else self.now - SETTLED_IS_NEWS_FOR
        shown = tuple(one for one in view.deletions if one.state in LIVE or over_since(one) >= since)
        return replace(view, deletions=shown)

    def deletion(self, id: str) -> DeletionsView:
        """The deletion of that id alone. Raises UnknownName."""
        return deletions_view([deletion_of(id, self.reading)], zone=self.watched.zone, now=self.now)

    def outbox(self) -> OutboxView:
        """The messages that wait, were given up or may not have arrived."""
        rows = tuple(self.reading.outbox(states=WATCHED_STATES))
        return OutboxView(self.now, self.watched.zone, self._stale(), rows)

    def report(self, period: Period) -> ReportView:
        """What a digest of yesterday or of last week says."""
        settings, reading, now = self.settings, self.reading, self.now
        watched = replace(self.watched, zone=settings.notify.zone)
        today = local_day(now, zone=watched.zone)
        context = context_of(
            reading,
            watched=watched,
            statuses=statuses(settings.budgets, reading, watched=watched, now=now),
            public_url=settings.server.public_url,
            now=now,
        )
        message = report_message(
            reading,
            period=yesterday(today) if period is Period.DAY else last_week(today),
            watched=watched,
            alerts=reading.alerts(),
            context=context,
            savings=saving_lines(reading.deletions(), now=now),
            now=now,
        )
        return ReportView(now, watched.zone, self._stale(), message)

    def _stale(self) -> tuple[str, ...]:
        return stale_accounts(self.reading.accounts(), watched=self.watched, now=self.now)

    def _protection(self, resource: Resource) -> Sequence[str]:
        keeping = keeping_of(self.settings, self.reading)
        asked = (None, *(rule.name for rule in self.settings.rules if rule.judges(resource)))
        reasons = [protection_of(resource, keeping, now=self.now, rule=rule) for rule in asked]
        return tuple(dict.fromkeys(reason for reason in reasons if reason is not None))

    def _standing(self, resource: Resource) -> Sequence[str]:
        zone, identity, vetoes = self.watched.zone, resource.identity, self.reading.vetoes()
        vetoed = [veto_on(identity, rule.name, vetoes, now=self.now) for rule in self.settings.rules]
        lines = [
            f"vetoed for rule {veto.rule} until {instant(veto.until, zone=zone)} by {veto.actor}: {veto.reason}"
            for veto in vetoed
            if veto is not None
        ]
        for one in self.reading.deletions(states=LIVE):
            if one.identity == identity:
                due = "" if one.execute_at is None else f", due on {instant(one.execute_at, zone=zone)}"
                lines.append(f"deletion {one.id} is {one.state}{due}: {one.reason}")
        return tuple(lines)


def showing(settings: Settings, reading: Reading, *, now: datetime) -> Showing:
    """The views of a reading, with the generations that the database knows of."""
    return Showing(settings, found_before(reading), reading, now)


def answer(
    name: str, *, settings: Settings, found: Found, reading: Reading, now: datetime, query: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """What the command `name --json` prints; None where there is no such reading command.

    `query` holds its options by their names without dashes, instants in ISO 8601. Raises UnusableOption where they cannot
    be understood, UnknownName where they name what is not there.
    """
    return None if name not in _ANSWERS else _ANSWERS[name](Showing(settings, found, reading, now), _Options(query))


def keeping_of(settings: Settings, reading: Reading) -> Keeping:
    """What the configuration and people want kept."""
    return Keeping(
        protect=settings.deletion.protect,
        kept=reading.kept(),
        released=reading.released(),
        leases=reading.leases(),
        silences=reading.silences(),
        namesakes=namesakes_of(record.state.identity for record in reading.resources()),
    )


def resource_named(word: str, reading: Reading) -> ResourceRecord:
    """The resource that goes by `word`: an id, ACCOUNT/ID, or a name that only one has. Those that are gone count only
    where nothing else goes by it. Raises UnknownName."""
    records = reading.resources()
    account, _, id = word.rpartition("/")
    by_id = [
        record
        for record in records
        if record.state.identity.id == word.lower()
        or (record.state.identity.account, record.state.identity.id) == (account, id.lower())
    ]
    # A name may also be typed as it is shown.
    by_name = [
        record
        for record in records
        if record.resource.name is not None and word in (record.resource.name, printable(record.resource.name))
    ]
    for matching in (by_id, by_name):
        present = [record for record in matching if record.state.presence is not Presence.GONE]
        chosen = present or matching
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            ids = ", ".join(f"{one.state.identity.account}/{label(None, id=one.resource.id)}" for one in chosen[:10])
            more = f" and {len(chosen) - 10} more" if len(chosen) > 10 else ""
            raise UnknownName(
                f"{len(chosen)} resources go by {printable(word, limit=120)!r}; name one by its account and id: {ids}{more}"
            )
    raise UnknownName(f"there is no resource {printable(word, limit=120)!r}; `vms --all` lists those that are known")


def deletion_of(id: str, reading: Reading) -> Deletion:
    """The deletion of that id. Raises UnknownName."""
    for one in reading.deletions():
        if one.id == id:
            return one
    raise UnknownName(
        f"there is no deletion {printable(id, limit=60)!r}; `deletions --all` lists those that there ever were"
    )


def over_since(deletion: Deletion) -> datetime:
    """When a deletion that is over was over."""
    last = deletion.history[-1].at if deletion.history else deletion.proposed_at
    return deletion.settled_at or last


def require_known(account: str | None, settings: Settings, reading: Reading) -> None:
    """Raises UnknownName for an account that is neither configured nor in the database."""
    known = {each.name for each in settings.accounts} | {record.account for record in reading.accounts()}
    if account is not None and account not in known:
        raise UnknownName(f"there is no account {account!r}; known are {', '.join(sorted(known))}")


class _Options:
    """The options of one question. Each must be understood, and one that nobody asks for is refused by `done`."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._left = dict(query)

    def text(self, name: str) -> str | None:
        return self._left.pop(name, None)

    def flag(self, name: str) -> bool:
        word = self._left.pop(name, "false").lower()
        if word not in ("", "1", "true", "0", "false"):
            raise UnusableOption(f"{name} is 1 or 0, not {printable(word, limit=60)!r}")
        return word in ("", "1", "true")

    def moment(self, name: str) -> datetime | None:
        word = self._left.pop(name, None)
        if word is None:
            return None
        try:
            moment = datetime.fromisoformat(word)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise UnusableOption(
                f'{name} is an instant as in "2026-03-01T17:55:00Z", not {printable(word, limit=60)!r}'
            ) from None

    def by(self) -> By:
        word = self._left.pop("by", By.RESOURCE.value)
        try:
            return By(word)
        except ValueError:
            raise UnusableOption(f"by is {', '.join(By)}, not {printable(word, limit=60)!r}") from None

    def days(self) -> int:
        word = self._left.pop("days", "7")
        if not (word.isascii() and word.isdigit() and len(word) < 4 and 1 <= int(word) <= _MOST_DAYS):
            raise UnusableOption(f"days is a number from 1 to {_MOST_DAYS}, not {printable(word, limit=60)!r}")
        return int(word)

    def done(self) -> None:
        if self._left:
            names = ", ".join(printable(name, limit=60) for name in self._left)
            raise UnusableOption(f"there is no option of this name here: {names}")


def _status(show: Showing, options: _Options) -> Mapping[str, Any]:
    options.done()
    return shapes.status(show.status())


def _vms(show: Showing, options: _Options) -> Mapping[str, Any]:
    everything = options.flag("all")
    options.done()
    return shapes.vms(show.vms(everything=everything))


def _spend(show: Showing, options: _Options) -> Mapping[str, Any]:
    since, until, by, account = options.moment("since"), options.moment("until"), options.by(), options.text("account")
    options.done()
    return shapes.spend(show.spend(since=since, until=until, by=by, account=account))


def _calendar(show: Showing, options: _Options) -> Mapping[str, Any]:
    days = options.days()
    options.done()
    return shapes.calendar(show.calendar(days=days))


def _budgets(show: Showing, options: _Options) -> Mapping[str, Any]:
    options.done()
    return shapes.budgets(show.budgets())


def _forecast(show: Showing, options: _Options) -> Mapping[str, Any]:
    options.done()
    return shapes.forecast(show.forecast())


def _alerts(show: Showing, options: _Options) -> Mapping[str, Any]:
    everything = options.flag("all")
    options.done()
    return shapes.alerts(show.alerts(everything=everything))


def _idle(show: Showing, options: _Options) -> Mapping[str, Any]:
    options.done()
    return shapes.idle(show.idle())


def _deletions(show: Showing, options: _Options) -> Mapping[str, Any]:
    everything = options.flag("all")
    options.done()
    return shapes.deletions(show.deletions(everything=everything))


_ANSWERS: Final[Mapping[str, Callable[[Showing, _Options], Mapping[str, Any]]]] = {
    "status": _status,
    "vms": _vms,
    "spend": _spend,
    "calendar": _calendar,
    "budgets": _budgets,
    "forecast": _forecast,
    "alerts": _alerts,
    "idle": _idle,
    "deletions": _deletions,
}
