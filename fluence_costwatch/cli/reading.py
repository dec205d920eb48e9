"""The commands that read: `status`, `vms`, `spend` and `calendar`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from fluence_costwatch.cli import layouts
from fluence_costwatch.cli.arguments import parse_moment
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program
from fluence_costwatch.core.views import shapes
from fluence_costwatch.core.views.spending import By

STALE: Final = 5

AsJson = Annotated[bool, typer.Option("--json", help="For machines: JSON on stdout.")]
Since = Annotated[
    str | None, typer.Option(metavar="WHEN", help="From then on: a date, an instant, or a span ago (7d).")
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Up to then, exclusive.")]
OfAccount = Annotated[str | None, typer.Option(metavar="NAME", help="Of this account alone.")]


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the commands."""

    @app.command()
    def status(ctx: typer.Context, as_json: AsJson = False) -> None:
        """Show how each account stands. Exits with 5 if data are stale."""
        output = Output()
        view = program.status(ctx.obj)
        if as_json:
            output.json(shapes.status(view))
        else:
            layouts.show_status(view, output)
        output.warn_if_stale(view)
        if view.stale_accounts:
            raise typer.Exit(STALE)

    @app.command()
    def vms(
        ctx: typer.Context,
        everything: Annotated[bool, typer.Option("--all", help="Those that are gone, too.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """List what bills: its price, its next charge, its cost so far."""
        output = Output()
        view = program.vms(ctx.obj, everything=everything)
        if as_json:
            output.json(shapes.vms(view))
        else:
            layouts.show_vms(view, output)
        output.warn_if_stale(view)
        output.warn_if_at_least(any(resource.at_least for resource in view.resources))

    @app.command()
    def spend(
        ctx: typer.Context,
        since: Since = None,
        until: Until = None,
        by: Annotated[By, typer.Option(help="What to sum over.")] = By.RESOURCE,
        account: OfAccount = None,
        as_json: AsJson = False,
    ) -> None:
        """Sum up what was charged, by default in all history."""
        output = Output()
        now = program.now()
        view = program.spend(
            ctx.obj,
            since=None if since is None else parse_moment(since, option="--since", now=now),
            until=None if until is None else parse_moment(until, option="--until", now=now),
            by=by,
            account=account,
        )
        if as_json:
            output.json(shapes.spend(view))
        else:
            layouts.show_spend(view, output)
        output.warn_if_stale(view)
        output.warn_if_at_least(view.at_least)

    @app.command()
    def calendar(
        ctx: typer.Context,
        days: Annotated[int, typer.Option(min=1, max=366, help="How many days ahead.")] = 7,
        as_json: AsJson = False,
    ) -> None:
        """List the charges that fall due if nothing changes."""
        output = Output()
        view = program.calendar(ctx.obj, days=days)
        if as_json:
            output.json(shapes.calendar(view))
        else:
            layouts.show_calendar(view, output)
        output.warn_if_stale(view)
        for resource_id in view.unpriced:
            output.warn(f"{resource_id} will be charged, but its price is not known")
