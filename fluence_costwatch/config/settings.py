"""What the rest of the program sees of the configuration: frozen values, nothing left to resolve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from fluence_costwatch.config.secret import Secret


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
    """Where to listen: `host` without brackets, `port` 0 for a free one; no token means that none is asked for."""

    host: str
    port: int
    token: Secret | None
    metrics_without_token: bool


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

    `drift_tolerance` is the part of the provider's figure by which the ledger may differ from it without an alert.
    """

    stale_after: timedelta
    drift_tolerance: Decimal


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
    remarks: tuple[str, ...] = ()
