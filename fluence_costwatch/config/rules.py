"""`[[rules]]` and `[signals]`: what counts as idle or wasted, and where the facts come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fluence_costwatch.config import tables
from fluence_costwatch.config.accounts import poll_interval
from fluence_costwatch.config.budgets import read_select
from fluence_costwatch.config.durations import format_duration
from fluence_costwatch.config.problems import Findings, dotted, shown
from fluence_costwatch.config.reading import (
    items,
    mapping,
    note_repeated_names,
    read_section,
    read_table,
    without,
)
from fluence_costwatch.config.settings import SignalSettings
from fluence_costwatch.config.values import word_of
from fluence_costwatch.core.idle.rules import Action, Condition, Rule, Signal
from fluence_costwatch.core.resources import Kind

_CONDITIONS: Final = dict(tables.CONDITIONS)
_NEVER_DELETED: Final = (Kind.STORAGE, Kind.PUBLIC_IP)
_LIKE: Final = '[{signal = "cpu", below = 0.03}]'


def read_rules(document: Mapping[str, object], findings: Findings) -> tuple[Rule, ...]:
    """The rules of the file; those with problems, which are noted, are left out."""
    interval = poll_interval(document)
    found = items(document, "rules", findings)
    rules: list[Rule] = []
    for index, item in enumerate(found):
        at = ("rules", index)
        table = read_table(without(item, "select", "when"), tables.RuleTable, findings, at=at)
        select = read_select(item, document, findings, at=at)
        when = _conditions(item, document, findings, at=at)
        if table is not None and interval is not None and table.held_for < 2 * interval:
            findings.problem(
                dotted(*at, "for"),
                f"must be at least two polls ({format_duration(2 * interval)}), is {format_duration(table.held_for)}",
            )
        if table is not None and when is not None and select is not None:
            rule = Rule(table.name, when, table.held_for, table.min_age, table.action, select)
            _note_doubtful_deletion(rule, findings, at=at)
            rules.append(rule)
    note_repeated_names(found, "rules", findings)
    return tuple(rules)


def read_signals(document: Mapping[str, object], findings: Findings) -> SignalSettings:
    """What `[signals]` says."""
    table = read_section(document, "signals", tables.SignalsTable, findings)
    return SignalSettings(table.prometheus_url, table.node_exporter_url, table.timeout, dict(table.overrides))


def note_unreachable_signals(rules: tuple[Rule, ...], signals: SignalSettings, findings: Findings) -> None:
    """Note that node_exporter is needed and nothing says where it answers."""
    scraped = any(condition.signal in (Signal.CPU, Signal.NETWORK) for rule in rules for condition in rule.when)
    if scraped and not signals.node_exporter_url and not signals.overrides:
        findings.problem(
            "signals.node_exporter_url", 'must not be empty without "overrides", because a rule asks for cpu or network'
        )


def _conditions(
    rule: Mapping[str, object], document: Mapping[str, object], findings: Findings, *, at: tuple[str | int, ...]
) -> tuple[Condition, ...] | None:
    found = rule.get("when")
    if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
        given = "must be given" if found is None else "must be a list of tables, at least one"
        findings.problem(dotted(*at, "when"), f"{given}, as in {_LIKE}")
        return None
    conditions = [_condition(item, document, findings, at=(*at, "when", index)) for index, item in enumerate(found)]
    readable = tuple(condition for condition in conditions if condition is not None)
    return readable if len(readable) == len(conditions) else None


def _condition(
    found: dict[str, object], document: Mapping[str, object], findings: Findings, *, at: tuple[str | int, ...]
) -> Condition | None:
    """The condition that stands at `at`. Which keys it may have follows from its signal."""
    try:
        if "signal" not in found:
            raise ValueError("must be given")
        signal = word_of(Signal)(found["signal"])
    except ValueError as error:
        findings.problem(dotted(*at, "signal"), str(error))
        return None
    table = read_table(found, _CONDITIONS[signal], findings, at=at)
    if signal is Signal.PROMQL and "prometheus_url" not in mapping(document, "signals"):
        findings.problem(dotted(*at), f"signal = {shown(signal)} needs signals.prometheus_url")
    return None if table is None else Condition(**dict(table))


def _note_doubtful_deletion(rule: Rule, findings: Findings, *, at: tuple[str | int, ...]) -> None:
    if rule.action is not Action.DELETE:
        return
    if all(condition.signal is Signal.STATE for condition in rule.when):
        findings.problem(
            dotted(*at, "action"),
            'cannot be "delete" where every signal is "state": a provider state is never ground enough; add another signal',
        )
    if rule.select.kinds and all(kind in _NEVER_DELETED for kind in rule.select.kinds):
        findings.remark(
            dotted(*at, "action"), "deletes nothing, because rules delete machines and select.kind names none"
        )
