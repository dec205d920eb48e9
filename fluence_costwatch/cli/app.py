"""The command `fluence-costwatch`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from fluence_costwatch import __version__
from fluence_costwatch.cli import (
    alerting,
    budgeting,
    database,
    deleting,
    exporting,
    idling,
    notifying,
    reading,
    reconciling,
    running,
)
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program
from fluence_costwatch.errors import CostwatchError

NAME: Final = "fluence-costwatch"


class _Commands(TyperGroup):
    """The commands; an error that was raised on purpose becomes one message and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CostwatchError as error:
            Output().error(str(error))
            raise typer.Exit(error.exit_code) from error


def _show_version(wanted: bool) -> None:
    if wanted:
        Output().say(f"{NAME} {__version__}")
        raise typer.Exit


def build_app(program: Program) -> typer.Typer:
    """The command line of `program`."""
    app = typer.Typer(
        name=NAME,
        cls=_Commands,
        help="Know what your machines on the Fluence marketplace cost.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        ctx: typer.Context,
        config: Annotated[
            str | None,
            typer.Option(metavar="FILE", help="The configuration; looked for in the usual places if not given."),
        ] = None,
        version: Annotated[  # its callback has done all that there is to do
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None:
        ctx.obj = config

    running.add_to(app, program)
    reading.add_to(app, program)
    budgeting.add_to(app, program)
    alerting.add_to(app, program)
    idling.add_to(app, program)
    deleting.add_to(app, program)
    notifying.add_to(app, program)
    exporting.add_to(app, program)
    reconciling.add_to(app, program)
    database.add_to(app, program)
    return app


def main(program: Program, arguments: Sequence[str] | None = None) -> None:
    """Run the command that the process was called with; leaves by SystemExit with its exit code."""
    build_app(program)(args=arguments, prog_name=NAME)
