"""The commands of `deletions`: what is to go, what has gone, and what a person says to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Annotated

import typer

from fluence_costwatch.cli.columns import column, several
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import ROLLED_BACK, Program
from fluence_costwatch.cli.reading import AsJson
from fluence_costwatch.cli.texts import counted, full_moment, label, moment, money
from fluence_costwatch.core.deletion.deletion_views import DeletionsView
from fluence_costwatch.core.deletion.deletions import AWAITING, Deletion
from fluence_costwatch.core.deletion.savings import saving_of
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views import shapes, told_shapes

Id = Annotated[str, typer.Argument(metavar="ID", help="A deletion's id, as deletions shows it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the deletion.")]
Everything = Annotated[bool, typer.Option("--all", help="All that there ever were.")]


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the group."""
    group = typer.Typer(
        help="List what is to be deleted and what was; approve or veto it.",
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    app.add_typer(group, name="deletions")

    @group.callback()
    def default(ctx: typer.Context, everything: Everything = False, as_json: AsJson = False) -> None:
        if ctx.invoked_subcommand is None:
            _list(ctx, program, everything=everything, as_json=as_json)
        elif everything or as_json:
            raise typer.BadParameter(f"write it after {ctx.invoked_subcommand}", param_hint="'--all', '--json'")

    @group.command("list")
    def list_all(ctx: typer.Context, everything: Everything = False, as_json: AsJson = False) -> None:
        """List the deletions that stand, and those that were over in the last 30 days."""
        _list(ctx, program, everything=everything, as_json=as_json)

    @group.command()
    def show(ctx: typer.Context, id: Id, as_json: AsJson = False) -> None:
        """Show one deletion with its whole story: every step, when, by whom and why."""
        output = Output()
        view = program.deletion(ctx.obj, id=id)
        if as_json:
            output.json(told_shapes.deletion_story(view.deletions[0]))
        else:
            for line in story_lines(view.deletions[0], zone=view.zone, now=view.as_of):
                output.say(line)

    @group.command()
    def approve(ctx: typer.Context, id: Id, reason: Reason = "") -> None:
        """Approve a deletion for the moment that is set for it."""
        Output().say(program.approve(ctx.obj, id=id, reason=reason))

    @group.command()
    def veto(ctx: typer.Context, id: Id, reason: Reason = "") -> None:
        """Stop a deletion, and have its resource left alone for a while."""
        Output().say(program.veto(ctx.obj, id=id, reason=reason))

    @group.command()
    def confirm(ctx: typer.Context, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
        """After a backup was put back: confirm that the database is as it should be."""
        output = Output()
        if not program.rolled_back(ctx.obj):
            output.say("There is nothing to confirm: the database and the counter beside it agree.")
            return
        if not yes:
            output.note(ROLLED_BACK)
            output.note(
                "What happened since that backup is not in the database: machines, notices, vetoes, what is kept."
            )
            typer.confirm("Is the database as it should be?", abort=True, err=True)
        output.say(program.accept_rollback(ctx.obj))


def _list(ctx: typer.Context, program: Program, *, everything: bool, as_json: bool) -> None:
    output = Output()
    view = program.deletions(ctx.obj, everything=everything)
    if as_json:
        output.json(shapes.deletions(view))
    else:
        show_deletions(view, output)


def show_deletions(view: DeletionsView, output: Output) -> None:
    """One line for each deletion, and what all of them have saved."""
    zone, now, found = view.zone, view.as_of, view.deletions
    if found:
        output.say(f"As of {full_moment(now, zone=zone)}")
        output.table(
            [
                column("id", [one.id for one in found]),
                column("name", [label(one.name, otherwise=one.target_id) for one in found], least=14),
                column("state", [one.state.value for one in found]),
                column("due", [_due(one, zone=zone, now=now) for one in found]),
                column("ground", [_ground(one) for one in found], rank=1),
                column("mode", [one.mode.value for one in found], rank=3),
                *several("account", [one.identity.account for one in found], rank=2),
                column("reason", [printable(_last(one), limit=300) for one in found], rank=4, least=20),
            ]
        )
    else:
        output.note("There are no deletions.")
    if view.saved.count:
        output.say(
            f"{counted(view.saved.count, 'deletion')} proven: {money(view.saved.avoided)} of next charges did not fall, "
            f"{money(view.saved.burn_per_day)} a day less is spent"
        )


def story_lines(one: Deletion, *, zone: tzinfo, now: datetime) -> Iterator[str]:
    """All that is kept of one deletion."""
    name = label(one.name, otherwise=one.target_id)
    yield f"Deletion {one.id}: {one.kind} {name} ({printable(one.target_id)}) of {one.identity.account}, {one.generation}"
    yield f"State: {one.state}; ground: {_ground(one)}; proposed in mode {one.mode}"
    yield f"Why: {printable(one.reason)}"
    for evidence in one.evidence:
        yield f"  {printable(evidence, limit=200)}"
    if one.created_at is not None:
        yield f"Created: {full_moment(one.created_at, zone=zone)}"
    if one.notified_at is not None:
        yield f"Notice accepted: {full_moment(one.notified_at, zone=zone)}"
    if one.execute_at is not None and one.state in AWAITING:
        yield f"Due: {full_moment(one.execute_at, zone=zone)}"
    if one.approved_for is not None:
        yield f"Approved for: {full_moment(one.approved_for, zone=zone)}"
    if one.next_charge is not None and one.next_charge_at is not None:
        yield f"Next charge: {money(one.next_charge)} on {full_moment(one.next_charge_at, zone=zone)}"
    if one.burn_per_day is not None:
        yield f"Costs: {money(one.burn_per_day)} a day"
    saving = saving_of(one)
    if saving is not None:
        yield f"Saved: {money(saving.avoided)} of the next charge, {money(saving.burn_per_day)} a day"
    for step in one.history:
        when = full_moment(step.at, zone=zone)
        yield f"{when}  {step.state}  by {printable(step.actor, limit=80)}: {printable(step.reason)}"


def _due(one: Deletion, *, zone: tzinfo, now: datetime) -> str:
    return moment(one.execute_at if one.state in AWAITING else None, zone=zone, today=now)


def _ground(one: Deletion) -> str:
    return f"{one.ground} {printable(one.rule, limit=80)}" if one.rule else one.ground.value


def _last(one: Deletion) -> str:
    return one.history[-1].reason if one.history and one.state not in AWAITING else one.reason
