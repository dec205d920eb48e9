"""What parts of the process notice outside of a cycle, for the next cycle to judge: drift, twins, the disk, deliveries."""

from __future__ import annotations

from threading import Lock

from fluence_costwatch.core.alerts.findings import Judged


class Noticeboard:
    """The newest notice under each key. What nobody has posted since the start is unknown, so it ends no alert."""

    def __init__(self) -> None:
        self._notices: dict[str, Judged] = {}
        self._lock = Lock()

    def post(self, key: str, judged: Judged) -> None:
        """Put up what was found and what has ended, instead of what stood under `key` before."""
        with self._lock:
            self._notices[key] = judged

    def read(self) -> Judged:
        """All that stands on the board."""
        with self._lock:
            notices = tuple(self._notices.values())
        return Judged(
            findings=tuple(finding for notice in notices for finding in notice.findings),
            endings=tuple(ending for notice in notices for ending in notice.endings),
        )
