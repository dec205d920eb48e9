"""`[[budgets]]`, and `select` as budgets and rules have it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from fluence_costwatch.config import tables
from fluence_costwatch.config.problems import Findings, dotted
from fluence_costwatch.config.reading import (
    items,
    note_repeated_names,
    note_unknown_accounts,
    read_inner,
    read_table,
    without,
)
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.selectors import Selector

_FORECASTS: Final = (Decimal(1),)


def read_budgets(document: Mapping[str, object], findings: Findings) -> tuple[Budget, ...]:
    """The budgets of the file; those with problems, which are noted, are left out."""
    found = items(document, "budgets", findings)
    budgets: list[Budget] = []
    for index, item in enumerate(found):
        table = read_table(without(item, "select"), tables.BudgetTable, findings, at=("budgets", index))
        select = read_select(item, document, findings, at=("budgets", index))
        if table is not None:
            _note_forecasts_without_end(table, findings, at=index)
        if table is not None and select is not None:
            budgets.append(_budget(table, select))
    note_repeated_names(found, "budgets", findings)
    return tuple(budgets)


def read_select(
    outer: Mapping[str, object], document: Mapping[str, object], findings: Findings, *, at: tuple[str | int, ...]
) -> Selector | None:
    """Which resources the budget or rule that stands at `at` is about; None where that has problems."""
    like = '{kind = "vm", name = "web-*"}'
    table = read_inner(outer, "select", tables.SelectTable, findings, at=at, like=like)
    if table is None:
        return None
    note_unknown_accounts(table.account, document, findings, where=dotted(*at, "select", "account"))
    return Selector(table.account, table.kind, table.name, table.id, table.datacenter)


def _note_forecasts_without_end(table: tables.BudgetTable, findings: Findings, *, at: int) -> None:
    if table.window is not Window.TOTAL:
        return
    for key in ("forecast_thresholds", "delete_at"):
        if getattr(table, key):
            findings.problem(
                dotted("budgets", at, key),
                f'cannot be given for window = "{Window.TOTAL}", whose end nobody can forecast',
            )


def _budget(table: tables.BudgetTable, select: Selector) -> Budget:
    forecasts = table.forecast_thresholds
    if forecasts is None:
        forecasts = () if table.window is Window.TOTAL else _FORECASTS
    return Budget(
        name=table.name,
        limit=table.limit,
        window=table.window,
        zone=table.zone or ZoneInfo("UTC"),
        select=select,
        thresholds=table.thresholds,
        forecast_thresholds=forecasts,
        delete_at=table.delete_at,
    )
