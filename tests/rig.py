"""The whole watch in one process: the real client, store and cycle against the simulated marketplace, on its clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.history import Charge, Judgement, ResourceState
from fluence_costwatch.core.ledger import spent_total, uncertain_total
from fluence_costwatch.core.metering import is_metered
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.cycle import Turn, Watching, run_cycle
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Reading, ResourceRecord
from fluence_costwatch.store import open_store
from fluence_costwatch.store.sqlite import SqliteStore
from tests.servers.marketplace import KEY, Marketplace, marketplace


class Nowhere:
    """A display that nobody looks at."""

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Nothing to show it on."""


class Rig:
    """One account watched by hand: time passes, looks happen and the process restarts when a test says so."""

    def __init__(self, market: Marketplace, path: Path, generations: tuple[Generation, ...], grid: EpochGrid) -> None:
        self.market = market
        self.path = path
        self.watching = Watching(
            "main",
            tuple((generation, Judgement(grid=grid, rank=rank)) for rank, generation in enumerate(generations)),
        )
        self.cloud = FluenceCloud(
            account="main",
            api_url=market.url,
            api_key=KEY,
            clock=self._clock,
            attempts=1,
            deadline=timedelta(seconds=2),
            read_timeout=timedelta(seconds=1),
        )
        self.billing = self.cloud.billing() if Generation.CLOUD_V2 in generations else None
        self.now = market.now()
        self.store: SqliteStore = open_store(path, now=self.now)

    def _clock(self) -> datetime:
        return self.now

    def poll(self) -> Turn:
        """One cycle at the marketplace's present instant."""
        return run_cycle(
            self.watching,
            cloud=self.cloud,
            billing=self.billing,
            store=self.store,
            display=Nowhere(),
            clock=self._clock,
        )

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

    def records(self) -> dict[str, ResourceRecord]:
        """What is known of every resource, by lower-cased id."""
        with self.store.reading() as reading:
            return {record.state.identity.id: record for record in reading.resources()}

    def states(self) -> dict[str, ResourceState]:
        """What is remembered, by lower-cased id."""
        return {key: record.state for key, record in self.records().items()}

    def rows(self) -> list[Charge]:
        """The written rows of the ledger."""
        with self.store.reading() as reading:
            return [record.charge for record in reading.charges()]

    def booked(self) -> dict[str, Fraction]:
        """What every resource has cost by the marketplace's books, in micro-dollars, by lower-cased id."""
        books = self.market.books()
        booked = {vm.lower(): Fraction(amount) for vm, amount in books.total_by_vm.items()}
        return booked | {key.lower(): cost for key, cost in books.metered.items()}

    def differences(self) -> list[str]:
        """Where our ledger and the marketplace's books contradict each other.

        Of a metered resource every closed row may be half a micro-dollar off, and the open one too.
        """
        booked = self.booked()
        rounding = Counter(row.identity.id for row in self.rows())
        wrong = []
        for key, record in self.records().items():
            ours = spent_total(record.state, seen=record.last_seen).micros
            most = ours + uncertain_total(record.state, now=self.now, seen=record.last_seen).micros
            slack = rounding[key] + 1 if is_metered(record.state.generation) else 0
            if not ours - slack <= booked.get(key, Fraction(0)) <= most + slack:
                wrong.append(f"{self.now}: {key}: ours {ours}, books {booked.get(key)}, with uncertain {most}")
        return wrong

    def unequal(self) -> list[str]:
        """Where our ledger is not the same as the books: to the micro-dollar, or within one for each metered row."""
        booked = self.booked()
        rounding = Counter(row.identity.id for row in self.rows())
        ours, metered = {}, set()
        for key, record in self.records().items():
            ours[key] = spent_total(record.state, seen=record.last_seen).micros
            if is_metered(record.state.generation):
                metered.add(key)
        return [
            f"{key}: ours {ours.get(key)}, books {booked.get(key)}"
            for key in sorted(ours.keys() | booked.keys())
            if abs(ours.get(key, 0) - booked.get(key, Fraction(0))) > (rounding[key] + 1 if key in metered else 0)
        ]


@contextmanager
def rig(
    path: Path, *, start: datetime, generation: Generation | tuple[Generation, ...] = Generation.VMS_V2, **options: Any
) -> Iterator[Rig]:
    """A marketplace whose clock is set by hand, and a watch over it with a database at `path`."""
    length = options.get("epoch", timedelta(hours=24))
    grid = EpochGrid(options.get("anchor", time(17, 55)), length)
    generations = generation if isinstance(generation, tuple) else (generation,)
    options.setdefault("generations", tuple(map(str, generations)))
    with marketplace(start=start, **options) as market:
        watch = Rig(market, path, generations, grid)
        try:
            yield watch
        finally:
            watch.store.close()
            watch.cloud.close()
