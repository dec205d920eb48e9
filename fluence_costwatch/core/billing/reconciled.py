"""What a reconciliation shows: the comparisons, their drift, and the rows that mend the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from fluence_costwatch.core.billing.history import Charge
from fluence_costwatch.core.billing.reconciliation import Against, Comparison, drift_of
from fluence_costwatch.core.views.fleet import View


@dataclass(frozen=True, slots=True)
class Skipped:
    """What could not be compared, and why."""

    account: str
    because: str


@dataclass(frozen=True, slots=True)
class ReconcileView(View):
    """The ledger beside the provider's numbers.

    `adjustments` are the rows that make both equal where the provider is believed: written if `applied`, else not.
    """

    comparisons: tuple[Comparison, ...]
    adjustments: tuple[Charge, ...]
    applied: bool
    skipped: tuple[Skipped, ...] = ()

    @property
    def drift(self) -> Mapping[tuple[str, Against], Decimal]:
        """The provider's figures less ours, by account and by what the ledger was held against."""
        return drift_of(self.comparisons)
