"""The alert state machine: from stored alerts and what was judged to the alerts as they are now, and what is told.

It is a pure function of what is stored, so that a restart changes nothing; the same step once more changes nothing either.
What happens to an alert:

- It is new, and pending where it must hold for a while first; what ends while pending is dropped without a word.
- It fires, and is told, unless it is silenced or another of its group is told for it.
- It is told again where it rises in severity, and as a reminder where it is a STATE.
- It ends where an Ending says so, never because nothing is heard of it; an EVENT ends by itself. That is told where its
  beginning was.

When an alert began to be told in its present life stands in it: `told_at` is not before `fired_at`. A `told_at` just
before `fired_at` means that another of its group was told for it, or (ONCE) that it was told in an earlier life.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from fluence_costwatch.core.alerts.alert import TOLD_AS, Alert, AlertEvent, AlertState, Change, Silence
from fluence_costwatch.core.alerts.findings import Finding, Judged, Severity, Telling
from fluence_costwatch.core.alerts.silencing import matches
from fluence_costwatch.core.messages.wording import span

_MOMENT: Final = timedelta(microseconds=1)
_ID_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class AlertStep:
    """The alerts that are new or changed, each to be stored as it is, and what is to be told."""

    alerts: tuple[Alert, ...] = ()
    events: tuple[AlertEvent, ...] = ()


def next_alerts(
    stored: Sequence[Alert], judged: Judged, silences: Sequence[Silence], *, repeat: timedelta, now: datetime
) -> AlertStep:
    """What `judged` makes of the alerts in `stored`: all that are not resolved, and all that are told ONCE."""
    before = _by_fingerprint(stored)
    found = _strongest(judged.findings)
    silenced = _Silenced([one for one in silences if now < one.until])
    after = dict(before)
    for fingerprint, finding in found.items():
        after[fingerprint] = _held(before.get(fingerprint), finding, silenced=silenced, now=now)
    for fingerprint, reason in _ended(before, found, judged, repeat=repeat, now=now):
        after[fingerprint] = replace(
            before[fingerprint], state=AlertState.RESOLVED, resolved_at=now, resolved_because=reason
        )
    events = _first_told(before, after, silenced=silenced, now=now)
    events += _told_again(before, after, found, silenced=silenced, repeat=repeat, now=now)
    events += _told_to_end(before, after, silenced=silenced)
    after |= {event.alert.fingerprint: event.alert for event in events}
    return AlertStep(
        alerts=tuple(alert for key, alert in after.items() if alert != before.get(key)), events=tuple(events)
    )


def is_told(alert: Alert) -> bool:
    """Whether somebody was told that this alert fires, in its present life."""
    if alert.told_at is None or alert.fired_at is None:
        return False
    return alert.told_at >= alert.fired_at or alert.telling is Telling.EVENT


def alert_id(fingerprint: str, *, since: datetime) -> str:
    """The id of the alert that this finding begins at `since`."""
    return hashlib.sha256(f"{fingerprint} {since.isoformat()}".encode()).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True, slots=True)
class _Silenced:
    """The silences that are in force."""

    silences: Sequence[Silence]

    def __contains__(self, alert: Alert) -> bool:
        return any(matches(silence, alert) for silence in self.silences)


def _by_fingerprint(stored: Iterable[Alert]) -> dict[str, Alert]:
    """The newest alert of each fingerprint; one that is not resolved comes before one that is."""
    newest: dict[str, Alert] = {}
    for alert in sorted(stored, key=lambda one: (one.state is not AlertState.RESOLVED, one.since)):
        newest[alert.fingerprint] = alert
    return newest


def _strongest(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Of findings under one fingerprint, the most severe, of equal ones the last."""
    found: dict[str, Finding] = {}
    for finding in findings:
        other = found.get(finding.fingerprint)
        if other is None or Severity(finding.severity).rank >= Severity(other.severity).rank:
            found[finding.fingerprint] = finding
    return found


def _held(former: Alert | None, finding: Finding, *, silenced: _Silenced, now: datetime) -> Alert:
    """The alert of something that was found."""
    if former is None or (former.state is AlertState.RESOLVED and former.telling is not Telling.ONCE):
        return _begun(finding, now=now)
    if former.state is AlertState.RESOLVED:
        back = replace(_begun(finding, now=now), id=former.id, told_at=former.told_at)
        # Told in an earlier life, if at the very same instant.
        return back if back.told_at is None else replace(back, told_at=min(back.told_at, now - _MOMENT))
    severity = Severity(finding.severity)
    if former.state is AlertState.FIRING and severity.rank > former.severity.rank and is_told(former):
        # It rises when that can be told: what rises in silence would never be heard of.
        severity = former.severity if former in silenced else severity
    alert = replace(former, **(_said(finding) | {"severity": severity}))
    if is_told(former) and former.told_as.rank > severity.rank:
        alert = replace(alert, facts=(*alert.facts, (TOLD_AS, former.told_as.value)))
    if alert.state is AlertState.PENDING and now - alert.since >= finding.patience:
        return replace(alert, state=AlertState.FIRING, fired_at=now)
    if alert.state is AlertState.FIRING and alert.telling is Telling.EVENT and alert.summary != former.summary:
        return replace(alert, fired_at=now)  # it happened again
    return alert


