"""Asks all machines and Prometheus at once, within a bounded time, and says what each condition says of each machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any, Final

from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.rules import NOT_MACHINES, Condition, Signal
from fluence_costwatch.core.messages.wording import span
from fluence_costwatch.core.resources import Identity, Resource
from fluence_costwatch.http_client import HttpClient, HttpFailure
from fluence_costwatch.signals.addresses import NoAddress, exporter_url, where_of
from fluence_costwatch.signals.exposition import Unreadable, counters_in
from fluence_costwatch.signals.prometheus import NoSeries, Series, query_url, readings_of, series_in
from fluence_costwatch.signals.rates import Scrape, Unknown, busy_ratio, bytes_per_second, elapsed_between

_AT_ONCE: Final = 32
_LARGEST_ANSWER: Final = 8 * 1024 * 1024
_TEXT: Final = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
_SCRAPED: Final = (Signal.CPU, Signal.NETWORK)


class MachineSignals:
    """`ports.Signals` over HTTP. What it remembers is the last scrape of each machine, in memory only.

    A `gather` takes at most twice `timeout`, however many machines there are: those that were not asked by then are
    unknown. `interval` is that of looks; counters that are much further apart than that are not compared, as what was busy
    for a while would vanish in the mean. Redirects are not followed; there are no credentials.
    """

    def __init__(
        self,
        *,
        prometheus_url: str | None,
        node_exporter_url: str,
        timeout: timedelta,
        overrides: Mapping[str, str],
        interval: timedelta,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prometheus_url = prometheus_url
        self._node_exporter_url = node_exporter_url
        self._overrides = overrides
        self._timeout = timeout
        self._longest = 5 * interval / 2
        self._monotonic = monotonic
        self._scrapes: dict[Identity, Scrape] = {}
        self._silent_at: dict[Identity, float] = {}
        self._lock = Lock()
        # No base: whole URLs are asked, so that one client serves every machine.
        self._client = HttpClient(
            "",
            {},
            clock=clock,
            connect_timeout=timeout,
            read_timeout=timeout,
            deadline=timeout,
            max_bytes=_LARGEST_ANSWER,
        )

    def close(self) -> None:
        """Close what is open."""
        self._client.close()

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], Reading]:
        """What each condition says of each resource now. Never raises."""
        conditions, resources = tuple(conditions), tuple(resources)
        self._forget_all_but(resources)
        scraped = [one for one in conditions if one.signal in _SCRAPED]
        queried = [one for one in conditions if one.signal is Signal.PROMQL]
        machines = self._in_order(resources) if scraped else []
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="signals")
        queries = {one: pool.submit(self._query, one, now) for one in queried}
        scrapes = {each.identity: pool.submit(self._scrape, each) for each in machines}
        asked: list[Future[Any]] = [*queries.values(), *scrapes.values()]
        wait(asked, timeout=2 * self._timeout.total_seconds())
        # Whoever still runs ends by its own deadline, and its answer is forgotten.
        pool.shutdown(wait=False, cancel_futures=True)
        readings: dict[tuple[Identity, Condition], Reading] = {}
        for condition, answer in queries.items():
            for identity, reading in _of_prometheus(condition, answer, resources).items():
                readings[identity, condition] = reading
        for identity, scrape in scrapes.items():
            for condition, reading in zip(scraped, self._of_exporter(identity, scraped, scrape), strict=True):
                readings[identity, condition] = reading
        for resource in resources:
            for condition in scraped:
                nothing = Reading(condition, None, f"{condition.signal}: is no machine")
                readings.setdefault((resource.identity, condition), nothing)
        return readings

    def _forget_all_but(self, resources: Sequence[Resource]) -> None:
        """Drop what is of no more use: scrapes too old to compare, and machines of these accounts that are no more."""
        accounts, listed = {each.account for each in resources}, {each.identity for each in resources}
        oldest = self._monotonic() - 2 * self._longest.total_seconds()
        with self._lock:
            self._silent_at = {
                one: at for one, at in self._silent_at.items() if one in listed or one.account not in accounts
            }
            self._scrapes = {one: scrape for one, scrape in self._scrapes.items() if scrape.at >= oldest}

    def _in_order(self, resources: Sequence[Resource]) -> list[Resource]:
        """The machines, those last that did not answer, the longest ago first: they must not use up the others' time."""
        machines = [each for each in resources if each.kind not in NOT_MACHINES]
        with self._lock:
            return sorted(machines, key=lambda each: self._silent_at.get(each.identity, -math.inf))

    def _scrape(self, resource: Resource) -> Scrape:
        url = exporter_url(resource, template=self._node_exporter_url, overrides=self._overrides)
        where = where_of(url)
        try:
            answer = self._client.send("GET", url, accept=_TEXT)
        except HttpFailure as failure:
            said = "no answer from" if failure.status is None else f"status {failure.status} from"
            raise Unknown(f"{said} {where}") from None
        at = self._monotonic()
        try:
            return Scrape(at, url, counters_in(answer.body))
        except Unreadable as exc:
            raise Unknown(f"the answer of {where} {exc}") from None

    def _query(self, condition: Condition, now: datetime) -> tuple[Series, ...]:
        if self._prometheus_url is None:
            raise NoSeries("Prometheus is not configured: `signals.prometheus_url`.")
        try:
            answer = self._client.send(
                "GET", query_url(self._prometheus_url, condition, now=now), called="the query to Prometheus"
            )
        except HttpFailure as failure:
            raise NoSeries(str(failure)) from None
        return series_in(answer.body)

    def _of_exporter(
        self, identity: Identity, conditions: Sequence[Condition], future: Future[Scrape]
    ) -> Iterator[Reading]:
        reason = _failure_of(future)
        scrape = future.result() if reason is None else None
        with self._lock:
            before = self._scrapes.pop(identity, None)
            if scrape is not None:
                self._scrapes[identity] = scrape
            if scrape is not None or future.cancelled():
                self._silent_at.pop(identity, None)
            else:
                self._silent_at[identity] = self._monotonic()
        for condition in conditions:
            try:
                if scrape is None:
                    raise Unknown(reason or "")
                yield _compared(condition, before, scrape, longest=self._longest)
            except Unknown as unknown:
                yield Reading(condition, None, f"{condition.signal}: {unknown}")


