"""The built-in script: a small lively fleet, whose pace follows the length of the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .exporters import BUSY, IDLE, Pace, Paces
from .script import Script, read_script

# In epochs after the start: from then on nobody uses this machine, whose name the configuration of the demo protects.
ARCHIVE_IDLE_AFTER = 3.5


def demo_script() -> Script:
    """Eight VMs at first; within a few epochs two come, one goes, one is renamed, one gets dearer and one is ended.

    Changes fall on the middle of an epoch, so that nobody doubts which price an epoch has.
    A batch of workers comes and goes for ever after, and the account is topped up in time.
    """
    return read_script([*_fleet(), *_changes()])


def demo_paces(epoch: timedelta) -> Mapping[str, Paces]:
    """How busy the machines of the script are that are not simply busy, by their names."""
    idle = IDLE[0]
    return {
        "notebook-anna": IDLE,
        "load-test": IDLE,
        "db-archive": (*BUSY, Pace(ARCHIVE_IDLE_AFTER * epoch, idle.busy, idle.bytes_per_second)),
    }


def _fleet() -> list[dict[str, Any]]:
    return [
        {"do": "create", "vm": "api", "name": "api-gateway", "price": "0.298160"},
        {"do": "create", "vm": "db", "name": "postgres-main", "price": "1.274400",
         "vcpu": 8, "ram_mib": 32768, "storage_mib": 204800},
        {"do": "create", "vm": "ci", "name": "ci-runner-2", "price": "0.412500", "vcpu": 4, "ram_mib": 8192},
        {"do": "create", "vm": "etl", "name": "etl-worker", "price": "0.596320", "vcpu": 4, "ram_mib": 16384},
        {"do": "create", "vm": "old", "name": "staging-old", "price": "0.306970"},
        {"do": "create", "vm": "odd", "name": "<b>Zoë's</b> \x1b[31mtest\x1b[0m \U0001f984 | $(whoami)", "price": "0.149080",
         "vcpu": 1, "ram_mib": 2048},
        {"do": "create", "vm": "notebook", "name": "notebook-anna", "price": "0.447240", "vcpu": 4, "ram_mib": 8192},
        {"do": "create", "vm": "archive", "name": "db-archive", "price": "0.243890"},
    ]  # fmt: skip


def _changes() -> list[dict[str, Any]]:
    return [
        {"at": _epoch(1.5), "do": "create", "vm": "train", "name": "model-training", "price": "4.752000",
         "vcpu": 32, "ram_mib": 131072, "storage_mib": 512000},
        {"at": _epoch(2.4), "do": "rename", "vm": "ci", "name": "ci-runner-blue"},
        {"at": _epoch(2.5), "do": "price", "vm": "etl", "price": "0.655952"},
        {"at": _epoch(2.6), "do": "create", "vm": "load", "name": "load-test", "price": "0.357790"},
        {"at": _epoch(3.5), "do": "delete", "vm": "old"},
        {"at": _epoch(4.5), "do": "terminate", "vm": "api"},
        {"at": _epoch(5.5), "do": "delete", "vm": "train"},
        {"at": _epoch(6.5), "every": _epoch(6), "do": "create", "vm": "batch", "name": "nightly-batch", "price": "0.894480",
         "vcpu": 8, "ram_mib": 16384},
        {"at": _epoch(9.5), "every": _epoch(6), "do": "delete", "vm": "batch"},
        {"at": _epoch(8), "every": _epoch(20), "do": "top_up", "amount": "84"},
    ]  # fmt: skip


def _epoch(number: float) -> dict[str, float]:
    return {"epochs": number}
