"""The commands of `notify`, and `report`: what people are told, and whether it reaches them."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from fluence_costwatch.cli.columns import column
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import OutboxView, Period, Program
from fluence_costwatch.cli.reading import AsJson
from fluence_costwatch.cli.running import show_check_line
from fluence_costwatch.cli.tables import Column
from fluence_costwatch.cli.texts import full_moment, moment
from fluence_costwatch.core.messages.message import Message, Section
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views import told_shapes

_STATES: Final = {Delivery.UNCONFIRMED: "unconfirmed", Delivery.DEAD: "given up"}


def add_to(app: typer.Typer, program: Program) -> None:
    """Add `report` and the group."""
    notify = typer.Typer(
        help="Try the targets, and see to messages that did not arrive.", no_args_is_help=True, rich_markup_mode=None
    )

    @app.command()
    def report(
        ctx: typer.Context,
        period: Annotated[Period, typer.Option(help="The last whole day, or the last whole week.")] = Period.DAY,
        as_json: AsJson = False,
    ) -> None:
        """Show what a digest says: spend, budgets, charges to come, waste, what was saved, what fires."""
        output = Output()
        view = program.report(ctx.obj, period=period)
        if as_json:
            output.json(told_shapes.report(view.message, as_of=view.as_of))
        else:
            show_message(view.message, output)
        output.warn_if_stale(view)

    app.add_typer(notify, name="notify")

    @notify.command()
    def test(
        ctx: typer.Context,
        target: Annotated[
            str | None, typer.Argument(metavar="TARGET", help="A target's name; all if not given.")
        ] = None,
    ) -> None:
        """Send a sample to a target, or to each, and say how it went. Exits with 1 if one did not take it."""
        output = Output()
        with output.waiting("sending samples"):
            found = list(program.notify_test(ctx.obj, target=target))
        for line in found:
            show_check_line(line, output)
        if not found:
            output.note("There are no targets; [[targets]] in the configuration sets them.")
        if any(line.state == "failed" for line in found):
            raise typer.Exit(1)

    @notify.command("list")
    def list_waiting(ctx: typer.Context, as_json: AsJson = False) -> None:
        """List the messages that wait, were given up, or may not have arrived."""
        output = Output()
        view = program.outbox(ctx.obj)
        if as_json:
            output.json(told_shapes.outbox(view.rows))
        else:
            show_outbox(view, output)

    @notify.command()
    def retry(
        ctx: typer.Context, number: Annotated[int, typer.Argument(metavar="NUMBER", help="As notify list shows it.")]
    ) -> None:
        """Queue a message again that was given up or may not have arrived."""
        Output().say(program.notify_retry(ctx.obj, number=number))


def show_outbox(view: OutboxView, output: Output) -> None:
    """One line for each message that needs somebody, or time."""
    zone, now, rows = view.zone, view.as_of, view.rows
    if not rows:
        output.note("Nothing waits: all that there was to tell has arrived.")
        return
    output.say(f"As of {full_moment(now, zone=zone)}")
    output.table(
        [
            column("number", [str(row.number) for row in rows], right=True),
            column("target", [row.target for row in rows]),
            column("state", [_state(row) for row in rows]),
            column("since", [moment(row.made_at, zone=zone, today=now) for row in rows], rank=2),
            column("tries", [str(row.attempts) for row in rows], right=True, rank=3),
            column("subject", [printable(row.message.subject, limit=200) for row in rows], least=20),
            column("error", [printable(row.error, limit=200) or "-" for row in rows], rank=1, least=12),
        ]
    )


def show_message(message: Message, output: Output) -> None:
    """A message as a terminal takes it: its subject, then each section under its heading."""
    output.say(printable(message.subject))
    for section in message.sections:
        output.say("")
        _show_section(section, output)
    for text in (message.action, message.link):
        if text:
            output.say("")
            output.say(printable(text))


def _show_section(section: Section, output: Output) -> None:
    if section.heading:
        output.say(f"{printable(section.heading)}:")
    for line in section.lines:
        output.say(printable(line))
    if section.table is not None and section.table.rows:
        table = section.table
        output.table(
            Column(
                printable(title).upper(),
                tuple(printable(row[place]) for row in table.rows),
                right=place in table.right,
                least=14 if place == 0 else None,
            )
            for place, title in enumerate(table.columns)
        )
    if section.left_out:
        output.say(f"and {section.left_out} more")


def _state(row: OutboxRow) -> str:
    return _STATES.get(row.state, row.state.value)
