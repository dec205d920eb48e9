"""The daemon as its users run it: a process of its own, in a folder that holds configuration, key, database and log."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

from fluence_costwatch.core.billing.ledger import charged_total, uncertain_total
from fluence_costwatch.store import open_reading
from tests.eventually import eventually
from tests.servers.marketplace import KEY, Books, Marketplace

# How long whatever surely comes may take, on a machine that is busy with other tests.
PATIENCE_SECONDS = 60
OTHER_KEY = "the-other-key"
PROGRAM = (sys.executable, "-m", "fluence_costwatch")
_LISTENS = re.compile(r'\blisten"?[=:] ?"?([0-9.]+:[0-9]+)')


@dataclass(frozen=True, slots=True)
class Account:
    """One `[[accounts]]` table and the key in the file that it names."""

    url: str
    name: str = "main"
    generation: str = "vms-v3"
    key: str = KEY
    more: str = ""
    """Further lines of the table."""


def configuration(
    *accounts: Account,
    interval: str = "1s",
    epoch: str = "10s",
    suspicious: str = "5s",
    stale_after: str = "15m",
    listen: str = "127.0.0.1:0",
    more: str = "",
) -> str:
    """A configuration for short epochs; `more` holds further tables."""
    text = f"""\
[poll]
interval = "{interval}"
confirm_suspicious = "{suspicious}"
[epoch]
length = "{epoch}"
[alerts]
stale_after = "{stale_after}"
[database]
url = "sqlite:///costwatch.db"
[server]
listen = "{listen}"
{more}
"""
    for account in accounts:
        text += f"""\
[[accounts]]
name = "{account.name}"
generation = "{account.generation}"
api_url = "{account.url}"
api_key_file = "{account.name}.key"
{account.more}
"""
    return text


@dataclass(frozen=True, slots=True)
class Answer:
    """What the daemon's own server answered."""

    status: int
    text: str


@dataclass(slots=True)
class DaemonProcess:
    """A daemon that can be started, stopped, killed and started again on the same database."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = ()
    """What `run` gets on the command line, such as `--allow-delete`."""

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def database(self) -> Path:
        return self.folder / "costwatch.db"

    @property
    def log(self) -> str:
        """All that was written to stdout and stderr, by every start."""
        path = self.folder / "log"
        return path.read_text("utf-8", errors="backslashreplace") if path.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def configure(self, *accounts: Account, **changes: Any) -> None:
        """Write the configuration and the key files; a running daemon does not notice."""
        self.folder.mkdir(exist_ok=True)
        for account in accounts:
            key = self.folder / f"{account.name}.key"
            key.write_text(f"{account.key}\n")
            key.chmod(0o600)
        self.config.write_text(configuration(*accounts, **changes))

    def start(self) -> None:
        """Start the process; returns when it watches."""
        former = len(self.log)
        self.spawn()
        assert self.process is not None
        process = self.process
        eventually(lambda: "watching" in self.log[former:] or process.poll() is not None, within=PATIENCE_SECONDS)
        assert process.poll() is None, f"the daemon ended with {process.returncode}:\n{self.log[former:]}"

    def spawn(self) -> None:
        """Start the process; returns at once."""
        assert self.process is None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "--config", str(self.config), "run", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ(),
                cwd=self.folder,
            )

    def hup(self) -> None:
        """Have the configuration read again."""
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """End it as a crash does: without a last word."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """End it as a service manager does; returns its exit code."""
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for it to end by itself; returns its exit code."""
        assert self.process is not None
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return code

    def _end(self, number: signal.Signals) -> int:
        os.kill(self.pid, number)
        return self.wait()

    def get(self, path: str, **headers: str) -> Answer:
        """What the daemon's server answers."""
        request = Request(f"http://{self.address}{path}", headers=headers)
        try:
            with urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # the address is our own
                return Answer(answer.status, answer.read().decode())
        except HTTPError as exc:
            with exc:
                return Answer(exc.code, exc.read().decode())

    @property
    def address(self) -> str:
        """Where it listens, as it said when it started."""
        return str(_LISTENS.findall(self.log)[-1])

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of one series, without its prefix; None where it is not exposed."""
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                if sample.name == f"fluence_costwatch_{name}" and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command on the same configuration."""
        return subprocess.run(
            [*PROGRAM, "--config", str(self.config), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self._environ(),
            cwd=self.folder,
            timeout=PATIENCE_SECONDS,
        )

    def json(self, *arguments: str) -> Any:
        """What a reading command says to machines."""
        done = self.cli(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def ledger(self, *, account: str = "main") -> dict[str, tuple[int, int]]:
        """By lower-cased id: what was charged and what is uncertain on top, in micro-dollars."""
        with open_reading(self.database) as reading:
            states = [record.state for record in reading.resources()]
        now = datetime.now(UTC)
        return {
            state.identity.id: (charged_total(state).micros, uncertain_total(state, now=now).micros)
            for state in states
            if state.identity.account == account
        }

    def presence(self, id: str) -> str | None:
        """Whether a resource is present, missing or gone; None while it is unknown."""
        with open_reading(self.database) as reading:
            for record in reading.resources():
                if record.state.identity.id == id.lower():
                    return record.state.presence.value
        return None

    def outcomes(self) -> list[str]:
        """How the last look at each account and generation went."""
        with open_reading(self.database) as reading:
            return [look.outcome for account in reading.accounts() for look in account.last_cycle.values()]

    def _environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.folder), **self.environ}


def contradictions(daemon: DaemonProcess, market: Marketplace, *, account: str = "main") -> list[str]:
    """Where ledger <= books <= ledger + uncertain does not hold. The books are read before and after the ledger."""
    before = _by_id(market.books())
    ledger = daemon.ledger(account=account)
    after = _by_id(market.books())
    return [
        f"{id}: books {before.get(id, 0)} to {after.get(id, 0)}, ledger {charged}, uncertain {uncertain}"
        for id, (charged, uncertain) in ledger.items()
        if not (charged <= after.get(id, 0) and before.get(id, 0) <= charged + uncertain)
    ]


def unequal(daemon: DaemonProcess, market: Marketplace, *, account: str = "main") -> list[str]:
    """Where ledger and books differ by a micro-dollar or more."""
    books = _by_id(market.books())
    ledger = {id: charged for id, (charged, _) in daemon.ledger(account=account).items()}
    return [
        f"{id}: ledger {ledger.get(id)}, books {books.get(id)}"
        for id in sorted(ledger.keys() | books.keys())
        if ledger.get(id, 0) != books.get(id, 0)
    ]


def become_equal(daemon: DaemonProcess, market: Marketplace, *, account: str = "main") -> None:
    """Wait until ledger and books are the same to the micro-dollar."""
    eventually(lambda: [] == unequal(daemon, market, account=account), within=PATIENCE_SECONDS)


def _by_id(books: Books) -> dict[str, int]:
    return {vm.lower(): amount for vm, amount in books.total_by_vm.items()}


@contextmanager
def daemon_process(folder: Path, *, secrets: Sequence[str] = (KEY, OTHER_KEY)) -> Iterator[DaemonProcess]:
    """A daemon, not yet started. Afterwards it is ended, and its log must hold neither a traceback nor a secret."""
    daemon = DaemonProcess(folder)
    try:
        yield daemon
    finally:
        if daemon.process is not None:
            daemon.process.kill()
            daemon.process.wait()
    assert "traceback" not in daemon.log.lower()
    for secret in secrets:
        assert secret not in daemon.log
