"""What `deletions` shows: every deletion with its whole story, and what they have saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from fluence_costwatch.core.deletion.deletions import LIVE, Deletion
from fluence_costwatch.core.deletion.savings import Saving, savings


@dataclass(frozen=True, slots=True)
class DeletionsView:
    """Deletions, those that still stand first, then newest first. `saved` is what all of them have saved."""

    as_of: datetime
    zone: tzinfo
    deletions: tuple[Deletion, ...]
    saved: Saving


def deletions_view(deletions: Iterable[Deletion], *, zone: tzinfo, now: datetime) -> DeletionsView:
    """All `deletions`, in the order in which a person wants to see them."""
    newest_first = sorted(deletions, key=lambda one: (one.proposed_at, one.id), reverse=True)
    return DeletionsView(
        as_of=now,
        zone=zone,
        deletions=tuple(sorted(newest_first, key=lambda one: one.state not in LIVE)),
        saved=savings(newest_first),
    )
