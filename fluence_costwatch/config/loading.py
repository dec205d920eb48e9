"""From a file to `Settings`, or to every reason why not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from fluence_costwatch.config import tables
from fluence_costwatch.config.accounts import note_slow_polls, read_accounts
from fluence_costwatch.config.addresses import is_open_http
from fluence_costwatch.config.amounts import exact_number
from fluence_costwatch.config.budgets import read_budgets
from fluence_costwatch.config.deletion import judge_deletion, read_deletion
from fluence_costwatch.config.keys import server_token
from fluence_costwatch.config.locate import Place, Source, default_database, read_configuration
from fluence_costwatch.config.problems import Findings, printable, shown
from fluence_costwatch.config.reading import mapping, note_unknown_tables, read_section
from fluence_costwatch.config.rules import note_unreachable_signals, read_rules, read_signals
from fluence_costwatch.config.settings import (
    AlertSettings,
    DatabaseSettings,
    DisplaySettings,
    EpochSettings,
    LogSettings,
    PollSettings,
    ServerSettings,
    Settings,
)
from fluence_costwatch.config.targets import read_notify, read_targets
from fluence_costwatch.errors import ConfigInvalid


def load(path: str | None, *, environ: Mapping[str, str], read_secrets: bool = True) -> Settings:
    """The settings in the file at `path`, or in the first of the usual places. Raise ConfigInvalid with every problem.

    Without `read_secrets` keys and tokens stay unread and are not missed: for commands that only read the database,
    which may run as somebody who cannot read the keys.
    """
    source = read_configuration(path, environ=environ)
    document = _parse(source)
    place = Place(source.path.parent, environ, private=source.private)
    findings = Findings()

    note_unknown_tables(document, findings)
    poll = read_section(document, "poll", tables.PollTable, findings)
    epoch = read_section(document, "epoch", tables.EpochTable, findings)
    note_slow_polls(document, findings)
    database = _database(document, place, findings)
    server = _server(document, place, findings, read_secrets=read_secrets)
    log = read_section(document, "log", tables.LogTable, findings)
    display = read_section(document, "display", tables.DisplayTable, findings)
    alerts = read_section(document, "alerts", tables.AlertsTable, findings)
    default_epoch = EpochSettings(anchor=epoch.anchor, length=epoch.length)
    accounts = read_accounts(document, default_epoch, place, findings, read_secrets=read_secrets)
    targets = read_targets(document, place, findings, read_secrets=read_secrets)
    notify = read_notify(document, place, findings, read_secrets=read_secrets)
    budgets = read_budgets(document, findings)
    signals = read_signals(document, findings)
    rules = read_rules(document, findings)
    note_unreachable_signals(rules, signals, findings)
    deletion = read_deletion(document, findings)
    if deletion is not None:
        judge_deletion(deletion, document, accounts, targets, findings)

    if findings.problems or deletion is None:
        raise ConfigInvalid(printable(str(source.path)), findings.problems)
    return Settings(
        path=source.path,
        poll=PollSettings(poll.interval, poll.confirm_absence, poll.confirm_suspicious),
        epoch=default_epoch,
        database=database,
        server=server,
        log=LogSettings(log.format, log.level),
        display=DisplaySettings(display.zone or ZoneInfo("UTC")),
        alerts=AlertSettings(
            stale_after=alerts.stale_after,
            drift_tolerance=alerts.drift_tolerance,
            repeat=alerts.repeat,
            runway=alerts.runway,
            new_vm_above=alerts.new_vm_above,
        ),
        accounts=accounts,
        targets=targets,
        notify=notify,
        budgets=budgets,
        rules=rules,
        signals=signals,
        deletion=deletion,
        remarks=tuple(findings.remarks),
    )


def _parse(source: Source) -> dict[str, object]:
    path = printable(str(source.path))
    try:
        return tomllib.loads(source.content.decode("utf-8-sig"), parse_float=exact_number)
    except UnicodeDecodeError as error:
        line = source.content.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: the file must be UTF-8 text, and this line is not"
    except RecursionError:
        problem = "tables or lists are nested too deeply"
    except ValueError as error:  # tomllib's own error, or a number that Python refuses to read
        problem = _syntax_problem(str(error))
    raise ConfigInvalid(path, [problem])


def _syntax_problem(message: str) -> str:
    match = re.fullmatch(r"(.*) \(at (.*)\)", message, re.DOTALL)
    reason, position = (match[1], match[2]) if match else (message, "somewhere")
    hint = "text stands in quotes, a table's name in brackets, and each setting on a line of its own"
    return f"{position}: not valid TOML: {printable(reason, longest=200)} ({hint})"


def _database(document: Mapping[str, object], place: Place, findings: Findings) -> DatabaseSettings:
    table = read_section(document, "database", tables.DatabaseTable, findings)
    path = place.folder
    try:
        path = (place.resolve(table.url) if table.url is not None else default_database(place.environ)).absolute()
        if path.is_dir():
            raise ValueError(f"{shown(str(path))} is a folder; name the file in it")
    except OSError as error:
        findings.problem("database.url", f"{shown(str(path))} cannot be used: {error.strerror}")
    except ValueError as error:
        findings.problem("database.url", str(error))
    return DatabaseSettings(path, table.retention)


def _server(document: Mapping[str, object], place: Place, findings: Findings, *, read_secrets: bool) -> ServerSettings:
    table = read_section(document, "server", tables.ServerTable, findings)
    token = server_token(mapping(document, "server"), place=place, findings=findings, read_secrets=read_secrets)
    if table.public_url is not None and is_open_http(table.public_url):
        findings.remark(
            "server.public_url", "begins with http://, so tokens in links travel readable; put it behind https://"
        )
    return ServerSettings(*table.listen, token, table.metrics_without_token, table.public_url)
