"""The tables of the configuration file: their keys, what each value must be, and the defaults."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, PlainValidator, StrictBool, StrictStr

from fluence_costwatch.config.durations import parse_duration
from fluence_costwatch.config.values import (
    AUTO,
    parse_account_name,
    parse_anchor,
    parse_api_url,
    parse_count,
    parse_database_url,
    parse_generations,
    parse_instant,
    parse_listen,
    parse_ratio,
    parse_zone,
)

Duration = Annotated[timedelta, PlainValidator(parse_duration)]
Anchor = Annotated[time, PlainValidator(parse_anchor)]


class Table(BaseModel):
    """A table of the file. Unknown keys are looked for before, with the neighbouring tables at hand."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, arbitrary_types_allowed=True)


class PollTable(Table):
    """`[poll]`."""

    interval: Duration = timedelta(minutes=5)
    confirm_absence: Annotated[int, PlainValidator(parse_count)] = 2
    confirm_suspicious: Duration = timedelta(minutes=30)


class EpochTable(Table):
    """`[epoch]`."""

    anchor: Anchor = time(17, 55)
    length: Duration = timedelta(hours=24)


class AccountEpochTable(Table):
    """`epoch = {...}` of an account; what it leaves out is taken from `[epoch]`."""

    anchor: Anchor | None = None
    length: Duration | None = None


class DatabaseTable(Table):
    """`[database]`; without `url`, the file lies in the state folder."""

    url: Annotated[str, PlainValidator(parse_database_url)] | None = None
    retention: Duration = timedelta(days=400)


class ServerTable(Table):
    """`[server]`."""

    listen: Annotated[tuple[str, int], PlainValidator(parse_listen)] = ("127.0.0.1", 17550)
    token_file: StrictStr | None = None
    metrics_without_token: StrictBool = False


class LogTable(Table):
    """`[log]`."""

    format: Literal["auto", "text", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class DisplayTable(Table):
    """`[display]`."""

    zone: Annotated[ZoneInfo, PlainValidator(parse_zone)] | None = None


class AlertsTable(Table):
    """`[alerts]`."""

    stale_after: Duration = timedelta(minutes=15)
    drift_tolerance: Annotated[Decimal, PlainValidator(parse_ratio)] = Decimal("0.01")


class AccountTable(Table):
    """`[[accounts]]`; exactly one of the three forms of the key is given, which is judged beside this table."""

    name: Annotated[str, PlainValidator(parse_account_name)]
    generation: Annotated[tuple[str, ...], PlainValidator(parse_generations)] = (AUTO,)
    api_url: Annotated[str, PlainValidator(parse_api_url)] = "https://api.fluence.dev"
    api_key_file: StrictStr | None = None
    api_key_env: StrictStr | None = None
    api_key: StrictStr | None = None
    auth: Literal["x-api-key", "bearer"] = "x-api-key"
    epoch: AccountEpochTable = AccountEpochTable()
    charge_from: Annotated[datetime, PlainValidator(parse_instant)] | None = None


SECTIONS: Final = (
    ("poll", PollTable),
    ("epoch", EpochTable),
    ("database", DatabaseTable),
    ("server", ServerTable),
    ("log", LogTable),
    ("display", DisplayTable),
    ("alerts", AlertsTable),
)

# Keys that the design names and a later version reads. They are refused rather than ignored, because whoever
# writes them relies on them.
LATER_SECTIONS: Final = ("targets", "notify", "budgets", "rules", "signals", "deletion")
LATER_KEYS: Final = (
    ("server", ("public_url",)),
    ("alerts", ("repeat",)),
    ("accounts", ("delete_api_key_file", "delete_body")),
)
