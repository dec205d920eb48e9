"""The whole watch in one process: the real client, store and cycle against the simulated marketplace, on its clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.history import Judgement, ResourceState
from fluence_costwatch.core.ledger import charged_total, uncertain_total
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.cycle import Turn, Watching, run_cycle
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Reading
from fluence_costwatch.store import open_store
from fluence_costwatch.store.sqlite import SqliteStore
from tests.servers.marketplace import KEY, Marketplace, marketplace


class Nowhere:
    """A display that nobody looks at."""

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Nothing to show it on."""


class Rig:
    """One account watched by hand: time passes, looks happen and the process restarts when a test says so."""

    def __init__(self, market: Marketplace, path: Path, generation: Generation, grid: EpochGrid) -> None:
        self.market = market
        self.path = path
        self.watching = Watching("main", ((generation, Judgement(grid=grid)),))
        self.cloud = FluenceCloud(
            account="main",
            api_url=market.url,
            api_key=KEY,
            clock=self._clock,
            attempts=1,
            deadline=timedelta(seconds=2),
            read_timeout=timedelta(seconds=1),
        )
        self.now = market.now()
        self.store: SqliteStore = open_store(path, now=self.now)

    def _clock(self) -> datetime:
        return self.now

    def poll(self) -> Turn:
        """One cycle at the marketplace's present instant."""
        return run_cycle(self.watching, cloud=self.cloud, store=self.store, display=Nowhere(), clock=self._clock)

    def advance(self, span: timedelta) -> None:
        """Time passes; nobody looks."""
        self.now = self.market.advance(span)

    def polls(self, span: timedelta, *, every: timedelta) -> None:
        """A look every so often, for `span`."""
        until = self.now + span
        while self.now < until:
            self.advance(every)
            self.poll()

    def restart(self) -> None:
        """The process ends and begins again: nothing but the database is left."""
        self.store.close()
        self.store = open_store(self.path, now=self.now)

    def states(self) -> dict[str, ResourceState]:
        """What is remembered, by lower-cased id."""
        with self.store.reading() as reading:
            return {record.state.identity.id: record.state for record in reading.resources()}

    def differences(self) -> list[str]:
        """Where our ledger and the marketplace's books contradict each other."""
        books = {vm.lower(): amount for vm, amount in self.market.books().total_by_vm.items()}
        wrong = []
        for key, state in self.states().items():
            ours = charged_total(state).micros
            most = ours + uncertain_total(state, now=self.now).micros
            if not ours <= books.get(key, 0) <= most:
                wrong.append(f"{self.now}: {key}: ours {ours}, books {books.get(key, 0)}, with uncertain {most}")
        return wrong

    def unequal(self) -> list[str]:
        """Where our ledger is not the same as the books, to the micro-dollar."""
        books = {vm.lower(): amount for vm, amount in self.market.books().total_by_vm.items()}
        ours = {key: charged_total(state).micros for key, state in self.states().items()}
        return [
            f"{key}: ours {ours.get(key)}, books {books.get(key)}"
            for key in sorted(ours.keys() | books.keys())
            if ours.get(key, 0) != books.get(key, 0)
        ]


@contextmanager
def rig(path: Path, *, start: datetime, generation: Generation = Generation.VMS_V2, **options: Any) -> Iterator[Rig]:
    """A marketplace whose clock is set by hand, and a watch over it with a database at `path`."""
    length = options.get("epoch", timedelta(hours=24))
    grid = EpochGrid(options.get("anchor", time(17, 55)), length)
    with marketplace(start=start, **options) as market:
        watch = Rig(market, path, generation, grid)
        try:
            yield watch
        finally:
            watch.store.close()
            watch.cloud.close()
