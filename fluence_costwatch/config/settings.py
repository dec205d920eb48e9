"""What the rest of the program sees of the configuration: frozen values, nothing left to resolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from fluence_costwatch.config.secret import Secret
from fluence_costwatch.core.budgets.budget import Budget
from fluence_costwatch.core.deletion.deletions import DeletionPolicy
from fluence_costwatch.core.idle.rules import Rule
from fluence_costwatch.core.messages.outbox import QuietHours, Route
from fluence_costwatch.core.money import Usd


@dataclass(frozen=True, slots=True)
class PollSettings:
    """How often to look, and how long an absence must last before it is believed."""

    interval: timedelta
    confirm_absence: int
    confirm_suspicious: timedelta


@dataclass(frozen=True, slots=True)
class EpochSettings:
    """The grid of boundaries that serves where the API reports no charge time; `anchor` is UTC."""

    anchor: time
    length: timedelta


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """The SQLite file (absolute; it and its folder need not exist yet) and how long snapshots are kept."""

    path: Path
    retention: timedelta


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where to listen: `host` without brackets, `port` 0 for a free one; no token means that none is asked for.

    `public_url` is where people reach it, for links in messages; without a slash at its end.
    """

    host: str
    port: int
    token: Secret | None
    metrics_without_token: bool
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """`format` is "auto", "text" or "json"; `level` "debug", "info", "warning" or "error"."""

    format: str
    level: str


@dataclass(frozen=True, slots=True)
class DisplaySettings:
    """The zone in which a person reads instants; nothing is computed in it."""

    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """When an account without a successful look counts as stale, unless three polls take longer.

    `drift_tolerance` is the part of the provider's figure by which the ledger may differ from it without an alert, `repeat`
    how often what goes on is told again, `runway` from when on the end of the balance is told, `new_vm_above` the price
    per day above which a new machine is told of (None: never).
    """

    stale_after: timedelta
    drift_tolerance: Decimal
    repeat: timedelta = timedelta(hours=24)
    runway: timedelta = timedelta(hours=72)
    new_vm_above: Usd | None = None


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One API key and what to look at with it; `epoch` is resolved, `api_url` ends without a slash.

    `generations` is ("auto",) where the account is to find out by itself which of them answer.
    """

    name: str
    generations: tuple[str, ...]
    api_url: str
    api_key: Secret
    auth: str
    epoch: EpochSettings
    charge_from: datetime | None
    delete_api_key: Secret | None = None
    delete_body: str = "vmId"


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """One Apprise URL with a name that is safe to print, and what it is told."""

    name: str
    url: Secret
    route: Route


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """What holds for all targets, and where else to tell that all is well or what fires.

    `zone` is where quiet hours lie and where the day and week of a digest begin.
    """

    quiet: QuietHours | None = None
    dead_man_url: Secret | None = None
    alertmanager_url: str | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class SignalSettings:
    """Where facts about machines come from. `overrides` are node_exporter URLs by lower-cased id or by name.

    `node_exporter_url` holds {public_ip}, {name} or {id} in braces; it is empty where only `overrides` are asked.
    """

    prometheus_url: str | None = None
    node_exporter_url: str = "http://{public_ip}:9100/metrics"
    timeout: timedelta = timedelta(seconds=5)
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole valid configuration; `remarks` are sentences worth a warning, by dotted path."""

    path: Path
    poll: PollSettings
    epoch: EpochSettings
    database: DatabaseSettings
    server: ServerSettings
    log: LogSettings
    display: DisplaySettings
    alerts: AlertSettings
    accounts: tuple[AccountSettings, ...]
    targets: tuple[TargetSettings, ...] = ()
    notify: NotifySettings = NotifySettings()
    budgets: tuple[Budget, ...] = ()
    rules: tuple[Rule, ...] = ()
    signals: SignalSettings = SignalSettings()
    deletion: DeletionPolicy = DeletionPolicy()
    remarks: tuple[str, ...] = ()
