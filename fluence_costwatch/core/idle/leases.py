"""Leases: until when a machine is wanted. Given by command, or by how its name ends (`design.md` sections 6 and 7).

`web--until-2026-12-01` is wanted through the end of that day, UTC; `web--ttl-3d` for three days from its creation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from fluence_costwatch.core.deletion.deletions import Lease
from fluence_costwatch.core.messages.wording import instant

_SUFFIX: Final = re.compile(r"--(until|ttl)-(?!.*--(?:until|ttl)-)(.*)\Z", re.IGNORECASE | re.DOTALL)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TTL: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.IGNORECASE)
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class Term:
    """Until when a machine is wanted. `until` None: there is a lease, but it cannot be read; `source` says whence, or why."""

    until: datetime | None
    source: str

    def has_run_out(self, now: datetime) -> bool | None:
        """Whether it has; None where that is not known."""
        return None if self.until is None else self.until <= now


def term_of(name: str | None, *, created_at: datetime | None, lease: Lease | None) -> Term | None:
    """The term of a machine of that name: the one given by command before that of its name. None: it has no lease.

    A machine whose name is not known may have one, so its term is unknown.
    """
    if lease is not None:
        return Term(lease.until, f"leased by {lease.actor}")
    if name is None:
        return Term(None, "its name is not known")
    return term_in(name, created_at=created_at)


def term_in(name: str, *, created_at: datetime | None) -> Term | None:
    """The term that `name` ends in, if it ends in one. What begins like one and cannot be read is unknown, not nothing."""
    found = _SUFFIX.search(name)
    if found is None:
        return None
    value = found[2]
    if found[1].lower() == "until":
        return _until(value)
    length = _TTL.fullmatch(value)
    if length is None:
        return Term(None, "its name ends in a --ttl- that cannot be read")
    if created_at is None:
        return Term(None, "its name ends in a --ttl-, but when it was created is not known")
    try:
        return Term(created_at + int(length[1]) * _UNITS[length[2].lower()], "by its name")
    except OverflowError:
        return Term(None, "its name ends in a --ttl- beyond all time")


def lease_protection(
    name: str | None, *, created_at: datetime | None, lease: Lease | None, now: datetime
) -> str | None:
    """Why the machine is to be kept for now, where a lease says so: any that runs, by command or name, or cannot be read."""
    by_name = None if name is None else term_in(name, created_at=created_at)
    for term in (None if lease is None else term_of(name, created_at=created_at, lease=lease), by_name):
        if term is None or term.has_run_out(now):
            continue
        if term.until is None:
            return term.source
        return f"{term.source} until {instant(term.until, zone=UTC)}"
    return None


def _until(value: str) -> Term:
    try:
        last = date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        last = None
    if last is None:
        return Term(None, "its name ends in an --until- that cannot be read")
    if last == date.max:
        return Term(datetime.max.replace(tzinfo=UTC), "by its name")
    return Term(datetime.combine(last + timedelta(days=1), time(0), UTC), "by its name")
