"""`design.md` 3.1 "Gaps": what is charged and what stays uncertain where nobody looked."""

from __future__ import annotations

from fluence_costwatch.core.billing.history import Basis, Cause
from fluence_costwatch.core.epochs import Span
from tests.watch import OTHER, PRICE, Watch, day, proves, usd, vm

WEB = vm("web", created_at=day(0, "12:00"))


@proves("Seen before and after in charged statuses: every epoch between is charged, `inferred`.")
def test_every_epoch_between_two_sightings_in_charged_statuses_is_charged() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.look(day(4, "12:05"), OTHER, vm("web", created_at=day(0, "12:00"), status="Launching"))

    assert [Basis.OBSERVED, *[Basis.INFERRED] * 3, Basis.OBSERVED] == [row.basis for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(4, "12:05"))


ENDED = (
    "Seen before, absent or uncharged after: charged through the epoch of the last charged sighting (or "
    "`statusChangedAt`; a reported total decides), and epochs that began between it and the first absence are uncertain."
)


@proves(ENDED)
def test_absent_after_a_gap_is_charged_through_the_last_sighting_and_the_rest_until_absence_is_uncertain() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.look(day(2, "12:00"), OTHER)
    watch.polls(day(2, "12:05"), day(9), OTHER)

    assert [Span(day(0, "12:00"), day(0, "17:55"))] == [row.span for row in watch.epochs()]
    assert PRICE * 2 == watch.uncertain(day(9)).dollars
    assert [(day(0, "17:55"), Cause.AFTER_LAST_SIGHT), (day(1, "17:55"), Cause.AFTER_LAST_SIGHT)] == [
        (one.span.start, one.cause) for one in watch.state().doubts
    ]


@proves(ENDED)
def test_uncharged_after_a_gap_without_a_time_of_change_is_uncertain_since_the_last_charged_sighting() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.polls(day(2, "12:00"), day(5), OTHER, vm("web", created_at=day(0, "12:00"), status="Stopped"))

    assert 1 == len(watch.epochs())
    assert PRICE * 2 == watch.uncertain(day(5)).dollars


@proves(ENDED)
def test_uncharged_after_a_gap_is_charged_through_the_epoch_in_which_its_status_changed() -> None:
    ended = vm("web", created_at=day(0, "12:00"), status="Terminated", status_changed_at=day(1, "20:00"))
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.polls(day(4, "12:00"), day(5), OTHER, ended)

    assert [day(0, "12:00"), day(0, "17:55"), day(1, "17:55")] == [row.span.start for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(5))


@proves(ENDED)
def test_a_reported_total_decides_what_was_uncertain_before_the_end() -> None:
    ended = vm("web", created_at=day(0, "12:00"), status="Terminated", total_spent=usd("0.596320"))
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.look(day(2, "12:00"), OTHER, ended)
    assert PRICE * 2 == watch.uncertain(day(2, "12:00")).dollars

    watch.look(day(2, "12:05"), OTHER, ended)

    assert (usd("0.596320"), usd("0")) == (watch.total(), watch.uncertain(day(2, "12:05")))
    assert [Basis.REPORTED] == [row.basis for row in watch.corrections()]


@proves(ENDED)
def test_a_reported_total_that_contradicts_what_was_seen_is_told_and_changes_nothing() -> None:
    ended = vm("web", created_at=day(0, "12:00"), status="Terminated", total_spent=usd("0.1"))
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.polls(day(2, "12:00"), day(3), OTHER, ended)

    assert (PRICE, PRICE * 2) == (watch.total().dollars, watch.uncertain(day(3)).dollars)
    assert ["drift"] == [finding.kind for finding in watch.findings]


@proves("First sight without `createdAt` after an earlier list: grid epochs since that list are uncertain.")
def test_first_sight_without_creation_makes_the_grid_epochs_since_the_former_list_uncertain() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), OTHER)
    watch.look(day(3, "12:00"), OTHER, vm("web"))

    assert [day(2, "17:55")] == [row.span.start for row in watch.epochs()]
    assert [day(-1, "17:55"), day(0, "17:55"), day(1, "17:55")] == [one.span.start for one in watch.state().doubts]
    assert {Cause.BEFORE_FIRST_SIGHT} == {one.cause for one in watch.state().doubts}


@proves("First sight without `createdAt` after an earlier list: grid epochs since that list are uncertain.")
def test_first_sight_without_creation_in_the_epoch_of_the_former_list_leaves_nothing_uncertain() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), OTHER)
    watch.look(day(0, "17:50"), OTHER, vm("web"))

    assert (PRICE, usd("0")) == (watch.total().dollars, watch.uncertain(day(0, "17:50")))


@proves("A life wholly between two looks is invisible; documented, not guessed.")
def test_a_life_wholly_between_two_looks_leaves_no_row_and_no_doubt() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), OTHER)
    watch.look(day(3, "12:00"), OTHER)

    assert {"0xother"} == set(watch.history.resources)
    assert {"0xother"} == {key[0] for key in watch.rows}
