"""Delivery from a real database: what is committed is sent as it was, also by another process, and noted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.alerts.delivery_findings import WATCHED_STATES, delivery_findings
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.composing import compose
from fluence_costwatch.core.messages.digest import digests
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, DigestEvery, Draft, OutboxRow, Route
from fluence_costwatch.delivery import deliver
from fluence_costwatch.ports import Transaction
from fluence_costwatch.store import SqliteStore, open_store
from tests.known import watched
from tests.telling import NOW, ScriptedChannel, fired
from tests.unit.test_composing import BUDGET, CONTEXT


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A new store."""
    with open_store(tmp_path / "watch.db", now=NOW) as store:
        yield store


def queue(store: SqliteStore, *drafts: Draft) -> None:
    with store.transaction() as tx:
        tx.enqueue(drafts, at=NOW)


def told(number: int, *targets: str) -> tuple[Draft, ...]:
    """A message about an alert of that number for each target."""
    routes = [Route(target) for target in targets]
    return compose([fired(f"a{number}", **BUDGET)], routes=routes, quiet=None, context=CONTEXT, now=NOW)


def outbox(store: SqliteStore) -> list[OutboxRow]:
    with store.reading() as known:
        return list(known.outbox())


class Keeping(ScriptedChannel):
    """A channel that keeps the messages it got, with their references."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[str, str, Message]] = []

    def send(self, target: str, message: Message, *, reference: str) -> Attempt:
        self.got.append((target, reference, message))
        return super().send(target, message, reference=reference)


def test_messages_arrive_as_they_were_committed_whoever_sends_them(tmp_path: Path) -> None:
    drafts = (*told(1, "ops", "mail"), *told(2, "ops"))
    with open_store(tmp_path / "watch.db", now=NOW) as first:
        queue(first, *drafts)

    channel = Keeping()
    with open_store(tmp_path / "watch.db", now=NOW) as second:
        deliver("ops", store=second, notifier=channel, clock=channel.clock)
        states = [row.state for row in outbox(second)]

    assert [("ops", draft.key, draft.message) for draft in (drafts[0], drafts[2])] == channel.got
    assert [Delivery.SENT, Delivery.QUEUED, Delivery.SENT] == states


def test_what_is_put_in_again_is_not_sent_again(store: SqliteStore) -> None:
    channel = ScriptedChannel()
    for _ in range(2):
        queue(store, *told(1, "ops"))
        deliver("ops", store=store, notifier=channel, clock=channel.clock)

    assert 1 == len(channel.arrived)


def test_a_digest_is_put_in_once_a_day(store: SqliteStore) -> None:
    for hours in range(3):
        now = NOW + timedelta(hours=hours)
        with store.transaction() as tx:
            drafts = digests(
                tx.reading(),
                routes=[Route("ops", digest=DigestEvery.DAILY)],
                quiet=None,
                watched=watched(),
                alerts=(),
                context=CONTEXT,
                now=now,
            )
            tx.enqueue(drafts, at=now)

    assert ["digest-daily-2026-03-03"] == [row.key for row in outbox(store)]


def test_a_death_between_sending_and_noting_sends_once_more_and_loses_nothing(store: SqliteStore) -> None:
    queue(store, *told(1, "ops"), *told(2, "ops"))
    channel = Keeping()
    deaths = [True]

    def dying(tx: Transaction, row: OutboxRow, at: datetime) -> None:
        if deaths:
            deaths.clear()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver("ops", store=store, notifier=channel, clock=channel.clock, on_accepted=dying)
    assert [Delivery.QUEUED, Delivery.QUEUED] == [row.state for row in outbox(store)]
    deliver("ops", store=store, notifier=channel, clock=channel.clock, on_accepted=dying)

    keys = [draft.key for draft in (*told(1, "ops"), *told(2, "ops"))]
    assert [keys[0], keys[0], keys[1]] == [reference for _, reference, _ in channel.got]
    assert {Delivery.SENT} == {row.state for row in outbox(store)}


def test_no_transaction_is_open_while_a_message_is_sent(store: SqliteStore) -> None:
    queue(store, *told(1, "ops"))

    class Writing(ScriptedChannel):
        def send(self, target: str, message: Message, *, reference: str) -> Attempt:
            queue(store, *told(2, "mail"))  # waits for a writer, if there is one
            return super().send(target, message, reference=reference)

    channel = Writing()
    deliver("ops", store=store, notifier=channel, clock=channel.clock)

    assert [("ops", Delivery.SENT), ("mail", Delivery.QUEUED)] == [(row.target, row.state) for row in outbox(store)]


def test_an_operator_can_have_a_refused_message_sent_again(store: SqliteStore) -> None:
    queue(store, *told(1, "ops"))
    subject = told(1, "ops")[0].message.subject
    channel = ScriptedChannel({subject: [Attempt(False, "no such channel", permanent=True)]})
    deliver("ops", store=store, notifier=channel, clock=channel.clock)

    def found() -> list[Any]:
        with store.reading() as known:
            rows = known.outbox(states=WATCHED_STATES)
        judged = delivery_findings(rows, targets=("ops",), alerts=(), now=channel.now)
        return [finding.summary for finding in judged.findings]

    assert ["target ops refused 1 message: no such channel"] == found()
    with store.transaction() as tx:
        tx.requeue(1, at=channel.now)
    deliver("ops", store=store, notifier=channel, clock=channel.clock)

    assert [] == found()
    assert [subject] == channel.arrived


def test_a_notice_notes_on_its_deletion_when_it_was_accepted_in_one_transaction(store: SqliteStore) -> None:
    notice = replace(told(1, "ops")[0], deletion="d1")
    queue(store, notice, *told(2, "ops"))
    channel, noted = ScriptedChannel(), list[tuple[str | None, Delivery]]()

    def on_accepted(tx: Transaction, row: OutboxRow, at: datetime) -> None:
        states = {each.number: each.state for each in tx.reading().outbox()}
        noted.append((row.deletion, states[row.number]))

    deliver("ops", store=store, notifier=channel, clock=channel.clock, on_accepted=on_accepted)

    assert [("d1", Delivery.SENT), (None, Delivery.SENT)] == noted


def test_what_is_critical_passes_what_waits_for_the_morning(store: SqliteStore) -> None:
    held = replace(told(1, "ops")[0], not_before=NOW + timedelta(hours=8))
    critical = compose(
        [fired("a2", severity=Severity.CRITICAL)], routes=[Route("ops")], quiet=None, context=CONTEXT, now=NOW
    )
    queue(store, held, *critical)
    channel = ScriptedChannel()

    turn = deliver("ops", store=store, notifier=channel, clock=channel.clock)

    assert ["[CRIT] fact a2"] == channel.arrived
    assert NOW + timedelta(hours=8) == turn.next_at
