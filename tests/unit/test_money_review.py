"""Where money could be lost or counted twice: lives that end badly, terms that change, clocks and amounts that lie."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from fluence_costwatch.core.billing.history import Cause, seen_last
from fluence_costwatch.core.billing.ledger import doubts_of, is_at_least, spent_total
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Kind, Resource
from tests.watch import OTHER, PRICE, Watch, day, metered, usd, vm

CLOUD_OTHER = metered("other")


def cloud(*looks: tuple[datetime, Resource | None]) -> Watch:
    """A watch of the metered cloud: at each look, another machine and the one given."""
    watch = Watch(Generation.CLOUD_V2)
    for moment, shown in looks:
        watch.look(moment, CLOUD_OTHER, *(() if shown is None else (shown,)))
    return watch


def spent(watch: Watch, name: str = "web") -> Usd:
    watch.total(name)
    state = watch.state(name)
    return spent_total(state, seen=seen_last(state, watch.history.lists))


# Metered: gone and back


def test_a_machine_that_seemed_gone_and_is_told_to_have_ended_later_is_charged_to_its_end() -> None:
    web = metered(created_at=day(0, "18:00"))
    ended = replace(web, status="terminated", status_changed_at=day(0, "23:00"))
    watch = cloud((day(0, "19:00"), web), (day(0, "20:00"), None), (day(0, "21:00"), None), (day(1, "00:00"), ended))

    assert usd("0.05") == spent(watch)
    assert usd("0") == watch.uncertain(day(1))


def test_a_machine_that_seemed_gone_over_a_reporting_boundary_and_ended_after_it_is_charged_once() -> None:
    web = metered(created_at=day(0, "16:00"))
    ended = replace(web, status="terminated", status_changed_at=day(2, "17:00"))
    watch = cloud((day(0, "17:00"), web), (day(0, "20:00"), None), (day(0, "21:00"), None), (day(3, "00:00"), ended))

    assert usd("0.49") == spent(watch)


def test_time_without_a_price_is_charged_once_when_a_machine_that_seemed_gone_comes_back_with_one() -> None:
    nameless, web = metered(created_at=day(0, "18:00"), price=None), metered(created_at=day(0, "18:00"))
    watch = cloud(
        (day(0, "19:00"), nameless),
        (day(0, "20:00"), None),
        (day(0, "21:00"), None),
        (day(0, "22:00"), web),
        (day(0, "23:00"), web),
    )

    assert usd("0.05") == spent(watch)
    assert not watch.state().unpriced


def test_the_open_row_of_a_life_is_written_when_its_id_comes_back_as_another_machine() -> None:
    first, second = metered(created_at=day(0, "18:00")), metered(created_at=day(1, "02:00"))
    watch = cloud((day(1, "00:00"), first), (day(1, "01:00"), None), (day(1, "03:00"), second))

    assert usd("0.07") == spent(watch)
    assert [usd("0.02")] == [one.amount for one in watch.state().doubts]


def test_an_epoch_that_began_unseen_before_another_life_is_uncertain() -> None:
    first, second = vm(created_at=day(0, "12:00")), vm(created_at=day(2, "02:00"))
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, first)
    watch.look(day(1, "20:00"), OTHER)
    watch.look(day(2, "03:00"), OTHER, second)

    assert PRICE * 2 == watch.total().dollars
    assert PRICE * 2 == watch.uncertain(day(2, "03:00")).dollars


def test_an_end_before_the_creation_is_not_believed() -> None:
    web = metered(created_at=day(0, "18:00"))
    ended = replace(web, status="terminated", status_changed_at=day(-9, "23:00"))
    watch = cloud((day(0, "20:00"), web), (day(0, "21:00"), ended))

    assert usd("0.02") == spent(watch)
    assert usd("0.01") == watch.uncertain(day(1))


# Metered: values that are missing, clocks that go back


def test_unseen_time_of_a_machine_without_creation_or_price_is_unknown_and_not_zero() -> None:
    watch = cloud((day(0, "19:00"), None), (day(0, "20:00"), metered(price=None)))

    assert is_at_least(watch.state())


def test_unseen_time_before_a_machine_is_charged_again_is_unknown_where_its_price_is() -> None:
    over = metered(created_at=day(0, "18:00"), price=None, status="terminated")
    watch = cloud((day(0, "19:00"), over), (day(0, "20:00"), replace(over, status="launched")))

    assert is_at_least(watch.state())


@pytest.mark.parametrize("price", [Decimal("0.02"), Decimal("0.01")])
@pytest.mark.parametrize("created", [day(0, "18:00"), None])
def test_a_clock_that_goes_back_neither_ends_the_watch_nor_charges_twice(
    price: Decimal, created: datetime | None
) -> None:
    web = metered(created_at=created)
    watch = cloud((day(0, "20:00"), web), (day(0, "19:50"), replace(web, price=price)))
    watch.look(day(0, "19:40"), CLOUD_OTHER, metered("fresh"), replace(web, price=price))
    watch.look(day(0, "20:00"), CLOUD_OTHER, metered("fresh"), replace(web, price=price))

    since = created or day(0, "20:00")
    assert usd("0.01") * int((day(0, "20:00") - since) / timedelta(hours=1)) <= spent(watch)


# One id, other terms


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("created", [day(0, "12:00"), None])
def test_a_prepaid_machine_that_is_metered_from_now_on_pays_no_epoch_by_the_hour(
    rank: int, created: datetime | None
) -> None:
    watch = Watch(rank=1)
    watch.look(day(0, "12:00"), generation=Generation.CLOUD_V2, rank=rank)
    watch.look(day(0, "12:05"), OTHER, vm(created_at=created))
    watch.look(day(0, "20:00"), OTHER, vm(created_at=created))
    watch.look(day(0, "20:05"), OTHER)
    watch.look(day(0, "20:10"), OTHER)
    watch.look(day(0, "20:15"), metered(created_at=created), generation=Generation.CLOUD_V2, rank=rank)
    prepaid = watch.total()
    watch.look(day(2, "17:55"), metered(created_at=created), generation=Generation.CLOUD_V2, rank=rank)

    assert PRICE * 2 == prepaid.dollars
    assert usd("0.24") == spent(watch) - prepaid
    assert watch.uncertain(day(2, "17:55")) <= usd("0.24")


@pytest.mark.parametrize("reported", [True, False])
def test_a_metered_machine_that_is_prepaid_from_now_on_has_no_overlapping_rows(reported: bool) -> None:
    watch = Watch(Generation.CLOUD_V2, rank=1)
    watch.look(day(0, "12:00"), generation=Generation.VMS_V3, rank=0)
    watch.look(day(0, "14:00"), CLOUD_OTHER, metered(created_at=day(0, "12:00")))
    watch.look(day(1, "14:00"), CLOUD_OTHER, metered(created_at=day(0, "12:00")))
    before = spent(watch)
    due = vm(created_at=day(0, "12:00"), next_charge_at=day(2, "12:00") if reported else None)
    watch.look(day(1, "14:05"), due, generation=Generation.VMS_V3, rank=0)
    watch.look(day(1, "14:10"), due, generation=Generation.VMS_V3, rank=0)

    assert usd("0.24") == before
    assert before.dollars + PRICE == spent(watch).dollars
    rows = watch.epochs()
    assert all(first.span.end <= second.span.start for first, second in pairwise(rows))


def test_terms_that_flap_write_no_row_twice() -> None:
    watch = Watch()
    for count in range(40):
        moment = day(0, "12:00") + count * timedelta(hours=5)
        generation = (Generation.CLOUD_V2, Generation.VMS_V3)[count % 2]
        shown = metered() if generation is Generation.CLOUD_V2 else vm()
        watch.look(moment, shown, generation=generation, rank=-count)
        spent(watch)
    rows = watch.epochs()
    assert all(first.span.end <= second.span.start for first, second in pairwise(rows))


# Totals that decide twice


def test_two_totals_that_decide_over_one_epoch_are_two_rows() -> None:
    shown = vm(created_at=day(0, "12:00"), total_spent=usd("0.5"))
    stopped = replace(shown, status="Stopped")
    watch = Watch()
    watch.look(day(1, "20:00"), OTHER, stopped)
    running = replace(shown, total_spent=usd("0.6"))
    watch.look(day(1, "21:00"), OTHER, running)
    watch.polls(day(1, "22:00"), day(1, "23:30"), OTHER, running, every=timedelta(minutes=30))
    late = replace(stopped, total_spent=usd("0.7"))
    watch.polls(day(2, "20:00"), day(2, "23:30"), OTHER, late, every=timedelta(minutes=30))

    assert usd("0.7") == watch.total()


# Unknown is not zero, twice is not once


def test_every_doubt_of_a_machine_that_changed_terms_has_a_cause() -> None:
    watch = Watch(rank=1)
    watch.look(day(0, "12:05"), OTHER, vm())
    watch.look(day(0, "13:05"), vm("web", price=Decimal("0.01")), generation=Generation.CLOUD_V2, rank=0)

    state = watch.state()
    assert {one.cause for one in doubts_of(state, now=day(0, "13:05"), seen=day(0, "13:05"))} <= set(Cause)


# From when a generation is charged


def test_a_generation_that_was_added_but_did_not_answer_is_charged_from_when_it_was_added() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), OTHER)
    watch.first_asked[Generation.CLOUD_V2] = day(1, "12:00")
    watch.look(day(1, "22:00"), metered(created_at=day(0, "00:00")), generation=Generation.CLOUD_V2)

    assert usd("0.1") == spent(watch)


def test_a_generation_that_returns_is_charged_from_its_return() -> None:
    watch = Watch()
    watch.look(day(0, "11:55"), OTHER)
    watch.look(day(0, "12:00"), metered(created_at=day(0, "10:00")), generation=Generation.CLOUD_V2)
    watch.retire(Generation.CLOUD_V2)
    returned = metered(created_at=day(0, "10:00"))
    fresh = metered("fresh", created_at=day(0, "10:00"))
    watch.look(day(1, "12:00"), returned, fresh, generation=Generation.CLOUD_V2)
    watch.look(day(1, "13:00"), returned, fresh, generation=Generation.CLOUD_V2)

    assert (usd("0.01"), usd("0.01")) == (spent(watch), spent(watch, "fresh"))


def test_a_total_that_is_told_after_the_first_sight_decides_over_an_opening_without_a_price() -> None:
    gpu = vm(kind=Kind.GPU_VM, price=Decimal("1.92"), created_at=day(0, "02:10"))
    told = replace(gpu, next_charge_at=day(0, "13:00"), total_spent=usd("21.05"))
    watch = Watch(Generation.GPU)
    watch.look(day(0, "12:15"), OTHER, replace(gpu, price=None))
    watch.look(day(0, "12:20"), OTHER, told)
    watch.look(day(0, "12:25"), OTHER, told)
    watch.look(day(0, "12:30"), OTHER, told)

    assert (usd("21.05"), usd("0")) == (watch.total(), watch.uncertain(day(0, "12:30")))
