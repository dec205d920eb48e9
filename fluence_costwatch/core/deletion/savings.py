"""What a deletion has saved: the next charge that did not fall, and what it cost a day. Nothing beyond that is claimed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState


@dataclass(frozen=True, slots=True)
class Saving:
    """Of verified deletions: how many, the sum of the next charges that they avoided, and the daily burn removed."""

    count: int = 0
    avoided: Decimal = Decimal(0)
    burn_per_day: Decimal = Decimal(0)


def saving_of(deletion: Deletion) -> Saving | None:
    """What one deletion has saved; None while that is not proven.

    The next charge counts only where the resource was gone from the lists before it fell due.
    """
    if deletion.state is not DeletionState.VERIFIED:
        return None
    due, gone = deletion.next_charge_at, deletion.settled_at
    in_time = due is not None and gone is not None and gone <= due
    return Saving(
        count=1,
        avoided=(deletion.next_charge or Decimal(0)) if in_time else Decimal(0),
        burn_per_day=deletion.burn_per_day or Decimal(0),
    )


def savings(deletions: Iterable[Deletion], *, since: datetime | None = None) -> Saving:
    """The sum over the deletions that were proven, with those gone since then only."""
    proven = [
        saving
        for one in deletions
        if (saving := saving_of(one)) is not None
        and (since is None or (one.settled_at is not None and one.settled_at >= since))
    ]
    return Saving(
        count=len(proven),
        avoided=sum((one.avoided for one in proven), Decimal(0)),
        burn_per_day=sum((one.burn_per_day for one in proven), Decimal(0)),
    )
