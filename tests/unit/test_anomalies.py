"""What is unusual, and what is not: spend beside the epochs before, new machines, changed prices, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.anomalies import HISTORY, enough_history, judge_anomalies
from fluence_costwatch.core.alerts.findings import Finding, Severity, Telling
from fluence_costwatch.core.billing.history import Basis, Cause, Charge, Doubt, Presence
from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.ports import ChargeRecord, ResourceRecord
from tests.alerts import fired
from tests.known import NOW, Facts, at, known_charge, known_resource, metered, watched

DAY = timedelta(days=1)
LONG_AGO = at("2026-01-01 12:00")
BOUNDARY = at("2026-03-02 17:55")


class Books(Facts):
    """Facts whose rows can be summed."""

    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
        sums: dict[Identity, Usd] = {}
        for row in self.charges(since=since, until=until):
            identity = row.charge.identity
            sums[identity] = sums.get(identity, Usd(0)) + row.charge.amount
        return sums


def found(
    *records: ResourceRecord,
    rows: Sequence[ChargeRecord] = (),
    above: str | None = None,
    alerts: Sequence[Alert] = (),
    now: datetime = NOW,
) -> tuple[Finding, ...]:
    judged = judge_anomalies(
        Books(records=records, rows=tuple(rows)),
        {"main": records},
        watched=watched(),
        new_vm_above=None if above is None else Usd.parse(above),
        fresh_for=DAY,
        alerts=alerts,
        now=now,
    )
    assert () == judged.endings
    assert all(one.telling is Telling.EVENT and one.kind == "anomaly" for one in judged.findings)
    return judged.findings


def rules(findings: Sequence[Finding]) -> list[str]:
    return [one.rule.split()[0] for one in findings]


def daily(*amounts: str) -> list[ChargeRecord]:
    """One charge a day, the last of them at the newest boundary."""
    starts = [BOUNDARY - n * DAY for n in reversed(range(len(amounts)))]
    return [known_charge(f"{start:%Y-%m-%d %H:%M}", amount) for start, amount in zip(starts, amounts, strict=True)]


OLD = known_resource(first_seen=LONG_AGO)


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        pytest.param(["10"] * 9, [], id="the same every day"),
        pytest.param([*["10"] * 7, "10", "15"], [], id="half as much again"),
        pytest.param([*["10"] * 7, "10", "15.01"], ["spend"], id="more than that"),
        pytest.param([*["10"] * 7, "16", "10"], ["spend"], id="too much the day before"),
        pytest.param([*["10"] * 6, "99", "10", "10"], [], id="too much two days before"),
        pytest.param(["0.1"] * 8 + ["0.3"], [], id="three times next to nothing"),
        pytest.param(["4", "16", "5", "15", "6", "14", "4", "16", "24"], [], id="much where it always varies"),
        pytest.param(
            ["10", "900", "10", "10", "800", "10", "10", "10", "16"], ["spend"], id="a wild day hides nothing"
        ),
        pytest.param(["0"] * 8 + ["5"], ["spend"], id="anything after nothing"),
    ],
)
def test_an_epoch_that_costs_far_more_than_usual_is_found(amounts: list[str], expected: list[str]) -> None:
    assert expected == rules(found(OLD, rows=daily(*amounts), now=BOUNDARY + timedelta(hours=1)))


def test_the_finding_says_what_was_spent_and_what_is_usual() -> None:
    (one,) = found(OLD, rows=daily(*["10"] * 8, "40"))

    assert (
        "Account 'main' spends unusually much: $40.00 since 2026-03-02 05:55 UTC, usually $10.00 a day" == one.summary
    )


def test_nothing_is_unusual_before_seven_whole_epochs_were_seen() -> None:
    first_seen = at("2026-02-23 06:00")
    since = enough_history([known_resource(first_seen=first_seen)], grid=EpochGrid())
    young = replace(OLD, state=replace(OLD.state, first_seen=first_seen))

    assert at("2026-03-03 05:55") == since
    assert since - first_seen > HISTORY * DAY
    rows = [*daily(*["10"] * 9), known_charge("2026-03-03 11:00", "40")]
    assert [] == rules(found(young, rows=rows, now=since - timedelta(microseconds=1)))
    assert ["spend"] == rules(found(young, rows=rows, now=since))
    assert None is enough_history([], grid=EpochGrid())


def test_time_that_runs_counts_by_the_second() -> None:
    running = metered(price="2", start="2026-03-02 17:55", first_seen=LONG_AGO)

    assert ["spend"] == rules(found(running, rows=daily(*["10"] * 8, "0")))


def test_what_goes_on_is_told_in_the_words_of_its_beginning() -> None:
    (first,) = found(OLD, rows=daily(*["10"] * 8, "40"))
    (later,) = found(OLD, rows=daily(*["10"] * 8, "60"), alerts=[fired(first)])

    assert first == later


def machine(id: str, *, first_seen: str, **facts: Any) -> ResourceRecord:
    return known_resource(id, first_seen=at(first_seen), **facts)


FIRST = machine("0xa0", first_seen="2026-02-01 12:00")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(machine("0xb1", first_seen="2026-03-03 11:00", price="5.01"), ["new_machine"], id="new and dear"),
        pytest.param(machine("0xb1", first_seen="2026-03-03 11:00", price="5"), [], id="new and just not dear"),
        pytest.param(machine("0xb1", first_seen="2026-03-02 12:00", price="9"), [], id="dear and a day old"),
        pytest.param(machine("0xb1", first_seen="2026-02-01 12:00", price="9"), [], id="there at first sight"),
        pytest.param(
            machine("0xb1", first_seen="2026-03-03 11:00", price="9", presence=Presence.GONE), [], id="gone again"
        ),
        pytest.param(machine("0xb1", first_seen="2026-03-03 11:00", price=None), [], id="new without a price"),
    ],
)
def test_a_dear_new_machine_is_found(record: ResourceRecord, expected: list[str]) -> None:
    assert expected == rules(found(FIRST, record, above="5"))
    assert [] == rules(found(FIRST, record))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(3, 3, ["count"], id="twice as many"),
        pytest.param(4, 3, [], id="not twice as many"),
        pytest.param(2, 2, [], id="twice as many, but two only"),
        pytest.param(0, 5, [], id="the first of an account"),
    ],
)
def test_a_jump_in_number_within_a_day_is_found(old: int, new: int, expected: list[str]) -> None:
    records = [machine(f"0xa{n}", first_seen="2026-02-01 12:00") for n in range(old)]
    records += [machine(f"0xb{n}", first_seen="2026-03-03 11:00") for n in range(new)]

    assert expected == rules(found(*records))


def test_machines_that_were_replaced_are_no_jump() -> None:
    gone = [
        machine(
            f"0xa{n}",
            first_seen="2026-02-01 12:00",
            presence=Presence.GONE,
            absent_since=at("2026-03-03 11:00"),
        )
        for n in range(3)
    ]
    new = [machine(f"0xb{n}", first_seen="2026-03-03 11:00") for n in range(5)]

    assert [] == rules(found(*gone, *new))


def with_open_row(amount: str, *, price: str) -> ResourceRecord:
    """A machine whose open epoch was charged `amount`, and that costs `price` now."""
    record = known_resource(price=price)
    span = Span(BOUNDARY, BOUNDARY + DAY)
    row = Charge(record.state.identity, span, Usd.parse(amount), Basis.OBSERVED)
    return replace(record, state=replace(record.state, epoch_charge=row))


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        pytest.param("0.29", [], id="the same price"),
        pytest.param("0.31", [(Severity.WARNING, "rose from $0.29 to $0.31 per epoch")], id="a higher one"),
        pytest.param("0.20", [(Severity.INFO, "fell from $0.29 to $0.20 per epoch")], id="a lower one"),
    ],
)
def test_a_changed_price_of_epochs_is_found(price: str, expected: list[tuple[Severity, str]]) -> None:
    findings = found(with_open_row("0.29", price=price))

    said = [(one.severity, one.summary.removeprefix("The price of machine 'web' (0xa1) ")) for one in findings]
    assert expected == said


@pytest.mark.parametrize(
    ("price", "charged", "at_", "expected"),
    [
        pytest.param("0.6", "0.5", "2026-03-03 11:00", ["rose from about $0.50 to $0.60 per hour"], id="it rose"),
        pytest.param("0.5", "0.5", "2026-03-03 11:00", ["fell from about $0.60 to $0.50 per hour"], id="it fell"),
        pytest.param("0.6", "0.5", "2026-03-02 10:00", [], id="longer than a day ago"),
    ],
)
def test_a_changed_price_by_the_hour_is_found(price: str, charged: str, at_: str, expected: list[str]) -> None:
    start, hour = at(at_), timedelta(hours=1)
    change = Doubt(Span(start, start + hour), Usd.parse("0.1"), Cause.PRICE_CHANGED_UNSEEN)
    record = metered(price=price, doubts=(change,))
    row = known_charge(at_, charged, id="vm-1", length=hour)

    findings = found(record, rows=[row])

    said = [one.summary.removeprefix("The price of machine 'web' (vm-1) ") for one in findings]
    assert expected == said


def test_prices_are_compared_exactly() -> None:
    assert [] == rules(found(with_open_row("0.298160", price=str(Decimal("0.29816")))))
