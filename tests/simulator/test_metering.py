"""What the metered cloud bills, computed by hand and by another way of counting."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluence_costwatch.simulator import AccountOptions, Options, Simulator, read_script
from fluence_costwatch.simulator.meter import Meter, decimal_text, hourly_micros
from tests.servers.marketplace import ControlRefused, Marketplace, marketplace
from tests.simulator.asking import ask, at

NOON = at("2026-03-01 12:00")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CLOUD: dict[str, Any] = {"start": NOON, "generations": ("cloud-v2", "gpu", "vms-v3")}

seconds = st.integers(min_value=0, max_value=40 * 86400)
prices = st.sampled_from(("0", "0.0310", "0.007", "1", ".125", "0.000000333"))


def account(balance: str) -> tuple[AccountOptions, ...]:
    return (AccountOptions(balance=balance),)


def charges(market: Marketplace, query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(market, f"/v1/billing/charges/aggregated?{query}").json()
    return rows


@pytest.mark.parametrize("text", ["", ".", "-1", "+1", "1e3", " 1", "NaN", "1/2", "1_0"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a price"):
        hourly_micros(text)


def test_decimal_texts_are_rounded_half_to_even() -> None:
    assert ["0.12", "0.14", "-0.12", "0.00"] == [
        decimal_text(Fraction(text), digits=2) for text in ("0.125", "0.135", "-0.125", "0.004")
    ]


@settings(max_examples=80, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(min_value=0, max_value=200), prices), max_size=5),
    length=st.integers(min_value=0, max_value=300),
    span=st.tuples(st.integers(min_value=-20, max_value=400), st.integers(min_value=-20, max_value=400)),
)
def test_a_meter_counts_second_by_second(changes: list[tuple[int, str]], length: int, span: tuple[int, int]) -> None:
    """The cost of any span is the sum of its seconds, each at the price that held in it."""
    rates = [(0, "0.0310"), *((second, price) for second, price in sorted(changes) if second <= length)]
    meter = Meter(hourly_micros("0.0310"), at=NOON)
    for second, price in rates[1:]:
        meter.set_rate(hourly_micros(price), at=NOON + timedelta(seconds=second))
    meter.stop(at=NOON + timedelta(seconds=length))
    since, until = sorted(span)
    lived = range(max(since, 0), min(until, length))
    expected = sum((hourly_micros([p for s, p in rates if s <= second][-1]) for second in lived), Fraction(0)) / 3600

    assert expected == meter.cost(NOON + timedelta(seconds=since), NOON + timedelta(seconds=until))
    assert meter.cost(NOON, NOON + DAY) == meter.total(until=NOON + DAY)
    assert Fraction(len(lived), 3600) == meter.hours(NOON + timedelta(seconds=since), NOON + timedelta(seconds=until))


@settings(max_examples=40, deadline=None)
@given(
    births=st.tuples(seconds, seconds),
    happenings=st.lists(
        st.tuples(seconds, st.sampled_from(("price", "delete", "terminate", "detach", "top_up")), prices), max_size=6
    ),
    latency=st.integers(min_value=0, max_value=7200),
    steps=st.lists(st.integers(min_value=1, max_value=20 * 86400), max_size=4),
)
def test_money_is_neither_lost_nor_made(
    births: tuple[int, int], happenings: list[tuple[int, str, str]], latency: int, steps: list[int]
) -> None:
    """Balance = opening + top-ups - charges - reserves - meters; days add up to meters; nobody's looking changes that."""
    script: list[dict[str, Any]] = [
        {"at": births[0], "do": "create_vm", "vm": "a", "name": "a", "price": "0.0310", "disks": [["0.0042", 25]]},
        {"at": births[0], "do": "create_ip", "vm": "ip", "name": "ip", "price": "0.005"},
        {"at": births[1], "do": "create_gpu", "vm": "g", "name": "g", "price": "0.755"},
        {"at": births[1], "do": "create", "vm": "old", "name": "old", "price": "1"},
    ]
    for second, action, price in happenings:
        word = "ip" if action == "detach" else "a"
        script.append({"at": second, "do": action, "vm": word, "price": price, "amount": "1.5"})

    def simulated(*, steps: list[int]) -> Simulator:
        simulator = Simulator(
            Options(start=NOON, held=True, delete_latency=timedelta(seconds=latency), script=read_script(script))
        )
        for step in steps:
            simulator.market.clock.advance(timedelta(seconds=step))
            simulator.market.settle()
        simulator.market.clock.set(NOON + 90 * DAY)
        simulator.market.settle()
        return simulator

    market = simulated(steps=steps).market
    books = market.books["main"]
    prepaid = [vm.id for vm in market.vms()] + [instance.id for instance in market.gpu.instances()]
    reserves = sum(books.reserve_of(id) for id in prepaid)
    paid_in = sum(entry.amount for entry in books.entries if entry.kind in ("opening", "top_up"))
    meters = books.meters
    by_day = {
        id: sum((meter.cost(NOON + n * DAY, NOON + (n + 1) * DAY) for n in range(90)), Fraction(0))
        for id, meter in meters.items()
    }

    assert paid_in == books.free(at=market.now) + reserves + sum(books.total_by_vm.values()) + books.metered(
        at=market.now
    )
    assert by_day == {id: meter.total(until=market.now) for id, meter in meters.items()}
    assert books.entries == simulated(steps=[]).market.books["main"].entries


