"""The Display that Prometheus sees."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fluence_costwatch.core.budgets import budgeting
from fluence_costwatch.core.budgets.budget import Budget
from fluence_costwatch.core.idle.rules import Rule
from fluence_costwatch.core.messages.outbox import Delivery
from fluence_costwatch.core.views.fleet import Watched, whole_view
from fluence_costwatch.metrics.families import account_families, money_families, process_families, resource_families
from fluence_costwatch.metrics.judged_families import (
    alert_families,
    budget_families,
    deletion_families,
    idle_families,
    notification_families,
)
from fluence_costwatch.metrics.read_once import ReadOnce, Remembered
from fluence_costwatch.metrics.tallies import Tallies

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def no_drift() -> Mapping[tuple[str, str], Decimal]:
    """What is known of drift before anything was compared."""
    return {}


def none_configured() -> tuple[()]:
    """No budgets, rules or targets."""
    return ()


class Exporter:
    """Renders the exposition whenever it is shown something, and hands out the bytes in between.

    Show it every cycle, failed ones included, because it also shows the tallies. `drift` is what the last
    reconciliation found, by account and by what the ledger was held against. `budgets`, `rules` and the names of
    `targets` are those that are configured at present.
    """

    def __init__(
        self,
        *,
        version: str,
        watched: Callable[[], Watched],
        tallies: Tallies,
        size_bytes: Callable[[], int],
        drift: Callable[[], Mapping[tuple[str, str], Decimal]] = no_drift,
        budgets: Callable[[], Sequence[Budget]] = none_configured,
        rules: Callable[[], Sequence[Rule]] = none_configured,
        targets: Callable[[], Sequence[str]] = none_configured,
    ) -> None:
        self._version = version
        self._watched = watched
        self._tallies = tallies
        self._size_bytes = size_bytes
        self._drift = drift
        self._budgets = budgets
        self._rules = rules
        self._targets = targets
        self._showing = Lock()
        self._rendered = _rendered(self._process_families())

    def show(self, reading: Remembered, *, now: datetime) -> None:
        """Make this the state that is scraped from now on."""
        # One at a time, so that an older state never replaces a newer one; whoever scrapes does not wait.
        with self._showing:
            self._rendered = _rendered(self._families(reading, now=now))

    def metrics(self) -> tuple[bytes, bytes]:
        """The exposition, plain and compressed."""
        return self._rendered

    def _families(self, reading: Remembered, *, now: datetime) -> Iterator[Metric]:
        watched, counts, rules, targets = self._watched(), self._tallies.counts(), self._rules(), self._targets()
        known = ReadOnce(reading)
        status, whole = whole_view(known, watched=watched, now=now)
        current = known.resources(gone=False)
        yield from self._process_families()
        yield from account_families(status, counts=counts)
        yield from money_families(status, drift=self._drift())
        yield from budget_families(budgeting.statuses(self._budgets(), known, watched=watched, now=now))
        yield from alert_families(reading.alerts())
        queued = reading.outbox(states=(Delivery.QUEUED,)) if targets else ()
        yield from notification_families(queued, targets=targets, counts=counts)
        yield from resource_families(whole.resources)
        clocks = reading.clocks() if rules else {}
        yield from idle_families(rules, current, clocks, patience=watched.patience, now=now)
        yield from deletion_families(reading.deletions(), present={record.state.identity for record in current})

    def _process_families(self) -> Iterator[Metric]:
        return process_families(version=self._version, size_bytes=self._size_bytes(), counts=self._tallies.counts())


class _Families(Collector):
    """Families in the form that the library's renderer takes."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        # Without this, registering would render everything once for its names.
        return []


def _rendered(families: Iterable[Metric]) -> tuple[bytes, bytes]:
    registry = CollectorRegistry()
    registry.register(_Families(families))
    plain = generate_latest(registry)
    # Level 1 takes a tenth of the time of the library's level 9 and a tenth more bytes.
    return plain, gzip.compress(plain, compresslevel=1, mtime=0)
