"""A process that dies between any two calls of a port, so that tests see what another one makes of what is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DIED = 77
PATIENCE_SECONDS = 3600


class Steps:
    """Counts the steps between calls, and ends the process without a last word at the one that is fatal."""

    def __init__(self, *, fatal: int = 0) -> None:
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


def die(work: Callable[[Steps], object], *, fatal: int) -> None:
    """Do `work` in a process that dies at that step."""
    code = _forked(lambda: work(Steps(fatal=fatal)))
    if code != DIED:
        raise AssertionError(f"the process did not die at step {fatal}, but ended with {code}")


def live(work: Callable[[], object]) -> None:
    """Do `work` in a process of its own, to the end."""
    if code := _forked(work):
        raise AssertionError(f"the process ended with {code}")


def _forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def lives(module: str, *arguments: object) -> list[dict[str, Any]]:
    """What `module` says, as a process, of a run without a death, and of each of those with one."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=PATIENCE_SECONDS,
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]
