"""Forecasts come true: whenever one is made, it is what the ledger holds at the window's end if nothing changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.billing.history import seen_last
from fluence_costwatch.core.budgets.budget import Window
from fluence_costwatch.core.budgets.budgeting import Question, measure, window_of
from fluence_costwatch.core.budgets.forecast import foreseen
from fluence_costwatch.core.epochs import EpochGrid, first_in_phase_after
from fluence_costwatch.core.money import total
from fluence_costwatch.core.resources import Generation, Kind, Resource
from fluence_costwatch.core.selectors import EVERYTHING, Selector
from fluence_costwatch.ports import ChargeRecord, ResourceRecord
from tests.known import Facts
from tests.watch import Watch, metered, vm

START = datetime(2026, 3, 3, 5, 0, tzinfo=UTC)
GRID = EpochGrid()
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

PREPAID_PRICES = st.sampled_from([Decimal(text) for text in ("0.298160", "1", "0.000001", "0")])
HOURLY_PRICES = st.sampled_from([Decimal(text) for text in ("0.031", "0.0000001", "0.007", "1.23456789")])
WINDOWS = st.sampled_from([Window.EPOCH, Window.DAY, Window.WEEK, Window.MONTH])


@dataclass(frozen=True, slots=True)
class Machine:
    """One that was there before the first look and stays. `phase` is where its own boundaries lie; None: on the grid."""

    listed_as: Resource
    phase: datetime | None = None

    def listed(self, moment: datetime) -> Resource:
        """How a list shows it."""
        if self.phase is None:
            return self.listed_as
        due = first_in_phase_after(moment, boundary=self.phase, length=DAY)
        return replace(self.listed_as, next_charge_at=due)


@st.composite
def machines(draw: st.DrawFn, number: int) -> Machine:
    """A machine of any generation with boundaries of any kind."""
    created = START - draw(st.integers(1, 4 * 24 * 3600)) * timedelta(seconds=1)
    generation = draw(st.sampled_from([Generation.VMS_V2, Generation.VMS_V3, Generation.CLOUD_V2, Generation.GPU]))
    name = f"m{number}"
    if generation is Generation.CLOUD_V2:
        return Machine(metered(name, price=draw(HOURLY_PRICES), created_at=created))
    price = draw(PREPAID_PRICES)
    if generation is Generation.GPU:
        return Machine(vm(name, generation=generation, price=price, created_at=created, kind=Kind.GPU_VM))
    if generation is Generation.VMS_V2:
        return Machine(vm(name, price=price, created_at=created if draw(st.booleans()) else None))
    return Machine(vm(name, generation=generation, price=price, created_at=created), phase=created)


FLEETS = st.integers(1, 5).flatmap(lambda count: st.tuples(*(machines(number) for number in range(count))))


class Seen:
    """A watch over a fleet that does not change, and what it knows at any time."""

    def __init__(self, fleet: Iterable[Machine]) -> None:
        self.fleet = tuple(fleet)
        self.watch = Watch()
        self.listed: dict[str, Resource] = {}

    def look(self, moment: datetime) -> None:
        """A look at every generation."""
        shown = [machine.listed(moment) for machine in self.fleet]
        self.listed |= {one.identity.id: one for one in shown}
        for generation in {one.generation for one in shown}:
            those = (one for one in shown if one.generation is generation)
            self.watch.look(moment, *those, generation=generation)

    def facts(self) -> Facts:
        """All that is known now."""
        history = self.watch.history
        records = tuple(
            ResourceRecord(self.listed[key], state, seen_last(state, history.lists))
            for key, state in history.resources.items()
        )
        rows = sorted(self.watch.rows.values(), key=lambda row: row.span.start)
        return Facts(records=records, rows=tuple(ChargeRecord(row, None, "vm") for row in rows))


def question(window: Window, now: datetime, select: Selector = EVERYTHING) -> Question:
    """The window that holds `now`, in UTC."""
    return Question(select, *window_of(window, zone=UTC, grid=GRID, now=now))


@given(
    fleet=FLEETS,
    window=WINDOWS,
    gaps=st.lists(st.integers(1, 40 * 60), min_size=1, max_size=6),
    unseen=st.integers(0, 30 * 60),
)
def test_a_forecast_made_at_any_moment_is_what_the_ledger_then_holds(
    fleet: tuple[Machine, ...], window: Window, gaps: list[int], unseen: int
) -> None:
    seen, now = Seen(fleet), START
    seen.look(now)
    for gap in gaps:
        now += gap * MINUTE
        seen.look(now)
    now += unseen * MINUTE
    asked = question(window, now)
    assert asked.ends_at is not None
    (made,) = measure([asked], seen.facts(), now=now)

    # A microsecond before the end nothing more will be charged; a metered one may be rounded to the next micro-dollar.
    last = asked.ends_at - timedelta(microseconds=1)
    seen.look(last)
    (then,) = measure([asked], seen.facts(), now=last)

    assert made.forecast is not None
    assert then.forecast == made.forecast
    by_time = sum(machine.listed_as.generation is Generation.CLOUD_V2 for machine in fleet)
    assert abs(then.spent - made.forecast).micros <= by_time


@given(fleet=FLEETS, window=WINDOWS, moments=st.lists(st.integers(1, 6 * 24 * 60), min_size=1, max_size=12))
def test_a_forecast_does_not_depend_on_how_often_anybody_looked(
    fleet: tuple[Machine, ...], window: Window, moments: list[int]
) -> None:
    often, rarely = Seen(fleet), Seen(fleet)
    ordered = sorted({START + moment * MINUTE for moment in moments})
    for moment in (START, *ordered):
        often.look(moment)
    for moment in (START, ordered[-1]):
        rarely.look(moment)
    now = ordered[-1] + timedelta(hours=1)
    asked = question(window, now)

    assert measure([asked], often.facts(), now=now) == measure([asked], rarely.facts(), now=now)


@given(fleet=FLEETS, window=WINDOWS, later=st.integers(0, 3 * 24 * 60))
def test_figures_add_up_over_selectors(fleet: tuple[Machine, ...], window: Window, later: int) -> None:
    seen, now = Seen(fleet), START + later * MINUTE
    seen.look(START)
    seen.look(now)
    parts = [question(window, now, Selector(ids=(each.listed_as.id,))) for each in fleet]
    whole, *each = measure([question(window, now), *parts], seen.facts(), now=now)

    assert whole.forecast == total(part.forecast for part in each if part.forecast is not None)
    assert whole.spent == total(part.spent for part in each)
    assert whole.uncertain == total(part.uncertain for part in each)
    assert whole.charges_due == sum(part.charges_due for part in each)


@given(fleet=FLEETS, later=st.integers(0, 3 * 24 * 60), share=st.integers(1, 100))
def test_the_limit_is_reached_at_the_instant_that_was_foreseen(
    fleet: tuple[Machine, ...], later: int, share: int
) -> None:
    seen, now = Seen(fleet), START + later * MINUTE
    seen.look(START)
    seen.look(now)
    plain = question(Window.WEEK, now)
    (made,) = measure([plain], seen.facts(), now=now)
    assert made.forecast is not None
    limit = type(made.forecast)(made.forecast.micros * share // 100)
    if not limit.micros:
        return
    asked = replace(plain, limit=limit)
    (found,) = measure([asked], seen.facts(), now=now)
    assert found.exhausted_at is not None
    assert asked.starts_at is not None
    assert asked.ends_at is not None
    assert asked.starts_at <= found.exhausted_at <= asked.ends_at

    if made.spent < limit:
        ahead = foreseen(seen.facts().resources())
        assert found.exhausted_at == ahead.reaches(limit - made.spent, since=asked.starts_at, until=asked.ends_at)
    last = asked.ends_at - timedelta(microseconds=1)
    seen.look(last)
    (then,) = measure([asked], seen.facts(), now=last)
    if then.spent < limit:  # by rounding, at the very end
        return
    assert then.exhausted_at is not None
    # The rows of metered time are rounded, so what they come to has an instant that is a few micro-dollars off.
    rate = sum(
        (each.listed_as.price or Decimal(0)) for each in fleet if each.listed_as.generation is Generation.CLOUD_V2
    )
    slack = timedelta(hours=float(Decimal("0.00006") / rate)) if rate else timedelta(0)
    assert abs(then.exhausted_at - found.exhausted_at) <= slack
