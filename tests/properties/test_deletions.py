"""Whatever the fleet, the rules and the days bring: what is protected is in no plan, every execution has its notice and its
ground, and the caps hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.deletion.deletions import (
    AWAITING,
    Deletion,
    DeletionPolicy,
    DeletionState,
    IfMissed,
    Kept,
    Lease,
    Mode,
    Protection,
    Veto,
    moved,
)
from fluence_costwatch.core.deletion.grounds import Situation
from fluence_costwatch.core.deletion.guards import Examined, FreshList, deletions_of_a_day, most_of_fleet, refusals
from fluence_costwatch.core.deletion.planning import applied, plan
from fluence_costwatch.core.deletion.protection import Keeping, protection_of
from fluence_costwatch.core.deletion.timing import is_allowed
from fluence_costwatch.core.deletion.vetoes import approved, veto_on
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict, Reading
from fluence_costwatch.core.idle.rules import Action, Rule
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.ports import ResourceRecord
from tests.deletable import CPU, machine
from tests.known import at

START = at("2026-03-03 12:00")
BORN = at("2026-02-01 12:00")
HOUR = timedelta(hours=1)
NAMES = (None, "", "web", "db-1", "DB-1", "web--until-2026-03-05", "web--until-soon", "web--ttl-2w", "db-1\n")
GLOBS = ("db-*", "web", "[", "*[z-a]", "??", "*")
IDS = tuple(f"0x{digit}" for digit in "abcde")
RULES = (
    Rule("one", (CPU,), 24 * HOUR, 24 * HOUR, Action.DELETE),
    Rule("two", (CPU,), 2 * HOUR, HOUR, Action.DELETE),
    Rule("quiet", (CPU,), 2 * HOUR, HOUR, Action.ALERT),
)
PRICES = ("0.298160", "1", None)
RARELY = st.integers(0, 4).map(lambda number: number == 4)
STEPS = st.sampled_from([10, 30, 60, 300, 1400]).map(lambda minutes: timedelta(minutes=minutes))


def identity(id: str) -> Identity:
    return Identity("main", id)


@st.composite
def machines(draw: st.DrawFn, id: str) -> ResourceRecord:
    """One machine as the lists show it, mostly sound."""
    odd = draw(st.integers(0, 3)) == 0
    status = draw(st.sampled_from(["Active", "SmallBalance", "Terminated", "Launching", "odd"])) if odd else "Active"
    boundary = at("2026-03-03 00:00") + draw(st.integers(0, 23)) * HOUR
    return machine(
        id,
        name=draw(st.sampled_from(NAMES)) if odd else draw(st.sampled_from(["web", "db-1", "work"])),
        status=status,
        kind=draw(st.sampled_from([Kind.VM, Kind.STORAGE])) if odd else Kind.VM,
        price=draw(st.sampled_from(PRICES)) if odd else "0.298160",
        presence=draw(st.sampled_from(list(Presence))) if odd else Presence.PRESENT,
        billed=status in ("Active", "SmallBalance"),
        start=f"{boundary - 24 * HOUR:%Y-%m-%d %H:%M}",
        listed={
            "next_charge_at": boundary,
            "reserved": Usd.parse("0.3"),
            "problems": ("odd",) if odd and draw(RARELY) else (),
        },
    )


@st.composite
def policies(draw: st.DrawFn) -> DeletionPolicy:
    begin, end = draw(st.tuples(st.integers(0, 23), st.integers(0, 23)))
    return DeletionPolicy(
        mode=draw(st.sampled_from([Mode.EXECUTE, Mode.EXECUTE, Mode.EXECUTE, Mode.PROPOSE, Mode.OBSERVE])),
        armed=not draw(RARELY),
        margin=timedelta(minutes=draw(st.sampled_from([5, 30, 120]))),
        min_notice=draw(st.sampled_from([0, 2, 30])) * HOUR,
        if_missed=draw(st.sampled_from(list(IfMissed))),
        max_per_day=draw(st.sampled_from([1, 2, 3, 0])),
        max_fleet_share=draw(st.sampled_from([Decimal("0.2"), Decimal("0.6"), Decimal(1), Decimal(0)])),
        allowed_from=time(begin),
        allowed_until=time(end) if draw(RARELY) else time(begin),
        reclaim=draw(st.booleans()),
        protect=Protection(draw(st.sampled_from(((), (), *((glob,) for glob in GLOBS))))),
    )


@st.composite
def keepings(draw: st.DrawFn, protect: Protection) -> Keeping:
    """What people said to some of them."""

    def some() -> list[str]:
        return draw(st.lists(st.sampled_from(IDS), max_size=2, unique=True)) if draw(RARELY) else []

    until = START + draw(st.integers(-20, 60)) * HOUR
    return Keeping(
        protect=replace(protect, ids=tuple(some())),
        kept={identity(id): Kept(identity(id), START, "ann", "") for id in some()},
        released={identity(id): ("db-1", None) for id in some()},
        leases={identity(id): Lease(identity(id), until, "ann", START) for id in some()},
        silences=tuple(Silence(id, until, "ann", "", START, account="main", resource_id=id) for id in some()),
    )


def clock_of(id: str, rule: Rule, verdict: IdleVerdict, *, since: datetime, now: datetime) -> IdleClock:
    return IdleClock(identity(id), rule.name, rule.digest, verdict, now, since=since, created_at=BORN)


@dataclass
class Story:
    """A watch over some days: what was carried out, and whether its ground stood."""

    situation: Situation
    executed: list[tuple[Deletion, datetime]] = field(default_factory=list)
    ids: Any = field(default_factory=lambda: count(1))

    def turn(self, *, now: datetime) -> Sequence[Deletion]:
        """A cycle: plan, and have every notice accepted at once."""
        waiting = [one.id for one in self.situation.deletions if one.state is DeletionState.PROPOSED]
        planned = plan(
            self.situation,
            account="main",
            accepted=dict.fromkeys(waiting, now),
            readable=(Generation.VMS_V3,),
            new_id=lambda: f"d{next(self.ids)}",
            rolled_back=False,
            now=now,
        )
        self.situation = applied(self.situation, planned)
        return [one for one, _ in planned]

    def look(self, *, now: datetime) -> None:
        """A list that shows what it did before."""
        records = {
            key: ResourceRecord(record.resource, record.state, last_seen=now)
            for key, record in self.situation.records.items()
        }
        self.situation = replace(self.situation, records=records)

    def next_due(self, now: datetime) -> datetime:
        """The next moment of a deletion that waits; an hour later where none does."""
        moments = [one.execute_at for one in self.situation.deletions if one.state in AWAITING and one.execute_at]
        return min((moment for moment in moments if moment > now), default=now + HOUR)

    def approve(self, *, now: datetime) -> None:
        """A person approves all that can be."""
        said = [approved(one, actor="ann", reason="", now=now) for one in self.situation.deletions]
        self.situation = applied(self.situation, [(one, None) for one in said if one is not None])

    def carry_out(self, readings: Mapping[Any, Reading], *, now: datetime) -> None:
        """The job of due deletions, with a marketplace that takes every call."""
        for deletion in self.situation.deletions:
            if deletion.state not in AWAITING or refusals(
                deletion, self.examined(readings, now), self.situation, now=now
            ):
                continue
            self.executed.append((deletion, now))
            asked = moved(deletion, DeletionState.EXECUTING, at=now, reason="", requested_at=now)
            taken = moved(asked, DeletionState.REQUESTED, at=now, reason="")
            self.situation = applied(self.situation, [(taken, None)])

    def examined(self, readings: Mapping[Any, Reading], now: datetime) -> Examined:
        listed = tuple(
            record.resource for record in self.situation.records.values() if record.state.presence is Presence.PRESENT
        )
        fresh = FreshList(now, now, listed, suspicious=False, clock_ahead=timedelta(0))
        return Examined(fresh, maintenance=False, rolled_back=False, listed_at=now, readings=readings)


BUDGET = Budget("prod", Usd.parse("1"), Window.MONTH, UTC, delete_at=Decimal(1))


@st.composite
def budgets(draw: st.DrawFn) -> tuple[BudgetStatus, ...]:
    forecast = draw(st.sampled_from([None, "0.5", "1.5", "3", "50"]))
    if forecast is None:
        return ()
    return (
        BudgetStatus(
            budget=BUDGET,
            starts_at=at("2026-03-01 00:00"),
            ends_at=at("2026-03-09 00:00"),
            spent=Usd.parse("0.4"),
            uncertain=Usd(0),
            committed=Usd.parse("0.4"),
            forecast=Usd.parse(forecast),
            exhausted_at=None,
        ),
    )


@given(data=st.data())
@settings(max_examples=150)
def test_nothing_that_is_kept_goes_and_nothing_goes_without_notice_ground_and_room(data: st.DataObject) -> None:
    policy = data.draw(policies())
    story = Story(
        Situation(
            policy=policy,
            records={identity(id): data.draw(machines(id)) for id in IDS},
            configured=frozenset({("main", Generation.VMS_V3)}) if data.draw(st.integers(0, 9)) else frozenset(),
            rules=data.draw(st.sampled_from([RULES, RULES, RULES[2:], ()])),
            statuses=data.draw(budgets()),
            keeping=data.draw(keepings(policy.protect)),
            patience=2 * HOUR,
        )
    )
    idle_since = {(id, rule.name): START for id in IDS for rule in RULES}
    now = START
    for _ in range(data.draw(st.integers(1, 12))):
        now = story.next_due(now) if data.draw(st.integers(0, 2)) else now + data.draw(STEPS)
        busy = data.draw(st.sets(st.sampled_from(sorted(idle_since)), max_size=2)) if data.draw(RARELY) else set()
        idle = set(idle_since) - busy
        idle_since = {key: since if key in idle else now for key, since in idle_since.items()}
        clocks = {
            (identity(id), rule.name): clock_of(
                id,
                rule,
                IdleVerdict.IDLE if (id, rule.name) in idle else data.draw(st.sampled_from(list(IdleVerdict)[::2])),
                since=idle_since[id, rule.name],
                now=now,
            )
            for id in IDS
            for rule in RULES
        }
        vetoed = data.draw(st.sampled_from(IDS)) if data.draw(RARELY) else None
        vetoes = () if vetoed is None else (Veto(identity(vetoed), "one", now + 5 * HOUR, "ann", "", now),)
        story.situation = replace(story.situation, clocks=clocks, vetoes=(*story.situation.vetoes, *vetoes))
        story.look(now=now)
        for planned in story.turn(now=now):
            assert planned.state not in AWAITING or why_kept(planned, story.situation, now=now) is None
        if data.draw(st.booleans()):
            story.approve(now=now)
        holds = data.draw(st.sampled_from([None, False])) if data.draw(RARELY) else True
        story.carry_out({(identity(id), CPU): Reading(CPU, holds, "") for id in IDS}, now=now)
        for executed, moment in story.executed:
            if moment == now:
                assert why_kept(executed, story.situation, now=now) is None
                assert executed.notified_at is not None
                assert now - executed.notified_at >= policy.min_notice
                assert is_allowed(now, policy=policy)
                assert policy.armed
                assert policy.mode is not Mode.OBSERVE
                assert policy.mode is Mode.EXECUTE or executed.approved_for == executed.execute_at
                if executed.ground.value == "idle":
                    assert (executed.identity.id, executed.rule) in idle
                    assert holds
        executed_now = sum(moment == now for _, moment in story.executed)
        done = deletions_of_a_day(story.situation.deletions, now=now)
        assert len(done) <= policy.max_per_day
        assert len(done) <= max(most_of_fleet(story.situation, account="main", now=now), len(done) - executed_now)
    gone = [deletion.identity for deletion, _ in story.executed]
    assert len(gone) == len(set(gone))


def why_kept(deletion: Deletion, situation: Situation, *, now: datetime) -> str | None:
    """Why the resource of `deletion` must not be in a plan, if it must not."""
    resource = situation.records[deletion.identity].resource
    if (deletion.identity.account, resource.generation) not in situation.configured:
        return "not configured"
    if resource.kind is Kind.STORAGE or resource.problems or resource.price is None or not resource.name:
        released = None in situation.keeping.released.get(deletion.identity, ())
        return (
            None if resource.kind is Kind.VM and resource.price and not resource.problems and released else "doubtful"
        )
    if veto_on(deletion.identity, deletion.rule, situation.vetoes, now=now) is not None:
        return "vetoed"
    return protection_of(resource, situation.keeping, rule=deletion.rule, now=now)
