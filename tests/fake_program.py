"""A program that answers the command line from facts, and notes what it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from fluence_costwatch.cli.program import (
    CheckLine,
    DemoOptions,
    Heartbeat,
    Looked,
    OutboxView,
    Period,
    ReportView,
    SilencesView,
    SimulateOptions,
    Subject,
)
from fluence_costwatch.core.alerts.alert_views import AlertsView
from fluence_costwatch.core.billing.reconciled import ReconcileView, Skipped
from fluence_costwatch.core.billing.reconciliation import Comparison
from fluence_costwatch.core.budgets.budget_views import BudgetsView, ForecastView
from fluence_costwatch.core.deletion.deletion_views import DeletionsView
from fluence_costwatch.core.idle.idle_views import ExplainView, IdleView
from fluence_costwatch.core.views import fleet as views
from fluence_costwatch.core.views import spending
from fluence_costwatch.core.views.fleet import StatusView, VmsView, Watched
from fluence_costwatch.core.views.spending import By, CalendarView, ExportRow, SpendView
from fluence_costwatch.ports import Backup
from tests.known import NOW, Facts, watched

V = TypeVar("V")


@dataclass
class FakeProgram:
    """`asked` holds the arguments of the last call; `fails` is raised by every one. `shown` are the views of the commands
    that facts alone do not make, by the command; `done` is the sentence on what was written."""

    facts: Facts = Facts()
    watched: Watched = field(default_factory=watched)
    fails: BaseException | None = None
    looks: tuple[Looked, ...] = ()
    lines: tuple[CheckLine, ...] = ()
    findings: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    shown: dict[str, Any] = field(default_factory=dict)
    done: str = "It is done."
    is_rolled_back: bool = False
    asked: dict[str, Any] = field(default_factory=dict)

    def now(self) -> datetime:
        return NOW

    def run(self, config: str | None, *, allow_delete: bool) -> None:
        self._note(config=config, allow_delete=allow_delete)

    def once(self, config: str | None, *, allow_delete: bool) -> Sequence[Looked]:
        self._note(config=config, allow_delete=allow_delete)
        return self.looks

    def demo(self, options: DemoOptions) -> None:
        self._note(options=options)

    def simulate(self, options: SimulateOptions) -> None:
        self._note(options=options)

    def check(self, config: str | None) -> Iterable[CheckLine]:
        self._note(config=config)
        return self.lines

    def status(self, config: str | None) -> StatusView:
        self._note(config=config)
        return views.status_view(self.facts, watched=self.watched, now=NOW)

    def vms(self, config: str | None, *, everything: bool) -> VmsView:
        self._note(config=config, everything=everything)
        return views.vms_view(self.facts, watched=self.watched, now=NOW, everything=everything)

    def spend(
        self, config: str | None, *, since: datetime | None, until: datetime | None, by: By, account: str | None
    ) -> SpendView:
        self._note(config=config, since=since, until=until, by=by, account=account)
        return spending.spend_view(
            self.facts, watched=self.watched, now=NOW, since=since, until=until, by=by, account=account
        )

    def calendar(self, config: str | None, *, days: int) -> CalendarView:
        self._note(config=config, days=days)
        return spending.calendar_view(self.facts, watched=self.watched, now=NOW, days=days)

    def export(
        self, config: str | None, *, since: datetime | None, until: datetime | None, account: str | None
    ) -> Iterator[ExportRow]:
        self._note(config=config, since=since, until=until, account=account)
        return spending.export_rows(self.facts, since=since, until=until, account=account)

    def reconcile(self, config: str | None, *, apply: bool, account: str | None, days: int | None) -> ReconcileView:
        self._note(config=config, apply=apply, account=account, days=days)
        adjustments = tuple(filter(None, (one.adjustment() for one in self.comparisons)))
        return ReconcileView(NOW, UTC, (), self.comparisons, adjustments, apply and bool(adjustments), self.skipped)

    def db_upgrade(self, config: str | None) -> str:
        self._note(config=config)
        return "The schema is up to date."

    def db_backup(self, config: str | None, *, directory: Path | None) -> Backup:
        self._note(config=config, directory=directory)
        return Backup(Path("backups") / "costwatch.db", 4096)

    def db_verify(self, config: str | None) -> Sequence[str]:
        self._note(config=config)
        return self.findings

    def db_rebuild(self, config: str | None) -> Sequence[str]:
        self._note(config=config)
        return self.findings

    def budgets(self, config: str | None) -> BudgetsView:
        return self._view(BudgetsView, "budgets", config=config)

    def forecast(self, config: str | None) -> ForecastView:
        return self._view(ForecastView, "forecast", config=config)

    def alerts(self, config: str | None, *, everything: bool) -> AlertsView:
        return self._view(AlertsView, "alerts", config=config, everything=everything)

    def silences(self, config: str | None) -> SilencesView:
        return self._view(SilencesView, "silences", config=config)

    def idle(self, config: str | None) -> IdleView:
        return self._view(IdleView, "idle", config=config)

    def explain(self, config: str | None, *, vm: str) -> ExplainView:
        return self._view(ExplainView, "explain", config=config, vm=vm)

    def heartbeat(self, config: str | None, *, vm: str) -> Heartbeat:
        return self._view(Heartbeat, "heartbeat", config=config, vm=vm)

    def deletions(self, config: str | None, *, everything: bool) -> DeletionsView:
        return self._view(DeletionsView, "deletions", config=config, everything=everything)

    def deletion(self, config: str | None, *, id: str) -> DeletionsView:
        view = self._view(DeletionsView, "deletions", config=config, id=id)
        return replace(view, deletions=tuple(one for one in view.deletions if one.id == id))

    def outbox(self, config: str | None) -> OutboxView:
        return self._view(OutboxView, "outbox", config=config)

    def report(self, config: str | None, *, period: Period) -> ReportView:
        return self._view(ReportView, "report", config=config, period=period)

    def silence(self, config: str | None, *, subject: Subject, length: timedelta, reason: str) -> str:
        return self._done(config=config, subject=subject, length=length, reason=reason)

    def end_silence(self, config: str | None, *, id: str) -> str:
        return self._done(config=config, ended=id)

    def keep(self, config: str | None, *, vm: str, reason: str) -> str:
        return self._done(config=config, kept=vm, reason=reason)

    def release(self, config: str | None, *, vm: str) -> str:
        return self._done(config=config, released=vm)

    def lease(self, config: str | None, *, vm: str, until: datetime) -> str:
        return self._done(config=config, leased=vm, until=until)

    def end_lease(self, config: str | None, *, vm: str) -> str:
        return self._done(config=config, lease_ended=vm)

    def approve(self, config: str | None, *, id: str, reason: str) -> str:
        return self._done(config=config, approved=id, reason=reason)

    def veto(self, config: str | None, *, id: str, reason: str) -> str:
        return self._done(config=config, vetoed=id, reason=reason)

    def rolled_back(self, config: str | None) -> bool:
        self._note(config=config)
        return self.is_rolled_back

    def accept_rollback(self, config: str | None) -> str:
        return self._done(config=config, confirmed=True)

    def notify_test(self, config: str | None, *, target: str | None) -> Iterable[CheckLine]:
        self._note(config=config, target=target)
        return self.lines

    def notify_retry(self, config: str | None, *, number: int) -> str:
        return self._done(config=config, number=number)

    def _view(self, kind: type[V], command: str, **arguments: Any) -> V:
        self._note(**arguments)
        view = self.shown[command]
        assert isinstance(view, kind)
        return view

    def _done(self, **arguments: Any) -> str:
        self._note(**arguments)
        return self.done

    def _note(self, **arguments: Any) -> None:
        self.asked = arguments
        if self.fails is not None:
            raise self.fails
