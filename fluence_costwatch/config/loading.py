"""From a file to `Settings`, or to every reason why not."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from fluence_costwatch.config import tables
from fluence_costwatch.config.durations import format_duration, parse_duration
from fluence_costwatch.config.keys import account_key, note_shared_keys, server_token
from fluence_costwatch.config.locate import Place, Source, default_database, read_configuration
from fluence_costwatch.config.problems import Findings, dotted, note_errors, printable, shown, unknown_key
from fluence_costwatch.config.secret import Secret
from fluence_costwatch.config.settings import (
    AccountSettings,
    AlertSettings,
    DatabaseSettings,
    DisplaySettings,
    EpochSettings,
    LogSettings,
    PollSettings,
    ServerSettings,
    Settings,
)
from fluence_costwatch.config.values import AUTO, GPU
from fluence_costwatch.core.epochs import UTC_HOURS
from fluence_costwatch.errors import ConfigInvalid

_Table = TypeVar("_Table", bound=tables.Table)
_SECTIONS: Final = dict(tables.SECTIONS)
_LATER_KEYS: Final = dict(tables.LATER_KEYS)


def load(path: str | None, *, environ: Mapping[str, str], read_secrets: bool = True) -> Settings:
    """The settings in the file at `path`, or in the first of the usual places. Raise ConfigInvalid with every problem.

    Without `read_secrets` keys and tokens stay unread and are not missed: for commands that only read the database,
    which may run as somebody who cannot read the keys.
    """
    source = read_configuration(path, environ=environ)
    document = _parse(source)
    place = Place(source.path.parent, environ, private=source.private)
    findings = Findings()

    _note_unknown_tables(document, findings)
    poll = _section(document, "poll", tables.PollTable, findings)
    epoch = _section(document, "epoch", tables.EpochTable, findings)
    _note_slow_polls(document, findings)
    database = _database(document, place, findings)
    server = _section(document, "server", tables.ServerTable, findings)
    token = server_token(_mapping(document, "server"), place=place, findings=findings, read_secrets=read_secrets)
    log = _section(document, "log", tables.LogTable, findings)
    display = _section(document, "display", tables.DisplayTable, findings)
    alerts = _section(document, "alerts", tables.AlertsTable, findings)
    default_epoch = EpochSettings(anchor=epoch.anchor, length=epoch.length)
    accounts = _accounts(document, default_epoch, place, findings, read_secrets=read_secrets)

    if findings.problems:
        raise ConfigInvalid(printable(str(source.path)), findings.problems)
    return Settings(
        path=source.path,
        poll=PollSettings(poll.interval, poll.confirm_absence, poll.confirm_suspicious),
        epoch=default_epoch,
        database=database,
        server=ServerSettings(*server.listen, token, server.metrics_without_token),
        log=LogSettings(log.format, log.level),
        display=DisplaySettings(display.zone or ZoneInfo("UTC")),
        alerts=AlertSettings(alerts.stale_after, alerts.drift_tolerance),
        accounts=accounts,
        remarks=tuple(findings.remarks),
    )


def _parse(source: Source) -> dict[str, object]:
    path = printable(str(source.path))
    try:
        return tomllib.loads(source.content.decode("utf-8-sig"))
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


def _mapping(document: Mapping[str, object], name: str) -> dict[str, object]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _note_unknown_tables(document: Mapping[str, object], findings: Findings) -> None:
    known = (*_SECTIONS, "accounts")
    for name in document:
        if name in tables.LATER_SECTIONS:
            findings.problem(name, "not supported by this version; remove it, since nothing would act on it")
        elif name not in known:
            homes = [section for section, model in tables.SECTIONS if name in model.model_fields]
            hint = f"unknown key; it belongs under [{homes[0]}]" if homes else unknown_key(name, known)
            findings.problem(dotted(name), hint)


def _section(document: Mapping[str, object], name: str, model: type[_Table], findings: Findings) -> _Table:
    """The table `name`; where it has problems these are noted, and its defaults stand in until all is judged."""
    found = document.get(name, {})
    if not isinstance(found, dict):
        findings.problem(name, f"must be a table that begins with [{name}] on a line of its own")
        return model()
    return _table(found, model, findings, at=(name,)) or model()


def _table(
    found: Mapping[str, object], model: type[_Table], findings: Findings, *, at: tuple[str | int, ...]
) -> _Table | None:
    later = _LATER_KEYS.get(str(at[0]), ())
    for key in found:
        if key in later:
            findings.problem(
                dotted(*at, key), "not supported by this version; remove it, since nothing would act on it"
            )
        elif key not in model.model_fields:
            findings.problem(dotted(*at, key), unknown_key(key, tuple(model.model_fields)))
    try:
        return model.model_validate(found)
    except ValidationError as error:
        note_errors(error, findings, at=at)
        return None


def _database(document: Mapping[str, object], place: Place, findings: Findings) -> DatabaseSettings:
    table = _section(document, "database", tables.DatabaseTable, findings)
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


def _accounts(
    document: Mapping[str, object], default: EpochSettings, place: Place, findings: Findings, *, read_secrets: bool
) -> tuple[AccountSettings, ...]:
    found = document.get("accounts", [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        findings.problem("accounts", "each account must be a table that begins with [[accounts]], in double brackets")
        return ()
    if not found:
        findings.problem("accounts", "at least one is needed: [[accounts]] with name and api_key_file")
    accounts: list[AccountSettings] = []
    keys: list[Secret] = []
    names: dict[object, int] = {}
    for index, item in enumerate(found):
        table = _account(item, findings, at=index)
        key = account_key(item, at=index, place=place, findings=findings, read_secrets=read_secrets)
        keys.append(key)
        name = item.get("name")
        if isinstance(name, str) and names.setdefault(name, index) != index:
            first = dotted("accounts", names[name], "name")
            findings.problem(dotted("accounts", index, "name"), f"must differ from {first}, is {shown(name)} as well")
        if table is not None:
            accounts.append(_account_settings(table, key, default))
    note_shared_keys(keys, findings)
    return tuple(accounts)


def _account(item: dict[str, object], findings: Findings, *, at: int) -> tables.AccountTable | None:
    # An account's epoch is read on its own, so that its unknown keys are found as in every other table.
    epoch = item.get("epoch", {})
    rest = {key: value for key, value in item.items() if key != "epoch"}
    table = _table(rest, tables.AccountTable, findings, at=("accounts", at))
    if not isinstance(epoch, dict):
        findings.problem(dotted("accounts", at, "epoch"), 'must be a table, as in {anchor = "17:55", length = "24h"}')
        return None
    own = _table(epoch, tables.AccountEpochTable, findings, at=("accounts", at, "epoch"))
    return table.model_copy(update={"epoch": own}) if table is not None and own is not None else None


def _account_settings(table: tables.AccountTable, key: Secret, default: EpochSettings) -> AccountSettings:
    anchor = default.anchor if table.epoch.anchor is None else table.epoch.anchor
    return AccountSettings(
        name=table.name,
        generations=table.generation,
        api_url=table.api_url,
        api_key=key,
        auth=table.auth,
        epoch=EpochSettings(anchor=anchor, length=table.epoch.length or default.length),
        charge_from=table.charge_from,
    )


def _note_slow_polls(document: Mapping[str, object], findings: Findings) -> None:
    """Note polls so slow that an epoch could pass unseen. Values that cannot be read are noted elsewhere."""
    interval = _duration(document, "poll", "interval", tables.PollTable().interval)
    default = _duration(document, "epoch", "length", tables.EpochTable().length)
    found = document.get("accounts")
    lengths = [("epoch.length", default)]
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict) and isinstance(item.get("epoch"), dict) and "length" in item["epoch"]:
            lengths.append((dotted("accounts", index, "epoch", "length"), _duration(item, "epoch", "length", None)))
        if isinstance(item, dict) and GPU in _named_generations(item):
            lengths.append((f"an epoch of {dotted('accounts', index, 'generation')} = {shown(GPU)}", UTC_HOURS.length))
        if (
            isinstance(item, dict)
            and AUTO in _named_generations(item)
            and interval
            and interval * 2 >= UTC_HOURS.length
        ):
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
