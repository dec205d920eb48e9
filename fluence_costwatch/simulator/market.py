"""The marketplace itself: accounts, their fleets, and everything that falls due, settled in time order."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from . import fleet
from .books import Books, decimals_of, micros_of
from .clock import Clock
from .cloud import Cloud
from .debt import Debts
from .fleet import Due, Resource, Vm
from .gpu import GpuCloud
from .keys import Keys
from .options import Options
from .refusals import NoSuch, Refused
from .timeline import AFTERWARDS, BOUNDARY, Timeline


class Market:
    """Whole and consistent at the instant up to which it has settled; not safe for several threads at once."""

    def __init__(self, options: Options, *, clock: Clock) -> None:
        self.options = options
        self.timeline = Timeline(clock)
        self.books = {
            account.name: Books(opening=micros_of(account.balance), at=self.now) for account in options.accounts
        }
        self.keys = Keys(options.accounts)
        self.maintenance = False
        self.cloud = Cloud(options, timeline=self.timeline, books=self.books)
        self.gpu = GpuCloud(options, timeline=self.timeline, books=self.books)
        self._debts = Debts(self.cloud, timeline=self.timeline, books=self.books)
        self._vms: list[Vm] = []
        self._rented: list[Vm] = []
        self._handles: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        return self.timeline.now

    @property
    def clock(self) -> Clock:
        return self.timeline.clock

    def settle(self) -> datetime:
        """Let everything happen that is due by now, each at its own instant and in time order; returns now."""
        return self.timeline.settle(self.review)

    def schedule(self, at: datetime, rank: int, act: Callable[[], None]) -> None:
        """Let `act` happen when time gets to `at`."""
        self.timeline.schedule(at, rank, act)

    def vms(self, account: str | None = None) -> list[Vm]:
        """Every VM that ever was, oldest first, of one account or of all."""
        if account is not None:
            self.books_of(account)
        return [vm for vm in self._vms if account in (None, vm.account)]

    def listed(self, account: str) -> list[Vm]:
        """What the account's list shows now: live VMs and records that nobody has removed."""
        return [vm for vm in self._vms if vm.account == account and vm.listed(now=self.now)]

    def find(self, word: str, *, account: str | None = None) -> Vm:
        """The VM of that script handle, id (in any case) or unique name; NoSuch where there is none."""
        word = self._handles.get(word, word)
        candidates = [vm for vm in self._vms if account in (None, vm.account)]
        for vm in candidates:
            if vm.id.lower() == word.lower():
                return vm
        named = [vm for vm in candidates if vm.name == word and not vm.removed]
        if len(named) != 1:
            raise NoSuch(f"{'no' if not named else 'more than one'} VM {word!r}")
        return named[0]

    def books_of(self, account: str) -> Books:
        if account not in self.books:
            raise NoSuch(f"no account {account!r}")
        return self.books[account]

    def next_charge(self, vm: Vm, *, answer: int) -> datetime | None:
        """What an answer says about a VM's next charge: the oldest one that is late, else the next boundary."""
        if not vm.live:
            return None
        if self.options.policy == "per_vm" and self.now < vm.active_at:
            if not self.options.next_billing_while_launching:
                return None
            truth = vm.created_at + self.options.epoch
        else:
            truth = vm.late[0].epoch_start if vm.late else vm.next_boundary
        limit = int(self.options.next_billing_wobble.total_seconds())
        return truth + timedelta(seconds=random.Random(f"{answer}/{vm.id}").randint(-limit, limit))

    # What users, the provider and the script do. Each happens at `self.now`.

    def create(
        self,
        *,
        name: str,
        price: str,
        account: str | None = None,
        vm: str | None = None,
        id: str | None = None,
        resources: tuple[Resource, ...] | None = None,
        details: dict[str, Any] | None = None,
    ) -> Vm:
        """Rent a VM: its first epoch is paid at once, another one reserved. Refused where the balance is too short.

        The marketplace counts whole seconds, as a chain's blocks do. `vm` is a handle for the script to name it by.
        """
        account = next(iter(self.books)) if account is None else account
        books, details, number = self.books_of(account), details or {}, len(self._vms) + 1
        id = fleet.address_like(account, number) if id is None else id
        if any(other.id.lower() == id.lower() for other in self._vms if other.account == account):
            raise Refused(f"the account has or had a VM {id}")
        micros = micros_of(price)
        if books.free(at=self.now) < 2 * micros:
            raise Refused(f"balance too short: two epochs of {price} needed")
        created = self.now.replace(microsecond=0)
        active = (created + self.options.launch_time).replace(microsecond=0)
        launching = active > created
        datacenter = {"id": fleet.address_like("datacenter", number % 3, length=64), **fleet.datacenter_of(number)}
        rented = Vm(
            number=number,
            id=id,
            account=account,
            name=name,
            price=micros,
            decimals=decimals_of(price),
            created_at=created,
            active_at=active,
            listed_at=self.now + self.options.listing_delay,
            next_boundary=self._first_boundary(created=created, active=active),
            status=fleet.LAUNCHING if launching else fleet.ACTIVE,
            status_changed_at=created,
            resources=fleet.resources() if resources is None else resources,
            os_image=details.get("os_image", "https://images.example.net/ubuntu-24.04.img"),
            datacenter=details.get("datacenter", datacenter),
            public_ip=details.get("public_ip", fleet.public_ip_of(number)),
            ports=details.get("ports", [{"port": 22, "protocol": "tcp"}]),
        )
        self._vms.append(rented)
        self._rented.append(rented)
        if vm is not None:
            self._handles[vm] = id
        books.charge(id, micros, epoch_start=created, epoch_end=rented.next_boundary, at=self.now)
        books.fill_reserve(id, micros, at=self.now)
        self._schedule_boundary(rented)
        if launching:
            self.schedule(active, AFTERWARDS, lambda: self._activate(rented))
        self.review()
        return rented

    def delete(self, vm: Vm) -> None:
        """Delete a VM, in its own time, or at once the record that is left of one. A second call changes nothing."""
        if not vm.live:
            self._remove(vm)
        elif vm.deleting_since is None:
            vm.deleting_since = self.now
            if self.options.delete_latency:
                self.schedule(self.now + self.options.delete_latency, AFTERWARDS, lambda: self._finish_delete(vm))
            else:
                self._finish_delete(vm)

    def set_price(self, vm: Vm, price: str) -> None:
        """From the next epoch on; the one that runs is paid."""
        vm.price, vm.decimals = micros_of(price), decimals_of(price)
        self.review()

    def rename(self, vm: Vm, name: str) -> None:
        vm.name = name

    def terminate(self, vm: Vm) -> None:
        """The provider ends the VM: a record stays, and its reserve with it, until that is deleted."""
        if not vm.live:
            raise Refused(f"{vm.id} has ended already")
        self._book_late(vm)
        self._end(vm, fleet.TERMINATED)

    def override_status(self, vm: Vm, status: str | None, *, billed: bool | None = None) -> None:
        """Show this status whatever is true (None: the truth again); one that nobody pays for stops the charges."""
        vm.shown_status = status
        vm.shown_billed = (status or "").lower() not in fleet.UNBILLED_STATUSES if billed is None else billed
        vm.status_changed_at = self.now

    def top_up(self, amount: str, *, account: str | None = None) -> None:
        """Put money on the account; reserves that were used are filled again at once."""
        self.books_of(next(iter(self.books)) if account is None else account).top_up(micros_of(amount), at=self.now)
        for vm in self._rented:
            if vm.live:
                self.books[vm.account].fill_reserve(vm.id, vm.price, at=self.now)
        self.gpu.refill()
        self.review()

    # What falls due by itself.

    def _first_boundary(self, *, created: datetime, active: datetime) -> datetime:
        if self.options.policy == "per_vm":
            return active + self.options.epoch
        return self.options.next_boundary(created)

    def _schedule_boundary(self, vm: Vm) -> None:
        self.schedule(vm.next_boundary, BOUNDARY, lambda: self._pass_boundary(vm))

    def _activate(self, vm: Vm) -> None:
        if vm.live and vm.status == fleet.LAUNCHING:
            vm.change_status(fleet.ACTIVE, now=self.now)

    def _pass_boundary(self, vm: Vm) -> None:
        if not vm.live:
            return
        due = Due(vm.next_boundary, vm.next_boundary + self.options.epoch, vm.price)
        vm.next_boundary = due.epoch_end
        self._schedule_boundary(vm)
        if vm.shown_billed:
            vm.late.append(due)
            if self.options.charge_delay:
                self.schedule(self.now + self.options.charge_delay, BOUNDARY, lambda: self._book(vm, due))
            else:
                self._book(vm, due)

    def _book(self, vm: Vm, due: Due) -> None:
        """Charge an epoch that has begun, unless that is done; without money for it the provider ends the VM."""
        if due not in vm.late:
            return
        vm.late.remove(due)
        books = self.books[vm.account]
        paid = books.charge(vm.id, due.price, epoch_start=due.epoch_start, epoch_end=due.epoch_end, at=self.now)
        if not paid and vm.live:
            vm.late.clear()
            self._end(vm, fleet.TERMINATED)
        elif vm.live:
            books.fill_reserve(vm.id, vm.price, at=self.now)

    def _book_late(self, vm: Vm) -> None:
        for due in tuple(vm.late):
            self._book(vm, due)

    def _finish_delete(self, vm: Vm) -> None:
        self._book_late(vm)
        if not vm.live:
            self._remove(vm)
            return
        self._end(vm, fleet.STOPPED)
        if self.options.keep_stopped:
            self.books[vm.account].refund(vm.id, at=self.now)
        else:
            self._remove(vm)

    def _remove(self, vm: Vm) -> None:
        self.books[vm.account].refund(vm.id, at=self.now)
        vm.removed = True
        self.review()

    def _end(self, vm: Vm, status: str) -> None:
        vm.ended_at = self.now
        vm.shown_status = None
        vm.change_status(status, now=self.now)

    def review(self) -> None:
        """Say `SmallBalance` of each VM whose next epoch the balance could not pay; let debts have their consequences."""
        if self.options.debt_rules:
            self._debts.review()
        self._rented = [vm for vm in self._rented if vm.live]
        free = {account: self.books[account].free(at=self.now) for account in {vm.account for vm in self._rented}}
        for vm in self._rented:
            if vm.status != fleet.LAUNCHING:
                short = free[vm.account] < vm.price
                vm.change_status(fleet.SMALL_BALANCE if short else fleet.ACTIVE, now=self.now)
