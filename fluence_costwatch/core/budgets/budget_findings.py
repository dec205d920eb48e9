"""Which thresholds of budgets are crossed, and why those are no longer that were (`design.md` section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.untrusted import printable

SPENT: Final = "budget"
FORECAST: Final = "forecast"
KINDS: Final = (SPENT, FORECAST)

ROLLING_ENDS_BELOW: Final = Decimal("0.95")
WARNING_FROM: Final = Decimal("0.8")
CRITICAL_FROM: Final = Decimal(1)

_CENT: Final = Decimal("0.01")
_LONGEST_NAME: Final = 40
_MICROSECOND: Final = timedelta(microseconds=1)
# A forecast at a threshold ranks just below the same threshold spent.
_BELOW: Final = Decimal("0.000001")


def judge_budgets(statuses: Sequence[BudgetStatus], *, alerts: Iterable[Alert], now: datetime) -> Judged:
    """A finding for each threshold that is crossed (at or above it), and an ending for each alert that no finding bears.

    `alerts` are all that are stored. A threshold of a window is told ONCE; a new window or limit is another threshold. On
    the rolling window one ends below 95% of it. A forecast that only fell because a price is not known ends nothing.
    """
    open_ones = {each.fingerprint: each for each in alerts if each.kind in KINDS and _is_open(each)}
    findings = tuple(found for status in statuses for found in _crossed(status, open_ones, now=now))
    held = {found.fingerprint for found in findings}
    by_name = {status.budget.name: status for status in statuses}
    endings = []
    for fingerprint, alert in open_ones.items():
        reason = None if fingerprint in held else _ended_because(alert, by_name)
        if reason is not None:
            endings.append(Ending(fingerprint, reason))
    return Judged(findings, tuple(endings))


def _is_open(alert: Alert) -> bool:
    return alert.state is not AlertState.RESOLVED


def _crossed(status: BudgetStatus, open_ones: Mapping[str, Alert], *, now: datetime) -> Iterator[Finding]:
    for kind, threshold, amount in _thresholds(status):
        found = _finding(status, kind, threshold, now=now)
        rolling = status.budget.window is Window.ROLLING
        holds_from = ROLLING_ENDS_BELOW if rolling and found.fingerprint in open_ones else Decimal(1)
        if amount.micros >= holds_from * threshold * status.budget.limit.micros:
            yield found


def _thresholds(status: BudgetStatus) -> Iterator[tuple[str, Decimal, Usd]]:
    """Each configured threshold with what is compared with it."""
    for threshold in status.budget.thresholds:
        yield SPENT, threshold, status.spent
    if status.forecast is not None:
        for threshold in status.budget.forecast_thresholds:
            yield FORECAST, threshold, status.forecast


def _finding(status: BudgetStatus, kind: str, threshold: Decimal, *, now: datetime) -> Finding:
    budget = status.budget
    return Finding(
        kind=kind,
        severity=_severity(threshold),
        account=_account(budget),
        resource_id=None,
        summary=_summary(status, kind),
        rule=_rule(status, kind, threshold),
        means=_means(status, now=now),
        advice=_advice(status),
        telling=Telling.CHANGES if budget.window is Window.ROLLING else Telling.ONCE,
        group=f"budget {budget.name}",
        level=threshold if kind == SPENT else threshold - _BELOW,
        facts=_facts(status, kind, threshold),
    )


def _account(budget: Budget) -> str:
    """The account that a budget is about; none where it may be about several."""
    return budget.select.accounts[0] if len(budget.select.accounts) == 1 else ""


def _severity(threshold: Decimal) -> Severity:
    if threshold < WARNING_FROM:
        return Severity.INFO
    return Severity.WARNING if threshold < CRITICAL_FROM else Severity.CRITICAL


def _rule(status: BudgetStatus, kind: str, threshold: Decimal) -> str:
    """What tells this threshold of this window and limit from every other one."""
    budget = status.budget
    what = "spent" if kind == SPENT else FORECAST
    since = "" if _start(status) is None else f" since {_start(status)}"
    return f"{budget.name}: {_percent(threshold)} of {budget.limit} {what} in {budget.window}{since}"


def _start(status: BudgetStatus) -> str | None:
    """The start by which a window is told from the next one; a rolling one and the whole time have none."""
    if status.starts_at is None or status.budget.window is Window.ROLLING:
        return None
    return _utc(status.starts_at)


def _facts(status: BudgetStatus, kind: str, threshold: Decimal) -> tuple[tuple[str, str], ...]:
    facts = {
        "budget": status.budget.name,
        "of": kind,
        "threshold": f"{threshold:f}",
        "window": status.budget.window.value,
        "window_start": None if status.starts_at is None else _utc(status.starts_at),
        "window_end": None if status.ends_at is None else _utc(status.ends_at),
        "limit_usd": str(status.budget.limit),
        "spent_usd": str(status.spent),
        "forecast_usd": None if status.forecast is None else str(status.forecast),
        "exhausted_at": None if status.exhausted_at is None else _utc(status.exhausted_at),
    }
    return tuple((name, value) for name, value in facts.items() if value is not None)


def _ended_because(alert: Alert, by_name: Mapping[str, BudgetStatus]) -> str | None:
    """Why an alert that no finding bears any more has ended; None where that is not known."""
    told = dict(alert.facts)
    status = by_name.get(told.get("budget", ""))
    if status is None:
        return "the budget is no longer configured"
    budget = status.budget
    if alert.account != _account(budget):
        return "the budget is about other accounts now"
    former_window = told.get("window", budget.window.value)
    if former_window != budget.window.value:
        return f"the window of the budget was changed from {former_window} to {budget.window}"
    start = _start(status)
    if start is not None and status.starts_at is not None and told.get("window_start") != start:
        return f"a new window began ({_moment(status.starts_at, budget)})"
    former_limit = Usd.parse(told.get("limit_usd", str(budget.limit)))
    if former_limit != budget.limit:
        how = "raised" if budget.limit > former_limit else "lowered"
        return f"the limit was {how} from {_money(former_limit)} to {_money(budget.limit)}"
    threshold = Decimal(told.get("threshold", "1"))
    configured = budget.thresholds if alert.kind == SPENT else budget.forecast_thresholds
    if threshold not in configured:
        return f"the threshold of {_percent(threshold)} is no longer configured"
    if alert.kind == FORECAST:
        return _forecast_fell(status)
    return _spending_fell(status, told)


def _forecast_fell(status: BudgetStatus) -> str | None:
    if status.forecast is None:
        return "the budget has no forecast any more"
    if status.at_least:
        return None
    return f"the forecast fell to {_money(status.forecast)} of {_money(status.budget.limit)}"


def _spending_fell(status: BudgetStatus, told: Mapping[str, str]) -> str:
    former = told.get("spent_usd")
    before = "" if former is None else f" from {_money(Usd.parse(former))}"
    why = "" if status.budget.window is Window.ROLLING else " (corrected or refunded, or a resource counts no longer)"
    return f"what is spent fell{before} to {_money(status.spent)} of {_money(status.budget.limit)}{why}"


def _summary(status: BudgetStatus, kind: str) -> str:
    """The fact, fit for a subject: "team-a at 83%: $41.50 of $50.00, forecast $61.20 on 31 March"."""
    budget = status.budget
    least = "at least " if status.at_least else ""
    name = printable(budget.name, limit=_LONGEST_NAME)
    ahead = "" if status.forecast is None else f", forecast {least}{_money(status.forecast)} {_by_the_end(status)}"
    spent = f"{least}{_money(status.spent)} of {_money(budget.limit)}"
    if kind == FORECAST and status.forecast is not None:
        share = Decimal(status.forecast.micros) / budget.limit.micros
        return f"{name} is heading for {_whole_percent(share)}: {spent}{ahead}"
    return f"{name} at {_whole_percent(status.used)}: {spent}{ahead}"


def _by_the_end(status: BudgetStatus) -> str:
    budget, end = status.budget, status.ends_at
    if end is None or budget.window is Window.ROLLING:
        return "in a day"
    if budget.window is Window.EPOCH:
        return f"at {_moment(end, budget)}"
    last = (end - _MICROSECOND).astimezone(budget.zone)
    return f"on {last.day} {last:%B}"


def _means(status: BudgetStatus, *, now: datetime) -> str:
    """What it means for the money, in sentences."""
    limit, crossing = status.budget.limit, status.exhausted_at
    said = []
    if status.spent >= limit:
        over = f"; {_money(status.spent - limit)} more than that is spent" if status.spent > limit else ""
        when = "" if crossing is None else f" on {_moment(crossing, status.budget)}"
        said.append(f"The limit was reached{when}{over}.")
    elif crossing is not None:
        verb = "is reached" if crossing > now else "was reached, if all still runs,"
        said.append(f"If nothing changes, the limit {verb} on {_moment(crossing, status.budget)}.")
    if status.forecast is not None and status.forecast > status.spent:
        ahead = _money(status.forecast - status.spent)
        said.append(f"If nothing changes, {ahead} more will be charged in this window.")
    if status.uncertain:
        said.append(f"The bill may already hold up to {_money(status.uncertain)} more than is known.")
    if status.at_least:
        said.append("Some prices are not known, so the figures are the least that it can be.")
    if status.drivers:
        said.append(f"Most of it: {', '.join(_driver(*each) for each in status.drivers)}.")
    return " ".join(said)


def _driver(account: str, resource_id: str, name: str | None, spent: Usd) -> str:
    return f"{printable(name or resource_id, limit=_LONGEST_NAME)} ({account}) {_money(spent)}"


def _advice(status: BudgetStatus) -> str:
    """The command that shows where the money goes."""
    since = "" if status.starts_at is None else f" --since {_utc(status.starts_at.replace(microsecond=0))}"
    accounts = status.budget.select.accounts
    account = f" --account {accounts[0]}" if len(accounts) == 1 else ""
    return f"fluence-costwatch spend{since}{account} --by resource"


def _percent(ratio: Decimal) -> str:
    """A threshold in full: "80%", "62.5%"."""
    text = f"{ratio * 100:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def _whole_percent(ratio: Decimal) -> str:
    """A share rounded down, so that nothing seems reached before it is."""
    return f"{(ratio * 100).quantize(Decimal(1), ROUND_DOWN)}%"


def _money(amount: Usd) -> str:
    """ "$41.50"; with as many decimals as are needed where cents would hide it all."""
    cents = amount.dollars.quantize(_CENT, ROUND_HALF_EVEN)
    exact = abs(cents if cents or not amount else amount.dollars)
    whole, _, decimals = f"{exact:f}".partition(".")
    return f"{'-' if amount.micros < 0 else ''}${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _moment(instant: datetime, budget: Budget) -> str:
    """ "31 March 17:55 UTC", in the zone of the budget."""
    local = instant.astimezone(budget.zone)
    return f"{local.day} {local:%B} {local:%H:%M} {local.tzname() or ''}".rstrip()


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
