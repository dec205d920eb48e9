"""A watch that dies at its n-th step, for many n: `python -m tests.faults.dying_watch FOLDER WHEN FIRST STRIDE`.

The looks of one scripted run are recorded once. Cycles over them and deliveries take turns: these are the acts. Then, for
each n, a forked process does one act after the other until it dies between two calls of a port, and another one begins
again from what is left and goes on to the end: with the act in which the first one died (WHEN is "again"), or, as after a
longer pause, with the one after it ("later"). A line of JSON for each n says what there is in the end; the first line is
that of a run without a death.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from fluence_costwatch.core.alerts import judging
from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.alerting import is_told
from fluence_costwatch.core.alerts.findings import Severity, Telling
from fluence_costwatch.core.billing.history import Judgement
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.rules import Condition, Rule, Signal
from fluence_costwatch.core.messages.composing import RESOLVED_TAG
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, DigestEvery, OutboxRow, Route
from fluence_costwatch.core.messages.routing import routes_of
from fluence_costwatch.core.messages.wording import sentence
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.cycle import Around, Watching, run_cycle
from fluence_costwatch.delivery import Unrecorded, deliver
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.ports import Listing
from fluence_costwatch.store import open_reading, open_store, rebuild_database, verify_database
from tests.faults.deaths import Stepping, Steps, die, live
from tests.rig import Nowhere, Rig, a_policy, rig

HOUR = timedelta(hours=1)
BETWEEN_LOOKS = timedelta(minutes=10)
LOOKS = 17
START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
FIRST_LOOK = START + 3 * HOUR

# What is told, and to whom. "flaky" takes nothing for an hour.
ROUTES = (
    Route("ops", Severity.INFO, digest=DigestEvery.DAILY),
    Route("flaky", Severity.WARNING),
    Route("money", Severity.INFO, kinds=("budget", "forecast")),
)
DOWN_FROM, DOWN_UNTIL = FIRST_LOOK + timedelta(minutes=35), FIRST_LOOK + timedelta(minutes=95)
IDLE_FROM, IDLE_UNTIL = FIRST_LOOK + timedelta(minutes=25), FIRST_LOOK + timedelta(minutes=105)
CPU = Condition(Signal.CPU, below=Decimal("0.03"))
WATCHING = Watching("main", ((Generation.VMS_V3, Judgement(grid=EpochGrid(length=HOUR))),))


def _budget(name: str, limit: str, window: Window, **facts: Any) -> Budget:
    return Budget(name, Usd.parse(limit), window, UTC, **facts)


POLICY = a_policy(
    WATCHING,
    routes=ROUTES,
    interval=BETWEEN_LOOKS,
    rules=(Rule("idle-vm", (CPU,), timedelta(minutes=10), timedelta(0), select=Selector(names=("late",))),),
    budgets=(
        _budget("all", "8.70", Window.DAY),
        _budget("hourly", "1.90", Window.EPOCH),
        _budget("late", "1.20", Window.TOTAL, select=Selector(names=("late",)), forecast_thresholds=()),
    ),
)
POLICY = replace(
    POLICY,
    judging=judging.Policy(watched=POLICY.terms.watched, repeat=timedelta(minutes=65)),
)


@dataclass(frozen=True, slots=True)
class Look:
    """What the marketplace answered at one instant."""

    at: datetime
    answer: Listing | FluenceError


@dataclass(frozen=True, slots=True)
class Act:
    """Something that the daemon does at one instant: a cycle over that look, or a delivery to that target."""

    at: datetime
    look: Look | None = None
    target: str = ""


class Recorder:
    """A cloud that keeps what another one answers."""

    def __init__(self, watch: Rig) -> None:
        self._watch = watch
        self._cloud = watch.cloud
        self.looks: list[Look] = []

    def look(self, generation: Generation) -> Listing:
        try:
            listing = self._cloud.look(generation)
        except FluenceError as exc:
            self.looks.append(Look(self._watch.now, exc))
            raise
        self.looks.append(Look(self._watch.now, listing))
        return listing

    def close(self) -> None:
        self._cloud.close()


def recorded(path: Path) -> list[Look]:
    """Two machines that are older than the watch, a third that comes, one that goes, a new price, a status that nobody
    knows for half an hour, and an outage of as long.

    All that matters to the ledger is more than two looks away from the boundaries, five minutes before each hour.
    """
    with rig(path, start=START, generation=Generation.VMS_V3, epoch=HOUR) as watch:
        recorder = Recorder(watch)
        watch.cloud = recorder  # type: ignore[assignment]  # it does what the rig asks of a cloud
        changed = watch.market.create("changed", "0.298160")
        deleted = watch.market.create("deleted", "1.25")
        watch.advance(FIRST_LOOK - START)
        watch.poll()
        for number in range(1, LOOKS + 1):
            if number == 2:
                watch.market.set_price(changed, "0.31")
                watch.market.create("late", "0.5")
            elif number == 3:
                watch.market.set_status(changed, "Hibernating", billed=True)
            elif number == 6:
                watch.market.set_status(changed, None)
            elif number == 7:
                watch.market.misbehave("status", times=4)
            elif number == 14:
                watch.market.delete(deleted)
            watch.advance(BETWEEN_LOOKS)
            watch.poll()
        if wrong := watch.unequal():
            raise AssertionError(f"the run itself does not equal the books: {wrong}")
        return recorder.looks


def acts_over(looks: Sequence[Look]) -> list[Act]:
    """A cycle for each look, each followed by deliveries; in the end more of these, as time goes on."""
    acts = []
    for look in looks:
        acts.append(Act(look.at, look=look))
        acts += [Act(look.at + timedelta(seconds=5), target=route.target) for route in ROUTES]
    for late in (1, 2):
        acts += [Act(looks[-1].at + late * BETWEEN_LOOKS / 2, target=route.target) for route in ROUTES]
    return acts


class Played:
    """A cloud that answers what was recorded."""

    def __init__(self, look: Look) -> None:
        self._answer = look.answer

    def look(self, generation: Generation) -> Listing:
        if isinstance(self._answer, FluenceError):
            raise self._answer
        return self._answer


class Exporters:
    """What the machines say of themselves: they do nothing for a while."""

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], SignalReading]:
        idle = IDLE_FROM <= now < IDLE_UNTIL
        machines = list(resources)
        return {(one.identity, each): SignalReading(each, idle, "cpu") for each in conditions for one in machines}


class Channels:
    """The targets. What they take is in a file, so that it is not lost with the process that handed it over."""

    def __init__(self, taken: Path, at: datetime) -> None:
        self._taken = taken
        self._at = at

    def send(self, target: str, message: Message, *, reference: str) -> Attempt:
        if target == "flaky" and DOWN_FROM <= self._at < DOWN_UNTIL:
            return Attempt(False, "down")
        with self._taken.open("a") as taken:
            taken.write(f"{target} {reference}\n")
        return Attempt(True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run keeps what outlives a process."""

    database: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """All that lies there."""
        return tuple(sorted(self.database.parent.iterdir()))

    @property
    def taken(self) -> Path:
        return self.database.with_name("taken")

    def sent(self) -> Counter[tuple[str, str]]:
        """How often each target took each message."""
        lines = self.taken.read_text().splitlines() if self.taken.exists() else []
        return Counter((target, reference) for target, reference in map(str.split, lines))

    def copy_to(self, folder: Path) -> Place:
        """The same once more, as it is now."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in self.files:
            shutil.copy(file, folder / file.name)
        return Place(folder / self.database.name)


class Process:
    """What a daemon does, and what it remembers as long as it lives."""

    def __init__(self, place: Place, *, assessed_at: datetime | None = None) -> None:
        self._place = place
        self._assessed_at = assessed_at
        self._unrecorded: dict[str, Unrecorded] = {route.target: {} for route in ROUTES}

    def do(self, acts: Iterable[Act], steps: Steps) -> None:
        """One act after the other."""
        with open_store(self._place.database, now=START) as store:
            port = Stepping(store, steps)
            for act in acts:
                if act.look is None:
                    deliver(
                        act.target,
                        store=port,
                        notifier=Stepping(Channels(self._place.taken, act.at), steps),
                        clock=lambda at=act.at: at,  # type: ignore[misc]  # mypy cannot type a default of a lambda
                        unrecorded=self._unrecorded[act.target],
                    )
                    continue
                run_cycle(
                    WATCHING,
                    cloud=Stepping(Played(act.look), steps),
                    signals=Stepping(Exporters(), steps),
                    store=port,
                    display=Stepping(Nowhere(), steps),
                    policy=POLICY,
                    around=Around(digests_since=self._assessed_at),
                    clock=lambda at=act.at: at,  # type: ignore[misc]  # mypy cannot type a default of a lambda
                )
                self._assessed_at = act.at


def assessed_before(acts: Sequence[Act]) -> datetime | None:
    """When a process that did `acts` has last judged."""
    return max((act.at for act in acts if act.look is not None), default=None)


def in_doubt(place: Place) -> list[tuple[str, str]]:
    """What a target has taken and nobody has noted."""
    sent = place.sent()
    with open_reading(place.database) as reading:
        queued = [(row.target, row.key) for row in reading.outbox(states=(Delivery.QUEUED,))]
    return [each for each in queued if sent[each]]


def told(place: Place, *, fatal: int, doubted: Sequence[tuple[str, str]] = ()) -> str:
    """What there is at the end, as a line. `doubted` is what was in doubt after the death."""
    with open_reading(place.database) as reading:
        rows = sorted(
            [row.identity.id, str(row.span.start), str(row.span.end), row.amount.micros, row.reason, row.closed]
            for row in (record.charge for record in reading.charges())
        )
        outbox, alerts = reading.outbox(), reading.alerts(resolved_since=START)
    wrong = [*rebuild_database(place.database), *verify_database(place.database)]
    due = Counter((row.target, row.key) for row in outbox) + Counter(doubted)
    sent = place.sent()
    return json.dumps(
        {
            "fatal": fatal,
            "rows": rows,
            "wrong": wrong,
            "doubted": list(doubted),
            "unsent": [f"{row.target} {row.key}: {row.state}" for row in outbox if row.state is not Delivery.SENT],
            "counts": [f"{each}: {sent[each]}, not {due[each]}" for each in sent | due if sent[each] != due[each]],
            "alerts": sorted({alert.fingerprint for alert in alerts if alert.state is not AlertState.PENDING}),
            "untold": [line for alert in alerts for line in untold(alert, outbox)],
            "told": sorted(f"{row.target}: {row.message.subject}" for row in outbox),
        }
    )


def untold(alert: Alert, outbox: Iterable[OutboxRow]) -> Iterator[str]:
    """Which targets did not get what they should of an alert, or got it more often: when it began, when it ended."""
    for route in routes_of(alert, ROUTES):
        messages = [row.message for row in outbox if row.target == route.target and row.key.startswith("alerts-")]
        began = sum(_tells_of(message, alert, ended=False) for message in messages)
        ended = sum(_tells_of(message, alert, ended=True) for message in messages)
        about = f"{alert.kind} {alert.rule} ({alert.id}) to {route.target}"
        if is_told(alert) and (not began or (began > 1 and alert.telling is Telling.ONCE)):
            yield f"{about}: told {began} times that it began"
        if not is_told(alert) and began:
            yield f"{about}: told although it need not be"
        ends = is_told(alert) and alert.state is AlertState.RESOLVED and alert.telling is not Telling.EVENT
        if ended != ends:
            yield f"{about}: told {ended} times that it ended"


def _tells_of(message: Message, alert: Alert, *, ended: bool) -> bool:
    first = message.sections[0]
    if len(first.lines) > 1:  # it is the only one, in full
        over = message.subject.startswith(RESOLVED_TAG)
        is_it = first.lines[0] == sentence(alert.summary) if over else f"{alert.id} " in message.why
        return over is ended and is_it
    return any(
        line.endswith(f"; {alert.id})")
        for section in message.sections
        for line in section.lines
        if section.heading.startswith("Resolved") is ended
    )


def go_on(place: Place, acts: Sequence[Act], *, fatal: int) -> None:
    """What another process does after the one that died, and what there is then."""
    doubted = in_doubt(place)
    Process(place).do(acts, Steps())
    print(told(place, fatal=fatal, doubted=doubted))


def main(folder: Path, when: str, first: int, stride: int) -> None:
    acts = acts_over(recorded(folder / "recorded.db"))
    (folder / "watch").mkdir()
    place = Place(folder / "watch" / "watch.db")
    open_store(place.database, now=START).close()

    # As steps before a death change nothing, every act is begun from where all before it have led to.
    begun, steps_of = [], []
    for number, act in enumerate(acts):
        begun.append(place.copy_to(folder / f"before-{number}"))
        steps = Steps()
        Process(place, assessed_at=assessed_before(acts[:number])).do([act], steps)
        steps_of.append(steps.count)
    print(told(place, fatal=0), flush=True)

    fatal = 0
    for number, act in enumerate(acts):
        for step in range(1, steps_of[number] + 1):
            fatal += 1
            if fatal >= first and (fatal - first) % stride == 0:
                tried = begun[number].copy_to(folder / "tried")
                dies = Process(tried, assessed_at=assessed_before(acts[:number]))
                die(partial(dies.do, [act]), fatal=step)
                live(partial(go_on, tried, acts[number + (when == "later") :], fatal=fatal))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
