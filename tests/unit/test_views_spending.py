from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fluence_costwatch.core.billing.history import Basis, Cause, Doubt, Presence, Reason, Settling
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.money import Usd, total
from fluence_costwatch.core.resources import Per
from fluence_costwatch.core.views.spending import By, calendar_view, export_rows, spend_view
from fluence_costwatch.ports import ResourceRecord
from tests.known import DAY, NOW, Facts, at, known_account, known_charge, known_resource, watched

TWO_VMS = Facts(
    (known_resource("0xa1"), known_resource("0xb2", name="db", account="other")),
    (
        known_charge("2026-02-28 17:55"),
        known_charge("2026-03-01 11:23:05", "0.5", id="0xb2", name="db", account="other", kind="gpu_vm"),
        known_charge("2026-03-01 17:55"),
        known_charge("2026-03-01 18:30", "0.75", id="0xb2", name="db", account="other", kind="gpu_vm"),
        known_charge("2026-03-02 17:55"),
    ),
    (known_account(), known_account("other")),
)
BOTH = watched("main", "other")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param(By.RESOURCE, [("0xb2", "db", "1.25"), ("0xa1", "web", "0.894480")], id="dearest resource first"),
        pytest.param(
            By.ACCOUNT, [("other", "other", "1.25"), ("main", "main", "0.894480")], id="dearest account first"
        ),
        pytest.param(By.KIND, [("gpu_vm", "gpu_vm", "1.25"), ("vm", "vm", "0.894480")], id="dearest kind first"),
        pytest.param(
            By.DAY,
            [
                ("2026-02-28", "2026-02-28", "0.298160"),
                ("2026-03-01", "2026-03-01", "1.548160"),
                ("2026-03-02", "2026-03-02", "0.298160"),
            ],
            id="days in order",
        ),
    ],
)
def test_spend_sums_charges_over(by: By, expected: list[tuple[str, str, str]]) -> None:
    view = spend_view(TWO_VMS, watched=BOTH, now=NOW, by=by)

    assert [(key, name, Usd.parse(amount)) for key, name, amount in expected] == [
        (row.key, row.name, row.amount) for row in view.rows
    ]


def test_an_epoch_is_the_one_of_the_accounts_grid_that_holds_the_start_of_the_charge() -> None:
    view = spend_view(TWO_VMS, watched=BOTH, now=NOW, by=By.EPOCH)

    assert [
        (at("2026-02-28 17:55"), Usd.parse("0.798160")),
        (at("2026-03-01 17:55"), Usd.parse("1.048160")),
        (at("2026-03-02 17:55"), Usd.parse("0.298160")),
    ] == [(row.starts, row.amount) for row in view.rows]


def test_a_day_is_one_of_the_zone_of_people() -> None:
    auckland = watched("main", "other", zone=ZoneInfo("Pacific/Auckland"))

    view = spend_view(TWO_VMS, watched=auckland, now=NOW, by=By.DAY)

    assert ["2026-03-01", "2026-03-02", "2026-03-03"] == [row.key for row in view.rows]


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("since", [None, at("2026-03-01 17:55")])
@pytest.mark.parametrize("until", [None, at("2026-03-02 17:55")])
def test_the_total_is_the_sum_of_the_rows(by: By, since: None, until: None) -> None:
    view = spend_view(TWO_VMS, watched=BOTH, now=NOW, by=by, since=since, until=until)

    assert total(row.amount for row in view.rows) == view.total


def test_a_charge_counts_at_the_start_of_its_span() -> None:
    view = spend_view(TWO_VMS, watched=BOTH, now=NOW, since=at("2026-03-01 17:55"), until=at("2026-03-02 17:55"))

    assert (Usd.parse("1.048160"), at("2026-03-01 17:55"), at("2026-03-02 17:55")) == (
        view.total,
        view.since,
        view.until,
    )


def test_by_default_all_history_counts() -> None:
    view = spend_view(TWO_VMS, watched=BOTH, now=NOW)

    assert (at("2026-02-28 17:55"), NOW, Usd.parse("2.144480")) == (view.since, view.until, view.total)


def test_one_account_can_be_asked_for() -> None:
    view = spend_view(TWO_VMS, watched=BOTH, now=NOW, account="main")

    assert (["0xa1"], Usd.parse("0.894480")) == ([row.key for row in view.rows], view.total)


def test_nothing_spent_is_a_total_of_zero_and_no_rows() -> None:
    view = spend_view(Facts(), watched=BOTH, now=NOW)

    assert ((), Usd(0), NOW, NOW) == (view.rows, view.total, view.since, view.until)


def doubtful(**of_state: Any) -> Facts:
    doubt = Doubt(Span(at("2026-03-01 17:55"), at("2026-03-02 17:55")), Usd.parse("0.2"), Cause.AFTER_LAST_SIGHT)
    return Facts((known_resource(doubts=(doubt,), **of_state),))


def test_a_doubt_counts_where_its_span_starts() -> None:
    facts = doubtful()

    assert Usd.parse("0.2") == spend_view(facts, watched=BOTH, now=NOW, since=at("2026-03-01 17:55")).uncertain
    assert Usd(0) == spend_view(facts, watched=BOTH, now=NOW, since=at("2026-03-01 17:56")).uncertain
    assert Usd(0) == spend_view(facts, watched=BOTH, now=NOW, until=at("2026-03-01 17:55")).uncertain


