"""What the marketplace bills, computed by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from fluence_costwatch.simulator import AccountOptions, read_script
from tests.servers.marketplace import Marketplace, marketplace
from tests.simulator.asking import at, listed

DAY = timedelta(days=1)
PRICE = 298_160


def account(balance: str) -> tuple[AccountOptions, ...]:
    return (AccountOptions(balance=balance),)


def epochs(market: Marketplace, vm: str) -> list[tuple[datetime, datetime, int]]:
    return [(charge.epoch_start, charge.epoch_end, charge.amount) for charge in market.books().of(vm)]


def test_a_vm_rented_ten_minutes_before_the_boundary_pays_twice_within_ten_minutes() -> None:
    with marketplace(start=at("2026-03-01 17:45")) as market:
        vm = market.create("web")

        assert [(at("2026-03-01 17:45"), at("2026-03-01 17:55"), PRICE)] == epochs(market, vm)

        market.set_clock(at("2026-03-01 17:54:59"))

        assert PRICE == market.books().total

        market.set_clock(at("2026-03-01 17:55"))

        assert [
            (at("2026-03-01 17:45"), at("2026-03-01 17:55"), PRICE),
            (at("2026-03-01 17:55"), at("2026-03-02 17:55"), PRICE),
        ] == epochs(market, vm)


def test_a_vm_deleted_five_minutes_after_the_boundary_has_paid_for_the_whole_new_epoch() -> None:
    with marketplace(start=at("2026-03-01 12:00")) as market:
        vm = market.create("web")
        market.set_clock(at("2026-03-01 18:00"))
        market.delete(vm)
        market.set_clock(at("2026-04-01 00:00"))

        assert 2 * PRICE == market.books().total


def test_a_vm_deleted_at_the_very_boundary_pays_for_the_epoch_that_begins_then() -> None:
    script = [
        {"do": "create", "vm": "web", "name": "web", "price": "0.298160"},
        {"at": "2026-03-01T17:55:00Z", "do": "delete", "vm": "web"},
    ]
    with marketplace(start=at("2026-03-01 12:00"), script=read_script(script)) as market:
        market.set_clock(at("2026-03-05 00:00"))

        assert 2 * PRICE == market.books().total


def test_one_epoch_is_held_in_reserve_and_given_back_in_full_on_deletion() -> None:
    with marketplace(start=at("2026-03-01 12:00")) as market:
        vm = market.create("web")

        assert 1_000_000_000 - 2 * PRICE == market.books().balance
        assert PRICE == market.books().reserved

        market.set_clock(at("2026-03-03 18:00"))

        assert 1_000_000_000 - 5 * PRICE == market.books().balance
        assert PRICE == market.books().reserved

        market.delete(vm)

        assert 1_000_000_000 - 4 * PRICE == market.books().balance
        assert 0 == market.books().reserved


def test_with_periods_per_vm_each_pays_from_its_own_activation_on() -> None:
    with marketplace(start=at("2026-03-01 12:00:30"), policy="per_vm", launch_time=timedelta(minutes=3)) as market:
        first = market.create("first")
        market.set_clock(at("2026-03-01 20:00"))
        second = market.create("second")
        market.set_clock(at("2026-03-02 13:00"))

        assert [
            (at("2026-03-01 12:00:30"), at("2026-03-02 12:03:30"), PRICE),
            (at("2026-03-02 12:03:30"), at("2026-03-03 12:03:30"), PRICE),
        ] == epochs(market, first)
        assert [(at("2026-03-01 20:00"), at("2026-03-02 20:03"), PRICE)] == epochs(market, second)


def test_a_price_holds_from_the_next_boundary_on_and_the_reserve_follows_it() -> None:
    with marketplace(start=at("2026-03-01 18:00")) as market:
        vm = market.create("web", "0.298160")
        market.set_clock(at("2026-03-02 12:00"))
        market.set_price(vm, "0.41250")

        assert PRICE == market.books().reserved

        market.set_clock(at("2026-03-04 12:00"))

        assert [PRICE, 412_500, 412_500] == [charge.amount for charge in market.books().of(vm)]
        assert 412_500 == market.books().reserved


def test_a_price_that_changes_at_the_very_boundary_is_too_late_for_the_epoch_that_begins_then() -> None:
    script = [
        {"do": "create", "vm": "web", "name": "web", "price": "1"},
        {"at": "2026-03-01T17:55:00Z", "do": "price", "vm": "web", "price": "2"},
    ]
    with marketplace(start=at("2026-03-01 12:00"), script=read_script(script)) as market:
        market.set_clock(at("2026-03-02 18:00"))

        assert [1_000_000, 1_000_000, 2_000_000] == [charge.amount for charge in market.books().charges]


def test_an_empty_account_pays_from_the_reserve_and_then_the_vm_is_terminated() -> None:
    with marketplace(start=at("2026-03-01 12:00"), accounts=account("3.5")) as market:
        vm = market.create("web", "1")

        assert "Active" == listed(market)[0]["status"]

        market.set_clock(at("2026-03-01 18:00"))

        assert ("SmallBalance", "1") == (listed(market)[0]["status"], listed(market)[0]["reservedBalance"])
        assert 500_000 == market.books().balance

        market.set_clock(at("2026-03-02 18:00"))

        assert ("SmallBalance", "0") == (listed(market)[0]["status"], listed(market)[0]["reservedBalance"])
        assert [False, False, True] == [charge.from_reserve for charge in market.books().of(vm)]

        market.set_clock(at("2026-03-03 18:00"))

        assert ("Terminated", "2026-03-03T17:55:00Z") == (
            listed(market)[0]["status"],
            listed(market)[0]["statusChangedAt"],
        )
        assert [] == listed(market, "/vms/v2")

        market.set_clock(at("2026-06-01 00:00"))

        assert 3_000_000 == market.books().total


def test_a_top_up_refills_the_reserve_and_saves_the_vm() -> None:
    with marketplace(start=at("2026-03-01 12:00"), accounts=account("2")) as market:
        market.create("web", "1")
        market.set_clock(at("2026-03-01 18:00"))

        assert "SmallBalance" == listed(market)[0]["status"]
        assert 0 == market.books().reserved

        market.top_up("10")

        assert "Active" == listed(market)[0]["status"]
        assert 1_000_000 == market.books().reserved

        market.set_clock(at("2026-03-03 18:00"))

        assert 4_000_000 == market.books().total


def test_a_record_of_a_terminated_vm_holds_its_reserve_until_it_is_deleted() -> None:
    with marketplace(start=at("2026-03-01 12:00")) as market:
        vm = market.create("web", "0.30697")
        market.set_clock(at("2026-03-08 12:00"))
        market.terminate(vm)
        market.set_clock(at("2026-05-01 12:00"))
        record = listed(market)[0]

        assert ("Terminated", None, None, ".30697", "2.45576") == (
            record["status"],
            record["publicIp"],
            record["datacenter"],
            record["reservedBalance"],
            record["totalSpent"],
        )
        assert "nextBillingAt" not in record

        market.delete(vm)

        assert [] == listed(market)
        assert 1_000_000_000 - 8 * 306_970 == market.books().balance


def test_a_delete_takes_its_time_and_a_boundary_that_passes_meanwhile_is_paid() -> None:
    with marketplace(start=at("2026-03-01 12:00"), delete_latency=timedelta(minutes=10)) as market:
        vm = market.create("web")
        market.set_clock(at("2026-03-01 17:50"))
        market.delete(vm)
        market.set_clock(at("2026-03-01 17:59:59"))

        assert [vm] == [item["id"] for item in listed(market)]
        assert 2 * PRICE == market.books().total

        market.set_clock(at("2026-03-01 18:00"))

        assert [] == listed(market)


def test_a_charge_may_be_booked_late_at_the_price_of_its_epochs_start() -> None:
    with marketplace(start=at("2026-03-01 12:00"), charge_delay=timedelta(minutes=30)) as market:
        vm = market.create("web", "1")
        market.set_clock(at("2026-03-01 18:00"))
        market.set_price(vm, "2")

        assert 1_000_000 == market.books().total
        assert "2026-03-01T17:55:00Z" == listed(market)[0]["nextBillingAt"]

        market.set_clock(at("2026-03-01 18:25"))

        assert [1_000_000, 1_000_000] == [charge.amount for charge in market.books().of(vm)]
        assert at("2026-03-01 18:25") == market.books().of(vm)[-1].booked_at
        assert "2026-03-02T17:55:00Z" == listed(market)[0]["nextBillingAt"]


def test_an_epoch_that_has_begun_is_paid_although_the_vm_goes_before_it_is_booked() -> None:
    with marketplace(start=at("2026-03-01 12:00"), charge_delay=timedelta(minutes=30)) as market:
        vm = market.create("web", "1")
        market.set_clock(at("2026-03-01 18:00"))
        market.delete(vm)

        assert 2_000_000 == market.books().total


def test_nobody_pays_for_a_vm_that_is_shown_as_stopped() -> None:
    with marketplace(start=at("2026-03-01 12:00")) as market:
        vm = market.create("web", "1")
        market.set_status(vm, "Stopped")
        market.set_clock(at("2026-03-03 12:00"))

        assert 1_000_000 == market.books().total

        market.set_status(vm, None)
        market.set_clock(at("2026-03-03 18:00"))

        assert [at("2026-03-01 12:00"), at("2026-03-03 17:55")] == [c.epoch_start for c in market.books().of(vm)]


def test_months_in_one_step_give_the_same_books_as_many_small_steps() -> None:
    script = read_script(
        [
            {"do": "create", "vm": "a", "name": "a", "price": "0.298160"},
            {"at": "2026-01-20T09:00:00Z", "do": "create", "vm": "b", "name": "b", "price": ".5"},
            {"at": "2026-02-10T09:00:00Z", "do": "price", "vm": "a", "price": "0.3"},
            {"at": "2026-03-15T09:00:00Z", "do": "delete", "vm": "a"},
            {"at": "2026-04-15T09:00:00Z", "do": "terminate", "vm": "b"},
        ]
    )
    start, end = at("2026-01-01 12:00"), at("2026-07-01 12:00")
    with marketplace(start=start, script=script) as leap, marketplace(start=start, script=script) as steps:
        leap.set_clock(end)
        while steps.now() < end:
            steps.advance(timedelta(days=1, hours=7, minutes=13))
        a, b = (leap.vms()[n]["id"] for n in (0, 1))

        # a: 1 January at noon, then boundaries 1 January .. 9 February at the old and .. 14 March at the new price.
        assert 41 * 298_160 + 33 * 300_000 == leap.books().total_by_vm[a]
        # b: 20 January at nine, then boundaries 20 January .. 14 April.
        assert (1 + 12 + 28 + 31 + 14) * 500_000 == leap.books().total_by_vm[b]
        assert leap.books() == steps.books()


def test_a_vm_that_nobody_can_pay_for_is_not_rented() -> None:
    with marketplace(start=at("2026-03-01 12:00"), accounts=account("1.999999"), script=read_script(
        [{"do": "create", "name": "web", "price": "1"}]
    )) as market:  # fmt: skip
        assert [] == market.vms()
        assert "balance too short: two epochs of 1 needed" == market.script_failures()[0]["reason"]


def test_the_marketplace_counts_whole_seconds_while_its_clock_does_not() -> None:
    with marketplace(start=at("2026-03-01 12:00:07.654321"), epoch=timedelta(seconds=4), policy="per_vm") as market:
        vm = market.create("web")
        market.advance(timedelta(seconds=5))

        assert [at("2026-03-01 12:00:07"), at("2026-03-01 12:00:11")] == [c.epoch_start for c in market.books().of(vm)]
