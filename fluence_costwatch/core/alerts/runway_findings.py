"""When the money of an account ends soon, what goes then, and when it lasts again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling, fingerprint_of
from fluence_costwatch.core.alerts.subjects import moment_text, open_of
from fluence_costwatch.core.budgets.outlook import Outlook, outlook_of
from fluence_costwatch.core.known import Known, KnownResource
from fluence_costwatch.core.messages.wording import money

KIND: Final = "runway"
_CRITICAL_PART: Final = 3


def judge_runways(
    known: Known,
    records: Mapping[str, Sequence[KnownResource]],
    *,
    accounts: Iterable[str],
    within: timedelta,
    alerts: Iterable[Alert],
    now: datetime,
) -> Judged:
    """Which accounts run out of money `within` that time. `records` are the resources by account.

    An account of which no balance is known stays as it was.
    """
    balances = known.newest_balances()
    opened = {alert.fingerprint: alert for alert in open_of(alerts, KIND)}
    findings: list[Finding] = []
    endings: list[Ending] = []
    for account in accounts:
        balance = balances.get(account)
        if balance is None:
            continue
        outlook = outlook_of(balance, records.get(account, ()))
        alert = opened.get(fingerprint_of(KIND, account, None, ""))
        left = None if outlook.runway.ends_at is None else outlook.runway.ends_at - now
        if outlook.runway.ends_at is not None and left is not None and left <= _limit(within, held=alert is not None):
            findings.append(_finding(account, outlook, alert, ends_at=outlook.runway.ends_at, within=within, now=now))
        elif alert is not None:
            endings.append(Ending(alert.fingerprint, _longer(known, account, outlook, since=alert.since)))
    return Judged(tuple(findings), tuple(endings))


def _limit(within: timedelta, *, held: bool) -> timedelta:
    """A balance is read a little before or after what it pays for, so what was short is long only clearly beyond."""
    return within + within / 10 if held else within


def _finding(
    account: str, outlook: Outlook, alert: Alert | None, *, ends_at: datetime, within: timedelta, now: datetime
) -> Finding:
    was_critical = alert is not None and alert.severity is Severity.CRITICAL
    is_critical = ends_at - now <= _limit(within / _CRITICAL_PART, held=was_critical)
    ends = f"{'at the latest ' if outlook.is_latest else ''}{'on' if ends_at > now else 'since'} {moment_text(ends_at)}"
    runs = "runs out of money" if ends_at > now else "has been out of money"
    return Finding(
        kind=KIND,
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        account=account,
        resource_id=None,
        summary=f"Account {account!r} {runs} {ends} ({money(outlook.balance)} left)",
        means=_what_goes(outlook),
        advice="Top up the account, or end what is not needed.",
        telling=Telling.STATE,
        facts=(("balance", str(outlook.balance)), ("ends_at", ends_at.isoformat())),
    )


def _what_goes(outlook: Outlook) -> str:
    """What the debt rules take and when, at the worst."""
    machines, disks = outlook.runway.machines_removed_at, outlook.runway.disks_removed_at
    if machines is None:
        return ""
    first = f"Without a top-up the provider may remove machines and addresses from {moment_text(machines)} on"
    return (
        f"{first}." if disks is None else f"{first}, and disks with all that is on them from {moment_text(disks)} on."
    )


def _longer(known: Known, account: str, outlook: Outlook, *, since: datetime) -> str:
    top_ups = known.top_ups(account=account, since=since)
    reason = f"topped up with {money(top_ups[-1].amount)}" if top_ups else "less is spent"
    ends_at = outlook.runway.ends_at
    lasts = "for more than ten years" if ends_at is None else f"until {moment_text(ends_at)}"
    return f"{reason}: {money(outlook.balance)} now lasts {lasts}"
