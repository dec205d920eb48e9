"""Idle verdicts against a plain count of samples, for any history of looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict, Reading
from fluence_costwatch.core.idle.idling import next_clocks
from fluence_costwatch.core.idle.rules import Condition, Rule, Signal
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.ports import ResourceRecord
from tests.known import at, known_resource

MINUTE: Final = timedelta(minutes=1)
START: Final = at("2026-03-03 00:00")
WEB: Final = Identity("main", "0xa1")
CPU: Final = Condition(Signal.CPU, below=Decimal("0.03"))
HELD_FOR: Final = 60 * MINUTE
RULE: Final = Rule("quiet", (CPU,), held_for=HELD_FOR, min_age=timedelta(0))
IDLE: Final = IdleVerdict.IDLE

Says = bool | None


@dataclass(frozen=True, slots=True)
class Look:
    """One look, in minutes from the start. `says` is what the condition said; `price` what the machine cost."""

    minute: int
    says: Says
    listed: bool = True
    price: str = "0.298160"

    @property
    def known(self) -> bool:
        return self.listed and self.says is not None


def judged(looks: Iterable[Look], *, interval: timedelta) -> list[IdleClock]:
    """The clock after each look."""
    clock: IdleClock | None = None
    record: ResourceRecord | None = None
    clocks = []
    for look in looks:
        now = START + look.minute * MINUTE
        record = _seen(record, look, now=now)
        (clock,) = next_clocks(
            [RULE],
            [record],
            readings={(WEB, CPU): Reading(CPU, look.says, "says so")},
            clocks={} if clock is None else {(WEB, RULE.name): clock},
            leases={},
            heartbeats={},
            listening_since=None,
            interval=interval,
            now=now,
        )
        clocks.append(clock)
    return clocks


def _seen(record: ResourceRecord | None, look: Look, *, now: datetime) -> ResourceRecord:
    if record is not None and not look.listed:
        return record
    fresh = known_resource("0xa1", price=look.price, created_at=at("2026-02-01 00:00"))
    return replace(fresh, last_seen=now if look.listed else START - timedelta(days=1))


SAYS = st.sampled_from((True,) * 40 + (False, None, None))
LISTED = st.sampled_from((True,) * 40 + (False,))


@st.composite
def histories(draw: st.DrawFn) -> list[Look]:
    """Looks every five minutes, of which some were never made, as while the daemon is down."""
    ticks = draw(st.lists(st.tuples(st.sampled_from((True,) * 40 + (False,)), SAYS, LISTED), min_size=20, max_size=60))
    return [Look(5 * number, says, listed) for number, (made, says, listed) in enumerate(ticks) if made or number == 0]


def ticks_known(looks: Sequence[Look], until: Look) -> int:
    """How many of the samples expected in the hour that ends with `until` were taken and said something."""
    hour = HELD_FOR // MINUTE
    return sum(look.known for look in looks if until.minute - hour < look.minute <= until.minute)


@given(histories())
def test_idle_means_that_nine_of_ten_expected_samples_are_known_and_all_of_them_held(looks: list[Look]) -> None:
    expected = HELD_FOR // (5 * MINUTE)
    for look, clock in zip(looks, judged(looks, interval=5 * MINUTE), strict=True):
        if clock.verdict is IDLE:
            hour = [one for one in looks if look.minute - 60 <= one.minute <= look.minute]
            assert 10 * ticks_known(looks, look) >= 9 * expected
            assert all(one.says is not False for one in hour)
            assert look.known
            assert clock.since is not None
            assert clock.at - clock.since >= HELD_FOR
            assert Decimal("0.9") <= clock.coverage <= 1


@given(histories())
def test_a_look_that_says_nothing_is_never_idle(looks: list[Look]) -> None:
    for look, clock in zip(looks, judged(looks, interval=5 * MINUTE), strict=True):
        if not look.known:
            assert IdleVerdict.UNKNOWN is clock.verdict
        elif not look.says:
            assert IdleVerdict.ACTIVE is clock.verdict


@st.composite
def busy_times(draw: st.DrawFn) -> tuple[list[Look], list[Look]]:
    """Looks every minute at a machine that is busy at times, and some of these looks, the last among them."""
    busy = draw(st.sets(st.integers(0, 180), max_size=6))
    every = [Look(minute, minute not in busy) for minute in range(181)]
    fewer = draw(st.sets(st.integers(0, 179), max_size=60))
    return every, [look for look in every if look.minute in fewer or look.minute == 180]


@given(busy_times())
def test_more_looks_do_not_turn_active_into_idle(looks: tuple[list[Look], list[Look]]) -> None:
    every, fewer = looks

    if judged(fewer, interval=5 * MINUTE)[-1].verdict is IdleVerdict.ACTIVE:
        assert IDLE is not judged(every, interval=5 * MINUTE)[-1].verdict


@given(histories(), st.integers(1, 60))
def test_another_price_starts_the_clock_anew(looks: list[Look], minute: int) -> None:
    repriced = [replace(look, price="0.5") if look.minute >= minute else look for look in looks]
    changed = next((look.minute for look in repriced if look.price == "0.5" and look.listed), None)

    for look, clock in zip(repriced, judged(repriced, interval=5 * MINUTE), strict=True):
        if changed is not None and changed <= look.minute < changed + 60:
            assert IDLE is not clock.verdict


@given(st.lists(st.tuples(st.integers(0, 500), SAYS, st.sampled_from((1, 5, 30))), max_size=40))
def test_a_clock_stays_as_large_as_it_is_and_counts_no_more_than_has_passed(
    looks: list[tuple[int, Says, int]],
) -> None:
    clock: IdleClock | None = None
    now = START
    for minutes, says, interval in looks:
        now += minutes * MINUTE
        record = replace(known_resource("0xa1"), last_seen=now)
        (clock,) = next_clocks(
            [RULE],
            [record],
            readings={(WEB, CPU): Reading(CPU, says, "says so")},
            clocks={} if clock is None else {(WEB, RULE.name): clock},
            leases={},
            heartbeats={},
            listening_since=None,
            interval=interval * MINUTE,
            now=now,
        )
        watched = sum(part for part, _ in clock.buckets)
        assert 21 == len(clock.buckets)
        assert all(0 <= known <= part for part, known in clock.buckets)
        assert watched <= (HELD_FOR + HELD_FOR / 20) // timedelta(microseconds=1)
        assert watched <= (now - START) // timedelta(microseconds=1)
        assert 0 <= clock.coverage <= 1
