"""Alerts through random weeks: budgets that cross thresholds, get refunds, higher limits and new windows; a daemon that is
restarted anywhere; looks that fail. What a person is told is what happened, once."""

from __future__ import annotations

import pickle
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fluence_costwatch.core.alerts.alert import AlertEvent, AlertState, Change
from fluence_costwatch.core.alerts.alerting import next_alerts
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.budgets.budget_findings import judge_budgets
from fluence_costwatch.core.money import ZERO, Usd
from tests.alerts import REPEAT, Kept, finding

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


class Budgeted(RuleBasedStateMachine):
    """One budget by the week, judged again and again; beside it, what its thresholds should have told by now."""

    @initialize()
    def begin(self) -> None:
        self.now = MONDAY + HOUR
        self.kept = Kept()
        self.spent = ZERO
        self.limit = Usd.parse("100")
        self.judge()

    def status(self) -> BudgetStatus:
        start = self.now - (self.now - MONDAY) % WEEK
        budget = Budget("team-a", self.limit, Window.WEEK, UTC, forecast_thresholds=())
        return BudgetStatus(
            budget=budget,
            starts_at=start,
            ends_at=start + WEEK,
            spent=self.spent,
            uncertain=ZERO,
            committed=self.spent,
            forecast=None,
            exhausted_at=None,
        )

    def crossed(self) -> list[Decimal]:
        """The thresholds that what is spent has reached."""
        status = self.status()
        return [each for each in status.budget.thresholds if status.used >= each]

    def judge(self) -> list[AlertEvent]:
        """A cycle; what it told."""
        told = len(self.kept.told)
        stored = self.kept.stored()
        judged = judge_budgets([self.status()], alerts=stored, now=self.now)
        self.kept.keep(next_alerts(stored, judged, [], repeat=REPEAT, now=self.now))
        return self.kept.told[told:]

    @rule(dollars=st.integers(1, 150))
    def spend(self, dollars: int) -> None:
        if self.week_is_over_in_an_hour():
            return
        before, ever = self.crossed(), self.ever_fired()
        self.spent += Usd.parse(str(dollars))
        self.now += HOUR
        events = self.judge()

        new = [each for each in self.crossed() if each not in before and self.rule_of(each) not in ever]
        assert len(new[-1:]) == len(events), "one message for all that is crossed at once, and it is of the highest"
        assert [f"{share:g}" for share in new[-1:]] == [
            f"{Decimal(dict(event.alert.facts)['threshold']):g}" for event in events
        ]
        assert all(event.change is Change.FIRED for event in events)

    def week_is_over_in_an_hour(self) -> bool:
        return (self.now + HOUR - MONDAY) % WEEK < HOUR

    def ever_fired(self) -> set[str]:
        return {alert.rule for alert in self.kept.alerts.values() if alert.fired_at is not None}

    def rule_of(self, threshold: Decimal) -> str:
        """What tells this threshold of this window and limit from all others."""
        status = replace(self.status(), spent=self.limit * 10)
        (found,) = [
            each for each in judge_budgets([status], alerts=[], now=self.now).findings if each.level == threshold
        ]
        return found.rule

    @rule(hours=st.integers(1, 24))
    def nothing_happens(self, hours: int) -> None:
        for _ in range(hours):
            if self.week_is_over_in_an_hour():
                return
            self.now += HOUR
            assert [] == self.judge(), "the same state tells nothing more"

    @precondition(lambda self: self.crossed())
    @rule()
    def a_refund(self) -> None:
        self.spent = ZERO
        events = self.judge()

        assert all(event.change is Change.RESOLVED and "corrected" in event.reason for event in events)
        assert [] == self.firing()

    @precondition(lambda self: self.crossed())
    @rule()
    def a_raised_limit(self) -> None:
        self.limit = self.limit * 20
        over = [event for event in self.judge() if event.change is Change.RESOLVED]

        assert all("the limit was raised" in event.reason for event in over)

    @rule()
    def week_passes(self) -> None:
        self.now += WEEK - (self.now - MONDAY) % WEEK + HOUR
        self.spent = ZERO
        events = self.judge()

        assert all(event.change is Change.RESOLVED and "a new window began" in event.reason for event in events)
        assert [] == self.firing()

    @rule()
    def a_restart(self) -> None:
        """All that a process knows is what is stored."""
        self.kept = pickle.loads(pickle.dumps(self.kept))  # noqa: S301 - made the line before
        assert [] == self.judge()

    @rule()
    def a_look_that_failed(self) -> None:
        """Nothing was judged at all."""
        told = len(self.kept.told)
        self.kept.keep(next_alerts(self.kept.stored(), Judged(), [], repeat=REPEAT, now=self.now))
        assert [] == self.kept.told[told:]

    def firing(self) -> list[str]:
        return [alert.rule for alert in self.kept.alerts.values() if alert.state is AlertState.FIRING]

    @invariant()
    def what_fires_is_what_is_crossed(self) -> None:
        if hasattr(self, "kept"):
            assert len(self.crossed()) == len(self.firing())

    @invariant()
    def each_is_told_once_to_begin_and_once_to_end(self) -> None:
        if hasattr(self, "kept"):
            assert_told_in_turn(self.kept)


