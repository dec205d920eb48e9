"""When a balance ends: tables worked out by hand, and what holds for any fleet."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.outlook import outlook_of
from fluence_costwatch.core.budgets.runway import HORIZON, Flow, Runway, Stair, runway_of
from fluence_costwatch.core.epochs import UTC_HOURS
from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.ports import ResourceRecord
from tests.known import at, known_balance, known_resource, metered

NOW = at("2026-03-01 12:00")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def flow(per_hour: str, *, is_disk: bool = False) -> Flow:
    return Flow(Decimal(per_hour), is_disk=is_disk)


def stair(next_at: str, price: str, *, length: timedelta = DAY) -> Stair:
    return Stair(at(next_at), length, Decimal(price))


@pytest.mark.parametrize(
    ("balance", "flows", "stairs", "expected"),
    [
        pytest.param("12", [flow("0.5")], [], "2026-03-02 12:00", id="a flow uses it up evenly"),
        pytest.param("12", [flow("0.3"), flow("0.2")], [], "2026-03-02 12:00", id="flows add up"),
        pytest.param("1", [flow("0.0003")], [], "2026-07-18 09:20", id="1/0.0003 h are 3333 h 20 min"),
        pytest.param("2.5", [], [stair("2026-03-01 17:55", "1")], "2026-03-03 17:55", id="the third charge fails"),
        pytest.param("2", [], [stair("2026-03-01 17:55", "1")], "2026-03-03 17:55", id="the second one is just paid"),
        pytest.param("0.99", [], [stair("2026-03-01 17:55", "1")], "2026-03-01 17:55", id="not even one is paid"),
        pytest.param("5", [], [stair("2026-03-01 12:00", "6")], "2026-03-01 12:00", id="due at this very moment"),
        pytest.param(
            "10", [flow("1")], [stair("2026-03-01 17:55", "5")], "2026-03-01 17:55", id="a charge after what has flowed"
        ),
        pytest.param(
            "15", [flow("1")], [stair("2026-03-01 18:00", "5")], "2026-03-01 22:00", id="it flows on after a charge"
        ),
        pytest.param("11", [flow("1")], [stair("2026-03-01 18:00", "5")], "2026-03-01 18:00", id="a charge takes all"),
        pytest.param(
            "3",
            [],
            [stair("2026-03-01 13:00", "1", length=HOUR), stair("2026-03-01 17:55", "9")],
            "2026-03-01 16:00",
            id="an hourly charge beside a daily one",
        ),
        pytest.param("-0.000001", [], [], "2026-03-01 12:00", id="debt has ended already"),
        pytest.param("-3", [flow("1")], [], "2026-03-01 12:00", id="debt with costs has ended already"),
        pytest.param("0", [flow("1")], [], "2026-03-01 12:00", id="nothing is left for what flows"),
        pytest.param("0", [], [stair("2026-03-01 17:55", "1")], "2026-03-01 17:55", id="paid up until the next charge"),
        pytest.param("0", [], [], None, id="nothing left and nothing owed never ends"),
        pytest.param("5", [], [], None, id="nothing costs anything"),
        pytest.param("5", [flow("0")], [stair("2026-03-01 17:55", "0")], None, id="a price of zero costs nothing"),
        pytest.param("87601", [flow("1")], [], None, id="further ahead than ten years"),
    ],
)
def test_the_balance_ends(balance: str, flows: list[Flow], stairs: list[Stair], expected: str | None) -> None:
    ends_at = runway_of(Decimal(balance), at=NOW, flows=flows, stairs=stairs).ends_at

    assert (None if expected is None else at(expected)) == ends_at


@pytest.mark.parametrize(
    ("balance", "flows", "expected"),
    [
        pytest.param(
            "12",
            [flow("0.5")],
            Runway(at("2026-03-02 12:00"), at("2026-03-02 22:00")),
            id="a debt of 5 USD comes first; there are no disks",
        ),
        pytest.param(
            "1",
            [flow("0.01")],
            Runway(at("2026-03-05 16:00"), at("2026-03-08 16:00")),
            id="three days come first",
        ),
        pytest.param(
            "10",
            [flow("0.5"), flow("0.5", is_disk=True)],
            Runway(at("2026-03-01 22:00"), at("2026-03-02 03:00"), at("2026-03-02 18:00")),
            id="disks stay until a debt of 20 USD",
        ),
        pytest.param(
            "1",
            [flow("0.01", is_disk=True)],
            Runway(at("2026-03-05 16:00"), at("2026-03-08 16:00"), at("2026-03-08 16:00")),
            id="disks go with the machines after three days",
        ),
        pytest.param(
            "-6",
            [flow("1", is_disk=True)],
            Runway(NOW, NOW, at("2026-03-02 02:00")),
            id="with more than 5 USD of debt machines may go at once",
        ),
        pytest.param("-25", [flow("1", is_disk=True)], Runway(NOW, NOW, NOW), id="with more than 20 USD disks, too"),
    ],
)
def test_at_the_worst_the_debt_rules_take(balance: str, flows: list[Flow], expected: Runway) -> None:
    assert expected == runway_of(Decimal(balance), at=NOW, flows=flows, stairs=[])


def test_what_outlasts_the_horizon_by_little_still_ends() -> None:
    assert NOW + HORIZON - HOUR == runway_of(Decimal(87_599), at=NOW, flows=[flow("1")], stairs=[]).ends_at


def test_thousands_of_cheap_resources_take_no_time() -> None:
    stairs = [Stair(NOW + number * MICROSECOND, timedelta(seconds=20), Decimal("0.000001")) for number in range(5_000)]
    started = time.monotonic()

    runway_of(Decimal(5_000), at=NOW, flows=[], stairs=stairs)

    # A tenth of a second on two slow cores; charge by charge it would be minutes.
    assert 5 > time.monotonic() - started


prices = st.decimals(min_value=0, max_value=3, places=6)
flows = st.lists(st.builds(Flow, prices, is_disk=st.booleans()), max_size=3)
stairs = st.lists(
    st.builds(
        Stair,
        st.integers(0, 3 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
        st.sampled_from([HOUR, DAY, timedelta(hours=7)]),
        prices,
    ),
    max_size=3,
)
balances = st.decimals(min_value=0, max_value=60, places=6)


def cost(flows: list[Flow], stairs: list[Stair], *, until: timedelta, included: bool) -> Fraction:
    """What falls due from NOW on within `until`, charges at its very end `included` or not; counted one by one."""
    hours = Fraction(until // MICROSECOND, HOUR // MICROSECOND)
    total = sum((Fraction(one.per_hour) for one in flows), Fraction(0)) * hours
    for one in stairs:
        due = one.next_at
        while due < NOW + until or (included and due == NOW + until):
            total += Fraction(one.price)
            due += one.length
    return total


@given(balances, flows, stairs)
def test_the_balance_covers_all_until_its_end_and_nothing_beyond(
    balance: Decimal, flows: list[Flow], stairs: list[Stair]
) -> None:
    ends_at = runway_of(balance, at=NOW, flows=flows, stairs=stairs).ends_at
    horizon = timedelta(days=90)
    covered = horizon if ends_at is None else min(ends_at - NOW, horizon)

    assert cost(flows, stairs, until=covered, included=False) <= Fraction(balance)
    if ends_at is not None and ends_at - NOW < horizon:
        assert cost(flows, stairs, until=covered + MICROSECOND, included=True) > Fraction(balance)


@given(balances, balances, flows, stairs)
def test_more_money_never_ends_earlier_and_the_worst_never_comes_before_the_end(
    balance: Decimal, more: Decimal, flows: list[Flow], stairs: list[Stair]
) -> None:
    less, richer = (runway_of(each, at=NOW, flows=flows, stairs=stairs) for each in (balance, balance + more))

    if richer.ends_at is not None:
        assert less.ends_at is not None
        assert less.ends_at <= richer.ends_at
        assert richer.machines_removed_at is not None
        assert richer.ends_at <= richer.machines_removed_at <= richer.ends_at + timedelta(days=3)
        disks = richer.disks_removed_at
        assert (disks is not None) == any(each.is_disk for each in flows)
        assert disks is None or richer.machines_removed_at <= disks


# From what is known of an account


NOTED = known_balance(at_="2026-03-03 12:00", vms="5", gpu="7")


def test_the_entries_of_a_balance_are_summed() -> None:
    outlook = outlook_of(NOTED, [metered()])

    assert (Decimal(12), at("2026-03-03 12:00")) == (outlook.balance, outlook.as_of)
    assert (("vms", Decimal(5)), ("gpu", Decimal(7))) == outlook.features
    assert at("2026-03-04 12:00") == outlook.runway.ends_at


def test_all_generations_draw_on_the_balance() -> None:
    gpu = known_resource(
        "gpu-1",
        generation=Generation.GPU,
        kind=Kind.GPU_VM,
        price="1",
        start="2026-03-03 11:00",
        length=HOUR,
        grid=UTC_HOURS,
    )
    daily = known_resource("0xa1", price="2", start="2026-03-02 17:55")

    outlook = outlook_of(NOTED, [metered("d-1", kind=Kind.STORAGE, price="0.1"), gpu, daily])

    # 12:00 to 18:00: seven charges of 1 and one of 2 at 17:55 are 9, 0.6 flowed. 3 - 0.6 is left: 19:00 and 20:00.
    assert at("2026-03-03 21:00") == outlook.runway.ends_at
    assert outlook.runway.disks_removed_at is not None


def test_boundaries_that_passed_before_the_balance_was_noted_do_not_count() -> None:
    late = known_resource(price="12", start="2026-02-20 17:55")

    assert at("2026-03-04 17:55") == outlook_of(NOTED, [late]).runway.ends_at


@pytest.mark.parametrize(
    "free",
    [
        pytest.param(metered(presence=Presence.GONE), id="gone"),
        pytest.param(metered(billed=False), id="in an uncharged status"),
        pytest.param(metered(retired=True), id="no longer watched"),
        pytest.param(metered(charged_under="other"), id="charged under another account"),
    ],
)
def test_what_is_not_charged_on_does_not_draw_on_the_balance(free: ResourceRecord) -> None:
    assert Runway(None) == outlook_of(NOTED, [free]).runway


def test_without_a_price_the_end_may_come_earlier() -> None:
    known, unknown = metered(), metered("vm-2", price=None)

    assert not outlook_of(NOTED, [known]).is_latest
    assert outlook_of(NOTED, [known, unknown]).is_latest
    assert at("2026-03-04 12:00") == outlook_of(NOTED, [known, unknown]).runway.ends_at
