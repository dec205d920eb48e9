"""The GPU cloud: prepaid clock hours, three of which are taken on deployment, one paid and two held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from .books import Books, micros_of
from .catalogue import made_id
from .options import ORIGIN, Options
from .refusals import NoSuch, Refused
from .timeline import AFTERWARDS, BOUNDARY, Timeline

GpuKind = Literal["container", "vm", "baremetal"]
GPU_KINDS: tuple[str, ...] = get_args(GpuKind)
INITIALIZED = "INITIALIZED"
ACTIVE = "ACTIVE"
FAILED = "FAILED"
ENDED = "ENDED"
HELD_EPOCHS = 2


@dataclass(slots=True)
class GpuInstance:
    """A container, VM or bare-metal machine with a GPU, or the history of one."""

    number: int
    id: str
    account: str
    kind: str
    name: str
    price: int
    created_at: datetime
    updated_at: datetime
    listed_at: datetime
    next_boundary: datetime
    status: str
    shown_status: str | None = None
    deleting_since: datetime | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        return self.status in (INITIALIZED, ACTIVE)

    @property
    def reported_status(self) -> str:
        return self.status if self.shown_status is None else self.shown_status


class GpuCloud:
    """Every instance that ever was, of all accounts, oldest first."""

    def __init__(self, options: Options, *, timeline: Timeline, books: Mapping[str, Books]) -> None:
        self._options = options
        self._timeline = timeline
        self._books = books
        self._instances: list[GpuInstance] = []
        self._handles: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        return self._timeline.now

    def instances(self, account: str | None = None) -> list[GpuInstance]:
        return [instance for instance in self._instances if account in (None, instance.account)]

    def listed(self, account: str, kind: str) -> list[GpuInstance]:
        """What the account's list of that kind shows now, history too."""
        return [i for i in self._instances if (i.account, i.kind) == (account, kind) and i.listed_at <= self.now]

    def find(self, word: str, *, account: str | None = None) -> GpuInstance:
        """The instance of that script handle, id or unique name; NoSuch where there is none."""
        word = self._handles.get(word, word)
        candidates = self.instances(account)
        if exact := [instance for instance in candidates if instance.id.lower() == word.lower()]:
            return exact[0]
        named = [instance for instance in candidates if instance.name == word]
        live = [instance for instance in named if instance.live]
        chosen = live if len(named) > 1 else named
        if len(chosen) != 1:
            raise NoSuch(f"{'no' if not named else 'more than one'} GPU instance {word!r}")
        return chosen[0]

    def create(
        self,
        *,
        account: str,
        kind: str,
        name: str,
        price: str,
        environment: dict[str, str] | None = None,
        id: str | None = None,
        handle: str | None = None,
    ) -> GpuInstance:
        """Deploy: the hour that runs is paid at once, two more are held. Refused where the balance is too short."""
        if kind not in GPU_KINDS:
            raise ValueError(f"kind: one of {', '.join(GPU_KINDS)}, not {kind!r}")
        books, number = self._books[account], len(self._instances) + 1
        id = made_id(account, "gpu", number) if id is None else id
        if any(other.id.lower() == id.lower() for other in self.instances(account)):
            raise Refused(f"the account has or had {id}")
        micros = micros_of(price)
        if books.free(at=self.now) < (1 + HELD_EPOCHS) * micros:
            raise Refused(f"balance too short: {1 + HELD_EPOCHS} hours of {price} needed")
        launching = bool(self._options.launch_time)
        instance = GpuInstance(
            number=number,
            id=id,
            account=account,
            kind=kind,
            name=name,
            price=micros,
            created_at=self.now,
            updated_at=self.now,
            listed_at=self.now + self._options.listing_delay,
            next_boundary=self._boundary_after(self.now),
            status=INITIALIZED if launching else ACTIVE,
            environment={"API_TOKEN": f"secret-of-{name}"} if environment is None else environment,
        )
        self._instances.append(instance)
        if handle is not None:
            self._handles[handle] = id
        books.charge(id, micros, epoch_start=self.now, epoch_end=instance.next_boundary, at=self.now)
        books.fill_reserve(id, HELD_EPOCHS * micros, at=self.now)
        self._schedule_boundary(instance)
        if launching:
            activation = self.now + self._options.launch_time
            self._timeline.schedule(activation, AFTERWARDS, lambda: self._activate(instance))
        return instance

    def delete(self, instance: GpuInstance) -> None:
        """Have an active one end in its own time; Refused for any other."""
        if instance.status != ACTIVE or instance.deleting_since is not None:
            raise Refused("Only active instances can be terminated", code="not_active")
        instance.deleting_since = self.now
        if self._options.delete_latency:
            end = self.now + self._options.delete_latency
            self._timeline.schedule(end, AFTERWARDS, lambda: self._end(instance, ENDED))
        else:
            self._end(instance, ENDED)

    def end(self, instance: GpuInstance) -> None:
        """The provider ends it."""
        if not instance.live:
            raise Refused(f"{instance.id} has ended already")
        self._end(instance, ENDED)

    def fail(self, instance: GpuInstance) -> None:
        """Provisioning failed: everything that was charged or held is given back."""
        if not instance.live:
            raise Refused(f"{instance.id} has ended already")
        self._end(instance, FAILED)
        self._books[instance.account].reverse(instance.id, at=self.now)

    def set_price(self, instance: GpuInstance, price: str) -> None:
        """From the next hour on; the one that runs is paid."""
        instance.price = micros_of(price)
        instance.updated_at = self.now

    def rename(self, instance: GpuInstance, name: str) -> None:
        instance.name = name
        instance.updated_at = self.now

    def override_status(self, instance: GpuInstance, status: str | None) -> None:
        """Show this status whatever is true; None shows the truth again."""
        instance.shown_status = status
        instance.updated_at = self.now

    def refill(self) -> None:
        """Fill reserves that were used, as far as the balance goes."""
        for instance in self._instances:
            if instance.live:
                self._fill(instance)

    def _boundary_after(self, moment: datetime) -> datetime:
        epoch = self._options.gpu_epoch
        return ORIGIN + ((moment - ORIGIN) // epoch + 1) * epoch

    def _schedule_boundary(self, instance: GpuInstance) -> None:
        self._timeline.schedule(instance.next_boundary, BOUNDARY, lambda: self._pass_boundary(instance))

    def _activate(self, instance: GpuInstance) -> None:
        if instance.status == INITIALIZED:
            instance.status = ACTIVE
            instance.updated_at = self.now

    def _pass_boundary(self, instance: GpuInstance) -> None:
        """Charge the hour that begins; without money for it the instance ends."""
        if not instance.live:
            return
        start = instance.next_boundary
        instance.next_boundary = end = start + self._options.gpu_epoch
        books = self._books[instance.account]
        if not books.charge(instance.id, instance.price, epoch_start=start, epoch_end=end, at=self.now):
            self._end(instance, ENDED)
            return
        self._fill(instance)
        self._schedule_boundary(instance)

    def _fill(self, instance: GpuInstance) -> None:
        """Both hours if the balance has them, else one."""
        books = self._books[instance.account]
        any(books.fill_reserve(instance.id, n * instance.price, at=self.now) for n in range(HELD_EPOCHS, 0, -1))

    def _end(self, instance: GpuInstance, status: str) -> None:
        if instance.live:
            instance.status, instance.shown_status = status, None
            instance.updated_at = self.now
            self._books[instance.account].refund(instance.id, at=self.now)
