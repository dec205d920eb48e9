"""What must always hold (`design.md` 3.3), over random fleets, looking times, outages and restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.billing.ledger import charged_total
from fluence_costwatch.core.money import Usd
from tests.properties.world import Machine, Policy, Story, stories
from tests.watch import Watch


def watch_world(story: Story) -> Watch:
    """A watch that looked at the story's fleet at its moments."""
    watch = Watch()
    for moment in story.moments:
        watch.look(moment, *(machine.listed(moment) for machine in story.fleet if machine.exists(moment)))
    return watch


def billed_since(machine: Machine, watch: Watch) -> datetime | None:
    """From when a bill can be compared: a page without creation times tells nothing of what was before the first look."""
    return watch.snapshots[0].sent_at if machine.policy is Policy.PAGE_ONLY else None


def with_steady_prices(story: Story) -> Story:
    """The same story without a price change."""
    return replace(story, fleet=tuple(replace(machine, prices=machine.prices[:1]) for machine in story.fleet))


def with_prices_that_any_look_can_know(story: Story) -> Story:
    """The same story with at most one price change in a life, and only in lives that all looks see: fewer looks lose a
    price that changes there and back, before the first sight or after the last. Nothing costs nothing either: a total
    stands still over the boundary of an epoch for nothing, so it may decide for fewer looks what more leave uncertain.
    """
    fleet = []
    for machine in story.fleet:
        lasts = machine.created <= story.moments[0] and machine.deleted is None
        prices = tuple((since, price or Decimal("0.2")) for since, price in machine.prices[: 2 if lasts else 1])
        fleet.append(replace(machine, prices=prices))
    return replace(story, fleet=tuple(fleet))


@given(story=stories())
def test_total_is_at_most_the_bill_and_the_bill_at_most_total_and_uncertain(story: Story) -> None:
    for count in range(1, len(story.moments) + 1):
        watch = watch_world(story.until(count))
        now = story.moments[count - 1]
        for machine in story.fleet:
            if f"0x{machine.name}" not in watch.history.resources:
                continue
            bill = machine.bill(now, since=billed_since(machine, watch))
            ours = watch.total(machine.name)
            assert ours <= bill, (machine, ours, bill)
            assert bill <= ours + watch.uncertain(now, machine.name), (machine, ours, bill)


@given(story=stories(), later=st.integers(min_value=1, max_value=3 * 24 * 60))
def test_the_bill_stays_within_what_is_uncertain_while_nobody_looks(story: Story, later: int) -> None:
    steady = with_steady_prices(story)
    watch = watch_world(steady)
    now = story.moments[-1] + timedelta(minutes=later)
    for machine in steady.fleet:
        if f"0x{machine.name}" in watch.history.resources:
            bill = machine.bill(now, since=billed_since(machine, watch))
            assert watch.total(machine.name) <= bill <= watch.total(machine.name) + watch.uncertain(now, machine.name)


@given(story=stories())
def test_epochs_of_one_resource_never_overlap_and_leave_no_hole(story: Story) -> None:
    watch = watch_world(story)
    for machine in story.fleet:
        for first, second in pairwise(watch.epochs(machine.name)):
            assert first.span.end == second.span.start


@given(story=stories(), kept=st.sets(st.integers(0, 39)))
def test_more_looks_only_turn_uncertain_into_known(story: Story, kept: set[int]) -> None:
    story = with_prices_that_any_look_can_know(story)
    last = len(story.moments) - 1
    fewer = tuple(moment for index, moment in enumerate(story.moments) if index in kept or index in {0, last})
    many, few = watch_world(story), watch_world(Story(story.fleet, fewer))
    now = story.moments[-1]
    for machine in story.fleet:
        if f"0x{machine.name}" not in few.history.resources:
            continue
        assert few.total(machine.name) <= many.total(machine.name)
        most = few.total(machine.name) + few.uncertain(now, machine.name)
        assert many.total(machine.name) + many.uncertain(now, machine.name) <= most


@given(story=stories())
def test_replaying_the_snapshots_gives_the_same_ledger(story: Story) -> None:
    watch, again = watch_world(story), Watch()
    for snapshot in watch.snapshots:
        again.history = again.history  # a restart: nothing but the history is carried over
        again.look(snapshot.sent_at, *snapshot.resources)

    assert watch.history == again.history
    assert watch.rows == again.rows


@given(story=stories())
def test_the_total_is_the_sum_by_resource_and_by_epoch(story: Story) -> None:
    watch = watch_world(story)
    by_epoch: dict[datetime, Usd] = {}
    for row in watch.rows.values():
        epoch = watch.judgement.grid.at_or_before(row.span.start)
        by_epoch[epoch] = by_epoch.get(epoch, Usd(0)) + row.amount
    by_resource = [charged_total(state) for state in watch.history.resources.values()]

    assert sum(amount.micros for amount in by_resource) == sum(amount.micros for amount in by_epoch.values())


@given(story=stories())
def test_an_epoch_in_which_a_machine_was_seen_is_always_charged(story: Story) -> None:
    watch = watch_world(story)
    for machine in story.fleet:
        spans = [row.span for row in watch.epochs(machine.name)]
        for moment in story.moments:
            if machine.exists(moment):
                assert any(moment in span for span in spans)
