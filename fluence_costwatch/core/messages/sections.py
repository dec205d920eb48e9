"""Parts that several kinds of message have: budgets, the chart, the age of the data, and what a target takes in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from fluence_costwatch.core.alerts.findings import SEVERITIES, Severity
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.messages.context import Context
from fluence_costwatch.core.messages.message import Chart, Section, Table
from fluence_costwatch.core.messages.outbox import Route
from fluence_costwatch.core.messages.wording import counted, instant, money, share, span

TAGS: Final = (("info", "[INFO]"), ("warning", "[WARN]"), ("critical", "[CRIT]"))

_LISTED_BUDGETS: Final = 5
_LISTED_ACCOUNTS: Final = 5


def budget_sections(statuses: Sequence[BudgetStatus], *, context: Context, now: datetime) -> Iterator[Section]:
    """Spent, limit and forecast of budgets, the fullest first; nothing where there are none."""
    if not statuses:
        return
    fullest = sorted(statuses, key=lambda status: (-status.used, status.budget.name))
    rows = tuple(
        (
            status.budget.name,
            f"{money(status.spent, at_least=status.at_least)}",
            money(status.budget.limit),
            share(status.used),
            money(status.forecast) if status.forecast is not None else "-",
            instant(status.ends_at, zone=context.zone) if status.ends_at is not None else "never",
        )
        for status in fullest[:_LISTED_BUDGETS]
    )
    lines = [
        f"{status.budget.name}: the bill may hold up to {money(status.uncertain)} more than is known."
        for status in fullest[:_LISTED_BUDGETS]
        if status.uncertain
    ]
    for status in fullest[:_LISTED_BUDGETS]:
        if status.exhausted_at is not None and status.exhausted_at > now:
            lines.append(
                f"{status.budget.name}: the limit will be crossed on {instant(status.exhausted_at, zone=context.zone)}"
                f", in {span(status.exhausted_at - now)}, if nothing changes."
            )
    columns = ("Budget", "Spent", "Limit", "Used", "Forecast", "Window ends")
    yield Section(
        "Budgets",
        tuple(lines),
        Table(columns, rows, right=(1, 2, 3, 4)),
        left_out=max(0, len(fullest) - _LISTED_BUDGETS),
    )


def chart_of(context: Context) -> Chart:
    """What was spent on the last days."""
    return Chart(f"Spent a day, the last {len(context.daily)} days", context.daily)


def data_lines(accounts: Iterable[str], *, context: Context, now: datetime) -> tuple[str, ...]:
    """How old what is known of these accounts is; of many, the oldest."""
    known = [(account, context.as_of[account]) for account in sorted(set(accounts)) if account in context.as_of]
    lines = [
        f"Data of {account}: no complete look yet."
        if at is None
        else f"Data of {account}: as of {instant(at, zone=context.zone)}, {span(now - at)} old."
        for account, at in sorted(known, key=lambda each: (each[1] is not None, each[1] or now, each[0]))
    ]
    more = len(lines) - _LISTED_ACCOUNTS
    return (*lines[:_LISTED_ACCOUNTS], f"{counted(more, 'more account')}, with newer data.") if more > 0 else (*lines,)


def tag_of(severity: Severity) -> str:
    """ "[WARN]"."""
    return dict(TAGS)[severity.value]


def key_of(*parts: str) -> str:
    """16 hexadecimal digits that stand for `parts`."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def described(route: Route) -> str:
    """What a target takes, in words."""
    worse = (
        route.min_severity.value if route.min_severity is SEVERITIES[-1] else f"{route.min_severity.value} and worse"
    )
    kinds = f"of {', '.join(route.kinds)}" if route.kinds else "of every kind"
    accounts = f"from {', '.join(route.accounts)}" if route.accounts else "from every account"
    return f"{worse if route.min_severity is not SEVERITIES[0] else 'all severities'} {kinds} {accounts}"
