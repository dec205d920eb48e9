"""The command `export`: the ledger, row by row, for other programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

import typer

from fluence_costwatch.cli.arguments import parse_moment
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program
from fluence_costwatch.cli.reading import OfAccount, Since, Until
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.shapes import EXPORT_COLUMNS, export_row
from fluence_costwatch.core.views.spending import ExportRow

# A cell that begins with one of these is run as a formula by spreadsheets.
_FORMULAS: Final = ("=", "+", "-", "@")
_TEXTS: Final = ("account", "resource_id", "resource_name", "kind")


class Format(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSON = "json"


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the command."""

    @app.command()
    def export(
        ctx: typer.Context,
        form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.CSV,
        since: Since = None,
        until: Until = None,
        account: OfAccount = None,
    ) -> None:
        """Write the ledger, one row for each charge, oldest first."""
        output = Output()
        now = program.now()
        rows = program.export(
            ctx.obj,
            since=None if since is None else parse_moment(since, option="--since", now=now),
            until=None if until is None else parse_moment(until, option="--until", now=now),
            account=account,
        )
        write = _write_csv if form is Format.CSV else _write_json
        write(output.counting(rows, "exporting"))


def _write_csv(rows: Iterable[ExportRow]) -> None:
    writer = csv.DictWriter(sys.stdout, EXPORT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = export_row(row)
        writer.writerow({**cells, **{column: _inert(cells[column] or "") for column in _TEXTS}})


def _write_json(rows: Iterable[ExportRow]) -> None:
    before = "["
    for row in rows:
        sys.stdout.write(f"{before}\n  {json.dumps(export_row(row))}")
        before = ","
    sys.stdout.write("[]\n" if before == "[" else "\n]\n")


def _inert(text: str) -> str:
    """`text` as a cell that stays a text, on one line, whatever opens the file."""
    harmless = printable(text)
    return f"'{harmless}" if text[:1].isspace() or text.lstrip().startswith(_FORMULAS) else harmless
