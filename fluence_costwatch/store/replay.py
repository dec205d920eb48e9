"""Living through the kept snapshots once more, in the order in which they were stored, and what happened between them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby

from sqlalchemy import Connection, select

from fluence_costwatch.core.billing.history import Charge, History, Presence, Reason, Step
from fluence_costwatch.core.billing.ledger import adjust, remember, retire
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.store.checkpoints import load_checkpoints
from fluence_costwatch.store.rows import charge_of
from fluence_costwatch.store.schema import adjustments, lists, retirements
from fluence_costwatch.store.snapshots import stream_snapshots

ChargeKey = tuple[Identity, datetime, Reason]


@dataclass(slots=True)
class Replay:
    """What replaying gives: the histories by account and the rows of the ledger that it made.

    `disputed` says where a list is believed now that was not then, or the other way round; `retired` and `adjusted` are
    the last retirement and the last adjustment that were lived through.
    """

    histories: dict[str, History]
    charges: dict[ChargeKey, Charge] = field(default_factory=dict)
    disputed: list[str] = field(default_factory=list)
    retired: int = 0
    adjusted: int = 0


@dataclass(frozen=True, slots=True)
class _Event:
    """A retirement, or the adjustments made at once: what it does to an account, and its place among all others.

    `place` is the snapshot that it came after, the number of retirements since, and its key. `retired` or `adjusted` is
    that key.
    """

    place: tuple[int, int, int]
    account: str
    change: Callable[[History], Step]
    retired: int = 0
    adjusted: int = 0


def key_of(charge: Charge) -> ChargeKey:
    """What a row of the ledger is known by."""
    return charge.identity, charge.span.start, charge.reason


def replay(connection: Connection, *, below: int | None = None) -> Replay:
    """Replay the kept snapshots (those from number `below` on left out), the retirements and adjustments between them.

    It starts from the checkpoints, or from nothing where no snapshot was ever pruned.
    """
    replayed = Replay(load_checkpoints(connection))
    events = deque(sorted([*_retirements(connection), *_adjustments(connection)], key=lambda one: one.place))
    for kept in stream_snapshots(connection, below=below):
        _live_through(replayed, events, below=kept.number)
        account = kept.snapshot.account
        step = remember(
            _history(replayed, account),
            kept.snapshot,
            claimed_elsewhere=_claims_of_others(replayed.histories, account),
            deleted_by_us=kept.deleted_by_us,
        )
        if step.verdict is not kept.verdict:
            replayed.disputed.append(f"snapshot {kept.number} was {kept.verdict}, replaying finds it {step.verdict}")
        _keep(replayed, step)
    _live_through(replayed, events, below=below)
    return replayed


def _retirements(connection: Connection) -> Iterator[_Event]:
    rows = (
        select(retirements, lists.c.account, lists.c.generation)
        .join_from(retirements, lists)
        .order_by(retirements.c.pk)
    )
    before: Counter[int] = Counter()
    for row in connection.execute(rows):
        before[row.after_snapshot] += 1
        yield _Event(
            place=(row.after_snapshot, before[row.after_snapshot], 0),
            account=row.account,
            change=partial(retire, generation=row.generation),
            retired=row.pk,
        )


def _adjustments(connection: Connection) -> Iterator[_Event]:
    rows = select(adjustments).where(adjustments.c.in_checkpoint.is_(False)).order_by(adjustments.c.pk)
    at_once = groupby(
        connection.execute(rows), key=lambda row: (row.after_snapshot, row.after_retirements, row.account)
    )
    for (after_snapshot, after_retirements, account), group in at_once:
        made = list(group)
        yield _Event(
            place=(after_snapshot, after_retirements, made[-1].pk),
            account=account,
            change=partial(adjust, adjustments=[charge_of(row, Identity(account, row.resource_id)) for row in made]),
            adjusted=made[-1].pk,
        )


def _live_through(replayed: Replay, events: deque[_Event], *, below: int | None) -> None:
    while events and (below is None or events[0].place[0] < below):
        event = events.popleft()
        _keep(replayed, event.change(_history(replayed, event.account)))
        replayed.retired = max(replayed.retired, event.retired)
        replayed.adjusted = max(replayed.adjusted, event.adjusted)


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