def _compared(condition: Condition, before: Scrape | None, after: Scrape, *, longest: timedelta) -> Reading:
    elapsed = elapsed_between(before, after, longest=longest)
    if before is None or condition.below is None:
        raise Unknown("has nothing to be compared with")
    over = span(elapsed) if elapsed >= timedelta(seconds=1) else f"{elapsed.total_seconds():.1f} s"
    if condition.signal is Signal.CPU:
        busy = busy_ratio(before.counters, after.counters)
        return Reading(condition, _exact(busy) < condition.below, f"cpu {busy:.1%} busy over {over}")
    rate = bytes_per_second(before.counters, after.counters, elapsed=elapsed)
    return Reading(condition, _exact(rate) < condition.below, f"network {rate:.0f} B/s over {over}")


def _exact(figure: float) -> Decimal:
    """`figure` without the error of binary fractions, by which 3% would be below 0.03."""
    return Decimal(repr(round(figure, 9)))


def _of_prometheus(
    condition: Condition, answer: Future[tuple[Series, ...]], resources: Sequence[Resource]
) -> Mapping[Identity, Reading]:
    reason = _failure_of(answer)
    if reason is not None:
        return {each.identity: Reading(condition, None, f"promql: {reason}") for each in resources}
    return readings_of(condition, answer.result(), resources)


def _failure_of(future: Future[Any]) -> str | None:
    """Why nothing was found out; None where something was."""
    if future.cancelled() or not future.done():
        return "was not asked or did not answer in time"
    error = future.exception()
    if error is None:
        return None
    # Whatever one machine answers must neither stop the look nor blind us to the others.
    foreseen = isinstance(error, Unknown | NoAddress | NoSeries)
    return str(error) if foreseen else f"could not be asked ({type(error).__name__})"
