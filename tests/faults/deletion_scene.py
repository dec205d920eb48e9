"""A small fleet with one machine that is about to be deleted, before the real pipeline: client, signals, store, cycle,
delivery and deletion against the simulated marketplace, on a clock that is set by hand.

By `prepared` the machine was idle for long enough, is proposed, and a target has accepted the notice. `last_looks` brings
the scene to its moment, `act` lets what is due be carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from fluence_costwatch.config import Settings, load
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionPolicy, Mode
from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.rules import Action, Condition, Rule, Signal
from fluence_costwatch.core.messages.outbox import Route
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Resource
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.deleting import Carried
from fluence_costwatch.ports import Signals
from fluence_costwatch.signals import MachineSignals
from tests.daemon_process import Account, configuration
from tests.rig import Rig, a_policy, rig
from tests.servers.exporters import Exporters, exporters, exposition
from tests.servers.marketplace import KEY, Asked

HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
START: Final = datetime(2026, 3, 1, 14, tzinfo=UTC)
DUE: Final = datetime(2026, 3, 1, 17, 25, tzinfo=UTC)
"""The moment of the deletion: half an hour before the charge at 17:55."""

CPU: Final = Condition(Signal.CPU, below=Decimal("0.03"))
IDLE_RULE: Final = Rule("idle-vm", (CPU,), HOUR, timedelta(0), Action.DELETE)
EXECUTE: Final = DeletionPolicy(mode=Mode.EXECUTE, armed=True)
TARGET: Final = Route("ops", min_severity=Severity.INFO)
WORKING: Final = 5


class Machines:
    """What the exporters of the machines say, by id: a share of processor time that is busy, a status, or nothing at all.
    A machine of which nothing else is said is busy."""

    def __init__(self, served: Exporters) -> None:
        self._served = served
        self._counters: dict[str, tuple[float, float]] = {}
        self.busy: dict[str, float] = {}
        self.fails: dict[str, int | str] = {}

    def go_on(self, ids: Iterable[str], span: timedelta) -> None:
        """That much time passes on the machines."""
        for id in ids:
            busy, idle = self._counters.get(id, (1_000.0, 1_000.0))
            share, seconds = self.busy.get(id, 0.6), span.total_seconds()
            self._counters[id] = busy, idle = busy + share * seconds, idle + (1 - share) * seconds
            failure = self.fails.get(id)
            if isinstance(failure, int):
                self._served.answers[f"/{id}"] = (failure, "broken")
            elif failure == "hang":
                self._served.answers[f"/{id}"] = lambda line: line.wait(60)
            else:
                self._served.answers[f"/{id}"] = exposition(busy=busy, idle=idle)


class Interrupted:
    """Signals while whose gathering something happens, once."""

    def __init__(self, signals: Signals, happens: Callable[[], object]) -> None:
        self._signals = signals
        self._happens: Callable[[], object] | None = happens

    def gather(
        self, conditions: Iterable[Condition], resources: Iterable[Resource], *, now: datetime
    ) -> Mapping[tuple[Identity, Condition], Reading]:
        """What the machines say; afterwards the world is another one."""
        readings = self._signals.gather(conditions, resources, now=now)
        if self._happens is not None:
            self._happens()
        self._happens = None
        return readings


@dataclass(frozen=True, slots=True)
class Setting:
    """A kind of scene: which generation, by which ground, under which settings. `create` rents one machine."""

    name: str
    generation: Generation = Generation.VMS_V3
    deletion: DeletionPolicy = EXECUTE
    rules: tuple[Rule, ...] = (IDLE_RULE,)
    budgets: tuple[Budget, ...] = ()
    due: datetime = DUE
    called: str = "idle"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lists(self) -> str:
        """The path of the list that shows the machine."""
        return {
            Generation.VMS_V2: "/vms/v2",
            Generation.VMS_V3: "/vms/v3",
            Generation.CLOUD_V2: "/v2/vms",
            Generation.GPU: "/gpu/instances*",
        }[self.generation]


IDLE: Final = Setting("an idle VM")
METERED: Final = Setting(
    "an idle metered VM",
    generation=Generation.CLOUD_V2,
    deletion=replace(EXECUTE, grace=DUE - START - HOUR - 10 * MINUTE),
)
GPU: Final = Setting(
    "an idle GPU instance",
    generation=Generation.GPU,
    deletion=replace(EXECUTE, margin=10 * MINUTE),
    due=datetime(2026, 3, 1, 17, 50, tzinfo=UTC),
    options={"epoch": HOUR, "anchor": time(0)},
)
# This Sunday ends the week: the machine was charged $0.30 when it was rented, and will be once more at 17:55.
OVER: Final = Budget(
    "trials", Usd.parse("0.50"), Window.WEEK, UTC, select=Selector(names=("idle",)), delete_at=Decimal(1)
)
BY_BUDGET: Final = Setting("a VM over budget", rules=(), budgets=(OVER,))
BY_LEASE: Final = Setting(
    "a VM whose lease has run out",
    rules=(Rule("leases", (Condition(Signal.LEASE),), HOUR, timedelta(0), Action.DELETE),),
    called="idle--until-2026-02-27",
)
TERMINATED: Final = Setting(
    "a record to reclaim", deletion=replace(EXECUTE, reclaim=True), rules=(), due=START + 2 * HOUR
)


@dataclass(slots=True)
class Scene:
    """A watch over six machines, of which one does nothing. `wrong_by` is how far our clock is ahead of the true time."""

    setting: Setting
    watch: Rig
    machines: Machines
    vm: str
    wrong_by: timedelta = timedelta(0)

    @property
    def identity(self) -> Identity:
        return Identity("main", self.vm.lower())

    @property
    def deletion(self) -> Deletion:
        """The newest one of the machine."""
        return [one for one in self.watch.deletions() if one.identity == self.identity][-1]

    def advance(self, span: timedelta) -> None:
        """Time passes at the marketplace, here and on the machines; nobody looks."""
        self.watch.advance(span)
        self.watch.now += self.wrong_by
        self.machines.go_on(self.known_ids(), span)

    def known_ids(self) -> list[str]:
        """All machines that ever were."""
        return [each["id"] for each in (*self.watch.market.vms(), *self.watch.market.resources())]

    def look(self, span: timedelta) -> None:
        """Time passes, then comes a look, and what it has to tell is delivered."""
        self.advance(span)
        self.watch.poll()
        self.watch.deliver()

    def look_until(self, moment: datetime, *, every: timedelta = HOUR + 5 * MINUTE) -> None:
        """Looks up to `moment`, the last one then."""
        while self.watch.now < moment:
            self.look(min(every, moment - self.watch.now))

    def begin(self) -> None:
        """The looks by which the machine is known to have been idle for an hour."""
        self.look(10 * MINUTE)
        self.look(HOUR)

    def last_looks(self) -> None:
        """Everything up to five minutes before the moment."""
        self.look_until(self.setting.due - 5 * MINUTE)

    def until_due(self) -> None:
        """From the last look to the moment."""
        self.advance(self.setting.due - self.watch.now)

    def come_due(self, *, days: int = 0) -> None:
        """Looks as usual up to the moment, or the one so many days later."""
        moment = self.setting.due + timedelta(days=days)
        self.look_until(moment - 5 * MINUTE)
        self.advance(moment - self.watch.now)

    def act(self) -> tuple[Carried, ...]:
        """Carry out what is due."""
        return self.watch.delete_due()

    def persist(self) -> None:
        """The moment, and what the daemon would go on trying after it, with a look between."""
        self.act()
        self.advance(MINUTE)
        self.act()
        self.look(MINUTE)
        self.advance(MINUTE)
        self.act()

    def set_clock(self, *, wrong_by: timedelta) -> None:
        """Our clock is set, and goes on from there."""
        self.watch.now += wrong_by - self.wrong_by
        self.wrong_by = wrong_by

    def policy(self, **facts: Any) -> None:
        """Reload the configuration with another `[deletion]` section."""
        self.terms(policy=replace(self.watch.policy.terms.policy, **facts))

    def terms(self, **facts: Any) -> None:
        """Reload the configuration with other rules, budgets, ..."""
        self.watch.policy = replace(self.watch.policy, terms=replace(self.watch.policy.terms, **facts))

    def interrupt(self, happens: Callable[[], object]) -> None:
        """Let something happen while machines are asked the next time."""
        assert self.watch.signals is not None
        self.watch.signals = Interrupted(self.watch.signals, happens)

    def misbehave(self, kind: str, **fields: Any) -> None:
        """Have the list that shows the machine go wrong from now on."""
        self.watch.market.misbehave(kind, **({"method": "GET", "path": self.setting.lists} | fields))

    def calls(self) -> list[str]:
        """All that was ever asked of the marketplace that ends something."""
        return [f"{one.method} {one.path} {one.body}" for one in self.watch.market.requests() if ends_something(one)]

    def told(self) -> str:
        """The audit trail of all deletions, all alerts that were not resolved, and all that was sent."""
        steps = [f"{step.state}: {step.reason}" for one in self.watch.deletions() for step in one.history]
        alerts = [f"{alert.kind}: {alert.summary} {alert.means}" for alert in self.watch.alerts().values()]
        return "\n".join((*steps, *alerts, *self.watch.notifier.subjects()))


def ends_something(asked: Asked) -> bool:
    """Whether a request would delete or terminate something."""
    return asked.method == "DELETE" or "terminate" in asked.path


@contextmanager
def scene(setting: Setting, folder: Path) -> Iterator[Scene]:
    """Six machines that were just looked at for the first time."""
    options = {"policy": "global", **setting.options}
    with exporters({}) as served, rig(folder / "db", start=START, generation=setting.generation, **options) as watch:
        vm = rented(watch, setting.generation, setting.called)
        for number in range(WORKING):
            rented(watch, setting.generation, f"work{number}")
        machines = Machines(served)
        machines.busy[vm] = 0.005
        signals = MachineSignals(
            prometheus_url=None,
            node_exporter_url=f"http://{served.address}/{{id}}",
            timeout=timedelta(seconds=1),
            overrides={},
            interval=HOUR,
            clock=lambda: watch.now,
            monotonic=lambda: watch.now.timestamp(),
        )
        watch.signals = signals
        watch.policy = a_policy(
            watch.watching,
            rules=setting.rules,
            budgets=setting.budgets,
            deletion=setting.deletion,
            routes=(TARGET,),
            interval=HOUR,
        )
        if setting is TERMINATED:
            watch.market.terminate(vm)
        on = Scene(setting, watch, machines, vm)
        try:
            # The first scrape has nothing to be compared with; the second begins the hour.
            on.look(timedelta(0))
            yield on
        finally:
            signals.close()


@contextmanager
def prepared(setting: Setting, folder: Path) -> Iterator[Scene]:
    """The machine is to go, and a target has accepted its notice."""
    with scene(setting, folder) as on:
        on.begin()
        yield on


def rented(watch: Rig, generation: Generation, name: str) -> str:
    """One more machine of that generation; its id."""
    if generation is Generation.CLOUD_V2:
        return watch.market.create_vm_cloud(name).vm
    if generation is Generation.GPU:
        return watch.market.create_gpu(name)
    return watch.market.create(name, price="0.3")


def configured(folder: Path, more: str = "") -> Settings:
    """A configuration as it is read from a file."""
    folder.mkdir(exist_ok=True)
    (folder / "main.key").write_text(KEY)
    (folder / "main.key").chmod(0o600)
    (folder / "config.toml").write_text(configuration(Account("http://127.0.0.1:1"), more=more))
    return load(str(folder / "config.toml"), environ={})
