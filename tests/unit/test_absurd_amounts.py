"""Amounts and lives as large as they are believed at all: what is stored of them fits, and one liar blinds nobody."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from fluence_costwatch.core.billing.history import History, Judgement, Snapshot
from fluence_costwatch.core.billing.ledger import remember
from fluence_costwatch.core.billing.reconciliation import Believed, against_charges
from fluence_costwatch.core.money import LARGEST_AMOUNT, LARGEST_PRICE, Usd
from fluence_costwatch.core.resources import Generation, Kind, Resource
from fluence_costwatch.ports import ReportedCharge
from tests import known
from tests.watch import day, metered, vm

LARGEST_STORED = 2**63 - 1
FIRST_INSTANT = day(-2251)  # 2020-01-01, the earliest creation that is read


@pytest.mark.parametrize(
    "shown",
    [
        vm(price=LARGEST_PRICE, created_at=FIRST_INSTANT),
        vm(price=LARGEST_PRICE, created_at=FIRST_INSTANT, generation=Generation.GPU, kind=Kind.GPU_VM, status="ACTIVE"),
        vm(
            price=LARGEST_PRICE,
            created_at=day(0) - timedelta(hours=49_999),
            generation=Generation.GPU,
            kind=Kind.GPU_VM,
            status="ACTIVE",
        ),
        metered(price=LARGEST_PRICE, created_at=FIRST_INSTANT),
    ],
    ids=["daily", "hourly", "hourly for as long as is believed", "metered"],
)
def test_the_largest_price_over_the_longest_life_fits_what_is_stored(shown: Resource) -> None:
    snapshot = Snapshot("main", shown.generation, day(0), day(0), (shown,), Judgement())
    step = remember(History("main"), snapshot, claimed_elsewhere={})

    assert all(row.amount < Usd.exactly(LARGEST_AMOUNT) for row in step.charges)
    assert 100 * step.history.resources[shown.identity.id].charged.micros < LARGEST_STORED


@pytest.mark.parametrize("told", ["1000000000", "-1000000000", "99999999999999999999999999999"])
def test_a_charge_beyond_any_bill_mends_nothing(told: str) -> None:
    monday = date(2026, 3, 2)
    machine = known.metered("vm-1", start="2026-03-01 17:55", last_seen="2026-03-03 11:55")
    [found] = against_charges(
        "main", [machine], [], [ReportedCharge("vm-1", None, "vm", monday, Decimal(told))], days=[monday]
    )

    assert Believed.NEITHER is found.believed
    assert found.adjustment() is None