def test_a_vm_its_disks_and_its_address_each_pay_from_creation_to_their_own_end() -> None:
    with marketplace(**CLOUD) as market:
        ids = market.create_vm_cloud("web", "0.0310", [("0.0042", 25), ("0.0100", 100)], "0.0050")
        market.advance(timedelta(minutes=90))
        market.delete(ids.vm)
        market.advance(timedelta(hours=2))
        market.delete(ids.disks[0])
        market.advance(timedelta(seconds=1))

        assert {
            ids.vm: Fraction(31_000 * 3, 2),
            ids.disks[0]: Fraction(4_200 * 7, 2),
            ids.disks[1]: Fraction(10_000 * 12_601, 3600),
            str(ids.ip): Fraction(5_000 * 12_601, 3600),
        } == market.books().metered


def test_a_delete_takes_its_time_and_is_billed_until_it_is_done() -> None:
    with marketplace(**CLOUD, delete_latency=timedelta(minutes=5)) as market:
        ids = market.create_vm_cloud("web", "0.036", [], None)
        market.advance(HOUR)
        market.delete(ids.vm)
        market.advance(DAY)

        assert {ids.vm: Fraction(36_000 * 65, 60)} == market.books().metered
        assert "2026-03-01T13:05:00" == ask(market, f"/v2/vms/{ids.vm}").json()["terminatedAt"][:19]


def test_fractions_of_a_second_are_billed_and_shown_as_they_are() -> None:
    with marketplace(**CLOUD | {"start": NOON.replace(microsecond=250_000)}) as market:
        vm = market.create_vm_cloud("web", "3.6", [], None).vm
        market.set_clock(NOON + timedelta(seconds=1))

        assert {vm: Fraction(750)} == market.books().metered
        assert "2026-03-01T12:00:00.25" == ask(market, f"/v2/vms/{vm}").json()["createdAt"].rstrip("0Z")


def test_a_price_holds_from_the_very_instant_of_its_change() -> None:
    with marketplace(**CLOUD) as market:
        disk = market.create_disk("data", "0.01", 100)
        market.advance(timedelta(minutes=30))
        market.set_price(disk, "0.02")
        market.advance(timedelta(minutes=30))

        assert {disk: Fraction(15_000)} == market.metered()
        assert {disk: Fraction(10_000)} == market.metered(since=NOON + timedelta(minutes=30))
        assert "0.02" == ask(market, f"/v1/storages/{disk}").json()["priceHourlyUsd"]


def test_a_status_that_nobody_pays_for_stops_the_meter_until_the_truth_is_shown_again() -> None:
    with marketplace(**CLOUD) as market:
        vm = market.create_vm_cloud("web", "1", [], None).vm
        market.advance(HOUR)
        market.set_status(vm, "suspended", billed=False)
        market.advance(HOUR)
        market.set_status(vm, None)
        market.advance(HOUR)

        assert {vm: Fraction(2_000_000)} == market.metered()


def test_the_balance_falls_from_instant_to_instant_and_all_generations_share_it() -> None:
    with marketplace(**CLOUD, accounts=account("20")) as market:
        market.create_vm_cloud("web", "0.72", [], None)
        market.create("old", "1")
        market.create_gpu("train", "2")
        opening = 20_000_000 - 2_000_000 - 6_000_000

        assert opening == market.books().balance

        market.advance(timedelta(seconds=1))

        assert opening - 200 == market.books().balance

        market.advance(timedelta(seconds=59) + timedelta(minutes=59))

        assert Fraction(opening - 720_000 - 2_000_000) == market.books().balance_exact
        (entry,) = ask(market, "/v2/users/balances").json()
        assert ("9.280000000000", "5.720000000000") == (entry["balance"], entry["usage"])


