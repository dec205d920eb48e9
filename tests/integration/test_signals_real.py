"""Real node_exporters, one busy and one idle, scraped directly and through a real Prometheus: the verdicts are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.idle.idling import next_clocks
from fluence_costwatch.core.idle.rules import Condition, Rule, Signal
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.ports import ResourceRecord
from fluence_costwatch.signals import MachineSignals
from tests.eventually import eventually
from tests.known import at, known_resource
from tests.servers.exporters import Machine, RealTime, Running, node_exporter, prometheus

ACTIVE, IDLE, UNKNOWN = IdleVerdict.ACTIVE, IdleVerdict.IDLE, IdleVerdict.UNKNOWN
CPU = Condition(Signal.CPU, below=Decimal("0.03"))
NETWORK = Condition(Signal.NETWORK, below=Decimal(2048))
BUSY_RATIO = '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[3s]))'
PROMQL = Condition(Signal.PROMQL, below=Decimal("0.03"), query=BUSY_RATIO)
MINUTE = timedelta(minutes=1)


@dataclass
class Fleet:
    """A busy machine and an idle one, each with a real node_exporter."""

    busy: Machine
    idle: Machine
    exporters: dict[str, Running]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    busy = Machine(tmp_path / "busy", busy=0.4, bytes_per_second=50_000)
    idle = Machine(tmp_path / "idle", busy=0.005, bytes_per_second=100)
    with node_exporter(busy, host="127.0.0.2") as first, node_exporter(idle, host="127.0.0.3") as second:
        yield Fleet(busy, idle, {"busy": first, "idle": second})


@dataclass
class Looks:
    """Looks at both machines under one rule."""

    rule: Rule
    signals: MachineSignals
    interval: timedelta
    clocks: dict[tuple[Identity, str], IdleClock] = field(default_factory=dict)
    records: tuple[ResourceRecord, ...] = tuple(
        known_resource(name, name=name, created_at=at("2026-01-01 00:00"), of_resource={"public_ip": address})
        for name, address in (("busy", "127.0.0.2"), ("idle", "127.0.0.3"))
    )

    def look(self, now: datetime) -> dict[str, IdleVerdict]:
        """The verdicts after one more look."""
        records = [replace(record, last_seen=now) for record in self.records]
        readings = self.signals.gather(self.rule.when, [each.resource for each in records], now=now)
        for clock in next_clocks(
            [self.rule],
            records,
            readings=readings,
            clocks=self.clocks,
            leases={},
            heartbeats={},
            listening_since=None,
            interval=self.interval,
            now=now,
        ):
            self.clocks[clock.identity, clock.rule] = clock
        return {identity.id: clock.verdict for (identity, _), clock in self.clocks.items()}


def machine_signals(
    *, prometheus_url: str | None = None, overrides: dict[str, str], monotonic: Callable[[], float] | None = None
) -> MachineSignals:
    more = {} if monotonic is None else {"monotonic": monotonic}
    return MachineSignals(
        prometheus_url=prometheus_url,
        node_exporter_url="http://{public_ip}:9100/metrics",
        timeout=timedelta(seconds=3),
        overrides=overrides,
        interval=5 * MINUTE,
        clock=lambda: datetime.now(UTC),
        **more,
    )


def test_real_node_exporters_say_who_is_busy_and_who_is_idle(fleet: Fleet) -> None:
    now, seconds = at("2026-11-01 12:00"), [0.0]
    signals = machine_signals(
        overrides={name: f"http://{each.address}/metrics" for name, each in fleet.exporters.items()},
        monotonic=lambda: seconds[0],
    )
    looks = Looks(Rule("quiet", (CPU, NETWORK), 60 * MINUTE, timedelta(0)), signals, 5 * MINUTE)
    with ExitStack() as stack:
        stack.callback(signals.close)
        seen = []
        for _ in range(15):
            seen.append(looks.look(now))
            for machine in (fleet.busy, fleet.idle):
                machine.go_on(300)
            now, seconds[0] = now + 5 * MINUTE, seconds[0] + 300

        # The first look has nothing to compare with; from the second on an hour must pass.
        assert {"busy": UNKNOWN, "idle": UNKNOWN} == seen[0]
        assert {"busy": ACTIVE, "idle": UNKNOWN} == seen[1]
        assert {"busy": ACTIVE, "idle": IDLE} == seen[13]
        evidence = {identity.id: clock.evidence for (identity, _), clock in looks.clocks.items()}
        assert {
            "busy": ("cpu 40.0% busy over 5 min", "network 50000 B/s over 5 min"),
            "idle": ("cpu 0.5% busy over 5 min", "network 100 B/s over 5 min"),
        } == evidence

        fleet.exporters["idle"].stop()
        assert {"busy": ACTIVE, "idle": UNKNOWN} == looks.look(now)


def test_a_real_prometheus_says_who_is_busy_and_who_is_idle(fleet: Fleet, tmp_path: Path) -> None:
    targets = [each.address for each in fleet.exporters.values()]
    time = RealTime(fleet.busy, fleet.idle)
    with prometheus(tmp_path / "prometheus", targets=targets) as server, ExitStack() as stack:
        signals = machine_signals(prometheus_url=f"http://{server.address}", overrides={})
        stack.callback(signals.close)
        looks = Looks(Rule("quiet", (PROMQL,), timedelta(seconds=3), timedelta(0)), signals, timedelta(seconds=2))

        def verdicts() -> dict[str, IdleVerdict]:
            time.catch_up()
            return looks.look(datetime.now(UTC))

        assert {"busy": UNKNOWN, "idle": UNKNOWN} == verdicts()
        eventually(lambda: verdicts() == {"busy": ACTIVE, "idle": IDLE}, within=40, every=0.2)

        fleet.exporters["idle"].stop()
        eventually(lambda: verdicts() == {"busy": ACTIVE, "idle": UNKNOWN}, within=40, every=0.2)
