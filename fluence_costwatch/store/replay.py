"""Living through the kept snapshots once more, in the order in which they were stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from fluence_costwatch.core.history import Charge, History, Presence, Reason, Step
from fluence_costwatch.core.ledger import remember, retire
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.store.checkpoints import load_checkpoints
from fluence_costwatch.store.rows import Row
from fluence_costwatch.store.schema import lists, retirements
from fluence_costwatch.store.snapshots import stream_snapshots

ChargeKey = tuple[Identity, datetime, Reason]


@dataclass(slots=True)
class Replay:
    """What replaying gives: the histories by account and the rows of the ledger that it made.

    `disputed` says where a list is believed now that was not then, or the other way round; `retired` is the last
    retirement that was lived through.
    """

    histories: dict[str, History]
    charges: dict[ChargeKey, Charge] = field(default_factory=dict)
    disputed: list[str] = field(default_factory=list)
    retired: int = 0


def key_of(charge: Charge) -> ChargeKey:
    """What a row of the ledger is known by."""
    return charge.identity, charge.span.start, charge.reason


def replay(connection: Connection, *, below: int | None = None) -> Replay:
    """Replay the kept snapshots (those from number `below` on left out) and the retirements between them.

    It starts from the checkpoints, or from nothing where no snapshot was ever pruned.
    """
    replayed = Replay(load_checkpoints(connection))
    ended = deque(connection.execute(_retirements()))
    for number, snapshot, verdict in stream_snapshots(connection, below=below):
        _retire(replayed, ended, below=number)
        step = remember(
            _history(replayed, snapshot.account),
            snapshot,
            claimed_elsewhere=_claims_of_others(replayed.histories, snapshot.account),
        )
        if step.verdict is not verdict:
            replayed.disputed.append(f"snapshot {number} was {verdict}, replaying finds it {step.verdict}")
        _keep(replayed, step)
    _retire(replayed, ended, below=below)
    return replayed


def _retirements() -> Select[Any]:
    return (
        select(retirements, lists.c.account, lists.c.generation)
        .join_from(retirements, lists)
        .order_by(retirements.c.pk)
    )


def _retire(replayed: Replay, ended: deque[Row], *, below: int | None) -> None:
    while ended and (below is None or ended[0].after_snapshot < below):
        row = ended.popleft()
        _keep(replayed, retire(_history(replayed, row.account), row.generation))
        replayed.retired = row.pk


def _history(replayed: Replay, account: str) -> History:
    return replayed.histories.get(account) or History(account)


def _keep(replayed: Replay, step: Step) -> None:
    replayed.histories[step.history.account] = step.history
    for charge in step.charges:
        replayed.charges[key_of(charge)] = charge


def _claims_of_others(histories: Mapping[str, History], account: str) -> Mapping[str, str]:
    """As `histories.claims_of_others`, from what was replayed so far."""
    return {
        id_: other
        for other in sorted(histories, reverse=True)
        if other != account
        for id_, state in histories[other].resources.items()
        if state.presence is not Presence.GONE and not state.retired and state.charged_under is None
    }
