"""When a machine goes, by short epochs on a clock set by hand: inside the margin before its charge, and the marketplace's
books show no further one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.deletion.deletions import DeletionPolicy, DeletionState, IfMissed, Mode
from fluence_costwatch.core.messages.outbox import Route
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount
from tests.living import Life, Scripted, idle_rule
from tests.rig import Rig, a_policy, rig

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EPOCH = 10 * MINUTE
START = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
BOUNDARY = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
"""Where the first epoch ends after the machine was rented."""
POLICY = DeletionPolicy(mode=Mode.EXECUTE, armed=True, margin=MINUTE, min_notice=3 * MINUTE, grace=5 * MINUTE)


@dataclass(frozen=True, slots=True)
class Market:
    """A generation, how it is deleted from, and how the simulated one is set."""

    generation: Generation
    delete_body: str = "vmId"
    options: dict[str, Any] = field(default_factory=dict)
    epoch: timedelta = EPOCH


PREPAID = [
    pytest.param(Market(Generation.VMS_V2, "vmId", {"delete_body": "vmId"}), id="vms-v2, vmId"),
    pytest.param(Market(Generation.VMS_V2, "vmIds", {"delete_body": "vmIds"}), id="vms-v2, vmIds"),
    pytest.param(Market(Generation.VMS_V3, options={"delete_body": "vmIds"}), id="vms-v3"),
    pytest.param(Market(Generation.VMS_V3, options={"policy": "per_vm"}), id="vms-v3, own periods"),
    pytest.param(Market(Generation.VMS_V3, options={"delete_latency": 30 * timedelta(seconds=1)}), id="vms-v3, slowly"),
    pytest.param(Market(Generation.VMS_V3, options={"keep_stopped": True}), id="vms-v3, records stay"),
    pytest.param(Market(Generation.GPU, epoch=HOUR), id="gpu, by the hour"),
]
ONE_OF_EACH = [PREPAID[0], PREPAID[2], PREPAID[-1]]
V3 = Market(Generation.VMS_V3)


@dataclass(slots=True)
class Living:
    """Six machines under watch, of which one does nothing from the start."""

    watch: Rig
    life: Life
    vm: str
    epoch: timedelta
    boundary: datetime
    """Where the first epoch of the machine ends."""

    def epochs(self, count: int) -> None:
        """Live until so many epochs after the first boundary."""
        self.life.until(self.boundary + count * self.epoch)

    @property
    def state(self) -> DeletionState:
        return self.watch.deletions()[-1].state

    def called_at(self) -> list[datetime]:
        """When it was asked for the end of something."""
        return [one.at for one in self.life.calls()]

    def ends(self) -> list[datetime]:
        """The ends of the epochs that were charged for the machine."""
        return [charge.epoch_end for charge in self.watch.market.books().of(self.vm)]


@contextmanager
def living(path: Path, market: Market, *, policy: DeletionPolicy = POLICY, **options: Any) -> Iterator[Living]:
    """From the first look on."""
    options = {"epoch": market.epoch, "anchor": time(0), **market.options, **options}
    every = options["epoch"] / 10
    with rig(path, start=START, generation=market.generation, **options) as watch:
        vm = rented(watch, market.generation, "idle")
        for number in range(5):
            rented(watch, market.generation, f"work{number}")
        watch.signals = Scripted({"idle": lambda now: True})
        watch.policy = a_policy(
            watch.watching,
            rules=(idle_rule(3 * every),),
            deletion=policy,
            routes=(Route("ops", min_severity=Severity.INFO),),
            interval=every,
            watched=Watched((WatchedAccount("main", (market.generation,)),), 3 * every, UTC),
        )
        life = Life(watch, every, watch.cloud.deleter(delete_body=market.delete_body))
        booked = watch.market.books().of(vm)
        yield Living(watch, life, vm, options["epoch"], booked[0].epoch_end if booked else BOUNDARY)


def rented(watch: Rig, generation: Generation, name: str) -> str:
    if generation is Generation.CLOUD_V2:
        return watch.market.create_vm_cloud(name).vm
    if generation is Generation.GPU:
        return watch.market.create_gpu(name)
    return watch.market.create(name, price="0.3")


@pytest.mark.parametrize("market", PREPAID)
def test_it_goes_inside_the_margin_and_is_not_charged_again(tmp_path: Path, market: Market) -> None:
    with living(tmp_path / "db", market) as on:
        on.epochs(2)

        (called,) = on.called_at()
        (end,) = on.ends()
        assert end - POLICY.margin <= called < end
        assert DeletionState.VERIFIED is on.state
        assert [] == on.watch.differences()


def test_a_machine_that_is_slow_to_go_pays_again_and_the_margin_learns(tmp_path: Path) -> None:
    """The first takes longer than the margin: it is charged once more. By then it is known how long one takes, so that the
    margin is widened for the next."""
    slow = Market(Generation.VMS_V3, options={"delete_latency": 80 * timedelta(seconds=1)})
    with living(tmp_path / "db", slow) as on:
        on.life.until(BOUNDARY + EPOCH)
        first = on.called_at()[0]
        on.watch.market.create("idle", price="0.3", id="0x0000000000000000000000000000000000000002")
        on.epochs(4)

        second = on.called_at()[1]
        assert [timedelta(minutes=1)] == [BOUNDARY - first]
        assert [BOUNDARY, BOUNDARY + EPOCH] == on.ends()
        assert POLICY.margin < EPOCH - (second - BOUNDARY) % EPOCH <= 2 * POLICY.margin
        assert 1 == len(on.watch.market.books().of("0x0000000000000000000000000000000000000002"))


def test_a_metered_machine_goes_when_its_grace_is_over_and_costs_nothing_more(tmp_path: Path) -> None:
    with living(tmp_path / "db", Market(Generation.CLOUD_V2)) as on:
        on.epochs(1)

        (called,) = on.called_at()
        notified = on.watch.deletions()[-1].notified_at
        assert notified is not None
        assert timedelta(0) <= called - notified - POLICY.grace <= timedelta(seconds=1)
        cost = on.watch.market.books().metered[on.vm]
        on.epochs(5)
        assert Fraction(0) < cost == on.watch.market.books().metered[on.vm]
        assert DeletionState.VERIFIED is on.state
        assert 1 == len(on.called_at())


@pytest.mark.parametrize("market", ONE_OF_EACH)
def test_with_too_little_notice_it_lives_to_the_next_boundary(tmp_path: Path, market: Market) -> None:
    with living(tmp_path / "db", market, policy=replace(POLICY, min_notice=market.epoch * 4 / 5)) as on:
        on.epochs(3)

        (called,) = on.called_at()
        first, second = on.ends()
        assert second - POLICY.margin <= called < second
        assert market.epoch == second - first
        assert DeletionState.VERIFIED is on.state


def test_a_notice_of_several_epochs_spans_them(tmp_path: Path) -> None:
    with living(tmp_path / "db", V3, policy=replace(POLICY, min_notice=25 * MINUTE)) as on:
        on.epochs(3)

        assert [BOUNDARY + 2 * EPOCH - POLICY.margin] == on.called_at()
        assert BOUNDARY + 2 * EPOCH == on.ends()[-1]


@pytest.mark.parametrize("market", ONE_OF_EACH)
@pytest.mark.parametrize("if_missed", list(IfMissed))
def test_a_missed_moment_follows_the_setting(tmp_path: Path, market: Market, if_missed: IfMissed) -> None:
    """The process slept through the boundary, so that another epoch is paid: it is used up, or given away."""
    with living(tmp_path / "db", market, policy=replace(POLICY, if_missed=if_missed)) as on:
        on.life.until(on.boundary - 2 * MINUTE)
        on.life.asleep = True
        woken = on.boundary + 3 * MINUTE
        on.life.until(woken)
        assert [] == on.called_at()
        on.life.asleep = False
        on.epochs(3)

        (called,) = on.called_at()
        first, second = on.ends()
        assert market.epoch == second - first
        if if_missed is IfMissed.NOW:
            assert woken == called
        else:
            assert second - POLICY.margin <= called < second
        assert DeletionState.VERIFIED is on.state


def test_little_time_is_left_but_enough(tmp_path: Path) -> None:
    """Awake with a little more than a third of the margin left, it is still done before the charge."""
    with living(tmp_path / "db", V3) as on:
        on.life.until(BOUNDARY - 2 * MINUTE)
        on.life.asleep = True
        on.life.until(BOUNDARY - timedelta(seconds=21))
        on.life.asleep = False
        on.epochs(3)

        assert [BOUNDARY - timedelta(seconds=21)] == on.called_at()
        assert [BOUNDARY] == on.ends()


def test_too_little_time_is_left(tmp_path: Path) -> None:
    """With less than a third of the margin left the moment is missed: a call now could well come too late."""
    with living(tmp_path / "db", V3) as on:
        on.life.until(BOUNDARY - 2 * MINUTE)
        on.life.asleep = True
        on.life.until(BOUNDARY - timedelta(seconds=19))
        on.life.asleep = False
        on.epochs(3)

        assert [BOUNDARY + EPOCH - POLICY.margin] == on.called_at()


def test_outside_the_allowed_hours_it_goes_at_the_last_instant_of_them_before_the_charge(tmp_path: Path) -> None:
    """Epochs of a day that end at 17:55, and deletions between 8 and 16 o'clock: a third of the margin is left to do it."""
    hours = replace(POLICY, margin=30 * MINUTE, min_notice=120 * MINUTE, allowed_from=time(8), allowed_until=time(16))
    with living(tmp_path / "db", V3, policy=hours, epoch=timedelta(hours=24), anchor=time(17, 55)) as on:
        on.epochs(2)

        assert [datetime(2026, 3, 2, 15, 50, tzinfo=UTC)] == on.called_at()
        assert datetime(2026, 3, 2, 17, 55, tzinfo=UTC) == on.ends()[-1]
