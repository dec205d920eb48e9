"""The whole watch in one process: the real client, store and cycle against the simulated marketplace, on its clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

from fluence_costwatch.assessment import Policy
from fluence_costwatch.core.alerts import judging
from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.billing.history import Charge, Judgement, ResourceState
from fluence_costwatch.core.billing.ledger import spent_total, uncertain_total
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.rules import Condition
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount
from fluence_costwatch.cycle import Around, Turn, Watching, run_cycle
from fluence_costwatch.deleting import Carried, Terms, carry_out_due, note_accepted
from fluence_costwatch.delivery import deliver
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Reading, ResourceRecord, Signals
from fluence_costwatch.store import open_store
from fluence_costwatch.store.sqlite import SqliteStore
from tests.servers.marketplace import KEY, Marketplace, marketplace


class Nowhere:
    """A display that nobody looks at."""

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Nothing to show it on."""


class NoSignals:
    """Signals that know nothing."""

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], SignalReading]:
        """Nothing."""
        return {}


class Outgoing:
    """A notifier that keeps what it was handed and takes it, unless it is `down`."""

    def __init__(self) -> None:
        self.down = False
        self.sent: list[tuple[str, Message]] = []

    def send(self, target: str, message: Message, *, reference: str) -> Attempt:
        """Take it."""
        if self.down:
            return Attempt(False, "down")
        self.sent.append((target, message))
        return Attempt(True)

    def subjects(self) -> list[str]:
        """What was taken, by subject."""
        return [message.subject for _, message in self.sent]


def a_policy(watching: Watching, **facts: Any) -> Policy:
    """What is judged and told about one account: no budget, no rule, no target unless `facts` name some.

    `budgets`, `rules` and `deletion` go into the terms; everything else replaces a field of the policy.
    """
    generations = tuple(generation for generation, _ in watching.judgements)
    grid = watching.judgements[0][1].grid
    watched = Watched((WatchedAccount(watching.account, generations, grid),), timedelta(minutes=15), UTC)
    terms = Terms(
        policy=facts.pop("deletion", DeletionPolicy()),
        rules=tuple(facts.pop("rules", ())),
        budgets=tuple(facts.pop("budgets", ())),
        watched=facts.pop("watched", watched),
        configured=frozenset((watching.account, generation) for generation in generations),
        judgements={(watching.account, generation): judgement for generation, judgement in watching.judgements},
        listening_since=facts.pop("listening_since", None),
    )
    numbers = count(1)
    plain: dict[str, Any] = {
        "judging": judging.Policy(watched=terms.watched),
        "terms": terms,
        "new_id": lambda: f"deletion{next(numbers)}",
        "secret": b"secret",
    }
    return Policy(**(plain | facts))


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
        self.around = Around()
        self.billing = self.cloud.billing() if Generation.CLOUD_V2 in generations else None
        self.now = market.now()
        self.store: SqliteStore = open_store(path, now=self.now)
        self.policy = a_policy(self.watching)
        self.signals: Signals | None = None
        self.notifier = Outgoing()

    def _clock(self) -> datetime:
        return self.now

    def poll(self) -> Turn:
        """One cycle at the marketplace's present instant."""
        return run_cycle(
            self.watching,
            cloud=self.cloud,
            billing=self.billing,
            signals=self.signals,
            store=self.store,
            display=Nowhere(),
            policy=self.policy,
            around=self.around,
            clock=self._clock,
        )

    def deliver(self) -> None:
        """Every target gets what is due."""
        for route in self.policy.routes:
            deliver(
                route.target,
                store=self.store,
                notifier=self.notifier,
                clock=self._clock,
                on_accepted=lambda tx, row, at: note_accepted(tx, row, at, terms=self.policy.terms),
            )

    def delete_due(self) -> tuple[Carried, ...]:
        """Carry out the deletions whose moment has come."""
        return carry_out_due(
            "main",
            cloud=self.cloud,
            deleter=self.cloud.deleter(),
            signals=self.signals or NoSignals(),
            store=self.store,
            terms=lambda: self.policy.terms,
            clock=self._clock,
        )

    def alerts(self) -> dict[str, Alert]:
        """The alerts that are not resolved, by their fingerprints."""
        with self.store.reading() as reading:
            return {alert.fingerprint: alert for alert in reading.alerts()}

    def deletions(self) -> list[Deletion]:
        """Every deletion, oldest first."""
        with self.store.reading() as reading:
            return list(reading.deletions())

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
