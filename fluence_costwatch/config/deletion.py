"""`[deletion]`: whether and when machines are deleted. What would delete too early, or silently not at all, is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from fluence_costwatch.config import tables
from fluence_costwatch.config.durations import format_duration
from fluence_costwatch.config.problems import Findings, dotted, shown
from fluence_costwatch.config.reading import account_names, mapping, read_inner, read_table, without
from fluence_costwatch.config.settings import AccountSettings, TargetSettings
from fluence_costwatch.config.values import AUTO, GPU
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.deletion.deletions import DeletionPolicy, Mode, Protection
from fluence_costwatch.core.epochs import UTC_HOURS
from fluence_costwatch.core.messages.outbox import Route

_PREPAID: Final = ("vms-v2", "vms-v3", AUTO)


def read_deletion(document: Mapping[str, object], findings: Findings) -> DeletionPolicy | None:
    """What `[deletion]` says; None where it has problems, which are noted."""
    found = document.get("deletion", {})
    if not isinstance(found, dict):
        findings.problem("deletion", "must be a table that begins with [deletion] on a line of its own")
        return None
    if found.get("mode") == Mode.EXECUTE and document.get("targets", []) == []:
        findings.problem(
            "deletion.mode",
            f"cannot be {shown(Mode.EXECUTE)} without a target, which is told of each deletion before it",
        )
    at = ("deletion",)
    like = '{names = ["db-*"], ids = []}'
    table = read_table(without(found, "protect"), tables.DeletionTable, findings, at=at)
    protect = read_inner(found, "protect", tables.ProtectTable, findings, at=at, like=like)
    if table is None or protect is None:
        return None
    allowed_from, allowed_until = table.allowed_hours
    return DeletionPolicy(
        mode=table.mode,
        margin=table.margin,
        min_notice=table.min_notice,
        grace=table.grace,
        if_missed=table.if_missed,
        max_per_day=table.max_per_day,
        max_fleet_share=table.max_fleet_share,
        allowed_from=allowed_from,
        allowed_until=allowed_until,
        zone=table.zone or ZoneInfo("UTC"),
        veto_for=table.veto_for,
        verify_within=table.verify_within,
        reclaim=table.reclaim,
        release_public_ips=table.release_public_ips,
        protect=Protection(protect.names, protect.ids),
    )


def judge_deletion(
    policy: DeletionPolicy,
    document: Mapping[str, object],
    accounts: Sequence[AccountSettings],
    targets: Sequence[TargetSettings],
    findings: Findings,
) -> None:
    """Note where the policy does not fit the accounts and targets of the file."""
    _note_wide_margin(policy, document, accounts, findings)
    if policy.mode is Mode.OBSERVE:
        return
    names = account_names(document)
    for account in accounts:
        where = dotted("accounts", names.index(account.name))
        if AUTO in account.generations:
            findings.remark(
                f"{where}.generation",
                f"nothing is deleted in this account until its generation is named, because {shown(AUTO)} only looks",
            )
        if not any(_is_told_of_deletions(target.route, account.name) for target in targets):
            findings.remark(
                where,
                "no target is told of deletions in this account, and without an accepted notice nothing is deleted",
            )


def _note_wide_margin(
    policy: DeletionPolicy,
    document: Mapping[str, object],
    accounts: Sequence[AccountSettings],
    findings: Findings,
) -> None:
    """Note a margin that takes half an epoch or more. The default one matters only where something may be deleted."""
    observing = policy.mode is Mode.OBSERVE
    if observing and "margin" not in mapping(document, "deletion"):
        return
    lengths: list[tuple[timedelta, str]] = []
    for account in accounts:
        if any(generation in _PREPAID for generation in account.generations):
            lengths.append((account.epoch.length, account.name))
        if GPU in account.generations and not observing:
            lengths.append((UTC_HOURS.length, account.name))
    shortest, name = min(lengths, default=(policy.margin * 3, ""))
    if policy.margin * 2 >= shortest:
        findings.problem(
            "deletion.margin",
            f"must be shorter than half of an epoch of account {shown(name)} ({format_duration(shortest)}), "
            f"is {format_duration(policy.margin)}",
        )


def _is_told_of_deletions(route: Route, account: str) -> bool:
    # The notice of a deletion is a warning.
    return (
        route.min_severity.rank <= Severity.WARNING.rank
        and (not route.kinds or "deletion" in route.kinds)
        and (not route.accounts or account in route.accounts)
    )
