"""The metered cloud: what its users and its provider do to VMs, disks and addresses. Each thing happens at `now`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from .books import Books
from .catalogue import ADDRESS_TYPE, DISK_TYPES, PLANS, Catalogue, Cluster, Wanted, made_id
from .fleet import public_ip_of
from .meter import Meter, hourly_micros
from .options import Options
from .parts import Address, AnyPart, CloudVm, Disk, Outliving, actions_of
from .refusals import NoSuch, Refused
from .timeline import AFTERWARDS, Timeline

LAUNCH_HOURS = 6
"""A VM is started only where the balance covers that many hours of everything."""
UNBILLED_STATUSES = ("draft", "terminated", "removed")


@dataclass(frozen=True, slots=True)
class DiskOrder:
    """A disk to be made together with its VM: dollars per hour for the whole of it."""

    price: str
    gigabytes: int
    kind: str | None = None

    @property
    def wanted(self) -> Wanted:
        if self.gigabytes < 1:
            raise ValueError(f"a disk has at least one gigabyte, not {self.gigabytes}")
        return Wanted(DISK_TYPES if self.kind is None else (self.kind,), hourly_micros(self.price) / self.gigabytes)


class Cloud:
    """Every part that ever was, of all accounts, oldest first."""

    def __init__(self, options: Options, *, timeline: Timeline, books: Mapping[str, Books]) -> None:
        self.catalogue = Catalogue()
        self._options = options
        self._timeline = timeline
        self._books = books
        self._parts: list[AnyPart] = []
        self._handles: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        return self._timeline.now

    def parts(self, account: str | None = None) -> list[AnyPart]:
        return [part for part in self._parts if account in (None, part.account)]

    def listed(self, account: str) -> list[AnyPart]:
        """What the account's lists show now, ended parts too."""
        hidden = [part.id for part in self._parts if isinstance(part, CloudVm) and part.discarded]
        return [p for p in self._parts if p.account == account and p.listed_at <= self.now and p.id not in hidden]

    def find(self, word: str, *, account: str | None = None) -> AnyPart:
        """The part of that script handle, id or unique name; NoSuch where there is none."""
        word = self._handles.get(word, word)
        candidates = self.parts(account)
        if exact := [part for part in candidates if part.id.lower() == word.lower()]:
            return exact[0]
        named = [part for part in candidates if part.name == word]
        live = [part for part in named if part.live]
        chosen = live if len(named) > 1 else named
        if len(chosen) != 1:
            raise NoSuch(f"{'no' if not named else 'more than one'} VM, disk or address {word!r}")
        return chosen[0]

    def meter_of(self, part: AnyPart) -> Meter | None:
        """None for a VM that has never been more than a draft."""
        return self._books[part.account].meter(part.id)

    # What users do.

    def create_vm(
        self,
        *,
        account: str,
        name: str,
        price: str,
        disks: Sequence[DiskOrder] = (),
        ip_price: str | None = None,
        plan: str | None = None,
        cluster: str | None = None,
        draft: bool = False,
        id: str | None = None,
        handle: str | None = None,
    ) -> CloudVm:
        """A VM with disks, the first of which it boots from, and an address. Refused where the balance is too short."""
        wanted = [Wanted(PLANS if plan is None else (plan,), hourly_micros(price)), *(disk.wanted for disk in disks)]
        if ip_price is not None:
            wanted.append(Wanted((ADDRESS_TYPE,), hourly_micros(ip_price)))
        more = [price, *(disk.price for disk in disks), *([] if ip_price is None else [ip_price])]
        if not draft:
            self._afford(account, sum((hourly_micros(text) for text in more), Fraction(0)))
        place, kinds = self.catalogue.place(wanted, cluster=cluster)
        vm = CloudVm(**self._common("vm", account, name, price, place, kinds[0], id=id), draft=draft)
        self._add(vm, handle=handle, billed=not draft)
        for index, (order, kind) in enumerate(zip(disks, kinds[1:], strict=False)):
            label = "boot" if index == 0 else f"data-{index}"
            disk = self._add_disk(account, f"{name}-{label}", order, place, kind, boot=index == 0)
            self._attach(disk, vm)
        if ip_price is not None:
            self._attach(self._add_address(account, f"{name}-ip", ip_price, place), vm)
        return vm

    def create_disk(
        self,
        *,
        account: str,
        name: str,
        order: DiskOrder,
        cluster: str | None = None,
        id: str | None = None,
        handle: str | None = None,
    ) -> Disk:
        """A data disk that nothing uses yet."""
        place, kinds = self.catalogue.place([order.wanted], cluster=cluster)
        return self._add_disk(account, name, order, place, kinds[0], boot=False, id=id, handle=handle)

    def create_address(
        self,
        *,
        account: str,
        name: str,
        price: str,
        cluster: str | None = None,
        id: str | None = None,
        handle: str | None = None,
    ) -> Address:
        """An address that nothing uses yet."""
        place, _ = self.catalogue.place([Wanted((ADDRESS_TYPE,), hourly_micros(price))], cluster=cluster)
        return self._add_address(account, name, price, place, id=id, handle=handle)

    def provision(self, vm: CloudVm) -> None:
        """Turn a draft into a VM, which bills from now on."""
        if not vm.draft or not vm.live:
            raise Refused(f"{vm.id} is no draft", code="not_acceptable")
        self._afford(vm.account, hourly_micros(vm.price))
        vm.draft, vm.ready_at = False, self.now + self._options.launch_time
        self._start_meter(vm)
        self._touch(vm)

    def discard(self, vm: CloudVm) -> None:
        """Throw a draft away, and its address with it."""
        if vm.status(now=self.now) != "draft" or not vm.live:
            raise Refused("only a draft can be discarded", code="not_acceptable")
        vm.discarded = True
        self._finish(vm)
        for part in self._parts:
            if isinstance(part, Address) and part.account == vm.account and part.id == vm.address:
                self._finish(part)

    def delete(self, part: AnyPart) -> None:
        """Have it end in its own time; Refused in a status that does not allow it, or while a VM uses it."""
        if not isinstance(part, CloudVm) and part.live and part.attached_to is not None:
            raise Refused(f"{part.id} is attached to a VM", code="attached_to_vm")
        wanted = "terminate" if isinstance(part, CloudVm) else "delete"
        if wanted not in actions_of(part, now=self.now):
            raise Refused(f"{part.id} is not in a status to {wanted}", code="not_acceptable")
        part.shown_status = None
        part.ending_since = self.now
        self._touch(part)
        self._timeline.schedule(self.now + self._options.delete_latency, AFTERWARDS, lambda: self._finish(part))

    def detach(self, part: AnyPart) -> None:
        """Let a VM no longer use a data disk or an address."""
        if isinstance(part, CloudVm) or part.attached_to is None:
            raise Refused(f"{part.id} is not attached", code="not_acceptable")
        vm = self._own(part, part.attached_to)
        if part.id == vm.boot_disk:
            raise Refused(f"{vm.id} boots from {part.id}", code="not_acceptable")
        vm.data_disks = [disk for disk in vm.data_disks if disk != part.id]
        vm.address = None if vm.address == part.id else vm.address
        part.attached_to = None
        self._touch(vm)
        self._touch(part)

    def attach(self, part: AnyPart, vm: AnyPart) -> None:
        """Let a VM use a disk or an address that is free."""
        if isinstance(part, CloudVm) or not isinstance(vm, CloudVm) or not (part.live and vm.live):
            raise Refused(f"{part.id} cannot be attached to {vm.id}", code="not_acceptable")
        if part.attached_to is not None or (isinstance(part, Address) and vm.address is not None):
            raise Refused(f"{part.id} or {vm.id} is taken", code="not_acceptable")
        self._attach(part, vm)
        self._touch(vm)

    def rename(self, part: AnyPart, name: str) -> None:
        part.name = name
        self._touch(part)

    # What the provider does.

    def set_price(self, part: AnyPart, price: str) -> None:
        """Dollars per hour from now on. The list price follows where no other live part has the same."""
        rate, gigabytes = hourly_micros(price), part.gigabytes if isinstance(part, Disk) else 1
        part.price = price
        if (meter := self.meter_of(part)) is not None and part.live:
            meter.set_rate(rate, at=self.now)
        same = [p for p in self._parts if p.live and (p.cluster, p.kind) == (part.cluster, part.kind)]
        if same == [part]:
            part.cluster.prices[part.kind] = rate / gigabytes

    def end(self, part: AnyPart) -> None:
        """Take it away at once, whoever uses it."""
        if not part.live:
            raise Refused(f"{part.id} has ended already")
        self._finish(part)

    def fail(self, part: AnyPart) -> None:
        """Show it as failed; it is billed on."""
        if isinstance(part, CloudVm):
            part.failed = True
        else:
            part.shown_status = "failed"
        self._touch(part)

    def override_status(self, part: AnyPart, status: str | None, *, billed: bool | None = None) -> None:
        """Show this status whatever is true (None: the truth again); one that nobody pays for stops the meter."""
        part.shown_status = status
        pays = (status or "").lower() not in UNBILLED_STATUSES if billed is None else billed
        if (meter := self.meter_of(part)) is not None and part.live:
            meter.set_rate(hourly_micros(part.price) if pays else Fraction(0), at=self.now)
        self._touch(part)

    def _add_disk(
        self,
        account: str,
        name: str,
        order: DiskOrder,
        place: Cluster,
        kind: str,
        *,
        boot: bool,
        id: str | None = None,
        handle: str | None = None,
    ) -> Disk:
        common = self._common("disk", account, name, order.price, place, kind, id=id)
        disk = Disk(**common, gigabytes=order.gigabytes, boot=boot)
        self._add(disk, handle=handle)
        return disk

    def _add_address(
        self,
        account: str,
        name: str,
        price: str,
        place: Cluster,
        *,
        id: str | None = None,
        handle: str | None = None,
    ) -> Address:
        common = self._common("address", account, name, price, place, ADDRESS_TYPE, id=id)
        address = Address(**common, address=public_ip_of(common["number"]))
        self._add(address, handle=handle)
        return address

    def _common(
        self, sort: str, account: str, name: str, price: str, place: Cluster, kind: str, *, id: str | None
    ) -> dict[str, Any]:
        number = len(self._parts) + 1
        id = made_id(account, sort, number) if id is None else id
        if any(other.id.lower() == id.lower() for other in self.parts(account)):
            raise Refused(f"the account has or had {id}")
        return {
            "number": number,
            "id": id,
            "account": account,
            "name": name,
            "cluster": place,
            "kind": kind,
            "price": price,
            "created_at": self.now,
            "ready_at": self.now + self._options.launch_time,
            "listed_at": self.now + self._options.listing_delay,
            "updated_at": self.now,
        }

    def _add(self, part: AnyPart, *, handle: str | None = None, billed: bool = True) -> None:
        self._parts.append(part)
        if handle is not None:
            self._handles[handle] = part.id
        if billed:
            self._start_meter(part)

    def _start_meter(self, part: AnyPart) -> None:
        self._books[part.account].add_meter(part.id, Meter(hourly_micros(part.price), at=self.now))

    def _attach(self, part: Outliving, vm: CloudVm) -> None:
        part.attached_to = vm.id
        if isinstance(part, Address):
            vm.address = part.id
        elif isinstance(part, Disk) and part.boot and vm.boot_disk is None:
            vm.boot_disk = part.id
        else:
            vm.data_disks.append(part.id)
        part.updated_at = self.now

    def _finish(self, part: AnyPart) -> None:
        if not part.live:
            return
        part.ended_at, part.shown_status = self.now, None
        if (meter := self.meter_of(part)) is not None:
            meter.stop(at=self.now)
        self._touch(part)
        if isinstance(part, CloudVm):
            for other in self._parts:
                if not isinstance(other, CloudVm) and (other.account, other.attached_to) == (part.account, part.id):
                    other.attached_to = None
        elif part.attached_to is not None:
            vm = self._own(part, part.attached_to)
            vm.data_disks = [disk for disk in vm.data_disks if disk != part.id]
            vm.boot_disk = None if vm.boot_disk == part.id else vm.boot_disk
            vm.address = None if vm.address == part.id else vm.address
            part.attached_to = None

    def _own(self, part: AnyPart, vm: str) -> CloudVm:
        return next(p for p in self._parts if isinstance(p, CloudVm) and (p.account, p.id) == (part.account, vm))

    def _touch(self, part: AnyPart) -> None:
        part.updated_at = self.now

    def _afford(self, account: str, more: Fraction) -> None:
        books = self._books[account]
        if books.free(at=self.now) < LAUNCH_HOURS * (books.rate + more):
            raise Refused(f"balance too short: {LAUNCH_HOURS} hours of everything needed", code="insufficient_balance")
