"""`design.md` 3.1, the first paragraph: what a prepaid epoch costs, how long it lasts, where its boundary comes from."""

from __future__ import annotations

from datetime import time, timedelta

from fluence_costwatch.core.epochs import EpochGrid, Span
from fluence_costwatch.core.resources import Generation
from tests.watch import DAY, OTHER, PRICE, Watch, day, proves, usd, vm

HOUR = timedelta(hours=1)


@proves(
    "A resource is charged its full price at the start of each epoch that it touches in a charged status; "
    "there is no proration."
)
def test_ten_minutes_around_a_boundary_cost_two_full_prices() -> None:
    web = vm("web", created_at=day(0, "17:45"))
    watch = Watch()
    watch.polls(day(0, "17:30"), day(0, "17:45"), OTHER)
    watch.polls(day(0, "17:50"), day(0, "17:55"), OTHER, web)
    watch.polls(day(0, "18:00"), day(3), OTHER)

    assert [PRICE, PRICE] == [row.amount.dollars for row in watch.epochs()]
    assert usd("0.596320") == watch.total()


@proves("A VM deleted five minutes after the boundary has paid for the whole new epoch.")
def test_a_vm_that_is_gone_five_minutes_after_the_boundary_has_paid_until_the_next_one() -> None:
    watch = Watch()
    watch.polls(day(0, "12:00"), day(0, "17:55"), OTHER, vm("web"))
    watch.polls(day(0, "18:00"), day(3), OTHER)

    assert Span(day(0, "17:55"), day(1, "17:55")) == watch.epochs()[-1].span
    assert usd("0.596320") == watch.total()
    assert usd("0") == watch.uncertain(day(3))


@proves("Length 24 h (`gpu`: 1 h, on UTC hours).")
def test_an_epoch_lasts_a_day_where_nothing_else_is_configured() -> None:
    watch = Watch()
    watch.polls(day(0, "12:00"), day(5, "12:00"), OTHER, vm("web"), every=HOUR)

    assert {DAY} == {row.span.length for row in watch.epochs()}


@proves("Length 24 h (`gpu`: 1 h, on UTC hours).")
def test_a_gpu_instance_is_charged_by_full_utc_hours_whatever_is_configured() -> None:
    watch = Watch(Generation.GPU, grid=EpochGrid(time(17, 55), DAY))
    watch.polls(day(0, "12:58"), day(0, "14:03"), OTHER, vm("web", created_at=day(0, "12:58")))

    assert [
        Span(day(0, "12:58"), day(0, "13:00")),
        Span(day(0, "13:00"), day(0, "14:00")),
        Span(day(0, "14:00"), day(0, "15:00")),
    ] == [row.span for row in watch.epochs()]


FROM_REPORT_ELSE_GRID = "the next charge time that the API reports for this resource; else the configured grid"


@proves(FROM_REPORT_ELSE_GRID)
def test_the_reported_charge_time_comes_before_the_configured_grid() -> None:
    web = vm("web", created_at=day(0, "09:00"), next_charge_at=day(1, "09:00"))
    watch = Watch()
    watch.polls(day(0, "12:00"), day(0, "18:00"), OTHER, web, vm("mail", created_at=day(0, "09:00")))

    assert [Span(day(0, "09:00"), day(1, "09:00"))] == [row.span for row in watch.epochs("web")]
    assert [Span(day(0, "09:00"), day(0, "17:55")), Span(day(0, "17:55"), day(1, "17:55"))] == [
        row.span for row in watch.epochs("mail")
    ]


@proves("its boundaries are `1970-01-01T<anchor>Z + k x length`")
def test_grid_boundaries_are_whole_lengths_away_from_the_anchor_of_1970() -> None:
    watch = Watch(grid=EpochGrid(time(0, 0, 7), timedelta(seconds=10)))
    watch.polls(day(0), day(0, "00:00:30"), OTHER, vm("web"), every=timedelta(seconds=2))

    assert [day(0, "00:00:07") + timedelta(seconds=10 * n) for n in (-1, 0, 1, 2)] == [
        row.span.start for row in watch.epochs()
    ]


@proves("an account may have its own `epoch`")
def test_each_account_is_charged_on_its_own_grid() -> None:
    ours, theirs = Watch(), Watch(account="lab", grid=EpochGrid(time(6), 12 * HOUR))
    for watch in (ours, theirs):
        watch.polls(day(0, "12:00"), day(0, "19:00"), OTHER, vm("web"))

    assert [day(-1, "17:55"), day(0, "17:55")] == [row.span.start for row in ours.epochs()]
    assert [day(0, "06:00"), day(0, "18:00")] == [row.span.start for row in theirs.epochs()]
