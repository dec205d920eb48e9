"""A fleet with one idle machine of which every guard agrees that it may go; tests take away one fact each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy, DeletionState, Ground, Mode, Transition
from fluence_costwatch.core.deletion.grounds import Situation
from fluence_costwatch.core.deletion.guards import Examined, FreshList
from fluence_costwatch.core.deletion.planning import Planned, plan
from fluence_costwatch.core.deletion.protection import Keeping
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict, Reading
from fluence_costwatch.core.idle.rules import Action, Condition, Rule, Signal
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.ports import ResourceRecord
from tests.known import at, known_resource

E = at("2026-03-03 17:55")
NOW = E - timedelta(minutes=30)
"""The moment of the deletion: half an hour before the charge."""
NOTICED = NOW - timedelta(hours=3)

CPU = Condition(Signal.CPU, below=Decimal("0.03"))
RULE = Rule("idle-vm", (CPU,), timedelta(hours=24), timedelta(hours=24), Action.DELETE)
EXECUTE = DeletionPolicy(mode=Mode.EXECUTE, armed=True)
WEB = Identity("main", "0xweb")


def machine(
    id: str = "0xWeb", *, name: str | None = "web", listed: Mapping[str, Any] = {}, **facts: Any
) -> ResourceRecord:
    """A VM of `vms-v3` that has been there for weeks, seen five minutes ago."""
    born = at("2026-02-01 12:00")
    plain: dict[str, Any] = {"last_seen": "2026-03-03 17:20", "first_seen": born, "created_at": born} | facts
    of_resource = {"created_at": plain["created_at"], "next_charge_at": E} | dict(listed)
    return known_resource(id, name=name, of_resource=of_resource, **plain)


def idle_clock(id: str = "0xweb", **facts: Any) -> IdleClock:
    """A clock of `RULE` that has called it idle for two days."""
    plain = IdleClock(
        identity=Identity("main", id),
        rule=RULE.name,
        digest=RULE.digest,
        verdict=IdleVerdict.IDLE,
        at=NOW - timedelta(minutes=5),
        since=NOW - timedelta(days=2),
        created_at=at("2026-02-01 12:00"),
        price=Decimal("0.298160"),
        coverage=Decimal(1),
        evidence=("cpu 0.8% busy",),
    )
    return replace(plain, **facts)


def deletion(**facts: Any) -> Deletion:
    """The notified deletion of the idle machine, due now."""
    plain = Deletion(
        id="d1",
        identity=WEB,
        target_id="0xWeb",
        name="web",
        kind=machine().resource.kind,
        generation=Generation.VMS_V3,
        created_at=at("2026-02-01 12:00"),
        ground=Ground.IDLE,
        rule=RULE.name,
        reason="cpu below 3%",
        mode=Mode.EXECUTE,
        state=DeletionState.NOTIFIED,
        proposed_at=NOTICED - timedelta(minutes=5),
        price=Decimal("0.298160"),
        notified_at=NOTICED,
        execute_at=NOW,
        history=(Transition(NOTICED, DeletionState.NOTIFIED, "costwatch", "a target accepted the notice"),),
    )
    return replace(plain, **facts)


def asked_for(id: str, *, hours_ago: float, state: DeletionState = DeletionState.VERIFIED, **facts: Any) -> Deletion:
    """A deletion of another machine that the API took a while ago."""
    then = NOW - timedelta(hours=hours_ago)
    steps = (
        Transition(then, DeletionState.EXECUTING, "costwatch", ""),
        Transition(then, DeletionState.REQUESTED, "api", ""),
    )
    return deletion(
        id=f"d-{id}",
        identity=Identity("main", id),
        target_id=id,
        state=state,
        requested_at=then,
        history=steps,
        settled_at=then + timedelta(minutes=5),
        **facts,
    )


def fleet(*records: KnownResource) -> dict[Identity, KnownResource]:
    """Records by identity."""
    return {record.state.identity: record for record in records}


def situation(*others: KnownResource, **facts: Any) -> Situation:
    """The idle machine and nine that work, in mode execute with both keys."""
    working = others or tuple(machine(f"0xwork{number}", name=f"work{number}") for number in range(9))
    plain = Situation(
        policy=EXECUTE,
        records=fleet(machine(), *working),
        configured=frozenset({("main", Generation.VMS_V3)}),
        deletions=(deletion(),),
        rules=(RULE,),
        clocks={(WEB, RULE.name): idle_clock()},
    )
    return replace(plain, **facts)


def fresh(*resources: Resource, **facts: Any) -> FreshList:
    """The list of the whole fleet, answered just now; with `resources` of these alone."""
    listed = resources or tuple(record.resource for record in situation().records.values())
    plain = FreshList(
        sent_at=NOW - timedelta(seconds=2),
        answered_at=NOW - timedelta(seconds=1),
        resources=listed,
        suspicious=False,
        clock_ahead=timedelta(seconds=1),
    )
    return replace(plain, **facts)


def examined(**facts: Any) -> Examined:
    """What was found out right before the call, all of it good."""
    plain = Examined(
        fresh=fresh(),
        maintenance=False,
        rolled_back=False,
        listed_at=NOW - timedelta(minutes=5),
        readings={(WEB, CPU): Reading(CPU, True, "cpu 0.8% busy")},
    )
    return replace(plain, **facts)


@dataclass(frozen=True, slots=True)
class Turned:
    """What a plan made of a situation."""

    planned: tuple[Planned, ...]

    @property
    def proposed(self) -> tuple[str, ...]:
        """The ids of what is proposed."""
        return tuple(one.identity.id for one, was in self.planned if was is None)

    @property
    def only(self) -> Deletion:
        """The one deletion that changed."""
        ((changed, _),) = self.planned
        return changed


def planned(
    of: Situation,
    *,
    accepted: Mapping[str, datetime] | None = None,
    readable: Iterable[Generation] = (Generation.VMS_V3,),
    rolled_back: bool = False,
    clock_ahead: timedelta | None = None,
    now: datetime = NOW,
) -> Turned:
    """One turn of planning for account "main"."""
    numbers = count(1)
    return Turned(
        plan(
            of,
            account="main",
            accepted=accepted or {},
            readable=readable,
            new_id=lambda: f"new{next(numbers)}",
            rolled_back=rolled_back,
            clock_ahead=clock_ahead,
            now=now,
        )
    )


def keeping(**facts: Any) -> Keeping:
    """What people want kept."""
    return replace(Keeping(), **facts)
