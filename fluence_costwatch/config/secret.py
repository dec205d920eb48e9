"""Secrets: a value that never prints itself, and how the text of one is read."""

from __future__ import annotations

import hmac
import re
from typing import NoReturn, Self

_MASK = "***"


class Secret:
    """A key or token. Text, representation, format and copies of it show `***`; only `reveal` gives it away."""

    __slots__ = ("_text",)

    def __init__(self, text: str | None) -> None:
        """`text` is None where a command had no need to read the secret."""
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the one line that sends or compares it."""
        if self._text is None:
            raise ValueError("this secret was not read, because the command has no use for it")
        return self._text

    @property
    def is_read(self) -> bool:
        """Whether there is anything to reveal."""
        return self._text is not None

    def __repr__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._text is None or other._text is None:
            return self._text is other._text
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be dumped")


def parse_secret_url(text: str) -> Secret:
    """The address in `text`, less one line end. Raise ValueError, without a word of it, if it is none."""
    body = text.removesuffix("\n").removesuffix("\r")
    if not body:
        raise ValueError("is empty")
    if any(not "!" <= character <= "~" for character in body):
        raise ValueError(
            "holds a space, a line break or another character that stands in no address; it must be one address on "
            "one line, in which such characters are written as %20 and the like"
        )
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", body):
        raise ValueError('holds no address; it must begin with a scheme, as in "mailtos://" or "https://"')
    return Secret(body)


def parse_secret(text: str) -> Secret:
    """The secret in `text`, less one line end. Raise ValueError, without a word of it, if no header can carry it."""
    body = text.removesuffix("\n").removesuffix("\r")
    if not body:
        raise ValueError("is empty")
    if not body.isascii():
        raise ValueError("holds a character that is not ASCII, which no header can carry; copy the key again")
    if any(not "!" <= character <= "~" for character in body):
        raise ValueError("holds a space, a line break or a control character; it must be the bare key on one line")
    return Secret(body)
