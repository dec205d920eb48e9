"""The worked examples of the watch: anchor 17:55 UTC, 24 hours, a poll every five minutes, another VM throughout."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from fluence_costwatch.core.billing.history import Basis, Cause, Presence
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Generation
from tests.watch import DAY, OTHER, Watch, day, usd, vm

WEB = vm("web")


def test_first_sight_on_day_1_to_last_sight_on_day_3_is_four_charges() -> None:
    watch = Watch()
    watch.polls(day(0, "00:00"), day(1, "11:55"), OTHER)
    watch.polls(day(1, "12:00"), day(3, "18:00"), OTHER, WEB)
    watch.polls(day(3, "18:05"), day(6), OTHER)

    assert [day(n, "17:55") for n in range(4)] == [row.span.start for row in watch.epochs()]
    assert usd("1.192640") == watch.total()
    assert Presence.GONE is watch.state().presence


def test_gone_from_17_50_of_day_2_is_two_charges() -> None:
    watch = Watch()
    watch.polls(day(1, "12:00"), day(2, "17:45"), OTHER, WEB)
    watch.polls(day(2, "17:50"), day(4), OTHER)

    assert [day(0, "17:55"), day(1, "17:55")] == [row.span.start for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(4))


def test_present_at_17_55_exactly_is_charged_for_the_epoch_that_begins_then() -> None:
    watch = Watch()
    watch.polls(day(1, "12:00"), day(2, "17:55"), OTHER, WEB)
    watch.polls(day(2, "18:00"), day(4), OTHER)

    assert Span(day(2, "17:55"), day(3, "17:55")) == watch.epochs()[-1].span
    assert Basis.OBSERVED is watch.epochs()[-1].basis


def test_an_outage_from_day_2_to_day_5_leaves_no_hole() -> None:
    watch = Watch()
    watch.polls(day(1, "12:00"), day(2, "12:00"), OTHER, WEB)
    watch.polls(day(5, "12:00"), day(5, "13:00"), OTHER, WEB)

    assert [day(n, "17:55") for n in range(5)] == [row.span.start for row in watch.epochs()]
    assert [Basis.OBSERVED, Basis.OBSERVED, Basis.INFERRED, Basis.INFERRED, Basis.OBSERVED] == [
        row.basis for row in watch.epochs()
    ]
    assert usd("0") == watch.uncertain(day(5, "13:00"))


def test_absent_after_an_outage_is_charged_through_the_last_sighting_and_the_rest_is_uncertain() -> None:
    watch = Watch()
    watch.polls(day(1, "12:00"), day(2, "12:00"), OTHER, WEB)
    watch.polls(day(5, "12:00"), day(5, "13:00"), OTHER)

    assert usd("0.596320") == watch.total()
    assert usd("0.894480") == watch.uncertain(day(5, "13:00"))
    assert {Cause.AFTER_LAST_SIGHT} == {one.cause for one in watch.state().doubts}
    assert [day(n, "17:55") for n in (2, 3, 4)] == [one.span.start for one in watch.state().doubts]


def test_a_price_changed_at_noon_applies_from_the_next_boundary() -> None:
    watch = Watch()
    watch.polls(day(1, "06:00"), day(1, "11:55"), OTHER, WEB)
    watch.polls(day(1, "12:00"), day(2, "12:00"), OTHER, vm("web", price=Decimal("0.5")))

    assert [usd("0.298160"), usd("0.5")] == [row.amount for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(2, "12:00"))


V3 = {"price": Decimal("0.30697"), "status": "Active"}


def test_on_a_reported_boundary_the_first_epoch_ends_there_and_the_next_begins_there() -> None:
    web = vm("web", created_at=day(1, "11:23:05"), next_charge_at=day(1, "11:55:09"), **V3)
    later = vm("web", created_at=day(1, "11:23:05"), next_charge_at=day(2, "11:55:09"), **V3)
    watch = Watch(Generation.VMS_V3)
    watch.polls(day(1, "11:25"), day(1, "11:55"), OTHER, web)
    assert [Span(day(1, "11:23:05"), day(1, "11:55:09"))] == [row.span for row in watch.epochs()]

    watch.polls(day(1, "12:00"), day(1, "13:00"), OTHER, later)

    assert Span(day(1, "11:55:09"), day(2, "11:55:09")) == watch.epochs()[-1].span
    assert usd("0.613940") == watch.total()


def test_a_charge_time_that_wobbles_by_two_minutes_for_ten_days_is_one_charge_a_day() -> None:
    watch = Watch(Generation.VMS_V3)
    created, boundary = day(0, "09:00"), day(0, "15:00")
    wobbles = [-120, 35, 0, 119, -77, 60, 120, -3]
    moment, turn = day(0, "10:00"), 0
    while moment < day(10, "10:00"):
        due = boundary + DAY * ((moment - boundary) // DAY + 1)
        wobbled = due + timedelta(seconds=wobbles[turn % len(wobbles)])
        watch.look(moment, OTHER, vm("web", created_at=created, next_charge_at=wobbled, **V3))
        moment, turn = moment + timedelta(minutes=5), turn + 1

    spans = [row.span for row in watch.epochs()]
    assert 11 == len(spans)
    assert all(first.end == second.start for first, second in pairwise(spans))
    assert created == spans[0].start
    assert usd("0.30697") * 11 == watch.total()


def test_a_reported_total_decides_what_a_life_before_the_first_look_has_cost() -> None:
    web = vm("web", created_at=day(1, "12:00"), next_charge_at=day(9, "17:55"), total_spent=usd("2.45576"), **V3)
    watch = Watch(Generation.VMS_V3)
    watch.polls(day(9, "12:00"), day(9, "12:30"), OTHER, web)

    assert usd("2.45576") == watch.total()
    assert 9 == len(watch.epochs())
    assert [(day(1, "12:00"), usd("-0.30697"), Basis.REPORTED)] == [
        (row.span.start, row.amount, row.basis) for row in watch.corrections()
    ]
    assert usd("0") == watch.uncertain(day(9, "12:30"))
