"""Tables that fit: what does not is left out by rank, then cut; nothing ever wraps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from fluence_costwatch.core.untrusted import shortened

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Rank 0 always stays; of the others the highest rank is the first to be left out.

    One with `least` may be made narrower, down to that: names lose their end, ids their middle.
    """

    title: str
    cells: tuple[str, ...]
    rank: int = 0
    right: bool = False
    least: int | None = None
    cut: Literal["end", "middle"] = "end"

    @property
    def width(self) -> int:
        """How wide the column would like to be."""
        return max(cell_len(text) for text in (self.title, *self.cells))

    @property
    def narrowest(self) -> int:
        """How wide it must be."""
        return self.width if self.least is None else min(self.width, max(self.least, cell_len(self.title)))


def lines(columns: Sequence[Column], *, width: int) -> Iterable[Text]:
    """The table in at most `width` cells: a bold header and one line for each row."""
    shown = _chosen(columns, width=width)
    widths = _widths(shown, width=width)
    yield Text(_line([column.title for column in shown], shown, widths), style="bold")
    for row in zip(*(column.cells for column in shown), strict=True):
        yield Text(_line(row, shown, widths))


def _chosen(columns: Sequence[Column], *, width: int) -> list[Column]:
    chosen = list(columns)
    while sum(column.narrowest + GAP for column in chosen) - GAP > width:
        last = max(chosen, key=lambda column: column.rank)
        if last.rank == 0:
            break
        chosen.remove(last)
    return chosen


def _widths(columns: Sequence[Column], *, width: int) -> list[int]:
    widths = [column.width for column in columns]
    excess = sum(widths) + GAP * (len(columns) - 1) - width
    while excess > 0:
        slack = [have - column.narrowest for have, column in zip(widths, columns, strict=True)]
        widest = max(range(len(columns)), key=lambda index: (slack[index] > 0, widths[index]))
        if slack[widest] <= 0:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _line(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    cells = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        fitted = _fitted(text, width=width, cut=column.cut)
        padding = " " * (width - cell_len(fitted))
        cells.append(padding + fitted if column.right else fitted + padding)
    return (" " * GAP).join(cells).rstrip()


def _fitted(text: str, *, width: int, cut: Literal["end", "middle"]) -> str:
    if cell_len(text) <= width:
        return text
    if cut == "middle":
        return shortened(text, width=width)
    return set_cell_size(text, width - 1) + "…"
