"""The metric families of what is judged, told and deleted (`design.md` 9.4), built anew from values each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Final

from prometheus_client.metrics_core import Metric

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import KINDS, SEVERITIES
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState
from fluence_costwatch.core.deletion.savings import savings
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.idle.idling import Clocks, standing_verdict
from fluence_costwatch.core.idle.rules import Rule
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.metrics.samples import RESOURCE, counter, dollars, gauge
from fluence_costwatch.metrics.tallies import Counts

# What is not known has no series.
_SHOWN_AS: Final = {IdleVerdict.IDLE: 1.0, IdleVerdict.ACTIVE: 0.0}
# Before these there is no moment yet, after them none any more.
_DUE: Final = (DeletionState.NOTIFIED, DeletionState.APPROVED)


def budget_families(statuses: Iterable[BudgetStatus]) -> Iterator[Metric]:
    """How far each configured budget is used in its present window.

    budget_limit_usd, budget_spent_usd, budget_forecast_usd, budget_used_ratio, budget_window_end_timestamp_seconds
    """
    label = ("budget",)
    by_name = {(status.budget.name,): status for status in statuses}
    yield gauge(
        "budget_limit_usd",
        "The limit of the budget for one window, in USD.",
        label,
        {name: dollars(status.budget.limit) for name, status in by_name.items()},
    )
    yield gauge(
        "budget_spent_usd",
        "What was charged so far in the present window of the budget, in USD.",
        label,
        {name: dollars(status.spent) for name, status in by_name.items()},
    )
    yield gauge(
        "budget_forecast_usd",
        "What will have been charged by the end of the window if nothing changes, in USD; absent where the window has "
        "no end.",
        label,
        {name: dollars(status.forecast) for name, status in by_name.items() if status.forecast is not None},
    )
    yield gauge(
        "budget_used_ratio",
        "Spent over limit in the present window of the budget; above 1 where more was spent.",
        label,
        {name: float(status.used) for name, status in by_name.items()},
    )
    yield gauge(
        "budget_window_end_timestamp_seconds",
        "When the present window of the budget ends; absent where it has no end.",
        label,
        {name: status.ends_at.timestamp() for name, status in by_name.items() if status.ends_at is not None},
    )


def alert_families(alerts: Iterable[Alert]) -> Iterator[Metric]:
    """The alerts that fire, every severity and kind from the start.

    alerts_firing{severity,kind}
    """
    firing = Counter((alert.severity.value, alert.kind) for alert in alerts if alert.state is AlertState.FIRING)
    none = {(severity.value, kind): 0 for severity in SEVERITIES for kind in KINDS}
    yield gauge(
        "alerts_firing",
        "Alerts that fire, by severity and kind; silenced ones included.",
        ("severity", "kind"),
        {**none, **firing},
    )


def notification_families(queued: Iterable[OutboxRow], *, targets: Sequence[str], counts: Counts) -> Iterator[Metric]:
    """How the messages get through to each configured target.

    notifications_total{target}, notification_failures_total{target}, notification_queue_length
    """
    label = ("target",)
    yield counter(
        "notifications",
        "Tries to send a message to the target since the process started, failed ones included.",
        label,
        {(target,): counts.tries.get(target, 0) for target in targets},
    )
    yield counter(
        "notification_failures",
        "Tries to send a message to the target that failed, for now or for good.",
        label,
        {(target,): counts.failed_tries.get(target, 0) for target in targets},
    )
    yield gauge(
        "notification_queue_length",
        "Messages that wait to be sent to a configured target, those that quiet hours hold back included.",
        (),
        {(): sum(row.state is Delivery.QUEUED and row.target in targets for row in queued)},
    )


def idle_families(
    rules: Sequence[Rule],
    records: Iterable[KnownResource],
    clocks: Clocks,
    *,
    patience: timedelta,
    now: datetime,
) -> Iterator[Metric]:
    """What each rule says of each resource that is there.

    resource_idle{rule}
    """
    verdicts = {
        (identity.account, identity.id, rule.name): standing_verdict(
            clocks.get((identity, rule.name)), rule=rule, now=now, patience=patience
        )
        for rule, record, identity in _judged(rules, records)
    }
    yield gauge(
        "resource_idle",
        "1 if the rule calls the resource idle, 0 if it is active; absent where that is not known.",
        (*RESOURCE, "rule"),
        {labels: _SHOWN_AS[verdict] for labels, verdict in verdicts.items() if verdict in _SHOWN_AS},
    )


def deletion_families(deletions: Sequence[Deletion], *, present: Set[Identity]) -> Iterator[Metric]:
    """When resources that are `present` are to be deleted, how all deletions stand, and what they have saved.

    deletion_due_timestamp_seconds, deletions{state}, deletions_avoided_usd, deletions_burn_removed_usd_per_day
    """
    due: dict[tuple[str, str], float] = {}
    for one in deletions:
        if one.state in _DUE and one.execute_at is not None and one.identity in present:
            labels = (one.identity.account, one.identity.id)
            due[labels] = min(one.execute_at.timestamp(), due.get(labels, float("inf")))
    yield gauge(
        "deletion_due_timestamp_seconds",
        "When the resource is to be deleted, if that was announced and nobody vetoes it; absent where nothing is due.",
        RESOURCE,
        due,
    )
    states: Mapping[DeletionState, int] = Counter(one.state for one in deletions)
    yield gauge(
        "deletions",
        "Deletions ever proposed, by the state they are in.",
        ("state",),
        {(state.value,): states.get(state, 0) for state in DeletionState},
    )
    saved = savings(deletions)
    yield gauge(
        "deletions_avoided_usd",
        "The next charges that proven deletions avoided, in USD: one for each, where it was gone before it fell due.",
        (),
        {(): float(saved.avoided)},
    )
    yield gauge(
        "deletions_burn_removed_usd_per_day",
        "What the resources of proven deletions had cost a day, in USD.",
        (),
        {(): float(saved.burn_per_day)},
    )


def _judged(rules: Sequence[Rule], records: Iterable[KnownResource]) -> Iterator[tuple[Rule, KnownResource, Identity]]:
    for record in records:
        if record.state.presence is not Presence.GONE and not record.state.retired:
            for rule in rules:
                if rule.judges(record.resource):
                    yield rule, record, record.state.identity
