"""What the store would know, made from one line per fact, for the tests of everything that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from fluence_costwatch.core.billing.history import Basis, Charge, ResourceState, Snapshot, Verdict
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind, Per, Resource
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount
from fluence_costwatch.errors import UnknownName
from fluence_costwatch.ports import (
    AccountRecord,
    BalanceEntry,
    BalanceRecord,
    ChargeRecord,
    CycleRecord,
    ReportedCharge,
    ResourceRecord,
    TopUp,
)

DAY = timedelta(days=1)


def at(text: str) -> datetime:
    """ "2026-03-01 17:55" in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = at("2026-03-03 12:00")


@dataclass(frozen=True, slots=True)
class Facts:
    """A Reading that holds what it is given."""

    records: tuple[ResourceRecord, ...] = ()
    rows: tuple[ChargeRecord, ...] = ()
    looks: tuple[AccountRecord, ...] = ()
    left: tuple[BalanceRecord, ...] = ()
    came_in: tuple[TopUp, ...] = ()

    def accounts(self) -> Sequence[AccountRecord]:
        return self.looks

    def resources(self, *, gone: bool = True) -> Sequence[ResourceRecord]:
        return [record for record in self.records if gone or record.state.presence.value != "gone"]

    def charges(
        self, *, since: datetime | None = None, until: datetime | None = None, account: str | None = None
    ) -> Iterable[ChargeRecord]:
        for row in self.rows:
            start = row.charge.span.start
            inside = (since is None or since <= start) and (until is None or start < until)
            if inside and account in (None, row.charge.identity.account):
                yield row

    def balances(self, *, account: str, since: datetime) -> Sequence[BalanceRecord]:
        return [record for record in self.left if record.account == account and record.at >= since]

    def top_ups(self, *, account: str, since: datetime) -> Sequence[TopUp]:
        return [top_up for top_up in self.came_in if top_up.at >= since]

    def reported_charges(self, *, account: str, since: date, until: date) -> Sequence[ReportedCharge]:
        return ()

    def newest_balances(self) -> Mapping[str, BalanceRecord]:
        return {record.account: record for record in self.left}

    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
        spent: dict[Identity, Usd] = {}
        for row in self.charges(since=since, until=until):
            spent[row.charge.identity] = spent.get(row.charge.identity, Usd(0)) + row.charge.amount
        return spent

    def straddling(self, moment: datetime) -> Sequence[ChargeRecord]:
        by_time = {record.state.identity for record in self.records if is_metered(record.state.generation)}
        return [
            row
            for row in self.rows
            if row.charge.identity in by_time and row.charge.span.start < moment < row.charge.span.end
        ]

    def snapshot(self, number: int) -> Snapshot:
        raise UnknownName(f"there is no snapshot {number}")

    def snapshots(self) -> Iterable[tuple[int, Snapshot, Verdict]]:
        return ()


def known_resource(
    id: str = "0xa1",
    *,
    account: str = "main",
    name: str | None = "web",
    status: str = "Active",
    price: str | None = "0.298160",
    start: str = "2026-03-02 17:55",
    length: timedelta = DAY,
    charged: str = "0.596320",
    generation: Generation = Generation.VMS_V3,
    billed: bool = True,
    kind: Kind = Kind.VM,
    last_seen: str = "2026-03-03 11:55",
    of_resource: Mapping[str, Any] | None = None,
    **of_state: Any,
) -> ResourceRecord:
    """A resource that pays `price` for epochs of `length`, in the one that began at `start`; by the hour on `cloud-v2`."""
    dollars = None if price is None else Decimal(price)
    resource = Resource(
        account=account,
        id=id,
        kind=kind,
        generation=generation,
        name=name,
        status=status,
        price=dollars,
        **({"price_per": Per.HOUR if generation is Generation.CLOUD_V2 else Per.EPOCH} | dict(of_resource or {})),
    )
    facts: dict[str, Any] = {
        "created_at": None,
        "first_seen": at("2026-03-01 12:00"),
        "grid": EpochGrid(length=length),
        "epoch": Span(at(start), at(start) + length),
        "charged": Usd.parse(charged),
        "billed": billed,
    } | of_state
    state = ResourceState(
        identity=Identity(account, id.lower()),
        kind=kind,
        generation=generation,
        status=status,
        price=dollars,
        **facts,
    )
    return ResourceRecord(resource, state, last_seen=at(last_seen))


def known_charge(
    start: str,
    amount: str = "0.298160",
    *,
    id: str = "0xa1",
    account: str = "main",
    name: str | None = "web",
    kind: str = "vm",
    length: timedelta = DAY,
    basis: Basis = Basis.OBSERVED,
) -> ChargeRecord:
    """One row of the ledger."""
    span = Span(at(start), at(start) + length)
    return ChargeRecord(Charge(Identity(account, id), span, Usd.parse(amount), basis, closed=True), name, kind)


def metered(
    id: str = "vm-1", *, kind: Kind = Kind.VM, price: str | None = "0.5", status: str = "launched", **facts: Any
) -> ResourceRecord:
    """A `cloud-v2` resource at an hourly price, nothing of it written yet."""
    plain = {"charged": "0", "generation": Generation.CLOUD_V2} | facts
    return known_resource(id, kind=kind, price=price, status=status, **plain)


def known_balance(
    account: str = "main", *, since: str = "2026-03-03 11:00", at_: str = "2026-03-03 11:55", **features: str
) -> BalanceRecord:
    """What was left on an account, by feature."""
    entries = tuple(BalanceEntry(feature, Decimal(balance)) for feature, balance in features.items())
    return BalanceRecord(account, at(since), at(at_), entries)


def known_account(
    account: str = "main",
    *,
    last_success: str | None = "2026-03-03 11:55",
    outcome: str = "ok",
    detail: str = "",
    generation: Generation = Generation.VMS_V3,
) -> AccountRecord:
    """How the last look at an account of one generation went."""
    look = CycleRecord(account, generation, at("2026-03-03 11:55"), at("2026-03-03 11:56"), outcome, detail)
    return AccountRecord(account, {generation: None if last_success is None else at(last_success)}, {generation: look})


def watched(
    *accounts: str,
    generations: tuple[Generation, ...] = (Generation.VMS_V3,),
    patience: timedelta = timedelta(minutes=15),
    zone: tzinfo = UTC,
) -> Watched:
    """What is configured; one account "main" unless others are named."""
    return Watched(tuple(WatchedAccount(account, generations) for account in accounts or ("main",)), patience, zone)
