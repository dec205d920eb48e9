"""Reading: what the displays, the command line and the exports ask of the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from fluence_costwatch.core.billing.history import Presence, Snapshot, Verdict
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.ports import (
    AccountRecord,
    BalanceRecord,
    ChargeRecord,
    CycleRecord,
    ReportedCharge,
    ResourceRecord,
    TopUp,
)
from fluence_costwatch.store.alerts import AlertReading
from fluence_costwatch.store.billing import (
    load_balances,
    load_newest_balances,
    load_reported_charges,
    load_top_ups,
)
from fluence_costwatch.store.deletions import DeletionReading
from fluence_costwatch.store.idle import IdleReading
from fluence_costwatch.store.keeping import KeepingReading
from fluence_costwatch.store.ledger_sums import load_spent, load_straddling
from fluence_costwatch.store.outbox import OutboxReading
from fluence_costwatch.store.remembered import STATE, VERSION, resource_from, state_from
from fluence_costwatch.store.rows import Row, charge_of, details_of
from fluence_costwatch.store.schema import (
    NOT_GONE,
    accounts,
    charges,
    cycles,
    details,
    lists,
    resources,
    states,
    versions,
)
from fluence_costwatch.store.snapshots import load_snapshot, stream_snapshots

_Subject = tuple[Identity, Kind, str | None]


class SqliteReading(AlertReading, OutboxReading, IdleReading, DeletionReading, KeepingReading):
    """One read transaction on an open connection (`ports.Reading`).

    It is of one instant, so resources are read once, however often they are asked for.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._resources: list[ResourceRecord] | None = None

    def accounts(self) -> Sequence[AccountRecord]:
        """Every account that was ever looked at, by name."""
        other = cycles.alias("other")
        newest = select(func.max(other.c.pk)).where(other.c.list == lists.c.pk).scalar_subquery()
        looks = (
            select(
                lists.c.account,
                lists.c.generation,
                lists.c.last_success,
                *(cycles.c[name] for name in ("started_at", "ended_at", "outcome", "detail", "snapshot")),
            )
            .join_from(lists, cycles, cycles.c.pk == newest, isouter=True)
            .order_by(lists.c.pk)
        )
        successes: dict[str, dict[Generation, datetime | None]] = defaultdict(dict)
        latest: dict[str, dict[Generation, CycleRecord]] = defaultdict(dict)
        for row in self.connection.execute(looks):
            successes[row.account][row.generation] = row.last_success
            if row.started_at is not None:
                latest[row.account][row.generation] = _cycle(row)
        names = self.connection.scalars(select(accounts.c.name).order_by(accounts.c.name))
        return [AccountRecord(name, successes[name], latest[name]) for name in names]

    def resources(self, *, gone: bool = True) -> Sequence[ResourceRecord]:
        """Every resource ever seen (without gone ones if not `gone`), by account and id."""
        if self._resources is None and not gone:
            return self._load_resources(_PRESENT)
        if self._resources is None:
            self._resources = self._load_resources(_EVERY)
        if gone:
            return self._resources
        return [record for record in self._resources if record.state.presence is not Presence.GONE]

    def forget(self) -> None:
        """What was read of resources may have been changed by this very transaction: read it anew when asked."""
        self._resources = None

    def _load_resources(self, wanted: Select[Any]) -> list[ResourceRecord]:
        found = [
            ResourceRecord(
                resource=resource_from(row[_UNTIL_VERSION:], account=row.account, generation=row.generation),
                state=state_from(row[_UNTIL_STATE:_UNTIL_VERSION], account=row.account, id=row.id),
                last_seen=row.last_seen or row.sent_at or row.first_seen,
            )
            for row in self.connection.execute(wanted)
        ]
        # Sorted here: asked to sort by account, SQLite would go through all resources.
        return sorted(found, key=lambda record: (record.state.identity.account, record.state.identity.id))

    def charges(
        self, *, since: datetime | None = None, until: datetime | None = None, account: str | None = None
    ) -> Iterator[ChargeRecord]:
        """The rows of the ledger whose span starts in `[since, until)`, oldest first."""
        rows = select(charges).order_by(charges.c.starts_at, charges.c.resource, charges.c.reason)
        if since is not None:
            rows = rows.where(charges.c.starts_at >= since)
        if until is not None:
            rows = rows.where(charges.c.starts_at < until)
        if account is not None:
            rows = rows.join_from(charges, resources).where(resources.c.account == account)
        subjects = self._subjects(account)
        for row in self.connection.execute(rows.execution_options(yield_per=1000)):
            yield _charge_record(row, subjects)

    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
        """The sum of the written rows of each resource whose span starts in `[since, until)`, without a loop over rows."""
        return load_spent(self.connection, since=since, until=until)

    def straddling(self, moment: datetime) -> Sequence[ChargeRecord]:
        """The written rows of metered resources whose span begins before and ends after `moment`."""
        rows = load_straddling(self.connection, moment)
        subjects = self._subjects(None) if rows else {}
        return [_charge_record(row, subjects) for row in rows]

    def balances(self, *, account: str, since: datetime) -> Sequence[BalanceRecord]:
        """The balances of `account` that were noted from `since` on, oldest first."""
        return load_balances(self.connection, account, since=since)

    def newest_balances(self) -> Mapping[str, BalanceRecord]:
        """The newest balance of every account that has one."""
        return load_newest_balances(self.connection)

    def top_ups(self, *, account: str, since: datetime) -> Sequence[TopUp]:
        """The top-ups of `account` from `since` on, oldest first."""
        return load_top_ups(self.connection, account, since=since)

    def reported_charges(self, *, account: str, since: date, until: date) -> Sequence[ReportedCharge]:
        """What the provider charged `account` from day `since` to day `until`, both included, as last noted, by day and
        resource."""
        return load_reported_charges(self.connection, account, since=since, until=until)

    def snapshot(self, number: int) -> Snapshot:
        """The snapshot of that number exactly as it was stored. Raises UnknownName."""
        return load_snapshot(self.connection, number)

    def snapshots(self) -> Iterator[tuple[int, Snapshot, Verdict]]:
        """Every kept snapshot in the order in which they were stored, with its number."""
        for kept in stream_snapshots(self.connection):
            yield kept.number, kept.snapshot, kept.verdict

    def _subjects(self, account: str | None) -> dict[int, _Subject]:
        """Who each resource is, with the kind and name that the newest list gave it."""
        known = select(states.c.resource, states.c.kind, resources.c.account, resources.c.id).join_from(
            states, resources
        )
        if account is not None:
            known = known.where(resources.c.account == account)
        names = {
            row.resource: details_of(row.content).name
            for row in self.connection.execute(_newest_versions(versions.c.resource, details.c.content))
        }
        return {
            row.resource: (Identity(row.account, row.id), row.kind, names.get(row.resource))
            for row in self.connection.execute(known)
        }


