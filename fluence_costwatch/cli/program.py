"""What the command line asks of the rest of the program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, Protocol

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.alerts.alert_views import AlertsView
from fluence_costwatch.core.billing.reconciled import ReconcileView
from fluence_costwatch.core.budgets.budget_views import BudgetsView, ForecastView
from fluence_costwatch.core.deletion.deletion_views import DeletionsView
from fluence_costwatch.core.idle.idle_views import ExplainView, IdleView
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import OutboxRow
from fluence_costwatch.core.views.fleet import StatusView, View, VmsView
from fluence_costwatch.core.views.spending import By, CalendarView, ExportRow, SpendView
from fluence_costwatch.ports import Backup

ROLLED_BACK: Final = (
    "The database has lived through another number of cycles than the counter beside it says, as after a backup was put "
    "back. Nothing is deleted meanwhile."
)

Policy = Literal["global", "per_vm"]
Flavour = Literal["seed", "rich", "transition"]
Auth = Literal["both", "x-api-key", "bearer"]
DeleteBody = Literal["vmId", "vmIds", "both"]


@dataclass(frozen=True, slots=True)
class Looked:
    """How one look of `once` went: `outcome` as in the cycle log, `detail` in a person's words."""

    account: str
    generation: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One thing that `check` looked at. `exit_code` is what the command returns if this failed."""

    subject: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    exit_code: int = 1


class Period(StrEnum):
    """What a report is about: the last whole day, or the last whole week from Monday on."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a silence is about; exactly one is given. `alert` is an alert's id, `resource` an id or a unique name."""

    alert: str | None = None
    resource: str | None = None
    rule: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class SilencesView(View):
    """The silences that go on, by their end."""

    silences: tuple[Silence, ...]


@dataclass(frozen=True, slots=True)
class OutboxView(View):
    """The messages that wait, were given up or may not have arrived, in the order in which they were put in."""

    rows: tuple[OutboxRow, ...]


@dataclass(frozen=True, slots=True)
class ReportView(View):
    """A report as a digest tells it."""

    message: Message


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a resource says that it lives: the line for a crontab, what it is for, and what may keep it from arriving."""

    line: str
    meaning: str
    caution: str = ""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How the demo runs. Without `duration` it runs until interrupted, without `directory` it leaves nothing behind."""

    listen: tuple[str, int]
    epoch: timedelta
    duration: timedelta | None
    directory: Path | None


@dataclass(frozen=True, slots=True)
class SimulateOptions:
    """How the simulated marketplace starts; `script` is a file, or "demo" for the built-in one."""

    listen: tuple[str, int]
    generations: tuple[str, ...]
    epoch: timedelta
    anchor: time
    policy: Policy
    flavour: Flavour
    auth: Auth
    delete_body: DeleteBody
    script: str | None
    keys: tuple[str, ...]
    balance: str
    start: datetime | None
    hold: bool
    delete_latency: timedelta
    launch_time: timedelta
    listing_delay: timedelta
    charge_delay: timedelta
    next_billing_wobble: timedelta


