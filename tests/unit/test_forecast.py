from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal

import pytest

from fluence_costwatch.core.billing.history import Basis, Charge, Reason
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.budgets.budgeting import statuses
from fluence_costwatch.core.budgets.forecast import Boundaries, Foreseen, Meter, foreseen, part_of
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.ports import ChargeRecord
from tests.known import DAY, NOW, Facts, at, known_charge, known_resource, metered, watched
from tests.watch import usd

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("first", "length", "expected"),
    [
        pytest.param("2026-03-01 00:00", DAY, 7, id="the start of the window belongs to it"),
        pytest.param("2026-03-08 00:00", DAY, 0, id="its end does not"),
        pytest.param("2026-03-07 23:59", DAY, 1, id="just before the end"),
        pytest.param("2026-02-20 17:55", DAY, 7, id="long before, in phase"),
        pytest.param("2026-02-20 17:55", HOUR, 7 * 24, id="by the hour"),
        pytest.param("2026-02-20 17:55", 10 * DAY, 1, id="longer than the window, within"),
        pytest.param("2026-02-26 17:55", 10 * DAY, 0, id="longer than the window, not within"),
        pytest.param("2026-03-02 17:55", None, 1, id="once, within"),
        pytest.param("2026-02-28 17:55", None, 0, id="once, before"),
    ],
)
def test_boundaries_are_counted_in_a_half_open_window(first: str, length: timedelta | None, expected: int) -> None:
    assert expected == Boundaries(at(first), length).count(at("2026-03-01 00:00"), at("2026-03-08 00:00"))


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(None, "0.000003", id="the whole time"),
        pytest.param("2026-03-01 00:00", "0.000003", id="all of it"),
        pytest.param("2026-03-01 12:00", "0.000002", id="half of it, rounded half-even"),
        pytest.param("2026-03-02 00:00", "0", id="over before"),
    ],
)
def test_a_part_of_an_amount_is_that_of_its_time(since: str | None, expected: str) -> None:
    span = Span(at("2026-03-01 00:00"), at("2026-03-02 00:00"))
    assert usd(expected) == part_of(usd("0.000003"), span, since=None if since is None else at(since))


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        pytest.param("2026-03-01 00:00", "2026-03-01 12:00", 2, id="within the open row"),
        pytest.param("2026-03-01 00:00", "2026-03-01 17:55", Decimal(7) + Decimal(55) / 60, id="to its end"),
        pytest.param("2026-03-01 12:00", "2026-03-01 14:00", 2, id="a part of the open row"),
        pytest.param("2026-03-01 16:55", "2026-03-01 18:55", 2, id="over its end"),
        pytest.param("2026-03-01 20:00", "2026-03-01 22:00", 2, id="within the second row"),
        pytest.param("2026-03-05 20:00", "2026-03-05 22:00", 2, id="within a later row"),
        pytest.param("2026-03-05 17:55", "2026-03-06 17:55", 24, id="one whole row"),
        pytest.param("2026-03-05 16:00", "2026-03-05 20:00", 4, id="over a boundary"),
        pytest.param("2026-03-05 16:00", "2026-03-08 20:00", 76, id="over whole rows and parts of two"),
        pytest.param("2026-03-01 00:00", "2026-03-02 20:00", 34, id="from the open row into the third"),
        pytest.param("2026-03-01 00:00", "2026-03-01 09:00", 0, id="before it began"),
    ],
)
def test_a_meter_charges_every_row_of_a_window(since: str, until: str, hours: Decimal) -> None:
    open_row = Span(at("2026-03-01 10:00"), at("2026-03-01 17:55"))
    meter = Meter(Decimal("0.36"), open_row, EpochGrid(), at("2026-03-01 11:00"))

    assert usd("0.36").micros * hours == meter.charged(at(since), at(until)).micros


def test_a_row_that_ends_off_the_grid_is_followed_by_one_that_ends_on_it() -> None:
    meter = Meter(
        Decimal("0.36"), Span(at("2026-03-01 10:00"), at("2026-03-01 12:00")), EpochGrid(), at("2026-03-01 11:00")
    )
    assert usd("0.72") == meter.charged(at("2026-03-01 11:00"), at("2026-03-01 13:00"))
    assert usd("10.80") == meter.charged(at("2026-03-01 10:00"), at("2026-03-02 16:00"))


