"""How fast lists of machines are decoded: `python benchmarks/decode.py [MACHINES]`.

Both lines are measured in the same run, so the ratio says more than the milliseconds: decoding into our checked values
against msgspec decoding the bare list into dictionaries.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import msgspec

from fluence_costwatch.fluence import vms_v2, vms_v3


def vm_v2(number: int) -> dict[str, object]:
    """A machine in the richer form of `vms-v2`."""
    return {
        "id": f"0x{number:040X}",
        "vmName": f"runner-{number}",
        "status": "ACTIVE",
        "pricePerEpoch": 298160 + number,
        "resources": [
            {
                "type": "VCPU",
                "quantity": 2,
                "details": {"model": "7702p"},
                "metadata": {"architecture": "Zen", "brand": "EPYC"},
            },
            {
                "type": "RAM",
                "quantity": 4096,
                "details": {"speed": 3600},
                "metadata": {"generation": "4", "type": "DDR"},
            },
            {"type": "STORAGE", "quantity": 25600, "details": {"manufacturer": "WD"}, "metadata": {"type": "SSD"}},
            {"type": "PUBLIC_IP", "quantity": 1, "details": {}, "metadata": {"version": "4"}},
        ],
        "createdAt": "+002025-04-01T16:50:57.000000000Z",
        "nextBillingAt": "+002025-04-16T17:59:55.000000000Z",
        "reservedBalance": "298160",
        "totalSpent": "2981600",
    }


def vm_v3(number: int) -> dict[str, object]:
    """A machine of `vms-v3`."""
    return {
        "id": f"0x{number:040X}",
        "vmName": f"etl-{number}",
        "status": "Active",
        "pricePerEpoch": "0.30697",
        "resources": [
            {"type": "VCPU", "quantity": 4, "metadata": {"manufacturer": "AMD"}, "details": None},
            {"type": "RAM", "supply": 8, "units": "GiB", "metadata": {"type": "DDR"}, "details": None},
            {"type": "STORAGE", "supply": 50, "units": "GiB", "metadata": {"type": "NVMe"}, "details": None},
            {"type": "PUBLIC_IP", "quantity": 1, "metadata": {"version": "4"}, "details": None},
        ],
        "osImage": "https://images.example.net/ubuntu-24.04.img",
        "datacenter": {"countryCode": "PL", "cityCode": "WAW", "cityIndex": 1, "tier": 3, "certifications": []},
        "publicIp": f"198.51.{number // 256 % 256}.{number % 256}",
        "ports": [{"port": 22, "protocol": "tcp"}],
        "reservedBalance": ".30697",
        "totalSpent": "3.99061",
        "createdAt": "2025-11-03T09:14:22Z",
        "nextBillingAt": "2025-11-16T09:17:40Z",
        "statusChangedAt": "2025-11-03T09:17:40Z",
    }


def best_of(run: Callable[[], object], *, times: int = 5) -> float:
    """The shortest of several runs, in seconds."""

    def once() -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return min(once() for _ in range(times))


def main() -> None:
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    for name, read, make in (("vms-v2", vms_v2.read, vm_v2), ("vms-v3", vms_v3.read, vm_v3)):
        body = msgspec.json.encode([make(number) for number in range(machines)])
        resources = read(body, account="benchmark")
        assert len(resources) == machines
        assert not any(resource.problems for resource in resources)
        bare = best_of(lambda body=body: msgspec.json.decode(body))  # type: ignore[misc]  # the default binds this turn's body
        ours = best_of(lambda body=body, read=read: read(body, account="benchmark"))  # type: ignore[misc]  # the same
        print(
            f"{name}: {machines} machines, {len(body) / 1e6:.1f} MB: bare dictionaries {bare * 1000:.0f} ms, "
            f"resources {ours * 1000:.0f} ms, ratio {ours / bare:.1f}"
        )


if __name__ == "__main__":
    main()
