"""Texts that somebody else chose, such as the names of VMs, made harmless for terminals and logs."""

from __future__ import annotations

import unicodedata
from typing import Final

# Controls (escape sequences, newlines), format characters (which turn the direction of writing or cannot be seen), halves
# of surrogate pairs, unassigned and private code points, and the separators that end a line.
_HARMFUL: Final = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")


def printable(text: str, *, limit: int | None = None) -> str:
    """`text` on one line with every character escaped that acts instead of showing, cut to `limit` characters.

    What is cut ends in "…".
    """
    # Cut first, so that a megabyte of controls costs no more than a name; an escape counts by what it shows.
    kept = text if limit is None else text[: limit + 1]
    plain = kept.isascii() and kept.isprintable()
    shown = kept if plain else "".join(_escaped(character) for character in kept)
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 1]}…"


def shortened(text: str, *, width: int) -> str:
    """`text` with its middle left out where it is longer than `width`: both ends of an id tell it from others."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _HARMFUL:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
