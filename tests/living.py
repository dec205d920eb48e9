"""A watch that lives as the daemon does, on a clock that is set by hand: looks every so often, delivers what they tell, and
wakes at the moments of deletions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState
from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.rules import Action, Condition, Rule, Signal
from fluence_costwatch.core.resources import Identity, Resource
from fluence_costwatch.deleting import Carried, carry_out_due, next_wake
from fluence_costwatch.ports import Deleter
from tests.rig import NoSignals, Rig
from tests.servers.marketplace import Asked

_A_CALL_TAKES = timedelta(seconds=1)

CPU = Condition(Signal.CPU, below=Decimal("0.03"))


def idle_rule(held_for: timedelta) -> Rule:
    """Machines that did nothing for that long are deleted."""
    return Rule("idle", (CPU,), held_for, timedelta(0), Action.DELETE)


@dataclass(slots=True)
class Scripted:
    """Signals by script: `idle` says of a machine's name whether it does nothing at an instant. All others work."""

    idle: Mapping[str, Callable[[datetime], bool]] = field(default_factory=dict)

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], Reading]:
        """What the script says."""
        machines, readings = list(resources), {}
        for condition in conditions:
            for each in machines:
                script = self.idle.get(each.name or "")
                holds = script is not None and script(now)
                readings[each.identity, condition] = Reading(condition, holds, "cpu by script")
        return readings


@dataclass(slots=True)
class Life:
    """`watch` from now on. `asleep` keeps it from deleting, as a stopped process would."""

    watch: Rig
    every: timedelta
    deleter: Deleter
    asleep: bool = False
    tried_at: datetime | None = None
    looked_at: datetime | None = None

    def until(self, moment: datetime) -> None:
        """Live up to `moment`."""
        watch = self.watch
        while watch.now < moment:
            if self.looked_at is None or watch.now >= self.looked_at + self.every:
                self.look()
            wake = self._wake()
            if wake is not None and wake <= watch.now:
                if any(one.called for one in self.act()):
                    watch.advance(_A_CALL_TAKES)
                    self.look()
                continue
            nearest = min(one for one in (moment, self._next_look(), wake) if one is not None)
            watch.advance(nearest - watch.now)

    def look(self) -> None:
        """One look, and delivery of what it tells."""
        self.watch.poll()
        self.watch.deliver()
        self.looked_at = self.watch.now

    def act(self) -> tuple[Carried, ...]:
        """Carry out what is due."""
        watch = self.watch
        carried = carry_out_due(
            "main",
            cloud=watch.cloud,
            deleter=self.deleter,
            signals=watch.signals or NoSignals(),
            store=watch.store,
            terms=lambda: watch.policy.terms,
            clock=lambda: watch.now,
        )
        self.tried_at = watch.now
        return carried

    def calls(self) -> list[Asked]:
        """All that was asked of the marketplace that ends something."""
        return [one for one in self.watch.market.requests() if one.method == "DELETE" or "terminate" in one.path]

    def _next_look(self) -> datetime:
        assert self.looked_at is not None
        return self.looked_at + self.every

    def _wake(self) -> datetime | None:
        if self.asleep:
            return None
        with self.watch.store.reading() as reading:
            waiting: Iterable[Deletion] = reading.deletions(states=(DeletionState.NOTIFIED, DeletionState.APPROVED))
        return next_wake(waiting, policy=self.watch.policy.terms.policy, tried_at=self.tried_at)
