"""The commands of `db`: what keeps the database in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program
from fluence_costwatch.core.untrusted import printable


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the group."""
    db = typer.Typer(help="Upgrade, back up and prove the database.", no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(db, name="db")

    @db.command()
    def upgrade(ctx: typer.Context) -> None:
        """Bring the schema up to date, after a backup. The daemon does so itself when it starts."""
        output = Output()
        with output.waiting("upgrading"):
            done = program.db_upgrade(ctx.obj)
        output.say(done)

    @db.command()
    def backup(
        ctx: typer.Context,
        directory: Annotated[
            Path | None, typer.Option("--dir", metavar="DIR", help="Where to; beside the database if not given.")
        ] = None,
    ) -> None:
        """Write a consistent copy; the daemon may run meanwhile."""
        output = Output()
        with output.waiting("backing up"):
            written = program.db_backup(ctx.obj, directory=directory)
        output.say(f"{printable(str(written.path))} ({written.size_bytes} bytes)")

    @db.command()
    def verify(ctx: typer.Context) -> None:
        """Run SQLite's own checks. Exits with 1 if they find anything."""
        output = Output()
        with output.waiting("verifying"):
            problems = program.db_verify(ctx.obj)
        _report(problems, output, otherwise="The database is sound.")

    @db.command()
    def rebuild(ctx: typer.Context) -> None:
        """Replay the kept snapshots and compare the ledgers. Changes nothing; exits with 1 if they differ."""
        output = Output()
        with output.waiting("replaying the snapshots"):
            differences = program.db_rebuild(ctx.obj)
        _report(differences, output, otherwise="The ledger equals the one replayed from the snapshots.")


def _report(findings: Sequence[str], output: Output, *, otherwise: str) -> None:
    for finding in findings:
        output.say(printable(finding))
    if findings:
        raise typer.Exit(1)
    output.say(otherwise)
