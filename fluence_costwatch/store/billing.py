"""The provider's own numbers: what is left on an account, what came in, and what it charged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.ports import BalanceEntry, BalanceRecord, ReportedCharge, TopUp
from fluence_costwatch.store.rows import Row
from fluence_costwatch.store.schema import balances, reported_charges, top_ups
from fluence_costwatch.store.types import compact


def note_balances(connection: Connection, account: str, entries: tuple[BalanceEntry, ...], *, at: datetime) -> None:
    """Add what was left on `account` at `at`, or move the newest note there if it says the same, in whatever order."""
    newest = connection.execute(
        select(balances).where(balances.c.account == account).order_by(balances.c.pk.desc()).limit(1)
    ).one_or_none()
    if newest is None or Counter(_entries_of(newest.entries)) != Counter(entries):
        connection.execute(
            insert(balances).values(account=account, since=at, at=at, entries=_entries_text(entries)),
        )
    elif newest.at < at:
        connection.execute(update(balances).where(balances.c.pk == newest.pk).values(at=at))


def note_top_ups(connection: Connection, account: str, came_in: Iterable[TopUp]) -> None:
    """Add those that are not known yet; what is told anew of a known one replaces what was."""
    rows = [{"account": account, "id": one.id, "at": one.at, "amount": one.amount} for one in came_in]
    if not rows:
        return
    statement = insert(top_ups)
    told, known = statement.excluded, top_ups.c
    statement = statement.on_conflict_do_update(
        index_elements=["account", "id"],
        set_={"at": told.at, "amount": told.amount},
        where=tuple_(known.at, known.amount).is_distinct_from(tuple_(told.at, told.amount)),
    )
    connection.execute(statement, rows)


def note_reported_charges(
    connection: Connection,
    account: str,
    told: Iterable[ReportedCharge],
    *,
    since: date,
    until: date,
    at: datetime,
) -> None:
    """Make `told` all that is known of the days from `since` to `until`, both included; what it says of other days is
    left out. Only differences are written."""
    missing = Counter(one for one in told if since <= one.day <= until)
    outdated = []
    for row in connection.execute(_of_days(account, since, until)):
        known = _reported_charge(row)
        if missing[known]:
            missing[known] -= 1
        else:
            outdated.append({"outdated": row.pk})
    if outdated:
        connection.execute(delete(reported_charges).where(reported_charges.c.pk == bindparam("outdated")), outdated)
    new = [
        {
            "account": account,
            "day": one.day,
            "resource_id": one.resource_id,
            "kind": one.kind,
            "name": one.name,
            "cost": one.cost,
            "noted_at": at,
        }
        for one in missing.elements()
    ]
    if new:
        connection.execute(insert(reported_charges), new)


def load_balances(connection: Connection, account: str, *, since: datetime) -> Sequence[BalanceRecord]:
    """The balances of `account` that were noted from `since` on, oldest first."""
    noted = select(balances).where(balances.c.account == account, balances.c.at >= since).order_by(balances.c.pk)
    return [_balance(row) for row in connection.execute(noted)]


def load_newest_balances(connection: Connection) -> Mapping[str, BalanceRecord]:
    """The newest balance of every account that has one."""
    newest = select(func.max(balances.c.pk)).group_by(balances.c.account)
    noted = select(balances).where(balances.c.pk.in_(newest)).order_by(balances.c.account)
    return {row.account: _balance(row) for row in connection.execute(noted)}


def load_top_ups(connection: Connection, account: str, *, since: datetime) -> Sequence[TopUp]:
    """The top-ups of `account` from `since` on, oldest first."""
    came_in = (
        select(top_ups).where(top_ups.c.account == account, top_ups.c.at >= since).order_by(top_ups.c.at, top_ups.c.id)
    )
    return [TopUp(row.id, row.at, row.amount) for row in connection.execute(came_in)]


def load_reported_charges(
    connection: Connection, account: str, *, since: date, until: date
) -> Sequence[ReportedCharge]:
    """What the provider charged `account` from day `since` to day `until`, both included, by day and resource."""
    return [_reported_charge(row) for row in connection.execute(_of_days(account, since, until))]


def _of_days(account: str, since: date, until: date) -> Select[Any]:
    known = reported_charges.c
    return (
        select(reported_charges)
        .where(known.account == account, known.day >= since, known.day <= until)
        .order_by(known.day, known.resource_id, known.pk)
    )


def _reported_charge(row: Row) -> ReportedCharge:
    return ReportedCharge(row.resource_id, row.name, row.kind, row.day, row.cost)


def _balance(row: Row) -> BalanceRecord:
    return BalanceRecord(row.account, row.since, row.at, _entries_of(row.entries))


def _entries_text(entries: Iterable[BalanceEntry]) -> str:
    return compact([[one.feature, str(one.balance), one.days_left] for one in entries])


def _entries_of(text: str) -> tuple[BalanceEntry, ...]:
    return tuple(BalanceEntry(feature, Decimal(balance), days_left) for feature, balance, days_left in json.loads(text))
