"""Whoever serves the veto page, heartbeats and figures, without anything behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fluence_costwatch.errors import CostwatchError
from fluence_costwatch.web.acts import VetoPage


@dataclass(slots=True)
class ScriptedActs:
    """Knows one deletion "d1" of token "right", and one heartbeat "beat"; keeps what was asked. `trouble` is raised."""

    page: VetoPage = field(
        default_factory=lambda: VetoPage("This VM will be deleted", "web", ("Soon.",), effect="Keeps it.")
    )
    trouble: CostwatchError | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def deletion(self, deletion_id: str, *, token: str) -> VetoPage | None:
        return self._known("deletion", deletion_id, token)

    def veto(self, deletion_id: str, *, token: str, actor: str, reason: str) -> VetoPage | None:
        return self._known("veto", deletion_id, token, actor, reason)

    def beat(self, token: str) -> bool:
        self._note("beat", token)
        return token == "beat"

    def answer(self, name: str, *, query: Mapping[str, str]) -> Mapping[str, Any] | None:
        self._note("answer", name, *map("=".join, query.items()))
        return {"as_of": "now"} if name == "status" else None

    def _known(self, act: str, *about: str) -> VetoPage | None:
        self._note(act, *about)
        return self.page if about[:2] == ("d1", "right") else None

    def _note(self, *what: str) -> None:
        self.asked.append(what)
        if self.trouble is not None:
            raise self.trouble
