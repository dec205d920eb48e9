"""`design.md` 3.1 "Absence": missing, gone, lists that cannot be believed, and what comes back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fluence_costwatch.core.billing.history import Basis, Cause, Presence, Verdict
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Resource
from tests.watch import OTHER, PRICE, Watch, day, proves, usd, vm

WEB = vm("web", created_at=day(0, "12:00"))
FLEET = tuple(vm(f"n{number}") for number in range(4))
MINUTE = timedelta(minutes=1)

MISSING = (
    "Absent from one complete list is *missing*; absent from `confirm_absence` consecutive complete lists (default 2) "
    "is *gone*."
)


@proves(MISSING)
def test_absent_once_is_missing_and_twice_is_gone() -> None:
    watch = Watch()
    presences = []
    for minute, listed in enumerate([(OTHER, WEB), (OTHER,), (OTHER, WEB), (OTHER,), (OTHER,)]):
        watch.look(day(0, "12:05") + minute * MINUTE, *listed)
        presences.append(watch.state().presence)

    assert [Presence.PRESENT, Presence.MISSING, Presence.PRESENT, Presence.MISSING, Presence.GONE] == presences


@proves(MISSING)
@pytest.mark.parametrize("needed", [1, 3])
def test_gone_takes_as_many_lists_as_configured(needed: int) -> None:
    watch = Watch(confirm_absence=needed)
    watch.look(day(0, "12:05"), OTHER, WEB)
    for number in range(1, needed + 1):
        watch.look(day(0, "12:05") + number * MINUTE, OTHER)
        assert (Presence.GONE if number == needed else Presence.MISSING) is watch.state().presence


SUSPICIOUS = (
    "A list that lacks more than half of the last accepted one of this account and generation, or turns empty, is "
    "*suspicious* unless deletions that we requested explain it: alert, keep everything as it was, accept it only when "
    "it has stayed so for `confirm_suspicious` (30 min)."
)


@proves(SUSPICIOUS)
@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (FLEET, FLEET[:2], Verdict.ACCEPTED),
        (FLEET, FLEET[:1], Verdict.SUSPICIOUS),
        (FLEET[:1], (), Verdict.SUSPICIOUS),
        (FLEET[:2], (*FLEET[:1], vm("new")), Verdict.ACCEPTED),
        (FLEET, (vm("new"), vm("newer"), vm("newest")), Verdict.SUSPICIOUS),
        ((), (), Verdict.ACCEPTED),
        ((), FLEET, Verdict.ACCEPTED),
    ],
    ids=["half", "more than half", "empty", "half replaced", "all replaced", "stays empty", "fills"],
)
def test_a_list_that_lacks_more_than_half_or_turns_empty_is_suspicious(
    before: tuple[Resource, ...], after: tuple[Resource, ...], verdict: Verdict
) -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), *before)

    assert verdict is watch.look(day(0, "12:05"), *after)


@proves(SUSPICIOUS, "unless deletions that we requested explain it")
def test_deletions_that_we_requested_explain_their_own_absence_only() -> None:
    ours = frozenset({"0xn0", "0xn1", "0xn2"})
    watch = Watch()
    watch.look(day(0, "12:00"), *FLEET)
    assert Verdict.SUSPICIOUS is watch.look(day(0, "12:05"), deleted_by_us=ours)

    assert Verdict.ACCEPTED is watch.look(day(0, "12:10"), FLEET[3], deleted_by_us=ours)


@proves("alert, keep everything as it was")
def test_a_suspicious_list_alerts_once_and_changes_nothing() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), *FLEET)
    rows = dict(watch.rows)
    watch.polls(day(0, "17:55"), day(0, "18:20"))

    assert rows == watch.rows
    assert {Presence.PRESENT} == {state.presence for state in watch.history.resources.values()}
    assert [("suspicious", None)] == [(finding.kind, finding.resource_id) for finding in watch.findings]


@proves("accept it only when it has stayed so for `confirm_suspicious` (30 min)")
def test_a_suspicious_list_is_accepted_once_it_has_stayed_so() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), *FLEET)
    watch.polls(day(0, "12:05"), day(0, "12:25"))
    watch.look(day(0, "12:30"), *FLEET)  # a good list in between starts the wait anew

    verdicts = [watch.look(day(0, "12:35") + 5 * MINUTE * number) for number in range(8)]

    assert [Verdict.SUSPICIOUS] * 6 + [Verdict.ACCEPTED] * 2 == verdicts
    assert {Presence.GONE} == {state.presence for state in watch.history.resources.values()}


@proves("of the last accepted one of this account and generation")
def test_a_fleet_that_shrinks_step_by_step_is_compared_with_the_last_list_that_was_believed() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), *FLEET)

    assert Verdict.SUSPICIOUS is watch.look(day(0, "12:05"), FLEET[0])
    assert Verdict.SUSPICIOUS is watch.look(day(0, "12:10"), FLEET[0])
    assert Verdict.ACCEPTED is watch.look(day(0, "12:15"), FLEET[0], FLEET[1])


UNSEEN = (
    "Epochs that begin while a resource is missing, its list suspicious or the API silent are uncertain until it is seen "
    "again (then charged, `inferred`) or gone."
)


@proves(UNSEEN)
def test_an_epoch_that_begins_while_the_api_is_silent_is_uncertain_until_the_vm_is_seen_again() -> None:
    watch = Watch()
    watch.look(day(0, "17:50"), OTHER, WEB)
    assert usd("0") == watch.uncertain(day(0, "17:54"))
    assert PRICE == watch.uncertain(day(0, "17:55")).dollars
    assert PRICE * 2 == watch.uncertain(day(1, "18:00")).dollars

    watch.look(day(1, "18:00"), OTHER, WEB)

    assert [Basis.OBSERVED, Basis.INFERRED, Basis.OBSERVED] == [row.basis for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(1, "18:00"))


@proves(UNSEEN)
def test_an_epoch_that_begins_while_a_vm_is_missing_is_uncertain_until_it_is_seen_again() -> None:
    watch = Watch(confirm_absence=5)
    watch.look(day(0, "17:50"), OTHER, WEB)
    watch.look(day(0, "17:53"), OTHER)
    watch.look(day(0, "18:00"), OTHER)
    assert (PRICE, PRICE) == (watch.total().dollars, watch.uncertain(day(0, "18:00")).dollars)

    watch.look(day(0, "18:05"), OTHER, WEB)

    assert (PRICE * 2, usd("0")) == (watch.total().dollars, watch.uncertain(day(0, "18:05")))


@proves(UNSEEN)
def test_an_epoch_that_begins_between_the_first_absence_and_gone_is_not_on_the_bill() -> None:
    watch = Watch()
    watch.look(day(0, "17:45"), OTHER, WEB)
    watch.look(day(0, "17:50"), OTHER)
    assert PRICE == watch.uncertain(day(0, "17:58")).dollars

    watch.look(day(0, "18:00"), OTHER)

    assert (PRICE, usd("0")) == (watch.total().dollars, watch.uncertain(day(2)))


@proves(UNSEEN)
def test_an_epoch_that_begins_while_the_list_is_suspicious_is_uncertain_until_it_is_believed() -> None:
    watch = Watch()
    watch.look(day(0, "17:50"), *FLEET)
    watch.look(day(0, "17:57"))
    assert PRICE == watch.uncertain(day(0, "17:57"), "n0").dollars

    watch.look(day(0, "18:00"), *FLEET)

    assert (PRICE * 2, usd("0")) == (watch.total("n0").dollars, watch.uncertain(day(0, "18:00"), "n0"))


@proves(UNSEEN)
def test_a_suspicious_list_that_proves_right_ends_lives_at_the_first_list_that_lacked_them() -> None:
    watch = Watch()
    watch.look(day(0, "17:45"), *FLEET)
    watch.polls(day(0, "17:50"), day(0, "19:00"))

    assert Presence.GONE is watch.state("n0").presence
    assert (PRICE, usd("0")) == (watch.total("n0").dollars, watch.uncertain(day(2), "n0"))


NEVER_GONE = "A resource that comes back under its identity and creation time was never gone."


@proves(NEVER_GONE)
def test_a_vm_that_comes_back_is_charged_for_every_epoch_between() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.polls(day(0, "18:00"), day(2, "12:00"), OTHER)
    assert PRICE == watch.uncertain(day(2, "12:00")).dollars

    watch.look(day(2, "12:05"), OTHER, WEB)

    assert [day(0, "12:00"), day(0, "17:55"), day(1, "17:55")] == [row.span.start for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(2, "12:05"))


@proves(NEVER_GONE)
def test_a_vm_that_comes_back_stopped_leaves_each_epoch_in_doubt_once() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.polls(day(0, "18:00"), day(2, "12:00"), OTHER)
    watch.look(day(2, "12:05"), OTHER, vm("web", created_at=day(0, "12:00"), status="Stopped"))

    assert [day(0, "17:55"), day(1, "17:55")] == [one.span.start for one in watch.state().doubts]
    assert {Cause.AFTER_LAST_SIGHT} == {one.cause for one in watch.state().doubts}


@proves("under its identity and creation time")
def test_an_id_that_comes_back_with_another_creation_time_begins_another_life() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.polls(day(0, "12:10"), day(3, "12:00"), OTHER)
    watch.look(day(3, "12:05"), OTHER, vm("web", created_at=day(3, "12:02")))

    assert [Span(day(0, "12:00"), day(0, "17:55")), Span(day(3, "12:02"), day(3, "17:55"))] == [
        row.span for row in watch.epochs()
    ]
    assert usd("0") == watch.uncertain(day(3, "12:05"))


@proves("under its identity and creation time")
def test_another_life_that_begins_in_the_last_epoch_of_the_former_cuts_it_short() -> None:
    watch = Watch()
    watch.look(day(0, "12:05"), OTHER, WEB)
    watch.polls(day(0, "12:10"), day(0, "12:30"), OTHER)
    watch.look(day(0, "13:05"), OTHER, vm("web", created_at=day(0, "13:00")))

    assert [Span(day(0, "12:00"), day(0, "13:00")), Span(day(0, "13:00"), day(0, "17:55"))] == [
        row.span for row in watch.epochs()
    ]


TIMES = "Sighting time is when the answered request was sent, absence when the answer came."


@proves(TIMES)
def test_a_request_sent_before_the_boundary_and_answered_after_it_has_not_seen_the_new_epoch() -> None:
    watch = Watch()
    watch.look(day(0, "17:54:50"), OTHER, WEB, answered=day(0, "17:55:10"))

    assert (PRICE, PRICE) == (watch.total().dollars, watch.uncertain(day(0, "17:55:10")).dollars)


@proves(TIMES)
def test_an_absence_asked_before_the_boundary_and_answered_after_it_leaves_the_new_epoch_uncertain() -> None:
    watch = Watch()
    watch.look(day(0, "17:50"), OTHER, WEB)
    watch.look(day(0, "17:54:50"), OTHER, answered=day(0, "17:55:10"))
    watch.look(day(0, "18:00"), OTHER)

    assert (PRICE, PRICE) == (watch.total().dollars, watch.uncertain(day(2)).dollars)
