"""What others say of a failed send, made fit for a log: no part of the target's URL, no controls, not long."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from fluence_costwatch.core.untrusted import printable

_LONGEST_QUOTE: Final = 160
# Shorter parts of a URL are no secrets, and striking them out would garble the text around them.
_SHORTEST_SECRET: Final = 4
_MASK: Final = "***"


class Redaction:
    """Strikes every part of one URL out of texts."""

    def __init__(self, url: str) -> None:
        parts = sorted({part for part in _parts_of(url) if len(part) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, parts)), re.IGNORECASE) if parts else None

    def __repr__(self) -> str:
        return "<Redaction>"

    def quote(self, text: str, *, limit: int = _LONGEST_QUOTE) -> str:
        """`text` on one line without any part of the URL."""
        # Parts go first: a cut could leave the head of one.
        struck = self._pattern.sub(_MASK, text) if self._pattern else text
        return printable(" ".join(struck.split()), limit=limit).rstrip(". ")


def _parts_of(url: str) -> set[str]:
    """`url` and every value in it, as it stands there and as it is meant; the scheme and the names of values are not."""
    found: set[str] = set()
    _, _, rest = url.partition("://")
    try:
        split = urlsplit(f"any://{rest}")
    except ValueError:
        split = urlsplit("any://")
        found |= set(re.split(r"[/?&=@:#]", rest))
    credentials, _, host = split.netloc.rpartition("@")
    found |= {credentials, host, host.partition(":")[0], *credentials.split(":"), split.fragment, split.path.strip("/")}
    found |= set(split.path.split("/"))
    for pair in split.query.split("&"):
        found.add(pair.partition("=")[2])
    found |= {value for _, value in parse_qsl(split.query)}
    found |= {unquote(part) for part in found} | {unquote_plus(part) for part in found}
    # "Name <address>", "a,b" and "user:password" are taken apart by Apprise.
    return {url} | found | {piece for part in found for piece in re.split(r"[\s,;:<>@]+", part)}
