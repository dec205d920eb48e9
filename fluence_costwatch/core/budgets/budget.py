"""Budgets: a limit over a window, and how far it is used (`design.md` section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from enum import StrEnum

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.selectors import Selector


class Window(StrEnum):
    """The stretch of time a limit is for; weeks begin on Monday, `30d` is rolling, `total` has no end."""

    EPOCH = "epoch"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"
    ROLLING = "30d"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit as it is configured. `zone` is where days, weeks and months begin. Ratios are of the limit.

    `delete_at`: the ratio of forecast to limit from which machines are deleted; None is never.
    """

    name: str
    limit: Usd
    window: Window
    zone: tzinfo
    select: Selector = Selector()
    thresholds: tuple[Decimal, ...] = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
    forecast_thresholds: tuple[Decimal, ...] = (Decimal(1),)
    delete_at: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """How far one budget is used. `ends_at` is None for `total`; then there is no forecast.

    `committed` is what is already certain by the end of the window, `at_least` whether prices are missing.
    `exhausted_at` is the instant at which the limit is (or was) crossed within the window, if it is known to be.
    `drivers` are the dearest resources of the window: (account, id, name, spent).
    """

    budget: Budget
    starts_at: datetime | None
    ends_at: datetime | None
    spent: Usd
    uncertain: Usd
    committed: Usd
    forecast: Usd | None
    exhausted_at: datetime | None
    at_least: bool = False
    drivers: tuple[tuple[str, str, str | None, Usd], ...] = ()

    @property
    def used(self) -> Decimal:
        """Spent over limit, exactly."""
        return Decimal(self.spent.micros) / Decimal(self.budget.limit.micros)
