"""What two scrapes of one machine say about the time between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fluence_costwatch.signals.exposition import Counters

_SHORTEST: Final = timedelta(milliseconds=200)
# How far the boot time may move by the setting of clocks alone.
_SAME_BOOT_SECONDS: Final = 60


class Unknown(Exception):
    """Two scrapes say nothing about the time between them; the reason is for a person."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """Counters and when they were read, in seconds of a clock that only goes forward."""

    at: float
    url: str
    counters: Counters


def elapsed_between(before: Scrape | None, after: Scrape, *, longest: timedelta) -> timedelta:
    """The time between two scrapes that can be compared. Raises Unknown where they cannot."""
    if before is None:
        raise Unknown("was scraped for the first time, the next look will tell")
    elapsed = timedelta(seconds=after.at - before.at)
    if elapsed < _SHORTEST:
        raise Unknown("was scraped again too soon to tell")
    if elapsed > longest:
        raise Unknown("was not scraped for too long to compare")
    if before.url != after.url:
        raise Unknown("is scraped at another address than before")
    booted, boots = before.counters.booted_at, after.counters.booted_at
    if booted is not None and boots is not None and abs(boots - booted) > _SAME_BOOT_SECONDS:
        raise Unknown("has been restarted")
    if before.counters.cpu and not _total(_grown(before.counters.cpu, after.counters.cpu, what="processors")):
        raise Unknown("shows counters that stand still")
    return elapsed


def busy_ratio(before: Counters, after: Counters) -> float:
    """The share of processor time that was not idle. Raises Unknown."""
    grown = _grown(before.cpu, after.cpu, what="processors")
    whole = _total(grown)
    if whole <= 0 or not any(mode == "idle" for _, mode in grown):
        raise Unknown("shows no processor time")
    return sum(seconds for (_, mode), seconds in grown.items() if mode != "idle") / whole


def bytes_per_second(before: Counters, after: Counters, *, elapsed: timedelta) -> float:
    """What real network devices received and sent. Raises Unknown."""
    grown = _grown(before.network, after.network, what="network devices")
    if not grown:
        raise Unknown("shows no network device")
    return _total(grown) / elapsed.total_seconds()


def _grown(
    before: Mapping[tuple[str, str], float], after: Mapping[tuple[str, str], float], *, what: str
) -> dict[tuple[str, str], float]:
    if before.keys() != after.keys():
        raise Unknown(f"shows other {what} than before")
    grown = {key: value - before[key] for key, value in after.items()}
    if any(value < 0 for value in grown.values()):
        raise Unknown("shows counters that were reset")
    return grown


def _total(grown: Mapping[tuple[str, str], float]) -> float:
    return sum(grown.values())
