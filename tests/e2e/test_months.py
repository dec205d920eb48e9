"""Months of a busy account on a clock set by hand: the ledger against the marketplace's own books."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.resources import Generation
from tests.rig import Rig, rig

START = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)

MARKETS = [
    pytest.param(Generation.VMS_V2, {"flavour": "seed"}, id="the first page, global boundary"),
    pytest.param(Generation.VMS_V2, {"flavour": "rich"}, id="the richer vms-v2, global boundary"),
    pytest.param(Generation.VMS_V3, {"policy": "global"}, id="vms-v3, global boundary"),
    pytest.param(Generation.VMS_V3, {"policy": "per_vm"}, id="vms-v3, own period of each VM"),
    pytest.param(
        Generation.VMS_V3,
        {"policy": "per_vm", "next_billing_wobble": timedelta(minutes=2), "charge_delay": timedelta(minutes=90)},
        id="vms-v3, wobbling and late",
    ),
]


@dataclass
class Life:
    """What happens to the fleet, drawn from a seed; never within two hours of a boundary of the VM it happens to."""

    watch: Rig
    dice: random.Random
    per_vm: bool
    alive: dict[str, datetime]
    count: int = 0

    def happen(self) -> None:
        """Perhaps something happens now."""
        market, now = self.watch.market, self.watch.now
        if self.dice.random() < 0.05 and not self._near_boundary(None):
            self.count += 1
            price = self.dice.choice(["0.298160", "0.5", "1.25", "0.000001", "0.30697"])
            self.alive[market.create(f"vm-{self.count}", price)] = now
        for vm in list(self.alive):
            if self._near_boundary(vm) or self.alive[vm] == now:  # a life between two looks is seen by nobody
                continue
            chance = self.dice.random()
            if chance < 0.004 and len(self.alive) > 3:
                market.delete(vm)
                del self.alive[vm]
            elif chance < 0.008:
                market.set_price(vm, self.dice.choice(["0.31", "0.2", "2"]))
            elif chance < 0.01:
                market.rename(vm, f"renamed-{self.dice.randrange(1000)}")
            elif chance < 0.011 and len(self.alive) > 3:
                market.terminate(vm)
                del self.alive[vm]

    def _near_boundary(self, vm: str | None) -> bool:
        origin = self.alive[vm] if vm is not None and self.per_vm else START + timedelta(hours=17, minutes=55)
        since = (self.watch.now - origin) % DAY
        return min(since, DAY - since) < timedelta(hours=2)


def live(watch: Rig, *, days: int, every: timedelta, seed: int, per_vm: bool) -> None:
    """So many days of it, with outages and restarts; the books are compared after every look."""
    life = Life(watch, random.Random(seed), per_vm, {})
    for number in range(3):
        life.alive[watch.market.create(f"first-{number}", "0.298160")] = watch.now
    watch.poll()
    until = watch.now + days * DAY
    while watch.now < until:
        watch.advance(every)
        life.happen()
        watch.advance(every)
        watch.poll()
        assert [] == watch.differences()
        if life.dice.random() < 0.01:
            watch.restart()
        if life.dice.random() < 0.005:
            watch.advance(life.dice.randrange(5, 60) * timedelta(hours=1))  # an outage of ours
            watch.poll()
            assert [] == watch.differences()


# The others live through four months, with more to happen, in the slow tests.
SHORT = [MARKETS[4]]


@pytest.mark.parametrize(("generation", "options"), SHORT)
def test_three_weeks_equal_the_books_to_the_micro_dollar(
    tmp_path: Path, generation: Generation, options: dict[str, Any]
) -> None:
    _live_and_compare(tmp_path, generation, options, days=21, every=timedelta(minutes=45), seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize(("generation", "options"), MARKETS)
def test_four_months_equal_the_books_to_the_micro_dollar(
    tmp_path: Path, generation: Generation, options: dict[str, Any], seed: int
) -> None:
    _live_and_compare(tmp_path, generation, options, days=120, every=timedelta(minutes=50), seed=seed)


def _live_and_compare(
    tmp_path: Path, generation: Generation, options: dict[str, Any], *, days: int, every: timedelta, seed: int
) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=generation, **options) as watch:
        watch.market.top_up("100000")
        live(watch, days=days, every=every, seed=seed, per_vm=options.get("policy") == "per_vm")
        watch.polls(DAY, every=timedelta(minutes=30))

        assert [] == watch.unequal()
        assert [] == watch.store.rebuild()
