"""Ways in which it must not delete, each against the real pipeline: client, store, cycle, delivery, deletion, marketplace.

An idle machine among eight has been proposed and its owner told. Then something happens, its moment comes, and the machine
stays. Without that something it goes, half an hour before its charge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.alerts import Silence
from fluence_costwatch.core.deletions import (
    Deletion,
    DeletionPolicy,
    DeletionState,
    IfMissed,
    Kept,
    Lease,
    Mode,
    Protection,
)
from fluence_costwatch.core.findings import Severity
from fluence_costwatch.core.idleness import Reading
from fluence_costwatch.core.outbox import Route
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.core.rules import Action, Condition, Rule, Signal
from fluence_costwatch.core.vetoes import approved, vetoed
from fluence_costwatch.core.views import Watched, WatchedAccount
from tests.rig import Rig, a_policy, rig

START = datetime(2026, 3, 1, 13, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
POLL = timedelta(minutes=30)
PATIENCE = 4 * POLL

CPU = Condition(Signal.CPU, below=Decimal("0.03"))
RULE = Rule("idle-vm", (CPU,), HOUR, timedelta(0), Action.DELETE)
EXECUTE = DeletionPolicy(mode=Mode.EXECUTE, armed=True)
ROUTE = Route("mail", min_severity=Severity.INFO)


@dataclass
class Exporters:
    """What machines say of themselves, by name: None is no answer. All others are busy."""

    busy: dict[str | None, bool | None] = field(default_factory=lambda: {"idle": False})

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], Reading]:
        """The readings of all of them."""
        machines = list(resources)
        return {
            (machine.identity, condition): self._reading(condition, machine)
            for condition in conditions
            for machine in machines
        }

    def _reading(self, condition: Condition, machine: Resource) -> Reading:
        busy = self.busy.get(machine.name, True)
        return Reading(condition, None if busy is None else not busy, f"busy: {busy}")


@dataclass
class Scene:
    """A watch over eight machines, of which "idle" does nothing; its next charge is at 17:55."""

    watch: Rig
    exporters: Exporters
    vm: str

    def polls(self, span: timedelta) -> None:
        self.watch.polls(span, every=POLL)

    def until(self, moment: datetime, *, every: timedelta = POLL) -> None:
        while self.watch.now + every < moment:
            self.watch.advance(every)
            self.watch.poll()
        if self.watch.now < moment:
            self.watch.advance(moment - self.watch.now)

    def policy(self, **facts: Any) -> None:
        """Reload the `[deletion]` section."""
        terms = self.watch.policy.terms
        self.watch.policy = replace(self.watch.policy, terms=replace(terms, policy=replace(terms.policy, **facts)))

    def rules(self, *rules: Rule) -> None:
        self.watch.policy = replace(self.watch.policy, terms=replace(self.watch.policy.terms, rules=rules))

    @property
    def deletion(self) -> Deletion:
        """The newest one."""
        return self.watch.deletions()[-1]

    @property
    def identity(self) -> Identity:
        return Identity("main", self.vm.lower())

    def calls(self) -> list[str]:
        """What was asked of the marketplace that ends something."""
        return [f"{one.method} {one.path}" for one in self.watch.market.requests() if one.method in ("DELETE", "POST")]


@contextmanager
def scene(
    path: Path, *, generation: Generation = Generation.VMS_V3, deletion: DeletionPolicy = EXECUTE, **options: Any
) -> Iterator[Scene]:
    """The machine was idle for an hour and a half, is proposed, and its notice has been accepted."""
    with rig(path, start=START, generation=generation, **options) as watch:
        vm = watch.market.create("idle", price="0.3")
        for number in range(7):
            watch.market.create(f"work{number}", price="0.3")
        exporters = Exporters()
        watch.signals = exporters
        watched = Watched((WatchedAccount("main", (generation,)),), PATIENCE, UTC)
        watch.policy = a_policy(
            watch.watching, rules=(RULE,), deletion=deletion, routes=(ROUTE,), interval=POLL, watched=watched
        )
        told = Scene(watch, exporters, vm)
        told.polls(3 * POLL)
        watch.deliver()
        yield told


DUE = datetime(2026, 3, 1, 17, 25, tzinfo=UTC)


def test_what_nothing_keeps_goes_before_its_charge_and_costs_nothing_more(tmp_path: Path) -> None:
    with scene(tmp_path / "db") as on:
        on.until(DUE)
        (carried,) = on.watch.delete_due()
        on.polls(HOUR)
        on.watch.advance(timedelta(days=3))

        assert DeletionState.REQUESTED is carried.deletion.state
        assert ["DELETE /vms/v3"] == on.calls()
        assert DeletionState.VERIFIED is on.deletion.state
        assert 1 == len(on.watch.market.books().of(on.vm))
        assert ["proposed", "notified", "executing", "requested", "verified"] == [
            step.state.value for step in on.deletion.history if "moment" not in step.reason
        ]


def test_with_too_little_notice_it_lives_to_the_next_boundary(tmp_path: Path) -> None:
    with scene(tmp_path / "db", deletion=replace(EXECUTE, min_notice=6 * HOUR)) as on:
        on.until(DUE)
        assert () == on.watch.delete_due()
        on.until(DUE + timedelta(hours=24))
        on.watch.delete_due()
        on.polls(6 * HOUR)

        assert DeletionState.VERIFIED is on.deletion.state
        assert 2 == len(on.watch.market.books().of(on.vm))


@pytest.mark.parametrize("if_missed", list(IfMissed))
def test_a_missed_moment_follows_the_setting(tmp_path: Path, if_missed: IfMissed) -> None:
    """The job slept through the boundary; the looks went on."""
    with scene(tmp_path / "db", deletion=replace(EXECUTE, if_missed=if_missed)) as on:
        on.until(DUE + HOUR)
        at_once = on.watch.delete_due()
        on.until(DUE + 24 * HOUR)
        later = on.watch.delete_due()
        on.polls(2 * HOUR)

        assert (if_missed is IfMissed.NOW) is any(one.called for one in at_once)
        assert (if_missed is IfMissed.NEXT_EPOCH) is any(one.called for one in later)
        assert 2 == len(on.watch.market.books().of(on.vm))


def fault(on: Scene, kind: str, **fields: Any) -> None:
    """From now on lists come like this."""
    on.watch.market.misbehave(kind, path="/vms/v3", method="GET", **fields)


def keep(on: Scene) -> None:
    with on.watch.store.transaction() as tx:
        tx.keep(Kept(on.identity, on.watch.now, "cli ann", "mine"))


def lease(on: Scene) -> None:
    with on.watch.store.transaction() as tx:
        tx.save_lease(Lease(on.identity, on.watch.now + 100 * HOUR, "cli ann", on.watch.now))


def silence(on: Scene, **about: Any) -> None:
    now = on.watch.now
    with on.watch.store.transaction() as tx:
        tx.save_silence(Silence("s1", now + 100 * HOUR, "ann", "", now, **about))


def veto(on: Scene) -> None:
    said = vetoed(on.deletion, actor="cli ann", reason="", veto_for=timedelta(days=7), now=on.watch.now)
    assert said is not None
    with on.watch.store.transaction() as tx:
        assert tx.save_deletion(said[0], was=DeletionState.NOTIFIED)
        tx.save_veto(said[1])


def re_create(on: Scene) -> None:
    on.watch.market.delete(on.vm)
    on.watch.advance(MINUTE)
    on.watch.market.create("idle", price="0.3")


def half_of_half(on: Scene) -> None:
    fault(on, "half_list")
    fault(on, "half_list")


def not_told(on: Scene) -> None:
    on.policy(min_notice=5 * HOUR)


# What happens before the last looks, or (`late`) between the last look and the moment.
BEFORE: tuple[tuple[str, Callable[[Scene], object]], ...] = (
    ("renamed", lambda on: on.watch.market.rename(on.vm, "prod")),
    ("re-created under the name", re_create),
    ("re-priced", lambda on: on.watch.market.set_price(on.vm, "0.4")),
    ("busy again", lambda on: on.exporters.busy.update(idle=True)),
    ("its exporter silent", lambda on: on.exporters.busy.update(idle=None)),
    ("ended by the provider", lambda on: on.watch.market.terminate(on.vm)),
    ("out of funds", lambda on: on.watch.market.set_status(on.vm, "InsufficientFunds", billed=True)),
    ("a status that nobody knows", lambda on: on.watch.market.set_status(on.vm, "Hibernating", billed=True)),
    ("protected by name", lambda on: on.policy(protect=Protection(("idl*",)))),
    ("protected by id", lambda on: on.policy(protect=Protection(ids=(on.vm,)))),
    ("a protection that does not compile", lambda on: on.policy(protect=Protection(("db-[9-0]",)))),
    ("kept", keep),
    ("leased", lease),
    ("silenced", lambda on: silence(on, account="main", resource_id=on.identity.id)),
    ("its rule silenced", lambda on: silence(on, rule="idle-vm")),
    ("vetoed", veto),
    ("the rule changed", lambda on: on.rules(replace(RULE, held_for=8 * HOUR))),
    ("the rule removed", lambda on: on.rules()),
    ("the rule only alerts", lambda on: on.rules(replace(RULE, action=Action.ALERT))),
    ("reloaded to observe", lambda on: on.policy(mode=Mode.OBSERVE)),
    ("reloaded to propose", lambda on: on.policy(mode=Mode.PROPOSE)),
    ("the second key taken away", lambda on: on.policy(armed=False)),
    ("a cap of none", lambda on: on.policy(max_per_day=0)),
    ("a share of none", lambda on: on.policy(max_fleet_share=Decimal(0))),
    ("other hours", lambda on: on.policy(allowed_from=time(2), allowed_until=time(4))),
    ("a longer notice", not_told),
    ("no list any more", lambda on: fault(on, "status", code=500)),
    ("the key refused", lambda on: fault(on, "status", code=403)),
    ("an empty list", lambda on: fault(on, "empty_list")),
    ("half a list", lambda on: fault(on, "half_list")),
    ("half of half a list", half_of_half),
    ("a list that is cut short", lambda on: fault(on, "truncated_json")),
    ("its id in another case", lambda on: fault(on, "id_case")),
    ("a price that is no number", lambda on: fault(on, "price_text")),
    ("a status that is nothing", lambda on: fault(on, "null_status")),
    ("a charge time that cannot be read", lambda on: fault(on, "date_malformed")),
    ("a clock that differs", lambda on: fault(on, "clock_skew", seconds=400)),
    ("no clock at all", lambda on: fault(on, "no_date")),
)


@pytest.mark.parametrize("happens", [pytest.param(row[1], id=row[0]) for row in BEFORE])
@pytest.mark.parametrize("late", [False, True], ids=["seen by later looks", "after the last look"])
def test_it_is_not_deleted(tmp_path: Path, happens: Callable[[Scene], object], late: bool) -> None:
    with scene(tmp_path / "db") as on:
        assert DeletionState.NOTIFIED is on.deletion.state
        if late:
            on.until(DUE)
        happens(on)
        on.until(DUE)
        for _ in range(2):
            on.watch.delete_due()
            on.watch.advance(5 * MINUTE)

        assert [] == on.calls()


def test_it_is_kept_while_the_database_is_an_older_one(tmp_path: Path) -> None:
    with scene(tmp_path / "db") as on:
        backup = on.watch.store.backup(tmp_path / "backups", now=on.watch.now)
        on.polls(HOUR)
        on.watch.store.close()
        for beside in tmp_path.glob("db-*al"):
            beside.unlink()
        for beside in tmp_path.glob("db-shm"):
            beside.unlink()
        (tmp_path / "db").write_bytes(backup.path.read_bytes())
        on.watch.restart()
        on.until(DUE - MINUTE)
        on.until(DUE)
        on.watch.delete_due()

        assert on.watch.store.was_rolled_back()
        assert [] == on.calls()
        assert DeletionState.WITHDRAWN is on.deletion.state


def test_in_propose_mode_it_goes_for_the_one_moment_that_was_approved(tmp_path: Path) -> None:
    with scene(tmp_path / "db", deletion=replace(EXECUTE, mode=Mode.PROPOSE)) as on:
        said = approved(on.deletion, actor="cli ann", reason="", now=on.watch.now)
        assert said is not None
        with on.watch.store.transaction() as tx:
            assert tx.save_deletion(said, was=DeletionState.NOTIFIED)
        on.until(DUE + HOUR)
        assert () == on.watch.delete_due()
        assert DeletionState.NOTIFIED is on.deletion.state
        on.until(DUE + 24 * HOUR)
        assert () == on.watch.delete_due()

        assert [] == on.calls()


@pytest.mark.parametrize(
    ("kind", "fields", "state"),
    [
        pytest.param("status", {"code": 500}, DeletionState.EXECUTING, id="an error that says nothing"),
        pytest.param("close_before_headers", {}, DeletionState.EXECUTING, id="no answer"),
        pytest.param("status", {"code": 404}, DeletionState.EXECUTING, id="an id that is not known"),
        pytest.param("status", {"code": 403}, DeletionState.FAILED, id="a key that may not"),
    ],
)
def test_a_call_that_fails_is_not_made_again(
    tmp_path: Path, kind: str, fields: dict[str, Any], state: DeletionState
) -> None:
    with scene(tmp_path / "db") as on:
        on.until(DUE)
        on.watch.market.misbehave(kind, method="DELETE", path="/vms/v3", **fields)
        (carried,) = on.watch.delete_due()
        on.watch.market.behave()
        on.watch.restart()
        for _ in range(5):
            on.watch.advance(2 * MINUTE)
            on.watch.poll()
            on.watch.delete_due()

        assert state is carried.deletion.state
        assert 1 == len(on.calls())


def test_a_call_that_was_taken_and_not_answered_is_proven_by_the_lists(tmp_path: Path) -> None:
    with scene(tmp_path / "db") as on:
        on.until(DUE)
        on.watch.market.misbehave("close_after_headers", method="DELETE", path="/vms/v3")
        (carried,) = on.watch.delete_due()
        on.watch.restart()
        on.polls(2 * HOUR)

        assert DeletionState.EXECUTING is carried.deletion.state
        assert DeletionState.VERIFIED is on.deletion.state
        assert 1 == len(on.calls())
