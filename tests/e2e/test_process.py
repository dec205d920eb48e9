"""How the daemon behaves as a process: it ends when told to, shares its database with nobody, and says why it cannot."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess, daemon_process
from tests.eventually import eventually
from tests.servers.marketplace import KEY, Marketplace

WRONG_KEY = "a-key-that-opens-nothing"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_ends_with_success(daemon: DaemonProcess, fluence_api: Marketplace, number: int) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()

    os.kill(daemon.pid, number)

    assert 0 == daemon.wait()
    assert "stopping after the running step" in daemon.log


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_told_to_end_while_a_look_hangs_it_finishes_that_step_and_ends(
    daemon: DaemonProcess, fluence_api: Marketplace, fault: str
) -> None:
    fluence_api.create("web")
    daemon.configure(Account(fluence_api.url), epoch="1h")
    fluence_api.misbehave(fault)
    daemon.start()
    eventually(fluence_api.requests, within=PATIENCE_SECONDS)

    assert 0 == daemon.terminate()

    assert ["unavailable"] == daemon.outcomes()


def test_told_to_end_again_and_again_it_still_ends_with_success(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    fluence_api.misbehave("hang")
    daemon.start()
    eventually(fluence_api.requests, within=PATIENCE_SECONDS)

    for _ in range(3):
        os.kill(daemon.pid, signal.SIGTERM)

    assert 0 == daemon.wait()


def test_a_second_daemon_on_the_same_database_is_refused(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()

    second = daemon.cli("run")

    assert 1 == second.returncode
    sentence = f"{daemon.database} is in use by process {daemon.pid}. Only one may write to it: stop that one first."
    assert f"error: {sentence}\n" == second.stderr
    eventually(lambda: daemon.get("/-/ready").status == 200, within=PATIENCE_SECONDS)


def test_once_is_refused_while_the_daemon_runs_and_works_when_it_was_killed(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()

    refused = daemon.cli("once")
    daemon.kill()
    done = daemon.cli("once")

    assert (1, True) == (refused.returncode, f"is in use by process {daemon_pid_in(refused.stderr)}" in refused.stderr)
    assert (0, "main vms-v3: ok\n") == (done.returncode, done.stdout)


def daemon_pid_in(text: str) -> str:
    return text.partition("process ")[2].partition(".")[0]


def test_a_port_that_is_taken_is_said_and_leaves_the_database_free(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon.configure(Account(fluence_api.url), epoch="1h", listen=f"127.0.0.1:{port}")
        refused = daemon.cli("run")

    assert 1 == refused.returncode
    assert f"error: cannot listen on 127.0.0.1:{port}: Address already in use." in refused.stderr
    assert 0 == daemon.cli("once").returncode


def test_two_daemons_on_databases_of_their_own_do_not_meet(
    daemon: DaemonProcess, fluence_api: Marketplace, tmp_path: Path
) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()
    with daemon_process(tmp_path / "second") as second:
        second.configure(Account(fluence_api.url), epoch="1h")
        second.start()

        for process in (daemon, second):
            eventually(lambda one=process: one.get("/-/ready").status == 200, within=PATIENCE_SECONDS)  # type: ignore[misc]  # mypy cannot type a default of a lambda


def test_a_bad_configuration_is_exit_code_3_and_all_its_problems(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    daemon.configure(Account(fluence_api.url), interval="often", more='[log]\nlevel = "loud"\nformt = "json"')

    refused = daemon.cli("run")

    assert 3 == refused.returncode
    for problem in ("poll.interval: ", "log.level: ", "log.formt: "):
        assert problem in refused.stderr


def test_a_refused_key_is_exit_code_4_of_once(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    daemon.configure(Account(fluence_api.url, key=WRONG_KEY), epoch="1h")

    done = daemon.cli("once")

    assert 4 == done.returncode
    assert "main vms-v3: refused, Fluence refuses the key" in done.stdout
    assert WRONG_KEY not in done.stdout + done.stderr


def test_a_marketplace_that_is_down_is_exit_code_4_of_once(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    fluence_api.go_down()

    done = daemon.cli("once")

    assert 4 == done.returncode
    assert "main vms-v3: unavailable" in done.stdout


def test_stale_data_are_exit_code_5_of_status(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h", stale_after="1s")
    daemon.start()
    eventually(lambda: daemon.cli("status").returncode == 0, within=PATIENCE_SECONDS)

    fluence_api.go_down()

    eventually(lambda: daemon.cli("status").returncode == 5, within=PATIENCE_SECONDS)
    assert daemon.json("status")["stale"] is True
    assert (503, "account main is stale\n") == (daemon.get("/-/ready").status, daemon.get("/-/ready").text)
    assert 200 == daemon.get("/-/healthy").status


def test_the_metrics_of_a_failed_look_are_there_as_soon_as_it_has_failed(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    daemon.configure(Account(fluence_api.url, key=WRONG_KEY), interval="10m", epoch="1h")
    daemon.start()

    eventually(
        lambda: daemon.metric("poll_failures_total", account="main", reason="refused") == 1, within=PATIENCE_SECONDS
    )
    assert (0, 1) == (daemon.metric("up", account="main"), daemon.metric("polls_total", account="main"))


def test_an_account_that_fails_holds_up_no_other(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    daemon.configure(Account(fluence_api.url, name="broken", key=WRONG_KEY), Account(fluence_api.url), epoch="1h")
    vm = fluence_api.create("web")

    daemon.start()

    eventually(lambda: daemon.presence(vm) == "present", within=PATIENCE_SECONDS)
    eventually(lambda: daemon.metric("up", account="main") == 1, within=PATIENCE_SECONDS)
    assert 0 == daemon.metric("up", account="broken")
    assert KEY not in daemon.get("/metrics").text
