"""The story of a reconciliation: fetch the provider's numbers, keep them, hold the ledger against them, mend it if told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from fluence_costwatch.core.billing.history import Charge, Reason
from fluence_costwatch.core.billing.ledger import adjust
from fluence_costwatch.core.billing.reconciliation import (
    Against,
    BalanceAt,
    Believed,
    Comparison,
    against_balance,
    against_charges,
    against_totals,
    settled_days,
)
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.ports import BalanceRecord, Billing, Reading, ResourceRecord, Store

# How far back the hourly job looks: a month and what the provider's charges may lag.
WINDOW: Final = timedelta(days=35)
BALANCE_WINDOW: Final = timedelta(days=1)

WHY_OUTDATED: Final = (
    "the provider's charges cannot be had now, and those of before may have been of a day not yet over"
)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What one reconciliation of one account found; `skipped` says in words what could not be compared.

    `adjustments` are the rows that would mend the ledger as it was compared: written twice, the second is refused.
    """

    account: str
    comparisons: tuple[Comparison, ...]
    adjustments: tuple[Charge, ...] = ()
    skipped: tuple[str, ...] = ()


def fetch_charges(account: str, billing: Billing, store: Store, *, now: datetime, window: timedelta = WINDOW) -> None:
    """Keep what the provider says it charged over `window`. Raises FluenceError."""
    since, until = (now - window).date(), now.date()
    charges = billing.charges(since=since, until=until)
    with store.transaction() as tx:
        tx.save_reported_charges(account, charges, since=since, until=until, at=now)


def fetch_top_ups(account: str, billing: Billing, store: Store) -> None:
    """Keep what was topped up. Raises FluenceError."""
    top_ups = billing.top_ups()
    with store.transaction() as tx:
        tx.save_top_ups(account, top_ups)


def reconcile(
    account: str, *, billing: Billing | None, store: Store, now: datetime, window: timedelta = WINDOW
) -> Reconciliation:
    """Hold the ledger of `account` against all numbers of the provider that can be had. Changes nothing in the ledger.

    What was kept of numbers that cannot be had now mends nothing: it may be of a day that was not over then.
    """
    skipped, outdated = [], set()
    if billing is not None:
        try:
            fetch_charges(account, billing, store, now=now, window=window)
        except FluenceError as exc:
            skipped.append(f"the provider's charges: {exc}")
            outdated.add(Against.CHARGES)
        try:
            fetch_top_ups(account, billing, store)
        except FluenceError as exc:
            skipped.append(f"what came in: {exc}")
    with store.reading() as reading:
        compared = compare(account, reading, now=now, window=window)
        found = tuple(
            replace(one, believed=Believed.NEITHER, because=WHY_OUTDATED) if one.against in outdated else one
            for one in compared
        )
        rows = [record.charge for record in reading.charges(account=account)]
    return Reconciliation(account, found, adjustments_of(found, rows), tuple(skipped))


def compare(account: str, reading: Reading, *, now: datetime, window: timedelta = WINDOW) -> Iterator[Comparison]:
    """The ledger of `account` beside what is kept of the provider's numbers."""
    records = [record for record in reading.resources() if record.state.identity.account == account]
    rows = [record.charge for record in reading.charges(account=account)]
    yield from against_totals(records, begun=_begun(rows))
    yield from _charges(account, reading, records, rows, now=now, window=window)
    yield from _balance(account, reading, records, rows, now=now)


def _begun(rows: Iterable[Charge]) -> Mapping[Identity, datetime]:
    begun: dict[Identity, datetime] = {}
    for row in rows:
        begun[row.identity] = min(begun.get(row.identity, row.span.start), row.span.start)
    return begun


def _charges(
    account: str,
    reading: Reading,
    records: Sequence[ResourceRecord],
    rows: Iterable[Charge],
    *,
    now: datetime,
    window: timedelta,
) -> Iterator[Comparison]:
    watched_since = min(
        (record.state.first_seen for record in records if record.state.generation is Generation.CLOUD_V2), default=None
    )
    if watched_since is None:
        return
    days = settled_days(since=max(watched_since, now - window), now=now)
    if not days:
        return
    reported = reading.reported_charges(account=account, since=days[0], until=days[-1])
    if reported:
        yield from against_charges(account, records, rows, reported, days=days)


def _balance(
    account: str, reading: Reading, records: Sequence[ResourceRecord], rows: Iterable[Charge], *, now: datetime
) -> Iterator[Comparison]:
    known = reading.balances(account=account, since=now - BALANCE_WINDOW)
    if len(known) < 2:
        return
    first, last = _noted(known[0]), _noted(known[-1])
    came_in = sum(
        (
            top_up.amount
            for top_up in reading.top_ups(account=account, since=first.at)
            if first.at < top_up.at <= last.at
        ),
        Decimal(0),
    )
    yield against_balance(account, first, last, came_in=came_in, records=records, rows=rows)


def _noted(record: BalanceRecord) -> BalanceAt:
    return BalanceAt(record.at, sum((entry.balance for entry in record.entries), Decimal(0)))


def adjustments_of(comparisons: Iterable[Comparison], rows: Iterable[Charge]) -> tuple[Charge, ...]:
    """The rows that would make the ledger equal to the provider's numbers, where the provider is believed.

    Each has a start of its own, a microsecond after one that is there already, because a closed row never changes.
    """
    taken: dict[Identity, set[datetime]] = defaultdict(set)
    for row in rows:
        if row.reason is Reason.RECONCILED:
            taken[row.identity].add(row.span.start)
    adjustments = []
    for wanted in filter(None, (comparison.adjustment() for comparison in comparisons)):
        start = wanted.span.start
        while start in taken[wanted.identity]:
            start += timedelta(microseconds=1)
        taken[wanted.identity].add(start)
        adjustments.append(replace(wanted, span=Span(start, max(start, wanted.span.end))))
    return tuple(adjustments)


def apply_adjustments(
    account: str, adjustments: Iterable[Charge], *, store: Store, now: datetime
) -> tuple[Charge, ...]:
    """Write `adjustments` into the ledger of `account`; returns the rows that were written."""
    with store.transaction() as tx:
        before = tx.history(account)
        step = adjust(before, adjustments)
        tx.save_adjustments(account, step.charges, at=now)
        tx.save_step(before, step)
    return step.charges
