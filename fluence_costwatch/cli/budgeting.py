"""The commands `budgets` and `forecast`: how far limits are used, and where spending is heading."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated, Final

import typer

from fluence_costwatch.cli.columns import column, several
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program
from fluence_costwatch.cli.reading import AsJson
from fluence_costwatch.cli.tables import Column
from fluence_costwatch.cli.texts import NOTHING, full_moment, moment, money
from fluence_costwatch.core.budgets.budget import BudgetStatus
from fluence_costwatch.core.budgets.budget_views import AccountForecast, BudgetsView, ForecastView
from fluence_costwatch.core.views import shapes

EXCEEDED: Final = 10


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the commands."""

    @app.command()
    def budgets(
        ctx: typer.Context,
        check: Annotated[
            bool, typer.Option("--check", help=f"Exit with {EXCEEDED} if all of a budget is spent, or more.")
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show how far each budget is used, and when it will be used up if nothing changes."""
        output = Output()
        view = program.budgets(ctx.obj)
        if as_json:
            output.json(shapes.budgets(view))
        else:
            show_budgets(view, output)
        output.warn_if_stale(view)
        output.warn_if_at_least(any(each.at_least for each in view.statuses))
        if check and view.exceeded:
            output.note(f"All is spent of {', '.join(view.exceeded)}.")
            raise typer.Exit(EXCEEDED)

    @app.command()
    def forecast(ctx: typer.Context, as_json: AsJson = False) -> None:
        """Show what this day, week and month (UTC) will have cost if nothing changes."""
        output = Output()
        view = program.forecast(ctx.obj)
        if as_json:
            output.json(shapes.forecast(view))
        else:
            show_forecast(view, output)
        output.warn_if_stale(view)
        output.warn_if_at_least(any(window.at_least for window in view.whole.windows))


def show_budgets(view: BudgetsView, output: Output) -> None:
    """One line for each budget."""
    zone, now, found = view.zone, view.as_of, view.statuses
    if not found:
        output.note("There are no budgets; [[budgets]] in the configuration sets them.")
        return
    began = dict(view.began_at)
    output.say(f"As of {full_moment(now, zone=zone)}")
    output.table(
        [
            column("budget", [each.budget.name for each in found], least=14),
            column("window", [each.budget.window.value for each in found], rank=2),
            column("used", [_percent(each.used) for each in found], right=True),
            column("spent", [money(each.spent, at_least=each.at_least) for each in found], right=True),
            column("limit", [money(each.budget.limit) for each in found], right=True),
            column("forecast", [_forecast(each) for each in found], right=True),
            column("used up", [_used_up(each, zone=zone, now=now) for each in found]),
            *_uncertain(found),
            column(
                "from",
                [moment(each.starts_at or began.get(each.budget.name), zone=zone, today=now) for each in found],
                rank=4,
            ),
            column("until", [moment(each.ends_at, zone=zone, today=now) for each in found], rank=3),
        ]
    )


def show_forecast(view: ForecastView, output: Output) -> None:
    """One line for each window of each account, and of all together."""
    zone, now = view.zone, view.as_of
    shown = [*view.accounts, view.whole] if len(view.accounts) != 1 else list(view.accounts)
    rows = [(account, window) for account in shown for window in account.windows]
    output.say(f"As of {full_moment(now, zone=zone)}")
    output.table(
        [
            *several("account", [_account(account) for account, _ in rows], rank=0),
            column("window", [window.window.value for _, window in rows]),
            column("spent", [money(window.spent, at_least=window.at_least) for _, window in rows], right=True),
            column("forecast", [money(window.forecast, at_least=window.at_least) for _, window in rows], right=True),
            column("to come", [str(window.charges_due) for _, window in rows], right=True, rank=1),
            column("until", [moment(window.ends_at, zone=zone, today=now) for _, window in rows]),
            *(
                [
                    column(
                        "uncertain",
                        [f"+ {money(window.uncertain)}" if window.uncertain else NOTHING for _, window in rows],
                        right=True,
                        rank=2,
                    )
                ]
                if any(window.uncertain for _, window in rows)
                else []
            ),
        ]
    )


def _account(account: AccountForecast) -> str:
    return "all" if account.account is None else account.account


def _percent(ratio: Decimal) -> str:
    """Rounded down, so that what is not reached does not look as if it were."""
    return f"{int((ratio * 100).to_integral_value(ROUND_FLOOR))}%"


def _forecast(status: BudgetStatus) -> str:
    return NOTHING if status.forecast is None else money(status.forecast, at_least=status.at_least)


def _used_up(status: BudgetStatus, *, zone: tzinfo, now: datetime) -> str:
    if status.exhausted_at is None:
        return NOTHING
    when = moment(status.exhausted_at, zone=zone, today=now)
    return f"since {when}" if status.exhausted_at <= now else when


def _uncertain(found: Sequence[BudgetStatus]) -> list[Column]:
    cells = [f"+ {money(each.uncertain)}" if each.uncertain else NOTHING for each in found]
    return [column("uncertain", cells, right=True, rank=1)] if any(each.uncertain for each in found) else []
