"""All that is judged in a cycle, from what is remembered: budgets, the watch itself, resources, money and waste.

A look that failed changes nothing of what is remembered, so it changes no finding either but those about looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.anomalies import judge_anomalies
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Telling
from fluence_costwatch.core.alerts.resource_findings import judge_resources
from fluence_costwatch.core.alerts.runway_findings import judge_runways
from fluence_costwatch.core.alerts.self_monitoring import FINDING_OUT, judge_looks
from fluence_costwatch.core.alerts.self_monitoring import KINDS as OF_LOOKS
from fluence_costwatch.core.alerts.subjects import together
from fluence_costwatch.core.alerts.waste_findings import PATIENCE, judge_waste
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.budgets.budget_findings import judge_budgets
from fluence_costwatch.core.known import Known, KnownResource
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.views.fleet import Watched

_JUDGED_HERE = ("status", "price", "suspicious")


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings by which is judged, as `[alerts]` names them; waste must last for `waste_patience`."""

    watched: Watched
    repeat: timedelta = timedelta(hours=24)
    runway: timedelta = timedelta(hours=72)
    new_vm_above: Usd | None = None
    waste_patience: timedelta = PATIENCE


def judge(
    known: Known,
    *,
    policy: Policy,
    alerts: Sequence[Alert],
    noticed: Judged,
    statuses: Sequence[BudgetStatus],
    now: datetime,
) -> Judged:
    """All that holds now and all that is known to have ended. `noticed` is what others found, and passes through.

    `alerts` are all that are not resolved and all that are told ONCE.
    """
    names = tuple(account.account for account in policy.watched.accounts)
    owned: dict[str, list[KnownResource]] = {name: [] for name in names}
    for record in known.resources():
        if record.state.identity.account in owned:
            owned[record.state.identity.account].append(record)
    records = {record.state.identity: record for each in owned.values() for record in each}
    return together(
        (
            _without_doubles(noticed),
            judge_budgets(statuses, alerts=alerts, now=now),
            judge_looks(known.accounts(), owned, watched=policy.watched, alerts=alerts, now=now),
            judge_resources(records, alerts=alerts),
            judge_runways(known, owned, accounts=names, within=policy.runway, alerts=alerts, now=now),
            judge_waste(records, alerts=alerts, patience=policy.waste_patience),
            judge_anomalies(
                known,
                owned,
                watched=policy.watched,
                new_vm_above=policy.new_vm_above,
                fresh_for=policy.repeat,
                alerts=alerts,
                now=now,
            ),
            Judged(endings=tuple(_unwatched(alerts, policy.watched))),
        )
    )


def _without_doubles(noticed: Judged) -> Judged:
    """`noticed` without what the ledger tells as it sees it happen and is judged here as a state that goes on."""
    return Judged(tuple(finding for finding in noticed.findings if not _is_double(finding)), noticed.endings)


def _is_double(finding: Finding) -> bool:
    return finding.kind in _JUDGED_HERE and finding.telling is Telling.EVENT


def _unwatched(alerts: Iterable[Alert], watched: Watched) -> Iterator[Ending]:
    """The end of all that is about accounts or generations that were taken out of the configuration."""
    generations = {account.account: account.generations for account in watched.accounts}
    for alert in alerts:
        if alert.state is AlertState.RESOLVED or not alert.account:
            continue
        listed = generations.get(alert.account)
        if listed is None:
            yield Ending(alert.fingerprint, f"account {alert.account!r} is no longer watched")
        # An account that finds its generations by asking has none until it has asked.
        elif alert.kind in OF_LOOKS and listed and alert.rule not in (*listed, FINDING_OUT):
            yield Ending(alert.fingerprint, f"{alert.rule} of account {alert.account!r} is no longer watched")
