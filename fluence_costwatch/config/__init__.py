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
    PollSettings,
    ServerSettings,
    Settings,
)

__all__ = (
    "AccountSettings",
    "AlertSettings",
    "DatabaseSettings",
    "DisplaySettings",
    "EpochSettings",
    "LogSettings",
    "PollSettings",
    "Secret",
    "ServerSettings",
    "Settings",
    "format_duration",
    "load",
    "parse_duration",
)
