"""A watch that dies at its n-th step, for many n: `python -m tests.faults.dying_watch FOLDER WHEN FIRST STRIDE`.

The looks of one scripted run are recorded once. Then, for each n, a forked process watches them until it dies between
two calls of a port, and another one begins again from the database and watches to the end: with the look in which the
first one died (WHEN is "again"), or, as after a longer pause, with the one after it ("later"). A line of JSON for
each n says what the ledger then holds; the first line is that of a run without a death.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.history import Judgement
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.cycle import Watching, run_cycle
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.ports import Listing
from fluence_costwatch.store import open_reading, open_store, rebuild_database, verify_database
from tests.rig import Nowhere, Rig, a_policy, rig

DIED = 77
HOUR = timedelta(hours=1)
BETWEEN_LOOKS = timedelta(minutes=10)
START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
WATCHING = Watching("main", ((Generation.VMS_V3, Judgement(grid=EpochGrid(length=HOUR))),))
POLICY = a_policy(WATCHING)


@dataclass(frozen=True, slots=True)
class Look:
    """What the marketplace answered at one instant."""

    at: datetime
    answer: Listing | FluenceError


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
    """Two machines that are older than the watch, a third that comes, one that goes, a new price and an outage.

    All of it is more than two looks away from the boundaries, five minutes before each hour.
    """
    with rig(path, start=START, generation=Generation.VMS_V3, epoch=HOUR) as watch:
        recorder = Recorder(watch)
        watch.cloud = recorder  # type: ignore[assignment]  # it does what the rig asks of a cloud
        changed = watch.market.create("changed", "0.298160")
        deleted = watch.market.create("deleted", "1.25")
        watch.advance(3 * HOUR)
        watch.poll()
        for number in range(15):
            if number == 1:
                watch.market.set_price(changed, "0.31")
                watch.market.create("late", "0.5")
            elif number == 6:
                watch.market.misbehave("status", times=1)
            elif number == 8:
                watch.market.delete(deleted)
            watch.advance(BETWEEN_LOOKS)
            watch.poll()
        if wrong := watch.unequal():
            raise AssertionError(f"the run itself does not equal the books: {wrong}")
        return recorder.looks


class Played:
    """A cloud that answers what was recorded."""

    def __init__(self, look: Look) -> None:
        self._answer = look.answer

    def look(self, generation: Generation) -> Listing:
        if isinstance(self._answer, FluenceError):
            raise self._answer
        return self._answer


class Steps:
    """Counts the steps between calls, and ends the process without a last word at the one that is fatal."""

    def __init__(self, *, fatal: int) -> None:
        self._fatal = fatal
        self.count = 0

    def take(self) -> None:
        self.count += 1
        if self.count == self._fatal:
            os._exit(DIED)


class Stepping:
    """A port that takes a step before and after every call, also where a transaction begins, commits or is used."""

    def __init__(self, port: Any, steps: Steps) -> None:
        self._port = port
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._steps.take()
            try:
                answer = method(*args, **kwargs)
            finally:
                self._steps.take()
            return self._around(answer) if isinstance(answer, AbstractContextManager) else answer

        return call

    @contextmanager
    def _around(self, block: AbstractContextManager[Any]) -> Iterator[Any]:
        with block as inner:
            self._steps.take()
            yield Stepping(inner, self._steps)
            self._steps.take()
        self._steps.take()


def watch(looks: list[Look], path: Path, *, first: int = 0, fatal: int = 0, progress: int | None = None) -> int:
    """Watch `looks` from `first` on; returns how many steps that took. `progress` is told of every look that begins."""
    steps = Steps(fatal=fatal)
    with open_store(path, now=START) as store:
        for number, look in enumerate(looks[first:], start=first):
            if progress is not None:
                os.write(progress, bytes([number]))
            run_cycle(
                WATCHING,
                cloud=Stepping(Played(look), steps),
                store=Stepping(store, steps),
                display=Stepping(Nowhere(), steps),
                policy=POLICY,
                clock=lambda at=look.at: at,  # type: ignore[misc]  # mypy cannot type a default of a lambda
            )
    return steps.count


def die(looks: list[Look], path: Path, *, fatal: int) -> int:
    """Watch in a process that dies at that step; returns in which look it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            watch(looks, path, fatal=fatal, progress=writing)
        finally:
            os._exit(0)  # it should not have come so far
    os.close(writing)
    begun = b"".join(iter(lambda: os.read(reading, 4096), b""))
    os.close(reading)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != DIED:
        raise AssertionError(f"the watch did not die at step {fatal}")
    return begun[-1]


def told(path: Path, *, fatal: int) -> str:
    """What there is at the end, as a line."""
    with open_reading(path) as reading:
        rows = sorted(
            [row.identity.id, str(row.span.start), str(row.span.end), row.amount.micros, row.reason, row.closed]
            for row in (record.charge for record in reading.charges())
        )
    wrong = [*rebuild_database(path), *verify_database(path)]
    return json.dumps({"fatal": fatal, "rows": rows, "wrong": wrong})


def main(folder: Path, when: str, first: int, stride: int) -> None:
    looks = recorded(folder / "recorded.db")
    empty, path = folder / "empty.db", folder / "watch.db"
    open_store(empty, now=START).close()
    shutil.copy(empty, path)
    total = watch(looks, path)
    print(told(path, fatal=0), flush=True)
    for fatal in range(first, total + 1, stride):
        for left in folder.glob("watch.db*"):
            left.unlink()
        shutil.copy(empty, path)
        died_in = die(looks, path, fatal=fatal)
        watch(looks, path, first=died_in + (when == "later"))
        print(told(path, fatal=fatal), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
