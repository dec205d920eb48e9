"""The ledger beside the provider's numbers: tables worked out by hand, and what holds for any days and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.billing.history import Basis, Charge, Presence, Reason, Settling
from fluence_costwatch.core.billing.reconciliation import (
    Against,
    BalanceAt,
    Believed,
    Comparison,
    against_balance,
    against_charges,
    against_totals,
    drift_of,
    settled_days,
)
from fluence_costwatch.core.epochs import UTC_HOURS, EpochGrid, Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.ports import ReportedCharge, ResourceRecord
from tests.known import at, known_resource, metered

HOUR = timedelta(hours=1)
CREATED = at("2026-03-01 11:00")


# Totals of prepaid resources


def prepaid(total: str | None = "0.596320", *, last_seen: str = "2026-03-03 11:55", **facts: Any) -> ResourceRecord:
    """A VM created on March 1, two epochs of 0.298160 charged, whose total the provider reports as `total`."""
    of_resource = {"total_spent": None if total is None else Usd.parse(total)}
    return known_resource(last_seen=last_seen, of_resource=of_resource, **{"created_at": CREATED} | facts)


def of_totals(record: ResourceRecord, *, begun: datetime | None = CREATED) -> list[Comparison]:
    return list(against_totals([record], begun={} if begun is None else {record.state.identity: begun}))


def gpu(total: str, *, charged: str, last_seen: str = "2026-03-03 11:30", **facts: Any) -> ResourceRecord:
    return prepaid(
        total,
        generation=Generation.GPU,
        kind=Kind.GPU_VM,
        price="0.76",
        charged=charged,
        start="2026-03-03 11:00",
        length=HOUR,
        grid=UTC_HOURS,
        last_seen=last_seen,
        **facts,
    )


@pytest.mark.parametrize(
    ("record", "drift", "within", "believed"),
    [
        pytest.param(prepaid(), "0", True, Believed.PROVIDER, id="both agree"),
        pytest.param(prepaid("0.596321"), "0.000001", False, Believed.PROVIDER, id="one micro-dollar is a difference"),
        pytest.param(
            prepaid("0.298160"), "-0.298160", False, Believed.PROVIDER, id="the ledger holds an epoch too many"
        ),
        pytest.param(
            prepaid("0.894480", generation=Generation.VMS_V2), "0.298160", False, Believed.NEITHER, id="vms-v2 totals"
        ),
        pytest.param(gpu("1.51", charged="1.52"), "-0.01", True, Believed.PROVIDER, id="two hours rounded to cents"),
        pytest.param(gpu("1.50", charged="1.52"), "-0.02", False, Believed.PROVIDER, id="more than cents can hide"),
        pytest.param(
            prepaid(presence=Presence.GONE), "0", True, Believed.PROVIDER, id="what is gone is compared as last seen"
        ),
    ],
)
def test_a_total_beside_the_ledger(record: ResourceRecord, drift: str, within: bool, believed: Believed) -> None:
    (one,) = of_totals(record)

    assert (Against.TOTAL_SPENT, Decimal(drift), within, believed) == (one.against, one.drift, one.within, one.believed)
    assert Span(record.last_seen, record.last_seen) == one.span


@pytest.mark.parametrize(
    ("record", "begun"),
    [
        pytest.param(prepaid(None), CREATED, id="no total is reported"),
        pytest.param(prepaid("9", created_at=None), CREATED, id="nobody knows when its life began"),
        pytest.param(prepaid("9"), CREATED + HOUR, id="the ledger begins later than its life"),
        pytest.param(prepaid("9"), None, id="the ledger has no row of it"),
        pytest.param(prepaid("9", last_seen="2026-03-03 16:55"), CREATED, id="an hour before a boundary"),
        pytest.param(prepaid("9", last_seen="2026-03-03 18:55"), CREATED, id="an hour after a boundary"),
        pytest.param(
            prepaid("9", settling=Settling(Reason.OPENING_TOTAL, Span(CREATED, CREATED), Usd.parse("9"))),
            CREATED,
            id="it still decides over the opening",
        ),
        pytest.param(prepaid("9", charged_under="other"), CREATED, id="another account is charged for it"),
        pytest.param(gpu("9", charged="1.52", last_seen="2026-03-03 11:02:30"), CREATED, id="just after a full hour"),
    ],
)
def test_a_total_says_nothing_where(record: ResourceRecord, begun: datetime | None) -> None:
    assert [] == of_totals(record, begun=begun)


@pytest.mark.parametrize("last_seen", ["2026-03-03 16:54:59", "2026-03-03 18:55:01"])
def test_a_total_is_read_away_from_boundaries(last_seen: str) -> None:
    assert 1 == len(of_totals(prepaid(last_seen=last_seen)))


def test_a_total_mends_nothing_while_epochs_await_a_price() -> None:
    record = prepaid("9", unpriced=(Span(at("2026-03-01 17:55"), at("2026-03-02 17:55")),))

    (one,) = of_totals(record)

    # They are charged once the price is known; an adjustment would charge them twice.
    assert (False, Believed.NEITHER, None) == (one.within, one.believed, one.adjustment())


# Which days can be compared


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        pytest.param("2026-03-01 00:00", "2026-03-03 12:00", [1, 2], id="whole days since midnight"),
        pytest.param("2026-03-01 00:00:01", "2026-03-03 12:00", [2], id="the first day was not seen from its start"),
        pytest.param("2026-03-01 00:00", "2026-03-03 05:59", [1], id="yesterday may still be charged"),
        pytest.param("2026-03-01 00:00", "2026-03-03 06:00", [1, 2], id="six hours later it is settled"),
        pytest.param("2026-03-02 10:00", "2026-03-03 12:00", [], id="no whole day yet"),
        pytest.param("2026-03-09 00:00", "2026-03-03 12:00", [], id="not even begun"),
    ],
)
def test_settled_days(since: str, now: str, expected: list[int]) -> None:
    assert [date(2026, 3, day) for day in expected] == list(settled_days(since=at(since), now=at(now)))


# Charges of metered resources, by day

MARCH_2 = date(2026, 3, 2)


def row(start: str, end: str, amount: str, *, id: str = "vm-1", reason: Reason = Reason.EPOCH) -> Charge:
    return Charge(
        Identity("main", id), Span(at(start), at(end)), Usd.parse(amount), Basis.OBSERVED, reason, closed=True
    )


def told(cost: str, *, id: str = "vm-1", day: date = MARCH_2) -> ReportedCharge:
    return ReportedCharge(id, f"name of {id}", "vm", day, Decimal(cost))


def of_charges(
    records: Sequence[ResourceRecord],
    rows: Sequence[Charge],
    reported: Sequence[ReportedCharge],
    days: Sequence[date] = (MARCH_2,),
) -> list[Comparison]:
    return list(against_charges("main", records, rows, reported, days=days))


# 17:55 to 17:55 at 0.5 an hour; of March 2, 17 h 55 min lie in the first and 6 h 5 min in the open row.
WRITTEN = row("2026-03-01 17:55", "2026-03-02 17:55", "12")
MACHINE = metered("vm-1", start="2026-03-02 17:55", charged="12", last_seen="2026-03-03 11:55")


@pytest.mark.parametrize(
    ("records", "rows", "reported", "ours", "theirs", "within", "believed"),
    [
        pytest.param(
            [MACHINE], [WRITTEN], [told("12")], "12", "12", True, Believed.PROVIDER, id="written and open rows"
        ),
        pytest.param(
            [MACHINE], [WRITTEN], [told("11.999997")], "12", "11.999997", True, Believed.PROVIDER, id="within rounding"
        ),
        pytest.param(
            [MACHINE], [WRITTEN], [told("11.999996")], "12", "11.999996", False, Believed.PROVIDER, id="beyond rounding"
        ),
        pytest.param(
            [MACHINE], [WRITTEN], [told("5"), told("7.5")], "12", "12.5", False, Believed.PROVIDER, id="entries add up"
        ),
        pytest.param(
            [replace(MACHINE, state=replace(MACHINE.state, presence=Presence.GONE))],
            [WRITTEN],
            [told("8.958333")],
            "8.958333",
            "8.958333",
            True,
            Believed.PROVIDER,
            id="gone: only what is written",
        ),
        pytest.param(
            [MACHINE],
            [WRITTEN, row("2026-03-02 00:00", "2026-03-03 00:00", "0.5", reason=Reason.RECONCILED)],
            [told("12.5")],
            "12.5",
            "12.5",
            True,
            Believed.PROVIDER,
            id="what was adjusted agrees",
        ),
        pytest.param(
            [MACHINE],
            [WRITTEN, row("2026-03-02 09:00", "2026-03-02 09:00", "0.25", reason=Reason.RECONCILED)],
            [told("12.25")],
            "12.25",
            "12.25",
            True,
            Believed.PROVIDER,
            id="a row without length counts where it is dated",
        ),
        pytest.param([], [], [told("3")], "0", "3", False, Believed.NEITHER, id="nobody saw it"),
        pytest.param(
            [known_resource("vm-1")],
            [row("2026-03-01 17:55", "2026-03-02 17:55", "0.298160")],
            [told("12")],
            "0.222585",
            "12",
            False,
            Believed.NEITHER,
            id="in our ledger it is prepaid",
        ),
        pytest.param(
            [metered("vm-1", price=None, start="2026-03-02 17:55")],
            [WRITTEN],
            [told("12")],
            "8.958333",
            "12",
            False,
            Believed.NEITHER,
            id="part of it awaits a price",
        ),
        pytest.param(
            [MACHINE],
            [WRITTEN],
            [told("0.4", id="other", day=date(2026, 3, 1))],
            "12",
            "0",
            False,
            Believed.NEITHER,
            id="the provider charged nobody on that day, so it may lag",
        ),
        pytest.param(
            [MACHINE, metered("vm-2", start="2026-03-03 11:55")],
            [WRITTEN],
            [told("2", id="vm-2")],
            "12",
            "0",
            False,
            Believed.PROVIDER,
            id="the provider charged others but not this one",
        ),
    ],
)
def test_a_day_of_charges_beside_the_ledger(
    records: list[ResourceRecord],
    rows: list[Charge],
    reported: list[ReportedCharge],
    ours: str,
    theirs: str,
    within: bool,
    believed: Believed,
) -> None:
    one = next(one for one in of_charges(records, rows, reported) if one.resource_id == "vm-1")

    assert (Decimal(ours), Decimal(theirs)) == (round(one.ours, 6), one.theirs)
    assert (within, believed, Span(at("2026-03-02 00:00"), at("2026-03-03 00:00"))) == (
        one.within,
        one.believed,
        one.span,
    )


def test_only_the_days_that_are_asked_for_are_compared() -> None:
    reported = [told("1", day=date(2026, 3, day)) for day in (1, 2, 3, 4)]

    assert [date(2026, 3, 2)] == [one.span.start.date() for one in of_charges([MACHINE], [WRITTEN], reported)]


def test_what_another_account_is_charged_for_is_not_compared() -> None:
    assert [] == of_charges([metered(charged_under="other")], [], [told("12")])


def test_a_day_is_not_compared_before_the_resource_was_seen_after_it() -> None:
    blind = metered("vm-1", start="2026-03-02 17:55", charged="12", last_seen="2026-03-02 20:00")

    # When it is seen again the time between is charged; an adjustment would charge it twice.
    assert [] == of_charges([blind], [WRITTEN], [told("12")])


def test_what_has_ended_is_compared_though_it_is_not_seen_any_more() -> None:
    ended = metered("vm-1", billed=False, start="2026-03-02 17:55", last_seen="2026-03-02 20:00")

    assert ["8.958"] == [f"{one.ours:.3f}" for one in of_charges([ended], [WRITTEN], [told("12")])]


def test_names_come_from_the_ledger_else_from_the_provider() -> None:
    names = [one.name for one in of_charges([MACHINE], [WRITTEN], [told("12"), told("1", id="x")])]

    assert ["web", "name of x"] == names


# The balance


def at_noon(day: int, balance: str) -> BalanceAt:
    return BalanceAt(at(f"2026-03-0{day} 12:00"), Decimal(balance))


@pytest.mark.parametrize(
    ("records", "rows", "came_in", "last", "ours", "theirs", "within"),
    [
        pytest.param([], [], "0", "100", "0", "0", True, id="nothing moved"),
        pytest.param([], [], "50", "150", "0", "0", True, id="a top-up is no drift"),
        pytest.param([], [], "50", "149", "0", "1", False, id="a top-up hides nothing"),
        pytest.param(
            [known_resource()],
            [
                row("2026-03-01 17:55", "2026-03-02 17:55", "0.3", id="0xa1"),
                row("2026-03-02 17:55", "2026-03-03 17:55", "0.3", id="0xa1"),
            ],
            "0",
            "99.7",
            "0.3",
            "0.3",
            True,
            id="a prepaid epoch counts at its start",
        ),
        pytest.param(
            [metered("vm-1", start="2026-03-02 17:55", last_seen="2026-03-03 12:00")],
            [row("2026-03-01 17:55", "2026-03-02 17:55", "12")],
            "0",
            "88",
            "12",
            "12",
            True,
            id="metered by time, the open row included",
        ),
        pytest.param(
            [metered("vm-1", start="2026-03-02 17:55", last_seen="2026-03-03 11:59:30")],
            [row("2026-03-01 17:55", "2026-03-02 17:55", "12")],
            "0",
            "88",
            "12",
            "12",
            True,
            id="seen just before the balance was",
        ),
        pytest.param(
            [known_resource()],
            [row("2026-03-02 18:55", "2026-03-02 18:55", "5", id="0xa1", reason=Reason.RECONCILED)],
            "0",
            "100",
            "0",
            "0",
            True,
            id="an adjustment of the ledger moves no balance",
        ),
    ],
)
def test_the_movement_of_a_balance_beside_the_ledger(
    records: list[ResourceRecord], rows: list[Charge], came_in: str, last: str, ours: str, theirs: str, within: bool
) -> None:
    one = against_balance(
        "main", at_noon(2, "100"), at_noon(3, last), came_in=Decimal(came_in), records=records, rows=rows
    )

    assert (Decimal(ours), Decimal(theirs), within) == (round(one.ours, 6), one.theirs, one.within)
    assert (Believed.NEITHER, None, None) == (one.believed, one.resource_id, one.adjustment())


# Drift and adjustments


def compared(theirs: str, *, ours: str = "1", **facts: Any) -> Comparison:
    plain = Comparison(
        "main",
        Against.CHARGES,
        "vm-1",
        "web",
        Span(at("2026-03-02 00:00"), at("2026-03-03 00:00")),
        Decimal(ours),
        Decimal(theirs),
        within=False,
        believed=Believed.PROVIDER,
        because="it is the bill",
    )
    return replace(plain, **facts)


def test_drift_is_summed_by_account_and_side_without_what_is_within_rounding() -> None:
    found = [
        compared("1.5"),
        compared("0.75"),
        compared("1.000001", within=True),
        compared("3", account="other"),
        compared("9", against=Against.BALANCE, within=True),
    ]

    assert {
        ("main", Against.CHARGES): Decimal("0.25"),
        ("other", Against.CHARGES): Decimal(2),
        ("main", Against.BALANCE): Decimal(0),
    } == drift_of(found)


@pytest.mark.parametrize(
    ("one", "amount"),
    [
        pytest.param(compared("1.5"), "0.5", id="too little"),
        pytest.param(compared("0.25"), "-0.75", id="too much"),
        pytest.param(compared("1.00000149"), "0.000001", id="rounded to a micro-dollar"),
        pytest.param(compared("1.0000004"), None, id="less than a micro-dollar"),
        pytest.param(compared("1.5", within=True), None, id="it agrees"),
        pytest.param(compared("1.5", believed=Believed.NEITHER), None, id="the provider is not believed"),
        pytest.param(compared("1.5", resource_id=None), None, id="of no resource"),
    ],
)
def test_what_mends_the_ledger(one: Comparison, amount: str | None) -> None:
    adjustment = one.adjustment()

    if amount is None:
        assert adjustment is None
    else:
        expected = Charge(
            Identity("main", "vm-1"), one.span, Usd.parse(amount), Basis.REPORTED, Reason.RECONCILED, closed=True
        )
        assert expected == adjustment


seconds = st.integers(0, 6 * 86_400)
amounts = st.integers(-5_000_000, 5_000_000).map(Usd)
START = at("2026-03-01 00:00")
spans = st.tuples(seconds, seconds).map(
    lambda drawn: Span(START + timedelta(seconds=min(drawn)), START + timedelta(seconds=max(drawn)))
)
WEEK = tuple(date(2026, 3, day) for day in range(1, 9))


@given(st.lists(st.tuples(spans, amounts), max_size=5))
def test_the_days_of_all_rows_sum_up_to_the_rows(drawn: list[tuple[Span, Usd]]) -> None:
    rows = [Charge(Identity("main", "vm-1"), span, amount, Basis.OBSERVED, closed=True) for span, amount in drawn]

    found = of_charges([metered(billed=False)], rows, [], days=WEEK)

    exact = sum((row.amount.dollars for row in rows), Decimal(0))
    assert abs(sum((one.ours for one in found), Decimal(0)) - exact) < Decimal("1e-18")


@given(st.lists(st.tuples(spans, amounts), max_size=5), st.dictionaries(st.sampled_from(WEEK), amounts, min_size=1))
def test_adjustments_make_the_ledger_agree(drawn: list[tuple[Span, Usd]], bill: Mapping[date, Usd]) -> None:
    machine = metered(billed=False)
    rows = [Charge(Identity("main", "vm-1"), span, amount, Basis.OBSERVED, closed=True) for span, amount in drawn]
    reported = [told(str(amount), day=day) for day, amount in bill.items()]

    adjustments = [
        row for row in (one.adjustment() for one in of_charges([machine], rows, reported, days=WEEK)) if row is not None
    ]

    after = of_charges([machine], [*rows, *adjustments], reported, days=WEEK)
    assert [] == [one for one in after if not one.within and one.believed is Believed.PROVIDER]
    assert all(one.ours == one.theirs or one.within for one in after if one.span.start.date() in bill)


@given(st.tuples(seconds, seconds, seconds).map(sorted), st.integers(1, 10_000_000))
def test_a_balance_moves_by_the_same_in_one_stretch_or_two(moments: list[int], micros: int) -> None:
    first, middle, last = (BalanceAt(START + timedelta(seconds=each), Decimal(0)) for each in moments)
    grid = EpochGrid()
    rows = [
        Charge(Identity("main", id), span, Usd(micros), Basis.OBSERVED, closed=True)
        for span in grid.touching(START, START + timedelta(days=7))
        for id in ("vm-1", "0xa1")
    ]
    records = [metered(billed=False), known_resource()]

    def spent(one: BalanceAt, other: BalanceAt) -> Decimal:
        return against_balance("main", one, other, came_in=Decimal(0), records=records, rows=rows).ours

    assert abs(spent(first, middle) + spent(middle, last) - spent(first, last)) < Decimal("1e-18")


instants = st.integers(0, 60 * 86_400).map(lambda second: at("2026-01-01 00:00") + timedelta(seconds=second))


@given(instants, instants)
def test_settled_days_lie_wholly_in_what_was_watched(since: datetime, now: datetime) -> None:
    days = settled_days(since=since, now=now)

    starts = [datetime(each.year, each.month, each.day, tzinfo=UTC) for each in days]
    assert all(since <= start and start + timedelta(days=1, hours=6) <= now for start in starts)
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(starts))
