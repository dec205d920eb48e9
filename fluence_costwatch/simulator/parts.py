"""The parts of the metered cloud: VMs, disks and addresses, each billed on its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .catalogue import Cluster


@dataclass(slots=True)
class Part:
    """Anything that bills by the hour. It stays readable when it has ended."""

    number: int
    id: str
    account: str
    name: str
    cluster: Cluster
    kind: str
    """Under which the cluster lists its price."""
    price: str
    """Dollars per hour, as they were written."""
    created_at: datetime
    ready_at: datetime
    listed_at: datetime
    updated_at: datetime
    shown_status: str | None = None
    ending_since: datetime | None = None
    ended_at: datetime | None = None

    @property
    def live(self) -> bool:
        return self.ended_at is None


@dataclass(slots=True)
class CloudVm(Part):
    """A VM, whose disks and address outlive it; it goes on naming them after its end."""

    draft: bool = False
    failed: bool = False
    discarded: bool = False
    boot_disk: str | None = None
    data_disks: list[str] = field(default_factory=list)
    address: str | None = None

    def status(self, *, now: datetime) -> str:
        if self.shown_status is not None:
            return self.shown_status
        if self.ended_at is not None:
            return "terminated"
        if self.ending_since is not None:
            return "terminating"
        if self.draft:
            return "draft"
        if self.failed:
            return "failed"
        return "launched" if now >= self.ready_at else "launching"


@dataclass(slots=True)
class Outliving(Part):
    """A disk or an address; `attached_to` is the id of the VM that uses it."""

    attached_to: str | None = None

    def status(self, *, now: datetime) -> str:
        if self.shown_status is not None:
            return self.shown_status
        if self.ended_at is not None:
            return "removed"
        if self.ending_since is not None:
            return "removing"
        return "ready" if now >= self.ready_at else "new"


@dataclass(slots=True)
class Disk(Outliving):
    """A boot or data volume."""

    gigabytes: int = 0
    boot: bool = False


@dataclass(slots=True)
class Address(Outliving):
    """A public address."""

    address: str = ""


AnyPart = CloudVm | Disk | Address

RESOURCE_TYPES: dict[type[Part], str] = {CloudVm: "VM", Disk: "STORAGE", Address: "PUBLIC_IP"}
ACTIONS_OF_VM: dict[str, tuple[str, ...]] = {
    "launched": (
        "addPublicIp",
        "removePublicIp",
        "addStorages",
        "removeStorages",
        "updateNetworkInterface",
        "restart",
        "softReboot",
        "terminate",
    ),
    "failed": ("terminate",),
    "suspended": ("terminate",),
}
"""What may be done to a VM, by its status; nothing in any other."""


def actions_of(part: AnyPart, *, now: datetime) -> tuple[str, ...]:
    """What the marketplace would do with the part if it were asked now."""
    status = part.status(now=now)
    if isinstance(part, CloudVm):
        return ACTIONS_OF_VM.get(status, ())
    if status != "ready":
        return ("delete",) if status == "failed" and part.attached_to is None else ()
    return ("update",) if part.attached_to is not None else ("update", "delete", "attachToVm")


def paid_window(part: Part, *, now: datetime) -> tuple[datetime, datetime] | None:
    """The hour that counts as paid: hours run from creation; nothing is paid of a VM that is only a draft."""
    if isinstance(part, CloudVm) and part.draft:
        return None
    hour, until = timedelta(hours=1), now if part.ended_at is None else part.ended_at
    last = part.created_at + (until - part.created_at) // hour * hour
    return last, last + hour
