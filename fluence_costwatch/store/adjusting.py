"""Adjustments: rows that an operator had added to the ledger, noted so that a replay adds them at the same place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.core.billing.history import Charge, Reason, Step
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.errors import StoreError
from fluence_costwatch.store.rows import Row, charge_of, charge_values
from fluence_costwatch.store.schema import adjustments, charges, resources, retirements, snapshots, states


def newest_snapshot(connection: Connection) -> int:
    """The number of the newest snapshot; 0 for none."""
    return connection.scalar(select(func.max(snapshots.c.number))) or 0


def note_adjustments(connection: Connection, account: str, rows: Iterable[Charge], *, at: datetime) -> None:
    """Note `rows` as added to the ledger of `account` after all that is stored so far."""
    newest = newest_snapshot(connection)
    retired_since = connection.scalar(select(func.count()).where(retirements.c.after_snapshot == newest))
    noted = [
        {
            "account": account,
            "at": at,
            "after_snapshot": newest,
            "after_retirements": retired_since,
            "in_checkpoint": False,
            "resource_id": row.identity.id,
            **charge_values(row),
        }
        for row in rows
    ]
    if noted:
        connection.execute(insert(adjustments), noted)


def refuse_second_adjustments(connection: Connection, step: Step) -> None:
    """Raise StoreError where an adjustment of `step` would be taken for another one that is in the ledger already.

    A row is known by its resource, start and reason. The same step again is harmless, and passes: then the sum that is
    remembered is the one of the step.
    """
    met: set[tuple[Identity, datetime]] = set()
    for row in step.charges:
        if row.reason is not Reason.RECONCILED:
            continue
        key = (row.identity, row.span.start)
        kept = _kept(connection, row)
        if key in met or (kept is not None and not _is_again(kept, row, step)):
            raise StoreError(
                f"{row.identity.account} {row.identity.id} has an adjustment that starts "
                f"{row.span.start:%Y-%m-%dT%H:%M:%SZ} already. Another one needs a start of its own; nothing was written."
            )
        met.add(key)


def _kept(connection: Connection, row: Charge) -> Row | None:
    same_key = (
        select(charges, states.c.charged)
        .join_from(charges, resources)
        .join(states, states.c.resource == charges.c.resource, isouter=True)
        .where(
            resources.c.account == row.identity.account,
            resources.c.id == row.identity.id,
            charges.c.starts_at == row.span.start,
            charges.c.reason == row.reason,
        )
    )
    return connection.execute(same_key).one_or_none()


def _is_again(kept: Row, row: Charge, step: Step) -> bool:
    state = step.history.resources.get(row.identity.id)
    return charge_of(kept, row.identity) == row and kept.charged == (None if state is None else state.charged)