def test_a_vm_by_the_epoch_cannot_be_paid_with_what_the_meters_have_used() -> None:
    with marketplace(**CLOUD, accounts=account("8")) as market:
        market.create_vm_cloud("web", "1", [], None)
        market.advance(timedelta(hours=7))

        with pytest.raises(ControlRefused, match="balance too short"):
            market.create("old", "1")


def test_a_balance_below_zero_is_debt_until_it_is_topped_up() -> None:
    with marketplace(**CLOUD, accounts=account("6")) as market:
        market.create_vm_cloud("web", "1", [], None)
        market.top_up("10", at=NOON + timedelta(hours=10))
        market.advance(timedelta(hours=8))
        (entry,) = ask(market, "/v2/users/balances").json()

        assert ("-2.000000000000", "2.000000000000", 0) == (entry["balance"], entry["overage"], entry["usageDaysLeft"])

        market.advance(timedelta(hours=4))

        assert 4_000_000 == market.books().balance
        assert [(1000, "resolved", "2026-03-01T22:00:00")] == [
            (item["amountCents"], item["status"], item["createdAt"][:19])
            for item in ask(market, "/v2/top-ups").json()["items"]
        ]


def test_a_vm_starts_only_where_six_hours_of_everything_are_there() -> None:
    with marketplace(**CLOUD, accounts=account("5.999999")) as market:
        with pytest.raises(ControlRefused, match="6 hours of everything"):
            market.create_vm_cloud("web", "0.5", [("0.3", 10)], "0.2")
        market.create_vm_cloud("web", "0.5", [("0.3", 10)], "0.19")


# Debt.


def test_without_debt_rules_debt_has_no_consequences() -> None:
    with marketplace(**CLOUD, accounts=account("7")) as market:
        market.create_vm_cloud("web", "1")
        market.advance(90 * DAY)

        assert all(resource["live"] for resource in market.resources())


def test_at_more_than_five_dollars_of_debt_vms_and_addresses_go_and_at_twenty_disks() -> None:
    with marketplace(**CLOUD, accounts=account("12"), debt_rules=True) as market:
        ids = market.create_vm_cloud("web", "1.5", [("0.4", 100)], "0.1")
        # 17 dollars at 2 dollars an hour, and not a microsecond more.
        market.set_clock(NOON + timedelta(hours=8, minutes=30))

        assert [True, True, True] == [market.resource(id)["live"] for id in (ids.vm, ids.disks[0], str(ids.ip))]

        market.advance(timedelta(seconds=1))

        assert [False, True, False] == [market.resource(id)["live"] for id in (ids.vm, ids.disks[0], str(ids.ip))]
        assert NOON + timedelta(hours=8, minutes=30, microseconds=1) == datetime.fromisoformat(
            market.resource(ids.vm)["ended_at"]
        )

        # 15 dollars more at 40 cents an hour.
        market.set_clock(NOON + timedelta(hours=8, minutes=30) + timedelta(hours=37, minutes=29))

        assert market.resource(ids.disks[0])["live"]

        market.advance(timedelta(minutes=1))

        assert not market.resource(ids.disks[0])["live"]


def test_a_small_debt_removes_vms_after_three_days_and_disks_ten_days_later() -> None:
    with marketplace(**CLOUD, accounts=account("0.6"), debt_rules=True) as market:
        ids = market.create_vm_cloud("web", "0.009", [("0.001", 10)], None)
        out = NOON + timedelta(hours=60)
        market.set_clock(out + 3 * DAY)

        assert market.resource(ids.vm)["live"]

        market.advance(timedelta(seconds=1))

        assert not market.resource(ids.vm)["live"]

        market.set_clock(out + 13 * DAY)

        assert market.resource(ids.disks[0])["live"]

        market.advance(timedelta(seconds=1))

        assert not market.resource(ids.disks[0])["live"]


def test_a_top_up_in_time_forgives() -> None:
    with marketplace(**CLOUD, accounts=account("6"), debt_rules=True) as market:
        vm = market.create_vm_cloud("web", "1", [], None).vm
        market.set_clock(NOON + timedelta(hours=10))
        market.top_up("100")
        market.set_clock(NOON + timedelta(hours=100))

        assert market.resource(vm)["live"]


# What the provider says about it.


