"""Metered resources (`design.md` 3.2), by hand: what each look makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from fluence_costwatch.core.billing.history import Basis, Cause, seen_last
from fluence_costwatch.core.billing.ledger import spent_total
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Resource
from tests.watch import Watch, day, metered, usd

OTHER = metered("other")


def watch_of(*looks: tuple[datetime, Sequence[Resource]]) -> Watch:
    """A watch of the metered cloud that saw these lists, and another machine throughout."""
    watch = Watch(Generation.CLOUD_V2)
    for moment, listed in looks:
        watch.look(moment, OTHER, *listed)
    return watch


def spent(watch: Watch, name: str = "web") -> Usd:
    state = watch.state(name)
    return spent_total(state, seen=seen_last(state, watch.history.lists))


def test_time_since_the_creation_is_charged_by_the_second() -> None:
    web = metered(created_at=day(0, "18:00:00"))
    watch = watch_of((day(0, "20:00"), [web]), (day(0, "21:30"), [web]))

    assert usd("0.035") == spent(watch)
    assert [] == watch.epochs()


def test_a_row_is_written_when_its_reporting_epoch_ends() -> None:
    web = metered(created_at=day(0, "17:00"))
    watch = watch_of((day(0, "17:30"), [web]), (day(1, "18:55"), [web]))

    assert [
        (Span(day(0, "17:00"), day(0, "17:55")), usd("0.009167"), True),
        (Span(day(0, "17:55"), day(1, "17:55")), usd("0.24"), True),
    ] == [(row.span, row.amount, row.closed) for row in watch.epochs()]
    assert usd("0.259167") == spent(watch)


def test_an_end_that_the_list_tells_is_exact() -> None:
    web = metered(created_at=day(0, "18:00"))
    ended = metered(created_at=day(0, "18:00"), status="terminated", status_changed_at=day(0, "20:30"))
    watch = watch_of((day(0, "19:00"), [web]), (day(0, "22:00"), [ended]), (day(1, "22:00"), [ended]))

    assert usd("0.025") == spent(watch)
    assert usd("0") == watch.uncertain(day(2))


def test_one_that_vanishes_is_charged_to_its_last_sighting_and_uncertain_to_its_first_absence() -> None:
    web = metered(created_at=day(0, "18:00"))
    watch = watch_of((day(0, "19:00"), [web]), (day(0, "20:00"), []), (day(0, "21:00"), []))

    assert usd("0.01") == spent(watch)
    assert [(Span(day(0, "19:00"), day(0, "20:00")), usd("0.01"), Cause.AFTER_LAST_SIGHT)] == [
        (one.span, one.amount, one.cause) for one in watch.state().doubts
    ]


def test_one_that_comes_back_was_never_gone() -> None:
    web = metered(created_at=day(0, "18:00"))
    watch = watch_of((day(0, "19:00"), [web]), (day(0, "20:00"), []), (day(0, "21:00"), []), (day(0, "22:00"), [web]))

    assert usd("0.04") == spent(watch)
    assert () == watch.state().doubts


def test_a_price_changed_unseen_is_the_lower_one_and_the_difference_uncertain() -> None:
    web, dearer = metered(created_at=day(0, "18:00")), metered(created_at=day(0, "18:00"), price=Decimal("0.03"))
    watch = watch_of((day(0, "19:00"), [web]), (day(0, "21:00"), [dearer]), (day(0, "22:00"), [dearer]))

    assert usd("0.06") == spent(watch)
    assert [(usd("0.04"), Cause.PRICE_CHANGED_UNSEEN)] == [(one.amount, one.cause) for one in watch.state().doubts]


def test_a_price_that_becomes_known_is_charged_for_the_time_before() -> None:
    nameless = metered(created_at=day(0, "17:00"), price=None)
    watch = watch_of((day(0, "17:30"), [nameless]), (day(0, "18:55"), [nameless]))
    assert (usd("0"), [Span(day(0, "17:00"), day(0, "17:55"))]) == (spent(watch), list(watch.state().unpriced))

    watch.look(day(0, "19:55"), OTHER, metered(created_at=day(0, "17:00")))

    assert usd("0.029167") == spent(watch)
    assert [Basis.INFERRED] == [row.basis for row in watch.epochs()]


def test_a_life_between_two_looks_is_charged_where_the_list_still_tells_it() -> None:
    over = metered(created_at=day(0, "18:10"), status="terminated", status_changed_at=day(0, "18:40"))
    watch = watch_of((day(0, "18:00"), []), (day(0, "19:00"), [over]))

    assert usd("0.005") == spent(watch)


def test_a_life_that_was_over_before_the_first_look_is_not_charged() -> None:
    over = metered(created_at=day(0, "18:10"), status="terminated", status_changed_at=day(0, "18:40"))
    watch = watch_of((day(0, "19:00"), [over]), (day(0, "20:00"), [over]))

    assert usd("0") == spent(watch)


def test_a_life_whose_id_another_machine_takes_is_charged_to_its_last_sighting() -> None:
    first, second = metered(created_at=day(0, "00:00")), metered(created_at=day(0, "11:00"))
    watch = watch_of(
        (day(0, "00:00"), [first]), (day(0, "10:00"), [first]), (day(0, "10:30"), []), (day(0, "12:00"), [second])
    )

    assert [Span(day(0, "00:00"), day(0, "10:00"))] == [row.span for row in watch.epochs()]
    assert usd("0.11") == spent(watch)
    assert [(Span(day(0, "10:00"), day(0, "11:00")), usd("0.01"))] == [
        (one.span, one.amount) for one in watch.state().doubts
    ]
