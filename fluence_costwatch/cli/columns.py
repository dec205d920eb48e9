"""Columns as the layouts make them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fluence_costwatch.cli.tables import Column


def column(
    title: str,
    cells: Iterable[str],
    *,
    rank: int = 0,
    right: bool = False,
    least: int | None = None,
    middle: bool = False,
) -> Column:
    """A column under a title in capitals."""
    return Column(title.upper(), tuple(cells), rank=rank, right=right, least=least, cut="middle" if middle else "end")


def several(title: str, cells: Sequence[str], *, rank: int) -> list[Column]:
    """A column only where its cells differ."""
    return [column(title, cells, rank=rank)] if len(set(cells)) > 1 else []
