"""`[[accounts]]`: whom to look at, with which key, and whether often enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from fluence_costwatch.config import tables
from fluence_costwatch.config.durations import format_duration, parse_duration
from fluence_costwatch.config.keys import account_key, delete_key, note_shared_keys
from fluence_costwatch.config.locate import Place
from fluence_costwatch.config.problems import Findings, dotted, shown
from fluence_costwatch.config.reading import items, note_repeated_names, read_inner, read_table, without
from fluence_costwatch.config.secret import Secret
from fluence_costwatch.config.settings import AccountSettings, EpochSettings
from fluence_costwatch.config.values import AUTO, GPU
from fluence_costwatch.core.epochs import UTC_HOURS


def read_accounts(
    document: Mapping[str, object], default: EpochSettings, place: Place, findings: Findings, *, read_secrets: bool
) -> tuple[AccountSettings, ...]:
    """The accounts of the file; those with problems, which are noted, are left out."""
    found = items(document, "accounts", findings)
    if not found and document.get("accounts", []) == []:
        findings.problem("accounts", "at least one is needed: [[accounts]] with name and api_key_file")
    accounts: list[AccountSettings] = []
    keys: list[Secret] = []
    for index, item in enumerate(found):
        at = ("accounts", index)
        like = '{anchor = "17:55", length = "24h"}'
        table = read_table(without(item, "epoch"), tables.AccountTable, findings, at=at)
        epoch = read_inner(item, "epoch", tables.AccountEpochTable, findings, at=at, like=like)
        key = account_key(item, at=index, place=place, findings=findings, read_secrets=read_secrets)
        deleting = delete_key(item, at=index, place=place, findings=findings, read_secrets=read_secrets)
        keys.append(key)
        if deleting is not None and deleting.is_read and deleting == key:
            findings.remark(
                dotted(*at, "delete_api_key_file"), "holds the key that watches, so that key is not read-only"
            )
        if table is not None and epoch is not None:
            accounts.append(_account(table, epoch, key, deleting, default))
    note_repeated_names(found, "accounts", findings)
    note_shared_keys(keys, findings)
    return tuple(accounts)


def poll_interval(document: Mapping[str, object]) -> timedelta | None:
    """How often the file has accounts looked at; None where that cannot be read, which is noted elsewhere."""
    return _duration(document, "poll", "interval", tables.PollTable().interval)


def note_slow_polls(document: Mapping[str, object], findings: Findings) -> None:
    """Note polls so slow that an epoch could pass unseen. Values that cannot be read are noted elsewhere."""
    interval = poll_interval(document)
    default = _duration(document, "epoch", "length", tables.EpochTable().length)
    lengths = [("epoch.length", default)]
    for index, item in enumerate(items(document, "accounts")):
        if isinstance(item.get("epoch"), dict) and "length" in item["epoch"]:  # type: ignore[operator]  # a table
            lengths.append((dotted("accounts", index, "epoch", "length"), _duration(item, "epoch", "length", None)))
        if GPU in _named_generations(item):
            lengths.append((f"an epoch of {dotted('accounts', index, 'generation')} = {shown(GPU)}", UTC_HOURS.length))
        if AUTO in _named_generations(item) and interval and interval * 2 >= UTC_HOURS.length:
            findings.remark(
                dotted("accounts", index, "generation"),
                f"should {shown(GPU)} be found, polls of {format_duration(interval)} miss some of its hourly epochs, which "
                f"are then inferred; less than {format_duration(UTC_HOURS.length / 2)} sees them all",
            )
    known = [(length, where) for where, length in lengths if length is not None]
    if interval is None or not known:
        return
    shortest, where = min(known)
    if interval * 2 >= shortest:
        findings.problem(
            "poll.interval",
            f"must be shorter than half of {where} ({format_duration(shortest)}), so that every epoch is looked at, "
            f"is {format_duration(interval)}",
        )


def _account(
    table: tables.AccountTable,
    epoch: tables.AccountEpochTable,
    key: Secret,
    deleting: Secret | None,
    default: EpochSettings,
) -> AccountSettings:
    anchor = default.anchor if epoch.anchor is None else epoch.anchor
    return AccountSettings(
        name=table.name,
        generations=table.generation,
        api_url=table.api_url,
        api_key=key,
        auth=table.auth,
        epoch=EpochSettings(anchor=anchor, length=epoch.length or default.length),
        charge_from=table.charge_from,
        delete_api_key=deleting,
        delete_body=table.delete_body,
    )


def _named_generations(account: Mapping[str, object]) -> Sequence[object]:
    named = account.get("generation", AUTO)
    return named if isinstance(named, list) else (named,)


def _duration(document: Mapping[str, object], table: str, key: str, default: timedelta | None) -> timedelta | None:
    found = document.get(table, {})
    if not isinstance(found, dict):
        return None
    if key not in found:
        return default
    try:
        return parse_duration(found[key])
    except ValueError:
        return None
