"""The machines of the marketplace: what they are made of and where they stand in their life."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LAUNCHING = "Launching"
ACTIVE = "Active"
SMALL_BALANCE = "SmallBalance"
TERMINATED = "Terminated"
STOPPED = "Stopped"
UNBILLED_STATUSES = ("terminated", "stopped", "insufficientfunds")

VCPU = {"manufacturer": "AMD", "brand": "EPYC", "architecture": "Zen", "generation": "2"}
DATACENTERS: tuple[dict[str, Any], ...] = (
    {"countryCode": "PL", "cityCode": "WAW", "cityIndex": 1, "tier": 3, "certifications": ["ISO 27001"]},
    {"countryCode": "US", "cityCode": "SEA", "cityIndex": 1, "tier": 3, "certifications": ["SOC 2", "ISO 27001"]},
    {"countryCode": "CA", "cityCode": "YTO", "cityIndex": 2, "tier": 2, "certifications": []},
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One part of a VM; RAM and STORAGE count in MiB here, each generation writes them its own way."""

    type: str
    quantity: int
    metadata: dict[str, Any]
    details: dict[str, Any] | None = None
    """None where the provider says nothing: left out in `vms-v2`, null in `vms-v3`."""


@dataclass(frozen=True, slots=True)
class Due:
    """The price of an epoch that has begun and is not booked yet."""

    epoch_start: datetime
    epoch_end: datetime
    price: int


@dataclass(slots=True)
class Vm:
    """A rented machine, or the record that is left of one."""

    number: int
    id: str
    account: str
    name: str
    price: int
    decimals: int
    created_at: datetime
    active_at: datetime
    listed_at: datetime
    next_boundary: datetime
    status: str
    status_changed_at: datetime
    resources: tuple[Resource, ...]
    os_image: str | None
    datacenter: dict[str, Any] | None
    public_ip: str | None
    ports: list[dict[str, Any]] | None
    shown_status: str | None = None
    shown_billed: bool = True
    deleting_since: datetime | None = None
    ended_at: datetime | None = None
    removed: bool = False
    late: list[Due] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Rented: neither ended by its provider nor deleted by its user."""
        return self.ended_at is None

    @property
    def reported_status(self) -> str:
        return self.status if self.shown_status is None else self.shown_status

    @property
    def has_address(self) -> bool:
        return self.live and self.status != LAUNCHING

    def listed(self, *, now: datetime) -> bool:
        return not self.removed and self.listed_at <= now

    def change_status(self, status: str, *, now: datetime) -> None:
        if status != self.status:
            self.status = status
            self.status_changed_at = now


def resources(
    *, vcpu: int = 2, ram_mib: int = 4096, storage_mib: int = 25600, public_ips: int = 1
) -> tuple[Resource, ...]:
    """The parts of a usual VM."""
    parts = (
        Resource("VCPU", vcpu, dict(VCPU), {"model": "7702p"}),
        Resource("RAM", ram_mib, {"type": "DDR", "generation": "4"}, {}),
        Resource("STORAGE", storage_mib, {"type": "SSD"}),
        Resource("PUBLIC_IP", public_ips, {"version": "4"}, {}),
    )
    return tuple(part for part in parts if part.quantity)


def address_like(*words: object, length: int = 40) -> str:
    """A mixed-case hexadecimal address, the same for the same words."""
    digest = hashlib.sha512("/".join(str(word) for word in words).encode()).hexdigest()
    digits, cases = digest[:length], digest[-length:]
    return "0x" + "".join(d.upper() if c in "89abcdef" else d for d, c in zip(digits, cases, strict=True))


def datacenter_of(number: int) -> dict[str, Any]:
    return dict(DATACENTERS[number % len(DATACENTERS)])


def public_ip_of(number: int) -> str:
    """An address of the block for documentation, so that nobody is ever called by it."""
    return f"203.0.113.{number % 254 + 1}"