def test_what_is_charged_alike_is_one_staircase_or_one_meter() -> None:
    ahead = foreseen(
        [
            known_resource("0xa1"),
            known_resource("0xb2", price="1"),
            metered("vm-1"),
            metered("vm-2"),
            known_resource("0xc3", billed=False),
            metered("vm-3", price=None, billed=False),
        ]
    )
    assert (((Boundaries(at("2026-03-03 17:55"), DAY), usd("1.298160"), 2),), [2], False) == (
        ahead.stairs,
        [many for _, many in ahead.meters],
        ahead.at_least,
    )
    assert foreseen([metered(price=None)]).at_least
    assert foreseen([known_resource(price="0.0000001")]).at_least


def test_a_meter_whose_row_was_cut_goes_on_to_the_next_boundary() -> None:
    start = at("2026-03-02 18:00")
    cut = metered("vm-1", price="1", epoch=Span(start, start), last_seen="2026-03-02 18:00")

    assert usd("30") == foreseen([cut]).metered(start, start + 30 * HOUR)


@pytest.mark.parametrize(
    ("needed", "expected"),
    [
        pytest.param("0.5", "2026-03-01 06:00", id="a charge once, late"),
        pytest.param("0.6", "2026-03-01 12:00", id="the first of many"),
        pytest.param("1.5", "2026-03-01 12:00", id="reached exactly by it"),
        pytest.param("2", "2026-03-01 16:00", id="by the meter, which was last seen at 14:00"),
        pytest.param("9", "2026-03-02 12:00", id="beyond the window"),
    ],
)
def test_the_instant_at_which_an_amount_is_reached(needed: str, expected: str) -> None:
    ahead = Foreseen(
        stairs=(
            (Boundaries(at("2026-03-01 06:00"), None), usd("0.5"), 1),
            (Boundaries(at("2026-02-28 06:00"), None), usd("7"), 1),
            (Boundaries(at("2026-02-25 12:00"), DAY), usd("1"), 1),
        ),
        meters=(
            (
                Meter(
                    Decimal("0.25"),
                    Span(at("2026-02-28 17:55"), at("2026-03-01 17:55")),
                    EpochGrid(),
                    at("2026-03-01 14:00"),
                ),
                1,
            ),
        ),
    )
    assert at(expected) == ahead.reaches(usd(needed), since=at("2026-03-01 00:00"), until=at("2026-03-02 12:00"))


def test_a_crossing_minds_only_what_is_selected_and_what_was_given_back() -> None:
    web = known_resource("0xa1")
    rock = metered("vm-1", start="2026-03-02 17:55")
    refund = Charge(
        Identity("main", "vm-1"),
        Span(at("2026-03-02 12:00"), at("2026-03-02 12:00")),
        usd("-1"),
        Basis.REPORTED,
        Reason.RECONCILED,
        closed=True,
    )
    rows = (
        known_charge("2026-03-01 17:55", "12", id="vm-1"),
        known_charge("2026-03-02 11:00", "50"),
        ChargeRecord(refund, None, "vm"),
        known_charge("2026-03-02 17:55", "0.3"),
    )
    facts = Facts((web, rock, metered("vm-2", start="2026-03-02 18:55")), rows)
    one = Budget("one", usd("11"), Window.MONTH, UTC, Selector(ids=("vm-1",)))
    both = replace(one, limit=usd("12"), select=Selector(ids=("vm-1", "vm-2")))
    found = statuses([one, replace(one, limit=usd("11.5")), both], facts, watched=watched(), now=NOW)

    # 9.041667 by noon of the 2nd; that less 1 and half a dollar an hour from there on.
    assert [at("2026-03-02 17:55"), at("2026-03-02 18:55"), at("2026-03-02 19:25")] == [
        None if each.exhausted_at is None else each.exhausted_at.replace(second=0, microsecond=0) for each in found
    ]
