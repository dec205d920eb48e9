"""Where words go: results to stdout, messages to stderr, colour and progress only where a person looks."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from threading import Timer
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from fluence_costwatch.cli.tables import Column, lines
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.fleet import View

T = TypeVar("T")

# Where nobody said how wide it is, a file or a pipe takes whole lines.
_WIDTH_OF_A_PIPE: Final = 200
_SECONDS_BEFORE_PROGRESS: Final = 1.0


class Output:
    """The two streams of one command."""

    def __init__(self) -> None:
        # Names hold what the terminal's own encoding may lack.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        self._out = _console(stderr=False)
        self._err = _console(stderr=True)

    def say(self, text: str) -> None:
        """One line of a result."""
        self._out.print(Text(text), soft_wrap=True)

    def marked(self, mark: str, text: str, *, style: str) -> None:
        """One line of a result that begins with a mark."""
        self._out.print(Text.assemble((mark, style), text), soft_wrap=True)

    def table(self, columns: Iterable[Column]) -> None:
        """A table as wide as the terminal."""
        for line in lines(list(columns), width=self._out.width):
            self._out.print(line, soft_wrap=True)

    def json(self, answer: dict[str, Any]) -> None:
        """A result for machines. All but ASCII is escaped, so that nothing in it can act on a terminal."""
        print(json.dumps(answer, indent=2))

    def note(self, text: str) -> None:
        """A message."""
        self._err.print(Text(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A message that should not be overlooked."""
        self._err.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True)

    def error(self, text: str) -> None:
        """Why the command failed."""
        harmless = "\n".join(printable(line) for line in text.splitlines())
        self._err.print(Text.assemble(("error: ", "bold red"), harmless), soft_wrap=True)

    def warn_if_stale(self, view: View) -> None:
        """Say which accounts' figures are old."""
        for account in view.stale_accounts:
            self.warn(f"account {account} has not answered for too long, its figures are old; see status and check")

    def warn_if_at_least(self, at_least: bool) -> None:
        """Say what ≥ means where it stands."""
        if at_least:
            self.warn("≥ marks what is at least so much: it lacks epochs whose price is not known")

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something is being done, once it takes longer than a second."""
        with self._progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()) as progress:
            progress.add_task(text, total=None)
            yield

    def counting(self, items: Iterable[T], text: str) -> Iterator[T]:
        """`items`, with a count of them shown once they take longer than a second."""
        with self._progress(SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn()) as progress:
            task = progress.add_task(text, total=None)
            for count, item in enumerate(items, start=1):
                yield item
                if count % 100 == 0:
                    progress.update(task, completed=count)

    @contextmanager
    def _progress(self, *columns: Any) -> Iterator[Progress]:
        progress = Progress(*columns, console=self._err, transient=True, disable=not self._err.is_terminal)
        late = Timer(_SECONDS_BEFORE_PROGRESS, progress.start)
        late.daemon = True
        late.start()
        try:
            yield progress
        finally:
            late.cancel()
            late.join()
            progress.stop()


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    unknown_width = not stream.isatty() and not os.environ.get("COLUMNS")
    return Console(
        stderr=stderr,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        width=_WIDTH_OF_A_PIPE if unknown_width else None,
        markup=False,
        highlight=False,
        emoji=False,
    )
