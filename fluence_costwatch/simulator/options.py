"""What can be set before a simulated marketplace starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Literal

from .books import micros_of
from .script import Script

ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

Policy = Literal["global", "per_vm"]
Flavour = Literal["seed", "rich", "transition"]
DeleteBody = Literal["vmId", "vmIds", "both"]
Auth = Literal["both", "x-api-key", "bearer"]
Spec = Literal["0.8", "0.10", "0.13"]
NotFound = Literal["json", "html"]

POLICIES: tuple[Policy, ...] = ("global", "per_vm")
FLAVOURS: tuple[Flavour, ...] = ("seed", "rich", "transition")
DELETE_BODIES: tuple[DeleteBody, ...] = ("vmId", "vmIds", "both")
AUTHS: tuple[Auth, ...] = ("both", "x-api-key", "bearer")
SPECS: tuple[Spec, ...] = ("0.8", "0.10", "0.13")
NOT_FOUNDS: tuple[NotFound, ...] = ("json", "html")
GENERATIONS: tuple[str, ...] = ("vms-v2", "vms-v3")
"""What a marketplace speaks unless told otherwise."""
ALL_GENERATIONS: tuple[str, ...] = (*GENERATIONS, "cloud-v2", "gpu")

_SPANS = ("delete_latency", "launch_time", "listing_delay", "charge_delay", "next_billing_wobble", "charges_lag")


@dataclass(frozen=True, slots=True)
class AccountOptions:
    """One customer: the keys that open the account, and the dollars on it at the start.

    A key may do everything unless `scopes` names what it may. `generations` narrows down what the marketplace speaks.
    """

    name: str = "main"
    keys: tuple[str, ...] = ("demo-key",)
    balance: str = "1000"
    scopes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    generations: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """A simulated marketplace before it starts; `ValueError` says what cannot be."""

    port: int = 0
    accounts: tuple[AccountOptions, ...] = (AccountOptions(),)
    auth: Auth = "both"
    generations: tuple[str, ...] = GENERATIONS
    start: datetime | None = None
    """Where the clock starts; None is the real time."""
    held: bool = False
    """The clock stands still until it is set, advanced or run over the control API."""
    epoch: timedelta = timedelta(hours=24)
    policy: Policy = "global"
    """`global`: all pay at `1970-01-01T<anchor>Z + k * epoch`; `per_vm`: each pays from its own activation on."""
    anchor: time = time(17, 55)
    flavour: Flavour = "seed"
    """How `GET /vms/v2` looks: the first page's object, the richer one of days later, or the one before `vms-v3`."""
    delete_body: DeleteBody = "both"
    delete_latency: timedelta = timedelta()
    """A deleted VM stays listed for that long, and pays when a boundary passes meanwhile."""
    keep_stopped: bool = False
    """A VM that its user deleted stays in the `vms-v3` list as `Stopped`."""
    launch_time: timedelta = timedelta()
    """How long a new VM is `Launching`."""
    listing_delay: timedelta = timedelta()
    """How long a new VM is missing from the lists."""
    next_billing_while_launching: bool = True
    """With `per_vm`: whether a charge time is reported (provisionally, from creation) before activation."""
    charge_delay: timedelta = timedelta()
    """A boundary's charge is booked that late; the reported next charge lies in the past meanwhile."""
    next_billing_wobble: timedelta = timedelta()
    """The reported next charge is off by up to that much, differently in each answer."""
    spec: Spec = "0.10"
    """Which specification `cloud-v2` follows: prices and `allowedActions` since 0.10, drafts under `/v3/vms` since 0.13."""
    prices_shown: bool = True
    """Whether VMs, disks and addresses say their own price; else only the price lists tell."""
    paid_window: bool = True
    """Whether `lastPaidAt` and `paidUntil` are filled in, with hours since creation."""
    page_base: int = 1
    """The number of the first page, 0 or 1."""
    page_size: int = 20
    max_page_size: int = 100
    charges_lag: timedelta = timedelta()
    """Usage younger than that is not in the charges yet."""
    balance_keys: tuple[str, ...] = ("credits",)
    """The entries of the balance, by `featureKey`: the first has all the money."""
    debt_rules: bool = False
    """Whether unpaid debt removes VMs and addresses, and later disks."""
    gpu_epoch: timedelta = timedelta(hours=1)
    gpu_lists_failed: bool = False
    """Instances that have ended are `FAILED` in the lists and `ENDED` in their details."""
    not_found: NotFound = "json"
    """What a path that does not exist answers 404 with."""
    script: Script = Script()

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(problem)

    def _problems(self) -> list[str]:
        problems = []
        if self.epoch < SECOND or self.epoch % SECOND:
            problems.append(f"epoch: whole seconds, at least one, not {self.epoch}")
        if self.policy not in POLICIES:
            problems.append(f"policy: one of {', '.join(POLICIES)}, not {self.policy!r}")
        if self.flavour not in FLAVOURS:
            problems.append(f"flavour: one of {', '.join(FLAVOURS)}, not {self.flavour!r}")
        if self.delete_body not in DELETE_BODIES:
            problems.append(f"delete_body: one of {', '.join(DELETE_BODIES)}, not {self.delete_body!r}")
        if self.auth not in AUTHS:
            problems.append(f"auth: one of {', '.join(AUTHS)}, not {self.auth!r}")
        if self.spec not in SPECS:
            problems.append(f"spec: one of {', '.join(SPECS)}, not {self.spec!r}")
        if self.not_found not in NOT_FOUNDS:
            problems.append(f"not_found: one of {', '.join(NOT_FOUNDS)}, not {self.not_found!r}")
        if self.page_base not in (0, 1):
            problems.append(f"page_base: 0 or 1, not {self.page_base!r}")
        if not 1 <= self.page_size <= self.max_page_size:
            problems.append(f"page_size: from 1 to the maximum of {self.max_page_size}, not {self.page_size}")
        if not self.balance_keys or len(set(self.balance_keys)) < len(self.balance_keys):
            problems.append("balance_keys: at least one, none of them twice")
        if self.gpu_epoch < SECOND or self.gpu_epoch % SECOND:
            problems.append(f"gpu_epoch: whole seconds, at least one, not {self.gpu_epoch}")
        spoken = {*self.generations, *(name for account in self.accounts for name in account.generations or ())}
        if unknown := spoken - set(ALL_GENERATIONS):
            problems.append(f"generations: unknown {', '.join(sorted(unknown))}")
        if self.start is not None and self.start.utcoffset() is None:
            problems.append("start: needs a time zone")
        if self.anchor.microsecond or self.anchor.tzinfo is not None:
            problems.append("anchor: a plain time of day in whole seconds, read as UTC")
        for name in _SPANS:
            if getattr(self, name) < timedelta():
                problems.append(f"{name}: cannot be negative")
        names = [account.name for account in self.accounts]
        keys = [key for account in self.accounts for key in account.keys]
        if not names or len(set(names)) < len(names) or len(set(keys)) < len(keys):
            problems.append("accounts: at least one, each with a name and keys of its own")
        for account in self.accounts:
            micros_of(account.balance)
        return problems

    def next_boundary(self, after: datetime) -> datetime:
        """The first boundary of the global grid later than `after`."""
        first = ORIGIN + timedelta(hours=self.anchor.hour, minutes=self.anchor.minute, seconds=self.anchor.second)
        return first + ((after - first) // self.epoch + 1) * self.epoch
