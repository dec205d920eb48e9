"""The real daemon on the simulated marketplace, in real time: the ledger against the books while everything happens."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.daemon_process import (
    PATIENCE_SECONDS,
    Account,
    DaemonProcess,
    become_equal,
    contradictions,
    daemon_process,
)
from tests.eventually import eventually
from tests.servers.marketplace import KEY, Marketplace, marketplace_process

EPOCH = timedelta(seconds=10)
SECOND = timedelta(seconds=1)
ANCHOR = datetime(1970, 1, 1, 17, 55, tzinfo=UTC)
# Two polls of a second each, and the time that a busy machine takes for them.
AFTER_A_BOUNDARY = timedelta(seconds=2.2)
BEFORE_A_BOUNDARY = timedelta(seconds=5)

MARKETS = [
    pytest.param("vms-v3", "per_vm", id="vms-v3, own period of each VM"),
    pytest.param("vms-v2", "global", id="the first page, one boundary for all", marks=pytest.mark.slow),
]


@contextmanager
def compared(daemon: DaemonProcess, market: Marketplace, *, account: str = "main") -> Iterator[None]:
    """Compare ledger and books again and again for as long as the block runs; it fails where they ever contradict."""
    found: list[str] = []
    count = 0
    done = Event()

    def compare() -> None:
        nonlocal count
        while not done.wait(0.2):
            found.extend(contradictions(daemon, market, account=account))
            count += 1

    thread = Thread(target=compare, name="comparison", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(PATIENCE_SECONDS)
    assert [] == found
    assert count > 10


def away_from_boundary(market: Marketplace, vm: str | None) -> None:
    """Wait until more than two polls lie between now and both boundaries of the epoch that `vm` is in; None is one that
    is created now, where all have the grid's boundaries."""

    def is_away() -> bool:
        now = datetime.now(UTC)
        end = datetime.fromisoformat(market.vm(vm)["next_boundary"]) if vm else now + EPOCH - (now - ANCHOR) % EPOCH
        return BEFORE_A_BOUNDARY < end - now < EPOCH - AFTER_A_BOUNDARY

    eventually(is_away, within=PATIENCE_SECONDS)


def over_a_boundary(market: Marketplace, vm: str) -> None:
    """Wait until `vm` has come into another epoch and a second has passed of it."""
    wait_until(datetime.fromisoformat(market.vm(vm)["next_boundary"]) + SECOND)


def wait_until(moment: datetime) -> None:
    """Wait for the clock."""
    eventually(lambda: datetime.now(UTC) > moment, within=PATIENCE_SECONDS)


def price(daemon: DaemonProcess, id: str) -> str | None:
    """The price that the watch knows."""
    known = {vm["id"].lower(): vm["price_usd"] for vm in daemon.json("vms")["resources"]}
    answer: str | None = known.get(id.lower())
    return answer


@pytest.mark.parametrize(("generation", "policy"), MARKETS)
def test_the_ledger_follows_the_books_through_all_that_happens(
    daemon: DaemonProcess, generation: str, policy: str
) -> None:
    with marketplace_process("--epoch", "10", "--policy", policy) as market:
        vms = [market.create("early", "0.75")] if generation == "vms-v3" else []  # where its creation time is told
        daemon.configure(Account(market.url, generation=generation))
        daemon.start()
        away_from_boundary(market, None)
        vms += [market.create(f"vm-{number}", amount) for number, amount in enumerate(("0.298160", "1.25", "0.5", "2"))]
        eventually(lambda: len(daemon.ledger()) == len(vms), within=PATIENCE_SECONDS)
        with compared(daemon, market):
            away_from_boundary(market, vms[0])
            market.set_price(vms[0], "0.31")
            vms.append(market.create("late", "0.30697"))
            eventually(lambda: daemon.presence(vms[-1]) == "present", within=PATIENCE_SECONDS)
            eventually(lambda: price(daemon, vms[0]) == "0.310000", within=PATIENCE_SECONDS)

            daemon.kill()
            over_a_boundary(market, vms[1])
            daemon.start()

            away_from_boundary(market, vms[2])
            market.delete(vms[2])
            eventually(lambda: daemon.presence(vms[2]) == "gone", within=PATIENCE_SECONDS)

            assert market.process is not None
            os.kill(market.process.pid, signal.SIGSTOP)
            wait_until(datetime.now(UTC) + EPOCH + SECOND)
            assert ["unavailable"] == daemon.outcomes()
            os.kill(market.process.pid, signal.SIGCONT)
            eventually(lambda: daemon.outcomes() == ["ok"], within=PATIENCE_SECONDS)

        become_equal(daemon, market)
        assert 0 == daemon.terminate()
        books = market.books()

    assert len(books.charges) > 10
    spend = daemon.json("spend")
    assert {vm.lower() for vm in vms} == {row["key"].split("/")[-1].lower() for row in spend["rows"]}
    done = daemon.cli("db", "rebuild")
    assert (0, "The ledger equals the one replayed from the snapshots.\n") == (done.returncode, done.stdout)
    assert 0 == daemon.cli("db", "verify").returncode