_STATE_IS_OF_LIST = and_(lists.c.account == resources.c.account, lists.c.generation == states.c.generation)


def _newest_versions(*columns: Any) -> Select[Any]:
    """`columns` of each resource as the newest list of its own generation showed it."""
    other = versions.alias("other")
    newest = (
        select(func.max(other.c.from_snapshot))
        .where(other.c.resource == states.c.resource, other.c.list == lists.c.pk)
        .scalar_subquery()
    )
    return (
        select(*columns)
        .join_from(states, resources)
        .join(lists, _STATE_IS_OF_LIST)
        .join(versions, and_(versions.c.resource == states.c.resource, versions.c.from_snapshot == newest))
        .join(details, details.c.pk == versions.c.details)
    )


_OF_RECORD = (
    *(resources.c[name] for name in ("account", "id")),
    *(states.c[name] for name in ("generation", "last_seen", "first_seen")),
    lists.c.sent_at,
)
_UNTIL_STATE = len(_OF_RECORD)
_UNTIL_VERSION = _UNTIL_STATE + len(STATE)
_EVERY = _newest_versions(*_OF_RECORD, *STATE, *VERSION)
_PRESENT = _EVERY.where(NOT_GONE)


def _charge_record(row: Row, subjects: Mapping[int, _Subject]) -> ChargeRecord:
    identity, kind, name = subjects[row.resource]
    return ChargeRecord(charge=charge_of(row, identity), name=name, kind=kind.value)


def _cycle(row: Row) -> CycleRecord:
    return CycleRecord(
        account=row.account,
        generation=row.generation,
        started_at=row.started_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        detail=row.detail,
        snapshot_id=row.snapshot,
    )
