"""No room on the disk: the daemon says so, loses nothing, and goes on when there is room again."""

from __future__ import annotations

import resource
from datetime import UTC, datetime, timedelta

from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess, become_equal, contradictions
from tests.eventually import eventually
from tests.servers.marketplace import marketplace

FAILED = "the cycle failed, nothing of it was kept"


def limit_files_to(size: int, pid: int) -> None:
    """No file of that process grows beyond `size` from now on, as where the disk is full."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk_is_said_and_nothing_is_lost(daemon: DaemonProcess) -> None:
    with marketplace(epoch=timedelta(seconds=10)) as market:
        vm = market.create("web", "0.30697")
        daemon.configure(Account(market.url))
        daemon.start()
        eventually(lambda: daemon.metric("up", account="main") == 1, within=PATIENCE_SECONDS)
        journal = daemon.database.with_name("costwatch.db-wal")

        limit_files_to(journal.stat().st_size, daemon.pid)
        eventually(lambda: daemon.log.count(FAILED) > 1, within=PATIENCE_SECONDS)
        before = daemon.ledger()
        boundary = datetime.fromisoformat(market.vm(vm)["next_boundary"])
        eventually(lambda: datetime.now(UTC) > boundary, within=PATIENCE_SECONDS)
        failed = daemon.log.count(FAILED)
        eventually(lambda: daemon.log.count(FAILED) > failed + 1, within=PATIENCE_SECONDS)

        assert f"{daemon.database} failed" in daemon.log
        assert "nothing was written. Check the disk." in daemon.log
        assert 0 < (daemon.metric("poll_failures_total", account="main", reason="unexpected") or 0)
        assert before[vm.lower()][0] == daemon.ledger()[vm.lower()][0]
        assert [] == contradictions(daemon, market)
        assert 0 == daemon.cli("db", "verify").returncode

        limit_files_to(resource.RLIM_INFINITY, daemon.pid)

        become_equal(daemon, market)
        assert 0 == daemon.terminate()
        assert 0 == daemon.cli("db", "rebuild").returncode


def test_a_full_disk_at_the_start_is_an_error_and_not_half_a_database(daemon: DaemonProcess) -> None:
    with marketplace(epoch=timedelta(hours=1)) as market:
        daemon.configure(Account(market.url), epoch="1h")
        daemon.spawn()
        limit_files_to(20_000, daemon.pid)

        assert 1 == daemon.wait()
        assert "error: " in daemon.log

        done = daemon.cli("once")
        assert (0, "main vms-v3: ok\n") == (done.returncode, done.stdout)
