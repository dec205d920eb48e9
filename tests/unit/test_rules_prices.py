"""`design.md` 3.1 "Prices": which price an epoch has, and what is done where none can be read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fluence_costwatch.core.billing.history import Basis, Cause
from fluence_costwatch.core.billing.ledger import is_at_least
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Resource
from tests.watch import OTHER, Watch, day, proves, usd, vm

LOW, HIGH = Decimal("0.2"), Decimal("0.5")


def priced(price: Decimal | None, **facts: object) -> Resource:
    return vm("web", created_at=day(0, "12:00"), price=price, **facts)


IN_FORCE = "The price of an epoch is the one in force at its start; a change within an epoch applies from the next."


@proves(IN_FORCE)
@pytest.mark.parametrize(("before", "after"), [(LOW, HIGH), (HIGH, LOW), (LOW, Decimal(0)), (Decimal(0), LOW)])
def test_a_change_within_an_epoch_applies_from_the_next(before: Decimal, after: Decimal) -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(1, "12:00"), OTHER, priced(before))
    watch.polls(day(1, "12:05"), day(2, "12:00"), OTHER, priced(after))

    assert [before, before, after] == [row.amount.dollars for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(2, "12:00"))


@proves(IN_FORCE)
def test_a_price_of_zero_is_a_price() -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(1, "12:00"), OTHER, priced(Decimal(0)))

    assert [usd("0"), usd("0")] == [row.amount for row in watch.epochs()]
    assert not is_at_least(watch.state())


UNSEEN = "A change that nobody saw happen: the lower neighbouring price, the difference uncertain."


@proves(UNSEEN)
@pytest.mark.parametrize(("before", "after"), [(LOW, HIGH), (HIGH, LOW)])
def test_a_change_across_boundaries_that_nobody_saw_is_the_lower_price_and_the_difference_uncertain(
    before: Decimal, after: Decimal
) -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, priced(before))
    watch.look(day(2, "12:00"), OTHER, priced(after))

    assert [before, LOW, LOW] == [row.amount.dollars for row in watch.epochs()]
    assert usd("0.6") == watch.uncertain(day(2, "12:00"))
    assert {Cause.PRICE_CHANGED_UNSEEN} == {one.cause for one in watch.state().doubts}


@proves(UNSEEN)
def test_a_price_that_changes_while_a_charge_is_late_leaves_the_price_at_the_boundary() -> None:
    late = {"next_charge_at": day(1, "12:00")}
    watch = Watch()
    watch.look(day(1, "11:55"), OTHER, priced(LOW, **late))
    watch.look(day(1, "12:05"), OTHER, priced(LOW, **late))
    watch.look(day(1, "13:00"), OTHER, priced(HIGH, **late))
    watch.look(day(1, "18:00"), OTHER, priced(HIGH, **late))

    assert [LOW, LOW] == [row.amount.dollars for row in watch.epochs()]


@proves(IN_FORCE)
def test_a_charge_time_that_is_put_off_takes_the_price_at_the_new_boundary() -> None:
    watch = Watch()
    watch.look(day(1, "11:55"), OTHER, priced(HIGH, next_charge_at=day(1, "12:00")))
    watch.look(day(1, "12:05"), OTHER, priced(HIGH, next_charge_at=day(1, "12:00")))
    watch.look(day(1, "12:10"), OTHER, priced(HIGH, next_charge_at=day(1, "14:00")))
    watch.look(day(1, "13:00"), OTHER, priced(LOW, next_charge_at=day(1, "14:00")))
    watch.look(day(1, "14:05"), OTHER, priced(LOW, next_charge_at=day(2, "14:00")))

    assert [HIGH, LOW] == [row.amount.dollars for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(1, "14:05"))


UNREADABLE = (
    'An unreadable price: the last known one, `inferred`; none known: no row, the total is marked "at least", and it '
    "is charged when known."
)


@proves(UNREADABLE)
@pytest.mark.parametrize("unreadable", [None, Decimal("0.0000001"), Decimal("NaN")])
def test_an_unreadable_price_is_the_last_known_one_and_inferred(unreadable: Decimal | None) -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, priced(LOW))
    watch.polls(day(0, "17:50"), day(0, "18:00"), OTHER, priced(unreadable))

    assert [(usd("0.2"), Basis.OBSERVED), (usd("0.2"), Basis.INFERRED)] == [
        (row.amount, row.basis) for row in watch.epochs()
    ]
    assert not is_at_least(watch.state())


@proves(UNREADABLE)
def test_a_price_that_was_never_known_makes_no_row_until_it_is_known() -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(0, "18:00"), OTHER, priced(None))
    assert ([], True) == (watch.epochs(), is_at_least(watch.state()))

    watch.polls(day(0, "18:05"), day(1, "18:00"), OTHER, priced(LOW))

    assert [
        (Span(day(0, "12:00"), day(0, "17:55")), Basis.INFERRED),
        (Span(day(0, "17:55"), day(1, "17:55")), Basis.INFERRED),
        (Span(day(1, "17:55"), day(2, "17:55")), Basis.OBSERVED),
    ] == [(row.span, row.basis) for row in watch.epochs()]
    assert (usd("0.6"), False) == (watch.total(), is_at_least(watch.state()))


@proves(UNREADABLE)
def test_a_vm_that_is_started_again_with_an_unreadable_price_is_charged_the_last_known_one() -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(0, "13:00"), OTHER, priced(LOW))
    watch.polls(day(0, "13:05"), day(2, "12:00"), OTHER, priced(LOW, status="Stopped"))
    watch.polls(day(2, "12:05"), day(2, "13:00"), OTHER, priced(None))

    assert [(day(0, "12:00"), Basis.OBSERVED), (day(1, "17:55"), Basis.INFERRED)] == [
        (row.span.start, row.basis) for row in watch.epochs()
    ]
    assert (usd("0.4"), False) == (watch.total(), is_at_least(watch.state()))


@proves(UNREADABLE)
def test_a_vm_that_vanishes_before_its_price_is_known_stays_at_least() -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(0, "13:00"), OTHER, priced(None))
    watch.polls(day(0, "13:05"), day(2, "13:00"), OTHER)

    assert (usd("0"), True) == (watch.total(), is_at_least(watch.state()))
