"""`design.md` 3.1 "Boundaries": where epochs begin and end, and what a reported charge time that moves means."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from fluence_costwatch.core.billing.history import Basis, Cause, Phase
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Resource
from tests.watch import DAY, OTHER, Watch, day, proves, usd, vm

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
BORN = day(0, "12:00")


def due(at: datetime | None, **facts: object) -> Resource:
    """A VM created at noon of day 0 whose next charge is reported for `at`."""
    return vm("web", created_at=BORN, next_charge_at=at, **facts)


def followed(*reports: tuple[datetime, datetime | None]) -> Watch:
    """A watch that saw the VM at each moment with that charge time reported."""
    watch = Watch()
    for moment, at in reports:
        watch.look(moment, OTHER, due(at))
    return watch


def spans(watch: Watch) -> list[Span]:
    return [row.span for row in watch.epochs()]


@proves("Epochs of one resource are contiguous: each begins where the last one ended.")
def test_each_epoch_begins_where_the_last_one_ended_whatever_is_reported() -> None:
    watch = followed(
        (day(0, "13:00"), None),
        (day(1, "13:00"), day(2, "09:00")),
        (day(2, "10:00"), day(3, "09:03")),
        (day(3, "10:00"), None),
        (day(6, "10:00"), day(7, "11:00")),
    )

    assert all(first.end == second.start for first, second in pairwise(spans(watch)))
    assert BORN == spans(watch)[0].start
    assert day(7, "11:00") == spans(watch)[-1].end


@proves(
    "The first begins at `createdAt`", "and ends at the reported charge time, else at the first grid boundary after it"
)
@pytest.mark.parametrize(
    ("reported", "end"), [(day(1, "11:00"), day(1, "11:00")), (None, day(0, "17:55"))], ids=["reported", "grid"]
)
def test_the_first_epoch_begins_at_creation(reported: datetime | None, end: datetime) -> None:
    watch = followed((day(0, "12:30"), reported))

    assert [Span(BORN, end)] == spans(watch)


@proves("(at first sight where the API gives none, or where `createdAt` is later than it)")
@pytest.mark.parametrize("created", [None, day(0, "15:00")], ids=["none", "later"])
def test_the_first_epoch_begins_at_first_sight_where_creation_says_nothing(created: datetime | None) -> None:
    watch = Watch()
    watch.look(day(0, "14:00"), OTHER)
    watch.look(day(0, "14:05"), OTHER, vm("web", created_at=created, next_charge_at=day(1, "09:00")))

    assert [Span(day(0, "14:05"), day(1, "09:00"))] == spans(watch)


@proves("(at first sight where the API gives none, or where `createdAt` is later than it)")
def test_a_creation_later_than_first_sight_is_charged_from_first_sight_on_the_grid_too() -> None:
    watch = Watch()
    watch.look(day(0, "14:05"), OTHER, vm("web", created_at=day(4)))

    assert [Span(day(0, "14:05"), day(0, "17:55"))] == spans(watch)


@proves("On the grid without `createdAt`, first sight charges the grid epoch that contains it.")
def test_first_sight_on_the_grid_charges_the_epoch_that_contains_it() -> None:
    watch = Watch()
    watch.look(day(0, "14:05"), OTHER, vm("web"))

    assert [Span(day(-1, "17:55"), day(0, "17:55"))] == spans(watch)


@proves("A grid end is provisional: the first reported boundary replaces it without a charge.")
@pytest.mark.parametrize("reported", [day(0, "15:00"), day(1, "12:04"), day(0, "17:55")])
def test_the_first_reported_boundary_replaces_a_grid_end_without_a_charge(reported: datetime) -> None:
    watch = followed((day(0, "12:00"), None), (day(0, "12:05"), reported))

    assert [Span(BORN, reported)] == spans(watch)
    assert usd("0.298160") == watch.total()
    assert Phase.REPORTED is watch.state().phase


@proves("A grid end is provisional: the first reported boundary replaces it without a charge.")
def test_a_boundary_that_the_first_report_puts_between_two_looks_is_uncertain() -> None:
    """A period from activation has begun at 12:04 with the charge that we hold; a global boundary was one more."""
    watch = followed((day(0, "12:00"), None), (day(0, "12:05"), day(1, "12:04")))

    assert usd("0.298160") == watch.total()
    assert usd("0.298160") == watch.uncertain(day(0, "12:05"))


@proves("A grid end is provisional: the first reported boundary replaces it without a charge.")
def test_a_grid_that_has_counted_one_boundary_too_many_is_put_right_by_a_reported_row() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, due(None))
    watch.look(day(0, "18:00"), OTHER, due(None))
    watch.look(day(0, "18:05"), OTHER, due(day(1, "12:00")))

    assert [Span(BORN, day(0, "17:55")), Span(day(0, "17:55"), day(1, "12:00"))] == spans(watch)
    assert usd("0.298160") == watch.total()
    assert [Basis.REPORTED] == [row.basis for row in watch.corrections()]


@proves("A resource that once reported keeps last end + n x length, never the grid.")
def test_once_reported_the_boundaries_stay_where_they_were_without_reports() -> None:
    watch = followed((day(0, "12:05"), day(1, "09:00")), (day(1, "18:00"), None), (day(3, "08:00"), None))

    assert [BORN, day(1, "09:00"), day(2, "09:00")] == [span.start for span in spans(watch)]
    assert day(3, "09:00") == spans(watch)[-1].end


@proves("k <= 0: the end moves, no charge.")
@pytest.mark.parametrize("hours", [-14, -6, -1, 1, 5])
def test_a_charge_time_that_moves_by_less_than_half_a_length_moves_the_end(hours: int) -> None:
    watch = followed((day(0, "12:05"), day(1, "12:00")), (day(0, "12:10"), day(1, "12:00") + hours * HOUR))

    assert [Span(BORN, day(1, "12:00") + hours * HOUR)] == spans(watch)
    assert usd("0.298160") == watch.total()


@proves(
    "With a reported charge time, let k = round((reported - stored end) / length).",
    "k >= 1: k boundaries have passed: the open epoch closes and k are charged, the last ending at `reported`.",
)
def test_k_boundaries_have_passed_where_the_report_lies_k_lengths_further() -> None:
    watch = followed((day(0, "12:05"), day(1, "12:00")), (day(4, "13:00"), day(5, "12:02")))

    assert [
        Span(BORN, day(1, "12:00")),
        Span(day(1, "12:00"), day(2, "12:00")),
        Span(day(2, "12:00"), day(3, "12:00")),
        Span(day(3, "12:00"), day(4, "12:00")),
        Span(day(4, "12:00"), day(5, "12:02")),
    ] == spans(watch)
    assert [True] * 4 + [False] == [row.closed for row in watch.epochs()]


@proves("With a reported charge time, let k = round((reported - stored end) / length).")
@pytest.mark.parametrize(("hours", "charges"), [(11, 1), (13, 2), (35, 2), (37, 3)])
def test_k_is_rounded_to_the_nearest_whole_number(hours: int, charges: int) -> None:
    moved = day(1, "12:00") + hours * HOUR
    watch = followed((day(0, "12:05"), day(1, "12:00")), (moved - DAY + MINUTE, moved))

    assert charges == len(watch.epochs())


@proves(
    "More than length/4 off phase is logged and alerts; moves of less than 1% of the length are ignored altogether."
)
@pytest.mark.parametrize(("hours", "told"), [(5.9, 0), (6.1, 1), (-6.1, 1), (24 - 5.9, 0), (24 - 6.1, 1)])
def test_more_than_a_quarter_off_phase_is_told_once(hours: float, told: int) -> None:
    moved = day(1, "12:00") + hours * HOUR
    watch = followed((day(0, "12:05"), day(1, "12:00")), (day(1, "04:00"), moved), (day(1, "04:05"), moved))

    assert told == sum(finding.kind == "drift" for finding in watch.findings)


@proves("moves of less than 1% of the length are ignored altogether")
def test_moves_of_less_than_a_hundredth_are_ignored_and_larger_ones_are_not() -> None:
    watch = followed((day(0, "12:05"), day(1, "12:00")), (day(0, "12:10"), day(1, "12:14")))
    assert [day(1, "12:00")] == [span.end for span in spans(watch)]

    watch.look(day(0, "12:15"), OTHER, due(day(1, "12:15")))

    assert [day(1, "12:15")] == [span.end for span in spans(watch)]


LATE = (
    "While `reported` lies in the past (a late charge), the epoch that begins there is uncertain; in a charged status "
    "it is charged, `inferred`, once it is length/4 late."
)


@proves(LATE)
def test_a_late_charge_is_uncertain_until_it_is_a_quarter_late() -> None:
    watch = followed((day(0, "12:05"), day(1, "12:00")), (day(1, "17:55"), day(1, "12:00")))
    assert (usd("0.298160"), usd("0.298160")) == (watch.total(), watch.uncertain(day(1, "17:55")))

    watch.look(day(1, "18:00"), OTHER, due(day(1, "12:00")))

    assert Span(day(1, "12:00"), day(2, "12:00")) == spans(watch)[-1]
    assert Basis.INFERRED is watch.epochs()[-1].basis
    assert (usd("0.596320"), usd("0")) == (watch.total(), watch.uncertain(day(1, "18:00")))


@proves(LATE)
def test_a_late_charge_that_the_report_catches_up_with_is_charged_once() -> None:
    watch = followed(
        (day(0, "12:05"), day(1, "12:00")),
        (day(1, "19:00"), day(1, "12:00")),
        (day(1, "20:00"), day(2, "12:00")),
        (day(2, "12:05"), day(3, "12:00")),
    )

    assert [BORN, day(1, "12:00"), day(2, "12:00")] == [span.start for span in spans(watch)]


@proves(LATE)
def test_a_late_charge_of_a_vm_that_turns_out_stopped_stays_uncertain() -> None:
    watch = followed((day(0, "12:05"), day(1, "12:00")), (day(1, "13:00"), day(1, "12:00")))
    watch.look(day(1, "19:00"), OTHER, due(day(1, "12:00"), status="InsufficientFunds"))

    assert usd("0.298160") == watch.total()
    assert usd("0.298160") == watch.uncertain(day(2))
    assert [Cause.AFTER_LAST_SIGHT] == [one.cause for one in watch.state().doubts]


@proves(
    "An uncharged status at a boundary opens no epoch; the next one then begins at its reported charge time - length."
)
def test_a_vm_stopped_over_boundaries_begins_its_next_epoch_a_length_before_its_charge_time() -> None:
    stopped = due(None, status="Stopped", status_changed_at=day(0, "20:00"))
    watch = followed((day(0, "12:05"), day(1, "12:00")))
    watch.polls(day(0, "20:05"), day(3, "15:55"), OTHER, stopped)
    assert [Span(BORN, day(1, "12:00"))] == spans(watch)

    watch.look(day(3, "16:05"), OTHER, due(day(4, "16:00")))

    assert [Span(BORN, day(1, "12:00")), Span(day(3, "16:00"), day(4, "16:00"))] == spans(watch)
    assert usd("0") == watch.uncertain(day(3, "16:05"))
