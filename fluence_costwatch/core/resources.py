"""What bills: one resource as one list showed it, in our words and with every doubtful value marked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from fluence_costwatch.core.money import Usd


class Kind(StrEnum):
    """The kinds of resource that bill on their own."""

    VM = "vm"
    STORAGE = "storage"
    PUBLIC_IP = "public_ip"
    GPU_CONTAINER = "gpu_container"
    GPU_VM = "gpu_vm"
    GPU_BAREMETAL = "gpu_baremetal"


class Generation(StrEnum):
    """The families of API paths and fields (`design.md` section 2)."""

    CLOUD_V2 = "cloud-v2"
    VMS_V3 = "vms-v3"
    VMS_V2 = "vms-v2"
    GPU = "gpu"


class Per(StrEnum):
    """What one unit price buys: a prepaid epoch, or an hour of a metered resource."""

    EPOCH = "epoch"
    HOUR = "hour"


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """Who a resource is: its account and its lower-cased id.

    Ids of `vms-v2` and `vms-v3` are mixed-case checksum addresses; the case carries no meaning
    (`fluence-api.md` 3.1 and 7 #28).
    """

    account: str
    id: str


@dataclass(frozen=True, slots=True)
class Specs:
    """What the machine consists of, as far as the list says; None is not said."""

    vcpu: int | None = None
    ram_mib: int | None = None
    storage_mib: int | None = None
    public_ips: int | None = None
    network_bandwidth: int | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as one list showed it.

    None in `price`, `created_at` and the like means that the API did not say or that it could not be read; the latter
    is named in `problems` ("price: 'abc' is not an amount of money") and bars the resource from deletion.
    A prepaid price is a whole number of micro-dollars, a metered one any exact decimal of dollars. `status_changed_at`
    is when a resource that has ended did so, where the API tells. `attached_to` are the ids of the machines that a disk
    or address serves (empty: none).
    """

    account: str
    id: str
    kind: Kind
    generation: Generation
    name: str | None
    status: str
    price: Decimal | None
    price_per: Per = Per.EPOCH
    created_at: datetime | None = None
    next_charge_at: datetime | None = None
    status_changed_at: datetime | None = None
    total_spent: Usd | None = None
    reserved: Usd | None = None
    datacenter: str | None = None
    public_ip: str | None = None
    specs: Specs | None = None
    attached_to: tuple[str, ...] | None = None
    allowed_actions: tuple[str, ...] | None = None
    problems: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        """The (account, lower-cased id) under which this resource is charged."""
        return Identity(self.account, self.id.lower())


# Statuses in which nothing is charged, compared case-folded, and those that are known at all
# (`design.md` 3.1 "Statuses", `fluence-api.md` section 4).
_UNCHARGED = {
    Generation.VMS_V2: frozenset({"terminated", "stopped", "insufficientfunds"}),
    Generation.VMS_V3: frozenset({"terminated", "stopped", "insufficientfunds"}),
    Generation.CLOUD_V2: frozenset({"draft", "terminated", "removed"}),
}
_GPU_CHARGED = frozenset({"initialized", "active"})
_RECOGNISED = {
    Generation.VMS_V2: frozenset({"new", "launching", "active", "smallbalance"}) | _UNCHARGED[Generation.VMS_V2],
    Generation.VMS_V3: frozenset({"new", "launching", "active", "smallbalance"}) | _UNCHARGED[Generation.VMS_V3],
    Generation.CLOUD_V2: frozenset(
        [
            "new",
            "launching",
            "launched",
            "updating",
            "restarting",
            "softrebooting",
            "failed",
            "suspending",
            "suspended",
            "terminating",
            "unknown",
            "created",
            "ready",
            "removing",
        ]
    )
    | _UNCHARGED[Generation.CLOUD_V2],
    Generation.GPU: _GPU_CHARGED | {"failed", "ended"},
}


def is_recognised(status: str, generation: Generation) -> bool:
    """Whether the fact sheet knows `status`; one that it does not know is charged and never deletable."""
    return status.casefold() in _RECOGNISED[generation]


def is_charged(status: str, generation: Generation) -> bool:
    """Whether a resource in `status` is charged at a boundary; an unrecognised status is."""
    folded = status.casefold()
    if generation is Generation.GPU:
        return folded in _GPU_CHARGED or not is_recognised(status, generation)
    return folded not in _UNCHARGED[generation]