@pytest.mark.slow
def test_the_ledger_follows_the_books_for_minutes_of_changes_outages_and_kills(tmp_path: Path) -> None:
    dice = random.Random(11)
    with ExitStack() as stack:
        markets = {
            # Ids are made from the account's name: each has its own, so that no machine is listed under both.
            generation: stack.enter_context(
                marketplace_process("--epoch", "10", "--policy", policy, "--key", f"{generation}={KEY}")
            )
            for generation, policy in (("vms-v3", "per_vm"), ("vms-v2", "global"))
        }
        daemon = stack.enter_context(daemon_process(tmp_path / "daemon"))
        daemon.configure(
            *(Account(market.url, name=generation, generation=generation) for generation, market in markets.items())
        )
        daemon.start()
        lives = [Life(generation, market, dice) for generation, market in markets.items()]
        with ExitStack() as comparisons:
            for generation, market in markets.items():
                comparisons.enter_context(compared(daemon, market, account=generation))
            until = datetime.now(UTC) + timedelta(minutes=5)
            while datetime.now(UTC) < until:
                for life in lives:
                    life.go_on(daemon)
                if dice.random() < 0.3:
                    daemon.kill()
                    wait_until(datetime.now(UTC) + dice.uniform(0, 1.5) * EPOCH)
                    daemon.start()
        for generation, market in markets.items():
            become_equal(daemon, market, account=generation)
        assert 0 == daemon.terminate()
        assert 0 == daemon.cli("db", "rebuild").returncode


class Life:
    """What happens to one account, one change at a time; each is seen before the next one, or a kill, may come."""

    def __init__(self, account: str, market: Marketplace, dice: random.Random) -> None:
        self._account = account
        self._market = market
        self._dice = dice
        self._count = 0
        self._vms: list[str] = []
        away_from_boundary(market, None)
        for _ in range(4):
            self._create()

    def _create(self) -> str:
        self._count += 1
        vm = self._market.create(f"vm-{self._count}", self._dice.choice(["0.298160", "1.25", "0.000001", "0.30697"]))
        self._vms.append(vm)
        return vm

    def go_on(self, daemon: DaemonProcess) -> None:
        """One change, or an outage over more than an epoch."""
        chance = self._dice.random()
        vm = self._dice.choice(self._vms)
        if chance < 0.3:
            away_from_boundary(self._market, None)
            created = self._create()
            eventually(lambda: daemon.presence(created) == "present", within=PATIENCE_SECONDS)
        elif chance < 0.5 and len(self._vms) > 4:
            away_from_boundary(self._market, vm)
            self._market.delete(vm)
            self._vms.remove(vm)
            eventually(lambda: daemon.presence(vm) == "gone", within=PATIENCE_SECONDS)
        elif chance < 0.8:
            away_from_boundary(self._market, vm)
            amount = self._dice.choice(["0.310000", "0.200000", "2.000000"])
            self._market.set_price(vm, amount)
            eventually(lambda: price(daemon, vm) == amount, within=PATIENCE_SECONDS)
        else:
            self._market.misbehave("status", code=503)
            over_a_boundary(self._market, vm)
            self._market.behave()
