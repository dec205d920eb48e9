"""Facts about machines that have to be asked for: node_exporters on the machines themselves, and the user's Prometheus.

`MachineSignals` serves `ports.Signals`. What cannot be had is unknown and says why; nothing is ever made up.
"""

from __future__ import annotations

from fluence_costwatch.signals.machines import MachineSignals

__all__ = ["MachineSignals"]
