"""Simulated node_exporters: one server that answers `/NAME/metrics` for every machine, as busy as it was told to be."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote

from .loopback import serving

CPUS = 2
# Of what is busy so much works for users, the rest for the system.
FOR_USERS = 0.8
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Pace:
    """From `since` after the start on, so much of the processors is busy, and so many bytes go in and out a second."""

    since: timedelta
    busy: float
    bytes_per_second: float


Paces = tuple[Pace, ...]
"""What a machine does one after the other; the first from the start on."""

BUSY: Paces = (Pace(timedelta(), 0.42, 180_000),)
IDLE: Paces = (Pace(timedelta(), 0.004, 90),)


@contextlib.contextmanager
def exporters(
    paces: Mapping[str, Paces], *, clock: Callable[[], float] = time.monotonic, booted_at: float = 0
) -> Iterator[str]:
    """Serve the counters of the machines in `paces` by their names; a machine that is not in it is busy.

    Gives the URL to which `/NAME/metrics` is added. Counters grow from the start on and never go back, whatever happens
    to the machine: `clock` gives seconds, `booted_at` is what all say when they booted.
    """
    started = clock()

    def answer(method: str, path: str, body: bytes) -> tuple[int, str]:
        words = path.split("/")
        if method != "GET" or len(words) != 3 or words[2] != "metrics":
            return 404, "not found\n"
        name = unquote(words[1])
        return 200, counters(paces.get(name, BUSY), after=timedelta(seconds=clock() - started), booted_at=booted_at)

    with serving(answer, name="simulated-node-exporter", content_type=CONTENT_TYPE) as url:
        yield url


def counters(paces: Paces, *, after: timedelta, booted_at: float) -> str:
    """What a node_exporter shows of a machine that has kept those paces for `after`."""
    busy = _sum(paces, after=after, of=lambda pace: pace.busy)
    traffic = _sum(paces, after=after, of=lambda pace: pace.bytes_per_second)
    modes = (("idle", after.total_seconds() - busy), ("system", busy * (1 - FOR_USERS)), ("user", busy * FOR_USERS))
    lines = ["# HELP node_boot_time_seconds Node boot time, in unixtime.", "# TYPE node_boot_time_seconds gauge"]
    lines += [f"node_boot_time_seconds {booted_at}", "# TYPE node_cpu_seconds_total counter"]
    lines += [
        f'node_cpu_seconds_total{{cpu="{cpu}",mode="{mode}"}} {max(seconds, 0):.6f}'
        for cpu in range(CPUS)
        for mode, seconds in modes
    ]
    for direction, share in (("receive", 0.4), ("transmit", 0.6)):
        lines += [
            f"# TYPE node_network_{direction}_bytes_total counter",
            f'node_network_{direction}_bytes_total{{device="eth0"}} {int(traffic * share)}',
            f'node_network_{direction}_bytes_total{{device="lo"}} {int(after.total_seconds() * 1000)}',
        ]
    return "\n".join(lines) + "\n"


def _sum(paces: Paces, *, after: timedelta, of: Callable[[Pace], float]) -> float:
    """What has come together by then at the rate of each pace."""
    ends = [*(pace.since for pace in paces[1:]), after]
    return sum(
        of(pace) * max((min(end, after) - pace.since).total_seconds(), 0.0)
        for pace, end in zip(paces, ends, strict=True)
    )
