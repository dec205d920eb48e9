"""Alerts, events and rows of the outbox for tests: what a test does not say has a plain default."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fluence_costwatch.core.alerts.alert import Alert, AlertEvent, AlertState, Change
from fluence_costwatch.core.alerts.findings import Severity, Telling, fingerprint_of
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, OutboxRow
from tests.builders import at

NOW = at("2026-03-03 12:00")

Answers = Mapping[str, Sequence[Attempt | BaseException]]
"""By the subject of a message, what comes of the tries to send it."""


def alert(id: str = "a1", *, kind: str = "idle", **facts: Any) -> Alert:
    """A firing warning about the machine "0xweb" of account "main"."""
    plain = Alert(
        id=id,
        fingerprint=fingerprint_of(kind, "main", id, ""),
        kind=kind,
        severity=Severity.WARNING,
        state=AlertState.FIRING,
        account="main",
        resource_id="0xweb",
        rule="",
        name="web",
        summary=f"fact {id}",
        means="",
        advice="",
        telling=Telling.STATE,
        group="",
        level=Decimal(0),
        cost_per_day=None,
        facts=(),
        since=at("2026-03-03 11:00"),
        fired_at=at("2026-03-03 11:00"),
    )
    return replace(plain, **facts)


def fired(id: str = "a1", *, change: Change = Change.FIRED, reason: str = "", **facts: Any) -> AlertEvent:
    """An alert that began, or what else `change` says."""
    return AlertEvent(alert(id, **facts), change, reason)


def message(subject: str = "[WARN] fact", **facts: Any) -> Message:
    """A message of nothing but its subject."""
    return replace(Message(Severity.WARNING, subject, "thread", ()), **facts)


def row(number: int = 1, **facts: Any) -> OutboxRow:
    """A message that was just queued for the target "ops"."""
    plain = OutboxRow(number, f"key-{number}", "ops", message(f"fact {number}"), made_at=NOW, next_at=NOW)
    return replace(plain, **facts)


class FakeStore:
    """The outbox in memory, with as much of a store as delivery asks for."""

    def __init__(self, *rows: OutboxRow) -> None:
        self.rows = {row.number: row for row in rows}
        self.fails = 0

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        kept = dict(self.rows)
        try:
            yield self
            if self.fails:
                self.fails -= 1
                raise OSError("the disk is full")
        except BaseException:
            self.rows = kept
            raise

    @contextmanager
    def reading(self) -> Iterator[Any]:
        yield self

    def outbox(self, *, states: Iterable[Delivery], target: str) -> list[OutboxRow]:
        return [row for row in self.rows.values() if row.state in tuple(states) and row.target == target]

    def settle(self, number: int, attempt: Attempt, *, state: Delivery, next_at: datetime, at: datetime) -> None:
        row = self.rows[number]
        settled_at = None if state is Delivery.QUEUED else at
        self.rows[number] = replace(
            row, state=state, next_at=next_at, attempts=row.attempts + 1, error=attempt.error, settled_at=settled_at
        )


class ScriptedChannel:
    """A notifier that takes everything but what it is told to answer: by subject, one answer after the other.

    Every try takes a second of `now`. An answer that is an error is raised.
    """

    def __init__(self, answers: Answers | None = None, *, now: datetime = NOW) -> None:
        self.now = now
        self.answers = {subject: list(each) for subject, each in (answers or {}).items()}
        self.tried: list[str] = []
        self.arrived: list[str] = []

    def clock(self) -> datetime:
        return self.now

    def send(self, target: str, message: Message, *, reference: str) -> Attempt:
        self.now += timedelta(seconds=1)
        self.tried.append(message.subject)
        script = self.answers.get(message.subject, [])
        answer = script.pop(0) if script else Attempt(True)
        if isinstance(answer, BaseException):
            raise answer
        if answer.sent:
            self.arrived.append(message.subject)
        return answer
