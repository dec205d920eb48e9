"""A reconciliation while part of the provider's numbers cannot be had: the rest counts, and what is old mends nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from fluence_costwatch.core.billing.reconciliation import Against, Believed
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.errors import FluenceUnavailable
from fluence_costwatch.ports import BalanceEntry, Billing, Permissions, ReportedCharge, TopUp
from fluence_costwatch.reconcile import adjustments_of, reconcile
from tests.builders import at
from tests.rig import Rig, rig

START = at("2026-03-01 12:00")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class Partly:
    """The billing of the marketplace, of which some answers are lost."""

    whole: Billing
    lost: set[str] = field(default_factory=set)

    def _asked_for(self, what: str) -> None:
        if what in self.lost:
            raise FluenceUnavailable(f"{what} gives no answer")

    def balances(self) -> tuple[BalanceEntry, ...]:
        return self.whole.balances()

    def top_ups(self) -> tuple[TopUp, ...]:
        self._asked_for("top_ups")
        return self.whole.top_ups()

    def charges(self, *, since: date, until: date) -> tuple[ReportedCharge, ...]:
        self._asked_for("charges")
        return self.whole.charges(since=since, until=until)

    def permissions(self) -> Permissions:
        return self.whole.permissions()


def billing_of(watch: Rig) -> Partly:
    assert watch.billing is not None
    return Partly(watch.billing)


def test_charges_count_where_top_ups_are_not_told(tmp_path: Path) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2) as watch:
        watch.market.create_vm_cloud("web", "0.0310")
        watch.polls(3 * DAY, every=HOUR)
        billing = billing_of(watch)
        billing.lost = {"top_ups"}

        found = reconcile("main", billing=billing, store=watch.store, now=watch.now)

        assert ["what came in: top_ups gives no answer"] == list(found.skipped)
        assert any(one.believed is Believed.PROVIDER for one in found.comparisons if one.against is Against.CHARGES)


def test_a_day_that_was_not_over_when_its_charges_were_told_mends_nothing(tmp_path: Path) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2) as watch:
        watch.market.create_vm_cloud("web", "0.0310")
        watch.polls(2 * DAY, every=HOUR)
        billing = billing_of(watch)
        reconcile("main", billing=billing, store=watch.store, now=watch.now)
        watch.polls(2 * DAY, every=HOUR)
        billing.lost = {"charges"}

        found = reconcile("main", billing=billing, store=watch.store, now=watch.now)

        assert any(not one.within for one in found.comparisons if one.against is Against.CHARGES)
        assert () == adjustments_of(found.comparisons, watch.rows())
