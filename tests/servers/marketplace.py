"""The simulated marketplace as tests see it: a typed client of its control API, and two ways to start one."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
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
    """The truth of one account, in micro-dollars; totals by the id as the marketplace spells it.

    Prepaid epochs (`vms-*`, `gpu`) are charges; `metered` is what each part of `cloud-v2` has cost up to now, exactly.
    """

    balance: int
    """Rounded down; below zero it is debt."""
    reserved: int
    charges: tuple[BookedCharge, ...]
    total_by_vm: dict[str, int]
    total: int
    balance_exact: Fraction
    metered: dict[str, Fraction]

    @property
    def metered_total(self) -> Fraction:
        return sum(self.metered.values(), Fraction(0))

    def of(self, vm: str) -> tuple[BookedCharge, ...]:
        """The charges of one VM, oldest first."""
        return tuple(charge for charge in self.charges if charge.vm == vm)


@dataclass(frozen=True, slots=True)
class CloudIds:
    """What came with a metered VM; the first disk is the one it boots from."""

    vm: str
    disks: tuple[str, ...]
    ip: str | None


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
        """Delete a VM, disk, address or GPU instance, named by id or unique name, as its user would; so for all below.

        The disks and the address of a metered VM stay, and bill on.
        """
        self._post(f"vms/{quote(vm, safe='')}/delete", **fields)

    def set_price(self, vm: str, price: str, **fields: Any) -> None:
        self._post(f"vms/{quote(vm, safe='')}/price", price=price, **fields)

    def rename(self, vm: str, name: str, **fields: Any) -> None:
        self._post(f"vms/{quote(vm, safe='')}/rename", name=name, **fields)

    def create_vm_cloud(
        self,
        name: str,
        price: str = "0.0310",
        disks: Sequence[tuple[str, int]] = (("0.0042", 25),),
        ip_price: str | None = "0.0050",
        **fields: Any,
    ) -> CloudIds:
        """A metered VM. Prices are dollars per hour, those of disks for the whole `(price, gb)`; the first one boots.

        Fields: `account`, `id`, `plan`, `cluster`, `draft`.
        """
        made = self.do("create_vm", name=name, price=price, disks=[list(d) for d in disks], ip_price=ip_price, **fields)
        return CloudIds(made["id"], tuple(made["disks"]), made["ip"])

    def create_disk(self, name: str, price: str = "0.0042", gb: int = 25, **fields: Any) -> str:
        """A data disk that nothing uses; its id. Fields: `account`, `id`, `cluster`, `kind` (such as `SSD/replicated`)."""
        id: str = self.do("create_disk", name=name, price=price, gb=gb, **fields)["id"]
        return id

    def create_ip(self, name: str, price: str = "0.0050", **fields: Any) -> str:
        """An address that nothing uses; its id. Fields: `account`, `id`, `cluster`."""
        id: str = self.do("create_ip", name=name, price=price, **fields)["id"]
        return id

    def create_gpu(self, name: str, price: str = "1.92", kind: str = "container", **fields: Any) -> str:
        """A GPU instance (`container`, `vm`, `baremetal`) by the hour; its id. Fields: `account`, `id`, `environment`."""
        id: str = self.do("create_gpu", name=name, price=price, kind=kind, **fields)["id"]
        return id

    def attach(self, part: str, vm: str, **fields: Any) -> None:
        """Let a metered VM use a disk or an address."""
        self.do("attach", vm=part, to=vm, **fields)

    def detach(self, part: str, **fields: Any) -> None:
        self.do("detach", vm=part, **fields)

    def provision(self, vm: str, **fields: Any) -> None:
        """Make a VM of a draft: from now on it bills."""
        self.do("provision", vm=vm, **fields)

    def fail(self, word: str, **fields: Any) -> None:
        """A GPU instance is `FAILED` and refunded; a metered part is shown as failed and billed on."""
        self.do("fail", vm=word, **fields)

    def maintenance(self, on: bool = True) -> None:
        self.do("maintenance", on=on)

    def set_scopes(self, scopes: Sequence[str] | None, key: str = KEY) -> None:
        """What a key may do from now on; None lets it do everything."""
        self.do("scopes", key=key, scopes=None if scopes is None else list(scopes))

    def expire_key(self, key: str = KEY, *, expired: bool = True) -> None:
        self.do("expire", key=key, expired=expired)

    def do(self, action: str, /, **fields: Any) -> dict[str, Any]:
        """Any action that a script can have, at once; the answer has the `id` of what it was done to."""
        return self._post("do", do=action, **fields)

    def resources(self, account: str | None = None) -> list[dict[str, Any]]:
        """Every metered part and GPU instance that ever was, with all that the marketplace knows of it."""
        resources: list[dict[str, Any]] = self._get("resources", **_given(account=account))["resources"]
        return resources

    def resource(self, word: str) -> dict[str, Any]:
        return self._get(f"resources/{quote(word, safe='')}")

    def terminate(self, vm: str, **fields: Any) -> None:
        """The provider ends it, at once. The record and reserve of an epoch-billed VM stay until deleted."""
        self._post(f"vms/{quote(vm, safe='')}/terminate", **fields)

    def set_status(self, vm: str, status: str | None, **fields: Any) -> None:
        """Show this status whatever is true; None shows the truth again. `billed` says whether boundaries charge."""
        self._post(f"vms/{quote(vm, safe='')}/status", status=status, **fields)

    def top_up(self, amount: str, at: datetime | None = None, **fields: Any) -> None:
        """Put money on the account, now or at an instant to come."""
        self._post("top-up", amount=amount, **_given(at=None if at is None else at.isoformat()), **fields)

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
            balance_exact=Fraction(answer["balance_exact"]),
            metered={id: Fraction(text) for id, text in answer["metered"].items()},
        )

    def metered(
        self, since: datetime | None = None, until: datetime | None = None, account: str | None = None
    ) -> dict[str, Fraction]:
        """What each part of `cloud-v2` cost in `[since, until)`, up to now at most, in exact micro-dollars."""
        return {id: Fraction(text) for id, text in self._metered(since, until, account)["total"].items()}

    def metered_by_day(self, account: str | None = None) -> dict[str, dict[date, Fraction]]:
        """The same by UTC day, for each id the days on which it existed."""
        days: dict[str, dict[str, str]] = self._metered(None, None, account)["by_day"]
        return {
            id: {date.fromisoformat(day): Fraction(text) for day, text in by_day.items()} for id, by_day in days.items()
        }

    def entries(self, account: str | None = None) -> list[dict[str, Any]]:
        """Every booking as it stands in the books."""
        entries: list[dict[str, Any]] = self._get("books", **({} if account is None else {"account": account}))[
            "entries"
        ]
        return entries

    def misbehave(self, kind: str, times: int | None = None, **fields: Any) -> None:
        """Have this fault for the next `times` requests that match, or until `behave()`.

        `path` (in which `*` is anything), `method` and `account` narrow down which those are.
        """
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

    def _metered(self, since: datetime | None, until: datetime | None, account: str | None) -> dict[str, Any]:
        span = {name: None if at is None else at.isoformat() for name, at in (("since", since), ("until", until))}
        return self._get("metered", **_given(account=account, **span))

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


def _given(**query: str | None) -> dict[str, str]:
    return {name: value for name, value in query.items() if value is not None}


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
