"""Deletions that die at their n-th step, for many n: `python -m tests.faults.dying_deletion die FOLDER WHEN FIRST STRIDE`.

A fleet is watched over an afternoon on a marketplace that is started anew for each n. Six of its machines do nothing and are
proposed; by the time that they are due, one is busy again, one vetoed, one renamed, and of the three others no more than
two may go in a day. A forked process does one act after the other until it dies between two calls of a port, and another
one begins again: with the act in which the first one died (WHEN is "again"), or with the one after it ("later"). A line of
JSON for each n says what there is in the end, and what is wrong with it; the first line is that of a run without a death.

`python -m tests.faults.dying_deletion watch URL DATABASE` is one process that watches a marketplace that is there.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path

from fluence_costwatch.assessment import Policy
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.billing.history import Judgement
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy, DeletionState, Mode, Protection
from fluence_costwatch.core.deletion.vetoes import vetoed
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.rules import Action, Condition, Rule, Signal
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow, Route
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.cycle import Watching, run_cycle
from fluence_costwatch.deleting import carry_out_due, note_accepted
from fluence_costwatch.delivery import deliver
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.store import open_reading, open_store, rebuild_database, verify_database
from fluence_costwatch.store.sqlite import SqliteStore, open_beside
from tests.faults.deaths import Stepping, Steps, die, live
from tests.rig import Nowhere, Outgoing, a_policy
from tests.servers.marketplace import KEY, Marketplace, marketplace

EPOCH = timedelta(hours=2)
CREATED = datetime(2026, 3, 1, 14, 30, tzinfo=UTC)
BOUNDARY = datetime(2026, 3, 1, 15, 55, tzinfo=UTC)
NOTICE = timedelta(minutes=10)
MARGIN = timedelta(minutes=15)
INTERVAL = timedelta(minutes=10)
PATIENCE = timedelta(seconds=30)
MOST = 2
"""So many may go in a day: a fifth of the fleet."""

IDLE = ("idle-1", "idle-2", "idle-3", "busy-again", "vetoed", "renamed", "prod-1")
MAY_GO = IDLE[:3]
RENAMED = "precious"
WORKING = ("work-1", "work-2", "work-3")
BUSY_FROM = BOUNDARY - MARGIN - timedelta(minutes=1)

CPU = Condition(Signal.CPU, below=Decimal("0.03"))
WATCHING = Watching("main", ((Generation.VMS_V3, Judgement(grid=EpochGrid(time(17, 55), EPOCH))),))


def policy_of(ids: str) -> Policy:
    """What is in force; deletions that are proposed get ids that begin with `ids`."""
    numbers = count(1)
    return a_policy(
        WATCHING,
        routes=(Route("ops", Severity.INFO),),
        interval=INTERVAL,
        rules=(Rule("idle-vm", (CPU,), 2 * INTERVAL, timedelta(0), Action.DELETE),),
        deletion=DeletionPolicy(
            mode=Mode.EXECUTE,
            armed=True,
            margin=MARGIN,
            min_notice=NOTICE,
            verify_within=timedelta(minutes=20),
            protect=Protection(names=("prod-*",)),
        ),
        new_id=lambda: f"{ids}{next(numbers)}",
    )


class Exporters:
    """What the machines say of themselves."""

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], SignalReading]:
        machines = list(resources)
        return {
            (one.identity, each): SignalReading(each, _is_idle(one, now=now), "cpu")
            for each in conditions
            for one in machines
        }


def _is_idle(machine: Resource, *, now: datetime) -> bool:
    return machine.name in (*IDLE, RENAMED) and not (machine.name == "busy-again" and now >= BUSY_FROM)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happens at one instant: what the daemon does by name, or what somebody else does in the `world`."""

    at: datetime
    does: str = ""
    world: Callable[[Marketplace, Path], None] | None = None


def veto(market: Marketplace, database: Path) -> None:
    """A person wants one kept, by the command line."""
    identity = Identity("main", market.vm("vetoed")["id"].lower())
    with open_beside(database) as store, store.transaction() as tx:
        for one in tx.reading().deletions():
            said = vetoed(one, actor="cli ann", reason="mine", veto_for=timedelta(days=7), now=market.now())
            if one.identity == identity and said is not None and tx.save_deletion(said[0], was=one.state):
                tx.save_veto(said[1])


def rename(market: Marketplace, database: Path) -> None:
    """Its owner has found another use for one."""
    market.rename(market.vms()[IDLE.index("renamed")]["id"], RENAMED)


