"""Metered resources: what must always hold, against a bill by the second with no rounding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.billing.history import seen_last
from fluence_costwatch.core.billing.ledger import spent_total, uncertain_total
from fluence_costwatch.core.resources import Generation, Per, Resource
from tests.properties.world import START, looks, minutes
from tests.watch import Watch, vm

HOURLY = st.sampled_from([Decimal(text) for text in ("0.031", "0.0000001", "0.007", "1.23456789", "0")])


@dataclass(frozen=True, slots=True)
class Meter:
    """One metered machine. `soft` is whether a list goes on showing it after its end, with the time of that end."""

    name: str
    created: datetime
    ended: datetime | None
    price: Decimal
    later_price: tuple[datetime, Decimal] | None
    soft: bool

    def listed(self, moment: datetime) -> Resource | None:
        """How a list shows it at `moment`, if it does."""
        over = self.ended is not None and self.ended <= moment
        if moment < self.created or (over and not self.soft):
            return None
        price = self.price
        if self.later_price is not None and self.later_price[0] <= moment:
            price = self.later_price[1]
        return replace(
            vm(self.name),
            generation=Generation.CLOUD_V2,
            status="terminated" if over else "launched",
            price=price,
            price_per=Per.HOUR,
            created_at=self.created,
            status_changed_at=self.ended if over else None,
        )

    def bill(self, until: datetime) -> Fraction:
        """What its time until then costs in micro-dollars, exactly."""
        stop = until if self.ended is None else min(until, self.ended)
        changed = self.later_price[0] if self.later_price is not None else stop
        first, second = min(changed, stop) - self.created, stop - changed
        cost = self._cost(self.price, first)
        return cost + (self._cost(self.later_price[1], second) if self.later_price is not None else 0)

    @staticmethod
    def _cost(price: Decimal, length: timedelta) -> Fraction:
        return Fraction(price) * 1_000_000 * max(0, length // timedelta(microseconds=1)) / 3_600_000_000


@st.composite
def meters(draw: st.DrawFn, moments: list[datetime]) -> list[Meter]:
    """Machines whose price changes once at most, between two looks that both see them."""
    found = [Meter(f"rock{n}", START - timedelta(days=2), None, Decimal("0.05"), None, soft=False) for n in range(4)]
    for number in range(draw(st.integers(1, 3))):
        created = START + timedelta(minutes=draw(minutes) - 2 * 24 * 60, seconds=draw(st.integers(0, 59)))
        life = draw(st.none() | st.integers(1, 6 * 24 * 3600))
        ended = None if life is None else created + timedelta(seconds=life)
        sights = [at for at in moments if created <= at and (ended is None or at < ended)]
        gaps = list(pairwise(sights))
        later = None
        changes = draw(st.booleans())
        if gaps and changes:
            before, after = draw(st.sampled_from(gaps))
            later = (before + (after - before) * draw(st.sampled_from([0.25, 0.75, 1.0])), draw(HOURLY))
        soft = draw(st.booleans())
        found.append(Meter(f"vm{number}", created, ended, draw(HOURLY), later, soft and created >= moments[0]))
    return found


def watch_meters(fleet: list[Meter], moments: list[datetime]) -> Watch:
    watch = Watch(Generation.CLOUD_V2)
    for moment in moments:
        watch.look(moment, *(shown for machine in fleet if (shown := machine.listed(moment)) is not None))
    return watch


stories = looks.flatmap(lambda moments: st.tuples(meters(moments), st.just(moments)))


@given(story=stories, later=st.integers(0, 3000))
def test_total_is_at_most_the_bill_and_the_bill_at_most_total_and_uncertain(
    story: tuple[list[Meter], list[datetime]], later: int
) -> None:
    fleet, moments = story
    for count in range(1, len(moments) + 1):
        watch = watch_meters(fleet, moments[:count])
        now = moments[count - 1] + timedelta(minutes=later if count == len(moments) else 0)
        for machine in fleet:
            state = watch.history.resources.get(f"0x{machine.name}")
            if state is None:
                continue
            seen = seen_last(state, watch.history.lists)
            ours = spent_total(state, seen=seen).micros
            most = ours + uncertain_total(state, now=now, seen=seen).micros
            rounding = len(watch.epochs(machine.name)) + 1
            assert ours - rounding <= machine.bill(now) <= most + rounding, machine


@given(story=stories)
def test_rows_never_overlap_and_leave_no_hole(story: tuple[list[Meter], list[datetime]]) -> None:
    fleet, moments = story
    watch = watch_meters(fleet, moments)
    for machine in fleet:
        rows = watch.epochs(machine.name)
        assert all(row.closed for row in rows)
        assert all(first.span.end == second.span.start for first, second in pairwise(rows))
        assert all(row.span.length <= timedelta(hours=24) for row in rows)


@given(story=stories)
def test_a_life_that_a_list_tells_exactly_is_charged_exactly(story: tuple[list[Meter], list[datetime]]) -> None:
    fleet, moments = story
    told = [replace(machine, later_price=None, soft=machine.created >= moments[0]) for machine in fleet]
    watch = watch_meters(told, moments)
    for machine in told:
        state = watch.history.resources.get(f"0x{machine.name}")
        if state is None or not machine.soft or machine.ended is None or machine.ended > moments[-1]:
            continue
        assert abs(state.charged.micros - machine.bill(moments[-1])) <= len(watch.epochs(machine.name))
        assert 0 == uncertain_total(state, now=moments[-1], seen=moments[-1]).micros
