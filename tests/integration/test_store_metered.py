"""Metered resources, and adjustments of their charges: kept as they were lived through, and replayed alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluence_costwatch.core.billing.history import Basis, Charge, History, Reason, Snapshot, Step, Verdict
from fluence_costwatch.core.billing.ledger import adjust, charged_total, remember, retire
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import total
from fluence_costwatch.core.resources import Generation, Identity, Kind, Resource
from fluence_costwatch.errors import StoreError
from fluence_costwatch.ports import CycleRecord
from fluence_costwatch.store import SqliteStore, open_store
from tests.builders import at, metered, resource, snapshot, usd

NOW = at("2026-03-01 12:00")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLOUD, GPU, V3 = Generation.CLOUD_V2, Generation.GPU, Generation.VMS_V3

VM = metered("vm-1", name="web", created_at=NOW - timedelta(minutes=7, seconds=3), allowed_actions=("STOP", "REMOVE"))
DISK = metered("disk-1", kind=Kind.STORAGE, status="READY", price=Decimal("0.000141732"), attached_to=("vm-1",))
ADDRESS = metered("ip-1", kind=Kind.PUBLIC_IP, status="READY", price=Decimal("0.00416666"), attached_to=())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(tmp_path / "watch.db", now=NOW) as store:
        yield store


def look(store: SqliteStore, moment: datetime, *listed: Resource, generation: Generation = CLOUD) -> Step:
    """What a cycle does with the list that it got."""
    listed = tuple(replace(one, generation=generation) for one in listed)
    seen = snapshot(moment, *listed, generation=generation)
    with store.transaction() as tx:
        before = tx.history("main", listed=seen.ids)
        step = remember(before, seen, claimed_elsewhere=tx.claimed_elsewhere("main"))
        number = tx.save_snapshot(seen, step.verdict)
        tx.save_step(before, step)
        tx.save_cycle(CycleRecord("main", generation, seen.sent_at, seen.answered_at, "ok", "", number))
    return step


def end(store: SqliteStore, moment: datetime, generation: Generation = CLOUD) -> None:
    """What happens to a generation that is no longer configured."""
    with store.transaction() as tx:
        before = tx.history("main")
        tx.save_step(before, retire(before, generation))
        tx.save_retirement("main", generation, at=moment)


def adjusted(id: str, start: datetime, amount: str) -> Charge:
    identity = Identity("main", id)
    return Charge(identity, Span(start, start + DAY), usd(amount), Basis.REPORTED, Reason.RECONCILED, closed=True)


def reconcile(store: SqliteStore, moment: datetime, *rows: Charge) -> None:
    """What happens where an operator applies what was found."""
    with store.transaction() as tx:
        before = tx.history("main")
        tx.save_step(before, adjust(before, rows))
        tx.save_adjustments("main", rows, at=moment)


def history(store: SqliteStore) -> History:
    with store.transaction() as tx:
        return tx.history("main")


def ledger(store: SqliteStore) -> list[Charge]:
    with store.reading() as reading:
        return [record.charge for record in reading.charges()]


def snapshots(store: SqliteStore) -> list[tuple[int, Snapshot, Verdict]]:
    with store.reading() as reading:
        return list(reading.snapshots())


def lived_through(store: SqliteStore, *, days: int = 5) -> None:
    """Days of a metered account: a price that changes, a VM that ends and leaves its disk, a suspicious list, prices
    that are missing, a retirement and a return; GPU instances beside it; adjustments at every stage."""
    gpu = resource("gpu-1", kind=Kind.GPU_CONTAINER, status="ACTIVE", price=usd("0.5").dollars)
    for hour in range(0, 24 * days, 2):
        moment = NOW + hour * HOUR
        vm = replace(VM, price=Decimal("0.02") if hour >= 26 else VM.price)
        disk = replace(DISK, attached_to=("vm-1",) if hour < 60 else (), price=None if 40 <= hour < 50 else DISK.price)
        fleet = [vm, disk, ADDRESS]
        if hour >= 60:
            fleet[0] = replace(vm, status="TERMINATED", status_changed_at=NOW + 59 * HOUR)
        if hour >= 70:
            fleet = [disk]
        if hour in {20, 22}:
            fleet = []
        look(store, moment, *fleet)
        if hour % 4 == 0 and hour < 50:
            look(store, moment + HOUR / 60, gpu, generation=GPU)
        if hour % 24 == 12:
            reconcile(store, moment, adjusted("vm-1", moment - DAY, "0.01"), adjusted("gpu-1", moment - DAY, "-0.02"))
        if hour == 84:
            reconcile(store, moment, adjusted("ip-1", moment - DAY, "-0.5"), adjusted("nobody", moment, "1"))
            end(store, moment + HOUR)
            reconcile(store, moment + HOUR, adjusted("disk-1", moment - DAY, "0.000001"))


def test_a_life_of_metered_resources_and_adjustments_is_replayed_as_it_was(store: SqliteStore) -> None:
    lived_through(store)

    assert [] == store.rebuild()
    assert [] == store.verify()
    sums = {
        id_: total(row.amount for row in ledger(store) if row.identity.id == id_) for id_ in history(store).resources
    }
    assert {"vm-1", "disk-1", "ip-1", "gpu-1"} == sums.keys()
    assert sums == {id_: charged_total(state) for id_, state in history(store).resources.items()}


def test_resources_of_every_kind_read_back_as_they_were_listed(store: SqliteStore) -> None:
    several = [replace(VM, id=kind.value, kind=kind, price=Decimal("0.1234567890123456789")) for kind in Kind]
    look(store, NOW, VM, DISK, ADDRESS, *several)
    with store.reading() as reading:
        assert sorted([VM, DISK, ADDRESS, *several], key=lambda one: one.identity) == [
            record.resource for record in reading.resources()
        ]
        assert {kind.value for kind in Kind} == {record.state.kind.value for record in reading.resources()}


@pytest.mark.parametrize("kept_from", range(1, 24 * 5 + 4, 17))
def test_pruning_keeps_the_ledger_and_a_rebuild_still_agrees(store: SqliteStore, kept_from: int) -> None:
    lived_through(store)
    before = ledger(store), history(store)

    assert store.prune(before=NOW + kept_from * HOUR)

    assert before == (ledger(store), history(store))
    assert [] == store.rebuild()
    look(store, NOW + 9 * DAY, DISK)
    reconcile(store, NOW + 9 * DAY, adjusted("vm-1", NOW + 8 * DAY, "-0.3"))
    assert [] == store.rebuild()
    store.prune(before=NOW + 10 * DAY)
    reconcile(store, NOW + 9 * DAY, adjusted("vm-1", NOW + 9 * DAY, "-0.3"))
    assert [] == store.rebuild()


def test_pruning_day_by_day_ends_like_never_pruning(store: SqliteStore, tmp_path: Path) -> None:
    lived_through(store)
    with open_store(tmp_path / "whole.db", now=NOW) as whole:
        lived_through(whole)
        for day in range(1, 6):
            store.prune(before=NOW + day * DAY)
            assert [] == store.rebuild()
        for one in (store, whole):
            look(one, NOW + 6 * DAY, DISK, VM)

        assert ledger(whole) == ledger(store)
        assert history(whole) == history(store)
        assert snapshots(whole)[-1] == snapshots(store)[-1]


def test_adjustments_are_never_dropped(store: SqliteStore) -> None:
    lived_through(store)
    store.prune(before=NOW + 900 * DAY)
    with store.reading() as reading:
        noted = "SELECT count(*) FROM adjustments"
        made = reading.connection.exec_driver_sql(noted).scalar()

    assert 5 * 2 + 2 + 1 == made


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM adjustments WHERE resource_id = 'ip-1'", "is kept, replaying does not give it"),
        ("UPDATE adjustments SET amount = amount + 1 WHERE resource_id = 'ip-1'", "replaying gives -0.499999 USD"),
        (
            "INSERT INTO adjustments SELECT 99, account, at, after_snapshot, after_retirements, 0, 'ip-1', 7, 8, 9, basis, reason, 1 FROM adjustments LIMIT 1",
            "is not kept, replaying gives it",
        ),
    ],
)
def test_rebuilding_tells_where_adjustments_and_the_ledger_differ(
    store: SqliteStore, statement: str, sentence: str
) -> None:
    lived_through(store)
    with store.transaction() as tx:
        tx.connection.exec_driver_sql(statement)

    assert any(sentence in found for found in store.rebuild()), store.rebuild()


def test_an_adjustment_decides_a_total_that_comes_after_it_and_not_one_before(store: SqliteStore) -> None:
    """Its place matters: an opening total is squared with what the ledger held at that look."""
    facts = {"created_at": NOW - 3 * DAY, "next_charge_at": NOW + DAY, "total_spent": usd("2")}
    vm = resource("0xWeb", **facts)
    look(store, NOW, vm, generation=V3)
    reconcile(store, NOW, adjusted("0xweb", NOW - DAY, "0.25"))
    for hour in (4, 8, 12):
        look(store, NOW + hour * HOUR, vm, generation=V3)
    reconcile(store, NOW, adjusted("0xweb", NOW, "0.125"))

    assert usd("2.125") == charged_total(history(store).resources["0xweb"])
    assert [] == store.rebuild()
    with store.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE adjustments SET after_snapshot = 4")
    assert store.rebuild()


def test_an_adjustment_knows_the_retirements_that_it_came_after(store: SqliteStore) -> None:
    lived_through(store)
    with store.reading() as reading:
        noted = (
            "SELECT resource_id, after_retirements FROM adjustments WHERE resource_id IN ('ip-1', 'disk-1') ORDER BY pk"
        )
        rows = reading.connection.exec_driver_sql(noted).all()

    assert [("ip-1", 0), ("disk-1", 1)] == [tuple(row) for row in rows]


def test_a_second_adjustment_with_the_same_start_is_refused_and_nothing_of_it_kept(store: SqliteStore) -> None:
    look(store, NOW, VM)
    look(store, NOW + HOUR, VM)
    first = adjusted("vm-1", NOW, "0.01")
    reconcile(store, NOW, first)
    before = ledger(store), history(store)

    for another in (replace(first, amount=usd("0.02")), first):
        with pytest.raises(StoreError, match="main vm-1 has an adjustment that starts 2026-03-01T12:00:00Z already"):
            reconcile(store, NOW + HOUR, another)
    twice = adjusted("vm-1", NOW + HOUR, "0.01")
    with pytest.raises(StoreError, match="a start of its own"):
        reconcile(store, NOW + HOUR, twice, twice)

    assert before == (ledger(store), history(store))
    assert [] == store.rebuild()
    reconcile(store, NOW + HOUR, replace(first, span=Span(NOW + timedelta(microseconds=1), NOW + DAY)))
    assert [] == store.rebuild()


def test_the_same_step_of_an_adjustment_again_changes_nothing(store: SqliteStore) -> None:
    look(store, NOW, VM)
    with store.transaction() as tx:
        before = tx.history("main")
        step = adjust(before, [adjusted("vm-1", NOW, "0.01")])
        tx.save_step(before, step)
        tx.save_step(before, step)
        tx.save_adjustments("main", step.charges, at=NOW)

    assert [] == store.rebuild()


LISTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "disk", "ip"]),
        st.sampled_from(["LAUNCHED", "TERMINATED", "Surprising"]),
        st.sampled_from([None, Decimal("0.01"), Decimal("0.0123456789"), Decimal(0)]),
    ),
    max_size=4,
    unique_by=lambda one: one[0],
)
Act = Callable[[SqliteStore, datetime], object]


@st.composite
def acts(draw: st.DrawFn) -> Act:
    what = draw(st.sampled_from(["look", "look", "look", "adjust", "retire", "prune"]))
    if what == "look":
        several = [metered(id_, status=status, price=price) for id_, status, price in draw(LISTS)]
        return lambda store, moment: look(store, moment, *several)
    if what == "adjust":
        ids = draw(st.sets(st.sampled_from(["a", "disk", "nobody"])))
        return lambda store, moment: reconcile(store, moment, *(adjusted(id_, moment, "-0.01") for id_ in sorted(ids)))
    if what == "retire":
        return lambda store, moment: end(store, moment)
    kept = draw(st.integers(0, 90)) * HOUR
    return lambda store, moment: store.prune(before=moment - kept)


@settings(max_examples=20)
@given(life=st.lists(st.tuples(acts(), st.integers(1, 40)), max_size=14))
def test_any_life_of_a_metered_account_is_replayed_as_it_was(life: list[tuple[Act, int]]) -> None:
    with TemporaryDirectory() as directory, open_store(Path(directory) / "watch.db", now=NOW) as store:
        moment = NOW
        for act, hours in life:
            moment += hours * HOUR
            act(store, moment)

        assert [] == store.rebuild()