class Program(Protocol):
    """Everything that a command can ask for; `config` is what `--config` names. Whatever fails raises CostwatchError."""

    def now(self) -> datetime:
        """The present instant."""
        ...

    def run(self, config: str | None, *, allow_delete: bool) -> None:
        """Be the daemon; returns when it was told to stop."""
        ...

    def once(self, config: str | None, *, allow_delete: bool) -> Sequence[Looked]:
        """One cycle for each account."""
        ...

    def demo(self, options: DemoOptions) -> None:
        """Be the daemon on the simulated marketplace."""
        ...

    def simulate(self, options: SimulateOptions) -> None:
        """Be the simulated marketplace."""
        ...

    def check(self, config: str | None) -> Iterable[CheckLine]:
        """Look at all that could be wrong, one after the other."""
        ...

    def status(self, config: str | None) -> StatusView:
        """The state of the watch."""
        ...

    def vms(self, config: str | None, *, everything: bool) -> VmsView:
        """The resources, those that are gone only with `everything`."""
        ...

    def spend(
        self, config: str | None, *, since: datetime | None, until: datetime | None, by: By, account: str | None
    ) -> SpendView:
        """What was spent in `[since, until)`."""
        ...

    def calendar(self, config: str | None, *, days: int) -> CalendarView:
        """What falls due in the next days."""
        ...

    def budgets(self, config: str | None) -> BudgetsView:
        """How far the budgets are used."""
        ...

    def forecast(self, config: str | None) -> ForecastView:
        """What this day, week and month will have cost if nothing changes."""
        ...

    def alerts(self, config: str | None, *, everything: bool) -> AlertsView:
        """The alerts that stand; with `everything` also those that are over."""
        ...

    def silences(self, config: str | None) -> SilencesView:
        """The silences that go on."""
        ...

    def idle(self, config: str | None) -> IdleView:
        """What every rule says of every resource."""
        ...

    def explain(self, config: str | None, *, vm: str) -> ExplainView:
        """Why one resource, by id or unique name, is called what it is called."""
        ...

    def heartbeat(self, config: str | None, *, vm: str) -> Heartbeat:
        """How one resource, by id or unique name, says that it lives."""
        ...

    def deletions(self, config: str | None, *, everything: bool) -> DeletionsView:
        """The deletions that stand or are news; all with `everything`."""
        ...

    def deletion(self, config: str | None, *, id: str) -> DeletionsView:
        """One deletion alone."""
        ...

    def outbox(self, config: str | None) -> OutboxView:
        """The messages that wait, were given up or may not have arrived."""
        ...

    def report(self, config: str | None, *, period: Period) -> ReportView:
        """What a digest of that period says."""
        ...

    def silence(self, config: str | None, *, subject: Subject, length: timedelta, reason: str) -> str:
        """Tell nothing of `subject` for so long. This and all below return a sentence on what was done, and until when."""
        ...

    def end_silence(self, config: str | None, *, id: str) -> str:
        """End a silence now."""
        ...

    def keep(self, config: str | None, *, vm: str, reason: str) -> str:
        """Protect a resource until it is released."""
        ...

    def release(self, config: str | None, *, vm: str) -> str:
        """Protect a resource no longer."""
        ...

    def lease(self, config: str | None, *, vm: str, until: datetime) -> str:
        """Keep a resource until then."""
        ...

    def end_lease(self, config: str | None, *, vm: str) -> str:
        """End what `lease` gave."""
        ...

    def approve(self, config: str | None, *, id: str, reason: str) -> str:
        """Approve a deletion for the moment that is set for it."""
        ...

    def veto(self, config: str | None, *, id: str, reason: str) -> str:
        """Stop a deletion."""
        ...

    def rolled_back(self, config: str | None) -> bool:
        """Whether nothing is deleted until an operator has confirmed that the database is as it should be."""
        ...

    def accept_rollback(self, config: str | None) -> str:
        """Confirm that."""
        ...

    def notify_test(self, config: str | None, *, target: str | None) -> Iterable[CheckLine]:
        """Send a sample to one target, or to each."""
        ...

    def notify_retry(self, config: str | None, *, number: int) -> str:
        """Queue a message again that was given up or may not have arrived."""
        ...

    def export(
        self, config: str | None, *, since: datetime | None, until: datetime | None, account: str | None
    ) -> Iterator[ExportRow]:
        """The rows of the ledger, oldest first. Raises before the first row where there is nothing to read from."""
        ...

    def reconcile(self, config: str | None, *, apply: bool, account: str | None, days: int | None) -> ReconcileView:
        """The ledger beside the provider's numbers of the last `days`; with `apply` what mends it is written."""
        ...

    def db_upgrade(self, config: str | None) -> str:
        """Bring the schema up to date; returns a sentence on what was done."""
        ...

    def db_backup(self, config: str | None, *, directory: Path | None) -> Backup:
        """Write a backup, beside the database unless `directory` is given."""
        ...

    def db_verify(self, config: str | None) -> Sequence[str]:
        """What is wrong with the database; empty when all is well."""
        ...

    def db_rebuild(self, config: str | None) -> Sequence[str]:
        """How the ledger replayed from the snapshots differs from the one that was kept; empty when it does not."""
        ...
