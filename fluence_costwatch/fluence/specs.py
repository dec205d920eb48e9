"""The `resources` of a machine: what it consists of, summed by type."""

from __future__ import annotations

from typing import Final

import msgspec

from fluence_costwatch.core.resources import Specs
from fluence_costwatch.fluence.wire import LARGEST_COUNT, Doubts

_LONGEST_DIGITS: Final = 15

_COUNTED: Final = ("VCPU", "PUBLIC_IP", "NETWORK_BANDWIDTH")
_MEASURED: Final = ("RAM", "STORAGE")
# The numerator and the denominator that turn a unit into MiB. Lists without units mean MiB, though one page says MB.
_IN_MIB: Final = (
    ("kib", 1, 1024),
    ("ki", 1, 1024),
    ("mib", 1, 1),
    ("mi", 1, 1),
    ("gib", 1024, 1),
    ("gi", 1024, 1),
    ("tib", 1024**2, 1),
    ("ti", 1024**2, 1),
    ("kb", 1000, 1024**2),
    ("mb", 1000**2, 1024**2),
    ("gb", 1000**3, 1024**2),
    ("tb", 1000**4, 1024**2),
)
_UNITS: Final = {name: (numerator, denominator) for name, numerator, denominator in _IN_MIB}


class _Entry(msgspec.Struct, gc=False):
    type: object = None
    supply: object = None
    quantity: object = None
    units: object = None


_ENTRIES: Final = msgspec.json.Decoder(list[_Entry] | None)


def specs_of(raw: msgspec.Raw, doubts: Doubts) -> Specs | None:
    """The specs that the entries in `raw` add up to; None where there is no such list."""
    try:
        entries = _ENTRIES.decode(raw)
    except (ValueError, RecursionError):
        doubts.note("specs", raw, "is not a list of resources")
        return None
    if entries is None:
        return None
    sums: dict[str, int | None] = {}
    for entry in entries:
        kind = entry.type.upper() if isinstance(entry.type, str) else ""
        if kind not in _COUNTED and kind not in _MEASURED:
            continue
        amount = _whole(entry, kind, raw, doubts)
        if amount is not None and kind in _MEASURED:
            amount = in_mib(amount, entry.units)
        before = sums.get(kind, 0)
        # A sum of which a part is unknown is unknown.
        together = None if amount is None or before is None else before + amount
        sums[kind] = together if together is None or together <= LARGEST_COUNT else None
    return Specs(
        vcpu=sums.get("VCPU"),
        ram_mib=sums.get("RAM"),
        storage_mib=sums.get("STORAGE"),
        public_ips=sums.get("PUBLIC_IP"),
        network_bandwidth=sums.get("NETWORK_BANDWIDTH"),
    )


def _whole(entry: _Entry, kind: str, raw: msgspec.Raw, doubts: Doubts) -> int | None:
    amount = entry.quantity if entry.supply is None else entry.supply
    if isinstance(amount, str) and amount.isascii() and amount.isdigit() and len(amount) <= _LONGEST_DIGITS:
        amount = int(amount)
    if isinstance(amount, int) and not isinstance(amount, bool):
        return amount if 0 <= amount <= LARGEST_COUNT else None
    if amount is not None and not isinstance(amount, str):
        doubts.note("specs", raw, f"has no whole number for {kind}")
    return None


def in_mib(amount: int, units: object) -> int | None:
    """`amount` of `units` ("GiB", "Gi", "GB") in whole MiB, rounded down; None where the unit is not known."""
    if units is None:
        return amount
    factor = _UNITS.get(units.strip().lower()) if isinstance(units, str) else None
    return None if factor is None else amount * factor[0] // factor[1]
