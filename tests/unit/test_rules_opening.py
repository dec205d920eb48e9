"""`design.md` 3.1 "Opening": what a resource has cost before anybody looked, and totals that decide over our count."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from fluence_costwatch.core.billing.history import Basis, Cause, Reason
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Resource
from tests.watch import OTHER, PRICE, Watch, day, proves, usd, vm

HOUR = timedelta(hours=1)


def old(total: Usd | None = None, *, boundary: datetime | None = None, **facts: object) -> Resource:
    """A VM created at noon of day 1; `boundary` is its next charge time."""
    facts = {"created_at": day(1, "12:00"), "next_charge_at": boundary, "total_spent": total, **facts}
    return vm("web", **facts)


@proves(
    "A resource created before the first look is back-charged epoch by epoch, walking back from the open epoch to "
    "`createdAt`, basis `inferred`."
)
@pytest.mark.parametrize(
    ("boundary", "starts"),
    [
        (None, [day(1, "12:00"), day(1, "17:55"), day(2, "17:55"), day(3, "17:55")]),
        (day(4, "21:00"), [day(1, "12:00"), day(1, "21:00"), day(2, "21:00"), day(3, "21:00")]),
    ],
    ids=["grid", "reported"],
)
def test_a_life_before_the_first_look_is_charged_back_to_its_creation(
    boundary: datetime | None, starts: list[datetime]
) -> None:
    watch = Watch()
    watch.look(day(4, "12:00"), OTHER, old(boundary=boundary))

    assert starts == [row.span.start for row in watch.epochs()]
    assert all(first.span.end == second.span.start for first, second in pairwise(watch.epochs()))
    assert [Basis.INFERRED] * 3 + [Basis.OBSERVED] == [row.basis for row in watch.epochs()]
    assert usd("0") == watch.uncertain(day(4, "12:00"))


FRAGMENT = (
    "Whether a first fragment that nobody saw was an epoch of its own (global boundary) or launch time (boundary from "
    "activation) cannot be seen: on the grid and for `gpu` it counts; on a reported boundary one shorter than "
    "length/24 is uncertain."
)


@proves(FRAGMENT)
def test_a_short_first_fragment_on_the_grid_counts() -> None:
    watch = Watch()
    watch.look(day(2, "12:00"), OTHER, old(created_at=day(1, "17:54")))

    assert Span(day(1, "17:54"), day(1, "17:55")) == watch.epochs()[0].span
    assert usd("0") == watch.uncertain(day(2, "12:00"))


@proves(FRAGMENT)
def test_a_short_first_fragment_of_a_gpu_instance_counts() -> None:
    watch = Watch(Generation.GPU)
    web = vm("web", created_at=day(0, "12:59"), next_charge_at=day(0, "14:00"))
    watch.look(day(0, "13:30"), OTHER, web)

    assert [Span(day(0, "12:59"), day(0, "13:00")), Span(day(0, "13:00"), day(0, "14:00"))] == [
        row.span for row in watch.epochs()
    ]


@proves(FRAGMENT)
@pytest.mark.parametrize(("created", "charges"), [("12:01", 1), ("11:59", 2)])
def test_a_first_fragment_on_a_reported_boundary_is_uncertain_when_shorter_than_a_24th(
    created: str, charges: int
) -> None:
    watch = Watch()
    watch.look(day(1, "20:00"), OTHER, old(created_at=day(1, created), boundary=day(2, "13:00")))

    assert charges == len(watch.epochs())
    assert PRICE * (2 - charges) == watch.uncertain(day(1, "20:00")).dollars
    assert [Cause.FIRST_FRAGMENT] * (2 - charges) == [one.cause for one in watch.state().doubts]


TOTAL = (
    "Where the API reports a positive total spent for a resource created before the open epoch, that decides: one "
    "`reported` row, dated `createdAt`, makes the opening total equal to it, once the total has stood unchanged over "
    "two looks more than length/24 away from a boundary; until then the difference is uncertain; more than one price "
    "off also alerts."
)


@proves(TOTAL)
@pytest.mark.parametrize("reported", ["0.5", "0.596320", "0.894480", "1.192640", "1.3"])
def test_a_reported_total_decides_after_two_looks_by_one_row_dated_at_creation(reported: str) -> None:
    web = old(usd(reported), boundary=day(4, "13:00"))  # charged on days 1 (twice), 2 and 3: 1.192640
    watch = Watch()
    watch.look(day(4, "09:00"), OTHER, web)
    assert usd("0") <= watch.uncertain(day(4, "09:00"))
    assert abs(usd(reported) - usd("1.192640")) == watch.uncertain(day(4, "09:00"))
    assert watch.total() <= usd(reported) <= watch.total() + watch.uncertain(day(4, "09:00"))

    watch.look(day(4, "09:05"), OTHER, web)

    assert usd(reported) == watch.total()
    assert usd("0") == watch.uncertain(day(4, "09:05"))
    rows = watch.corrections()
    if rows:
        assert (day(1, "12:00"), Basis.REPORTED, True) == (rows[0].span.start, rows[0].basis, rows[0].closed)
    assert (reported != "1.192640") == bool(rows)


@proves("once the total has stood unchanged over two looks more than length/24 away from a boundary")
@pytest.mark.parametrize("clock", ["12:05", "12:30", "12:55"])
def test_a_total_seen_near_a_boundary_decides_nothing(clock: str) -> None:
    watch = Watch()
    watch.polls(day(4, clock), day(4, "12:59"), OTHER, old(usd("0.894480"), boundary=day(4, "13:00")))
    watch.polls(day(4, "13:00"), day(4, "14:00"), OTHER, old(usd("1.192640"), boundary=day(5, "13:00")))
    assert usd("0.298160") == watch.uncertain(day(4, "14:00"))

    watch.polls(day(4, "14:05"), day(4, "14:10"), OTHER, old(usd("1.192640"), boundary=day(5, "13:00")))

    assert (usd("1.192640"), usd("0")) == (watch.total(), watch.uncertain(day(4, "14:10")))


@proves("once the total has stood unchanged over two looks")
def test_a_total_that_still_changes_decides_nothing() -> None:
    watch = Watch()
    watch.look(day(4, "02:00"), OTHER, old(usd("0.596320"), boundary=day(4, "13:00")))
    watch.look(day(4, "03:00"), OTHER, old(usd("0.894480"), boundary=day(4, "13:00")))
    assert usd("0.298160") == watch.uncertain(day(4, "03:00"))

    watch.look(day(4, "04:00"), OTHER, old(usd("0.894480"), boundary=day(4, "13:00")))

    assert (usd("0.894480"), usd("0")) == (watch.total(), watch.uncertain(day(4, "04:00")))


@proves("more than one price off also alerts")
@pytest.mark.parametrize(("reported", "told"), [("0.894480", 0), ("0.894479", 1), ("1.490800", 0), ("1.490801", 1)])
def test_a_total_more_than_one_price_off_is_told(reported: str, told: int) -> None:
    watch = Watch()
    watch.polls(day(4, "09:00"), day(4, "10:00"), OTHER, old(usd(reported), boundary=day(4, "13:00")))

    assert told == sum(finding.kind == "drift" for finding in watch.findings)


@proves("Where the API reports a positive total spent for a resource created before the open epoch, that decides")
@pytest.mark.parametrize("reported", [None, usd("0")])
def test_a_total_that_is_not_positive_decides_nothing(reported: Usd | None) -> None:
    watch = Watch()
    watch.polls(day(4, "09:00"), day(4, "10:00"), OTHER, old(reported, boundary=day(4, "13:00")))

    assert (usd("1.192640"), usd("0")) == (watch.total(), watch.uncertain(day(4, "10:00")))


@proves("Where the API reports a positive total spent for a resource created before the open epoch, that decides")
def test_a_positive_total_that_turns_zero_decides_nothing() -> None:
    watch = Watch()
    watch.look(day(4, "09:00"), OTHER, old(usd("0.894480"), boundary=day(4, "13:00")))
    watch.polls(day(4, "09:05"), day(4, "10:00"), OTHER, old(usd("0"), boundary=day(4, "13:00")))

    assert usd("0.894480") == watch.total()
    assert usd("0.298160") == watch.uncertain(day(4, "10:00"))


@proves("Where the API reports a positive total spent for a resource created before the open epoch, that decides")
def test_a_total_of_a_resource_created_in_the_open_epoch_decides_nothing() -> None:
    watch = Watch()
    watch.polls(day(4, "09:00"), day(4, "10:00"), OTHER, old(usd("9"), created_at=day(4), boundary=day(5)))

    assert (usd("0.298160"), usd("0")) == (watch.total(), watch.uncertain(day(4, "10:00")))


UNCHARGED_FIRST = (
    "First seen in an uncharged status: one `reported` row over `[createdAt, statusChangedAt or first sight)` equal to "
    "the total spent, nothing else."
)


@proves(UNCHARGED_FIRST)
@pytest.mark.parametrize("changed", [day(3, "08:00"), None])
def test_a_vm_first_seen_terminated_is_one_row_equal_to_its_total(changed: datetime | None) -> None:
    ended = old(usd("0.894480"), status="Terminated", status_changed_at=changed)
    watch = Watch()
    watch.polls(day(4, "09:00"), day(6), OTHER, ended, every=HOUR)

    assert [] == watch.epochs()
    assert [(Span(day(1, "12:00"), changed or day(4, "09:00")), usd("0.894480"), Basis.REPORTED)] == [
        (row.span, row.amount, row.basis) for row in watch.corrections()
    ]
    assert usd("0") == watch.uncertain(day(6))


@proves(UNCHARGED_FIRST)
def test_a_vm_first_seen_stopped_without_a_total_costs_nothing_that_is_known() -> None:
    watch = Watch()
    watch.look(day(4, "09:00"), OTHER, old(status="Stopped"))

    assert {} == {key: row for key, row in watch.rows.items() if key[0] == "0xweb"}


REFUND = "`gpu` FAILED after INITIALIZED is refunded: a `reported` reversal."


@proves(REFUND)
@pytest.mark.parametrize("reported", [None, usd("0.5"), usd("9")], ids=["no total", "total below", "total above"])
def test_a_gpu_instance_that_fails_before_it_ran_is_refunded_in_full(reported: Usd | None) -> None:
    facts = {"created_at": day(0, "11:30"), "price": Decimal("0.76"), "total_spent": reported}
    watch = Watch(Generation.GPU)
    watch.look(day(0, "12:01"), OTHER, vm("web", status="INITIALIZED", **facts))
    charged = watch.total()
    watch.look(day(0, "12:01:30"), OTHER, vm("web", status="FAILED", **facts))

    assert (usd("0"), usd("0")) == (watch.total(), watch.uncertain(day(1)))
    assert [(-charged, Basis.REPORTED)] == [
        (row.amount, row.basis) for row in watch.corrections() if row.reason is Reason.REFUND
    ]


@proves(REFUND)
def test_a_gpu_instance_that_fails_after_it_ran_is_not_refunded() -> None:
    watch = Watch(Generation.GPU)
    watch.look(day(0, "12:01"), OTHER, vm("web", status="INITIALIZED", created_at=day(0, "12:00")))
    watch.look(day(0, "12:30"), OTHER, vm("web", status="ACTIVE", created_at=day(0, "12:00")))
    watch.look(day(0, "12:40"), OTHER, vm("web", status="FAILED", created_at=day(0, "12:00")))

    assert PRICE == watch.total().dollars
