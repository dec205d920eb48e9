"""The JSON shapes of `design.md` 9.1: what scripts and the HTTP interface rely on, key by key and in this order.

Instants are ISO 8601 with `Z`, money is a string of dollars in full precision, and null means unknown.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final, TypeAlias

from fluence_costwatch.core.alerts.alert_views import AlertsView
from fluence_costwatch.core.billing.reconciled import ReconcileView
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.budgets.budget_views import AccountForecast, BudgetsView, ForecastView
from fluence_costwatch.core.deletion.deletion_views import DeletionsView
from fluence_costwatch.core.deletion.deletions import Deletion
from fluence_costwatch.core.idle.idle_views import ExplainView, IdleView, RuleVerdict
from fluence_costwatch.core.money import price_text
from fluence_costwatch.core.views.fleet import StatusView, VmsView, VmView
from fluence_costwatch.core.views.spending import CalendarView, ExportRow, SpendView

Json: TypeAlias = dict[str, Any]

_FINEST_SHARE: Final = Decimal("1e-9")
_FINEST_RATIO: Final = Decimal("1e-6")
_HUNDREDTH: Final = Decimal("0.01")
_LONG: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)

EXPORT_COLUMNS: Final = (
    "account",
    "resource_id",
    "resource_name",
    "kind",
    "epoch_start",
    "epoch_end",
    "amount_usd",
    "basis",
)


def instant(moment: datetime) -> str:
    """`moment` in UTC: "2026-03-01T17:55:00Z", with a fraction only where there is one."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def status(view: StatusView) -> Json:
    """The answer of `status`."""
    return {
        "as_of": instant(view.as_of),
        "stale": bool(view.stale_accounts),
        "accounts": [
            {
                "account": account.account,
                "generations": list(account.generations),
                "last_success": _instant(account.last_success),
                "burn_usd_per_day": price_text(account.burn_per_day),
                "balance_usd": None if account.outlook is None else _price(account.outlook.balance),
                "runway_at": None if account.outlook is None else _instant(account.outlook.runway.ends_at),
            }
            for account in view.accounts
        ],
    }


def vms(view: VmsView) -> Json:
    """The answer of `vms`."""
    return {"as_of": instant(view.as_of), "resources": [_resource(resource) for resource in view.resources]}


def spend(view: SpendView) -> Json:
    """The answer of `spend`."""
    return {
        "as_of": instant(view.as_of),
        "since": instant(view.since),
        "until": instant(view.until),
        "total_usd": str(view.total),
        "uncertain_usd": str(view.uncertain),
        "by": view.by.value,
        "rows": [
            {
                "key": row.key if row.starts is None else instant(row.starts),
                "name": row.name if row.starts is None else instant(row.starts),
                "usd": str(row.amount),
            }
            for row in view.rows
        ],
    }


def calendar(view: CalendarView) -> Json:
    """The answer of `calendar`."""
    return {
        "as_of": instant(view.as_of),
        "charges": [
            {
                "at": instant(charge.at),
                "account": charge.account,
                "resource_id": charge.resource_id,
                "name": charge.name,
                "usd": str(charge.amount),
            }
            for charge in view.charges
        ],
    }


def idle(view: IdleView) -> Json:
    """The answer of `idle`. `wasted_usd` is null where no price is known."""
    return {"as_of": instant(view.as_of), "verdicts": [_rule_verdict(one) for one in view.verdicts]}


