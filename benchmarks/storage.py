"""What a day of looks at machines that do not change adds to the database: `python -m benchmarks.storage [MACHINES]`.

The peer is the obvious table, one row per machine and look, filled in the same run.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec

from benchmarks.cycle import START, Nowhere, SameList
from benchmarks.decode import vm_v3
from fluence_costwatch.core.billing.history import Judgement
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.cycle import Watching, run_cycle
from fluence_costwatch.store import open_store
from tests.rig import a_policy

LOOKS = 288


def ours(folder: Path, machines: int) -> int:
    """Bytes that a day of looks adds after the first one."""
    market = SameList(msgspec.json.encode([vm_v3(number) for number in range(machines)]))
    # Between two boundaries, so that the ledger itself does not grow.
    market.now = START - timedelta(hours=2)
    watching = Watching("main", ((Generation.VMS_V3, Judgement()),))
    path = folder / "ours.db"
    sizes = []
    for looks in (3, LOOKS):
        with open_store(path, now=START) as store:
            for _ in range(looks):
                run_cycle(
                    watching,
                    cloud=market,
                    store=store,
                    display=Nowhere(),
                    policy=a_policy(watching),
                    clock=lambda: market.now,
                )
                market.now -= timedelta(minutes=4)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sizes.append(path.stat().st_size)
    return sizes[1] - sizes[0]


def row_per_machine_and_look(folder: Path, machines: int) -> int:
    """Bytes that the same looks take in the obvious table."""
    path = folder / "obvious.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE looks (at INTEGER, id TEXT, status TEXT, price INTEGER)")
        for look in range(LOOKS):
            rows = ((look, f"0x{machine:040x}", "Active", 306970) for machine in range(machines))
            connection.executemany("INSERT INTO looks VALUES (?, ?, ?, ?)", rows)
    return path.stat().st_size


def main() -> None:
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as name:
        kept, obvious = ours(Path(name), machines), row_per_machine_and_look(Path(name), machines)
    print(
        f"{machines} machines, {LOOKS} looks: {kept / 1000:.0f} kB kept, {obvious / 1000:.0f} kB as a row per machine "
        f"and look, ratio {kept / obvious:.3f}"
    )


if __name__ == "__main__":
    main()
