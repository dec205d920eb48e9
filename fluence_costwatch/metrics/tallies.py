"""What is counted since the process started: looks and messages, their failures, and how the last reload went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Final

REASONS: Final = ("unavailable", "refused", "unexpected", "incomplete")


@dataclass(frozen=True, slots=True)
class Counts:
    """The tallies at one instant."""

    polls: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], int] = field(default_factory=dict)
    durations: Mapping[str, timedelta] = field(default_factory=dict)
    reloaded: bool = True
    tries: Mapping[str, int] = field(default_factory=dict)
    failed_tries: Mapping[str, int] = field(default_factory=dict)


class Tallies:
    """Counters that any thread may raise. They start at zero with the process, as counters of Prometheus may."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._polls: dict[str, int] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._durations: dict[str, timedelta] = {}
        self._reloaded = True
        self._tries: dict[str, int] = {}
        self._failed_tries: dict[str, int] = {}

    def polled(self, account: str, reason: str | None, *, duration: timedelta) -> None:
        """Count one look at `account`; `reason` is that of its FluenceError, None where a list came."""
        with self._lock:
            self._polls[account] = self._polls.get(account, 0) + 1
            self._durations[account] = duration
            if reason is not None:
                failure = (account, reason if reason in REASONS else "unexpected")
                self._failures[failure] = self._failures.get(failure, 0) + 1

    def reloaded(self, *, ok: bool) -> None:
        """Note whether the last reload of the configuration was taken."""
        with self._lock:
            self._reloaded = ok

    def delivered(self, target: str, *, accepted: int = 0, failed: int = 0) -> None:
        """Count the messages that `target` accepted, and the tries to send it one that failed, for now or for good."""
        with self._lock:
            self._tries[target] = self._tries.get(target, 0) + accepted + failed
            self._failed_tries[target] = self._failed_tries.get(target, 0) + failed

    def counts(self) -> Counts:
        """The present state of all tallies."""
        with self._lock:
            return Counts(
                polls=dict(self._polls),
                failures=dict(self._failures),
                durations=dict(self._durations),
                reloaded=self._reloaded,
                tries=dict(self._tries),
                failed_tries=dict(self._failed_tries),
            )
