"""Whether the ledger that was kept while running is the one that the kept snapshots give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields

from sqlalchemy import Connection, select

from fluence_costwatch.core.billing.history import Charge, History, ListState, ResourceState
from fluence_costwatch.core.billing.ledger import charged_total
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.store.checkpoints import load_checkpoints
from fluence_costwatch.store.histories import load_history
from fluence_costwatch.store.replay import Replay, key_of, replay
from fluence_costwatch.store.rows import charge_of
from fluence_costwatch.store.schema import accounts, charges, resources


def differences(connection: Connection) -> Sequence[str]:
    """How what is stored differs from what replaying gives, one sentence each; empty when it does not.

    Rows from before the checkpoints are taken as they are; only the sums hold them to account.
    """
    replayed = replay(connection)
    found = list(replayed.disputed)
    for account in connection.scalars(select(accounts.c.name).order_by(accounts.c.name)).all():
        found += _history_differs(load_history(connection, account), _again(replayed, account))
    found += _ledger_differs(connection, replayed)
    return found


def _again(replayed: Replay, account: str) -> History:
    return replayed.histories.get(account) or History(account)


def _ledger_differs(connection: Connection, replayed: Replay) -> Iterator[str]:
    taken = {
        state.identity for history in load_checkpoints(connection).values() for state in history.resources.values()
    }
    missing = dict(replayed.charges)
    sums: Counter[Identity] = Counter()
    for charge in _ledger(connection):
        sums[charge.identity] += charge.amount.micros
        again = missing.pop(key_of(charge), None)
        if again is None and charge.identity not in taken:
            yield f"{_named(charge)} is kept, replaying does not give it"
        elif again is not None and again != charge:
            yield f"{_named(charge)} is kept as {_told(charge)}, replaying gives {_told(again)}"
    for charge in missing.values():
        yield f"{_named(charge)} is not kept, replaying gives it"
    states = {state.identity: state for history in replayed.histories.values() for state in history.resources.values()}
    for identity in sorted({*sums, *states}):
        should_be = charged_total(states[identity]) if identity in states else ZERO
        if Usd(sums[identity]) != should_be:
            yield f"{identity.account} {identity.id}: its rows sum to {Usd(sums[identity])} USD, replaying gives {should_be} USD"


def _ledger(connection: Connection) -> Iterator[Charge]:
    rows = select(charges, resources.c.account, resources.c.id).join_from(charges, resources)
    for row in connection.execute(rows.execution_options(yield_per=1000)):
        yield charge_of(row, Identity(row.account, row.id))


def _history_differs(kept: History, again: History) -> Iterator[str]:
    account = kept.account
    if kept.has_past != again.has_past:
        yield f"{account}: has_past is kept as {kept.has_past}, replaying gives {again.has_past}"
    for generation in sorted({*kept.lists, *again.lists}):
        yield from _fields_differ(f"{account} {generation}", kept.lists.get(generation), again.lists.get(generation))
    for id_ in sorted({*kept.resources, *again.resources}):
        yield from _fields_differ(f"{account} {id_}", kept.resources.get(id_), again.resources.get(id_))


def _fields_differ(
    subject: str, kept: ListState | ResourceState | None, again: ListState | ResourceState | None
) -> Iterator[str]:
    if kept is None or again is None:
        if kept is not again:
            yield f"{subject} is {'known' if kept else 'not known'}, after replaying it is {'known' if again else 'not'}"
        return
    for one in fields(kept):
        was, is_now = getattr(kept, one.name), getattr(again, one.name)
        if was != is_now:
            yield f"{subject}: {one.name} is kept as {was}, replaying gives {is_now}"


def _named(charge: Charge) -> str:
    return f"{charge.identity.account} {charge.identity.id}: the {charge.reason} row that starts {charge.span.start:%Y-%m-%dT%H:%M:%SZ}"


def _told(charge: Charge) -> str:
    closed = "closed" if charge.closed else "open"
    return f"{charge.amount} USD until {charge.span.end:%Y-%m-%dT%H:%M:%SZ} ({charge.basis}, {closed})"
