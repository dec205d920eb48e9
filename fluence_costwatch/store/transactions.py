"""Writing: what one cycle, one retirement or one look at the provider's numbers leaves in the database.

Only differences are written, so that a cycle in which nothing changed costs a handful of rows however large the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from sqlalchemy import Connection, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects.sqlite import Insert, insert

from fluence_costwatch.core.billing.history import Charge, History, ListState, Snapshot, Step, Verdict
from fluence_costwatch.core.resources import Generation, Resource
from fluence_costwatch.ports import BalanceEntry, CycleRecord, ReportedCharge, TopUp
from fluence_costwatch.store.adjusting import newest_snapshot, note_adjustments, refuse_second_adjustments
from fluence_costwatch.store.alerts import AlertWriting
from fluence_costwatch.store.beside import CycleFile, cycles_of, set_cycles
from fluence_costwatch.store.billing import note_balances, note_reported_charges, note_top_ups
from fluence_costwatch.store.deletions import DeletionWriting
from fluence_costwatch.store.histories import claims_of_others, in_parts, load_history, with_listed
from fluence_costwatch.store.idle import IdleWriting
from fluence_costwatch.store.keeping import KeepingWriting
from fluence_costwatch.store.outbox import OutboxWriting
from fluence_costwatch.store.reading import SqliteReading
from fluence_costwatch.store.remembered import VERSION, resource_from
from fluence_costwatch.store.rows import (
    NO_LIST,
    charge_values,
    details_text,
    digest_of,
    judgement_text,
    list_values,
    state_values,
    version_values,
)
from fluence_costwatch.store.schema import (
    accounts,
    charges,
    cycles,
    details,
    judgements,
    listed,
    lists,
    resources,
    retirements,
    snapshots,
    states,
    versions,
)

SUCCESS = "ok"
"""The outcome of a cycle that brought a list which was believed."""


class SqliteTransaction(AlertWriting, OutboxWriting, IdleWriting, DeletionWriting, KeepingWriting):
    """One write transaction on an open connection (`ports.Transaction`).

    `counted` is how many cycles the database has counted once it is committed, where one was counted.
    """

    def __init__(self, connection: Connection, cycle_file: CycleFile) -> None:
        super().__init__(connection)
        self.counted: int | None = None
        self._cycle_file = cycle_file
        self._list_keys: dict[tuple[str, Generation], int] = {}
        self._resource_keys: dict[str, dict[str, int]] = {}
        self._reading = SqliteReading(connection)
        self._present: dict[str, History] = {}

    def reading(self) -> SqliteReading:
        """All that is known inside this transaction, what it has written so far included."""
        return self._reading

    def _forget(self) -> None:
        self._reading.forget()
        self._present.clear()

    def count_cycle(self) -> None:
        """Count one cycle more, here and (after the commit) beside the database.

        Where both disagree nothing is counted, so that they go on disagreeing until an operator has accepted it.
        """
        self.counted = self._cycle_file.next_count(cycles_of(self.connection))
        if self.counted is not None:
            set_cycles(self.connection, self.counted)

    def history(self, account: str, *, listed: frozenset[str] | None = None) -> History:
        """All that is remembered of `account`.

        With `listed`, the ids of the list at hand, what is gone and not among them is left out: enough to remember that
        list, at a cost that does not grow with all that ever was. Retiring and adjusting need all.
        """
        if listed is None:
            return load_history(self.connection, account)
        if account not in self._present:
            self._present[account] = load_history(self.connection, account, gone=False)
        return with_listed(self.connection, self._present[account], listed)

    def claimed_elsewhere(self, account: str) -> Mapping[str, str]:
        """Ids that are charged, and not gone, under another account: id -> that account."""
        return claims_of_others(self.connection, account)

    def save_snapshot(
        self, snapshot: Snapshot, verdict: Verdict, *, deleted_by_us: frozenset[str] = frozenset()
    ) -> int:
        """Store the snapshot as changes against the one before, and by which `deleted_by_us` it was judged; returns its
        number."""
        self._forget()
        key = self._list_key(snapshot.account, snapshot.generation)
        number = self._inserted(
            insert(snapshots).values(
                list=key,
                sent_at=snapshot.sent_at,
                answered_at=snapshot.answered_at,
                verdict=verdict,
                judgement=self._judgement_key(snapshot),
                explained=deleted_by_us,
            )
        )
        before = self._open_versions(key, snapshot.account, snapshot.generation)
        now = {resource.identity.id: resource for resource in snapshot.resources}
        changed = [resource for id_, resource in now.items() if before.get(id_) != resource]
        superseded = [id_ for id_, resource in before.items() if now.get(id_) != resource]
        keys = self._keys_of(snapshot.account, [*superseded, *(resource.identity.id for resource in changed)])
        if superseded:
            self.connection.execute(
                update(versions)
                .where(
                    versions.c.list == key,
                    versions.c.resource == bindparam("superseded"),
                    versions.c.to_snapshot.is_(None),
                )
                .values(to_snapshot=number),
                [{"superseded": keys[id_]} for id_ in superseded],
            )
        if changed:
            contents = {resource.identity.id: details_text(resource) for resource in changed}
            kept = self._details_keys(contents.values())
            self.connection.execute(
                insert(versions),
                [
                    {
                        "from_snapshot": number,
                        "resource": keys[resource.identity.id],
                        "list": key,
                        "details": kept[contents[resource.identity.id]],
                        **version_values(resource),
                    }
                    for resource in changed
                ],
            )
        return number

    def save_step(self, before: History, step: Step) -> None:
        """Store what differs between `before` and `step.history`, and the step's charges.

        Raises StoreError for an adjustment of a resource that has another one with the same start.
        """
        self._forget()
        after = step.history
        refuse_second_adjustments(self.connection, step)
        self._save_account(before, after)
        for generation in {*before.lists, *after.lists}:
            self._save_list(after.account, generation, before.lists.get(generation), after.lists.get(generation))
        self._save_states(before, after)
        self._save_charges(step.charges)

    def save_retirement(self, account: str, generation: Generation, *, at: datetime) -> None:
        """Note that `generation` of `account` is no longer configured, so that a rebuild retires it alike."""
        self.connection.execute(
            insert(retirements).values(
                list=self._list_key(account, generation), at=at, after_snapshot=newest_snapshot(self.connection)
            )
        )

    def save_adjustments(self, account: str, adjustments: Iterable[Charge], *, at: datetime) -> None:
        """Note that an operator had the ledger adjusted here, so that a rebuild adjusts it alike. The rows themselves
        come with `save_step`."""
        self._ensure_account(account)
        note_adjustments(self.connection, account, adjustments, at=at)

    def save_balances(self, account: str, entries: tuple[BalanceEntry, ...], *, at: datetime) -> None:
        """Note what was left on the account at `at`; the same entries again only move the time of the newest note."""
        self._ensure_account(account)
        note_balances(self.connection, account, entries, at=at)

    def save_top_ups(self, account: str, top_ups: Iterable[TopUp]) -> None:
        """Note top-ups, each once by its id."""
        self._ensure_account(account)
        note_top_ups(self.connection, account, top_ups)

    def save_reported_charges(
        self, account: str, charges: Iterable[ReportedCharge], *, since: date, until: date, at: datetime
    ) -> None:
        """Note what the provider charged from day `since` to day `until`, instead of what was noted of these days."""
        self._ensure_account(account)
        note_reported_charges(self.connection, account, charges, since=since, until=until, at=at)

    def first_asked(self, account: str) -> Mapping[Generation, datetime]:
        """When the first kept cycle of each generation of `account` started, whatever came of it."""
        rows = self.connection.execute(
            select(lists.c.generation, func.min(cycles.c.started_at).label("started_at"))
            .join(cycles, cycles.c.list == lists.c.pk)
            .where(lists.c.account == account)
            .group_by(lists.c.generation)
        )
        return {row.generation: row.started_at for row in rows}

    def save_cycle(self, record: CycleRecord) -> None:
        """Add a line to the cycle log."""
        key = self._list_key(record.account, record.generation)
        self.connection.execute(
            insert(cycles).values(
                list=key,
                started_at=record.started_at,
                ended_at=record.ended_at,
                outcome=record.outcome,
                detail=record.detail,
                snapshot=record.snapshot_id,
            )
        )
        if record.outcome == SUCCESS:
            self.connection.execute(update(lists).where(lists.c.pk == key).values(last_success=record.ended_at))

    def _save_account(self, before: History, after: History) -> None:
        if before.has_past != after.has_past:
            self.connection.execute(
                insert(accounts)
                .values(name=after.account, has_past=after.has_past)
                .on_conflict_do_update(index_elements=["name"], set_={"has_past": after.has_past})
            )

    def _save_list(
        self, account: str, generation: Generation, before: ListState | None, after: ListState | None
    ) -> None:
        if before == after:
            return
        key = self._list_key(account, generation)
        values = NO_LIST if after is None else list_values(after)
        self.connection.execute(update(lists).where(lists.c.pk == key).values(**values))
        stood = frozenset() if before is None else before.ids
        stands = frozenset() if after is None else after.ids
        keys = self._keys_of(account, stands ^ stood)
        if stood - stands:
            self.connection.execute(
                delete(listed).where(listed.c.list == key, listed.c.resource == bindparam("left")),
                [{"left": keys[id_]} for id_ in stood - stands],
            )
        if stands - stood:
            self.connection.execute(insert(listed), [{"list": key, "resource": keys[id_]} for id_ in stands - stood])

    def _save_states(self, before: History, after: History) -> None:
        known = before.resources
        changed = [
            state for id_, state in after.resources.items() if known.get(id_) is not state and known.get(id_) != state
        ]
        forgotten = known.keys() - after.resources.keys()
        if not changed and not forgotten:
            return
        keys = self._keys_of(after.account, [*forgotten, *(state.identity.id for state in changed)])
        if changed:
            statement = insert(states)
            self.connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["resource"],
                    set_={column.name: column for column in statement.excluded if not column.primary_key},
                ),
                [{"resource": keys[state.identity.id], **state_values(state)} for state in changed],
            )
        if forgotten:
            self.connection.execute(
                delete(states).where(states.c.resource == bindparam("forgotten")),
                [{"forgotten": keys[id_]} for id_ in forgotten],
            )

    def _save_charges(self, rows: tuple[Charge, ...]) -> None:
        """Add new rows and move open ones. The same row again changes nothing; a closed row refuses to change."""
        if not rows:
            return
        statement = insert(charges)
        moving = ("ends_at", "amount", "basis", "closed")
        fresh = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["resource", "starts_at", "reason"],
            set_={name: fresh[name] for name in moving},
            where=tuple_(*(charges.c[name] for name in moving)).is_distinct_from(
                tuple_(*(fresh[name] for name in moving))
            ),
        )
        keys = {
            account: self._keys_of(account, [row.identity.id for row in rows if row.identity.account == account])
            for account in {row.identity.account for row in rows}
        }
        self.connection.execute(
            statement,
            [{"resource": keys[row.identity.account][row.identity.id]} | charge_values(row) for row in rows],
        )

    def _list_key(self, account: str, generation: Generation) -> int:
        if (account, generation) not in self._list_keys:
            key = self.connection.scalar(
                select(lists.c.pk).where(lists.c.account == account, lists.c.generation == generation)
            )
            if key is None:
                self._ensure_account(account)
                key = self._inserted(insert(lists).values(account=account, generation=generation))
            self._list_keys[account, generation] = key
        return self._list_keys[account, generation]

    def _keys_of(self, account: str, ids: Iterable[str]) -> Mapping[str, int]:
        """The keys of those resources of `account`, and of others; those that are new are made."""
        known = self._resource_keys.setdefault(account, {})
        wanted = set(ids)
        known.update(self._stored_keys(account, wanted - known.keys()))
        missing = sorted(wanted - known.keys())
        if missing:
            self._ensure_account(account)
            self.connection.execute(insert(resources), [{"account": account, "id": id_} for id_ in missing])
            known.update(self._stored_keys(account, missing))
        return known

    def _stored_keys(self, account: str, ids: Iterable[str]) -> dict[str, int]:
        stored = select(resources.c.id, resources.c.pk).where(resources.c.account == account)
        return {
            row.id: row.pk
            for some in in_parts(ids)
            for row in self.connection.execute(stored.where(resources.c.id.in_(some)))
        }

    def _ensure_account(self, account: str) -> None:
        self.connection.execute(insert(accounts).values(name=account, has_past=False).on_conflict_do_nothing())

    def _judgement_key(self, snapshot: Snapshot) -> int:
        content = judgement_text(snapshot.judgement)
        key = self.connection.scalar(select(judgements.c.pk).where(judgements.c.content == content))
        return self._inserted(insert(judgements).values(content=content)) if key is None else key

    def _open_versions(self, key: int, account: str, generation: Generation) -> dict[str, Resource]:
        newest = (
            select(resources.c.id, *VERSION)
            .join_from(versions, resources)
            .join(details, details.c.pk == versions.c.details)
            .where(versions.c.list == key, versions.c.to_snapshot.is_(None))
        )
        return {
            row[0]: resource_from(row[1:], account=account, generation=generation)
            for row in self.connection.execute(newest)
        }

    def _details_keys(self, contents: Iterable[str]) -> dict[str, int]:
        """The keys of those details; what is not kept yet is added."""
        by_digest = {digest_of(content): content for content in contents}
        self.connection.execute(
            insert(details).on_conflict_do_nothing(),
            [{"digest": digest, "content": content} for digest, content in by_digest.items()],
        )
        keys = {}
        for some in in_parts(by_digest):
            kept = select(details.c.digest, details.c.pk).where(details.c.digest.in_(some))
            keys.update({by_digest[digest]: key for digest, key in self.connection.execute(kept)})
        return keys

    def _inserted(self, statement: Insert) -> int:
        """Insert one row of a table with an integer key; returns the key."""
        return self.connection.execute(statement).lastrowid
