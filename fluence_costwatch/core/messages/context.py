"""What a message says beside the facts it is sent for: where the money goes, what comes next, how old the data are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.known import Known
from fluence_costwatch.core.local_times import instant_of, local_day
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.views.fleet import Watched, whole_view
from fluence_costwatch.core.views.spending import By, DueCharge, calendar_view, spend_view

CHART_DAYS: Final = 14
_DAYS_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class Driver:
    """A resource and what it costs a day."""

    account: str
    resource_id: str
    name: str | None
    per_day: Decimal


@dataclass(frozen=True, slots=True)
class Context:
    """What is known when a message is composed.

    `zone` is that of its readers; `as_of` the instant up to which each account is known (None: never wholly). `drivers`
    are dearest first, `charges` in the order of time; `daily` is what was spent on each of the last days. `command` is
    how the program is called, `public_url` where its page is reached.
    """

    zone: tzinfo
    as_of: Mapping[str, datetime | None] = field(default_factory=dict)
    statuses: tuple[BudgetStatus, ...] = ()
    drivers: tuple[Driver, ...] = ()
    charges: tuple[DueCharge, ...] = ()
    daily: tuple[tuple[date, Usd], ...] = ()
    command: str = "fluence-costwatch"
    public_url: str | None = None


def context_of(
    known: Known,
    *,
    watched: Watched,
    statuses: Sequence[BudgetStatus] = (),
    command: str = "fluence-costwatch",
    public_url: str | None = None,
    now: datetime,
) -> Context:
    """The context of messages that are composed now; `watched.zone` is that of their readers."""
    status, fleet = whole_view(known, watched=watched, now=now)
    drivers = [
        Driver(view.account, view.id, view.name, view.burn_per_day)
        for view in fleet.resources
        if view.billed and view.burn_per_day
    ]
    return Context(
        zone=watched.zone,
        as_of={account.account: account.last_success for account in status.accounts},
        statuses=tuple(statuses),
        drivers=tuple(sorted(drivers, key=lambda one: (-one.per_day, one.account, one.resource_id))),
        charges=calendar_view(known, watched=watched, now=now, days=_DAYS_AHEAD).charges,
        daily=daily_spend(known, watched=watched, until=local_day(now, zone=watched.zone), now=now),
        command=command,
        public_url=public_url,
    )


def daily_spend(
    known: Known, *, watched: Watched, until: date, now: datetime, days: int = CHART_DAYS
) -> tuple[tuple[date, Usd], ...]:
    """What was spent on each of `days` days in `watched.zone`, the last of them `until`; charges count where they start."""
    first = until - timedelta(days=days - 1)
    begin = instant_of(first, time(0), zone=watched.zone)
    end = instant_of(until + timedelta(days=1), time(0), zone=watched.zone)
    view = spend_view(known, watched=watched, now=now, since=begin, until=end, by=By.DAY)
    spent = {row.key: row.amount for row in view.rows}
    listed = (first + timedelta(days=number) for number in range(days))
    return tuple((day, spent.get(day.isoformat(), ZERO)) for day in listed)


def only(context: Context, accounts: Sequence[str]) -> Context:
    """The part of a context that is about these accounts; all of it where none are named."""
    if not accounts:
        return context
    return replace(
        context,
        as_of={account: at for account, at in context.as_of.items() if account in accounts},
        statuses=tuple(status for status in context.statuses if concerns(status, accounts)),
        drivers=tuple(driver for driver in context.drivers if driver.account in accounts),
        charges=tuple(charge for charge in context.charges if charge.account in accounts),
        daily=(),  # days are summed over all accounts
    )


def concerns(status: BudgetStatus, accounts: Sequence[str]) -> bool:
    """Whether a budget is about one of these accounts, or about no account in particular."""
    named = status.budget.select.accounts
    return not named or any(account in named for account in accounts)
