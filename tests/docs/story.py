"""Two days of an account of today, on a clock set by hand, and a reader who asks about it when they are over.

What metered resources cost changes with every second, so what the pages show of them is taken at one instant of this
story, and comes again to the digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import split
from shutil import copytree

from typer.testing import CliRunner, Result

from fluence_costwatch.cli.app import build_app
from fluence_costwatch.config import load
from fluence_costwatch.cycle import run_cycle
from fluence_costwatch.daemon import Displays
from fluence_costwatch.program import InstalledProgram
from fluence_costwatch.store import open_store
from fluence_costwatch.wiring import billing_of, cloud_of, policy_of, terms_of, watching_of
from tests.servers.marketplace import KEY, Marketplace, marketplace

FIRST_RENTED = datetime(2026, 2, 27, 8, 0, tzinfo=UTC)
FIRST_LOOK = datetime(2026, 3, 1, 22, 3, tzinfo=UTC)
ASKED = datetime(2026, 3, 3, 9, 10, tzinfo=UTC)
EVERY = timedelta(minutes=25)
COLUMNS = "100"
# The GPU cloud refuses keys that only read, so this one may do one thing more.
SCOPES = (
    "vms:read",
    "storage:read",
    "public_ip:read",
    "prices:read",
    "clusters:read",
    "billing:get_spending_history",
    "billing:get_history",
    "vms:write",
)
CONFIGURATION = """\
[[accounts]]
name = "main"
generation = ["cloud-v2", "gpu"]
api_url = "{url}"
api_key_file = "api_key"
"""


def _on(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{day:02}T{clock}Z")


EVENTS: tuple[tuple[datetime, Callable[[Marketplace], object]], ...] = (
    (
        FIRST_RENTED,
        lambda market: market.create_vm_cloud("api-gateway", "0.0310", id="5c1d9f60-22c5-4d0a-9b5e-0f5a6c1e00a1"),
    ),
    (
        FIRST_RENTED + timedelta(hours=26),
        lambda market: market.create_vm_cloud(
            "postgres-main",
            "0.1240",
            id="0b7e4c52-91f8-4a7b-8c3d-6e2f0d9b00b2",
            disks=[("0.0168", 100)],
            ip_price=None,
        ),
    ),
    (
        _on(1, "06:15"),
        lambda market: market.create_vm_cloud("staging", "0.0310", id="e3a8d7f1-5b64-4f29-a1c0-7d8b2e4c00c3"),
    ),
    (
        _on(1, "18:40"),
        lambda market: market.create_gpu("llm-inference", "0.79", id="9f2b6a08-c7d3-4e15-b8a9-3c5d1f7e00d4"),
    ),
    (_on(2, "10:10"), lambda market: market.set_price("postgres-main", "0.2480")),
    (_on(2, "14:07"), lambda market: market.delete("staging")),
)
"""What happened. The staging machine left its disk and its address behind, and the price changed between two looks."""


class _ProgramThen(InstalledProgram):
    """The installed program on the marketplace's clock."""

    def __init__(self, market: Marketplace, home: Path) -> None:
        super().__init__({"HOME": str(home)})
        self._market_now = market.now

    def now(self) -> datetime:
        return self._market_now()


@dataclass(frozen=True, slots=True)
class Story:
    """The account when the story is over; `home` is where its configuration and its database lie."""

    market: Marketplace
    home: Path

    def copy(self, place: Path) -> Story:
        """The same account with a database of its own."""
        return Story(self.market, Path(copytree(self.home, place)))

    def type(self, command: str) -> Result:
        """Call `fluence-costwatch ...` as a reader does who asks when the story is over."""
        words = split(command)
        assert words[0] == "fluence-costwatch", command
        program = _ProgramThen(self.market, self.home)
        return CliRunner().invoke(build_app(program), words[1:], env={"COLUMNS": COLUMNS})


@contextmanager
def story(home: Path) -> Iterator[Story]:
    """Play it, with a look every so often."""
    folder = home / ".config/fluence-costwatch"
    folder.mkdir(parents=True)
    with marketplace(start=FIRST_RENTED, generations=("cloud-v2", "gpu")) as market:
        market.set_scopes(SCOPES)
        (folder / "api_key").write_text(f"{KEY}\n")
        (folder / "api_key").chmod(0o600)
        (folder / "config.toml").write_text(CONFIGURATION.format(url=market.url))
        _watch(market, home)
        yield Story(market, home)


def _watch(market: Marketplace, home: Path) -> None:
    settings = load(None, environ={"HOME": str(home)})
    (account,) = settings.accounts
    watching = watching_of(account, settings, {})
    events = list(EVENTS)
    looks = [FIRST_LOOK + count * EVERY for count in range((ASKED - FIRST_LOOK) // EVERY + 1)]
    with (
        open_store(settings.database.path, now=FIRST_RENTED) as store,
        closing(cloud_of(account, clock=market.now)) as cloud,
    ):
        for at in [*looks, ASKED]:
            while events and events[0][0] <= at:
                moment, happen = events.pop(0)
                market.set_clock(moment)
                happen(market)
            market.set_clock(at)
            run_cycle(
                watching,
                cloud=cloud,
                billing=billing_of(watching, cloud),
                store=store,
                display=Displays(),
                policy=policy_of(
                    settings, terms_of(settings, {}, armed=False, listening_since=None), secret=store.secret()
                ),
                clock=market.now,
            )
