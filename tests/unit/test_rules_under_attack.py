"""What an API that lies, forgets, flaps and lags does to the ledger: no overlap, no hole, nothing counted twice."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from fluence_costwatch.core.billing.history import Cause, Reason
from fluence_costwatch.core.billing.ledger import doubts_of, is_at_least
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.resources import Generation, Resource
from tests.watch import DAY_0, OTHER, PRICE, Watch, day, usd, vm

MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE
BORN = day(0, "12:00")
ABSURD = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), day(40), day(-9000), day(-12))


def due(at: datetime | None, **facts: object) -> Resource:
    """A VM created at noon of day 0 whose next charge is reported for `at`."""
    return vm("web", **({"created_at": BORN, "next_charge_at": at} | facts))


def starts(watch: Watch) -> list[datetime]:
    return [row.span.start for row in watch.epochs()]


@pytest.mark.parametrize("seconds", [-840, -60, 0, 60, 840])
def test_a_charge_that_was_booked_while_unreported_is_not_booked_again_when_its_time_is_reported(seconds: int) -> None:
    stale = day(1, "12:00") + timedelta(seconds=seconds)
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, due(day(1, "12:00")))
    watch.look(day(1, "12:05"), OTHER, due(None))
    watch.polls(day(1, "12:10"), day(1, "23:00"), OTHER, due(stale))
    watch.polls(day(1, "23:05"), day(2, "11:55"), OTHER, due(day(2, "12:00")))

    assert [BORN, day(1, "12:00")] == starts(watch)
    assert [] == watch.findings


def test_a_late_charge_that_is_not_reported_for_a_while_is_still_late() -> None:
    watch = Watch()
    watch.look(day(1, "11:55"), OTHER, due(day(1, "12:00")))
    watch.look(day(1, "12:05"), OTHER, due(day(1, "12:00")))
    watch.look(day(1, "12:10"), OTHER, due(None))
    assert (PRICE, PRICE) == (watch.total().dollars, watch.uncertain(day(1, "12:10")).dollars)

    watch.look(day(1, "12:15"), OTHER, due(day(2, "12:00")))

    assert (PRICE * 2, usd("0")) == (watch.total().dollars, watch.uncertain(day(1, "12:15")))


def test_a_charge_time_that_is_stuck_for_days_is_one_charge_a_day_a_quarter_late() -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(4, "17:55"), OTHER, due(day(1, "12:00")))

    assert [BORN, day(1, "12:00"), day(2, "12:00"), day(3, "12:00")] == starts(watch)
    assert PRICE == watch.uncertain(day(4, "17:55")).dollars


@pytest.mark.parametrize("absurd", ABSURD)
@pytest.mark.parametrize("created", [BORN, None], ids=["created", "no creation"])
def test_an_absurd_charge_time_invents_no_charge(absurd: datetime, created: datetime | None) -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(0, "17:00"), OTHER, due(absurd, created_at=created))

    assert 1 == len(watch.epochs())
    assert usd("0") == watch.uncertain(day(0, "17:00"))


@pytest.mark.parametrize("absurd", ABSURD)
def test_an_absurd_charge_time_of_a_known_vm_moves_no_boundary(absurd: datetime) -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, due(day(1, "12:00")))
    watch.look(day(0, "12:10"), OTHER, due(absurd))
    watch.look(day(0, "12:15"), OTHER, due(day(1, "12:00")))

    assert [Span(BORN, day(1, "12:00"))] == [row.span for row in watch.epochs()]


@pytest.mark.parametrize("absurd", ABSURD[:2])
def test_an_absurd_creation_time_invents_no_charge(absurd: datetime) -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, vm("web", created_at=absurd))

    assert 1 == len(watch.epochs())


def test_an_activation_hours_after_the_creation_is_no_second_charge_but_may_be_one() -> None:
    """The grid end was not due yet, so the first report replaces it; a global boundary may have passed all the same."""
    watch = Watch()
    watch.polls(BORN, day(0, "13:55"), OTHER, due(None, status="Launching"))
    watch.polls(day(0, "14:00"), day(0, "15:00"), OTHER, due(day(1, "13:58")))

    assert [Span(BORN, day(1, "13:58"))] == [row.span for row in watch.epochs()]
    assert PRICE == watch.uncertain(day(0, "15:00")).dollars


def test_a_status_that_flaps_over_a_boundary_is_one_charge_and_leaves_no_doubt() -> None:
    watch = Watch()
    watch.look(day(0, "17:50"), OTHER, due(None))
    watch.look(day(0, "18:00"), OTHER, due(None, status="Stopped"))
    assert PRICE == watch.uncertain(day(0, "18:00")).dollars

    watch.look(day(0, "18:05"), OTHER, due(None))

    assert [BORN, day(0, "17:55")] == starts(watch)
    assert usd("0") == watch.uncertain(day(0, "18:05"))


def test_a_status_that_flaps_while_a_charge_is_late_leaves_its_epoch_in_doubt_once() -> None:
    late = day(1, "12:00")
    watch = Watch()
    watch.look(day(1, "11:55"), OTHER, due(late))
    watch.look(day(1, "12:05"), OTHER, due(late, status="Stopped"))
    watch.look(day(1, "12:10"), OTHER, due(late))

    assert (PRICE, PRICE) == (watch.total().dollars, watch.uncertain(day(1, "12:10")).dollars)


def test_a_status_that_flaps_within_an_epoch_is_one_charge() -> None:
    watch = Watch()
    for minute in range(0, 300, 5):
        status = "Stopped" if minute % 10 else "Active"
        watch.look(day(0, "12:05") + minute * MINUTE, OTHER, due(day(1, "12:00"), status=status))

    assert (PRICE, usd("0")) == (watch.total().dollars, watch.uncertain(day(0, "17:05")))


def test_the_start_of_an_epoch_that_is_charged_is_not_doubted_by_a_wobble_of_the_next() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, due(day(1, "12:00")))
    watch.look(day(1, "12:10"), OTHER, due(day(2, "12:00")))
    watch.look(day(1, "12:20"), OTHER, due(day(2, "12:00"), status="Stopped"))
    watch.look(day(1, "12:25"), OTHER, due(day(2, "12:00"), status="Stopped"))
    watch.look(day(2, "11:55"), OTHER, due(day(3, "11:58")))

    assert [BORN, day(1, "12:00"), day(2, "12:00")] == starts(watch)
    assert usd("0") == watch.uncertain(day(2, "11:55"))


@pytest.mark.parametrize("absences", [1, 2], ids=["missing", "gone"])
def test_a_late_charge_of_a_vm_that_vanishes_may_be_at_any_price_around_its_boundary(absences: int) -> None:
    watch = Watch()
    watch.look(day(1, "11:55"), OTHER, due(day(1, "12:00"), price=Decimal("0.5")))
    watch.look(day(1, "12:05"), OTHER, due(day(1, "12:00"), price=Decimal("0.5")))
    watch.look(day(1, "13:00"), OTHER, due(day(1, "12:00"), price=Decimal("0.2")))
    for number in range(absences):
        watch.look(day(1, "13:05") + number * MINUTE, OTHER)

    assert usd("0.5") == watch.uncertain(day(1, "14:00"))


def test_a_late_charge_of_a_vm_that_stops_may_be_at_any_price_around_its_boundary() -> None:
    watch = Watch()
    watch.look(day(1, "11:55"), OTHER, due(day(1, "12:00"), price=Decimal("0.5")))
    watch.look(day(1, "12:05"), OTHER, due(day(1, "12:00"), price=Decimal("0.5")))
    watch.look(day(1, "13:00"), OTHER, due(day(1, "12:00"), price=Decimal("0.2")))
    watch.look(day(1, "13:05"), OTHER, due(None, price=Decimal("0.2"), status="Stopped"))

    assert usd("0.5") == watch.uncertain(day(1, "14:00"))


def test_an_id_that_returns_as_another_machine_after_a_retirement_does_not_overlap_its_closed_epoch() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, due(day(1, "12:00")))
    watch.retire(Generation.VMS_V2)
    watch.look(day(0, "20:00"), OTHER, due(day(1, "19:00"), created_at=day(0, "19:00")))
    watch.look(day(1, "20:00"), OTHER, due(day(2, "19:00"), created_at=day(0, "19:00")))

    assert [BORN, day(1, "12:00")] == starts(watch)


def test_an_id_that_returns_stopped_as_another_machine_and_starts_does_not_overlap_its_former_life() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, due(None))
    watch.look(day(0, "12:10"), OTHER)
    watch.look(day(0, "12:15"), OTHER)
    watch.look(day(0, "13:05"), OTHER, due(None, created_at=day(0, "13:00"), status="Stopped", total_spent=usd("0.1")))
    watch.look(day(0, "13:10"), OTHER, due(None, created_at=day(0, "13:00")))

    assert [Span(BORN, day(0, "13:00")), Span(day(0, "13:00"), day(0, "17:55"))] == [row.span for row in watch.epochs()]
    assert [(usd("0.1"), Reason.OPENING_TOTAL)] == [(row.amount, row.reason) for row in watch.corrections()]


@pytest.mark.parametrize("charges", [1, 2], ids=["was paid already", "is paid anew"])
def test_a_vm_first_seen_stopped_that_starts_in_an_epoch_of_its_total_is_charged_for_it_once(charges: int) -> None:
    stopped = due(None, status="Stopped", total_spent=usd("0.298160"))
    started = due(day(1, "12:00"), total_spent=usd("0.298160") * charges)
    watch = Watch()
    watch.look(day(0, "14:00"), OTHER, stopped)
    watch.look(day(0, "14:05"), OTHER, started)
    assert (PRICE, PRICE) == (watch.total().dollars, watch.uncertain(day(0, "14:05")).dollars)

    watch.look(day(0, "14:10"), OTHER, started)
    watch.look(day(1, "12:05"), OTHER, due(day(2, "12:00"), total_spent=usd("0.298160") * (charges + 1)))

    assert (PRICE * (charges + 1), usd("0")) == (watch.total().dollars, watch.uncertain(day(1, "12:05")))


def test_a_gpu_instance_that_fails_twice_is_refunded_twice() -> None:
    watch = Watch(Generation.GPU)
    for hour, status in enumerate(["INITIALIZED", "FAILED", "INITIALIZED", "FAILED"]):
        watch.look(day(0, "12:30") + hour * HOUR, OTHER, vm("web", status=status, created_at=BORN))

    assert usd("0") == watch.total()
    assert 2 == len(watch.corrections())


def test_a_grid_that_is_changed_while_a_vm_runs_neither_overlaps_nor_leaves_a_hole() -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(2, "12:00"), OTHER, due(None))
    for moment, grid in (
        (day(2, "12:05"), EpochGrid(time(6))),
        (day(4), EpochGrid(time(6), 6 * HOUR)),
        (day(5), EpochGrid()),
    ):
        watch.judgement = type(watch.judgement)(grid=grid)
        watch.polls(moment, moment + 20 * HOUR, OTHER, due(None))

    assert all(first.span.end == second.span.start for first, second in pairwise(watch.epochs()))


def test_a_total_that_lags_by_an_epoch_is_met_once_it_has_caught_up() -> None:
    watch = Watch()
    for hour in range(30):
        moment = day(3, "12:30") + hour * HOUR
        epochs = 3 + (moment - day(3, "12:50")) // (24 * HOUR) + 1
        charge_time = BORN + 24 * HOUR * ((moment - BORN) // (24 * HOUR) + 1)
        watch.look(moment, OTHER, due(charge_time, total_spent=usd(str(PRICE)) * epochs))

    assert PRICE * 5 == watch.total().dollars
    assert usd("0") == watch.uncertain(day(4, "17:30"))
    assert [usd("0")] == [row.amount for row in watch.corrections()]  # what was held back meanwhile, given up again


@pytest.mark.parametrize("confirm_absence", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_lists_say_epochs_do_not_overlap_and_no_epoch_is_doubted_twice(
    seed: int, confirm_absence: int
) -> None:
    """`Watch` asserts besides that closed rows stay as they are and that the state's total is that of the rows."""
    random = Random(seed)
    generations = random.choice([(Generation.VMS_V3, Generation.VMS_V2), (Generation.VMS_V3,), (Generation.GPU,)])
    watch = Watch(confirm_absence=confirm_absence)
    moment, step = DAY_0, random.choice([5, 60, 400])
    for _ in range(40):
        moment += random.choice([step, step, step, random.randrange(1, 3000)]) * MINUTE
        if random.random() < 0.03:
            watch.retire(random.choice(generations))
        for rank, generation in enumerate(generations):
            listed = [vm("a"), vm("b"), vm("c")] if random.random() < 0.95 else []
            if random.random() < 0.85:
                listed.append(_anything(random, moment))
            watch.look(
                moment, *listed, generation=generation, rank=rank, answered=moment + random.choice([0, 1]) * MINUTE
            )
        if "0xweb" in watch.history.resources:
            _assert_sound(watch, moment)