def explain(view: ExplainView) -> Json:
    """The answer of `explain`: the resource as `vms` shows it, its verdict, and each rule's with what it waits for.

    {"as_of": T, "resource": {...}, "rules": [{... as in `idle`, "conditions": [...], "for_seconds", "min_age_seconds",
     "judged_at": T|null, "busy_at": T|null, "next_charge_at": T|null, "action"}], "other_rules": [...],
     "lease": {"until": T|null, "source"}|null, "last_heartbeat": T|null, "protection": [...]}
    """
    lease = view.lease
    return {
        "as_of": instant(view.as_of),
        "resource": _resource(view.resource)
        | {"verdict": None if view.verdict is None else view.verdict.value, "protected": bool(view.protection)},
        "rules": [
            _rule_verdict(one)
            | {
                "conditions": list(one.conditions),
                "for_seconds": int(one.held_for.total_seconds()),
                "min_age_seconds": int(one.min_age.total_seconds()),
                "judged_at": _instant(one.judged_at),
                "busy_at": _instant(one.busy_at),
                "next_charge_at": _instant(one.next_charge_at),
                "action": one.action.value,
            }
            for one in view.rules
        ],
        "other_rules": list(view.other_rules),
        "lease": None if lease is None else {"until": _instant(lease.until), "source": lease.source},
        "last_heartbeat": _instant(view.last_heartbeat),
        "protection": list(view.protection),
    }


def budgets(view: BudgetsView) -> Json:
    """The answer of `budgets`. A window without a start begins where the first of its resources did.

    The ratio is rounded down, so that it is "1.00" from the limit on only.
    """
    began_at = dict(view.began_at)
    return {
        "as_of": instant(view.as_of),
        "budgets": [
            _budget(each, since=each.starts_at or began_at.get(each.budget.name, view.as_of)) for each in view.statuses
        ],
    }


def forecast(view: ForecastView) -> Json:
    """The answer of `forecast`:

    {"as_of": T, "total": [WINDOW, ...], "accounts": [{"account", "windows": [WINDOW, ...]}]} with
    WINDOW = {"window": "day"|"week"|"month", "window_start": T, "window_end": T, "spent_usd", "forecast_usd", "uncertain_usd",
              "charges_due": 3, "at_least": bool}
    """
    return {
        "as_of": instant(view.as_of),
        "total": _windows(view.whole),
        "accounts": [{"account": each.account, "windows": _windows(each)} for each in view.accounts],
    }


def reconcile(view: ReconcileView) -> Json:
    """The answer of `reconcile`: every comparison, those that agree included.

    {"as_of": T, "applied": bool,
     "drift": [{"account", "against": "total_spent"|"charges"|"balance", "usd"}],
     "comparisons": [{"account", "against", "resource_id"|null, "name"|null, "since": T, "until": T, "ours_usd",
                      "theirs_usd", "drift_usd", "within": bool, "believed": "provider"|"ledger"|"neither", "because"}],
     "adjustments": [{"account", "resource_id", "since": T, "until": T, "usd"}],
     "skipped": [{"account", "because"}]}

    Drift is theirs less ours, and sums only what is not `within` rounding. The adjustments were written where `applied`
    is true, else they would be.
    """
    return {
        "as_of": instant(view.as_of),
        "applied": view.applied,
        "drift": [
            {"account": account, "against": against.value, "usd": _exact(amount)}
            for (account, against), amount in view.drift.items()
        ],
        "comparisons": [
            {
                "account": one.account,
                "against": one.against.value,
                "resource_id": one.resource_id,
                "name": one.name,
                "since": instant(one.span.start),
                "until": instant(one.span.end),
                "ours_usd": _exact(one.ours),
                "theirs_usd": _exact(one.theirs),
                "drift_usd": _exact(one.drift),
                "within": one.within,
                "believed": one.believed.value,
                "because": one.because,
            }
            for one in view.comparisons
        ],
        "adjustments": [
            {
                "account": row.identity.account,
                "resource_id": row.identity.id,
                "since": instant(row.span.start),
                "until": instant(row.span.end),
                "usd": str(row.amount),
            }
            for row in view.adjustments
        ],
        "skipped": [{"account": one.account, "because": one.because} for one in view.skipped],
    }


def alerts(view: AlertsView) -> Json:
    """The answer of `alerts`."""
    return {
        "alerts": [
            {
                "id": each.alert.id,
                "fingerprint": each.alert.fingerprint,
                "kind": each.alert.kind,
                "severity": each.alert.severity.value,
                "state": each.alert.state.value,
                "subject": each.subject,
                "summary": each.alert.summary,
                "since": instant(each.alert.since),
                "resolved_at": _instant(each.alert.resolved_at),
            }
            for each in view.alerts
        ]
    }


