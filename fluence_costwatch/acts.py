"""What can be done over HTTP: veto a deletion by its link, send a heartbeat, read figures (`web/acts.py`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any, Final

from fluence_costwatch.config import Settings
from fluence_costwatch.core.deletion.deletions import AWAITING, Deletion, DeletionState, Ground, Mode, Veto
from fluence_costwatch.core.deletion.vetoes import can_be_vetoed, is_token_of, veto_on, vetoed
from fluence_costwatch.core.idle.heartbeats import owner_of
from fluence_costwatch.core.messages.wording import instant, label, money, sentence, span
from fluence_costwatch.core.resources import Identity, Kind
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.fleet import vm_view
from fluence_costwatch.logs import facts
from fluence_costwatch.ports import Clock, Reading, ResourceRecord, Store
from fluence_costwatch.showing import answer
from fluence_costwatch.web.acts import VetoPage
from fluence_costwatch.wiring import Found

log = logging.getLogger(__name__)

_LONGEST: Final = 300
_BY_RULE: Final = (Ground.IDLE, Ground.LEASE)


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
        """The page of a deletion that waits, or was vetoed. Changes nothing.

        None where there is no such one or the token is not its own: which of both is not told.
        """
        if not is_token_of(token, deletion_id, secret=self._secret):
            return None
        with self._store.reading() as reading:
            found = _with_a_page(reading, deletion_id)
            return None if found is None else self._page(found, reading)

    def veto(self, deletion_id: str, *, token: str, actor: str, reason: str) -> VetoPage | None:
        """Veto it if that can still be done, and its page afterwards; None as for `deletion`. A second veto changes
        nothing."""
        if not is_token_of(token, deletion_id, secret=self._secret):
            return None
        # One write transaction from reading to writing: either it waits here, or its call has been decided already.
        with self._store.transaction() as tx:
            found = _with_a_page(tx.reading(), deletion_id)
            if found is None:
                return None
            stopped = vetoed(
                found,
                actor=actor,
                reason=reason,
                veto_for=self._settings().deletion.veto_for,
                now=self._clock(),
            )
            done = stopped is not None and tx.save_deletion(stopped[0], was=found.state)
            if stopped is not None and done:
                tx.save_veto(stopped[1])
                found = stopped[0]
            page = replace(self._page(found, tx.reading()), done=done)
        if done:
            log.info("vetoed", extra=facts(deletion=found.id, resource=found.target_id, actor=actor))
        return page

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

    def _page(self, deletion: Deletion, reading: Reading) -> VetoPage:
        settings, now = self._settings(), self._clock()
        zone, waits = settings.notify.zone, can_be_vetoed(deletion)
        happens = (
            _to_come(deletion, zone=zone, now=now) if waits else _kept(deletion, reading.vetoes(), zone=zone, now=now)
        )
        own = next((one for one in reading.resources() if one.state.identity == deletion.identity), None)
        texts = [
            ("Why", sentence(printable(deletion.reason, limit=_LONGEST))),
            ("Evidence", "\n".join(printable(line, limit=_LONGEST) for line in deletion.evidence)),
            ("Decided by", _decided_by(deletion)),
            ("Name", printable(deletion.name, limit=_LONGEST) if deletion.name else "none"),
            ("Id", printable(deletion.target_id, limit=_LONGEST)),
            ("Account", printable(deletion.identity.account, limit=_LONGEST)),
            ("Deletion", deletion.id),
        ]
        until = instant(now + settings.deletion.veto_for, zone=zone)
        return VetoPage(
            heading=_heading(deletion),
            name=label(deletion.name, id=deletion.target_id),
            happens=(*happens, _cost(deletion, own, zone=zone, now=now)),
            facts=tuple((heading, text) for heading, text in texts if text),
            effect=_effect(deletion, until=until) if waits else "",
        )


def _with_a_page(reading: Reading, deletion_id: str) -> Deletion | None:
    """With the deletion its link ends; of one that was stopped everybody who has the link may know that it was."""
    found = next((one for one in reading.deletions() if one.id == deletion_id), None)
    return found if found is not None and found.state in (*AWAITING, DeletionState.VETOED) else None


def _heading(deletion: Deletion) -> str:
    kind = printable(deletion.kind).replace("_", " ")
    what = f"This {kind.upper() if deletion.kind is Kind.VM else kind}"
    if deletion.state is DeletionState.VETOED:
        return f"{what} is kept"
    if deletion.mode is Mode.OBSERVE:
        return f"{what} would be deleted, if deleting were switched on"
    if deletion.mode is Mode.PROPOSE and deletion.state is not DeletionState.APPROVED:
        return f"{what} is proposed for deletion"
    return f"{what} will be deleted"


def _to_come(deletion: Deletion, *, zone: tzinfo, now: datetime) -> Iterator[str]:
    moment = deletion.execute_at
    if moment is None:
        when = "at a time that is not set yet"
    elif moment > now:
        when = f"on {instant(moment, zone=zone)}, in {span(moment - now)}"
    else:
        when = "at any moment now"
    if deletion.mode is Mode.OBSERVE:
        yield "Nothing happens to it: the mode is observe, which only says what would be deleted."
        return
    if deletion.mode is Mode.PROPOSE and deletion.state is not DeletionState.APPROVED:
        yield f"Nothing happens unless somebody approves it; then it is deleted {when}."
    else:
        yield f"It is deleted {when}, unless somebody stops it."
    if deletion.state is DeletionState.APPROVED:
        yield f"Approved by {printable(deletion.history[-1].actor, limit=_LONGEST)}."
    if deletion.ground is Ground.RECLAIM:
        yield "Its machine has ended already; what goes is the record that holds reserved funds."
    else:
        yield "All data on it go with it. They cannot be brought back."


def _kept(deletion: Deletion, vetoes: Iterable[Veto], *, zone: tzinfo, now: datetime) -> Iterator[str]:
    standing = veto_on(deletion.identity, deletion.rule, vetoes, now=now)
    if standing is None:
        yield "This deletion was stopped. The veto that kept it has ended since; a new deletion comes with a new notice."
    else:
        yield f"It is kept until {instant(standing.until, zone=zone)}{_from_rule(deletion)}.{_unless_active(deletion)}"
    said = deletion.history[-1]
    actor, reason = printable(said.actor, limit=_LONGEST), printable(said.reason, limit=_LONGEST)
    yield sentence(f"Stopped on {instant(said.at, zone=zone)} by {actor}: {reason}")


def _effect(deletion: Deletion, *, until: str) -> str:
    return (
        f"The button stops this deletion at once and keeps it{_from_rule(deletion)} until {until}."
        f"{_unless_active(deletion)}"
    )


def _from_rule(deletion: Deletion) -> str:
    return f" from {_decided_by(deletion)}" if deletion.rule else ""


def _decided_by(deletion: Deletion) -> str:
    rule = printable(deletion.rule, limit=_LONGEST)
    if deletion.ground is Ground.BUDGET:
        return f"budget {rule}"
    return f"rule {rule}" if deletion.ground in _BY_RULE else rule


def _unless_active(deletion: Deletion) -> str:
    judged = deletion.ground in _BY_RULE
    return " Once it has been active again, it may be proposed anew before that." if judged else ""


def _cost(deletion: Deletion, record: ResourceRecord | None, *, zone: tzinfo, now: datetime) -> str:
    """What the next charge is and when, and what it costs a day."""
    view = None if record is None else vm_view(record, now=now)
    price = deletion.price if view is None else view.price
    if price is None:
        return "What keeping it costs is not known."
    if view is None or view.burn_per_day is None:
        return f"Keeping it costs {money(price)} with each charge."
    if not view.billed:
        return "Keeping it costs nothing: it is not charged any more."
    daily = f"{money(view.burn_per_day)} a day"
    if view.paid_until is None:
        return f"Keeping it costs {daily}."
    due = f" on {instant(view.paid_until, zone=zone)}" if view.paid_until > now else ""
    return f"Keeping it costs {money(price)} with its next charge{due}, and {daily} from then on."
