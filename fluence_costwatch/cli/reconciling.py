"""The command `reconcile`: the ledger beside the provider's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Final

import typer

from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program
from fluence_costwatch.cli.reading import AsJson, OfAccount
from fluence_costwatch.cli.tables import Column
from fluence_costwatch.cli.texts import counted, label, moment, money
from fluence_costwatch.core.billing.reconciled import ReconcileView
from fluence_costwatch.core.billing.reconciliation import Against, Believed, Comparison
from fluence_costwatch.core.money import total
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views import shapes

_MOST_DAYS: Final = 366
_NUMBERS: Final = {
    Against.TOTAL_SPENT: "total spent",
    Against.CHARGES: "charges",
    Against.BALANCE: "balance",
}
_SIDES: Final = {
    Believed.PROVIDER: "the provider is believed",
    Believed.LEDGER: "the ledger is believed",
    Believed.NEITHER: "neither side is believed",
}


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the command."""

    @app.command()
    def reconcile(
        ctx: typer.Context,
        apply: Annotated[
            bool, typer.Option("--apply", help="Write what makes the ledger agree where the provider is believed.")
        ] = False,
        account: OfAccount = None,
        days: Annotated[
            int | None, typer.Option(min=1, max=_MOST_DAYS, help="How far back; the last 35 if not given.")
        ] = None,
        everything: Annotated[bool, typer.Option("--all", help="What agrees, too.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Hold the ledger against the provider's own numbers. Changes nothing without --apply."""
        output = Output()
        with output.waiting("asking for the provider's numbers"):
            view = program.reconcile(ctx.obj, apply=apply, account=account, days=days)
        if as_json:
            output.json(shapes.reconcile(view))
        else:
            show_reconcile(view, output, everything=everything)
        if apply and not view.adjustments:
            output.note("Nothing was applied, because there is nothing to apply.")
        for skipped in view.skipped:
            output.warn(f"account {skipped.account}: {printable(skipped.because)}")


def show_reconcile(view: ReconcileView, output: Output, *, everything: bool) -> None:
    """What disagrees, or all, one line each; then which side is believed and why, and what mends it."""
    shown = [one for one in view.comparisons if everything or not one.within]
    if shown:
        output.table(_columns(shown, zone=view.zone, now=view.as_of))
        reasons = dict.fromkeys((one.against, one.believed, one.because) for one in shown)
        for against, believed, because in reasons:
            output.say(f"{_NUMBERS[against]}: {_SIDES[believed]}, because {because}")
    apart = sum(not one.within for one in view.comparisons)
    output.say(f"{counted(len(view.comparisons), 'comparison')}, {apart} of them disagree")
    for (account, against), amount in view.drift.items():
        if amount:
            side = "too little" if amount > 0 else "too much"
            output.say(f"{account}: the ledger holds {money(abs(amount))} {side} against {_NUMBERS[against]}")
    if view.adjustments:
        rows = (
            f"{counted(len(view.adjustments), 'adjustment')} of {money(total(row.amount for row in view.adjustments))}"
        )
        output.say(f"{rows} in all {'written' if view.applied else 'would be written; --apply does it'}")


def _columns(shown: Sequence[Comparison], *, zone: tzinfo, now: datetime) -> list[Column]:
    subjects = [
        "the whole account" if one.resource_id is None else label(one.name, otherwise=printable(one.resource_id))
        for one in shown
    ]
    accounts = [one.account for one in shown]
    return [
        *([Column("ACCOUNT", tuple(accounts), rank=1)] if len(set(accounts)) > 1 else []),
        Column("RESOURCE", tuple(subjects), least=14),
        Column("AGAINST", tuple(_NUMBERS[one.against] for one in shown)),
        Column("WHEN", tuple(_when(one, zone=zone, now=now) for one in shown)),
        Column("OURS", tuple(money(one.ours) for one in shown), right=True),
        Column("THEIRS", tuple(money(one.theirs) for one in shown), right=True),
        Column("DRIFT", tuple("-" if one.within else money(one.drift) for one in shown), right=True),
        Column("BELIEVED", tuple(one.believed.value for one in shown), rank=2),
        Column("ID", tuple(printable(one.resource_id or "-") for one in shown), rank=3, least=11, cut="middle"),
    ]


def _when(one: Comparison, *, zone: tzinfo, now: datetime) -> str:
    """A day of the provider's, which is UTC, the instant up to which a total counts, or from when to when."""
    if one.against is Against.CHARGES:
        return f"{one.span.start.astimezone(UTC):%Y-%m-%d}"
    end = moment(one.span.end, zone=zone, today=now)
    return f"until {end}" if not one.span.length else f"{moment(one.span.start, zone=zone, today=now)} - {end}"
