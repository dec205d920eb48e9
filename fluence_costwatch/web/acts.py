"""What people and machines may do over HTTP beside reading metrics; `daemon.py` decides who serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class VetoPage:
    """A deletion as its page shows it: facts by their heading, in plain text. `can_be_vetoed` while nothing was sent yet."""

    title: str
    state: str
    facts: tuple[tuple[str, str], ...]
    can_be_vetoed: bool


class Acts(Protocol):
    """Everything is called in threads of the server, several at once, and raises CostwatchError where it cannot be done."""

    def deletion(self, deletion_id: str, *, token: str) -> VetoPage | None:
        """The page of a deletion; None where there is none of that id or the token is not its own. Changes nothing."""
        ...

    def veto(self, deletion_id: str, *, token: str, actor: str, reason: str) -> VetoPage | None:
        """Veto it if that can still be done, and its page afterwards; None as for `deletion`."""
        ...

    def beat(self, token: str) -> bool:
        """Note a heartbeat of the resource whose token it is; False where it is nobody's."""
        ...

    def answer(self, name: str, *, query: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The JSON that the command `name --json` prints; None where there is no such reading command."""
        ...
