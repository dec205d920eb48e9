"""Work that must not hold its caller for longer than agreed, whatever it waits for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_GRACE: Final = timedelta(seconds=1)


class Timed(Generic[T]):
    """One piece of work in a thread of its own, which does not keep the process from ending."""

    def __init__(self, work: Callable[[], T], *, name: str) -> None:
        self._work = work
        self._outcome: list[T] = []
        self._error: list[Exception] = []
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)

    def within(self, limit: timedelta, *, stop: Callable[[], None]) -> T | None:
        """What the work returns, or None where it is not done in time; `stop` is called then to make an end of it.

        What the work raises is raised here.
        """
        self._thread.start()
        self._thread.join(limit.total_seconds())
        if self._thread.is_alive():
            stop()
            self._thread.join(_GRACE.total_seconds())
        if self._error:
            raise self._error[0]
        return self._outcome[0] if self._outcome else None

    def _run(self) -> None:
        try:
            self._outcome.append(self._work())
        except Exception as exc:  # handed to whoever waits
            self._error.append(exc)