def test_charges_come_by_resource_and_utc_day_and_add_up_to_the_books() -> None:
    with marketplace(**CLOUD) as market:
        ids = market.create_vm_cloud("web", "0.0310", [("0.0042", 25)], "0.0050")
        market.advance(timedelta(hours=30))
        market.delete(ids.vm)
        market.advance(timedelta(hours=100))
        rows = charges(market, "startDate=2026-02-01&endDate=2026-04-01&groupBy=RESOURCE&period=DAY")
        days = market.metered_by_day()

        assert {
            (id, f"{day.isoformat()}T00:00:00Z"): decimal_text(cost / 1_000_000, digits=12)
            for id, costs in days.items()
            for day, cost in costs.items()
        } == {(row["resourceId"], row["periodStart"]): row["totalCost"] for row in rows}
        assert [date(2026, 3, 1), date(2026, 3, 2)] == list(days[ids.vm])
        assert market.books().metered_total == sum(sum(costs.values()) for costs in days.values())
        assert [("VM", "12.000000000000", "1", "cpu-regular-2vcpu-4gb")] == [
            (row["resourceType"], row["totalUsageHours"], row["quantity"], row["vmConfiguration"])
            for row in rows
            if (row["resourceId"], row["periodStart"]) == (ids.vm, "2026-03-01T00:00:00Z")
        ]


def test_charges_are_grouped_filtered_and_cut_to_days() -> None:
    with marketplace(**CLOUD) as market:
        first = market.create_vm_cloud("first", "0.5", [("0.1", 10)], "0.05")
        market.create_vm_cloud("second", "0.5", [], None)
        market.advance(timedelta(days=40))

        def sums(query: str, name: str) -> list[tuple[str | None, str]]:
            return [(row[name], row["totalCost"].rstrip("0")) for row in charges(market, query)]

        whole = "startDate=2026-03-01&endDate=2026-12-31"
        assert [("VM", "960."), ("STORAGE", "96."), ("PUBLIC_IP", "48.")] == sums(
            f"{whole}&groupBy=RESOURCE_TYPE", "resourceType"
        )
        assert ["1104."] == [cost for _, cost in sums(f"{whole}&groupBy=CLUSTER", "clusterId")]
        assert [("2026-03-01T00:00:00Z", "732."), ("2026-04-01T00:00:00Z", "228.")] == sums(
            f"{whole}&groupBy=RESOURCE_TYPE&period=MONTH&resourceType=VM", "periodStart"
        )
        assert [(first.disks[0], "2.4")] == sums(
            f"startDate=2026-03-05&endDate=2026-03-05&resourceId={first.disks[0]}", "resourceId"
        )
        assert [("first", "6."), ("second", "6.")] == sums(
            "startDate=2026-03-01&endDate=2026-03-01&resourceType=VM", "resourceName"
        )
        total = ask(market, "/v1/billing/charges/total?resourceType=VM").json()
        assert ("960.000000000000", "960.000000000000") == (total["total"], total["VM"])
        rows = list(
            csv.DictReader(io.StringIO(ask(market, f"/v1/billing/charges/aggregated?{whole}&format=csv").body.decode()))
        )
        assert [row["totalCost"] for row in charges(market, whole)] == [row["totalCost"] for row in rows]


def test_charges_lag_behind() -> None:
    with marketplace(**CLOUD, charges_lag=timedelta(hours=2)) as market:
        vm = market.create_vm_cloud("web", "1", [], None).vm
        today = "startDate=2026-03-01&endDate=2026-03-01"
        market.advance(timedelta(hours=2))

        assert [] == charges(market, today)

        market.advance(timedelta(hours=1))

        assert [("1.000000000000", "1.000000000000")] == [
            (row["totalCost"], row["totalUsageHours"]) for row in charges(market, today)
        ]
        assert "1.000000000000" == ask(market, "/v1/billing/charges/total").json()["total"]
        assert {vm: Fraction(3_000_000)} == market.books().metered


@pytest.mark.parametrize(
    "query",
    [
        "",
        "startDate=2026-03-01",
        "startDate=2026-3-1&endDate=2026-03-02",
        "startDate=2026-02-30&endDate=2026-03-02",
        "startDate=2026-03-02&endDate=2026-03-01",
        "startDate=2026-03-01&endDate=2026-03-02&groupBy=NAME",
        "startDate=2026-03-01&endDate=2026-03-02&period=HOUR",
        "startDate=2026-03-01&endDate=2026-03-02&format=xml",
        "startDate=2026-03-01&endDate=2026-03-02&resourceId=web",
        "startDate=2026-03-01&endDate=2026-03-02&resourceType=GPU",
    ],
)
def test_malformed_questions_about_charges_are_refused(query: str) -> None:
    with marketplace(**CLOUD) as market:
        assert 400 == ask(market, f"/v1/billing/charges/aggregated?{query}").status
