"""What people say to a deletion that was proposed: the signed link, the veto, the approval (`design.md` section 7)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from fluence_costwatch.core.deletion.deletions import AWAITING, Deletion, DeletionState, Mode, Veto, moved
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.core.untrusted import printable

_PURPOSE: Final = b"fluence-costwatch veto 1\x00"
_LONGEST_REASON: Final = 200


def token_of(deletion_id: str, *, secret: bytes) -> str:
    """The token of the link that vetoes this one deletion."""
    return hmac.new(secret, _PURPOSE + deletion_id.encode("utf-8", "surrogatepass"), sha256).hexdigest()


def is_token_of(token: str, deletion_id: str, *, secret: bytes) -> bool:
    """Whether `token` is the one of that deletion; takes the same time for every wrong one."""
    expected = token_of(deletion_id, secret=secret)
    return hmac.compare_digest(token.encode("utf-8", "surrogatepass"), expected.encode())


def can_be_vetoed(deletion: Deletion) -> bool:
    """Whether nothing was sent yet. With that the link expires too."""
    return deletion.state in AWAITING


def vetoed(
    deletion: Deletion, *, actor: str, reason: str, veto_for: timedelta, now: datetime
) -> tuple[Deletion, Veto] | None:
    """The deletion after a person's veto, and the veto to keep; None where it is too late or was stopped already."""
    if not can_be_vetoed(deletion):
        return None
    said = printable(reason.strip(), limit=_LONGEST_REASON) or "vetoed"
    stopped = moved(deletion, DeletionState.VETOED, at=now, actor=actor, reason=said, settled_at=now)
    return stopped, Veto(deletion.identity, deletion.rule, now + veto_for, actor, said, now)


def approved(deletion: Deletion, *, actor: str, reason: str, now: datetime) -> Deletion | None:
    """The deletion after a person approved it for its present moment; None where there is nothing to approve: not
    notified yet, no moment set, only observed, or no longer waiting."""
    if deletion.state is not DeletionState.NOTIFIED or deletion.execute_at is None or deletion.mode is Mode.OBSERVE:
        return None
    said = printable(reason.strip(), limit=_LONGEST_REASON) or "approved"
    return moved(deletion, DeletionState.APPROVED, at=now, actor=actor, reason=said, approved_for=deletion.execute_at)


def veto_on(identity: Identity, rule: str, vetoes: Iterable[Veto], *, now: datetime) -> Veto | None:
    """The veto that keeps a resource from a rule now."""
    return next((veto for veto in vetoes if veto.identity == identity and veto.rule == rule and now < veto.until), None)


def lifted(
    vetoes: Sequence[Veto], clocks: Mapping[tuple[Identity, str], IdleClock]
) -> tuple[tuple[Identity, str], ...]:
    """The vetoes whose resource has been active again since they were made: they have served."""
    return tuple(
        (veto.identity, veto.rule)
        for veto in vetoes
        if (clock := clocks.get((veto.identity, veto.rule))) is not None
        and clock.verdict is IdleVerdict.ACTIVE
        and clock.at > veto.made_at
    )
