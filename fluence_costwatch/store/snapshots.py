"""Reading snapshots back from their intervals: one by its number, or all in the order in which they were stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from fluence_costwatch.core.billing.history import Snapshot, Verdict
from fluence_costwatch.core.resources import Resource
from fluence_costwatch.errors import UnknownName
from fluence_costwatch.store.rows import Row, judgement_of, resource_of
from fluence_costwatch.store.schema import details, judgements, lists, resources, snapshots, versions


def load_snapshot(connection: Connection, number: int) -> Snapshot:
    """The snapshot of that number exactly as it was stored. Raises UnknownName."""
    row = connection.execute(_heads().where(snapshots.c.number == number)).one_or_none()
    if row is None:
        raise UnknownName(f"There is no snapshot {number}; it never was, or it was pruned.")
    there = (
        _changes()
        .where(versions.c.list == row.list, versions.c.from_snapshot <= number)
        .where(or_(versions.c.to_snapshot.is_(None), versions.c.to_snapshot > number))
        .order_by(resources.c.id)
    )
    return _snapshot(row, tuple(_resource(change) for change in connection.execute(there)))


@dataclass(frozen=True, slots=True)
class Judged:
    """A kept snapshot with its number, and how it was judged: `deleted_by_us` explained what it lacks."""

    number: int
    snapshot: Snapshot
    verdict: Verdict
    deleted_by_us: frozenset[str]


def stream_snapshots(connection: Connection, *, below: int | None = None) -> Iterator[Judged]:
    """Every kept snapshot, those from number `below` on left out, in the order of storing."""
    heads = _heads().order_by(snapshots.c.number)
    changes = _changes().order_by(versions.c.from_snapshot)
    if below is not None:
        heads = heads.where(snapshots.c.number < below)
        changes = changes.where(versions.c.from_snapshot < below)
    # What each list shows at present, by id; the same as a tuple, made anew only after a change; what ends where.
    shown: dict[int, dict[str, Resource]] = defaultdict(dict)
    ordered: dict[int, tuple[Resource, ...]] = {}
    ending: dict[int, list[tuple[int, str]]] = defaultdict(list)
    upcoming = iter(connection.execute(changes))
    change = next(upcoming, None)
    for head in connection.execute(heads):
        for key, id_ in ending.pop(head.number, ()):
            del shown[key][id_]
            ordered.pop(key, None)
        while change is not None and change.from_snapshot <= head.number:
            if change.to_snapshot is None or change.to_snapshot > head.number:
                shown[change.list][change.resource_id] = _resource(change)
                ordered.pop(change.list, None)
                if change.to_snapshot is not None:
                    ending[change.to_snapshot].append((change.list, change.resource_id))
            change = next(upcoming, None)
        if head.list not in ordered:
            ordered[head.list] = tuple(resource for _, resource in sorted(shown[head.list].items()))
        yield Judged(head.number, _snapshot(head, ordered[head.list]), head.verdict, head.explained)


def _heads() -> Select[Any]:
    return (
        select(snapshots, lists.c.account, lists.c.generation, judgements.c.content)
        .join_from(snapshots, lists)
        .join(judgements)
    )


def _changes() -> Select[Any]:
    return (
        select(
            versions, resources.c.account, resources.c.id.label("resource_id"), lists.c.generation, details.c.content
        )
        .join_from(versions, resources)
        .join(lists, lists.c.pk == versions.c.list)
        .join(details, details.c.pk == versions.c.details)
    )


def _resource(change: Row) -> Resource:
    return resource_of(change, account=change.account, generation=change.generation)


def _snapshot(head: Row, there: tuple[Resource, ...]) -> Snapshot:
    return Snapshot(
        account=head.account,
        generation=head.generation,
        sent_at=head.sent_at,
        answered_at=head.answered_at,
        resources=there,
        judgement=judgement_of(head.content),
    )
