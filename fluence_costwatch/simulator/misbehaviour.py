"""Faults that the marketplace was told to have, each for the next few requests that match, or until cleared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from . import delivery, distortions, pages

KINDS: tuple[str, ...] = (*delivery.MODIFIERS, *delivery.DELIVERIES, *distortions.DISTORTIONS, *pages.PAGE_FAULTS)

_COMMON = ("kind", "times", "path", "method", "account", "effect")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; None in `times`: until cleared, in `path`, `method` and `account`: any, in `effect`: as its kind has it.

    A `*` in the path stands for anything, such as the ids in `/gpu/instances/vms/*`.
    """

    kind: str
    params: dict[str, Any]
    times: int | None = None
    path: str | None = None
    method: str | None = None
    account: str | None = None
    effect: bool | None = None
    """Whether the request is carried out although its answer goes wrong."""

    def matches(self, method: str, path: str, account: str | None) -> bool:
        meant = self.method in (None, method) and self.account in (None, account)
        return meant and (self.path is None or fnmatchcase(path, self.path))

    @property
    def carries_out(self) -> bool:
        return self.kind not in delivery.WITHOUT_EFFECT if self.effect is None else self.effect


class Misbehaviour:
    """The faults in the order in which they were asked for; those with `times` are used up one by one."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(self._faults)

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self, kind: str | None = None) -> None:
        self._faults = [] if kind is None else [fault for fault in self._faults if fault.kind != kind]

    def take_modifiers(self, method: str, path: str, account: str | None) -> list[Fault]:
        """All that go with whatever else happens: latency, wrong dates."""
        return self._take(method, path, account, delivery.MODIFIERS)

    def take_delivery(self, method: str, path: str, account: str | None) -> Fault | None:
        """The first fault that decides how the answer arrives, if it does."""
        return next(iter(self._take(method, path, account, delivery.DELIVERIES, limit=1)), None)

    def take_distortions(self, method: str, path: str, account: str | None) -> list[Fault]:
        """All that change what a list says, in order."""
        return self._take(method, path, account, distortions.DISTORTIONS)

    def take_page_faults(self, method: str, path: str, account: str | None, *, page: int) -> list[Fault]:
        """All that change how a list is cut into pages, in order; those that mean another page wait for it."""
        return self._take(method, path, account, pages.PAGE_FAULTS, page=page)

    def _take(
        self,
        method: str,
        path: str,
        account: str | None,
        kinds: Iterable[str],
        *,
        limit: int | None = None,
        page: int | None = None,
    ) -> list[Fault]:
        names = tuple(kinds)
        matching = [fault for fault in self._faults if fault.kind in names and fault.matches(method, path, account)]
        taken = [fault for fault in matching if fault.params.get("page") in (None, page)][:limit]
        used = [id(fault) for fault in taken]
        self._faults = [left for fault in self._faults for left in (_used(fault) if id(fault) in used else [fault])]
        return taken


def read_fault(fields: dict[str, Any]) -> Fault:
    """A fault from the fields of a control request; ValueError for a kind or parameter that does not exist."""
    kind = fields.get("kind")
    known = {**delivery.MODIFIERS, **delivery.DELIVERIES, **distortions.DISTORTIONS, **pages.PAGE_FAULTS}
    if kind not in known:
        raise ValueError(f"no fault {kind!r}; there are {', '.join(KINDS)}")
    times = fields.get("times")
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        raise ValueError(f"times: a whole number from 1, or nothing, not {times!r}")
    defaults = known[kind]
    params = {name: value for name, value in fields.items() if name not in _COMMON}
    if unknown := set(params) - set(defaults):
        raise ValueError(f"{kind} has no {', '.join(sorted(unknown))}; it has {', '.join(defaults) or 'nothing'}")
    for name, value in params.items():
        if _is_number(defaults[name]) and not _is_number(value):
            raise ValueError(f"{kind}: {name} must be a number, not {value!r}")
    return Fault(
        kind=kind,
        params=defaults | params,
        times=times,
        path=fields.get("path"),
        method=fields.get("method"),
        account=fields.get("account"),
        effect=fields.get("effect"),
    )


def _used(fault: Fault) -> list[Fault]:
    if fault.times is None:
        return [fault]
    return [replace(fault, times=fault.times - 1)] if fault.times > 1 else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
