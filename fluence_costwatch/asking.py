"""What the reading commands ask: the configuration without its secrets, one reading of the database, one view."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from fluence_costwatch.cli.program import OutboxView, Period, ReportView, SilencesView
from fluence_costwatch.config import Settings, load
from fluence_costwatch.core.alerts.alert_views import AlertsView
from fluence_costwatch.core.budgets.budget_views import BudgetsView, ForecastView
from fluence_costwatch.core.deletion.deletion_views import DeletionsView
from fluence_costwatch.core.idle.idle_views import ExplainView, IdleView
from fluence_costwatch.core.views.fleet import StatusView, VmsView
from fluence_costwatch.core.views.spending import By, CalendarView, ExportRow, SpendView, export_rows
from fluence_costwatch.daemon import system_clock
from fluence_costwatch.ports import Clock
from fluence_costwatch.showing import Showing, require_known, showing
from fluence_costwatch.store import open_reading


class Asking:
    """The commands that read, over an environment and a clock."""

    def __init__(self, environ: Mapping[str, str] = os.environ, *, clock: Clock = system_clock) -> None:
        self._environ = environ
        self._clock = clock

    def now(self) -> datetime:
        """The present instant."""
        return self._clock()

    def status(self, config: str | None) -> StatusView:
        """The state of the watch."""
        with self._showing(config) as show:
            return show.status()

    def vms(self, config: str | None, *, everything: bool) -> VmsView:
        """The resources, those that are gone only with `everything`."""
        with self._showing(config) as show:
            return show.vms(everything=everything)

    def spend(
        self, config: str | None, *, since: datetime | None, until: datetime | None, by: By, account: str | None
    ) -> SpendView:
        """What was spent in `[since, until)`."""
        with self._showing(config) as show:
            return show.spend(since=since, until=until, by=by, account=account)

    def calendar(self, config: str | None, *, days: int) -> CalendarView:
        """What falls due in the next days."""
        with self._showing(config) as show:
            return show.calendar(days=days)

    def budgets(self, config: str | None) -> BudgetsView:
        """How far the budgets are used."""
        with self._showing(config) as show:
            return show.budgets()

    def forecast(self, config: str | None) -> ForecastView:
        """What this day, week and month will have cost if nothing changes."""
        with self._showing(config) as show:
            return show.forecast()

    def alerts(self, config: str | None, *, everything: bool) -> AlertsView:
        """The alerts that stand; with `everything` also those that are over."""
        with self._showing(config) as show:
            return show.alerts(everything=everything)

    def silences(self, config: str | None) -> SilencesView:
        """The silences that go on."""
        with self._showing(config) as show:
            return show.silences()

    def idle(self, config: str | None) -> IdleView:
        """What every rule says of every resource."""
        with self._showing(config) as show:
            return show.idle()

    def explain(self, config: str | None, *, vm: str) -> ExplainView:
        """Why one resource is called what it is called."""
        with self._showing(config) as show:
            return show.explain(vm)

    def deletions(self, config: str | None, *, everything: bool) -> DeletionsView:
        """The deletions that stand or are news; all with `everything`."""
        with self._showing(config) as show:
            return show.deletions(everything=everything)

    def deletion(self, config: str | None, *, id: str) -> DeletionsView:
        """One deletion alone."""
        with self._showing(config) as show:
            return show.deletion(id)

    def outbox(self, config: str | None) -> OutboxView:
        """The messages that wait, were given up or may not have arrived."""
        with self._showing(config) as show:
            return show.outbox()

    def report(self, config: str | None, *, period: Period) -> ReportView:
        """What a digest of that period says."""
        with self._showing(config) as show:
            return show.report(period)

    def export(
        self, config: str | None, *, since: datetime | None, until: datetime | None, account: str | None
    ) -> Iterator[ExportRow]:
        """The rows of the ledger, oldest first. Raises before the first row where there is nothing to read from."""
        stack = ExitStack()
        show = stack.enter_context(self._showing(config))
        with stack:
            require_known(account, show.settings, show.reading)
            stack = stack.pop_all()
        return _until_read(stack, export_rows(show.reading, since=since, until=until, account=account))

    def _settings(self, config: str | None) -> Settings:
        # Whoever reads needs no key, and may not be allowed to see one.
        return load(config, environ=self._environ, read_secrets=False)

    def _database(self, config: str | None) -> Path:
        return self._settings(config).database.path

    @contextmanager
    def _showing(self, config: str | None) -> Iterator[Showing]:
        settings = self._settings(config)
        with open_reading(settings.database.path) as reading:
            yield showing(settings, reading, now=self.now())


def _until_read(stack: ExitStack, rows: Iterator[ExportRow]) -> Iterator[ExportRow]:
    """`rows`, with what they are read from closed after the last one."""
    with stack:
        yield from rows
