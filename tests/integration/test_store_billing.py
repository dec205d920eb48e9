"""The provider's own numbers: kept digit for digit, once each, at the cost of what changed, for as long as wanted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from fluence_costwatch.ports import BalanceEntry, BalanceRecord, ReportedCharge, TopUp
from fluence_costwatch.store import SqliteStore, open_store
from fluence_costwatch.store.schema import metadata
from tests.builders import at, resource

NOW = at("2026-03-10 12:00")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NAMES = (f"account {number}" for number in itertools.count())
LONG_AGO = at("1970-01-01 00:00")
VM, DISK = BalanceEntry("vm", Decimal("12.3456789"), 7), BalanceEntry("storage", Decimal("-0.10"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(tmp_path / "watch.db", now=NOW) as store:
        yield store


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """One store for all examples of a property; each example takes an account of its own."""
    with open_store(tmp_path_factory.mktemp("billing") / "watch.db", now=NOW) as store:
        yield store


def note(store: SqliteStore, *entries: BalanceEntry, moment: datetime, account: str = "main") -> None:
    with store.transaction() as tx:
        tx.save_balances(account, entries, at=moment)


def balances(store: SqliteStore, *, account: str = "main", since: datetime = LONG_AGO) -> list[BalanceRecord]:
    with store.reading() as reading:
        return list(reading.balances(account=account, since=since))


def charged(day: int, resource_id: str = "vm-1", cost: str = "0.2962962720", **facts: str | None) -> ReportedCharge:
    return replace(ReportedCharge(resource_id, "web", "vm", date(2026, 3, day), Decimal(cost)), **facts)  # type: ignore[arg-type] # the facts are texts


def told(store: SqliteStore, *charges: ReportedCharge, since: int, until: int, account: str = "main") -> None:
    with store.transaction() as tx:
        tx.save_reported_charges(account, charges, since=date(2026, 3, since), until=date(2026, 3, until), at=NOW)


def known(store: SqliteStore, *, since: int = 1, until: int = 31, account: str = "main") -> list[ReportedCharge]:
    with store.reading() as reading:
        days = date(2026, 3, since), date(2026, 3, until)
        return list(reading.reported_charges(account=account, since=days[0], until=days[1]))


def rows_written(store: SqliteStore) -> int:
    """How many rows this store has written in all, deleted ones included."""
    with store.transaction() as tx:
        driver = tx.connection.connection.driver_connection
        assert driver is not None
        return int(driver.total_changes)


def test_a_balance_that_stays_is_one_row_whose_end_moves(store: SqliteStore) -> None:
    for count in range(5):
        note(store, VM, DISK, moment=NOW + count * MINUTE)

    assert [BalanceRecord("main", NOW, NOW + 4 * MINUTE, (VM, DISK))] == balances(store)


def test_noting_the_same_balance_again_writes_one_row_however_many_there_are(store: SqliteStore) -> None:
    for count in range(50):
        note(store, replace(VM, balance=Decimal(count)), moment=NOW + count * MINUTE)
    before = rows_written(store)

    note(store, replace(VM, balance=Decimal(49)), moment=NOW + 60 * MINUTE)

    assert 1 == rows_written(store) - before
    assert 50 == len(balances(store))


def test_any_other_entry_begins_another_balance_and_another_order_does_not(store: SqliteStore) -> None:
    note(store, VM, DISK, moment=NOW)
    note(store, DISK, VM, moment=NOW + MINUTE)
    note(store, VM, moment=NOW + 2 * MINUTE)
    note(store, replace(VM, days_left=6), moment=NOW + 3 * MINUTE)
    note(store, moment=NOW + 4 * MINUTE)
    note(store, VM, DISK, moment=NOW + 5 * MINUTE)

    assert [
        BalanceRecord("main", NOW, NOW + MINUTE, (VM, DISK)),
        BalanceRecord("main", NOW + 2 * MINUTE, NOW + 2 * MINUTE, (VM,)),
        BalanceRecord("main", NOW + 3 * MINUTE, NOW + 3 * MINUTE, (replace(VM, days_left=6),)),
        BalanceRecord("main", NOW + 4 * MINUTE, NOW + 4 * MINUTE, ()),
        BalanceRecord("main", NOW + 5 * MINUTE, NOW + 5 * MINUTE, (VM, DISK)),
    ] == balances(store)


def test_a_clock_that_was_set_back_moves_no_note_back(store: SqliteStore) -> None:
    note(store, VM, moment=NOW)
    note(store, VM, moment=NOW - DAY)
    note(store, DISK, moment=NOW - MINUTE)

    assert [(NOW, NOW), (NOW - MINUTE, NOW - MINUTE)] == [(one.since, one.at) for one in balances(store)]
    with store.reading() as reading:
        assert (DISK,) == reading.newest_balances()["main"].entries


def test_balances_are_told_from_when_they_were_last_noted_and_by_account(store: SqliteStore) -> None:
    note(store, VM, moment=NOW)
    note(store, VM, moment=NOW + MINUTE)
    note(store, DISK, moment=NOW + 2 * MINUTE)
    note(store, VM, moment=NOW + 3 * MINUTE, account="second")

    assert [(VM,), (DISK,)] == [one.entries for one in balances(store, since=NOW + MINUTE)]
    assert [(DISK,)] == [one.entries for one in balances(store, since=NOW + MINUTE + MINUTE / 2)]
    assert [] == balances(store, account="third")
    with store.reading() as reading:
        assert {"main": (DISK,), "second": (VM,)} == {
            account: newest.entries for account, newest in reading.newest_balances().items()
        }


def test_a_top_up_is_kept_once_by_its_id_and_told_oldest_first(store: SqliteStore) -> None:
    late, early = TopUp("b", NOW, Decimal("100")), TopUp("a", NOW - DAY, Decimal("0.000001"))
    with store.transaction() as tx:
        tx.save_top_ups("main", [late, early])
        tx.save_top_ups("second", [replace(late, amount=Decimal("5"))])
    before = rows_written(store)
    with store.transaction() as tx:
        tx.save_top_ups("main", [early, late])
        tx.save_top_ups("main", [])

    assert before == rows_written(store)
    with store.reading() as reading:
        assert [early, late] == reading.top_ups(account="main", since=LONG_AGO)
        assert [late] == reading.top_ups(account="main", since=NOW)
        assert [Decimal("5")] == [one.amount for one in reading.top_ups(account="second", since=LONG_AGO)]


def test_a_top_up_that_is_told_otherwise_is_corrected(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.save_top_ups("main", [TopUp("a", NOW, Decimal("10"))])
        tx.save_top_ups("main", [TopUp("a", NOW + MINUTE, Decimal("11"))])
    with store.reading() as reading:
        assert [TopUp("a", NOW + MINUTE, Decimal("11"))] == reading.top_ups(account="main", since=LONG_AGO)


def test_what_was_charged_on_some_days_replaces_what_was_known_of_them_and_of_no_others(store: SqliteStore) -> None:
    told(store, charged(1), charged(2), charged(3), since=1, until=3)
    told(store, charged(2), since=1, until=3, account="second")

    told(store, charged(2, cost="9"), charged(3, "disk-1", kind="storage", name=None), since=2, until=3)

    assert [charged(1), charged(2, cost="9"), charged(3, "disk-1", kind="storage", name=None)] == known(store)
    assert [charged(2)] == known(store, account="second")
    assert [charged(2, cost="9")] == known(store, since=2, until=2)
    told(store, since=1, until=31)
    assert [] == known(store)


def test_days_that_were_not_asked_for_are_left_out(store: SqliteStore) -> None:
    told(store, charged(1), charged(2), charged(3), since=2, until=2)

    assert [charged(2)] == known(store)


def test_several_rows_of_one_resource_and_day_are_kept_apart_even_equal_ones(store: SqliteStore) -> None:
    several = [charged(1), charged(1), charged(1, kind="network")]
    told(store, *several, since=1, until=1)
    before = rows_written(store)
    told(store, *several, since=1, until=1)

    assert before == rows_written(store)
    assert several == known(store)
    told(store, several[0], several[2], since=1, until=1)
    assert [several[0], several[2]] == known(store)


def test_asking_for_a_month_again_writes_only_the_day_that_grew(store: SqliteStore) -> None:
    month = [charged(day, f"vm-{number}") for day in range(1, 31) for number in range(10)]
    told(store, *month, since=1, until=30)
    before = rows_written(store)

    told(store, *month[:-1], replace(month[-1], cost=Decimal("1")), since=1, until=30)

    assert 2 == rows_written(store) - before  # the outdated row went, the new one came
    assert len(month) == len(known(store))


def test_retention_drops_old_balances_but_the_newest_old_days_and_no_top_up(store: SqliteStore) -> None:
    note(store, VM, moment=NOW - 3 * DAY)
    note(store, DISK, moment=NOW - 2 * DAY)
    note(store, VM, moment=NOW)
    note(store, VM, moment=NOW - 9 * DAY, account="second")
    told(store, charged(8), charged(9), charged(10), since=8, until=10)
    with store.transaction() as tx:
        tx.save_top_ups("main", [TopUp("a", NOW - 300 * DAY, Decimal("10"))])

    store.prune(before=NOW - DAY)

    assert [NOW] == [one.since for one in balances(store)]
    assert [NOW - 9 * DAY] == [one.since for one in balances(store, account="second")]
    assert [charged(9), charged(10)] == known(store)
    with store.reading() as reading:
        assert 1 == len(reading.top_ups(account="main", since=LONG_AGO))
    store.prune(before=NOW + 900 * DAY)
    assert [(VM,)] == [one.entries for one in balances(store)]


def test_a_balance_that_has_stood_since_long_ago_is_not_old(store: SqliteStore) -> None:
    note(store, VM, moment=NOW - 900 * DAY)
    note(store, VM, moment=NOW - MINUTE)
    note(store, DISK, moment=NOW)

    store.prune(before=NOW - DAY)

    assert [NOW - 900 * DAY, NOW] == [one.since for one in balances(store)]


def test_what_the_transaction_noted_goes_with_it(store: SqliteStore) -> None:
    def stumble() -> None:
        with store.transaction() as tx:
            tx.save_balances("main", (VM,), at=NOW)
            tx.save_top_ups("main", [TopUp("a", NOW, Decimal(1))])
            tx.save_reported_charges("main", [charged(1)], since=date(2026, 3, 1), until=date(2026, 3, 1), at=NOW)
            tx.save_adjustments("main", (), at=NOW)
            raise ValueError(resource())

    with pytest.raises(ValueError):
        stumble()

    with store.reading() as reading:
        ask = reading.connection.scalar
        assert all(0 == ask(select(func.count()).select_from(table)) for table in metadata.sorted_tables)


@given(
    entries=st.lists(
        st.builds(
            BalanceEntry,
            st.text(st.characters(exclude_categories=["Cs"])),
            st.decimals(allow_nan=False, allow_infinity=False),
            st.none() | st.integers(-9, 10**9),
        ),
        max_size=4,
    )
)
def test_any_entries_read_back_digit_for_digit(shared: SqliteStore, entries: list[BalanceEntry]) -> None:
    account = next(NAMES)
    note(shared, *entries, moment=NOW, account=account)
    (read,) = balances(shared, account=account)

    assert tuple(entries) == read.entries
    assert [str(one.balance) for one in entries] == [str(one.balance) for one in read.entries]
