"""The metered cloud and the GPU cloud on a clock set by hand: our estimate against the marketplace's own charges."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fluence_costwatch.core.alerts.waste import Ground, waste_in
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.billing.reconciliation import Against, drift_of
from fluence_costwatch.core.budgets.outlook import outlook_of
from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.reconcile import adjustments_of, apply_adjustments, reconcile
from tests.rig import Rig, rig
from tests.servers.marketplace import CloudIds

START = datetime(2026, 7, 6, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LARGEST_FLEET = 12
PRICES = ("0.0310", "0.0071", "0.00000123", "1.25")


def churn(watch: Rig, dice: random.Random, alive: list[CloudIds]) -> None:
    """Perhaps machines, disks and addresses come or go."""
    market = watch.market
    chance = dice.random()
    if chance < 0.2 and len(alive) < LARGEST_FLEET:
        disks = [(dice.choice(PRICES), 25)] * dice.randrange(1, 3)
        alive.append(market.create_vm_cloud(f"vm-{dice.randrange(10**6)}", dice.choice(PRICES), disks=disks))
    elif chance < 0.3 and len(alive) > 4:
        gone = alive.pop(dice.randrange(len(alive)))
        market.do("terminate", vm=gone.vm)
        leave_behind = dice.random() < 0.5
        for part in (*gone.disks, *([gone.ip] if gone.ip else [])):
            if not leave_behind:
                market.do("delete", vm=part)
    elif chance < 0.32:
        market.create_disk(f"disk-{dice.randrange(10**6)}", dice.choice(PRICES))


def live(watch: Rig, *, days: int, every: timedelta, seed: int) -> None:
    dice = random.Random(seed)
    alive: list[CloudIds] = []
    watch.market.top_up("10000000")
    for number in range(5):
        alive.append(watch.market.create_vm_cloud(f"first-{number}", "0.0310"))
    watch.poll()
    until = watch.now + days * DAY
    while watch.now < until:
        watch.advance(every * dice.uniform(0.2, 0.8))
        churn(watch, dice, alive)
        watch.advance(every * 0.2)
        watch.poll()
        assert [] == watch.differences()
        if dice.random() < 0.01:
            watch.restart()


@pytest.mark.parametrize("options", [{}, {"prices_shown": False}, {"page_base": 0, "page_size": 3, "max_page_size": 3}])
def test_our_estimate_is_the_bill_within_a_micro_dollar_a_row(tmp_path: Path, options: dict[str, object]) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2, **options) as watch:
        live(watch, days=4, every=2 * HOUR, seed=5)

        assert [] == watch.unequal()
        assert [] == watch.store.rebuild()
        assert all(DAY >= row.span.length for row in watch.rows())


@pytest.mark.slow
def test_months_of_it(tmp_path: Path) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2, charges_lag=2 * HOUR) as watch:
        live(watch, days=60, every=4 * HOUR, seed=6)

        assert [] == watch.unequal()
        assert [] == watch.store.rebuild()
        found = reconcile("main", billing=watch.billing, store=watch.store, now=watch.now)
        assert Decimal(0) == drift_of(found.comparisons)["main", Against.CHARGES]


def test_the_ledger_agrees_with_the_charges_and_shows_a_deliberate_difference(tmp_path: Path) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2, charges_lag=2 * HOUR) as watch:
        machine = watch.market.create_vm_cloud("web", "0.0310")
        watch.poll()
        watch.polls(4 * DAY, every=HOUR)
        found = reconcile("main", billing=watch.billing, store=watch.store, now=watch.now)
        assert Decimal(0) == drift_of(found.comparisons)["main", Against.CHARGES]
        assert Decimal(0) == drift_of(found.comparisons)["main", Against.BALANCE]

        with watch.store.transaction() as tx:
            charges = watch.billing.charges(since=START.date(), until=watch.now.date()) if watch.billing else ()
            dearer = [
                replace(one, cost=one.cost + Decimal("0.25")) if one.resource_id == machine.vm.lower() else one
                for one in charges
            ]
            tx.save_reported_charges("main", dearer, since=START.date(), until=watch.now.date(), at=watch.now)
        found = reconcile("main", billing=None, store=watch.store, now=watch.now)
        drift = drift_of(found.comparisons)["main", Against.CHARGES]
        days = len({one.span for one in found.comparisons if one.against is Against.CHARGES})
        assert abs(days * Decimal("0.25") - drift) <= days * Decimal("0.000002")

        rows = adjustments_of(found.comparisons, watch.rows())
        apply_adjustments("main", rows, store=watch.store, now=watch.now)
        again = reconcile("main", billing=None, store=watch.store, now=watch.now)
        assert Decimal(0) == drift_of(again.comparisons)["main", Against.CHARGES]
        assert () == adjustments_of(again.comparisons, watch.rows())
        assert [] == watch.store.rebuild()


def test_a_vm_that_ends_leaves_its_disk_and_address_as_orphans_that_are_costed(tmp_path: Path) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2) as watch:
        left = watch.market.create_vm_cloud("left", "0.0310", disks=[("0.0042", 25)], ip_price="0.0050")
        watch.market.create_vm_cloud("kept", "0.0310")
        watch.polls(2 * HOUR, every=HOUR)
        assert () == waste_in(watch.records().values())

        watch.market.do("terminate", vm=left.vm)
        watch.polls(2 * HOUR, every=HOUR)

        wasted = waste_in(watch.records().values())
        assert {left.disks[0].lower(), (left.ip or "").lower()} == {one.resource.id.lower() for one in wasted}
        assert {Ground.ORPHAN} == {one.ground for one in wasted}
        assert Decimal("0.0092") == sum((one.per_hour or Decimal(0) for one in wasted), Decimal(0))
        assert {Kind.STORAGE, Kind.PUBLIC_IP} == {one.resource.kind for one in wasted}


def test_12_58_to_13_02_is_two_hourly_charges_of_a_gpu(tmp_path: Path) -> None:
    start = datetime(2026, 7, 6, 12, 58, tzinfo=UTC)
    with rig(tmp_path / "watch.db", start=start, generation=Generation.GPU) as watch:
        watch.market.create_gpu("rock", "1.10", kind="vm")
        watch.market.create_gpu("rock-2", "1.10", kind="vm")
        gpu = watch.market.create_gpu("training", "1.92", kind="container")
        watch.poll()
        watch.polls(timedelta(minutes=4), every=timedelta(minutes=1))
        watch.market.do("delete", vm=gpu)
        watch.polls(timedelta(minutes=10), every=timedelta(minutes=1))

        rows = [row for row in watch.rows() if row.identity.id == gpu.lower()]
        assert [1_920_000, 1_920_000] == [row.amount.micros for row in rows]
        assert [] == watch.unequal()


def test_a_failing_detail_leaves_the_price_unknown_not_zero(tmp_path: Path) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.GPU) as watch:
        gpu = watch.market.create_gpu("training", "1.92", kind="vm")
        watch.market.create_gpu("other", "1.10", kind="vm")
        watch.market.misbehave("status", code=500, path=f"/gpu/instances/vms/{gpu}")
        watch.poll()
        state = watch.states()[gpu.lower()]
        assert state.price is None
        assert 0 == state.charged.micros
        assert state.unpriced

        watch.market.behave()
        watch.polls(timedelta(minutes=5), every=timedelta(minutes=1))
        assert 1_920_000 == watch.states()[gpu.lower()].charged.micros
        assert [] == watch.unequal()


def test_the_balance_ends_at_the_instant_foretold(tmp_path: Path) -> None:
    generations = (Generation.CLOUD_V2, Generation.GPU)
    with rig(tmp_path / "watch.db", start=START, generation=generations) as watch:
        watch.market.create_vm_cloud("web", "2.5", disks=[("0.5", 25)], ip_price="0.125")
        watch.market.create_gpu("training", "4", kind="vm")
        watch.market.create_gpu("serving", "3", kind="vm")
        watch.advance(timedelta(minutes=7))
        watch.poll()
        with watch.store.reading() as reading:
            noted = reading.newest_balances()["main"]
        end = outlook_of(noted, watch.records().values()).runway.ends_at
        assert end is not None

        watch.now = watch.market.set_clock(end - timedelta(seconds=2))
        assert watch.market.books().balance_exact > 0
        watch.now = watch.market.set_clock(end + timedelta(seconds=2))
        assert watch.market.books().balance_exact <= 0 or any(
            one["status"] not in ("ACTIVE", "launched") for one in watch.market.resources()
        )


def test_an_id_seen_through_two_generations_is_one_resource_charged_once(tmp_path: Path) -> None:
    generations = (Generation.VMS_V3, Generation.VMS_V2)
    with rig(tmp_path / "watch.db", start=START, generation=generations) as watch:
        vm = watch.market.create("web", "0.298160")
        watch.market.create("other", "0.298160")
        watch.polls(3 * DAY, every=2 * HOUR)

        state = watch.states()[vm.lower()]
        assert (Generation.VMS_V3, Presence.PRESENT) == (state.generation, state.presence)
        assert [] == watch.unequal()


@pytest.mark.parametrize("path", ["/v2/vms", "/v1/storages", "/v1/public_ips"])
@pytest.mark.parametrize("fault", ["page_short", "page_repeats", "page_totals"])
def test_a_list_that_is_not_whole_concludes_nothing_and_the_cycle_says_so(
    tmp_path: Path, path: str, fault: str
) -> None:
    pages = {"page_size": 2, "max_page_size": 2}
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2, **pages) as watch:
        for number in range(5):
            watch.market.create_vm_cloud(f"vm-{number}", "0.0310")
        watch.polls(2 * HOUR, every=HOUR)
        before = watch.states()

        watch.market.misbehave(fault, path=path)
        for _ in range(3):
            watch.advance(HOUR)
            (record,) = watch.poll().records
            assert ("incomplete", None) == (record.outcome, record.snapshot_id)
        assert before == watch.states()
        assert [] == watch.differences()

        watch.market.behave()
        watch.polls(2 * HOUR, every=HOUR)
        assert {Presence.PRESENT} == {state.presence for state in watch.states().values()}
        assert [] == watch.unequal()
