"""How long a budget over all machines takes, its forecast included: `python -m benchmarks.forecast [MACHINES]`.

Every machine has a boundary of its own, so that nothing falls together. The floor is one plain loop that adds up the price
of each machine as often as it is charged until the month ends.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from benchmarks.cycle import BUDGET, START, AllBusy, Nowhere, SameList
from benchmarks.decode import best_of, vm_v3
from fluence_costwatch.core.billing.history import Judgement, ResourceState
from fluence_costwatch.core.budgets.budgeting import statuses
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.cycle import Watching, run_cycle
from fluence_costwatch.store import open_store
from tests.rig import a_policy

MONTH_ENDS = datetime(2025, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def machine(number: int) -> dict[str, object]:
    """A machine whose epochs begin a second before those of the one before."""
    born = datetime(2025, 11, 3, 9, 14, 22, tzinfo=UTC) - number * timedelta(seconds=1)
    times = {"createdAt": born, "statusChangedAt": born, "nextBillingAt": born + 13 * DAY}
    return vm_v3(number) | {name: f"{moment:%Y-%m-%dT%H:%M:%SZ}" for name, moment in times.items()}


def added_up(states: Sequence[ResourceState]) -> int:
    """The sum of all charges until the month ends, in micro-dollars."""
    return sum(
        int(state.price.scaleb(6)) * -((state.epoch.end - MONTH_ENDS) // DAY)
        for state in states
        if state.epoch is not None and state.price is not None
    )


def main() -> None:
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    market = SameList(msgspec.json.encode([machine(number) for number in range(machines)]))
    watching = Watching("main", ((Generation.VMS_V3, Judgement()),))
    policy = a_policy(watching)
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "watch.db", now=START) as store:
        for _ in range(3):
            run_cycle(
                watching,
                cloud=market,
                signals=AllBusy(),
                store=store,
                display=Nowhere(),
                policy=policy,
                clock=lambda: market.now,
            )
        with store.reading() as reading:
            states = [record.state for record in reading.resources()]
            (status,) = statuses((BUDGET,), reading, watched=policy.terms.watched, now=market.now)
            ours = best_of(lambda: statuses((BUDGET,), reading, watched=policy.terms.watched, now=market.now))
    assert status.forecast is not None
    assert added_up(states) == (status.forecast - status.spent).micros
    floor = best_of(lambda: added_up(states))
    print(
        f"{machines} machines, each with its own boundary: spent and forecast {ours * 1000:.0f} ms, one price "
        f"times its charges each {floor * 1000:.0f} ms, ratio {ours / floor:.0f}"
    )


if __name__ == "__main__":
    main()
