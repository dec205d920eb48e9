"""Whatever the marketplace says, forgets or takes back: no closed row changes, none overlaps, and the sums are one."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from fluence_costwatch.core.billing.history import seen_last
from fluence_costwatch.core.billing.ledger import doubts_of, spent_total
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Generation, Kind, Per, Resource
from tests.watch import Watch, day, vm

GENERATIONS = st.sampled_from([Generation.CLOUD_V2, Generation.VMS_V3, Generation.VMS_V2, Generation.GPU])
STATUSES = st.sampled_from(["Active", "launched", "INITIALIZED", "Stopped", "terminated", "FAILED", "ENDED", "odd"])
PRICES = st.none() | st.sampled_from([Decimal(text) for text in ("0", "0.31", "0.4125", "0.00000071")])
MOMENTS = st.none() | st.integers(-72, 240).map(lambda hours: day(1) + timedelta(hours=hours))
TOTALS = st.none() | st.integers(0, 9).map(lambda count: Usd(count * 310_000))


@st.composite
def shown(draw: st.DrawFn, generation: Generation) -> Resource:
    """One machine as a list of `generation` may show it."""
    return vm(
        generation=generation,
        kind=Kind.GPU_VM if generation is Generation.GPU else Kind.VM,
        status=draw(STATUSES),
        price=draw(PRICES),
        price_per=Per.HOUR if generation is Generation.CLOUD_V2 else Per.EPOCH,
        created_at=draw(MOMENTS),
        next_charge_at=None if generation is Generation.CLOUD_V2 else draw(MOMENTS),
        status_changed_at=draw(MOMENTS),
        total_spent=None if generation is Generation.CLOUD_V2 else draw(TOTALS),
    )


@given(data=st.data())
@settings(max_examples=400)
def test_no_story_breaks_the_ledger_of_one_id(data: st.DataObject) -> None:
    watch = Watch()
    used = data.draw(st.lists(GENERATIONS, min_size=1, max_size=3, unique=True))
    moment = day(1)
    for _ in range(data.draw(st.integers(2, 14))):
        moment += timedelta(minutes=data.draw(st.sampled_from([1, 5, 60, 400, 1500, 3000, -30])))
        generation = data.draw(st.sampled_from(used))
        if data.draw(st.integers(0, 9)) == 0:
            watch.retire(generation)
            continue
        watch.claimed = {"0xweb": "other"} if data.draw(st.integers(0, 7)) == 0 else {}
        rocks = [vm(f"rock{count}", generation=generation) for count in range(4)]
        seen = [data.draw(shown(generation))] if data.draw(st.integers(0, 3)) else []
        watch.look(moment, *rocks, *seen, generation=generation, rank=used.index(generation))
        if "0xweb" not in watch.history.resources:
            continue
        state = watch.state()
        watch.total()
        last = seen_last(state, watch.history.lists)
        assert spent_total(state, seen=last) >= watch.total()
        doubts = doubts_of(state, now=moment, seen=last)
        assert all(one.amount is None or one.amount >= ZERO for one in doubts)
        assert all(first.span.end <= second.span.start for first, second in pairwise(watch.epochs()))
