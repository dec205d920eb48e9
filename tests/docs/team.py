"""Two days of a team whose machines are charged by the day: budgets, a forgotten machine and one that has gone already.

Everything is real but the clock, which is set by hand, and the network, which is loopback: the marketplace, the exporters
on the machines, the target that takes the messages, the call that deletes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

from fluence_costwatch.config import Settings, load
from fluence_costwatch.cycle import run_cycle
from fluence_costwatch.daemon import Displays
from fluence_costwatch.deleting import carry_out_due, note_accepted
from fluence_costwatch.delivery import deliver
from fluence_costwatch.signals import MachineSignals
from fluence_costwatch.store import open_store
from fluence_costwatch.wiring import cloud_of, deleting_cloud_of, notifier_of, policy_of, terms_of, watching_of
from tests.docs.story import Story
from tests.servers.exporters import Exporters, exporters, exposition
from tests.servers.marketplace import KEY, Marketplace, marketplace
from tests.servers.webhook import Webhook, webhook

FIRST_RENTED: Final = datetime(2026, 2, 26, 8, 40, tzinfo=UTC)
FIRST_LOOK: Final = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
ASKED: Final = datetime(2026, 3, 4, 11, 30, tzinfo=UTC)
EVERY: Final = timedelta(minutes=30)
# Between two looks, where the moments of deletions lie: half an hour before a machine's next charge.
BEFORE_A_LOOK: Final = timedelta(minutes=20)
DELETIONS: Final = ("b7c41d0e93a2f586", "4f0a6be2915d7c38")
"""The ids that are random outside of this story, in their order."""

SHOWN: Final = """\
[[targets]]
name = "team"
url_file = "team.url"

[[budgets]]
name = "all"
limit = "170.00"
window = "month"

[[budgets]]
name = "training"
limit = "10.00"
window = "week"
select = {name = "model-*"}

[[rules]]
name = "unused"
when = [{signal = "cpu", below = 0.03}, {signal = "network", below = 2048}]
for = "24h"
action = "delete"

[deletion]
mode = "execute"
protect = {names = ["*-main"]}
"""
"""The part of the configuration that the pages show."""

_REST: Final = """\
[[accounts]]
name = "main"
generation = "vms-v3"
api_url = "{url}"
api_key_file = "api_key"

[poll]
interval = "30m"

[server]
public_url = "https://watch.example.com"

[signals]
node_exporter_url = "http://{exporters}/{{name}}"
overrides = {{legacy-batch = "http://127.0.0.1:9/metrics"}}

