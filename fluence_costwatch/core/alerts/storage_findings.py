"""Trouble with the database that an operator should hear of before it stops the watch (`design.md` section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling, fingerprint_of

KIND: Final = "storage"
# What a month of a large fleet, a migration's backup and a day's backup need with room to spare.
LEAST_FREE_BYTES: Final = 256 * 1024 * 1024
_STOPS_THE_WATCH: Final = (
    "When the disk is full nothing is recorded: budgets and alerts stand still while charges go on."
)


def judge_room(*, free_bytes: int, size_bytes: int) -> Judged:
    """Whether the disk has room for the database to be copied before a migration, and for some time of growth."""
    needed = max(LEAST_FREE_BYTES, 2 * size_bytes)
    if free_bytes >= needed:
        return _ended("room", "there is room again")
    return _found(
        "room",
        severity=Severity.CRITICAL if free_bytes < LEAST_FREE_BYTES // 4 else Severity.WARNING,
        summary=f"The disk of the database is nearly full: less than {_coarse(needed)} are free",
        means=_STOPS_THE_WATCH,
        advice="Free some room, or move the database and set database.url.",
    )


def judge_housekeeping(*, failed: str | None, damage: Sequence[str]) -> Judged:
    """How the daily backup and check went: why it `failed`, and what the check found."""
    backup = (
        _ended("backup", "a backup was written")
        if failed is None
        else _found(
            "backup",
            severity=Severity.WARNING,
            summary="The daily backup of the database failed",
            means=f"The newest backup is older than a day; should the file be lost, so are the charges since. {failed}",
            advice="Run `fluence-costwatch db backup` once that is mended.",
        )
    )
    if failed is not None:
        return backup
    checked = (
        _ended("damage", "the check finds nothing wrong any more")
        if not damage
        else _found(
            "damage",
            severity=Severity.CRITICAL,
            summary="The database is damaged",
            means=f"Figures may be wrong from now on. {'; '.join(damage[:3])}",
            advice="Stop the daemon, run `fluence-costwatch db verify`, and restore the newest backup that is sound.",
        )
    )
    return Judged(backup.findings + checked.findings, backup.endings + checked.endings)


def _found(rule: str, *, severity: Severity, summary: str, means: str, advice: str) -> Judged:
    return Judged(
        findings=(
            Finding(
                kind=KIND,
                severity=severity,
                account="",
                resource_id=None,
                summary=summary,
                rule=rule,
                means=means,
                advice=advice,
                telling=Telling.STATE,
            ),
        )
    )


def _ended(rule: str, reason: str) -> Judged:
    return Judged(endings=(Ending(fingerprint_of(KIND, "", None, rule), reason),))


def _coarse(size: int) -> str:
    """`size` rounded up so coarsely that the text seldom changes while the database grows."""
    return f"{-(-size // LEAST_FREE_BYTES) * LEAST_FREE_BYTES // (1024 * 1024)} MiB"
