"""The ledger: from one snapshot to the next, what every resource is charged (`design.md` 3.1).

`remember` is the only way in which history changes, so that replaying the same snapshots gives the same ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fluence_costwatch.core.history import Doubt, History, ResourceState, Snapshot, Step
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation


def remember(
    history: History,
    snapshot: Snapshot,
    *,
    claimed_elsewhere: Mapping[str, str],
    deleted_by_us: frozenset[str] = frozenset(),
) -> Step:
    """What `snapshot` makes of `history`: who is there, what was charged, what is uncertain, what to tell."""
    raise NotImplementedError


def retire(history: History, generation: Generation, *, at: datetime) -> Step:
    """`history` after `generation` was taken out of the configuration: its open epochs close, nothing more is charged."""
    raise NotImplementedError


def charged_total(state: ResourceState) -> Usd:
    """All that the resource has been charged: closed rows, the open epoch and a pending adjustment."""
    raise NotImplementedError


def doubts_of(state: ResourceState, *, now: datetime) -> tuple[Doubt, ...]:
    """Every present doubt by `now`, epochs that began unseen and an unconfirmed total included; oldest first."""
    raise NotImplementedError


def uncertain_total(state: ResourceState, *, now: datetime) -> Usd:
    """All that the bill may hold on top of the total by `now`, epochs that began unseen included."""
    raise NotImplementedError


def is_at_least(state: ResourceState) -> bool:
    """Whether the total lacks epochs whose price is not known, so that it can only be given as "at least"."""
    raise NotImplementedError
