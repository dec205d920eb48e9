"""Alerts as people see them: what fires first, the gravest before the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fluence_costwatch.core.alerts.alert import Alert, AlertState, Silence
from fluence_costwatch.core.alerts.anomalies import enough_history
from fluence_costwatch.core.alerts.silencing import NAMED_IN_FACTS, silence_of
from fluence_costwatch.core.known import Known, KnownResource
from fluence_costwatch.core.views.fleet import View, Watched, stale_accounts

_ORDER = (AlertState.FIRING, AlertState.PENDING, AlertState.RESOLVED)


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert, and the silence that keeps it from being told now (None: it is told)."""

    alert: Alert
    silence: Silence | None = None

    @property
    def subject(self) -> str:
        """What it is about: "main/0xa1", "main vms-v3", "team-a"; the name of a resource is not in it."""
        alert = self.alert
        if alert.resource_id is not None:
            return f"{alert.account}/{alert.resource_id}"
        rule = next((value for key, value in alert.facts if key in NAMED_IN_FACTS), alert.rule)
        return " ".join(part for part in (alert.account, rule) if part) or alert.kind


@dataclass(frozen=True, slots=True)
class AlertsView(View):
    """Alerts: firing ones first, of these the gravest and then the oldest; then pending and resolved ones.

    `learning` are the accounts that have too short a history for their spend to be called unusual, and from when on it
    is compared (None: nothing was ever seen there).
    """

    alerts: tuple[AlertView, ...]
    learning: tuple[tuple[str, datetime | None], ...] = ()


def alerts_view(
    known: Known,
    alerts: Iterable[Alert],
    silences: Sequence[Silence] = (),
    *,
    watched: Watched,
    now: datetime,
) -> AlertsView:
    """`alerts` for people."""
    ordered = sorted(alerts, key=lambda one: (_ORDER.index(one.state), -one.severity.rank, one.since, one.fingerprint))
    return AlertsView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        alerts=tuple(AlertView(alert, silence_of(alert, silences, now=now)) for alert in ordered),
        learning=tuple(each for each in _learning(known, watched) if each[1] is None or now < each[1]),
    )


def _learning(known: Known, watched: Watched) -> Iterable[tuple[str, datetime | None]]:
    owned: dict[str, list[KnownResource]] = {}
    for record in known.resources():
        owned.setdefault(record.state.identity.account, []).append(record)
    for account in watched.accounts:
        yield account.account, enough_history(owned.get(account.account, ()), grid=account.grid)
