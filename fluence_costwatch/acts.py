"""What can be done over HTTP: veto a deletion by its link, send a heartbeat, read figures (`web/acts.py`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final

from fluence_costwatch.config import Settings
from fluence_costwatch.core.deletions import Deletion
from fluence_costwatch.core.heartbeats import owner_of
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.vetoes import can_be_vetoed, is_token_of, vetoed
from fluence_costwatch.core.wording import instant, money
from fluence_costwatch.logs import facts
from fluence_costwatch.ports import Clock, Reading, Store
from fluence_costwatch.showing import answer
from fluence_costwatch.web.acts import VetoPage
from fluence_costwatch.wiring import Found

log = logging.getLogger(__name__)

_LONGEST: Final = 300


class StoredActs:
    """`web.acts.Acts` over the daemon's own store."""

    def __init__(
        self, store: Store, *, settings: Callable[[], Settings], found: Callable[[], Found], clock: Clock
    ) -> None:
        self._store = store
        self._settings = settings
        self._found = found
        self._clock = clock
        self._secret = store.secret()

    def deletion(self, deletion_id: str, *, token: str) -> VetoPage | None:
        """The page of a deletion; None where there is none of that id or the token is not its own. Changes nothing."""
        if not is_token_of(token, deletion_id, secret=self._secret):
            return None
        with self._store.reading() as reading:
            found = _stored(reading, deletion_id)
        return None if found is None else self._page(found)

    def veto(self, deletion_id: str, *, token: str, actor: str, reason: str) -> VetoPage | None:
        """Veto it if that can still be done, and its page afterwards; None as for `deletion`."""
        if not is_token_of(token, deletion_id, secret=self._secret):
            return None
        with self._store.transaction() as tx:
            found = _stored(tx.reading(), deletion_id)
            if found is None:
                return None
            stopped = vetoed(
                found,
                actor=actor,
                reason=reason,
                veto_for=self._settings().deletion.veto_for,
                now=self._clock(),
            )
            if stopped is not None and tx.save_deletion(stopped[0], was=found.state):
                tx.save_veto(stopped[1])
                found = stopped[0]
                log.info("vetoed", extra=facts(deletion=found.id, resource=found.target_id, actor=actor))
        return self._page(found)

    def beat(self, token: str) -> bool:
        """Note a heartbeat of the resource whose token it is; False where it is nobody's."""
        with self._store.reading() as reading:
            known = [record.state.identity for record in reading.resources(gone=False)]
        owner: Identity | None = owner_of(token, known, secret=self._secret)
        if owner is None:
            return False
        with self._store.transaction() as tx:
            tx.save_heartbeat(owner, at=self._clock())
        return True

    def answer(self, name: str, *, query: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The JSON that the command `name --json` prints; None where there is no such reading command."""
        with self._store.reading() as reading:
            return answer(
                name, settings=self._settings(), found=self._found(), reading=reading, now=self._clock(), query=query
            )

    def _page(self, deletion: Deletion) -> VetoPage:
        zone = self._settings().notify.zone
        last = deletion.history[-1] if deletion.history else None
        open_still = can_be_vetoed(deletion)
        texts = [
            ("Machine", f"{printable(deletion.name or 'without a name', limit=_LONGEST)} ({deletion.target_id})"),
            ("Account", deletion.identity.account),
            ("Why", printable(deletion.reason, limit=_LONGEST)),
            ("Evidence", "\n".join(printable(line, limit=_LONGEST) for line in deletion.evidence)),
            ("Moment", "" if deletion.execute_at is None else instant(deletion.execute_at, zone=zone)),
            ("In UTC", "" if deletion.execute_at is None else instant(deletion.execute_at, zone=UTC)),
            ("Price", "" if deletion.price is None else money(deletion.price)),
            (
                "Last step",
                "" if last is None else f"{last.state} by {last.actor}: {printable(last.reason, limit=_LONGEST)}",
            ),
        ]
        return VetoPage(
            title="A machine is about to be deleted" if open_still else "Deletion of a machine",
            state=f"State: {deletion.state}" + ("" if open_still else "; it cannot be vetoed any more"),
            facts=tuple((heading, text) for heading, text in texts if text),
            can_be_vetoed=open_still,
        )


def _stored(reading: Reading, deletion_id: str) -> Deletion | None:
    return next((one for one in reading.deletions() if one.id == deletion_id), None)
