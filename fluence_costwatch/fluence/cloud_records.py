"""The records of `cloud-v2` as they come: machines, disks and public addresses, and which of them belong together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import msgspec

from fluence_costwatch.fluence.wire import NULL, Doubts, resource_id, unexpected

MACHINES: Final = "list of machines"
DISKS: Final = "list of disks"
ADDRESSES: Final = "list of public addresses"

_LONGEST_ID: Final = 200


class Record(msgspec.Struct, gc=False, rename="camel"):
    """What all three have. Fields stay raw until each is read on its own, so that a bad one costs only its own value."""

    id: msgspec.Raw
    name: msgspec.Raw = NULL
    status: msgspec.Raw = NULL
    cluster_id: msgspec.Raw = NULL
    created_at: msgspec.Raw = NULL
    price_hourly_usd: msgspec.Raw = NULL
    allowed_actions: msgspec.Raw = NULL


class Machine(Record, gc=False, rename="camel"):
    """A machine. It names its disks and address by id; from version 0.14 on the address names it instead."""

    configuration_id: msgspec.Raw = NULL
    terminated_at: msgspec.Raw = NULL
    boot_disk: msgspec.Raw = NULL
    data_disks: msgspec.Raw = NULL
    public_ip: msgspec.Raw = NULL
    vcpu: msgspec.Raw = NULL
    ram_gb: msgspec.Raw = NULL


class Disk(Record, gc=False, rename="camel"):
    """A disk, which bills until it is removed, whatever became of its machine."""

    attached_to: msgspec.Raw = NULL
    removed_at: msgspec.Raw = NULL
    storage_type: msgspec.Raw = NULL
    replicated: msgspec.Raw = NULL
    volume_gb: msgspec.Raw = NULL


class Address(Record, gc=False, rename="camel"):
    """A public address, which bills until it is removed, as a disk does."""

    attached_to: msgspec.Raw = NULL
    removed_at: msgspec.Raw = NULL
    address_type: msgspec.Raw = NULL
    address: msgspec.Raw = NULL


_R = TypeVar("_R", bound=Record)
_MACHINE: Final = msgspec.json.Decoder(Machine)
_DISK: Final = msgspec.json.Decoder(Disk)
_ADDRESS: Final = msgspec.json.Decoder(Address)


class Entry(Generic[_R]):
    """A record with its id, what was doubtful in it, and the lower-cased ids of what it names."""

    __slots__ = ("doubts", "id", "key", "named", "record")

    def __init__(self, record: _R, *, what: str) -> None:
        self.record = record
        self.id = resource_id(record.id, what=what)
        self.key = self.id.lower()
        self.doubts = Doubts()
        self.named: frozenset[str] | None = None


def machines(items: Iterable[msgspec.Raw]) -> list[Entry[Machine]]:
    """The machines in `items`; each names its disks and its address."""
    entries = _entries(items, _MACHINE, what=MACHINES)
    for entry in entries:
        record = entry.record
        lists = [_ids(entry.doubts, "specs", raw) for raw in (record.boot_disk, record.data_disks)]
        lists.append(_ids(entry.doubts, "public_ip", record.public_ip))
        entry.named = frozenset().union(*(ids for ids in lists if ids))
    return entries


def disks(items: Iterable[msgspec.Raw]) -> list[Entry[Disk]]:
    """The disks in `items`; each names the machines that it is attached to, unless it does not tell."""
    entries = _entries(items, _DISK, what=DISKS)
    for entry in entries:
        entry.named = _ids(entry.doubts, "attached_to", entry.record.attached_to)
    return entries


def addresses(items: Iterable[msgspec.Raw]) -> list[Entry[Address]]:
    """The addresses in `items`; one that names no machine is attached to none."""
    entries = _entries(items, _ADDRESS, what=ADDRESSES)
    for entry in entries:
        raw = entry.record.attached_to
        entry.named = frozenset() if raw == NULL else _ids(entry.doubts, "attached_to", raw)
    return entries


def _entries(items: Iterable[msgspec.Raw], decoder: msgspec.json.Decoder[_R], *, what: str) -> list[Entry[_R]]:
    try:
        return [Entry(decoder.decode(item), what=what) for item in items]
    except (ValueError, RecursionError) as exc:
        raise unexpected(f"an element of it is not an object with an id ({exc})", what=what) from exc


def _ids(doubts: Doubts, what: str, raw: msgspec.Raw) -> frozenset[str] | None:
    """The ids that `raw` names: one id, an object with one, a list of either; None for null and for what is neither."""
    value = doubts.value(what, raw)
    if value is None:
        return None
    named = []
    for item in value if isinstance(value, list) else [value]:
        id = item.get("id") if isinstance(item, dict) else item
        if not isinstance(id, str) or len(id) > _LONGEST_ID:
            doubts.note(what, raw, "does not name what belongs to it")
            return None
        named.append(id.strip().lower())
    return frozenset(named)
