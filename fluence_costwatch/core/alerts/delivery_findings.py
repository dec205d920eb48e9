"""Targets that do not get their messages, as findings; they are told to the other targets (`routing.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow
from fluence_costwatch.core.messages.routing import TARGET_FACT
from fluence_costwatch.core.messages.wording import counted

KIND: Final = "delivery"
WATCHED_STATES: Final = (Delivery.QUEUED, Delivery.DEAD, Delivery.UNCONFIRMED)
"""The states of the rows from which these findings are made."""

FAILING_AFTER: Final = timedelta(minutes=15)
LOST_IS_NEWS_FOR: Final = timedelta(days=7)

_FAILING: Final = "failing"
_LOST: Final = "lost"
# One try may fail by chance; with a second one it is the target.
_TRIES: Final = 2


def delivery_findings(
    rows: Iterable[OutboxRow],
    *,
    targets: Sequence[str],
    alerts: Iterable[Alert],
    command: str = "fluence-costwatch",
    now: datetime,
) -> Judged:
    """What is wrong with the delivery to each configured target, from its rows of `WATCHED_STATES`.

    `alerts` are the stored ones: those about targets that are fine again, or no longer configured, end.
    """
    rows = [row for row in rows if row.target in targets]
    findings = [
        finding
        for target in targets
        for finding in (
            *_failing([row for row in rows if row.target == target], target=target, command=command, now=now),
            *_lost([row for row in rows if row.target == target], target=target, command=command, now=now),
        )
    ]
    found = {finding.fingerprint for finding in findings}
    endings = tuple(
        Ending(alert.fingerprint, _why_over(alert, targets=targets))
        for alert in alerts
        if alert.kind == KIND and alert.fingerprint not in found and TARGET_FACT in dict(alert.facts)
    )
    return Judged(tuple(findings), endings)


def _failing(rows: Sequence[OutboxRow], *, target: str, command: str, now: datetime) -> Iterable[Finding]:
    failing = [
        row
        for row in rows
        if row.state is Delivery.QUEUED and row.attempts >= _TRIES and now - row.made_at > FAILING_AFTER
    ]
    if not failing:
        return
    first = failing[0]
    waiting = sum(row.state is Delivery.QUEUED for row in rows)
    yield _finding(
        _FAILING,
        target=target,
        summary=f"target {target} cannot be reached: {first.error or 'it does not take messages'}",
        means=f"{counted(waiting, 'message')} wait for it; the first was tried {counted(first.attempts, 'time')}. "
        "None is lost: each is tried again every few minutes.",
        telling=Telling.STATE,
        command=command,
    )


def _lost(rows: Sequence[OutboxRow], *, target: str, command: str, now: datetime) -> Iterable[Finding]:
    lost = [
        row
        for row in rows
        if row.state in (Delivery.DEAD, Delivery.UNCONFIRMED) and now - (row.settled_at or now) < LOST_IS_NEWS_FOR
    ]
    if not lost:
        return
    newest = lost[-1]
    given_up = sum(row.state is Delivery.DEAD for row in lost)
    parts = [f"refused {counted(given_up, 'message')}"] if given_up else []
    if len(lost) > given_up:
        parts.append(f"may not have got {counted(len(lost) - given_up, 'message')}")
    yield _finding(
        _LOST,
        target=target,
        summary=f"target {target} {' and '.join(parts)}: {newest.error or 'it gave no reason'}",
        means=f"The newest of them: {newest.message.subject}",
        telling=Telling.CHANGES,
        command=command,
    )


def _finding(aspect: str, *, target: str, summary: str, means: str, telling: Telling, command: str) -> Finding:
    return Finding(
        kind=KIND,
        severity=Severity.WARNING,
        account="",
        resource_id=None,
        rule=f"{target}: {aspect}",
        summary=summary,
        means=means,
        advice=f"{command} notify test {target}",
        telling=telling,
        facts=((TARGET_FACT, target), ("aspect", aspect)),
    )


def _why_over(alert: Alert, *, targets: Sequence[str]) -> str:
    facts = dict(alert.facts)
    target = facts[TARGET_FACT]
    if target not in targets:
        return f"target {target} is no longer configured"
    if facts.get("aspect") == _FAILING:
        return f"nothing that is queued for target {target} fails any more"
    return f"what target {target} did not get was sent again, or is older than {LOST_IS_NEWS_FOR.days} days"