"""


def _on(day: int, clock: str, *, month: int = 3) -> datetime:
    return datetime.fromisoformat(f"2026-{month:02}-{day:02}T{clock}Z")


@dataclass(frozen=True, slots=True)
class _Machine:
    """A machine, and until when it is busy; None: as long as the story lasts."""

    name: str
    price: str
    id: str
    rented: datetime
    busy_until: datetime | None = None


_FLEET: Final = (
    _Machine("api-gateway", "0.29816", "0x8d85b445599a96c8dce30e95b72e9a00000000a1", FIRST_RENTED),
    _Machine("postgres-main", "1.2744", "0x5b1f08d1c0ffee77aa1e90c3d2b4f600000000b2", _on(26, "10:40", month=2)),
    _Machine("ci-runner", "0.4125", "0x17c2a7e4d9905b1f6a3c88e0d4b2c900000000c3", _on(27, "12:40", month=2)),
    _Machine("legacy-batch", "0.29816", "0x90c3d2b4f617c2a7e4d9905b1f6a3c8800000000d4", _on(28, "16:40", month=2)),
    _Machine("old-demo", "0.59632", "0xc0ffee77aa1e90c3d2b4f65b1f08d1a200000000e5", _on(2, "09:40"), _on(2, "10:00")),
    _Machine("model-test", "2.376", "0x72e9a00b445599a96c8dce30e958d85b00000000f6", _on(2, "14:40"), _on(3, "08:00")),
)


@dataclass(frozen=True, slots=True)
class Team(Story):
    """The account when the story is over, and the messages that have arrived: title and text of each."""

    arrived: tuple[str, ...] = ()


@contextmanager
def team(home: Path) -> Iterator[Team]:
    """Play it: a look every so often, what is to be told delivered, what is due deleted."""
    folder = home / ".config/fluence-costwatch"
    folder.mkdir(parents=True)
    with (
        marketplace(start=FIRST_RENTED, generations=("vms-v3",), policy="per_vm") as market,
        exporters({}) as machines,
        webhook() as chat,
    ):
        for name, text in (("api_key", KEY), ("team.url", f"json://{chat.address}/")):
            (folder / name).write_text(f"{text}\n")
            (folder / name).chmod(0o600)
        rest = _REST.format(url=market.url, exporters=machines.address)
        (folder / "config.toml").write_text(rest + SHOWN)
        _Watch(market, machines, home).go_on()
        yield Team(market, home, arrived=tuple(_text_of(chat)))


class _Watch:
    def __init__(self, market: Marketplace, machines: Exporters, home: Path) -> None:
        self._market = market
        self._now = FIRST_RENTED - EVERY
        self._machines = machines
        self._settings: Settings = load(None, environ={"HOME": str(home)})

    def go_on(self) -> None:
        settings, market = self._settings, self._market
        (account,) = settings.accounts
        terms = terms_of(settings, {}, armed=True, listening_since=None)
        with ExitStack() as opened:
            store = opened.enter_context(open_store(settings.database.path, now=FIRST_RENTED))
            cloud = opened.enter_context(closing(cloud_of(account, clock=market.now)))
            deleting = opened.enter_context(closing(deleting_cloud_of(account, clock=market.now)))
            signals = opened.enter_context(closing(self._signals()))
            ids = iter(DELETIONS)
            policy = replace(policy_of(settings, terms, secret=b"a story"), new_id=lambda: next(ids))
            notifier = notifier_of(settings, clock=market.now)
            for step in count():
                looked_at = FIRST_LOOK + step * EVERY
                if looked_at > ASKED:
                    break
                self._set_clock(looked_at - BEFORE_A_LOOK)
                carry_out_due(
                    account.name,
                    cloud=cloud,
                    deleter=deleting.deleter(),
                    signals=signals,
                    store=store,
                    terms=lambda: terms,
                    clock=market.now,
                )
                self._set_clock(looked_at)
                run_cycle(
                    watching_of(account, settings, {}),
                    cloud=cloud,
                    billing=None,
                    signals=signals,
                    store=store,
                    display=Displays(),
                    policy=policy,
                    clock=market.now,
                )
                deliver(
                    "team",
                    store=store,
                    notifier=notifier,
                    clock=market.now,
                    on_accepted=lambda tx, row, at: note_accepted(tx, row, at, terms=terms),
                )

    def _signals(self) -> MachineSignals:
        """As `wiring.signals_of` makes them, but on the story's clock."""
        asked, market = self._settings.signals, self._market
        return MachineSignals(
            prometheus_url=asked.prometheus_url,
            node_exporter_url=asked.node_exporter_url,
            timeout=asked.timeout,
            overrides=asked.overrides,
            interval=self._settings.poll.interval,
            clock=market.now,
            monotonic=lambda: market.now().timestamp(),
        )

    def _set_clock(self, moment: datetime) -> None:
        """Let what happens until then happen at its time, and the machines work or rest meanwhile."""
        for machine in _FLEET:
            if self._now < machine.rented <= moment:
                self._market.set_clock(machine.rented)
                self._market.create(machine.name, machine.price, id=machine.id)
            self._machines.answers[f"/{machine.name}"] = _counted(machine, moment)
        self._market.set_clock(moment)
        self._now = moment


def _counted(machine: _Machine, moment: datetime) -> str:
    """What the exporter of a machine has counted: a third of the time at work while it is busy, next to nothing after."""
    seconds = max(0.0, (moment - machine.rented).total_seconds())
    busy_until = moment if machine.busy_until is None else min(machine.busy_until, moment)
    at_work = max(0.0, (busy_until - machine.rented).total_seconds())
    busy = at_work * 0.34 + (seconds - at_work) * 0.004
    carried = at_work * 81_500 + (seconds - at_work) * 312
    return exposition(busy=busy, idle=seconds - busy, received=carried)


def _text_of(chat: Webhook) -> Iterator[str]:
    for posted in chat.requests:
        yield f"{posted.json['title']}\n\n{posted.json['message']}"
