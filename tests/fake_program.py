"""A program that answers the command line from facts, and notes what it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fluence_costwatch.cli.program import CheckLine, DemoOptions, Looked, SimulateOptions
from fluence_costwatch.core import spending, views
from fluence_costwatch.core.reconciled import ReconcileView, Skipped
from fluence_costwatch.core.reconciliation import Comparison
from fluence_costwatch.core.spending import By, CalendarView, ExportRow, SpendView
from fluence_costwatch.core.views import StatusView, VmsView, Watched
from fluence_costwatch.ports import Backup
from tests.known import NOW, Facts, watched


@dataclass
class FakeProgram:
    """`asked` holds the arguments of the last call; `fails` is raised by every one."""

    facts: Facts = Facts()
    watched: Watched = field(default_factory=watched)
    fails: BaseException | None = None
    looks: tuple[Looked, ...] = ()
    lines: tuple[CheckLine, ...] = ()
    findings: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    skipped: tuple[Skipped, ...] = ()
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

    def _note(self, **arguments: Any) -> None:
        self.asked = arguments
        if self.fails is not None:
            raise self.fails
