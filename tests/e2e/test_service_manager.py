"""The protocol of `sd_notify`, on a real socket: ready, fed by cycles alone, reloading, stopping."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess
from tests.eventually import eventually
from tests.servers.marketplace import Marketplace


class Listener:
    """What a service manager hears, one datagram after the other."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._heard: list[list[str]] = []

    def heard(self) -> list[list[str]]:
        """Every datagram so far, as its lines."""
        while True:
            try:
                self._heard.append(self._channel.recv(4096).decode().splitlines())
            except BlockingIOError:
                return self._heard

    def count(self, assignment: str) -> int:
        """How many datagrams hold this line."""
        return len([lines for lines in self.heard() if assignment in lines])


@contextmanager
def service_manager(*, abstract: bool) -> Iterator[tuple[str, Listener]]:
    """A datagram socket, and how `$NOTIFY_SOCKET` names it."""
    # A path of its own, because the address of a socket may not be long.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        name = f"{folder}/notify"
        channel.bind(f"\0{name}" if abstract else name)
        channel.setblocking(False)
        yield (f"@{name}" if abstract else name), Listener(channel)


@pytest.mark.parametrize("abstract", [False, True], ids=["by path", "by abstract name"])
def test_it_is_told_that_the_watch_runs_and_how_long_to_wait_for_each_cycle(
    daemon: DaemonProcess, fluence_api: Marketplace, abstract: bool
) -> None:
    with service_manager(abstract=abstract) as (name, listener):
        daemon.environ = {"NOTIFY_SOCKET": name}
        daemon.configure(Account(fluence_api.url), epoch="1h")
        daemon.start()
        eventually(lambda: listener.count("WATCHDOG=1") > 3, within=PATIENCE_SECONDS)

        daemon.configure(Account(fluence_api.url), interval="2s", epoch="1h")
        daemon.hup()
        eventually(lambda: listener.count("READY=1") == 2, within=PATIENCE_SECONDS)

        assert 0 == daemon.terminate()
        heard = [lines for lines in listener.heard() if lines != ["WATCHDOG=1"]]

    (ready, first), *others = heard
    ((again, second),) = [lines for lines in others if len(lines) == 2]
    assert [["RELOADING=1"], [again, second], ["STOPPING=1"]] == others
    assert ("READY=1", "READY=1") == (ready, again)
    # Three polls, which have become a second longer each, and what the looks of one may take.
    assert 3_000_000 < period(first)
    assert 3_000_000 == period(second) - period(first)


def period(assignment: str) -> int:
    return int(assignment.removeprefix("WATCHDOG_USEC="))


def test_only_a_finished_cycle_feeds_the_watchdog(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    fluence_api.misbehave("latency", seconds=2)
    with service_manager(abstract=False) as (name, listener):
        daemon.environ = {"NOTIFY_SOCKET": name}
        daemon.configure(Account(fluence_api.url), interval="20m", epoch="1h")
        daemon.start()
        eventually(lambda: listener.count("READY=1"), within=PATIENCE_SECONDS)
        eventually(fluence_api.requests, within=PATIENCE_SECONDS)
        assert 0 == listener.count("WATCHDOG=1") or ["ok"] == daemon.outcomes()

        eventually(lambda: daemon.metric("up", account="main") == 1, within=PATIENCE_SECONDS)
        eventually(lambda: listener.count("WATCHDOG=1") == 1, within=PATIENCE_SECONDS)
        daemon.hup()
        eventually(lambda: listener.count("READY=1") == 2, within=PATIENCE_SECONDS)
        eventually(lambda: listener.count("WATCHDOG=1") == 2, within=PATIENCE_SECONDS)  # a reload looks at once

    assert 2 == len(fluence_api.requests())


def test_a_failed_look_feeds_the_watchdog_too_because_a_restart_would_not_mend_it(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    fluence_api.misbehave("status", code=403)
    with service_manager(abstract=False) as (name, listener):
        daemon.environ = {"NOTIFY_SOCKET": name}
        daemon.configure(Account(fluence_api.url), epoch="1h")
        daemon.start()

        eventually(lambda: listener.count("WATCHDOG=1") > 2, within=PATIENCE_SECONDS)


def test_a_service_manager_that_is_not_there_does_not_stop_the_watch(
    daemon: DaemonProcess, fluence_api: Marketplace, tmp_path: Path
) -> None:
    daemon.environ = {"NOTIFY_SOCKET": str(tmp_path / "nobody")}
    vm = fluence_api.create("web")
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()

    eventually(lambda: daemon.presence(vm) == "present", within=PATIENCE_SECONDS)
    eventually(lambda: len(fluence_api.requests()) > 3, within=PATIENCE_SECONDS)
    assert 0 == daemon.terminate()
    assert 1 == daemon.log.count("the service manager cannot be told")