def acts() -> list[Act]:
    """The afternoon."""

    def at(clock: str) -> datetime:
        return datetime.combine(CREATED, time.fromisoformat(clock), tzinfo=UTC)

    plan = (
        ("15:00", "poll"),
        ("15:10", "poll"),
        ("15:20", "poll"),  # all that are idle are proposed
        ("15:20:05", "deliver"),
        ("15:28", "poll"),
        ("15:29", "deliver"),
        ("15:30", veto),
        ("15:38", "poll"),
        ("15:39", rename),
        ("15:40", "delete"),
        ("15:40:30", "poll"),
        ("15:41", "deliver"),
        ("15:42", "delete"),
        ("15:46", "poll"),
        ("15:47", "deliver"),
        ("15:48", "delete"),
        ("16:05", "poll"),
        ("16:15", "poll"),
        ("16:16", "deliver"),
        ("16:25", "poll"),
        ("16:26", "deliver"),
        ("16:40", "deliver"),  # what was left by a death in the one before
    )
    return [Act(at(clock), does=what) if isinstance(what, str) else Act(at(clock), world=what) for clock, what in plan]


class Process:
    """A daemon on the marketplace's clock."""

    def __init__(self, market: Marketplace, database: Path, *, ids: str) -> None:
        self.market = market
        self.database = database
        self.policy = policy_of(ids)
        self.now = market.now()

    def do(self, script: Sequence[Act], steps: Steps, *, first: int = 0) -> None:
        """The acts from `first` on; the number of the one that is begun is kept in a file."""
        with open_store(self.database, now=CREATED) as store, self._cloud() as cloud:
            for number, act in enumerate(script[first:], start=first):
                begun(self.database).write_text(str(number))
                self.now = self.market.set_clock(act.at)
                if act.world is not None:
                    act.world(self.market, self.database)
                else:
                    self._do(act.does, store, cloud, steps)

    def _do(self, what: str, store: SqliteStore, cloud: FluenceCloud, steps: Steps) -> None:
        port = Stepping(store, steps)
        match what:
            case "poll":
                run_cycle(
                    WATCHING,
                    cloud=Stepping(cloud, steps),
                    signals=Stepping(Exporters(), steps),
                    store=port,
                    display=Stepping(Nowhere(), steps),
                    policy=self.policy,
                    clock=self._clock,
                )
            case "deliver":
                deliver(
                    "ops",
                    store=port,
                    notifier=Stepping(Outgoing(), steps),
                    clock=self._clock,
                    on_accepted=lambda tx, row, at: note_accepted(tx, row, at, terms=self.policy.terms),
                )
            case "delete":
                carry_out_due(
                    "main",
                    cloud=Stepping(cloud, steps),
                    deleter=Stepping(cloud.deleter(), steps),
                    signals=Stepping(Exporters(), steps),
                    store=port,
                    terms=lambda: self.policy.terms,
                    clock=self._clock,
                )

    def _clock(self) -> datetime:
        return self.now

    @contextmanager
    def _cloud(self) -> Iterator[FluenceCloud]:
        cloud = FluenceCloud(
            account="main",
            api_url=self.market.url,
            api_key=KEY,
            clock=self._clock,
            attempts=1,
            deadline=PATIENCE,
            read_timeout=PATIENCE,
        )
        try:
            yield cloud
        finally:
            cloud.close()


def begun(database: Path) -> Path:
    """Where a process says which act it has begun."""
    return database.with_name("begun")


@contextmanager
def fleet() -> Iterator[Marketplace]:
    """The marketplace with the machines, before anybody looks."""
    with marketplace(start=CREATED, epoch=EPOCH, generations=("vms-v3",)) as market:
        for name in (*IDLE, *WORKING):
            market.create(name)
        yield market


def called(market: Marketplace) -> dict[str, list[datetime]]:
    """When each id, lower-cased, was asked to be deleted."""
    calls: dict[str, list[datetime]] = {}
    for asked in market.requests():
        if asked.method == "DELETE":
            for vm in json.loads(asked.body)["vmIds"]:
                calls.setdefault(vm.lower(), []).append(asked.at)
    return calls


