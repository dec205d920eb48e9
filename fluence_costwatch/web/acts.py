"""What people and machines may do over HTTP beside reading metrics; `daemon.py` decides who serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class VetoPage:
    """A deletion as its page shows it, in plain text.

    `heading` is the fact, `name` what it is about, `happens` what comes of it and when, `facts` the rest by headings.
    `effect` is what the button does; empty where there is nothing to stop. `done`: this request has stopped it.
    """

    heading: str
    name: str
    happens: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    effect: str = ""
    done: bool = False


class Acts(Protocol):
    """Everything is called in threads of the server, several at once, and raises CostwatchError where it cannot be done."""

    def deletion(self, deletion_id: str, *, token: str) -> VetoPage | None:
        """The page of a deletion that waits, or was vetoed. Changes nothing.

        None where there is no such one or the token is not its own: which of both is not told.
        """
        ...

    def veto(self, deletion_id: str, *, token: str, actor: str, reason: str) -> VetoPage | None:
        """Veto it if that can still be done, and its page afterwards; None as for `deletion`. A second veto changes
        nothing."""
        ...

    def beat(self, token: str) -> bool:
        """Note a heartbeat of the resource whose token it is; False where it is nobody's."""
        ...

    def answer(self, name: str, *, query: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The JSON that the command `name --json` prints; None where there is no such reading command.

        Raises UnusableOption where `query` cannot be understood, UnknownName where it names what is not there.
        """
        ...