def _begun(finding: Finding, *, now: datetime) -> Alert:
    fires = finding.patience <= timedelta(0)
    return Alert(
        id=alert_id(finding.fingerprint, since=now),
        fingerprint=finding.fingerprint,
        state=AlertState.FIRING if fires else AlertState.PENDING,
        since=now,
        fired_at=now if fires else None,
        **_said(finding),
    )


def _said(finding: Finding) -> dict[str, Any]:
    """What an alert says with its finding's words."""
    return {
        "kind": finding.kind,
        "severity": Severity(finding.severity),
        "account": finding.account,
        "resource_id": finding.resource_id,
        "rule": finding.rule,
        "name": finding.name,
        "summary": finding.summary,
        "means": finding.means,
        "advice": finding.advice,
        "telling": finding.telling,
        "group": finding.group,
        "level": finding.level,
        "cost_per_day": finding.cost_per_day,
        "facts": finding.facts,
    }


def _ended(
    before: Mapping[str, Alert], found: Mapping[str, Finding], judged: Judged, *, repeat: timedelta, now: datetime
) -> Iterator[tuple[str, str]]:
    """What is known to have ended, and why. What was found as well has not."""
    ended = {ending.fingerprint: ending.reason for ending in judged.endings}
    for fingerprint, alert in before.items():
        if alert.state is AlertState.RESOLVED or fingerprint in found:
            continue
        if fingerprint in ended:
            yield fingerprint, ended[fingerprint]
        elif alert.telling is Telling.EVENT and now - (alert.fired_at or alert.since) >= repeat:
            yield fingerprint, f"it has not happened again for {span(repeat)}"


def _first_told(
    before: Mapping[str, Alert], after: dict[str, Alert], *, silenced: _Silenced, now: datetime
) -> list[AlertEvent]:
    """What fires and was never told; `after` notes of which of these another one of the group is told instead.

    Of what begins at once that is the one of the highest level. Where a higher one of the same kind fires already and was
    told, nobody needs to hear of the lower one; of another kind (a forecast beside what is spent) one does.
    """
    firing = [alert for alert in after.values() if alert.state is AlertState.FIRING]
    waiting = [alert for alert in firing if alert.told_at is None and alert not in silenced]
    if not waiting:
        return []
    highest = _highest((alert, alert.group) for alert in waiting)
    told = _highest((alert, (alert.group, alert.kind)) for alert in firing if alert.told_at is not None)
    events = []
    for alert in waiting:
        above = max(highest[alert.group], told.get((alert.group, alert.kind), alert.level))
        if alert.group and alert.level < above:
            after[alert.fingerprint] = replace(alert, told_at=(alert.fired_at or now) - _MOMENT)
        else:
            reason = _why_told(before.get(alert.fingerprint), alert, now=now)
            events.append(AlertEvent(replace(alert, told_at=now), Change.FIRED, reason))
    return events


def _highest(alerts: Iterable[tuple[Alert, Hashable]]) -> dict[Hashable, Decimal]:
    """The highest level under each key."""
    highest: dict[Hashable, Decimal] = {}
    for alert, key in alerts:
        highest[key] = max(alert.level, highest.get(key, alert.level))
    return highest


def _why_told(former: Alert | None, alert: Alert, *, now: datetime) -> str:
    if former is not None and former.state is AlertState.FIRING:
        return "its silence has ended and it goes on"
    return "it began" if alert.since == now else f"it has held for {span(now - alert.since)}"


def _told_again(
    before: Mapping[str, Alert],
    after: Mapping[str, Alert],
    found: Iterable[str],
    *,
    silenced: _Silenced,
    repeat: timedelta,
    now: datetime,
) -> list[AlertEvent]:
    """What was told already and rose, or goes on for long enough to be told again."""
    events = []
    for fingerprint in found:
        former, alert = before.get(fingerprint), after[fingerprint]
        if former is None or former.state is not AlertState.FIRING or alert.state is not AlertState.FIRING:
            continue
        if alert.told_at is None or not is_told(alert):
            continue
        due = now - alert.told_at >= repeat
        if alert.severity.rank > former.severity.rank:
            # Another of its group may have been told for an EVENT so far: then this is its own beginning.
            change = Change.FIRED if alert.telling is Telling.EVENT else Change.ROSE
            reason = f"it was {former.severity}"
        elif alert.telling is Telling.STATE and due:
            change, reason = Change.REPEATED, f"reminder after {span(repeat)}"
        elif alert.telling is Telling.EVENT and due and alert.fired_at == now:
            change, reason = Change.FIRED, "it happened again"
        else:
            continue
        if alert not in silenced:
            events.append(AlertEvent(replace(alert, told_at=now), change, reason))
    return events


def _told_to_end(before: Mapping[str, Alert], after: Mapping[str, Alert], *, silenced: _Silenced) -> list[AlertEvent]:
    """What has ended and was told to have begun."""
    return [
        AlertEvent(alert, Change.RESOLVED, alert.resolved_because)
        for fingerprint, alert in after.items()
        if alert.state is AlertState.RESOLVED
        and (former := before.get(fingerprint)) is not None
        and former.state is AlertState.FIRING
        and alert.telling is not Telling.EVENT
        and is_told(former)
        and alert not in silenced
    ]
