"""Writing: what is stored reads back equal, in one piece or not at all, and at the cost of what changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from fluence_costwatch.core.billing.history import (
    Basis,
    Charge,
    History,
    Presence,
    Snapshot,
    Step,
    Verdict,
)
from fluence_costwatch.core.billing.ledger import remember
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.resources import Generation, Resource, Specs
from fluence_costwatch.errors import StoreError, UnknownName
from fluence_costwatch.ports import CycleRecord
from fluence_costwatch.store import SqliteStore, open_store
from fluence_costwatch.store.schema import metadata
from tests.builders import at, charge, resource, snapshot, usd

NOW = at("2026-03-01 12:00")
V3 = Generation.VMS_V3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(tmp_path / "watch.db", now=NOW) as store:
        yield store


def look(store: SqliteStore, seen: Snapshot) -> Step:
    """What a cycle does with the list that it got."""
    with store.transaction() as tx:
        before = tx.history(seen.account)
        step = remember(before, seen, claimed_elsewhere=tx.claimed_elsewhere(seen.account))
        number = tx.save_snapshot(seen, step.verdict)
        tx.save_step(before, step)
        tx.save_cycle(CycleRecord(seen.account, seen.generation, seen.sent_at, seen.answered_at, "ok", "", number))
    return step


def history(store: SqliteStore, account: str = "main") -> History:
    with store.transaction() as tx:
        return tx.history(account)


def ledger(store: SqliteStore) -> list[Charge]:
    with store.reading() as reading:
        return [record.charge for record in reading.charges()]


def row_counts(store: SqliteStore) -> dict[str, int]:
    with store.reading() as reading:
        ask = reading.connection.scalar
        return {table.name: ask(select(func.count()).select_from(table)) or 0 for table in metadata.sorted_tables}


def put(store: SqliteStore, known: History, *charges: Charge) -> None:
    with store.transaction() as tx:
        tx.save_step(known, Step(known, Verdict.ACCEPTED, charges))


def test_a_cycle_in_which_nothing_changed_adds_two_rows_however_large_the_fleet(store: SqliteStore) -> None:
    fleet = [resource(f"0x{number}", public_ip=f"10.0.0.{number}") for number in range(200)]
    look(store, snapshot("2026-03-01 12:00", *fleet))
    look(store, snapshot("2026-03-01 12:05", *fleet))
    before = row_counts(store)
    with store.transaction() as tx:
        raw = tx.connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    changes = raw.total_changes

    look(store, snapshot("2026-03-01 12:10", *fleet))

    after = row_counts(store)
    assert {"snapshots": 1, "cycles": 1} == {
        name: after[name] - before[name] for name in after if after[name] != before[name]
    }
    assert 4 == raw.total_changes - changes  # those two, and the row of the list twice: as seen, and as a success


def test_a_change_of_one_resource_writes_one_version_and_keeps_its_details_once(store: SqliteStore) -> None:
    fleet = [resource(f"0x{number}") for number in range(20)]
    look(store, snapshot("2026-03-01 12:00", *fleet))
    before = row_counts(store)

    look(store, snapshot("2026-03-01 12:05", *fleet[1:], replace(fleet[0], reserved=usd("0.5"))))

    after = row_counts(store)
    assert (1, 0) == tuple(after[name] - before[name] for name in ("versions", "details"))


def test_a_day_of_100_unchanged_vms_grows_the_file_by_less_than_100_kilobytes(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    first = at("2026-03-01 17:50")

    def fleet(moment: datetime) -> list[Resource]:
        charges_so_far = 1 + (moment >= at("2026-03-01 17:55")) + (moment >= at("2026-03-02 17:55"))
        return [
            resource(
                f"0x{number:040x}",
                name=f"worker-{number}",
                created_at=at("2026-03-01 09:00"),
                next_charge_at=EpochGrid().after(moment),
                status_changed_at=at("2026-03-01 09:04"),
                total_spent=usd("0.30697") * charges_so_far,
                reserved=usd("0.30697"),
                datacenter="FRA1",
                public_ip=f"203.0.113.{number}",
                specs=Specs(2, 4096, 25600, 1),
            )
            for number in range(100)
        ]

    with open_store(path, now=first) as store:
        look(store, snapshot(first, *fleet(first)))
    before = path.stat().st_size
    with open_store(path, now=first) as store:
        for count in range(1, 289):
            moment = first + count * timedelta(minutes=5)
            look(store, snapshot(moment, *fleet(moment)))
    grown = path.stat().st_size - before

    assert grown < 100_000, f"{grown} bytes, the day's charges included"


def test_a_block_that_raises_leaves_nothing_behind_and_its_error_untouched(store: SqliteStore) -> None:
    before = row_counts(store)
    mistake = ValueError("a mistake in the block")

    def stumble() -> None:
        with store.transaction() as tx:
            tx.save_snapshot(snapshot("2026-03-01 12:00", resource()), Verdict.ACCEPTED)
            raise mistake

    with pytest.raises(ValueError) as raised:
        stumble()

    assert raised.value is mistake
    assert before == row_counts(store)


def test_threads_that_read_and_then_write_lose_nothing_of_each_other(store: SqliteStore) -> None:
    known: list[Resource] = []

    def add_one(number: int) -> None:
        with store.transaction() as tx:
            before = tx.history("main")
            known.append(resource(f"0x{number}"))
            step = remember(before, snapshot("2026-03-01 12:00", *known), claimed_elsewhere={})
            tx.save_snapshot(snapshot("2026-03-01 12:00", *known), step.verdict)
            tx.save_step(before, step)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_one, range(12)))

    assert {f"0x{number}" for number in range(12)} == history(store).resources.keys()
    assert frozenset(history(store).resources) == history(store).lists[V3].ids


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_its_work(store: SqliteStore) -> None:
    look(store, snapshot("2026-03-01 12:00", resource()))
    with store.transaction() as tx:
        tx.save_snapshot(snapshot("2026-03-01 12:05", resource()), Verdict.ACCEPTED)
        with store.reading() as reading:
            assert 1 == len(list(reading.snapshots()))
    with store.reading() as reading:
        assert 2 == len(list(reading.snapshots()))


def test_all_that_one_reading_says_is_of_the_same_instant(store: SqliteStore) -> None:
    look(store, snapshot("2026-03-01 12:00", resource()))
    with store.reading() as reading:
        assert 1 == len(reading.resources())
        look(store, snapshot("2026-03-01 12:05", resource(), resource("0xother")))
        assert 1 == len(reading.resources())


def test_a_full_disk_is_told_in_a_sentence_and_leaves_the_former_state(store: SqliteStore) -> None:
    look(store, snapshot("2026-03-01 12:00", resource()))
    fleet = [resource(f"0x{number}", name="n" * 4000, datacenter=str(number)) for number in range(100)]

    with store.transaction() as tx:
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar()
        tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreError, match="no space left"), store.transaction() as tx:
        tx.save_snapshot(snapshot("2026-03-01 12:05", *fleet), Verdict.ACCEPTED)

    assert frozenset({"0xweb"}) == history(store).lists[V3].ids
    with store.reading() as reading:
        assert 1 == len(list(reading.snapshots()))


def test_an_open_charge_moves_its_end_and_a_closed_one_never_changes(store: SqliteStore) -> None:
    known = look(store, snapshot("2026-03-01 12:00", resource(price=None))).history
    row = charge("2026-03-01 12:00", "2026-03-01 17:55")
    moved = replace(row, span=Span(row.span.start, at("2026-03-01 18:01")), basis=Basis.INFERRED)
    closed = replace(moved, closed=True)

    put(store, known, row)
    put(store, known, moved)
    assert [moved] == ledger(store)
    put(store, known, closed)
    put(store, known, closed)  # the same row again is no change
    assert [closed] == ledger(store)

    with pytest.raises(StoreError, match="a closed charge never changes"):
        put(store, known, replace(closed, amount=usd("0.1")))
    assert [closed] == ledger(store)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE charges SET amount = 1 WHERE closed", "a closed charge never changes"),
        ("UPDATE charges SET closed = 0 WHERE closed", "a closed charge never changes"),
        ("DELETE FROM charges WHERE closed", "a closed charge is never deleted"),
        ("DELETE FROM charges", "a closed charge is never deleted"),
        ("UPDATE charges SET starts_at = 1 WHERE NOT closed", "keeps its resource, start and reason"),
    ],
)
def test_sql_itself_refuses_to_touch_what_is_closed(store: SqliteStore, statement: str, refusal: str) -> None:
    put(
        store,
        History("main"),
        charge("2026-03-01 12:00", "2026-03-01 17:55", closed=True),
        charge("2026-03-01 17:55", "2026-03-02 17:55"),
    )

    with pytest.raises(StoreError, match=refusal), store.transaction() as tx:
        tx.connection.exec_driver_sql(statement)


def test_a_list_with_a_resource_of_the_same_id_in_another_account_is_claimed_there(store: SqliteStore) -> None:
    look(store, snapshot("2026-03-01 12:00", resource("0xA"), resource("0xB")))
    with store.transaction() as tx:
        assert {"0xa": "main", "0xb": "main"} == tx.claimed_elsewhere("second")
        assert {} == tx.claimed_elsewhere("main")


@pytest.mark.parametrize(
    "freed",
    [{"presence": Presence.GONE}, {"retired": True}, {"charged_under": "third"}],
    ids=["gone", "retired", "charged under yet another account"],
)
def test_an_id_is_claimed_only_where_it_is_charged(store: SqliteStore, freed: dict[str, Any]) -> None:
    step = look(store, snapshot("2026-03-01 12:00", resource("0xA")))
    state = replace(step.history.resources["0xa"], **freed)
    with store.transaction() as tx:
        tx.save_step(step.history, Step(replace(step.history, resources={"0xa": state}), Verdict.ACCEPTED))

        assert {} == tx.claimed_elsewhere("second")


def retired_fleet(store: SqliteStore, *, gone: int) -> list[Resource]:
    """A fleet of which `gone` resources came and went one after the other, and two are there; one more is missing."""
    there = [resource("0xA"), resource("0xB")]
    look(store, snapshot("2026-03-01 11:00", resource("0xC"), *there))
    for number in range(gone):
        look(store, snapshot(NOW + timedelta(minutes=number), resource(f"0xOld{number}"), resource("0xC"), *there))
    for minute in (30, 31, 32):
        look(store, snapshot(f"2026-03-01 12:{minute}", resource("0xC"), *there))
    look(store, snapshot("2026-03-01 12:33", *there))
    return there


def test_the_history_for_a_list_lacks_what_is_gone_unless_it_is_listed(store: SqliteStore) -> None:
    retired_fleet(store, gone=5)
    whole = history(store)
    with store.transaction() as tx:
        some = tx.history("main", listed=frozenset({"0xa", "0xold3", "0xnever"}))
        assert replace(whole, resources={}) == replace(some, resources={})
        assert {"0xa", "0xb", "0xc", "0xold3"} == some.resources.keys()
        assert all(whole.resources[id_] == state for id_, state in some.resources.items())
        assert {"0xa", "0xb", "0xc"} == tx.history("main", listed=frozenset()).resources.keys()
        assert History("second") == tx.history("second", listed=frozenset({"0xa"}))


@pytest.mark.parametrize(
    "ids", [(), ("0xA", "0xB"), ("0xOld1", "0xB", "0xA"), ("0xNew", "0xA"), ("0xA",), ("0xC", "0xOLD1", "0xOld2")]
)
def test_what_a_list_does_to_the_history_for_it_is_what_it_does_to_all(
    store: SqliteStore, tmp_path: Path, ids: tuple[str, ...]
) -> None:
    seen = snapshot("2026-03-01 13:10", *(resource(id_) for id_ in ids))
    retired_fleet(store, gone=5)
    whole = look(store, seen)
    with open_store(tmp_path / "other.db", now=NOW) as other:
        retired_fleet(other, gone=5)
        with other.transaction() as tx:
            before = tx.history("main", listed=seen.ids)
            step = remember(before, seen, claimed_elsewhere={})
            tx.save_snapshot(seen, step.verdict)
            tx.save_step(before, step)

        assert (whole.verdict, whole.charges, whole.findings) == (step.verdict, step.charges, step.findings)
        assert whole.history == history(other)
        assert ledger(store) == ledger(other)


def test_the_history_for_a_list_starts_from_what_is_not_gone(store: SqliteStore) -> None:
    """SQLite is asked how it would go about it: by the index of what is not gone, not by all that an account had."""
    asked: list[str] = []
    with store.transaction() as tx:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(asked.append)
        tx.history("main", listed=frozenset({"0xa"}))
        tx.claimed_elsewhere("second")
        driver.set_trace_callback(None)
        queries = [query for query in asked if "!= 'gone'" in query]
        plans = [[row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {query}")] for query in queries]

    assert 2 == len(plans)
    assert all("states_not_gone" in plan[0] for plan in plans), plans


def test_a_snapshot_that_never_was_is_told_so(store: SqliteStore) -> None:
    with pytest.raises(UnknownName, match="no snapshot 7"), store.reading() as reading:
        reading.snapshot(7)
