"""TOML to frozen settings: read once, completely, with every problem reported together."""

from __future__ import annotations

from fluence_costwatch.config.durations import format_duration, parse_duration
from fluence_costwatch.config.loading import load
from fluence_costwatch.config.secret import Secret
from fluence_costwatch.config.settings import (
    AccountSettings,
    AlertSettings,
    DatabaseSettings,
    DisplaySettings,
    EpochSettings,
    LogSettings,
    NotifySettings,
    PollSettings,
    ServerSettings,
    Settings,
    SignalSettings,
    TargetSettings,
)

__all__ = (
    "AccountSettings",
    "AlertSettings",
    "DatabaseSettings",
    "DisplaySettings",
    "EpochSettings",
    "LogSettings",
    "NotifySettings",
    "PollSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "SignalSettings",
    "TargetSettings",
    "format_duration",
    "load",
    "parse_duration",
)
