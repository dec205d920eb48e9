"""The outbox: each message once, in order, due when it is due, and never lost before it was settled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.message import Chart, Message, Section, Table
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, Draft, OutboxRow
from fluence_costwatch.errors import StoreError
from fluence_costwatch.store import SqliteStore, open_beside, open_store
from fluence_costwatch.store.message_text import message_of, message_text
from tests.builders import at, usd

NOW = at("2026-03-01 12:00")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SENT = Attempt(sent=True)
MESSAGE = Message(
    severity=Severity.WARNING,
    subject='80% of "monthly" is spent',
    thread="budget monthly",
    sections=(
        Section("Drivers", ("Two machines.",), Table(("name", "usd"), (("web", "1.20"),), right=(1,)), left_out=37),
    ),
    action="fluence-costwatch budgets",
    chart=Chart("Spent by day", ((date(2026, 3, 1), usd("0.298160")),)),
)
# What version 1 of the text looks like: rows that were written with it are read for as long as they are kept.
VERSION_1 = (
    '{"version":1,"severity":"warning","subject":"80% of \\"monthly\\" is spent","thread":"budget monthly",'
    '"sections":[{"heading":"Drivers","lines":["Two machines."],"table":{"columns":["name","usd"],'
    '"rows":[["web","1.20"]],"right":[1]},"left_out":37}],"action":"fluence-costwatch budgets","link":"","why":"",'
    '"chart":{"title":"Spent by day","bars":[["2026-03-01",298160]]}}'
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(tmp_path / "watch.db", now=NOW) as store:
        yield store


def draft(key: str, target: str = "team", *, not_before: datetime = NOW, **facts: Any) -> Draft:
    return replace(Draft(key, target, MESSAGE, not_before), **facts)


def enqueue(store: SqliteStore, *drafts: Draft) -> None:
    with store.transaction() as tx:
        tx.enqueue(drafts, at=NOW)


def settle(store: SqliteStore, row: OutboxRow, attempt: Attempt, state: Delivery, *, moment: datetime = NOW) -> None:
    with store.transaction() as tx:
        tx.settle(row.number, attempt, state=state, next_at=moment, at=moment)


def due(store: SqliteStore, *, moment: datetime = NOW, target: str = "team", limit: int = 100) -> list[str]:
    with store.reading() as reading:
        return [row.key for row in reading.due(target=target, now=moment, limit=limit)]


def rows(store: SqliteStore, **asked: Any) -> dict[str, OutboxRow]:
    with store.reading() as reading:
        return {row.key: row for row in reading.outbox(**asked)}


def test_the_first_version_of_the_text_is_written_and_read_as_it_was() -> None:
    assert VERSION_1 == message_text(MESSAGE)
    assert MESSAGE == message_of(VERSION_1)


def test_a_text_of_another_version_is_refused() -> None:
    with pytest.raises(StoreError, match="version 2"):
        message_of(VERSION_1.replace('"version":1', '"version":2'))


def test_the_same_key_and_target_again_change_nothing(store: SqliteStore) -> None:
    enqueue(store, draft("a"), draft("a"), draft("a", "other"))
    before = rows(store, target="team")
    enqueue(store, draft("a", message=replace(MESSAGE, subject="another"), not_before=NOW + DAY))

    assert before == rows(store, target="team")
    assert ["a"] == due(store, target="other")
    settle(store, before["a"], SENT, Delivery.SENT)
    enqueue(store, draft("a"))
    assert [] == due(store)


def test_rows_of_a_target_are_due_in_the_order_in_which_they_were_put_in(store: SqliteStore) -> None:
    enqueue(store, draft("c", not_before=NOW - MINUTE), draft("night", not_before=NOW + DAY), draft("a"), draft("b"))

    assert ["c", "a", "b"] == due(store)
    assert ["c", "a"] == due(store, limit=2)
    assert ["c", "night", "a", "b"] == due(store, moment=NOW + DAY)
    assert [] == due(store, target="other")


def test_a_try_that_failed_is_due_again_later_and_says_why(store: SqliteStore) -> None:
    enqueue(store, draft("a", deletion="d1"))
    settle(store, rows(store)["a"], Attempt(sent=False, error="503"), Delivery.QUEUED, moment=NOW + MINUTE)

    assert [] == due(store)
    assert ["a"] == due(store, moment=NOW + MINUTE)
    row = rows(store)["a"]
    assert (1, "503", None, "d1") == (row.attempts, row.error, row.settled_at, row.deletion)
    settle(store, row, SENT, Delivery.SENT, moment=NOW + 2 * MINUTE)
    row = rows(store)["a"]
    assert (Delivery.SENT, 2, "", NOW + 2 * MINUTE) == (row.state, row.attempts, row.error, row.settled_at)


@pytest.mark.parametrize(
    ("state", "again"),
    [(Delivery.DEAD, True), (Delivery.UNCONFIRMED, True), (Delivery.SENT, False), (Delivery.QUEUED, False)],
)
def test_only_what_was_given_up_is_queued_again(store: SqliteStore, state: Delivery, again: bool) -> None:
    enqueue(store, draft("a"))
    row = rows(store)["a"]
    settle(store, row, Attempt(sent=False, error="410"), state, moment=NOW + DAY)
    before = rows(store)

    with open_beside(store.path) as beside, beside.transaction() as tx:
        assert again is tx.requeue(row.number, at=NOW + 2 * DAY)
        assert not tx.requeue(row.number + 1, at=NOW)

    if again:
        assert {"a": replace(row, next_at=NOW + 2 * DAY, error="410")} == rows(store)
    else:
        assert before == rows(store)


def test_rows_are_told_by_state_and_target_in_order(store: SqliteStore) -> None:
    enqueue(store, draft("a"), draft("b", "other"), draft("c"))
    settle(store, rows(store)["a"], Attempt(sent=False, permanent=True), Delivery.DEAD)

    assert ["a", "b", "c"] == list(rows(store))
    assert ["a", "c"] == list(rows(store, target="team"))
    assert ["b", "c"] == list(rows(store, states=[Delivery.QUEUED]))
    assert ["c"] == list(rows(store, states=[Delivery.QUEUED], target="team"))
    assert [] == list(rows(store, states=[]))


def test_pruning_drops_what_was_settled_before_and_nothing_that_is_still_to_be_sent(store: SqliteStore) -> None:
    enqueue(store, *(draft(state) for state in Delivery), draft("fresh"))
    for state in Delivery:
        settle(store, rows(store)[state], SENT, state, moment=NOW - 8 * DAY)
    settle(store, rows(store)["fresh"], SENT, Delivery.SENT, moment=NOW)
    store.prune(before=NOW - 7 * DAY)

    assert ["queued", "fresh"] == list(rows(store))


def test_numbers_are_never_given_twice(store: SqliteStore) -> None:
    enqueue(store, draft("a"))
    number = rows(store)["a"].number
    settle(store, rows(store)["a"], SENT, Delivery.SENT, moment=NOW)
    store.prune(before=NOW + DAY)
    enqueue(store, draft("b"))

    assert rows(store)["b"].number > number


def test_what_is_due_is_found_by_an_index(store: SqliteStore) -> None:
    asked: list[str] = []
    with store.transaction() as tx:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(asked.append)
        tx.reading().due(target="team", now=NOW, limit=10)
        driver.set_trace_callback(None)
        (query,) = (one for one in asked if "FROM outbox" in one)
        plan = driver.execute(f"EXPLAIN QUERY PLAN {query}").fetchone()[3]

    assert "outbox_by_target (target=? AND state=? AND next_at<?)" in plan


def test_what_a_block_that_raises_put_in_is_not_there(store: SqliteStore) -> None:
    def stumble() -> None:
        with store.transaction() as tx:
            tx.enqueue([draft("a")], at=NOW)
            assert ["a"] == [row.key for row in tx.reading().outbox()]
            raise ValueError("a mistake in the block")

    with pytest.raises(ValueError):
        stumble()

    assert {} == rows(store)
