"""What a window asks of the ledger, answered without reading it row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from fluence_costwatch.core.billing.history import Basis
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.store.rows import Row
from fluence_costwatch.store.schema import REPORTED, charges, resources, states

_METERED: Final = tuple(generation for generation in Generation if is_metered(generation))


def load_spent(connection: Connection, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
    """The sum of the rows of each resource whose span starts in `[since, until)`; without rows it is left out."""
    sums = select(charges.c.resource, func.sum(charges.c.amount).label("spent")).group_by(charges.c.resource)
    if since is not None:
        sums = sums.where(charges.c.starts_at >= since)
    if until is not None:
        sums = sums.where(charges.c.starts_at < until)
    summed = sums.subquery()
    named = select(resources.c.account, resources.c.id, summed.c.spent).join_from(
        summed, resources, resources.c.pk == summed.c.resource
    )
    return {Identity(row.account, row.id): row.spent for row in connection.execute(named)}


def load_straddling(connection: Connection, moment: datetime) -> Sequence[Row]:
    """The rows of metered resources whose span begins before and ends after `moment`.

    Rows that are not `reported` never overlap, so only the newest of a resource that begins before can end after.
    """
    earlier = charges.alias("earlier")
    newest = (
        select(earlier.c.starts_at)
        .where(
            earlier.c.resource == states.c.resource,
            earlier.c.starts_at < moment,
            earlier.c.ends_at > earlier.c.starts_at,
            earlier.c.basis != Basis.REPORTED,
        )
        .order_by(earlier.c.starts_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    metered = (
        select(charges)
        .join_from(states, charges, charges.c.resource == states.c.resource)
        .where(states.c.generation.in_(_METERED), charges.c.ends_at > moment)
    )
    found = connection.execute(metered.where(charges.c.starts_at == newest, charges.c.basis != Basis.REPORTED)).all()
    reported = connection.execute(metered.where(REPORTED, charges.c.starts_at < moment)).all()
    return sorted([*found, *reported], key=lambda row: (row.starts_at, row.resource, row.reason))
