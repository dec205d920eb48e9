"""Four accounts of four generations in one daemon: one that fails or hangs does not delay or blind the others."""

from __future__ import annotations

from datetime import timedelta

from fluence_costwatch.simulator import AccountOptions
from fluence_costwatch.store import open_reading
from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess
from tests.eventually import eventually
from tests.servers.marketplace import Marketplace, marketplace

NAMES = ("cloud", "third", "second", "gpu")
GENERATIONS = ("cloud-v2", "vms-v3", "vms-v2", "gpu")


def _looks(daemon: DaemonProcess, account: str) -> float:
    return daemon.metric("polls_total", account=account) or 0


def _charged(daemon: DaemonProcess, account: str) -> float:
    return daemon.metric("charged_usd", account=account) or 0


def _fleet(market: Marketplace) -> None:
    market.create_vm_cloud("web", "36.00", account="cloud")
    market.create("etl", "0.30697", account="third")
    market.create("page", "0.298160", account="second")
    market.create_gpu("training", "1.92", kind="vm", account="gpu")


def test_one_account_that_hangs_or_is_refused_does_not_delay_or_blind_the_others(daemon: DaemonProcess) -> None:
    accounts = tuple(
        AccountOptions(name, (f"{name}-key",), generations=(generation,))
        for name, generation in zip(NAMES, GENERATIONS, strict=True)
    )
    with marketplace(epoch=timedelta(hours=1), accounts=accounts, generations=GENERATIONS) as market:
        _fleet(market)
        daemon.configure(
            *(
                Account(market.url, name=name, generation=generation, key=f"{name}-key")
                for name, generation in zip(NAMES, GENERATIONS, strict=True)
            ),
            epoch="1h",
        )
        daemon.start()
        eventually(lambda: all(_charged(daemon, name) > 0 for name in NAMES), within=PATIENCE_SECONDS)

        market.misbehave("hang", account="third")
        market.misbehave("status", code=403, account="gpu")
        eventually(lambda: (daemon.metric("up", account="gpu") or 0) == 0, within=PATIENCE_SECONDS)
        before = {name: _looks(daemon, name) for name in NAMES}
        eventually(
            lambda: all(_looks(daemon, name) >= before[name] + 4 for name in ("cloud", "second")),
            within=PATIENCE_SECONDS,
        )

        assert 1 == daemon.metric("up", account="cloud")
        assert 1 == daemon.metric("up", account="second")
        market.behave()
        eventually(lambda: daemon.metric("up", account="third") == 1, within=PATIENCE_SECONDS)
        eventually(lambda: daemon.metric("up", account="gpu") == 1, within=PATIENCE_SECONDS)
        assert 0 == daemon.terminate()
        with open_reading(daemon.database) as reading:
            assert set(NAMES) == {record.account for record in reading.accounts()}
            assert all(record.state.presence == "present" for record in reading.resources())


def test_an_account_may_leave_it_to_the_daemon_to_find_its_generations(daemon: DaemonProcess) -> None:
    accounts = (AccountOptions("main", ("demo-key",), generations=("cloud-v2", "gpu")),)
    with marketplace(epoch=timedelta(hours=1), accounts=accounts, generations=GENERATIONS) as market:
        market.create_vm_cloud("web", "36.00")
        market.create_gpu("training", "1.92", kind="vm")
        daemon.configure(Account(market.url, generation="auto"), epoch="1h")
        daemon.start()
        eventually(lambda: (daemon.metric("up", account="main") or 0) == 1, within=PATIENCE_SECONDS)

        (status,) = daemon.json("status")["accounts"]
        assert ["cloud-v2", "gpu"] == status["generations"]
        assert status["balance_usd"] is not None
        assert status["runway_at"] is not None
        assert {"vm", "storage", "public_ip", "gpu_vm"} == {
            resource["kind"] for resource in daemon.json("vms")["resources"]
        }
        assert daemon.metric("runway_timestamp_seconds", account="main")
        assert 0 == daemon.terminate()


def test_a_generation_that_fails_at_first_is_found_later_and_one_that_refuses_the_key_is_told(
    daemon: DaemonProcess,
) -> None:
    accounts = (AccountOptions("main", ("demo-key",), generations=("cloud-v2", "vms-v3", "gpu")),)
    with marketplace(epoch=timedelta(hours=1), accounts=accounts, generations=GENERATIONS) as market:
        market.create_vm_cloud("web", "36.00")
        market.create("etl", "0.30697")
        market.create_gpu("training", "1.92", kind="vm")
        market.misbehave("status", code=403, path="/gpu/*")
        market.misbehave("status", code=503, path="/vms/v3")
        daemon.configure(Account(market.url, generation="auto"), epoch="1h")
        daemon.start()
        eventually(lambda: (daemon.metric("up", account="main") or 0) == 1, within=PATIENCE_SECONDS)
        assert ["cloud-v2"] == daemon.json("status")["accounts"][0]["generations"]
        assert "not watched, because it cannot be read" in daemon.log

        market.behave()
        eventually(lambda: "vms-v3" in daemon.json("status")["accounts"][0]["generations"], within=PATIENCE_SECONDS)
        assert 0 == daemon.terminate()
