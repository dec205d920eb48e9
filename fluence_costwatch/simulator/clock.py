"""The marketplace's own time: the real clock plus an offset, or an instant set by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def real_time() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Tells the simulated time, which never goes back."""

    def __init__(
        self, *, start: datetime | None = None, held: bool = False, real: Callable[[], datetime] = real_time
    ) -> None:
        self._real = real
        self._latest = real() if start is None else start.astimezone(UTC)
        self._offset: timedelta | None = None
        if not held:
            self.run()

    @property
    def running(self) -> bool:
        return self._offset is not None

    def now(self) -> datetime:
        """The present instant; where the real clock steps back, time stands still until that is made up for."""
        if self._offset is not None:
            self._latest = max(self._latest, self._real() + self._offset)
        return self._latest

    def set(self, at: datetime) -> None:
        """Jump forward to `at`; a running clock runs on from there. ValueError where that would be back."""
        if at < self.now():
            raise ValueError(f"the clock cannot go back from {self._latest.isoformat()} to {at.isoformat()}")
        self._jump(at)

    def advance(self, span: timedelta) -> None:
        """Jump forward by `span`, which is not negative."""
        self._jump(self.now() + span)

    def run(self) -> None:
        """Run on from the present instant at the pace of the real clock."""
        self._offset = self.now() - self._real()

    def hold(self) -> None:
        """Stand still until set."""
        self.now()
        self._offset = None

    def _jump(self, at: datetime) -> None:
        self._latest = at.astimezone(UTC)
        if self.running:
            self._offset = self._latest - self._real()
