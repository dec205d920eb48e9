"""What was spent over any stretch of time, what will be charged next, and the rows of an export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from fluence_costwatch.core.billing.history import Basis, Charge, ResourceState
from fluence_costwatch.core.billing.ledger import doubts_of, is_at_least
from fluence_costwatch.core.billing.metering import open_charge
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.known import Known, KnownCharge, KnownResource
from fluence_costwatch.core.money import AmountInvalid, Usd, total
from fluence_costwatch.core.resources import Per
from fluence_costwatch.core.views.fleet import View, Watched, stale_accounts, vm_view


class By(StrEnum):
    """What the rows of a spend are sums over."""

    RESOURCE = "resource"
    ACCOUNT = "account"
    EPOCH = "epoch"
    DAY = "day"
    KIND = "kind"


@dataclass(frozen=True, slots=True)
class SpendRow:
    """A sum. `key` is an id, an account, a date or a kind; for an epoch it is its start, which is also `starts`."""

    key: str
    name: str | None
    amount: Usd
    starts: datetime | None = None


@dataclass(frozen=True, slots=True)
class SpendView(View):
    """All charges whose span starts in `[since, until)`; `total` is the sum of `rows`.

    The bill may hold up to `uncertain` more. `at_least` is true where epochs of this stretch have no known price.
    """

    since: datetime
    until: datetime
    by: By
    rows: tuple[SpendRow, ...]
    total: Usd
    uncertain: Usd
    at_least: bool


@dataclass(frozen=True, slots=True)
class DueCharge:
    """A charge that falls due if nothing changes."""

    at: datetime
    account: str
    resource_id: str
    name: str | None
    amount: Usd


@dataclass(frozen=True, slots=True)
class CalendarView(View):
    """The charges that fall due in `[as_of, until)`, in the order of time; `unpriced` are resources without a price."""

    until: datetime
    charges: tuple[DueCharge, ...]
    unpriced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One row of the ledger, as it leaves the house."""

    account: str
    resource_id: str
    resource_name: str | None
    kind: str
    epoch_start: datetime
    epoch_end: datetime
    amount: Usd
    basis: Basis


def spend_view(
    known: Known,
    *,
    watched: Watched,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    by: By = By.RESOURCE,
    account: str | None = None,
) -> SpendView:
    """What was spent in `[since, until)`, by default in all history."""
    resources = _of_account(known.resources(), account)
    grids = {each.account: each.grid for each in watched.accounts}
    states = {record.state.identity: record.state for record in resources}
    rows: dict[tuple[str, ...], SpendRow] = {}
    first: datetime | None = None
    for record in _charges(known, resources, since=since, until=until, account=account):
        start = record.charge.span.start
        first = start if first is None else min(first, start)
        state = states.get(record.charge.identity)
        grid = grids.get(record.charge.identity.account) or (state.grid if state is not None else EpochGrid())
        group, row = _row_for(record, by=by, grid=grid, zone=watched.zone)
        so_far = rows.get(group)
        rows[group] = row if so_far is None else _plus(so_far, row.amount)
    doubts = [
        doubt
        for each in resources
        for doubt in doubts_of(each.state, now=now, seen=each.last_seen)
        if _within(doubt.span.start, since=since, until=until)
    ]
    start_of_all = min([doubt.span.start for doubt in doubts] + ([first] if first is not None else []), default=now)
    return SpendView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        since=start_of_all if since is None else since,
        until=now if until is None else until,
        by=by,
        rows=tuple(_sorted(rows, by=by)),
        total=total(row.amount for row in rows.values()),
        uncertain=total(doubt.amount for doubt in doubts if doubt.amount is not None),
        at_least=any(_lacks_a_price(state, since=since, until=until) for state in states.values()),
    )


def calendar_view(known: Known, *, watched: Watched, now: datetime, days: int) -> CalendarView:
    """Every charge that falls due in `[now, now + days)` if nothing changes."""
    until = now + timedelta(days=days)
    billed = [record for record in known.resources(gone=False) if vm_view(record, now=now).billed]
    return CalendarView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        until=until,
        charges=tuple(
            sorted(
                (charge for record in billed for charge in _due(record, window=Span(now, until))),
                key=lambda due: (due.at, due.account, due.resource_id),
            )
        ),
        unpriced=tuple(record.state.identity.id for record in billed if record.state.price is None),
    )


