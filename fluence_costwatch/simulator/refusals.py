"""Why the marketplace does not do what it was asked for."""

from __future__ import annotations


class NoSuch(LookupError):
    """What was named does not exist."""


class Refused(ValueError):
    """The marketplace cannot do that, and says why. `code` is the word that newer generations have for it."""

    def __init__(self, reason: str, *, code: str = "unprocessable_entity") -> None:
        super().__init__(reason)
        self.code = code
