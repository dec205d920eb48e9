"""However tries fail and wherever the process dies, nothing that was queued is lost, and only a death doubles it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, OutboxRow
from fluence_costwatch.delivery import deliver
from fluence_costwatch.ports import Store
from tests.telling import FakeStore, ScriptedChannel, row


class Died(BaseException):
    """The process ended here."""


OUTCOMES = st.sampled_from(
    (
        Attempt(True),
        Attempt(False, "down"),
        Attempt(False, "wait", retry_after=timedelta(minutes=20)),
        Attempt(False, "no such channel", permanent=True),
        Attempt(False, "not answered", unconfirmed=True),
        ValueError("broken"),
        Died(),
    )
)


class DyingStore(FakeStore):
    """A store whose process dies as it commits, at some of its commits."""

    def __init__(self, *rows: OutboxRow, deaths: list[bool]) -> None:
        super().__init__(*rows)
        self.deaths = deaths

    def settle(self, number: int, attempt: Attempt, *, state: Delivery, next_at: datetime, at: datetime) -> None:
        if self.deaths and self.deaths.pop(0):
            raise Died
        super().settle(number, attempt, state=state, next_at=next_at, at=at)


@given(
    answers=st.lists(st.lists(OUTCOMES, max_size=6), min_size=1, max_size=6),
    deaths=st.lists(st.booleans(), max_size=12),
)
def test_nothing_is_lost_and_only_a_death_between_sending_and_noting_doubles(
    answers: list[list[Attempt | BaseException]], deaths: list[bool]
) -> None:
    scripts = {f"fact {number}": script for number, script in enumerate(answers, start=1)}
    store = DyingStore(*(row(number) for number in range(1, len(answers) + 1)), deaths=list(deaths))
    channel = ScriptedChannel(scripts)
    died_after = Counter[str]()

    for _ in range(200):
        try:
            deliver("ops", store=cast(Store, store), notifier=channel, clock=channel.clock)
        except Died:
            died_after[channel.tried[-1]] += 1
        channel.now += timedelta(minutes=1)

    for each in store.rows.values():
        subject = each.message.subject
        arrived = channel.arrived.count(subject)
        assert each.state is not Delivery.QUEUED
        assert (arrived > 0) or each.state in (Delivery.DEAD, Delivery.UNCONFIRMED)
        assert arrived <= 1 + died_after[subject]


@given(script=st.lists(st.sampled_from((Attempt(True), Attempt(False, "down"))), max_size=40), count=st.integers(2, 6))
def test_messages_arrive_in_the_order_in_which_they_were_queued_as_the_channel_comes_and_goes(
    script: list[Attempt], count: int
) -> None:
    class Flapping(ScriptedChannel):
        def send(self, target: str, message: Message, *, reference: str) -> Attempt:
            self.answers[message.subject] = [script.pop(0)] if script else []
            return super().send(target, message, reference=reference)

    store, channel = FakeStore(*(row(number) for number in range(1, count + 1))), Flapping()

    for _ in range(100):
        deliver("ops", store=cast(Store, store), notifier=channel, clock=channel.clock)
        channel.now += timedelta(minutes=5)

    if len(channel.tried) < 16:  # no message failed for an hour
        assert sorted(channel.arrived) == channel.arrived
    assert count == len(channel.arrived)
