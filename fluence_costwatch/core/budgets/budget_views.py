"""What `budgets` and `forecast` show (`design.md` 9.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.budgets.budgeting import Figures, Question, began_at, measure, statuses, window_of
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.known import Known
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.selectors import EVERYTHING, Selector
from fluence_costwatch.core.views.fleet import View, Watched, stale_accounts

FORECAST_WINDOWS: Final = (Window.DAY, Window.WEEK, Window.MONTH)


@dataclass(frozen=True, slots=True)
class BudgetsView(View):
    """How far every configured budget is used. `began_at` is when what it selects began, by the budget's name, which
    stands for the start of a window that has none."""

    statuses: tuple[BudgetStatus, ...]
    began_at: tuple[tuple[str, datetime], ...] = ()

    @property
    def exceeded(self) -> tuple[str, ...]:
        """The names of the budgets of which all is spent, or more."""
        return tuple(each.budget.name for each in self.statuses if each.spent >= each.budget.limit)


@dataclass(frozen=True, slots=True)
class WindowForecast:
    """What one window has spent so far, and will have at its end if nothing changes, the coming charges included.

    `charges_due` counts the prepaid charges that are still to come in it. The bill may hold up to `uncertain` more than
    `spent`; `at_least` is true where prices are not known.
    """

    window: Window
    starts_at: datetime
    ends_at: datetime
    spent: Usd
    uncertain: Usd
    forecast: Usd
    charges_due: int
    at_least: bool


@dataclass(frozen=True, slots=True)
class AccountForecast:
    """The windows of one account; of all together where `account` is None."""

    account: str | None
    windows: tuple[WindowForecast, ...]


@dataclass(frozen=True, slots=True)
class ForecastView(View):
    """The day, week and month that hold `as_of`: of every account, and of all together."""

    accounts: tuple[AccountForecast, ...]
    whole: AccountForecast


def budgets_view(budgets: Sequence[Budget], known: Known, *, watched: Watched, now: datetime) -> BudgetsView:
    """How far `budgets` are used."""
    return view_of_statuses(statuses(budgets, known, watched=watched, now=now), known, watched=watched, now=now)


def view_of_statuses(found: Sequence[BudgetStatus], known: Known, *, watched: Watched, now: datetime) -> BudgetsView:
    """The view of statuses that are at hand already."""
    records = known.resources() if any(each.starts_at is None for each in found) else ()
    return BudgetsView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        statuses=tuple(found),
        began_at=tuple(
            (each.budget.name, began_at(each.budget.select, records) or now) for each in found if each.starts_at is None
        ),
    )


def forecast_view(known: Known, *, watched: Watched, now: datetime, zone: tzinfo = UTC) -> ForecastView:
    """What this day, week and month of `zone` will have cost, by account and in all.

    Accounts that are not configured any more are shown while they have spent something in these windows.
    """
    names = [each.account for each in watched.accounts]
    former = {record.state.identity.account for record in known.resources()} - set(names)
    accounts = [*names, *sorted(former)]
    spans = {window: _span(window, zone=zone, now=now) for window in FORECAST_WINDOWS}
    asked = [(account, window) for account in (None, *accounts) for window in FORECAST_WINDOWS]
    questions = [
        Question(EVERYTHING if account is None else Selector(accounts=(account,)), *spans[window])
        for account, window in asked
    ]
    figures = dict(zip(asked, measure(questions, known, now=now), strict=True))
    each = {
        account: AccountForecast(
            account,
            tuple(_window(window, spans[window], figures[account, window]) for window in FORECAST_WINDOWS),
        )
        for account in (None, *accounts)
    }
    return ForecastView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        accounts=tuple(
            each[account] for account in accounts if account in names or any(one.spent for one in each[account].windows)
        ),
        whole=each[None],
    )


def _window(window: Window, span: tuple[datetime, datetime], found: Figures) -> WindowForecast:
    return WindowForecast(
        window=window,
        starts_at=span[0],
        ends_at=span[1],
        spent=found.spent,
        uncertain=found.uncertain,
        forecast=found.spent if found.forecast is None else found.forecast,
        charges_due=found.charges_due,
        at_least=found.at_least,
    )


def _span(window: Window, *, zone: tzinfo, now: datetime) -> tuple[datetime, datetime]:
    starts_at, ends_at = window_of(window, zone=zone, grid=EpochGrid(), now=now)
    return starts_at or now, ends_at or now
