"""What the command line asks of the rest of the program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Literal, Protocol

from fluence_costwatch.core.reconciled import ReconcileView
from fluence_costwatch.core.spending import By, CalendarView, ExportRow, SpendView
from fluence_costwatch.core.views import StatusView, VmsView
from fluence_costwatch.ports import Backup

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
