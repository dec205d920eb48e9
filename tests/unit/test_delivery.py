"""Delivery: order, pauses, what is given up, what is noted, and what is found out about targets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from fluence_costwatch.core.alerts.delivery_findings import delivery_findings
from fluence_costwatch.core.messages.backoff import pause_after
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, OutboxRow
from fluence_costwatch.delivery import Turn, Unrecorded, deliver
from fluence_costwatch.ports import Store
from tests.builders import at
from tests.telling import NOW, FakeStore, ScriptedChannel, alert, row

DOWN = Attempt(False, "no answer")
REFUSED = Attempt(False, "no such channel", permanent=True)
UNCONFIRMED = Attempt(False, "handed over, not answered", unconfirmed=True)


def turn(store: FakeStore, channel: ScriptedChannel, **more: Any) -> Turn:
    return deliver("ops", store=cast(Store, store), notifier=channel, clock=channel.clock, **more)


@pytest.mark.parametrize(
    ("attempts", "retry_after", "seconds"),
    [
        (1, None, 10),
        (2, None, 20),
        (3, None, 40),
        (5, None, 160),
        (6, None, 300),
        (10_000, None, 300),
        (1, 5, 10),
        (1, 90, 90),
        (9, 600, 600),
        (1, 86_400, 3_600),
    ],
)
def test_pauses_double_from_ten_seconds_to_five_minutes_unless_the_channel_asks_for_more(
    attempts: int, retry_after: int | None, seconds: int
) -> None:
    wish = None if retry_after is None else timedelta(seconds=retry_after)

    assert timedelta(seconds=seconds) == pause_after(attempts, retry_after=wish)


def test_all_that_is_due_is_sent_in_order_and_noted() -> None:
    store, ops = FakeStore(row(1), row(2), row(3)), ScriptedChannel()

    result = turn(store, ops)

    assert ["fact 1", "fact 2", "fact 3"] == ops.arrived
    assert {Delivery.SENT} == {each.state for each in store.rows.values()}
    assert Turn(accepted=3, failed=0, next_at=None) == result


def test_a_passing_failure_makes_later_messages_wait_so_that_order_is_kept() -> None:
    store, ops = FakeStore(row(1), row(2)), ScriptedChannel({"fact 1": [DOWN]})

    first = turn(store, ops)
    too_early = turn(store, ops)
    ops.now += timedelta(seconds=10)
    turn(store, ops)

    assert Turn(accepted=0, failed=1, next_at=NOW + timedelta(seconds=11)) == first
    assert 0 == too_early.accepted
    assert ["fact 1", "fact 2"] == ops.arrived


@pytest.mark.parametrize(("answer", "state"), [(REFUSED, Delivery.DEAD), (UNCONFIRMED, Delivery.UNCONFIRMED)])
def test_what_trying_again_cannot_help_does_not_hold_up_the_next(answer: Attempt, state: Delivery) -> None:
    store, ops = FakeStore(row(1), row(2)), ScriptedChannel({"fact 1": [answer]})

    turn(store, ops)
    ops.now += timedelta(days=1)
    turn(store, ops)

    assert ["fact 1", "fact 2"] == ops.tried
    assert (state, answer.error) == (store.rows[1].state, store.rows[1].error)


def test_what_is_held_back_by_quiet_hours_lets_the_critical_pass() -> None:
    morning = NOW + timedelta(hours=8)
    store, ops = FakeStore(row(1, next_at=morning), row(2)), ScriptedChannel()

    result = turn(store, ops)

    assert ["fact 2"] == ops.arrived
    assert morning == result.next_at


def test_a_message_that_breaks_the_notifier_stops_no_other_and_is_given_up_after_ten_tries() -> None:
    store, ops = FakeStore(row(1), row(2)), ScriptedChannel({"fact 1": [KeyError("x")] * 20})

    turn(store, ops)
    assert ["fact 2"] == ops.arrived
    for _ in range(20):
        ops.now += timedelta(minutes=5)
        turn(store, ops)

    assert 10 == ops.tried.count("fact 1")
    assert (Delivery.DEAD, "broke the notifier 10 times: KeyError: 'x'") == (store.rows[1].state, store.rows[1].error)


def test_what_an_operator_queues_again_has_all_its_tries_anew() -> None:
    queued_again = row(1, error="broke the notifier 10 times: KeyError: 'x'")
    store, ops = FakeStore(queued_again), ScriptedChannel({"fact 1": [KeyError("x")]})

    turn(store, ops)

    assert (Delivery.QUEUED, "broke the notifier 1 times: KeyError: 'x'") == (store.rows[1].state, store.rows[1].error)


def test_failures_of_the_channel_do_not_count_as_breaks_of_the_notifier() -> None:
    store, ops = FakeStore(row(1)), ScriptedChannel({"fact 1": [*[DOWN] * 30, *[KeyError("x")] * 9]})

    for _ in range(45):
        turn(store, ops)
        ops.now += timedelta(minutes=5)

    assert ["fact 1"] == ops.arrived


def test_a_message_that_alone_fails_for_an_hour_is_passed_over_but_never_given_up() -> None:
    store, ops = FakeStore(row(1), row(2)), ScriptedChannel({"fact 1": [DOWN] * 40})

    arrived_after = []
    for _ in range(60):
        turn(store, ops)
        arrived_after.append(list(ops.arrived))
        ops.now += timedelta(minutes=5)

    assert [] == arrived_after[14]
    assert ["fact 2"] == arrived_after[15]
    assert ["fact 2", "fact 1"] == ops.arrived


def test_after_a_day_without_channel_all_messages_arrive_in_order() -> None:
    rows = [row(number) for number in range(1, 31)]
    store, ops = FakeStore(*rows), ScriptedChannel({f"fact {number}": [DOWN] * 1000 for number in range(1, 31)})

    for _ in range(300):
        turn(store, ops)
        ops.now += timedelta(minutes=5)
    ops.answers.clear()
    turn(store, ops)

    assert [f"fact {number}" for number in range(1, 31)] == ops.arrived


def test_a_clock_that_was_ahead_does_not_put_messages_off_for_a_year() -> None:
    ahead = NOW + timedelta(days=365)
    store, ops = FakeStore(row(1, attempts=3, next_at=ahead), row(2, next_at=ahead)), ScriptedChannel()

    turn(store, ops)

    assert ["fact 1", "fact 2"] == ops.arrived


def test_who_is_told_of_acceptance_is_told_in_the_transaction_that_notes_it_and_only_then() -> None:
    store, ops = FakeStore(row(1, deletion="d1"), row(2, deletion="d2")), ScriptedChannel({"fact 2": [UNCONFIRMED]})
    told: list[tuple[str | None, Delivery, object]] = []

    def on_accepted(tx: Any, accepted: OutboxRow, moment: object) -> None:
        told.append((accepted.deletion, tx.rows[accepted.number].state, moment))

    turn(store, ops, on_accepted=on_accepted)

    assert [("d1", Delivery.SENT, NOW + timedelta(seconds=1))] == told


def test_what_was_sent_and_could_not_be_noted_is_noted_later_and_not_sent_again() -> None:
    store, ops = FakeStore(row(1), row(2)), ScriptedChannel()
    unrecorded: Unrecorded = {}
    store.fails = 2

    for _ in range(2):
        with pytest.raises(OSError, match="disk is full"):
            turn(store, ops, unrecorded=unrecorded)
    turn(store, ops, unrecorded=unrecorded)

    assert ["fact 1", "fact 2"] == ops.arrived
    assert {} == unrecorded
    assert NOW + timedelta(seconds=1) == store.rows[1].settled_at


LATER = NOW + timedelta(minutes=20)


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        pytest.param([], [], id="nothing is queued"),
        pytest.param([row(attempts=0, next_at=at("2026-03-04 07:00"))], [], id="held back by quiet hours"),
        pytest.param([row(attempts=2, made_at=NOW + timedelta(minutes=15))], [], id="failing for five minutes"),
        pytest.param([row(attempts=9, error="down")], ["ops: failing"], id="failing for twenty minutes"),
        pytest.param([row(state=Delivery.DEAD, settled_at=NOW)], ["ops: lost"], id="refused"),
        pytest.param([row(state=Delivery.UNCONFIRMED, settled_at=NOW)], ["ops: lost"], id="not answered"),
        pytest.param([row(state=Delivery.DEAD, settled_at=NOW - timedelta(days=8))], [], id="refused a week ago"),
        pytest.param([row(target="former", attempts=9)], [], id="a target that is configured no more"),
    ],
)
def test_trouble_with_a_target_is_found(rows: list[OutboxRow], rules: list[str]) -> None:
    judged = delivery_findings(rows, targets=("ops", "mail"), alerts=(), now=LATER)

    assert rules == [finding.rule for finding in judged.findings]


def test_trouble_with_a_target_ends_with_a_reason() -> None:
    found = delivery_findings([row(attempts=9)], targets=("ops",), alerts=(), now=LATER).findings[0]
    stored = alert(kind="delivery", fingerprint=found.fingerprint, facts=found.facts)

    still = delivery_findings([row(attempts=10)], targets=("ops",), alerts=[stored], now=LATER)
    over = delivery_findings([], targets=("ops",), alerts=[stored], now=LATER)
    removed = delivery_findings([row(attempts=9)], targets=("mail",), alerts=[stored], now=LATER)

    assert () == still.endings
    assert ["nothing that is queued for target ops fails any more"] == [each.reason for each in over.endings]
    assert ["target ops is no longer configured"] == [each.reason for each in removed.endings]