def _anything(random: Random, moment: datetime) -> Resource:
    noon = day((moment - DAY_0).days + 1, "12:00")
    return due(
        random.choice([None, moment + random.randrange(-3000, 1900) * MINUTE, noon, noon, noon + 5 * MINUTE]),
        id=random.choice(["0xweb", "0xWEB"]),
        created_at=random.choice([None, BORN, BORN, BORN, moment - HOUR]),
        status=random.choice([*["Active"] * 6, "Stopped", "Weird", "INITIALIZED", "FAILED"]),
        price=random.choice([None, Decimal(0), Decimal("0.1"), Decimal("0.3")]),
        total_spent=random.choice([None, usd("0"), usd("0.5"), usd("7")]),
        status_changed_at=random.choice([None, moment - random.randrange(900) * MINUTE]),
    )


def _assert_sound(watch: Watch, now: datetime) -> None:
    epochs = watch.epochs()
    assert all(first.span.end <= second.span.start for first, second in pairwise(epochs))
    assert all(row.closed for row in epochs[:-1])
    assert usd("0") <= watch.uncertain(now)
    watch.total()
    unseen = (Cause.UNSEEN, Cause.AFTER_LAST_SIGHT, Cause.BEFORE_FIRST_SIGHT)
    doubted = [one.span.start for one in doubts_of(watch.state(), now=now) if one.cause in unseen]
    assert sorted(set(doubted)) == doubted
    assert not set(doubted) & {row.span.start for row in epochs}
    assert (
        not is_at_least(watch.state()) or watch.state().unpriced or None in [one.amount for one in watch.state().doubts]
    )
