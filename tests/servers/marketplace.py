"""The simulated marketplace as tests see it: a typed client of its control API, and two ways to start one."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from fluence_costwatch.simulator import Options, Simulator

KEY = "demo-key"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class BookedCharge:
    """One epoch of one VM that was paid; the amount in micro-dollars."""

    vm: str
    epoch_start: datetime
    epoch_end: datetime
    amount: int
    booked_at: datetime
    from_reserve: bool


@dataclass(frozen=True, slots=True)
class Books:
    """The truth of one account, in micro-dollars; totals by the VM's id as the marketplace spells it."""

    balance: int
    reserved: int
    charges: tuple[BookedCharge, ...]
    total_by_vm: dict[str, int]
    total: int

    def of(self, vm: str) -> tuple[BookedCharge, ...]:
        """The charges of one VM, oldest first."""
        return tuple(charge for charge in self.charges if charge.vm == vm)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that reached the marketplace; `key_in` are the headers that carried a key, in lower case."""

    at: datetime
    method: str
    path: str
    headers: dict[str, str]
    key_in: tuple[str, ...]
    body: str
    account: str | None


class ControlRefused(Exception):
    """The control API answered 400 or 404; the text is its reason."""


@dataclass(slots=True)
class Marketplace:
    """The control of a running marketplace. `simulator` is there where it runs in this process."""

    url: str
    simulator: Simulator | None = field(default=None, repr=False)
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def now(self) -> datetime:
        return _instant(self._get("clock")["now"])

    def set_clock(self, at: datetime) -> datetime:
        """Jump forward; everything due until then happens at its own instant."""
        return _instant(self._post("clock/set", at=at.isoformat())["now"])

    def advance(self, span: timedelta) -> datetime:
        return _instant(self._post("clock/advance", seconds=span.total_seconds())["now"])

    def run_clock(self) -> datetime:
        """From now on at the pace of the real clock."""
        return _instant(self._post("clock/run")["now"])

    def hold_clock(self) -> datetime:
        return _instant(self._post("clock/hold")["now"])

    def create(self, name: str, price: str = "0.298160", **fields: Any) -> str:
        """Rent a VM; its id. Fields: `account`, `id`, `vcpu`, `ram_mib`, `storage_mib`, `public_ip`, `resources`, ..."""
        created: str = self._post("vms", name=name, price=price, **fields)["id"]
        return created

    def delete(self, vm: str, **fields: Any) -> None:
        """Delete a VM, named by id or unique name, as its user would in the console; so for all that follow."""
        self._post(f"vms/{quote(vm, safe='')}/delete", **fields)

    def set_price(self, vm: str, price: str, **fields: Any) -> None:
        self._post(f"vms/{quote(vm, safe='')}/price", price=price, **fields)

    def rename(self, vm: str, name: str, **fields: Any) -> None:
        self._post(f"vms/{quote(vm, safe='')}/rename", name=name, **fields)

    def terminate(self, vm: str, **fields: Any) -> None:
        """The provider ends the VM; its record and reserve stay until deleted."""
        self._post(f"vms/{quote(vm, safe='')}/terminate", **fields)

    def set_status(self, vm: str, status: str | None, **fields: Any) -> None:
        """Show this status whatever is true; None shows the truth again. `billed` says whether boundaries charge."""
        self._post(f"vms/{quote(vm, safe='')}/status", status=status, **fields)

    def top_up(self, amount: str, **fields: Any) -> None:
        self._post("top-up", amount=amount, **fields)

    def vms(self, account: str | None = None) -> list[dict[str, Any]]:
        """Every VM that ever was, with all that the marketplace knows of it."""
        vms: list[dict[str, Any]] = self._get("vms", **({} if account is None else {"account": account}))["vms"]
        return vms

    def vm(self, vm: str) -> dict[str, Any]:
        return self._get(f"vms/{quote(vm, safe='')}")

    def books(self, account: str | None = None) -> Books:
        answer = self._get("books", **({} if account is None else {"account": account}))
        return Books(
            balance=answer["balance"],
            reserved=answer["reserved"],
            charges=tuple(_charge(item) for item in answer["charges"]),
            total_by_vm=answer["total_by_vm"],
            total=answer["total"],
        )

    def entries(self, account: str | None = None) -> list[dict[str, Any]]:
        """Every booking as it stands in the books."""
        entries: list[dict[str, Any]] = self._get("books", **({} if account is None else {"account": account}))[
            "entries"
        ]
        return entries

    def misbehave(self, kind: str, times: int | None = None, **fields: Any) -> None:
        """Have this fault for the next `times` requests that match `path` and `method`, or until `behave()`."""
        self._post("faults", kind=kind, times=times, **fields)

    def behave(self, kind: str | None = None) -> None:
        self._ask("DELETE", "faults", {} if kind is None else {"kind": kind})

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are left."""
        faults: list[dict[str, Any]] = self._get("faults")["faults"]
        return faults

    def requests(self) -> tuple[Asked, ...]:
        """All requests since the start or the last `forget_requests()`, oldest first, those to the control API not."""
        return tuple(_asked(item) for item in self._get("requests")["requests"])

    def forget_requests(self) -> None:
        self._ask("DELETE", "requests", {})

    def script_failures(self) -> list[dict[str, Any]]:
        failures: list[dict[str, Any]] = self._get("script")["failures"]
        return failures

    def go_down(self) -> None:
        """Refuse connections, keeping fleet and books; only in this process."""
        if self.simulator is None:
            raise ValueError("a marketplace in another process cannot be told to go down: misbehave instead")
        self.simulator.stop()

    def come_back(self) -> None:
        """Listen again, on the same port."""
        if self.simulator is not None:
            self.simulator.start()

    def _get(self, path: str, /, **query: str) -> dict[str, Any]:
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def _post(self, path: str, /, **fields: Any) -> dict[str, Any]:
        return self._ask("POST", path, fields)

    def _ask(self, method: str, path: str, fields: dict[str, Any] | None) -> dict[str, Any]:
        body = None if fields is None else json.dumps(fields).encode()
        request = Request(f"{self.url}/control/{path}", data=body, method=method)  # noqa: S310  # the URL is our own
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # the URL is our own
                value: dict[str, Any] = json.load(answer)
                return value
        except HTTPError as exc:
            with exc:
                raise ControlRefused(json.load(exc)["error"]) from None


