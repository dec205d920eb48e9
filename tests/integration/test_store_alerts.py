"""Alerts, silences and idle clocks: kept by their keys, found by an index, written only where they changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.alerts.alert import Alert, AlertState, Silence
from fluence_costwatch.core.alerts.findings import Severity, Telling
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.ports import CycleRecord, Heartbeat
from fluence_costwatch.store import SqliteStore, open_beside, open_store
from tests.builders import at

NOW = at("2026-03-01 12:00")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEB, DB = Identity("main", "0xweb"), Identity("main", "0xdb")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(tmp_path / "watch.db", now=NOW) as store:
        yield store


def alert(id: str = "a1", **facts: Any) -> Alert:
    plain = Alert(
        id=id,
        fingerprint=f"of {id}",
        kind="budget",
        severity=Severity.WARNING,
        state=AlertState.FIRING,
        account="main",
        resource_id=None,
        rule="monthly",
        name=None,
        summary="80% of monthly is spent",
        means="",
        advice="",
        telling=Telling.STATE,
        group="",
        level=Decimal("0.8"),
        cost_per_day=None,
        facts=(),
        since=NOW,
    )
    return replace(plain, **facts)


def resolved(id: str, moment: datetime, **facts: Any) -> Alert:
    return alert(id, state=AlertState.RESOLVED, resolved_at=moment, resolved_because="a new window began", **facts)


def clock(identity: Identity = WEB, rule: str = "idle", **facts: Any) -> IdleClock:
    return replace(IdleClock(identity, rule, "0123456789abcdef", IdleVerdict.IDLE, NOW, since=NOW - DAY), **facts)


def save(store: SqliteStore, *alerts: Alert) -> None:
    with store.transaction() as tx:
        tx.save_alerts(alerts)


def ids(store: SqliteStore, **asked: Any) -> list[str]:
    with store.reading() as reading:
        return [one.id for one in reading.alerts(**asked)]


def cycle_at(store: SqliteStore, moment: datetime) -> None:
    with store.transaction() as tx:
        tx.save_cycle(CycleRecord("main", Generation.VMS_V3, moment, moment, "ok"))


def rows_written(store: SqliteStore, write: Callable[[], None]) -> int:
    with store.transaction() as tx:
        driver = tx.connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    before = driver.total_changes
    write()
    return driver.total_changes - before


def test_alerts_are_those_not_resolved_and_on_request_those_resolved_since(store: SqliteStore) -> None:
    save(
        store,
        alert("firing", since=NOW),
        alert("pending", state=AlertState.PENDING, since=NOW - HOUR),
        resolved("long ago", NOW - DAY, since=NOW - 2 * DAY),
        resolved("lately", NOW - HOUR, since=NOW - 3 * HOUR),
    )

    assert ["pending", "firing"] == ids(store)
    assert ["lately", "pending", "firing"] == ids(store, resolved_since=NOW - HOUR)
    assert ["long ago", "lately", "pending", "firing"] == ids(store, resolved_since=NOW - DAY)


def test_an_alert_is_written_only_where_it_changed(store: SqliteStore) -> None:
    fleet = [alert(f"a{number}") for number in range(100)]
    save(store, *fleet)

    assert 0 == rows_written(store, lambda: save(store, *fleet))
    assert 1 == rows_written(store, lambda: save(store, replace(fleet[0], told_at=NOW), *fleet[1:]))


def test_what_is_told_once_is_known_by_its_fingerprint_newest_first_while_its_window_may_go_on(
    store: SqliteStore,
) -> None:
    first = resolved("first", NOW - 30 * DAY, since=NOW - 40 * DAY, fingerprint="f", telling=Telling.ONCE)
    second = resolved("second", NOW - DAY, since=NOW - 2 * DAY, fingerprint="f", telling=Telling.ONCE)
    still = alert("still", since=NOW - 900 * DAY, telling=Telling.ONCE)
    over = resolved("over", NOW - 400 * DAY, telling=Telling.ONCE)
    save(store, second, first, still, over, alert("told again", telling=Telling.STATE))
    cycle_at(store, NOW)

    with store.reading() as reading:
        assert {"f": second, still.fingerprint: still} == reading.once_told()


@pytest.mark.parametrize("ask", ["alerts", "once_told"])
def test_years_of_resolved_alerts_are_not_gone_through(store: SqliteStore, ask: str) -> None:
    asked: list[str] = []
    cycle_at(store, NOW)
    with store.transaction() as tx:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(asked.append)
        getattr(tx.reading(), ask)()
        driver.set_trace_callback(None)
        plans = [
            row[3] for query in asked if "FROM alerts" in query for row in driver.execute(f"EXPLAIN QUERY PLAN {query}")
        ]

    assert plans
    assert [] == [step for step in plans if step.startswith("SCAN") and "not_resolved" not in step]


def test_pruning_drops_what_was_resolved_before_but_not_what_keeps_others_from_being_told(store: SqliteStore) -> None:
    old = NOW - 10 * DAY
    save(
        store,
        alert("open", since=old),
        resolved("old", old),
        resolved("fresh", NOW - DAY),
        resolved("once", old, telling=Telling.ONCE),
        resolved("once, two months later", old - 62 * DAY, telling=Telling.ONCE),
    )
    store.prune(before=NOW - 7 * DAY)

    assert {"open", "fresh", "once"} == set(ids(store, resolved_since=NOW - 999 * DAY))


def test_a_silence_is_replaced_by_its_id_and_dropped_once_it_ended_long_ago(store: SqliteStore) -> None:
    long = Silence("s1", NOW + DAY, "alice", "moving house", NOW, account="main", resource_id="0xweb")
    short = Silence("s2", NOW + HOUR, "bob", "noise", NOW, alert="0123")
    with open_beside(store.path) as beside, beside.transaction() as tx:
        tx.save_silence(replace(long, reason="to be replaced"))
        tx.save_silence(short)
        tx.save_silence(long)

    with store.reading() as reading:
        assert [short, long] == reading.silences()
    store.prune(before=NOW + 2 * HOUR)
    with store.reading() as reading:
        assert [long] == reading.silences()


def test_clocks_are_kept_by_resource_and_rule_and_forgotten_with_their_rule(store: SqliteStore) -> None:
    fleet = [clock(Identity("main", f"0x{number}"), rule) for number in range(20) for rule in ("idle", "old")]
    with store.transaction() as tx:
        tx.save_clocks(fleet)

    def again() -> None:
        with store.transaction() as tx:
            tx.save_clocks(fleet)

    assert 0 == rows_written(store, again)
    with store.transaction() as tx:
        tx.forget_clocks(["old"])
        tx.forget_clocks([])
    with store.reading() as reading:
        assert {(one.identity, one.rule): one for one in fleet if one.rule == "idle"} == reading.clocks()


def test_pruning_drops_the_clocks_of_what_is_gone(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.save_clocks([clock(WEB), clock(DB, at=NOW - 9 * DAY)])
    store.prune(before=NOW - 7 * DAY)

    with store.reading() as reading:
        assert [(WEB, "idle")] == list(reading.clocks())


def test_a_heartbeat_keeps_the_first_and_the_newest_beat(store: SqliteStore) -> None:
    for moment in (NOW, NOW + HOUR, NOW + HOUR / 2):
        with store.transaction() as tx:
            tx.save_heartbeat(WEB, at=moment)
    with store.transaction() as tx:
        tx.save_heartbeat(DB, at=NOW)

    with store.reading() as reading:
        assert {WEB: Heartbeat(NOW, NOW + HOUR), DB: Heartbeat(NOW, NOW)} == reading.heartbeats()
