"""The tables of the configuration file: their keys, what each value must be, and the defaults."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, StrictStr

from fluence_costwatch.config import addresses, amounts, values
from fluence_costwatch.config.durations import parse_duration
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.budgets.budget import Window
from fluence_costwatch.core.deletion.deletions import IfMissed, Mode
from fluence_costwatch.core.idle.rules import Action, Match, Signal
from fluence_costwatch.core.messages.outbox import DigestEvery
from fluence_costwatch.core.money import Usd

Duration = Annotated[timedelta, PlainValidator(parse_duration)]
Anchor = Annotated[time, PlainValidator(values.parse_anchor)]
Hours = Annotated[tuple[time, time], PlainValidator(values.parse_hours)]
Zone = Annotated[ZoneInfo, PlainValidator(values.parse_zone)]
Name = Annotated[str, PlainValidator(values.parse_name)]
Texts = Annotated[tuple[str, ...], PlainValidator(values.parse_texts)]
AccountNames = Annotated[tuple[str, ...], PlainValidator(values.parse_account_names)]
Ratio = Annotated[Decimal, PlainValidator(amounts.parse_ratio)]
Threshold = Annotated[Decimal, PlainValidator(amounts.parse_threshold)]
Thresholds = Annotated[tuple[Decimal, ...], PlainValidator(amounts.parse_thresholds)]
Money = Annotated[Usd, PlainValidator(amounts.parse_money)]


class Table(BaseModel):
    """A table of the file. Unknown keys are looked for before, with the neighbouring tables at hand."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, arbitrary_types_allowed=True)

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """The keys as they stand in the file, in their order here."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())


class PollTable(Table):
    """`[poll]`."""

    interval: Duration = timedelta(minutes=5)
    confirm_absence: Annotated[int, PlainValidator(amounts.parse_count)] = 2
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

    url: Annotated[str, PlainValidator(values.parse_database_url)] | None = None
    retention: Duration = timedelta(days=400)


class ServerTable(Table):
    """`[server]`."""

    listen: Annotated[tuple[str, int], PlainValidator(addresses.parse_listen)] = ("127.0.0.1", 17550)
    public_url: Annotated[str, PlainValidator(addresses.parse_public_url)] | None = None
    token_file: StrictStr | None = None
    metrics_without_token: StrictBool = False


class LogTable(Table):
    """`[log]`."""

    format: Literal["auto", "text", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class DisplayTable(Table):
    """`[display]`."""

    zone: Zone | None = None


class AlertsTable(Table):
    """`[alerts]`; without `new_vm_above`, no price of a new machine is remarkable."""

    repeat: Duration = timedelta(hours=24)
    stale_after: Duration = timedelta(minutes=15)
    drift_tolerance: Ratio = Decimal("0.01")
    runway: Duration = timedelta(hours=72)
    new_vm_above: Money | None = None


class AccountTable(Table):
    """`[[accounts]]`; exactly one of the three forms of the key is given, which is judged beside this table."""

    name: Name
    generation: Annotated[tuple[str, ...], PlainValidator(values.parse_generations)] = (values.AUTO,)
    api_url: Annotated[str, PlainValidator(addresses.parse_api_url)] = "https://api.fluence.dev"
    api_key_file: StrictStr | None = None
    api_key_env: StrictStr | None = None
    api_key: StrictStr | None = None
    delete_api_key_file: StrictStr | None = None
    auth: Literal["x-api-key", "bearer"] = "x-api-key"
    delete_body: Literal["vmId", "vmIds"] = "vmId"
    epoch: AccountEpochTable = AccountEpochTable()
    charge_from: Annotated[datetime, PlainValidator(values.parse_instant)] | None = None


class TargetTable(Table):
    """`[[targets]]`; exactly one of the three forms of the address is given, which is judged beside this table."""

    name: Name
    url: StrictStr | None = None
    url_file: StrictStr | None = None
    url_env: StrictStr | None = None
    min_severity: Annotated[Severity, PlainValidator(values.word_of(Severity))] = Severity.WARNING
    kinds: Annotated[tuple[str, ...], PlainValidator(values.parse_alert_kinds)] = ()
    accounts: AccountNames = ()
    digest: Annotated[DigestEvery, PlainValidator(values.word_of(DigestEvery))] = DigestEvery.NONE


class NotifyTable(Table):
    """`[notify]`."""

    quiet_hours: Annotated[tuple[time, time], PlainValidator(values.parse_quiet_hours)] | None = None
    zone: Zone | None = None
    dead_man_url_file: StrictStr | None = None
    alertmanager_url: Annotated[str, PlainValidator(addresses.parse_alertmanager_url)] | None = None


class SelectTable(Table):
    """`select = {...}` of a budget or a rule."""

    account: Texts = ()
    kind: Annotated[tuple[str, ...], PlainValidator(values.parse_resource_kinds)] = ()
    name: Annotated[tuple[str, ...], PlainValidator(values.parse_globs)] = ()
    id: Annotated[tuple[str, ...], PlainValidator(values.parse_ids)] = ()
    datacenter: Texts = ()


class BudgetTable(Table):
    """`[[budgets]]`; `select` is read on its own, and which thresholds fit the window is judged beside this table."""

    name: Name
    limit: Money
    window: Annotated[Window, PlainValidator(values.word_of(Window))] = Window.MONTH
    zone: Zone | None = None
    select: SelectTable = SelectTable()
    thresholds: Thresholds = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
    forecast_thresholds: Thresholds | None = None
    delete_at: Threshold | None = None


class ConditionTable(Table):
    """One table in `when` of a rule, with no more keys than its signal has."""

    signal: Annotated[Signal, PlainValidator(values.word_of(Signal))]


class CpuTable(ConditionTable):
    """`{signal = "cpu", below}`."""

    below: Annotated[Decimal, PlainValidator(amounts.parse_busy_ratio)]


class NetworkTable(ConditionTable):
    """`{signal = "network", below}`."""

    below: Annotated[Decimal, PlainValidator(amounts.parse_rate)]


class PromqlTable(ConditionTable):
    """`{signal = "promql", query, below, match, label}`."""

    query: Annotated[str, PlainValidator(values.parse_query)]
    below: Annotated[Decimal, PlainValidator(amounts.parse_level)]
    match: Annotated[Match, PlainValidator(values.word_of(Match))] = Match.PUBLIC_IP
    label: Annotated[str, PlainValidator(values.parse_label)] = "instance"


class HeartbeatTable(ConditionTable):
    """`{signal = "heartbeat", silent}`."""

    silent: Duration


class AgeTable(ConditionTable):
    """`{signal = "age", above}`."""

    above: Duration


class StateTable(ConditionTable):
    """`{signal = "state", is}`."""

    statuses: Texts = Field(alias="is")


class RuleTable(Table):
    """`[[rules]]`; `select` and `when` are read on their own."""

    name: Name
    select: SelectTable = SelectTable()
    when: tuple[ConditionTable, ...] = ()
    held_for: Duration = Field(timedelta(hours=24), alias="for")
    min_age: Duration = timedelta(hours=24)
    action: Annotated[Action, PlainValidator(values.word_of(Action))] = Action.ALERT


class SignalsTable(Table):
    """`[signals]`."""

    prometheus_url: Annotated[str, PlainValidator(addresses.parse_prometheus_url)] | None = None
    node_exporter_url: Annotated[str, PlainValidator(addresses.parse_node_exporter_url)] = (
        "http://{public_ip}:9100/metrics"
    )
    timeout: Duration = timedelta(seconds=5)
    overrides: Annotated[dict[str, str], PlainValidator(addresses.parse_overrides)] = {}


class ProtectTable(Table):
    """`protect = {...}` of `[deletion]`."""

    names: Annotated[tuple[str, ...], PlainValidator(values.parse_protected_globs)] = ()
    ids: Annotated[tuple[str, ...], PlainValidator(values.parse_protected_ids)] = ()


class DeletionTable(Table):
    """`[deletion]`; `protect` is read on its own."""

    mode: Annotated[Mode, PlainValidator(values.word_of(Mode))] = Mode.OBSERVE
    margin: Duration = timedelta(minutes=30)
    min_notice: Duration = timedelta(hours=2)
    grace: Duration = timedelta(hours=24)
    if_missed: Annotated[IfMissed, PlainValidator(values.word_of(IfMissed))] = IfMissed.NEXT_EPOCH
    max_per_day: Annotated[int, PlainValidator(amounts.parse_cap)] = 3
    max_fleet_share: Ratio = Decimal("0.2")
    allowed_hours: Hours = (time(0), time(0))
    zone: Zone | None = None
    veto_for: Duration = timedelta(days=7)
    verify_within: Duration = timedelta(hours=1)
    reclaim: StrictBool = False
    release_public_ips: StrictBool = False
    protect: ProtectTable = ProtectTable()


SECTIONS: Final = (
    ("poll", PollTable),
    ("epoch", EpochTable),
    ("database", DatabaseTable),
    ("server", ServerTable),
    ("log", LogTable),
    ("display", DisplayTable),
    ("alerts", AlertsTable),
    ("notify", NotifyTable),
    ("signals", SignalsTable),
    ("deletion", DeletionTable),
)
"""What stands in the file once, as `[name]`."""

LISTS: Final = (
    ("accounts", AccountTable),
    ("targets", TargetTable),
    ("budgets", BudgetTable),
    ("rules", RuleTable),
)
"""What may stand in the file several times, as `[[name]]`."""

CONDITIONS: Final[tuple[tuple[Signal, type[ConditionTable]], ...]] = (
    (Signal.CPU, CpuTable),
    (Signal.NETWORK, NetworkTable),
    (Signal.PROMQL, PromqlTable),
    (Signal.HEARTBEAT, HeartbeatTable),
    (Signal.AGE, AgeTable),
    (Signal.LEASE, ConditionTable),
    (Signal.STATE, StateTable),
)
"""What a condition says beside its signal."""
