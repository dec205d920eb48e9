"""Hypothesis profiles, the guards of every run, and the four fixtures; nothing clever."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fluence_costwatch.simulator import AccountOptions
from tests.daemon_process import OTHER_KEY, DaemonProcess, daemon_process
from tests.servers.marketplace import KEY, Marketplace, marketplace

# No deadlines: how long an example takes says more about the machine's other work than about the code.
settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("slow", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def _refuse_the_outside_world(event: str, args: tuple[Any, ...]) -> None:
    """Tests in this process connect to loopback only: none depends on a network, none leaks anything to one."""
    if event != "socket.connect" or not isinstance(args[1], tuple):
        return
    host = str(args[1][0])
    try:
        on_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        on_loopback = host == "localhost"
    if not on_loopback:
        raise PermissionError(f"a test tried to connect to {host}")


sys.addaudithook(_refuse_the_outside_world)


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under REQUIRE_TOOLS=1 every tool is said to be there, so a skip is a failure."""
    if os.environ.get("REQUIRE_TOOLS") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although REQUIRE_TOOLS=1: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.fixture
def fluence_api() -> Iterator[Marketplace]:
    """A simulated marketplace in this process, on the running clock: accounts "main" and "other", epochs of an hour."""
    accounts = (AccountOptions("main", (KEY,)), AccountOptions("other", (OTHER_KEY,)))
    with marketplace(epoch=timedelta(hours=1), accounts=accounts) as market:
        yield market


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """The daemon as a process of its own; the test configures and starts it."""
    with daemon_process(tmp_path / "daemon") as process:
        yield process
