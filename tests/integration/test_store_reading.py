"""Reading: accounts and their looks, resources as last listed, the ledger in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.billing.history import History, Presence, Snapshot, Step, Verdict
from fluence_costwatch.core.billing.ledger import remember, retire
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.ports import AccountRecord, CycleRecord
from fluence_costwatch.store import SqliteStore, open_store
from tests.builders import at, charge, resource, snapshot

NOW = at("2026-03-01 12:00")
V2, V3 = Generation.VMS_V2, Generation.VMS_V3


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
        tx.save_snapshot(seen, step.verdict)
        tx.save_step(before, step)
    return step


def log(store: SqliteStore, **facts: Any) -> CycleRecord:
    record = replace(CycleRecord("main", V3, started_at=NOW, ended_at=NOW, outcome="ok"), **facts)
    with store.transaction() as tx:
        tx.save_cycle(record)
    return record


def test_an_empty_database_knows_nobody(store: SqliteStore) -> None:
    with store.reading() as reading:
        assert [] == reading.accounts()
        assert [] == reading.resources()
        assert [] == list(reading.charges())
        assert [] == list(reading.snapshots())


def test_accounts_tell_their_last_success_and_their_last_cycle_of_each_generation(store: SqliteStore) -> None:
    later = NOW + timedelta(minutes=5)
    log(store, ended_at=NOW + timedelta(seconds=3))
    refused = log(store, started_at=later, ended_at=later, outcome="refused", detail="401")
    suspicious = log(store, generation=V2, outcome="suspicious", snapshot_id=7)
    log(store, account="another")
    with store.reading() as reading:
        another, main = reading.accounts()

    assert "another" == another.account
    assert (
        AccountRecord(
            "main",
            last_success={V3: NOW + timedelta(seconds=3), V2: None},
            last_cycle={V3: refused, V2: suspicious},
        )
        == main
    )


@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("outcome", ["ok", "suspicious", "unavailable", "refused", "unexpected", "incomplete"])
def test_the_cycle_log_takes_every_outcome_of_every_generation(
    store: SqliteStore, generation: Generation, outcome: str
) -> None:
    logged = log(store, generation=generation, outcome=outcome, detail="page 2 of 3 did not come")
    with store.reading() as reading:
        (main,) = reading.accounts()

    assert {generation: logged} == main.last_cycle


def test_resources_are_told_as_their_newest_list_told_them(store: SqliteStore) -> None:
    look(store, snapshot("2026-03-01 12:00", resource("0xB"), resource("0xA"), resource("0xC")))
    renamed = resource("0xA", name="renamed")
    step = look(store, snapshot("2026-03-01 12:05", renamed, resource("0xC")))
    with store.reading() as reading:
        records = reading.resources()

    assert [renamed, resource("0xB"), resource("0xC")] == [record.resource for record in records]
    assert [step.history.resources[id_] for id_ in ("0xa", "0xb", "0xc")] == [record.state for record in records]
    assert [at("2026-03-01 12:05"), at("2026-03-01 12:00"), at("2026-03-01 12:05")] == [
        record.last_seen for record in records
    ]


def test_within_a_transaction_what_it_has_written_is_read(store: SqliteStore) -> None:
    with store.transaction() as tx:
        reading = tx.reading()
        assert [] == reading.resources()
        assert {} == tx.history("main", listed=frozenset()).resources
        before, seen = tx.history("main"), snapshot("2026-03-01 12:00", resource("0xA"))
        step = remember(before, seen, claimed_elsewhere={})
        tx.save_snapshot(seen, step.verdict)
        assert [] == reading.resources()
        tx.save_step(before, step)

        assert [resource("0xA")] == [record.resource for record in reading.resources()]
        assert step.history == tx.history("main", listed=seen.ids)


def test_gone_resources_are_left_out_on_request(store: SqliteStore) -> None:
    other = resource("0xOther")
    look(store, snapshot("2026-03-01 12:00", resource(), other))
    look(store, snapshot("2026-03-01 12:05", other))
    look(store, snapshot("2026-03-01 12:10", other))
    with store.reading() as reading:
        assert [Presence.PRESENT, Presence.GONE] == [record.state.presence for record in reading.resources()]
        assert [other] == [record.resource for record in reading.resources(gone=False)]


def test_an_id_that_two_generations_list_is_told_as_the_charged_one_lists_it(store: SqliteStore) -> None:
    old = replace(resource("0xA", name="old page"), generation=V2)
    look(store, snapshot("2026-03-01 12:00", resource("0xA")))
    seen = snapshot("2026-03-01 12:01", old, generation=V2)
    look(store, replace(seen, judgement=replace(seen.judgement, rank=1)))
    with store.reading() as reading:
        (record,) = reading.resources()

    assert resource("0xA") == record.resource


def test_charges_come_oldest_first_within_the_span_asked_for(store: SqliteStore) -> None:
    rows = [
        charge("2026-03-01 12:00", "2026-03-01 17:55", closed=True),
        charge("2026-03-01 17:55", "2026-03-02 17:55", closed=True),
        charge("2026-03-02 17:55", "2026-03-03 17:55"),
    ]
    known = look(store, snapshot("2026-03-01 12:00", resource(price=None, name="web"))).history
    look(store, snapshot("2026-03-01 12:01", replace(resource("0xB", price=None), account="second"), account="second"))
    elsewhere = replace(rows[0], identity=Identity("second", "0xb"))
    with store.transaction() as tx:
        tx.save_step(known, Step(known, Verdict.ACCEPTED, (rows[2], rows[0], rows[1])))
        tx.save_step(History("second"), Step(History("second"), Verdict.ACCEPTED, (elsewhere,)))
    with store.reading() as reading:
        assert [rows[0], elsewhere, *rows[1:]] == [record.charge for record in reading.charges()]
        assert rows == [record.charge for record in reading.charges(account="main")]
        assert [rows[1]] == [
            record.charge for record in reading.charges(since=at("2026-03-01 17:55"), until=at("2026-03-02 17:55"))
        ]
        assert [("web", "vm")] * 4 == [(record.name, record.kind) for record in reading.charges()]


def test_a_retired_generation_leaves_its_list_but_keeps_its_resources_and_charges(store: SqliteStore) -> None:
    look(store, snapshot("2026-03-01 12:00", resource()))
    with store.transaction() as tx:
        before = tx.history("main")
        step = retire(before, V3)
        tx.save_step(before, step)
        tx.save_retirement("main", V3, at=at("2026-03-01 12:03"))
    with store.transaction() as tx:
        assert step.history == tx.history("main")
        assert {} == tx.history("main").lists
        assert tx.history("main").has_past
    with store.reading() as reading:
        (record,) = reading.resources()
        assert at("2026-03-01 12:00") == record.last_seen
        assert [True] == [kept.charge.closed for kept in reading.charges()]
