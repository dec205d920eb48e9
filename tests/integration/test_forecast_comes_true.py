"""Forecasts against the marketplace's own books: whenever one is made, it is what is billed if nothing changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from fluence_costwatch.core.billing.history import Charge, Judgement
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.budgets.budgeting import statuses
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount
from fluence_costwatch.cycle import Watching
from fluence_costwatch.fluence import FluenceCloud
from tests.rig import Rig, rig
from tests.servers.marketplace import KEY, BookedCharge, marketplace
from tests.watch import usd

START = datetime(2026, 2, 26, 6, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")

WINDOWS = (
    ("day", Window.DAY, UTC),
    ("day-in-berlin", Window.DAY, BERLIN),
    ("week", Window.WEEK, UTC),
    ("month", Window.MONTH, UTC),
    ("month-in-berlin", Window.MONTH, BERLIN),
)
ACCOUNTS = ("main", "periods")
BUDGETS = tuple(
    Budget(f"{name} {account}", usd("1"), window, zone, Selector(accounts=(account,) if account else ()))
    for name, window, zone in WINDOWS
    for account in ("", *ACCOUNTS)
)
WATCHED = Watched(
    (
        WatchedAccount("main", (Generation.VMS_V2, Generation.CLOUD_V2, Generation.GPU)),
        WatchedAccount("periods", (Generation.VMS_V3,)),
    ),
    timedelta(minutes=15),
    UTC,
)


@dataclass
class Fleet:
    """Two accounts on two marketplaces, one with its own period for each machine, in one database."""

    watch: Rig
    periods: Rig

    def advance(self, span: timedelta) -> None:
        """Time passes in both; nobody looks."""
        self.watch.advance(span)
        self.periods.advance(span)

    def poll(self) -> None:
        """A look at both accounts."""
        self.watch.poll()
        self.periods.poll()

    def statuses(self) -> tuple[BudgetStatus, ...]:
        """Every budget now."""
        with self.watch.store.reading() as reading:
            return statuses(BUDGETS, reading, watched=WATCHED, now=self.watch.now)

    def rent(self) -> None:
        """31 resources of all generations, at all times of a day and a half."""
        market = self.watch.market
        market.top_up("100000")
        self.periods.market.top_up("100000")
        for number in range(9):
            market.create(f"page-{number}", ("0.298160", "0.5", "0.000001")[number % 3])
            # Two marketplaces would give the same ids, and what two accounts list under one id is charged once.
            self.periods.market.create(
                f"own-{number}", ("0.30697", "1.25", "2")[number % 3], id=f"0x{number + 0xC0FFEE:040x}"
            )
            if number % 3 == 0:
                market.create_vm_cloud(f"cloud-{number}", "0.0310", disks=[("0.00421", 25)], ip_price="0.005003")
                market.create_gpu(f"gpu-{number}", ("1.92", "0.11")[number % 2])
            self.advance(timedelta(hours=4, minutes=7, seconds=13 * number))
            self.poll()
        market.create_disk("data", "0.0000077", 100)
        self.advance(2 * HOUR)
        self.poll()

    def charges(self) -> dict[str, tuple[BookedCharge, ...]]:
        """Every prepaid charge in the books, by account."""
        return {"main": self.watch.market.books().charges, "periods": self.periods.market.books().charges}

    def booked(self, status: BudgetStatus, charges: dict[str, tuple[BookedCharge, ...]]) -> tuple[int, Fraction]:
        """What the books hold for the window: prepaid charges that began in it, and the metered time in it."""
        since, until = status.starts_at, status.ends_at
        assert since is not None
        assert until is not None
        accounts = status.budget.select.accounts or ACCOUNTS
        prepaid = sum(one.amount for name in accounts for one in charges[name] if since <= one.epoch_start < until)
        metered = self.watch.market.metered(since, until) if "main" in accounts else {}
        return prepaid, sum(metered.values(), Fraction(0))

    def rounding(self, status: BudgetStatus, rows: list[Charge]) -> int:
        """By how many micro-dollars the ledger may differ from the books: one for each metered row of the window."""
        since, until = status.starts_at, status.ends_at
        return sum(row.span.end > (since or START) and row.span.start < (until or START) for row in rows)


@contextmanager
def fleet(path: Path) -> Iterator[Fleet]:
    generations = (Generation.VMS_V2, Generation.CLOUD_V2, Generation.GPU)
    with (
        # The first page does not say when a machine was created, so its first charge is dated by the grid; this one does.
        rig(path, start=START, generation=generations, flavour="rich") as watch,
        marketplace(start=START, policy="per_vm", generations=("vms-v3",)) as market,
    ):
        periods = copy(watch)
        periods.market = market
        periods.watching = Watching("periods", ((Generation.VMS_V3, Judgement()),))
        periods.billing = None
        periods.cloud = FluenceCloud(
            account="periods",
            api_url=market.url,
            api_key=KEY,
            clock=lambda: periods.now,
            attempts=1,
            deadline=timedelta(seconds=2),
            read_timeout=timedelta(seconds=1),
        )
        try:
            yield Fleet(watch, periods)
        finally:
            periods.cloud.close()


def test_forecasts_made_at_any_moment_are_what_the_marketplace_then_bills(tmp_path: Path) -> None:
    with fleet(tmp_path / "watch.db") as rented:
        rented.rent()
        assert 31 == len(rented.watch.states())
        made: list[tuple[datetime, BudgetStatus]] = []
        until = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
        steps = 0
        while rented.watch.now < until:
            if steps % 3 == 0:
                made += [(rented.watch.now, status) for status in rented.statuses()]
            # Looks come at odd hours, and some days nobody looks at all.
            rented.advance((7, 5, 31, 11)[steps % 4] * HOUR + timedelta(minutes=17))
            made += [(rented.watch.now, status) for status in rented.statuses()] if steps % 4 == 2 else []
            rented.poll()
            steps += 1

        over = [(at, status) for at, status in made if status.ends_at is not None and status.ends_at <= until]
        assert {budget.name for budget in BUDGETS} == {status.budget.name for _, status in over}
        by_time = {key for key, state in rented.watch.states().items() if is_metered(state.generation)}
        rows = [row for row in rented.watch.rows() if row.identity.id in by_time]
        charges = rented.charges()
        windows = {(status.budget.name, status.starts_at): status for _, status in over}
        books = {window: rented.booked(status, charges) for window, status in windows.items()}
        wrong = []
        for at, status in over:
            prepaid, metered = books[status.budget.name, status.starts_at]
            assert status.forecast is not None
            off = abs(status.forecast.micros - prepaid - metered)
            if off > (rented.rounding(status, rows) if metered else 0):
                wrong.append(f"{at}: {status.budget.name}: forecast {status.forecast}, books {prepaid} + {metered}")
        assert [] == wrong
