"""Machines to be measured: exporters that a test scripts, and the real node_exporter and Prometheus on a scripted `/proc`."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.eventually import eventually
from tests.tools import tool

_PATIENCE_SECONDS = 20.0
_LISTENS = re.compile(r"address=(127\.[0-9.]+:[1-9][0-9]*)")
_JIFFIES_PER_SECOND = 100


def exposition(
    *,
    busy: float = 0.0,
    idle: float = 0.0,
    received: float = 0.0,
    sent: float = 0.0,
    booted: float = 1_700_000_000.0,
    cpus: int = 1,
    devices: Sequence[str] = ("eth0",),
) -> str:
    """What a node_exporter says, in part: processor seconds by mode of each cpu, bytes of each device."""
    lines = [
        "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.",
        "# TYPE node_cpu_seconds_total counter",
    ]
    for cpu in range(cpus):
        lines += [
            f'node_cpu_seconds_total{{cpu="{cpu}",mode="idle"}} {idle}',
            f'node_cpu_seconds_total{{cpu="{cpu}",mode="user"}} {busy}',
        ]
    for device in (*devices, "lo", "docker0", "veth12ab"):
        lo = 10**12 if device not in devices else 0
        lines += [
            f'node_network_receive_bytes_total{{device="{device}"}} {received + lo * busy}',
            f'node_network_transmit_bytes_total{{device="{device}"}} {sent + lo * busy}',
            f'node_network_mtu_bytes{{device="{device}"}} 1500',
        ]
    return "\n".join([*lines, f"node_boot_time_seconds {booted!r}", ""])


class Line:
    """The connection on which a script answers, for as long as the server lives."""

    def __init__(self, handler: BaseHTTPRequestHandler, stopping: threading.Event) -> None:
        self._handler = handler
        self._stopping = stopping

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def send(self, data: bytes) -> None:
        self._handler.wfile.write(data)

    def wait(self, seconds: float) -> None:
        """Let time pass, at most until the server stops."""
        self._stopping.wait(seconds)


Answer = str | bytes | tuple[int, str] | Callable[[Line], None]
"""A whole body, a status with its body, or a script that writes to the connection, head included."""


@dataclass
class Exporters:
    """What is answered by path; may be changed while it runs. A path that is not there is 404."""

    answers: dict[str, Answer]
    address: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def exporters(answers: Mapping[str, Answer]) -> Iterator[Exporters]:
    """A running server for `answers`."""
    script, stopping = Exporters(dict(answers)), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.asked.append(self.path)
            answer = script.answers.get(self.path.partition("?")[0], (404, "no such path"))
            try:
                if callable(answer):
                    answer(Line(self, stopping))
                    return
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                data = body.encode("utf-8") if isinstance(body, str) else body
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                """Who asked has gone away."""

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that the base class gives it
            """Tests say what they saw."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Handler) as server:
        script.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script
        finally:
            stopping.set()
            server.shutdown()
            thread.join()


class Machine:
    """A `/proc` of a machine that is busy for a share of the time, and how it goes on."""

    def __init__(self, folder: Path, *, busy: float, bytes_per_second: float) -> None:
        self._folder = folder
        self._busy = busy
        self._rate = bytes_per_second
        self._seconds = 1_000.0
        (folder / "proc" / "net").mkdir(parents=True)
        (folder / "sys").mkdir()
        self.go_on(0)

    @property
    def proc(self) -> Path:
        return self._folder / "proc"

    @property
    def sys(self) -> Path:
        return self._folder / "sys"

    def go_on(self, seconds: float) -> None:
        """Let that much time have passed on the machine."""
        self._seconds += seconds
        busy = int(self._seconds * self._busy * _JIFFIES_PER_SECOND)
        idle = int(self._seconds * _JIFFIES_PER_SECOND) - busy
        carried = int(self._seconds * self._rate)
        self._write(
            "stat", f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {busy} 0 0 {idle} 0 0 0 0 0 0\nbtime 1700000000\n"
        )
        self._write(
            "net/dev",
            "Inter-|   Receive  |  Transmit\n"
            " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n"
            "    lo: 10 0 0 0 0 0 0 0 10 0 0 0 0 0 0 0\n"
            f"  eth0: {carried} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        )

    def _write(self, name: str, text: str) -> None:
        # Renamed into place, so that nobody reads half of it.
        half = self.proc / f"{name}.new"
        half.write_text(text, "ascii")
        half.replace(self.proc / name)


class RealTime:
    """Lets machines go on as the running clock does."""

    def __init__(self, *machines: Machine) -> None:
        self._machines = machines
        self._at = time.monotonic()

    def catch_up(self) -> None:
        """Let the time since the last call have passed on every machine."""
        before, self._at = self._at, time.monotonic()
        for machine in self._machines:
            machine.go_on(self._at - before)


@dataclass(frozen=True, slots=True)
class Running:
    """A real program that listens at `address` until it is stopped."""

    process: subprocess.Popen[bytes]
    address: str

    def stop(self) -> None:
        """End it and wait until it has."""
        self.process.terminate()
        self.process.wait(_PATIENCE_SECONDS)


@contextmanager
def node_exporter(machine: Machine, *, host: str) -> Iterator[Running]:
    """A real node_exporter of that machine on a loopback address of its own."""
    command = [
        tool("prometheus-node-exporter"),
        f"--path.procfs={machine.proc}",
        f"--path.sysfs={machine.sys}",
        "--collector.disable-defaults",
        "--collector.cpu",
        "--collector.netdev",
        "--no-collector.netdev.netlink",
        "--collector.stat",
        f"--web.listen-address={host}:0",
    ]
    with _running(command, log=machine.proc.parent / "log") as running:
        yield running


@contextmanager
def prometheus(folder: Path, *, targets: Sequence[str]) -> Iterator[Running]:
    """A real Prometheus that scrapes `targets` every half second."""
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
        f"scrape_configs: [{{job_name: node, static_configs: [{{targets: {list(targets)}}}]}}]\n",
        "utf-8",
    )
    command = [
        tool("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with _running(command, log=folder / "log") as running:
        yield running


@contextmanager
def _running(command: Sequence[str], *, log: Path) -> Iterator[Running]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent) as process:
        try:
            found = eventually(lambda: _LISTENS.findall(log.read_text("utf-8")), within=_PATIENCE_SECONDS)
            yield Running(process, str(found[0]))
        finally:
            process.terminate()
            process.wait(_PATIENCE_SECONDS)
