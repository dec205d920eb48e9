"""The counters of a node_exporter, read from its text: busy and idle seconds, bytes in and out, and when it booted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Traffic through these passes a real device too, or never leaves the machine.
_VIRTUAL: Final = re.compile(
    r"lo|(docker|br-|veth|virbr|vnet|cni|flannel|cali|cilium|lxc|lxd|podman|dummy|ifb|tun|tap|wg|tailscale|kube|vxlan).*"
)
_SERIES: Final = re.compile(
    r"(node_cpu_seconds_total|node_network_(?:receive|transmit)_bytes_total|node_boot_time_seconds)"
    r"(?:\{([^}]*)\})?[ \t]+(\S+)(?:[ \t]+-?[0-9]+)?[ \t]*"
)
_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*(?:,\s*|\Z)')
_STARTS: Final = ("node_cpu_seconds_total", "node_network_", "node_boot_time_seconds")


class Unreadable(Exception):
    """The text is not what a node_exporter says; the reason is short and holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One scrape. `cpu` is by cpu and mode in seconds, `network` by device and direction in bytes."""

    cpu: Mapping[tuple[str, str], float]
    network: Mapping[tuple[str, str], float]
    booted_at: float | None


def counters_in(body: bytes) -> Counters:
    """The counters in a text exposition. Raises Unreadable."""
    try:
        lines = body.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise Unreadable("is not text") from None
    cpu: dict[tuple[str, str], float] = {}
    network: dict[tuple[str, str], float] = {}
    booted_at = None
    for line in lines:
        if not line.startswith(_STARTS):
            continue
        series = _SERIES.fullmatch(line.rstrip("\r"))
        if series is None:
            if line.startswith("node_network_"):  # one of the many others of that name
                continue
            raise Unreadable("cannot be read")
        name, labels, value = series[1], _labels(series[2] or ""), _value(series[3])
        if name == "node_boot_time_seconds":
            booted_at = value
        elif name == "node_cpu_seconds_total":
            _add(cpu, (labels.get("cpu", ""), labels.get("mode", "")), value)
        elif not _VIRTUAL.fullmatch(device := labels.get("device", "")):
            _add(network, (device, name), value)
    return Counters(cpu, network, booted_at)


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        label = _LABEL.match(text, place)
        if label is None:
            raise Unreadable("cannot be read")
        labels[label[1]] = label[2]
        place = label.end()
    return labels


def _value(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise Unreadable("holds a counter that is no number")
    return value


def _add(found: dict[tuple[str, str], float], key: tuple[str, str], value: float) -> None:
    if key in found:
        raise Unreadable("holds a series twice")
    found[key] = value
