"""Money: thirty epochs of the same scripted fleet with and without the watch, by the marketplace's own books."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.deletion.deletions import DeletionPolicy, DeletionState, Mode, Protection
from fluence_costwatch.core.deletion.savings import Saving, saving_of, savings
from fluence_costwatch.core.deletion.vetoes import vetoed
from fluence_costwatch.core.messages.outbox import Route
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount
from fluence_costwatch.store import open_beside
from tests.living import Life, Scripted, idle_rule
from tests.rig import Rig, a_policy, rig

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
EPOCHS = 30
START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
END = START + EPOCHS * HOUR
EVERY = 10 * MINUTE
MICROS = Decimal(1_000_000)
POLICY = DeletionPolicy(
    mode=Mode.EXECUTE,
    armed=True,
    margin=6 * MINUTE,
    min_notice=15 * MINUTE,
    max_per_day=9,
    max_fleet_share=Decimal(1),
    protect=Protection(("keep-*",)),
)


@dataclass(frozen=True, slots=True)
class Act:
    """What the owner of the fleet does, whether or not anybody watches."""

    at: datetime
    does: Callable[[Rig], object]


def rents(at: int, name: str, price: str) -> Act:
    """A machine from that hour on."""
    return Act(START + at * HOUR, lambda watch: watch.market.create(name, price=price))


def ends(at: int, name: str) -> Act:
    """The owner deletes a machine, if it is still there."""

    def end(watch: Rig) -> None:
        for vm in watch.market.vms():
            if vm["name"] == name and vm["live"]:
                watch.market.delete(vm["id"])

    return Act(START + at * HOUR, end)


def reprices(at: int, name: str, price: str) -> Act:
    """The marketplace asks another price of whom it still has."""

    def change(watch: Rig) -> None:
        for vm in watch.market.vms():
            if vm["name"] == name and vm["live"]:
                watch.market.set_price(vm["id"], price)

    return Act(START + at * HOUR, change)


SCRIPT = (
    rents(0, "web", "0.50"),
    rents(0, "forgotten", "0.298160"),
    rents(0, "hourly", "0.40"),
    rents(0, "keep-db", "1.10"),
    rents(0, "wanted", "0.25"),
    rents(3, "trial", "0.75"),
    rents(3, "batch", "0.30"),
    rents(9, "late-trial", "0.333333"),
    reprices(12, "trial", "0.90"),
    ends(14, "batch"),
    ends(16, "late-trial"),
    rents(20, "forgotten-too", "2.00"),
)
IDLE: dict[str, Callable[[datetime], bool]] = {
    "forgotten": lambda now: True,
    "keep-db": lambda now: True,
    "wanted": lambda now: True,
    "hourly": lambda now: (now - START) % HOUR >= 20 * MINUTE,
    "trial": lambda now: now - START > 6 * HOUR,
    "late-trial": lambda now: True,
    "forgotten-too": lambda now: now - START > 22 * HOUR,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What thirty hours cost by the books, in dollars, and what the watch says of it. `claims` are what each deletion that
    was proven avoided, by the name of its machine."""

    total: Decimal
    by_name: dict[str, Decimal]
    saving: Saving
    claims: dict[str, Decimal]


def lived(path: Path, *, watched: bool, latency: timedelta = timedelta(0)) -> Outcome:
    """The same thirty hours with or without a watch that deletes."""
    options = {"epoch": HOUR, "anchor": time(0), "delete_latency": latency}
    with rig(path, start=START, generation=Generation.VMS_V3, **options) as watch:
        watch.signals = Scripted(IDLE)
        watch.policy = a_policy(
            watch.watching,
            rules=(idle_rule(HOUR),),
            deletion=POLICY,
            routes=(Route("ops", min_severity=Severity.INFO),),
            interval=EVERY,
            watched=Watched((WatchedAccount("main", (Generation.VMS_V3,)),), 3 * EVERY, UTC),
        )
        life = Life(watch, EVERY, watch.cloud.deleter())
        for act in (*SCRIPT, Act(END, lambda watch: None)):
            pass_time(watch, life, act.at, watched=watched)
            act.does(watch)
        assert [] == watch.differences()
        books, deletions = watch.market.books(), watch.deletions()
        names = {vm["id"]: vm["name"] for vm in watch.market.vms()}
        claims = {one.name or "": claimed.avoided for one in deletions if (claimed := saving_of(one)) is not None}
        return Outcome(
            total=books.total / MICROS,
            by_name={names[id]: micros / MICROS for id, micros in books.total_by_vm.items()},
            saving=savings(deletions),
            claims=claims,
        )


def pass_time(watch: Rig, life: Life, until: datetime, *, watched: bool) -> None:
    """Time passes; the owner of "wanted" vetoes each time that it is to go."""
    while watch.now < until:
        target = min(until, watch.now + EVERY)
        if not watched:
            watch.advance(target - watch.now)
            continue
        life.until(target)
        for deletion in watch.deletions():
            if deletion.name == "wanted" and deletion.state is DeletionState.NOTIFIED:
                done = vetoed(deletion, actor="cli ann", reason="wanted", veto_for=4 * HOUR, now=watch.now)
                assert done is not None
                with open_beside(watch.path) as store, store.transaction() as tx:
                    assert tx.save_deletion(done[0], was=deletion.state)
                    tx.save_veto(done[1])


@pytest.fixture(scope="module")
def unwatched(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the fleet costs where nobody watches it."""
    return lived(tmp_path_factory.mktemp("unwatched") / "db", watched=False)


def test_the_books_show_at_least_the_saving_that_is_claimed(tmp_path: Path, unwatched: Outcome) -> None:
    with_it = lived(tmp_path / "db", watched=True)

    assert {"forgotten", "trial", "late-trial", "forgotten-too"} == with_it.claims.keys()
    # Each avoided its next charge at the price that was in force.
    assert Decimal("0.298160") + Decimal("0.75") + Decimal("0.333333") + Decimal("2.00") == with_it.saving.avoided
    assert 24 * with_it.saving.avoided == with_it.saving.burn_per_day
    saved = unwatched.total - with_it.total
    assert Decimal(0) < with_it.saving.avoided <= saved
    for name, claimed in with_it.claims.items():
        assert claimed <= unwatched.by_name[name] - with_it.by_name[name], name
    # What is busy, protected, wanted or ended by its owner costs what it did.
    kept = unwatched.by_name.keys() - with_it.claims.keys()
    assert {"web", "hourly", "keep-db", "wanted", "batch"} == kept
    assert {name: unwatched.by_name[name] for name in kept} == {name: with_it.by_name[name] for name in kept}


def test_what_was_gone_too_late_claims_nothing(tmp_path: Path, unwatched: Outcome) -> None:
    """The marketplace takes longer to delete than any margin, so that every one is charged once more."""
    with_it = lived(tmp_path / "db", watched=True, latency=20 * MINUTE)

    assert {"forgotten", "trial", "late-trial", "forgotten-too"} == with_it.claims.keys()
    assert Decimal(0) == with_it.saving.avoided
    assert with_it.total < unwatched.total
