"""What became of a deletion after the call: proven by later lists, never by the status code (`design.md` section 7)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Ground, moved
from fluence_costwatch.core.deletion.grounds import Situation
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import span
from fluence_costwatch.core.resources import Generation

# What the lists say of something that a person has ended, and of what is about to be.
_ENDED: Final = {
    Generation.VMS_V2: ("stopped", "terminated"),
    Generation.VMS_V3: ("stopped", "terminated"),
    Generation.CLOUD_V2: ("terminated", "removed"),
    Generation.GPU: ("ended",),
}
_ENDING: Final = ("terminating", "removing")


def outcome_of(deletion: Deletion, situation: Situation, *, now: datetime) -> Deletion:
    """`deletion`, after the call or what may have been one, with what the lists have shown since."""
    record = situation.records.get(deletion.identity)
    gone_at = proven_at(deletion, record, situation, now=now)
    match deletion.state:
        case DeletionState.EXECUTING:
            return _after_a_call_without_answer(deletion, record, situation, gone_at=gone_at, now=now)
        case DeletionState.REQUESTED:
            if gone_at is None and _waited(deletion, situation, now=now):
                reason = f"not proven to be gone {span(situation.policy.verify_within)} after the call was taken"
                return moved(deletion, DeletionState.UNCONFIRMED, at=now, reason=reason, settled_at=now)
            return _verified(deletion, gone_at, now=now)
        case DeletionState.UNCONFIRMED:
            return _verified(deletion, gone_at, now=now)
        case DeletionState.VERIFIED if _is_back(deletion, record):
            reason = "it is listed again, so it may bill on"
            return moved(deletion, DeletionState.FAILED, at=now, reason=reason, settled_at=now)
    return deletion


def proven_at(
    deletion: Deletion, record: KnownResource | None, situation: Situation, *, now: datetime
) -> datetime | None:
    """When lists that are believed showed that it was gone; None while that is not proven.

    A list that is empty proves nothing until it has stayed so for as long as a suspicious one must.
    """
    asked_at = deletion.requested_at
    if record is None or asked_at is None or record.state.retired:
        return None
    state = record.state
    if state.presence is Presence.PRESENT:
        over = _has_ended(deletion, record) or _is_another_life(deletion, record)
        return record.last_seen if over and record.last_seen > asked_at else None
    since = state.absent_since
    if state.presence is not Presence.GONE or since is None or since <= asked_at:
        return None
    listed = any(
        other.state.presence is Presence.PRESENT
        and other.state.generation is deletion.generation
        and identity.account == deletion.identity.account
        for identity, other in situation.records.items()
    )
    return since if listed or now - since >= situation.confirm_suspicious else None


def explain_absence(deletions: tuple[Deletion, ...], *, account: str, sent_at: datetime) -> frozenset[str]:
    """The ids of `account` whose absence from a list asked for at `sent_at` is no wonder, as we asked for it before.

    It depends on stored facts alone, so that a rebuild judges every list as it was judged.
    """
    return frozenset(
        one.identity.id
        for one in deletions
        if one.identity.account == account
        and one.requested_at is not None
        and one.requested_at <= sent_at
        and not any(step.state is DeletionState.FAILED and step.at <= sent_at for step in one.history)
    )


def _after_a_call_without_answer(
    deletion: Deletion,
    record: KnownResource | None,
    situation: Situation,
    *,
    gone_at: datetime | None,
    now: datetime,
) -> Deletion:
    """The call may have been sent, or not even that: it is never sent again, the lists tell."""
    if gone_at is not None or (record is not None and _is_ending(deletion, record)):
        return moved(deletion, DeletionState.REQUESTED, at=now, reason="the lists show that the call was taken")
    if not _waited(deletion, situation, now=now):
        return deletion
    waited = span(situation.policy.verify_within)
    asked_at = deletion.requested_at or now
    seen_since = (
        record is not None
        and record.state.presence is Presence.PRESENT
        and record.last_seen - asked_at >= situation.policy.verify_within
    )
    if seen_since:
        reason = f"whether the call arrived is not known, and it is still listed {waited} later"
        return moved(deletion, DeletionState.FAILED, at=now, reason=reason, settled_at=now)
    reason = f"whether the call arrived is not known, and no list has told within {waited}"
    return moved(deletion, DeletionState.UNCONFIRMED, at=now, reason=reason, settled_at=now)


def _verified(deletion: Deletion, gone_at: datetime | None, *, now: datetime) -> Deletion:
    if gone_at is None:
        return deletion
    return moved(deletion, DeletionState.VERIFIED, at=now, reason="proven by the lists", settled_at=gone_at)


def _waited(deletion: Deletion, situation: Situation, *, now: datetime) -> bool:
    asked_at = deletion.requested_at
    return asked_at is None or now - asked_at >= situation.policy.verify_within


def _has_ended(deletion: Deletion, record: KnownResource) -> bool:
    status = record.state.status.casefold()
    return deletion.ground is not Ground.RECLAIM and status in _ENDED[record.state.generation]


def _is_ending(deletion: Deletion, record: KnownResource) -> bool:
    asked_at = deletion.requested_at
    return (
        record.state.presence is Presence.PRESENT
        and record.state.status.casefold() in _ENDING
        and asked_at is not None
        and record.last_seen > asked_at
    )


def _is_back(deletion: Deletion, record: KnownResource | None) -> bool:
    """Whether a verified one is listed again: the same life of it, and not as something that has ended."""
    return (
        record is not None
        and deletion.settled_at is not None
        and record.state.presence is Presence.PRESENT
        and not record.state.retired
        and record.last_seen > deletion.settled_at
        and not _is_another_life(deletion, record)
        and not _has_ended(deletion, record)
    )


def _is_another_life(deletion: Deletion, record: KnownResource) -> bool:
    """Whether what is listed was created at another time. Where one of both is not known, or another generation tells
    it in its own way, it may be the same machine."""
    before, now = deletion.created_at, record.resource.created_at
    told_alike = record.resource.generation is deletion.generation
    return told_alike and before is not None and now is not None and before != now
