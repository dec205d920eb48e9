"""The commands that watch, and those that try out or check what would be watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from fluence_costwatch.cli.arguments import parse_delay, parse_instant, parse_listen, parse_span, parse_time_of_day
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import (
    Auth,
    CheckLine,
    DeleteBody,
    DemoOptions,
    Flavour,
    Policy,
    Program,
    SimulateOptions,
)
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.fleet import ANSWERED
from fluence_costwatch.errors import FluenceError

AllowDelete = Annotated[
    bool, typer.Option("--allow-delete", help="One of the two keys to deletion; the other is in the configuration.")
]

_MARKS: Final = {"ok": ("ok      ", "green"), "warning": ("warning ", "yellow"), "failed": ("FAILED  ", "bold red")}


def add_to(app: typer.Typer, program: Program) -> None:
    """Add `run`, `once`, `demo`, `check` and `simulate`."""

    @app.command()
    def run(ctx: typer.Context, allow_delete: AllowDelete = False) -> None:
        """Be the daemon: look, keep the ledger, serve the metrics."""
        program.run(ctx.obj, allow_delete=allow_delete)

    @app.command()
    def once(ctx: typer.Context, allow_delete: AllowDelete = False) -> None:
        """Run one cycle for each account, for cron. Exits with 4 if a look failed."""
        output = Output()
        with output.waiting("looking at the accounts"):
            looks = program.once(ctx.obj, allow_delete=allow_delete)
        for look in looks:
            text = f"{look.account} {look.generation}: {look.outcome}"
            detail = printable(look.detail)
            output.say(f"{text}, {detail}" if detail else text)
        if any(look.outcome not in ANSWERED for look in looks):
            raise typer.Exit(FluenceError.exit_code)

    @app.command()
    def demo(
        listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to serve; port 0 takes a free one.")] = (
            "127.0.0.1:17550"
        ),
        epoch: Annotated[str, typer.Option(metavar="SPAN", help="How long a billing epoch lasts.")] = "20s",
        duration: Annotated[
            str | None, typer.Option(metavar="SPAN", help="Stop after this; runs until interrupted if not given.")
        ] = None,
        directory: Annotated[
            Path | None, typer.Option("--dir", metavar="DIR", help="Keep database and configuration here.")
        ] = None,
    ) -> None:
        """Be the daemon on a simulated marketplace with short epochs. Nothing has to be configured."""
        program.demo(
            DemoOptions(
                listen=parse_listen(listen, option="--listen"),
                epoch=parse_span(epoch, option="--epoch"),
                duration=None if duration is None else parse_span(duration, option="--duration"),
                directory=directory,
            )
        )

    @app.command()
    def check(ctx: typer.Context) -> None:
        """Check configuration, keys, database, targets and signals, and say what to mend. Sends no message."""
        output = Output()
        code = 0
        for line in program.check(ctx.obj):
            show_check_line(line, output)
            if line.state == "failed":
                code = code or line.exit_code
        if code:
            raise typer.Exit(code)

    @app.command()
    def simulate(
        listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to serve; port 0 takes a free one.")] = (
            "127.0.0.1:0"
        ),
        epoch: Annotated[str, typer.Option(metavar="SPAN", help="How long a billing epoch lasts.")] = "24h",
        generation: Annotated[
            list[str] | None,
            typer.Option(metavar="NAME", help="What it speaks, once for each: vms-v2 and vms-v3 if not given."),
        ] = None,
        anchor: Annotated[str, typer.Option(metavar="HH:MM", help="Where epochs begin, UTC.")] = "17:55",
        policy: Annotated[Policy, typer.Option(help="Boundaries for all, or for each VM its own.")] = "global",
        script: Annotated[
            str | None, typer.Option(metavar="FILE", help="What happens: a JSON file, or 'demo' for the built-in one.")
        ] = None,
        flavour: Annotated[Flavour, typer.Option(help="What GET /vms/v2 looks like.")] = "seed",
        auth: Annotated[Auth, typer.Option(help="How a key may be sent.")] = "both",
        delete_body: Annotated[DeleteBody, typer.Option(help="What a request to delete must hold.")] = "both",
        key: Annotated[list[str] | None, typer.Option(metavar="[ACCOUNT=]KEY", help="default: main=demo-key")] = None,
        balance: Annotated[str, typer.Option(help="Dollars on each account at the start.")] = "1000",
        start: Annotated[
            str | None, typer.Option(metavar="INSTANT", help="Where the clock starts; now if not given.")
        ] = (None),
        hold: Annotated[bool, typer.Option("--hold", help="The clock stands still until told otherwise.")] = False,
        delete_latency: Annotated[str, typer.Option(metavar="SPAN", help="How long a deleted VM stays listed.")] = "0s",
        launch_time: Annotated[str, typer.Option(metavar="SPAN", help="How long a new VM is launching.")] = "0s",
        listing_delay: Annotated[str, typer.Option(metavar="SPAN", help="How long a new VM is not listed.")] = "0s",
        charge_delay: Annotated[str, typer.Option(metavar="SPAN", help="How late a charge is booked.")] = "0s",
        next_billing_wobble: Annotated[
            str, typer.Option(metavar="SPAN", help="How far a reported charge time may be off.")
        ] = "0s",
    ) -> None:
        """Serve the simulated marketplace alone, to try things on."""
        program.simulate(
            SimulateOptions(
                listen=parse_listen(listen, option="--listen"),
                generations=tuple(generation or ["vms-v2", "vms-v3"]),
                epoch=parse_span(epoch, option="--epoch"),
                anchor=parse_time_of_day(anchor, option="--anchor"),
                policy=policy,
                flavour=flavour,
                auth=auth,
                delete_body=delete_body,
                script=script,
                keys=tuple(key or ["main=demo-key"]),
                balance=balance,
                start=None if start is None else parse_instant(start, option="--start"),
                hold=hold,
                delete_latency=parse_delay(delete_latency, option="--delete-latency"),
                launch_time=parse_delay(launch_time, option="--launch-time"),
                listing_delay=parse_delay(listing_delay, option="--listing-delay"),
                charge_delay=parse_delay(charge_delay, option="--charge-delay"),
                next_billing_wobble=parse_delay(next_billing_wobble, option="--next-billing-wobble"),
            )
        )


def show_check_line(line: CheckLine, output: Output) -> None:
    """One line that begins with how it stands."""
    mark, style = _MARKS[line.state]
    output.marked(mark, f"{printable(line.subject)}: {printable(line.detail)}", style=style)