def deletions(view: DeletionsView) -> Json:
    """The answer of `deletions`."""
    return {"deletions": [deletion(one) for one in view.deletions]}


def deletion(one: Deletion) -> Json:
    """One deletion with its whole story."""
    return {
        "id": one.id,
        "account": one.identity.account,
        "resource_id": one.identity.id,
        "name": one.name,
        "state": one.state.value,
        "mode": one.mode.value,
        "ground": one.ground.value,
        "rule": one.rule,
        "reason": one.reason,
        "execute_at": _instant(one.execute_at),
        "history": [
            {"at": instant(step.at), "state": step.state.value, "actor": step.actor, "reason": step.reason}
            for step in one.history
        ],
    }


def export_row(row: ExportRow) -> dict[str, str | None]:
    """One row of `export`, keyed by `EXPORT_COLUMNS`."""
    return {
        "account": row.account,
        "resource_id": row.resource_id,
        "resource_name": row.resource_name,
        "kind": row.kind,
        "epoch_start": instant(row.epoch_start),
        "epoch_end": instant(row.epoch_end),
        "amount_usd": str(row.amount),
        "basis": row.basis.value,
    }


def _rule_verdict(one: RuleVerdict) -> Json:
    return {
        "account": one.account,
        "resource_id": one.resource_id,
        "name": one.name,
        "rule": one.rule,
        "verdict": one.verdict.value,
        "since": _instant(one.since),
        "coverage": str(one.coverage.quantize(_HUNDREDTH, ROUND_FLOOR)),
        "evidence": list(one.evidence),
        "wasted_usd": None if one.wasted is None else str(one.wasted),
    }


def _budget(status: BudgetStatus, *, since: datetime) -> Json:
    return {
        "name": status.budget.name,
        "window_start": instant(since),
        "window_end": _instant(status.ends_at),
        "limit_usd": str(status.budget.limit),
        "spent_usd": str(status.spent),
        "forecast_usd": None if status.forecast is None else str(status.forecast),
        "used_ratio": _ratio(status.used),
        "exhausted_at": _instant(status.exhausted_at),
    }


def _windows(forecast: AccountForecast) -> list[Json]:
    return [
        {
            "window": each.window.value,
            "window_start": instant(each.starts_at),
            "window_end": instant(each.ends_at),
            "spent_usd": str(each.spent),
            "forecast_usd": str(each.forecast),
            "uncertain_usd": str(each.uncertain),
            "charges_due": each.charges_due,
            "at_least": each.at_least,
        }
        for each in forecast.windows
    ]


def _ratio(ratio: Decimal) -> str:
    """ "0.83", "0.123456": two decimals at least and six at most, rounded down."""
    whole, _, decimals = f"{ratio.quantize(_FINEST_RATIO, ROUND_FLOOR, context=_LONG):f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _resource(view: VmView) -> Json:
    return {
        "account": view.account,
        "id": view.id,
        "name": view.name,
        "kind": view.kind.value,
        "generation": view.generation.value,
        "status": view.status,
        "presence": view.presence.value,
        "billed": view.billed,
        "price_usd": _price(view.price),
        "price_per": view.price_per.value,
        "burn_usd_per_day": _price(view.burn_per_day),
        "paid_until": _instant(view.paid_until),
        "created_at": _instant(view.created_at),
        "first_seen": instant(view.first_seen),
        "last_seen": instant(view.last_seen),
        "spent_usd": str(view.spent),
        "verdict": None if view.verdict is None else view.verdict.value,
        "protected": view.protected,
        "specs": None if view.specs is None else asdict(view.specs),
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)


def _price(price: Decimal | None) -> str | None:
    return None if price is None else price_text(price)


def _exact(amount: Decimal) -> str:
    """An amount in full, but for what a share of an epoch has beyond any meaning."""
    finer = int(amount.as_tuple().exponent) < int(_FINEST_SHARE.as_tuple().exponent)
    return price_text(amount.quantize(_FINEST_SHARE, context=_LONG) if finer else amount)