@contextlib.contextmanager
def marketplace(**options: Any) -> Iterator[Marketplace]:
    """A marketplace in this process, set as `Options` says. With `start`, its clock is held unless `held=False`."""
    if "start" in options:
        options.setdefault("held", True)
    with Simulator(Options(**options)) as simulator:
        yield Marketplace(simulator.url, simulator=simulator)


@contextlib.contextmanager
def marketplace_process(*arguments: str) -> Iterator[Marketplace]:
    """A marketplace as a process of its own, such as `marketplace_process("--epoch", "4", "--flavour", "rich")`."""
    command = [sys.executable, "-m", "fluence_costwatch.simulator", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise AssertionError(f"the marketplace did not start: {' '.join(command)}")
            yield Marketplace(url, process=process)
        finally:
            process.terminate()
            process.wait(timeout=TIMEOUT_SECONDS)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _charge(item: dict[str, Any]) -> BookedCharge:
    return BookedCharge(
        vm=item["vm"],
        epoch_start=_instant(item["epoch_start"]),
        epoch_end=_instant(item["epoch_end"]),
        amount=item["amount"],
        booked_at=_instant(item["booked_at"]),
        from_reserve=item["from_reserve"],
    )


def _asked(item: dict[str, Any]) -> Asked:
    return Asked(**{**item, "at": _instant(item["at"]), "key_in": tuple(item["key_in"])})