def export_rows(
    known: Known, *, since: datetime | None = None, until: datetime | None = None, account: str | None = None
) -> Iterator[ExportRow]:
    """The rows of the ledger whose span starts in `[since, until)`, oldest first, then the open rows of what is metered."""
    for record in _charges(known, _of_account(known.resources(), account), since=since, until=until, account=account):
        charge = record.charge
        yield ExportRow(
            account=charge.identity.account,
            resource_id=charge.identity.id,
            resource_name=record.name,
            kind=record.kind,
            epoch_start=charge.span.start,
            epoch_end=charge.span.end,
            amount=charge.amount,
            basis=charge.basis,
        )


@dataclass(frozen=True, slots=True)
class _OpenCharge:
    """The open row of a metered resource, as a row of the ledger."""

    charge: Charge
    name: str | None
    kind: str


def _charges(
    known: Known,
    resources: Iterable[KnownResource],
    *,
    since: datetime | None,
    until: datetime | None,
    account: str | None,
) -> Iterator[KnownCharge]:
    """The rows that are written, oldest first, then those that are open and computed now."""
    yield from known.charges(since=since, until=until, account=account)
    for record in resources:
        charge = open_charge(record.state, seen=record.last_seen)
        if charge is not None and _within(charge.span.start, since=since, until=until):
            yield _OpenCharge(charge, record.resource.name, record.state.kind.value)


def _of_account(resources: Sequence[KnownResource], account: str | None) -> Sequence[KnownResource]:
    return [record for record in resources if account is None or record.state.identity.account == account]


def _within(moment: datetime, *, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or since <= moment) and (until is None or moment < until)


def _lacks_a_price(state: ResourceState, *, since: datetime | None, until: datetime | None) -> bool:
    if since is None and until is None:
        return is_at_least(state)
    unknown = [*state.unpriced, *(doubt.span for doubt in state.doubts if doubt.amount is None)]
    return any(_within(span.start, since=since, until=until) for span in unknown)


def _row_for(record: KnownCharge, *, by: By, grid: EpochGrid, zone: tzinfo) -> tuple[tuple[str, ...], SpendRow]:
    charge = record.charge
    account = charge.identity.account
    if by is By.RESOURCE:
        return (account, charge.identity.id), SpendRow(charge.identity.id, record.name, charge.amount)
    if by is By.EPOCH:
        start = grid.at_or_before(charge.span.start)
        return (start.isoformat(),), SpendRow(start.isoformat(), None, charge.amount, starts=start)
    if by is By.DAY:
        key = charge.span.start.astimezone(zone).date().isoformat()
    elif by is By.ACCOUNT:
        key = account
    else:
        key = record.kind
    return (key,), SpendRow(key, key, charge.amount)


def _plus(row: SpendRow, amount: Usd) -> SpendRow:
    return SpendRow(row.key, row.name, row.amount + amount, starts=row.starts)


def _sorted(rows: Mapping[tuple[str, ...], SpendRow], *, by: By) -> Iterable[SpendRow]:
    if by in (By.EPOCH, By.DAY):
        return [row for _, row in sorted(rows.items(), key=lambda item: item[0])]
    return [row for _, row in sorted(rows.items(), key=lambda item: (-item[1].amount.micros, item[0]))]


def _due(record: KnownResource, *, window: Span) -> Iterator[DueCharge]:
    state = record.state
    if state.price is None or state.epoch is None or record.resource.price_per is not Per.EPOCH:
        return
    try:
        amount = Usd.exactly(state.price)
    except AmountInvalid:  # a prepaid price is a whole number of micro-dollars, or it is not known
        return
    length = state.grid.length
    # A boundary that passed unseen is not announced; the ones after it are.
    missed = max(0, -((state.epoch.end - window.start) // length))
    at = state.epoch.end + missed * length
    while at < window.end:
        yield DueCharge(at, state.identity.account, state.identity.id, record.resource.name, amount)
        at += length
