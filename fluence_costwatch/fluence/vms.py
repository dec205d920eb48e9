"""The machine as the `vms-*` generations list it. They share its fields and differ in what an amount of money means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Kind, Resource
from fluence_costwatch.fluence.specs import specs_of
from fluence_costwatch.fluence.wire import NULL, Doubts, elements, resource_id, unexpected, unique

ReadMoney = Callable[[Doubts, str, msgspec.Raw], Usd | None]
"""Reads the amount of one field (named for doubts) as its generation writes it; None is unknown."""

_LONGEST_NAME: Final = 1_000
_LONGEST_STATUS: Final = 100


class _Vm(msgspec.Struct, gc=False, rename="camel"):
    """Fields stay raw until each is read on its own, so that a bad one costs nothing but its own value."""

    id: msgspec.Raw
    vm_name: msgspec.Raw = NULL
    status: msgspec.Raw = NULL
    price_per_epoch: msgspec.Raw = NULL
    resources: msgspec.Raw = NULL
    created_at: msgspec.Raw = NULL
    next_billing_at: msgspec.Raw = NULL
    status_changed_at: msgspec.Raw = NULL
    total_spent: msgspec.Raw = NULL
    reserved_balance: msgspec.Raw = NULL
    datacenter: msgspec.Raw = NULL
    public_ip: msgspec.Raw = NULL


_VM: Final = msgspec.json.Decoder(_Vm)


def read_vms(
    body: bytes, *, account: str, generation: Generation, read_price: ReadMoney, read_total: ReadMoney
) -> tuple[Resource, ...]:
    """The machines in `body`, by identity. Raises FluenceUnexpected where the list is not whole and each of them named."""
    return unique(
        _resource(_vm(element), account=account, generation=generation, read_price=read_price, read_total=read_total)
        for element in elements(body)
    )


def _vm(element: msgspec.Raw) -> _Vm:
    try:
        return _VM.decode(element)
    except (ValueError, RecursionError) as exc:
        raise unexpected(f"an element of it is not a machine with an id ({exc})") from exc


def _resource(
    vm: _Vm, *, account: str, generation: Generation, read_price: ReadMoney, read_total: ReadMoney
) -> Resource:
    doubts = Doubts()
    price = read_price(doubts, "price", vm.price_per_epoch)
    status = doubts.text("status", vm.status, longest=_LONGEST_STATUS)
    for what, raw in (("price", vm.price_per_epoch), ("status", vm.status)):
        if raw == NULL:
            doubts.note(what, raw, "says nothing")
    return Resource(
        account=account,
        id=resource_id(vm.id),
        kind=Kind.VM,
        generation=generation,
        name=doubts.text("name", vm.vm_name, longest=_LONGEST_NAME),
        status=status or "",
        price=None if price is None else price.dollars,
        created_at=doubts.instant("created_at", vm.created_at),
        next_charge_at=doubts.instant("next_charge_at", vm.next_billing_at),
        status_changed_at=doubts.instant("status_changed_at", vm.status_changed_at),
        total_spent=read_total(doubts, "total_spent", vm.total_spent),
        reserved=read_total(doubts, "reserved", vm.reserved_balance),
        datacenter=doubts.datacenter("datacenter", vm.datacenter),
        public_ip=doubts.address("public_ip", vm.public_ip),
        specs=specs_of(vm.resources, doubts),
        problems=doubts.sentences,
    )
