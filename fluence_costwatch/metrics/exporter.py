"""The Display that Prometheus sees."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fluence_costwatch.core.views import Watched, whole_view
from fluence_costwatch.metrics.families import account_families, money_families, process_families, resource_families
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.ports import Reading

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def no_drift() -> Mapping[tuple[str, str], Decimal]:
    """What is known of drift before anything was compared."""
    return {}


class Exporter:
    """Renders the exposition whenever it is shown something, and hands out the bytes in between.

    Show it every cycle, failed ones included, because it also shows the tallies. `drift` is what the last
    reconciliation found, by account and by what the ledger was held against.
    """

    def __init__(
        self,
        *,
        version: str,
        watched: Callable[[], Watched],
        tallies: Tallies,
        size_bytes: Callable[[], int],
        drift: Callable[[], Mapping[tuple[str, str], Decimal]] = no_drift,
    ) -> None:
        self._version = version
        self._watched = watched
        self._tallies = tallies
        self._size_bytes = size_bytes
        self._drift = drift
        self._showing = Lock()
        self._rendered = _rendered(self._process_families())

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Make this the state that is scraped from now on."""
        # One at a time, so that an older state never replaces a newer one; whoever scrapes does not wait.
        with self._showing:
            status, whole = whole_view(reading, watched=self._watched(), now=now)
            families = [
                *self._process_families(),
                *account_families(status, counts=self._tallies.counts()),
                *money_families(status, drift=self._drift()),
                *resource_families(whole.resources),
            ]
            self._rendered = _rendered(families)

    def metrics(self) -> tuple[bytes, bytes]:
        """The exposition, plain and compressed."""
        return self._rendered

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
