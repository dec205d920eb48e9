"""How long one turn takes for machines that do not change: `python -m benchmarks.cycle [MACHINES]`.

Measured bare, and as it is used: with a budget, an idle rule and a target. The floor is decoding the same list, which no
watcher can do without; the peer for the exposition is prometheus-client's own renderer given ready samples. All are
measured in the same run.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from benchmarks.decode import best_of, vm_v3
from fluence_costwatch.assessment import Policy
from fluence_costwatch.core.billing.history import Judgement
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.idle.idleness import Reading as SignalReading
from fluence_costwatch.core.idle.rules import Condition, Rule, Signal
from fluence_costwatch.core.messages.outbox import Route
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount
from fluence_costwatch.cycle import Watching, run_cycle
from fluence_costwatch.fluence import vms_v3
from fluence_costwatch.metrics.exporter import Exporter
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.ports import Listing, Reading
from fluence_costwatch.store import open_store
from tests.rig import a_policy

START = datetime(2025, 11, 15, 12, 0, tzinfo=UTC)
SERIES_PER_MACHINE = 5
BUDGET = Budget("fleet", Usd.parse("1000000"), Window.MONTH, UTC)
RULE = Rule("idle", (Condition(Signal.CPU, below=Decimal("0.03")),), timedelta(hours=6), timedelta(hours=1))


class SameList:
    """A marketplace that sends the same bytes again and again."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.now = START

    def look(self, generation: Generation) -> Listing:
        """The same machines as before, five minutes later."""
        self.now += timedelta(minutes=5)
        return Listing(generation, self.now, self.now, vms_v3.read(self.body, account="main"))


class AllBusy:
    """Signals by which every machine does something."""

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], SignalReading]:
        """Busy, all of them."""
        return {
            (resource.identity, condition): SignalReading(condition, False, "cpu 41.2% busy over 5m")
            for condition in conditions
            for resource in resources
        }


class Nowhere:
    """A display that shows nothing, so that the turn is measured alone."""

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Nothing to show it on."""


class Ready(Collector):
    """Samples of the same number and size, ready to be rendered."""

    def __init__(self, machines: int) -> None:
        self.families: list[Metric] = []
        for number in range(SERIES_PER_MACHINE):
            family = GaugeMetricFamily(f"ready_{number}", "Ready.", labels=("account", "resource_id"))
            for machine in range(machines):
                family.add_metric(("main", f"0x{machine:040x}"), 0.30697)
            self.families.append(family)

    def collect(self) -> list[Metric]:
        """All of them."""
        return self.families

    def describe(self) -> list[Metric]:
        """None by name."""
        return []


def turns(body: bytes, path: Path, *, policy: Policy, watching: Watching) -> float:
    """How long one of several turns takes at best, on a database of its own; the first two settle what was reported."""
    market = SameList(body)
    with open_store(path, now=START) as store:

        def turn() -> None:
            run_cycle(
                watching,
                cloud=market,
                signals=AllBusy(),
                store=store,
                display=Nowhere(),
                policy=policy,
                clock=lambda: market.now,
            )

        for _ in range(2):
            turn()
        with store.reading() as reading:
            assert not reading.alerts()
        return best_of(turn, times=3)


def main() -> None:
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    body = msgspec.json.encode([vm_v3(number) for number in range(machines)])
    watching = Watching("main", ((Generation.VMS_V3, Judgement()),))
    bare, used = a_policy(watching), a_policy(watching, budgets=(BUDGET,), rules=(RULE,), routes=(Route("ops"),))
    floor = best_of(lambda: vms_v3.read(body, account="main"))
    with tempfile.TemporaryDirectory() as folder:
        for name, policy in (("bare", bare), ("with a budget, a rule and a target", used)):
            ours = turns(body, Path(folder) / f"{name}.db", policy=policy, watching=watching)
            print(
                f"{machines} machines unchanged, {name}: a turn {ours * 1000:.0f} ms, decoding alone "
                f"{floor * 1000:.0f} ms, ratio {ours / floor:.1f}"
            )
        watched = Watched((WatchedAccount("main", (Generation.VMS_V3,)),), timedelta(minutes=15), UTC)
        with open_store(Path(folder) / "bare.db", now=START) as store:
            exporter = Exporter(version="0", watched=lambda: watched, tallies=Tallies(), size_bytes=store.size_bytes)

            def show() -> None:
                with store.reading() as reading:
                    exporter.show(reading, now=START + timedelta(hours=1))

            shown = best_of(show, times=3)
    registry = CollectorRegistry()
    registry.register(Ready(machines))
    peer = best_of(lambda: generate_latest(registry), times=3)
    print(f"exposition: {shown * 1000:.0f} ms, ready samples {peer * 1000:.0f} ms, ratio {shown / peer:.1f}")


if __name__ == "__main__":
    main()
