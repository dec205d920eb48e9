"""An account's books: append-only entries in whole micro-dollars and running meters, the truth about what was billed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal

from .meter import Meter

MICRO_DIGITS = 6
DOLLAR = 1_000_000
_AMOUNT = re.compile(r"(\d*)(?:\.(\d*))?", re.ASCII)

EntryKind = Literal["opening", "top_up", "charge", "reserve", "refund", "reversal"]


def micros_of(amount: str) -> int:
    """The micro-dollars of a decimal string; ValueError where it is none, negative or finer than that."""
    match = _AMOUNT.fullmatch(amount)
    if match is None or not any(match.groups()):
        raise ValueError(f"not an amount of dollars: {amount!r}")
    whole, fraction = match[1] or "0", (match[2] or "").rstrip("0")
    if len(fraction) > MICRO_DIGITS:
        raise ValueError(f"finer than a micro-dollar: {amount!r}")
    return int(whole) * DOLLAR + int(fraction.ljust(MICRO_DIGITS, "0"))


def decimals_of(amount: str) -> int:
    """How many decimals an amount was written with: the marketplace writes them back the same way."""
    return len(amount.partition(".")[2])


def dollars(micros: int, *, decimals: int = MICRO_DIGITS) -> str:
    """Dollars with `decimals` decimals, with more where the amount needs them."""
    whole, fraction = divmod(micros, DOLLAR)
    digits = f"{fraction:0{MICRO_DIGITS}}".rstrip("0").ljust(decimals, "0")
    return f"{whole}.{digits}" if digits else str(whole)


@dataclass(frozen=True, slots=True)
class Entry:
    """One booking: what it moved in the free balance and in the reserve of a VM.

    A charge also says for which epoch; its amount is what left balance and reserve together.
    """

    number: int
    at: datetime
    kind: EntryKind
    balance_change: int
    reserve_change: int
    vm: str | None = None
    epoch_start: datetime | None = None
    epoch_end: datetime | None = None

    @property
    def amount(self) -> int:
        return abs(self.balance_change + self.reserve_change) or abs(self.balance_change)


class Books:
    """The money of one account. Entries are only ever added; their sum less what the meters show is free to be spent."""

    def __init__(self, *, opening: int, at: datetime) -> None:
        self._entries: list[Entry] = []
        self._balance = 0
        self._reserves: dict[str, int] = {}
        self._charged: dict[str, int] = {}
        self._meters: dict[str, Meter] = {}
        self._running: dict[str, Meter] = {}
        self._metered_by_ended = Fraction(0)
        self._add(at, "opening", balance_change=opening)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    @property
    def charges(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._entries if entry.kind == "charge")

    @property
    def balance(self) -> int:
        """The sum of the entries; meters are not in it."""
        return self._balance

    @property
    def deposited(self) -> int:
        return sum(entry.amount for entry in self._entries if entry.kind in ("opening", "top_up"))

    @property
    def meters(self) -> dict[str, Meter]:
        """The meter of each resource that is or was billed by time."""
        return dict(self._meters)

    @property
    def rate(self) -> Fraction:
        """What all running meters together cost per hour."""
        return sum((meter.rate for meter in self._running.values()), Fraction(0))

    def free(self, *, at: datetime) -> Fraction:
        """What can be spent, in exact micro-dollars; below zero it is debt."""
        return self._balance - self.metered(at=at)

    def metered(self, *, at: datetime) -> Fraction:
        """What all meters show, up to an instant that is not before their last change."""
        for resource in [name for name, meter in self._running.items() if meter.end is not None]:
            self._metered_by_ended += self._running.pop(resource).total(until=at)
        return sum((meter.total(until=at) for meter in self._running.values()), self._metered_by_ended)

    def meter(self, resource: str) -> Meter | None:
        return self._meters.get(resource)

    def add_meter(self, resource: str, meter: Meter) -> None:
        self._meters[resource] = self._running[resource] = meter

    @property
    def total_by_vm(self) -> dict[str, int]:
        return dict(self._charged)

    def reserve_of(self, vm: str) -> int:
        return self._reserves.get(vm, 0)

    def charged(self, vm: str) -> int:
        return self._charged.get(vm, 0)

    def top_up(self, amount: int, *, at: datetime) -> None:
        self._add(at, "top_up", balance_change=amount)

    def charge(self, vm: str, amount: int, *, epoch_start: datetime, epoch_end: datetime, at: datetime) -> bool:
        """Take the price of one epoch from the balance, else whole from the VM's reserve; False where neither has it."""
        if self.free(at=at) >= amount:
            balance_change, reserve_change = -amount, 0
        elif self.reserve_of(vm) >= amount:
            balance_change, reserve_change = 0, -amount
        else:
            return False
        self._add(
            at,
            "charge",
            vm=vm,
            balance_change=balance_change,
            reserve_change=reserve_change,
            epoch_start=epoch_start,
            epoch_end=epoch_end,
        )
        self._charged[vm] = self.charged(vm) + amount
        return True

    def fill_reserve(self, vm: str, wanted: int, *, at: datetime) -> bool:
        """Bring the reserve up to `wanted`, all of it or nothing; False where the balance has not that much."""
        missing = wanted - self.reserve_of(vm)
        if missing > 0 and missing > self.free(at=at):
            return False
        if missing > 0:
            self._add(at, "reserve", vm=vm, balance_change=-missing, reserve_change=missing)
        return True

    def refund(self, vm: str, *, at: datetime) -> None:
        """Give back what the VM still holds in reserve."""
        held = self.reserve_of(vm)
        if held:
            self._add(at, "refund", vm=vm, balance_change=held, reserve_change=-held)

    def reverse(self, vm: str, *, at: datetime) -> None:
        """Give back everything that was charged for it."""
        charged = self._charged.pop(vm, 0)
        if charged:
            self._add(at, "reversal", balance_change=charged, vm=vm)

    def _add(
        self,
        at: datetime,
        kind: EntryKind,
        *,
        balance_change: int,
        reserve_change: int = 0,
        vm: str | None = None,
        epoch_start: datetime | None = None,
        epoch_end: datetime | None = None,
    ) -> None:
        number = len(self._entries) + 1
        self._entries.append(Entry(number, at, kind, balance_change, reserve_change, vm, epoch_start, epoch_end))
        self._balance += balance_change
        if vm is not None:
            self._reserves[vm] = self.reserve_of(vm) + reserve_change
