"""Machines, disks and public addresses of `cloud-v2` as resources.

What one record does not state is looked for where it may also stand: a price in the price lists, the address of a machine
and the sizes of its disks in their own lists, the name of a cluster in the list of clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from fluence_costwatch.core.money import LARGEST_PRICE
from fluence_costwatch.core.resources import Generation, Kind, Per, Resource, Specs, is_charged
from fluence_costwatch.fluence.catalogue import Asking, Known, unit
from fluence_costwatch.fluence.cloud_records import Address, Disk, Entry, Machine, Record
from fluence_costwatch.fluence.specs import in_mib
from fluence_costwatch.fluence.wire import NULL, unexpected

_LONGEST_NAME: Final = 1_000
_LONGEST_STATUS: Final = 100
_LONGEST_WORD: Final = 200
_EXACT: Final = Context(prec=80)


def resources_of(
    machines: Sequence[Entry[Machine]],
    disks: Sequence[Entry[Disk]],
    addresses: Sequence[Entry[Address]],
    *,
    account: str,
    catalogue: Asking,
) -> tuple[Resource, ...]:
    """All of them by identity. Raises FluenceUnexpected where one id stands for two."""
    entries: list[Entry[Any]] = [*machines, *disks, *addresses]
    if len({entry.key for entry in entries}) < len(entries):
        raise unexpected("one id in it stands for two resources", what="lists of machines, disks and public addresses")
    reading = _Reading(machines, disks, addresses, account=account, catalogue=catalogue)
    return tuple(
        sorted(
            [
                *(reading.machine(entry) for entry in machines),
                *(reading.disk(entry) for entry in disks),
                *(reading.address(entry) for entry in addresses),
            ],
            key=lambda resource: resource.identity,
        )
    )


class _Reading:
    def __init__(
        self,
        machines: Sequence[Entry[Machine]],
        disks: Sequence[Entry[Disk]],
        addresses: Sequence[Entry[Address]],
        *,
        account: str,
        catalogue: Asking,
    ) -> None:
        self._account = account
        self._catalogue = catalogue
        self._gigabytes = {entry.key: entry.doubts.count("specs", entry.record.volume_gb) for entry in disks}
        self._texts = {entry.key: entry.doubts.address("public_ip", entry.record.address) for entry in addresses}
        # Either side may be the one that knows: an address may not name its machine, a machine not its address.
        self._users = _tied(machines, disks, addresses)
        attachable: list[Entry[Any]] = [*disks, *addresses]
        removed = {entry.key for entry in attachable if entry.record.removed_at != NULL}
        self._used: dict[str, set[str]] = {}
        for used, users in self._users.items():
            for user in users if used not in removed else ():
                self._used.setdefault(user, set()).add(used)

    def machine(self, entry: Entry[Machine]) -> Resource:
        record, doubts = entry.record, entry.doubts
        used = self._used.get(entry.key, set())
        texts = sorted(text for key in used if (text := self._texts.get(key)))
        ram = doubts.count("specs", record.ram_gb)
        specs = Specs(
            vcpu=doubts.count("specs", record.vcpu),
            ram_mib=None if ram is None else in_mib(ram, "GB"),
            storage_mib=self._size_of(used),
            public_ips=sum(key in self._texts for key in used),
        )
        return self._resource(
            entry,
            kind=Kind.VM,
            ended_at=record.terminated_at,
            prices=self._catalogue.vm_prices,
            priced_as=(record.configuration_id, record.cluster_id),
            public_ip=texts[0] if texts else None,
            specs=specs,
        )

    def disk(self, entry: Entry[Disk]) -> Resource:
        record = entry.record
        size = self._gigabytes[entry.key]
        return self._resource(
            entry,
            kind=Kind.STORAGE,
            ended_at=record.removed_at,
            prices=self._catalogue.storage_prices,
            priced_as=(record.storage_type, record.replicated, record.cluster_id),
            quantity=size,
            attached_to=self._attached_to(entry),
            specs=None if size is None else Specs(storage_mib=in_mib(size, "GB")),
        )

    def address(self, entry: Entry[Address]) -> Resource:
        record = entry.record
        return self._resource(
            entry,
            kind=Kind.PUBLIC_IP,
            ended_at=record.removed_at,
            prices=self._catalogue.address_prices,
            priced_as=(record.address_type, record.cluster_id),
            attached_to=self._attached_to(entry),
            public_ip=self._texts[entry.key],
        )

    def _resource(
        self,
        entry: Entry[Any],
        *,
        kind: Kind,
        ended_at: msgspec.Raw,
        prices: Callable[[], Known[Decimal]],
        priced_as: tuple[msgspec.Raw, ...],
        quantity: int | None = 1,
        attached_to: tuple[str, ...] | None = None,
        public_ip: str | None = None,
        specs: Specs | None = None,
    ) -> Resource:
        record: Record = entry.record
        doubts = entry.doubts
        status = doubts.text("status", record.status, longest=_LONGEST_STATUS) or ""
        if record.status == NULL:
            doubts.note("status", record.status, "says nothing")
        charged = is_charged(status, Generation.CLOUD_V2)
        price = doubts.price("price", record.price_hourly_usd)
        if record.price_hourly_usd == NULL and charged:
            price = _listed(entry, prices(), priced_as, quantity)
        return Resource(
            account=self._account,
            id=entry.id,
            kind=kind,
            generation=Generation.CLOUD_V2,
            name=doubts.text("name", record.name, longest=_LONGEST_NAME),
            status=status,
            price=price,
            price_per=Per.HOUR,
            created_at=doubts.instant("created_at", record.created_at),
            status_changed_at=doubts.instant("status_changed_at", ended_at),
            datacenter=self._cluster(entry, is_needed=charged),
            public_ip=public_ip,
            specs=specs,
            attached_to=attached_to,
            allowed_actions=doubts.texts("allowed_actions", record.allowed_actions),
            problems=doubts.sentences,
        )

    def _cluster(self, entry: Entry[Any], *, is_needed: bool) -> str | None:
        raw = entry.record.cluster_id
        id = entry.doubts.text("datacenter", raw, longest=_LONGEST_WORD)
        if not id:
            return None
        known = self._catalogue.clusters()
        if known.unknown and is_needed:
            entry.doubts.note("datacenter", raw, f"has no name, as {known.unknown}")
        return known.by_unit.get(unit(id))

    def _attached_to(self, entry: Entry[Any]) -> tuple[str, ...] | None:
        users = self._users.get(entry.key, set())
        return tuple(sorted(users)) if users or entry.named is not None else None

    def _size_of(self, used: set[str]) -> int | None:
        """The disks of a machine together; unknown where one of them is, and where there is none."""
        sizes = [self._gigabytes.get(key) for key in used if key not in self._texts]
        known = [size for size in sizes if size is not None]
        return in_mib(sum(known), "GB") if known and len(known) == len(sizes) else None


def _tied(*groups: Sequence[Entry[Any]]) -> Mapping[str, set[str]]:
    """The machines that use each disk and address, as either side names the other."""
    machines, *others = groups
    users: dict[str, set[str]] = {}
    for entry in machines:
        for used in entry.named or ():
            users.setdefault(used, set()).add(entry.key)
    for entries in others:
        for entry in entries:
            users.setdefault(entry.key, set()).update(entry.named or ())
    return users


def _listed(
    entry: Entry[Any], known: Known[Decimal], parts: tuple[msgspec.Raw, ...], quantity: int | None
) -> Decimal | None:
    """The price in the price list for a record of these `parts` that states none, or why there is none either."""
    if known.unknown:
        entry.doubts.note("price", NULL, f"is no price, and {known.unknown}")
        return None
    names = [value for raw in parts if isinstance(value := entry.doubts.value("price", raw), (str, bool))]
    each = known.by_unit.get(unit(*names))
    if each is None or quantity is None:
        entry.doubts.note("price", NULL, "is no price, and no price list has one")
        return None
    price = _EXACT.multiply(each, quantity)
    if price > LARGEST_PRICE:
        entry.doubts.note("price", NULL, "is no price, and the one by the price list is beyond any price")
        return None
    return price
