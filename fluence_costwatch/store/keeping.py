"""What protects a resource: vetoes, leases, what is kept; and what was released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from fluence_costwatch.core.deletion.deletions import Kept, Lease, Veto
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.store.deletion_tables import kept, leases, released, vetoes
from fluence_costwatch.store.records import OnConnection, identity_of, is_of, put, record_of, values_of
from fluence_costwatch.store.rows import details_of
from fluence_costwatch.store.schema import details, resources, versions


class KeepingWriting(OnConnection):
    """What a transaction can do to vetoes, leases and protection."""

    def save_veto(self, veto: Veto) -> None:
        """Keep a veto; one of the same resource and rule is replaced."""
        put(self.connection, vetoes, values_of(veto))

    def lift_veto(self, identity: Identity, rule: str) -> None:
        """Drop the veto of that resource and rule, if there is one."""
        self.connection.execute(delete(vetoes).where(is_of(vetoes, identity), vetoes.c.rule == rule))

    def save_lease(self, lease: Lease) -> None:
        """Keep a lease; one of the same resource is replaced."""
        put(self.connection, leases, values_of(lease))

    def end_lease(self, identity: Identity) -> None:
        """Drop the lease of that resource, if there is one."""
        self.connection.execute(delete(leases).where(is_of(leases, identity)))

    def keep(self, protected: Kept) -> None:
        """Protect a resource until it is released; one that is protected already stays so with its former reason."""
        self.connection.execute(insert(kept).values(**values_of(protected)).on_conflict_do_nothing())

    def release(self, identity: Identity, *, actor: str, at: datetime) -> None:
        """Protect a resource no longer, and note that a person decided so, with every name under which a kept list or a
        release before this one knew it."""
        self.connection.execute(delete(kept).where(is_of(kept, identity)))
        before = self.connection.scalar(select(released.c.names).where(is_of(released, identity))) or ()
        names = sorted({*before, *self._names(identity)}, key=lambda name: (name is not None, name or ""))
        row = {"account": identity.account, "resource_id": identity.id, "names": tuple(names), "actor": actor, "at": at}
        put(self.connection, released, row)

    def _names(self, identity: Identity) -> set[str | None]:
        shown = (
            select(details.c.content)
            .distinct()
            .join_from(resources, versions)
            .join(details, details.c.pk == versions.c.details)
            .where(resources.c.account == identity.account, resources.c.id == identity.id)
        )
        return {details_of(content).name for content in self.connection.scalars(shown)}


class KeepingReading(OnConnection):
    """What can be asked about vetoes, leases and protection."""

    def vetoes(self) -> Sequence[Veto]:
        """Every veto, ended ones included."""
        ordered = select(vetoes).order_by(vetoes.c.account, vetoes.c.resource_id, vetoes.c.rule)
        return [record_of(Veto, row) for row in self.connection.execute(ordered)]

    def leases(self) -> Mapping[Identity, Lease]:
        """The lease of each resource that has one, ended ones included."""
        return {identity_of(row): record_of(Lease, row) for row in self.connection.execute(select(leases))}

    def kept(self) -> Mapping[Identity, Kept]:
        """The resources that are protected until released by command."""
        return {identity_of(row): record_of(Kept, row) for row in self.connection.execute(select(kept))}

    def released(self) -> Mapping[Identity, tuple[str | None, ...]]:
        """The resources that were released by command, each with the names it had been seen under by then."""
        return {identity_of(row): row.names for row in self.connection.execute(select(released))}
