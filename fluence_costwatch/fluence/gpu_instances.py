"""GPU instances as their lists and details show them. Amounts are JSON numbers and are read digit by digit."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Kind, Per, Resource, Specs, is_charged
from fluence_costwatch.fluence.specs import in_mib
from fluence_costwatch.fluence.wire import LARGEST_COUNT, NULL, Doubts, decoded, elements, resource_id, unexpected

INSTANCES: Final = "list of GPU instances"
_DETAIL: Final = "detail of a GPU instance"

_LONGEST_NAME: Final = 1_000
_LONGEST_STATUS: Final = 100
_LONGEST_PLACE: Final = 100


class _Item(msgspec.Struct, gc=False):
    """What a list says of an instance. A container has its status under another name, as `status` is its process."""

    id: msgspec.Raw
    name: msgspec.Raw = NULL
    status: msgspec.Raw = NULL
    instance_status: msgspec.Raw = NULL
    created_at: msgspec.Raw = NULL
    updated_at: msgspec.Raw = NULL
    location: msgspec.Raw = NULL
    domain: msgspec.Raw = NULL
    resources: msgspec.Raw = NULL


class _Billed(msgspec.Struct, gc=False):
    """What only a detail says. It has more fields, some of them secret, which are not taken up."""

    id: msgspec.Raw = NULL
    status: msgspec.Raw = NULL
    instance_status: msgspec.Raw = NULL
    billing: msgspec.Raw = NULL
    network: msgspec.Raw = NULL


class _Billing(msgspec.Struct, gc=False):
    hourly_usage: msgspec.Raw = NULL
    total_spendings: msgspec.Raw = NULL
    reserved_amount: msgspec.Raw = NULL
    next_billing_period: msgspec.Raw = NULL


class _Amount(msgspec.Struct, gc=False):
    count: object = None
    units: object = None


class _Supply(msgspec.Struct, gc=False):
    vcpu: _Amount | None = None
    memory: _Amount | None = None
    storage: _Amount | None = None


class _Resources(msgspec.Struct, gc=False):
    supply: _Supply | None = None


class _Network(msgspec.Struct, gc=False):
    domain: object = None


_ITEM: Final = msgspec.json.Decoder(_Item)
_BILLED: Final = msgspec.json.Decoder(_Billed)
_BILLING: Final = msgspec.json.Decoder(_Billing | None)
_RESOURCES: Final = msgspec.json.Decoder(_Resources | None)
_NETWORK: Final = msgspec.json.Decoder(_Network | None)


@dataclass(frozen=True, slots=True)
class Detail:
    """What the detail of an instance adds to its place in the list; `problems` are what of it cannot be read."""

    status: str | None = None
    price: Usd | None = None
    next_charge_at: datetime | None = None
    total_spent: Usd | None = None
    reserved: Usd | None = None
    address: str | None = None
    problems: tuple[str, ...] = ()


class Instance:
    """One place in a list, read as far as is needed to know whether its detail must be asked for."""

    __slots__ = ("_doubts", "_item", "id", "kind", "status")

    def __init__(self, item: _Item, *, kind: Kind) -> None:
        self._item = item
        self._doubts = Doubts()
        self.kind = kind
        self.id = resource_id(item.id, what=INSTANCES)
        raw = _status_of(item, kind)
        self.status = self._doubts.text("status", raw, longest=_LONGEST_STATUS) or ""

    @property
    def is_live(self) -> bool:
        """Whether it may be charged, so that its price matters."""
        return is_charged(self.status, Generation.GPU)

    @property
    def version(self) -> tuple[bytes, str] | None:
        """Changes whenever the instance does; None where the list does not tell."""
        return None if self._item.updated_at == NULL else (bytes(self._item.updated_at), self.status)

    def resource(self, *, account: str, detail: Detail) -> Resource:
        """The instance as a resource. Where list and detail disagree on the status, the detail is right."""
        item, doubts = self._item, self._doubts
        status = detail.status or self.status
        charged = is_charged(status, Generation.GPU)
        if not status:
            doubts.note("status", NULL, "says nothing")
        return Resource(
            account=account,
            id=self.id,
            kind=self.kind,
            generation=Generation.GPU,
            name=doubts.text("name", item.name, longest=_LONGEST_NAME),
            status=status,
            # An instance that has ended says that it costs nothing, which is no price.
            price=detail.price.dollars if charged and detail.price is not None else None,
            price_per=Per.EPOCH,
            created_at=doubts.instant("created_at", item.created_at),
            next_charge_at=detail.next_charge_at,
            total_spent=detail.total_spent,
            reserved=detail.reserved,
            datacenter=doubts.text("datacenter", item.location, longest=_LONGEST_PLACE),
            public_ip=detail.address or _address(doubts.value("public_ip", item.domain)),
            specs=_specs(doubts, item.resources),
            problems=(*doubts.sentences, *(detail.problems if charged else ())),
        )


def instances(body: bytes, *, kind: Kind) -> list[Instance]:
    """The instances in one of the lists. Raises FluenceUnexpected where it is not whole and each of them named."""
    found = []
    for element in elements(body, what=INSTANCES, is_secret=True):
        try:
            found.append(Instance(_ITEM.decode(element), kind=kind))
        except (ValueError, RecursionError) as exc:
            raise unexpected(f"an element of it is not an instance with an id ({exc})", what=INSTANCES) from exc
    return found


def detail_of(body: bytes, *, instance: Instance) -> Detail:
    """The detail in `body`. Raises FluenceUnexpected where it is none, or that of another instance."""
    try:
        billed = decoded(body, _BILLED)
    except (ValueError, RecursionError) as exc:
        raise unexpected(f"it is not one ({exc})", what=_DETAIL) from exc
    if billed.id != NULL and resource_id(billed.id, what=_DETAIL).lower() != instance.id.lower():
        raise unexpected("it is that of another instance", what=_DETAIL)
    doubts = Doubts()
    billing = _billing(doubts, billed.billing)
    price = doubts.number("price", billing.hourly_usage)
    if billing.hourly_usage == NULL and not doubts.sentences:
        doubts.note("price", NULL, "is what the detail of this instance states")
    return Detail(
        status=doubts.text("status", _status_of(billed, instance.kind), longest=_LONGEST_STATUS),
        price=price,
        next_charge_at=doubts.instant("next_charge_at", billing.next_billing_period),
        total_spent=doubts.number("total_spent", billing.total_spendings),
        reserved=doubts.number("reserved", billing.reserved_amount),
        address=_address_in(billed.network),
        problems=doubts.sentences,
    )


def _status_of(record: _Item | _Billed, kind: Kind) -> msgspec.Raw:
    names = (
        (record.instance_status, record.status)
        if kind is Kind.GPU_CONTAINER
        else (record.status, record.instance_status)
    )
    return names[1] if names[0] == NULL else names[0]


def _billing(doubts: Doubts, raw: msgspec.Raw) -> _Billing:
    try:
        return _BILLING.decode(raw) or _Billing()
    except (ValueError, RecursionError):
        doubts.note("price", raw, "does not say what the instance costs")
        return _Billing()


def _address_in(network: msgspec.Raw) -> str | None:
    try:
        found = _NETWORK.decode(network)
    except (ValueError, RecursionError):
        return None
    return None if found is None else _address(found.domain)


def _address(domain: object) -> str | None:
    """`domain` where it is an address; it may also be the name of a host."""
    try:
        return str(ipaddress.ip_address(domain)) if isinstance(domain, str) else None
    except ValueError:
        return None


def _specs(doubts: Doubts, raw: msgspec.Raw) -> Specs | None:
    try:
        resources = _RESOURCES.decode(raw)
    except (ValueError, RecursionError):
        doubts.note("specs", raw, "does not say what the instance consists of")
        return None
    supply = None if resources is None else resources.supply
    if supply is None:
        return None
    return Specs(vcpu=_count(supply.vcpu), ram_mib=_mib(supply.memory), storage_mib=_mib(supply.storage))


def _count(amount: _Amount | None) -> int | None:
    count = None if amount is None else amount.count
    is_count = isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= LARGEST_COUNT
    return count if isinstance(count, int) and is_count else None


def _mib(amount: _Amount | None) -> int | None:
    count = _count(amount)
    return None if amount is None or count is None else in_mib(count, amount.units)
