"""`[[targets]]` and `[notify]`: who is told what, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from fluence_costwatch.config import tables
from fluence_costwatch.config.keys import dead_man_url, target_url
from fluence_costwatch.config.locate import Place
from fluence_costwatch.config.problems import Findings, dotted
from fluence_costwatch.config.reading import (
    items,
    mapping,
    note_repeated_names,
    note_unknown_accounts,
    read_section,
    read_table,
)
from fluence_costwatch.config.settings import NotifySettings, TargetSettings
from fluence_costwatch.core.messages.outbox import QuietHours, Route


def read_targets(
    document: Mapping[str, object], place: Place, findings: Findings, *, read_secrets: bool
) -> tuple[TargetSettings, ...]:
    """The targets of the file; those with problems, which are noted, are left out."""
    found = items(document, "targets", findings)
    targets: list[TargetSettings] = []
    for index, item in enumerate(found):
        table = read_table(item, tables.TargetTable, findings, at=("targets", index))
        url = target_url(item, at=index, place=place, findings=findings, read_secrets=read_secrets)
        if table is not None:
            note_unknown_accounts(table.accounts, document, findings, where=dotted("targets", index, "accounts"))
            route = Route(table.name, table.min_severity, table.kinds, table.accounts, table.digest)
            targets.append(TargetSettings(table.name, url, route))
    note_repeated_names(found, "targets", findings)
    return tuple(targets)


def read_notify(
    document: Mapping[str, object], place: Place, findings: Findings, *, read_secrets: bool
) -> NotifySettings:
    """What `[notify]` says."""
    table = read_section(document, "notify", tables.NotifyTable, findings)
    url = dead_man_url(mapping(document, "notify"), place=place, findings=findings, read_secrets=read_secrets)
    zone = table.zone or ZoneInfo("UTC")
    return NotifySettings(
        quiet=QuietHours(*table.quiet_hours, zone) if table.quiet_hours is not None else None,
        dead_man_url=url,
        alertmanager_url=table.alertmanager_url,
        zone=zone,
    )