def lies(market: Marketplace, database: Path) -> Iterator[str]:
    """What must not be so at any moment: neither of the marketplace, nor of what is known of it."""
    calls = called(market)
    live = {vm["id"].lower(): vm["live"] for vm in market.vms()}
    names = dict(zip((vm["id"].lower() for vm in market.vms()), (*IDLE, *WORKING), strict=True))
    with open_reading(database) as reading:
        deletions, outbox = reading.deletions(), reading.outbox()
    if len(calls) > MOST:
        yield f"{len(calls)} calls, though {MOST} are the most"
    for vm, moments in calls.items():
        if names[vm] not in MAY_GO:
            yield f"{names[vm]} was to be kept"
        if len(moments) > 1:
            yield f"{names[vm]} was asked for {len(moments)} times"
        own = [one for one in deletions if one.identity.id == vm]
        tried = [one for one in own if DeletionState.EXECUTING in (step.state for step in one.history)]
        if len(tried) != 1:
            yield f"{names[vm]} was asked for, and its deletions are {[one.state for one in own]}"
        yield from (f"{names[vm]}: {wrong}" for one in tried for wrong in _too_early(one, moments[0], outbox))
    for one in deletions:
        steps, name = [step.state for step in one.history], names[one.identity.id]
        if one.state in (DeletionState.REQUESTED, DeletionState.VERIFIED) and one.identity.id not in calls:
            yield f"{name} is {one.state}, and nobody asked"
        if DeletionState.VERIFIED in steps and live[one.identity.id]:
            yield f"{name} is {one.state} and lives"
        if one.state is DeletionState.FAILED and not live[one.identity.id]:
            yield f"{name} is {one.state} and has gone"
        if steps[-1] is not one.state or sorted(step.at for step in one.history) != [step.at for step in one.history]:
            yield f"{name} is {one.state} after {steps}"


def _too_early(deletion: Deletion, moment: datetime, outbox: Sequence[OutboxRow]) -> Iterator[str]:
    taken = [row.settled_at for row in outbox if row.deletion == deletion.id and row.state is Delivery.SENT]
    if not any(at is not None and moment - at >= NOTICE for at in taken):
        yield "its notice is not old enough"
    if deletion.requested_at is None or deletion.requested_at > moment:
        yield "it was asked for before that was committed"


def told(market: Marketplace, database: Path, *, fatal: int, after_death: Sequence[str] = ()) -> str:
    """What there is at the end, as a line."""
    calls = called(market)
    with open_reading(database) as reading:
        deletions, outbox = reading.deletions(), reading.outbox()
        failures = {
            dict(alert.facts).get("deletion") for alert in reading.alerts() if alert.severity is Severity.CRITICAL
        }
    wrong = [*after_death, *lies(market, database), *rebuild_database(database), *verify_database(database)]
    for one in deletions:
        if one.state in (DeletionState.EXECUTING, DeletionState.REQUESTED):
            wrong.append(f"{one.name} is still {one.state}")
        if one.state is DeletionState.FAILED and one.id not in failures:
            wrong.append(f"nobody was told that {one.name} failed")
    return json.dumps(
        {
            "fatal": fatal,
            "wrong": wrong,
            "calls": len(calls),
            "states": Counter(one.state for one in deletions),
            "notices": Counter(row.deletion for row in outbox if row.deletion is not None).most_common(1)[0][1],
            "unsent": [row.message.subject for row in outbox if row.state is not Delivery.SENT],
        }
    )


def go_on(market: Marketplace, database: Path, *, fatal: int = 0, later: bool) -> None:
    """What another process does after the one that died, and what there is then."""
    after_death = list(lies(market, database))
    died_in = int(begun(database).read_text())
    Process(market, database, ids="second").do(acts(), Steps(), first=died_in + later)
    print(told(market, database, fatal=fatal, after_death=after_death))


def die_everywhere(folder: Path, when: str, first: int, stride: int) -> None:
    script = acts()
    empty = folder / "empty.db"
    open_store(empty, now=CREATED).close()

    def start() -> Path:
        tried = folder / "tried"
        shutil.rmtree(tried, ignore_errors=True)
        tried.mkdir()
        return Path(shutil.copy(empty, tried / "watch.db"))

    steps, database = Steps(), start()
    with fleet() as market:
        Process(market, database, ids="first").do(script, steps)
        print(told(market, database, fatal=0), flush=True)
    for fatal in range(first, steps.count + 1, stride):
        database = start()
        with fleet() as market:
            dies = Process(market, database, ids="first")
            die(partial(dies.do, script), fatal=fatal)
            live(partial(go_on, market, database, fatal=fatal, later=when == "later"))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["watch", url, database]:
            Process(Marketplace(url), Path(database), ids="first").do(acts(), Steps())
        case ["die", folder, when, first, stride]:
            die_everywhere(Path(folder), when, int(first), int(stride))
