"""What falls due and when: everything happens in time order, each thing at its own instant."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime

from .clock import Clock

BOUNDARY, AFTERWARDS = 0, 1
"""On one instant boundaries come first: what is there at 17:55:00 pays for the epoch that begins then."""


class Timeline:
    """Holds at `now` the instant up to which everything has happened."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.now = clock.now()
        self._queue: list[tuple[datetime, int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def schedule(self, at: datetime, rank: int, act: Callable[[], None]) -> None:
        """Let `act` happen when time gets to `at`."""
        heapq.heappush(self._queue, (at, rank, next(self._order), act))

    def settle(self, review: Callable[[], None]) -> datetime:
        """Let everything happen that is due by now, with a review after each instant and at the end; returns now."""
        until = self.clock.now()
        while self._queue and self._queue[0][0] <= until:
            self.now = max(self.now, self._queue[0][0])
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[3]()
            review()
        self.now = max(self.now, until)
        review()
        return self.now