def test_an_unconfirmed_total_is_uncertain() -> None:
    settling = Settling(
        Reason.OPENING_TOTAL, Span(at("2026-02-20 12:00"), at("2026-03-02 17:55")), Usd(9), uncertain=Usd.parse("0.05")
    )

    assert Usd.parse("0.25") == spend_view(doubtful(settling=settling), watched=BOTH, now=NOW).uncertain


def test_epochs_that_began_unseen_are_uncertain() -> None:
    facts = Facts((known_resource(),))

    view = spend_view(facts, watched=BOTH, now=at("2026-03-05 12:00"))

    assert Usd.parse("0.596320") == view.uncertain


def test_an_epoch_without_a_price_makes_the_total_at_least() -> None:
    facts = Facts((known_resource(price=None, unpriced=(Span(at("2026-03-02 17:55"), at("2026-03-03 17:55")),)),))

    assert spend_view(facts, watched=BOTH, now=NOW).at_least
    assert spend_view(facts, watched=BOTH, now=NOW, since=at("2026-03-02 17:55")).at_least
    assert not spend_view(facts, watched=BOTH, now=NOW, until=at("2026-03-02 17:55")).at_least


def test_the_calendar_lists_every_charge_that_falls_due() -> None:
    facts = Facts((known_resource("0xa1"), known_resource("0xb2", name="db", price="1", start="2026-03-03 06:00")))

    view = calendar_view(facts, watched=BOTH, now=NOW, days=2)

    assert [
        (at("2026-03-03 17:55"), "0xa1", Usd.parse("0.298160")),
        (at("2026-03-04 06:00"), "0xb2", Usd.parse("1")),
        (at("2026-03-04 17:55"), "0xa1", Usd.parse("0.298160")),
        (at("2026-03-05 06:00"), "0xb2", Usd.parse("1")),
    ] == [(charge.at, charge.resource_id, charge.amount) for charge in view.charges]


def test_the_end_of_the_calendar_is_not_in_it_and_its_beginning_is() -> None:
    view = calendar_view(Facts((known_resource(),)), watched=BOTH, now=at("2026-03-03 17:55"), days=1)

    assert [at("2026-03-03 17:55")] == [charge.at for charge in view.charges]


def test_a_boundary_that_passed_unseen_is_not_announced() -> None:
    view = calendar_view(Facts((known_resource(),)), watched=BOTH, now=at("2026-03-05 12:00"), days=1)

    assert [at("2026-03-05 17:55")] == [charge.at for charge in view.charges]


def test_after_a_short_first_epoch_charges_come_at_the_full_length() -> None:
    first = Span(at("2026-03-03 11:23:05"), at("2026-03-03 11:55:09"))

    view = calendar_view(Facts((known_resource(epoch=first),)), watched=BOTH, now=at("2026-03-03 11:30"), days=2)

    assert [at("2026-03-03 11:55:09"), at("2026-03-04 11:55:09")] == [charge.at for charge in view.charges]


@pytest.mark.parametrize(
    ("record", "charges"),
    [
        pytest.param(known_resource(presence=Presence.MISSING), 1, id="a missing one is still charged"),
        pytest.param(known_resource(presence=Presence.GONE), 0, id="a gone one is not"),
        pytest.param(known_resource(billed=False), 0, id="nor is a stopped one"),
        pytest.param(known_resource(price=None), 0, id="one without a price has no amount"),
        pytest.param(known_resource(price="0"), 1, id="a price of zero is a price"),
        pytest.param(known_resource(epoch=None), 0, id="no epoch has begun"),
        pytest.param(known_resource(of_resource={"price_per": Per.HOUR}), 0, id="metered ones have no due time"),
    ],
)
def test_the_calendar_holds_what_is_billed_at_a_known_price(record: ResourceRecord, charges: int) -> None:
    assert charges == len(calendar_view(Facts((record,)), watched=BOTH, now=NOW, days=1).charges)


def test_the_calendar_names_what_it_cannot_price() -> None:
    facts = Facts((known_resource(price=None), known_resource("0xb2", billed=False, price=None)))

    assert ("0xa1",) == calendar_view(facts, watched=BOTH, now=NOW, days=1).unpriced


def test_an_export_has_one_row_for_each_charge() -> None:
    facts = Facts(rows=(known_charge("2026-03-01 17:55", "-0.1", name=None, basis=Basis.REPORTED),))

    (row,) = export_rows(facts)

    assert ("main", "0xa1", None, "vm", at("2026-03-01 17:55"), DAY, Usd.parse("-0.1"), Basis.REPORTED) == (
        row.account,
        row.resource_id,
        row.resource_name,
        row.kind,
        row.epoch_start,
        row.epoch_end - row.epoch_start,
        row.amount,
        row.basis,
    )


def test_an_account_that_is_no_longer_configured_keeps_the_grid_of_its_resources() -> None:
    hourly = EpochGrid(length=timedelta(hours=1))
    facts = Facts(
        (known_resource(account="former", grid=hourly),), (known_charge("2026-03-01 11:30", account="former"),)
    )

    view = spend_view(facts, watched=BOTH, now=NOW, by=By.EPOCH)

    assert [at("2026-03-01 10:55")] == [row.starts for row in view.rows]