TestBudgeted = Budgeted.TestCase


def assert_told_in_turn(kept: Kept) -> None:
    """Of one thing, beginning and end are told in turn; of what is told ONCE, each at most once."""
    changes: dict[str, list[Change]] = defaultdict(list)
    telling: dict[str, Telling] = {}
    for event in kept.told:
        telling[event.alert.fingerprint] = event.alert.telling
        if event.change in (Change.FIRED, Change.RESOLVED):
            changes[event.alert.fingerprint].append(event.change)
        else:
            assert Change.FIRED is changes[event.alert.fingerprint][-1], "only what was told to fire is told again"
    for fingerprint, told in changes.items():
        if telling[fingerprint] is Telling.EVENT:
            assert Change.RESOLVED not in told
            continue
        assert told == [(Change.FIRED, Change.RESOLVED)[n % 2] for n in range(len(told))]
        assert telling[fingerprint] is not Telling.ONCE or len(told) <= 2


def things(telling: Telling) -> st.SearchStrategy[Finding]:
    """One of a few things that may hold, of one way of telling."""
    return st.builds(
        lambda name, severity, level, patience: finding(
            rule=f"{telling}-{name}",
            severity=severity,
            telling=telling,
            group=("", "a", "b")[name % 3],
            level=Decimal(level),
            patience=patience * HOUR,
        ),
        st.integers(0, 4),
        st.sampled_from(list(Severity)),
        st.integers(0, 2),
        st.integers(0, 3),
    )


ANYTHING = st.one_of([things(telling) for telling in Telling])
CYCLES = st.lists(
    st.tuples(st.integers(0, 30), st.lists(ANYTHING, max_size=6), st.lists(ANYTHING, max_size=6)), max_size=25
)


@given(cycles=CYCLES)
def test_beginning_and_end_of_anything_are_told_in_turn_and_no_cycle_counts_twice(
    cycles: list[tuple[int, list[Finding], list[Finding]]],
) -> None:
    kept, now = Kept(), MONDAY
    for hours, found, over in cycles:
        now += hours * HOUR
        judged = Judged(tuple(found), tuple(Ending(one.fingerprint, "it is over") for one in over))
        kept.keep(next_alerts(kept.stored(), judged, [], repeat=REPEAT, now=now))
        again = next_alerts(kept.stored(), judged, [], repeat=REPEAT, now=now)
        assert ((), ()) == (again.alerts, again.events)
        live = [alert.fingerprint for alert in kept.alerts.values() if alert.state is not AlertState.RESOLVED]
        assert len(live) == len(set(live)), "one alert of each thing at a time"
    assert_told_in_turn(kept)


@given(cycles=CYCLES)
def test_what_is_found_and_not_silenced_is_told_or_another_of_its_group_is(
    cycles: list[tuple[int, list[Finding], list[Finding]]],
) -> None:
    kept, now = Kept(), MONDAY
    for hours, found, _ in cycles:
        now += hours * HOUR
        kept.keep(next_alerts(kept.stored(), Judged(tuple(found)), [], repeat=REPEAT, now=now))
    told = {event.alert.fingerprint for event in kept.told}
    groups = {event.alert.group for event in kept.told if event.alert.group}
    for alert in kept.alerts.values():
        if alert.state is AlertState.FIRING:
            assert alert.fingerprint in told or alert.group in groups
