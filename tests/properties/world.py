"""A small marketplace of pure values with books of its own, for the properties of the ledger.

It shares no rule with the ledger: it books a charge when a machine is created and at every boundary that its policy
gives, whatever anybody looks at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from hypothesis import strategies as st

from fluence_costwatch.core.money import Usd, total
from fluence_costwatch.core.resources import Generation, Kind, Resource

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LENGTH = timedelta(hours=24)
FIRST_BOUNDARY = datetime(2026, 1, 1, 17, 55, tzinfo=UTC)


class Policy(StrEnum):
    """What the marketplace tells, and where its boundaries lie."""

    PAGE_ONLY = "the first page: global boundary, no times reported"
    CREATED_ONLY = "global boundary, creation reported, no charge time"
    GLOBAL = "global boundary, creation, charge time and total reported"
    PER_VM = "own period from creation, all reported"


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine's whole life. `prices` are (from when, price), oldest first."""

    name: str
    created: datetime
    deleted: datetime | None
    prices: tuple[tuple[datetime, Decimal], ...]
    policy: Policy

    def exists(self, moment: datetime) -> bool:
        """Whether it is listed at `moment`."""
        return self.created <= moment and (self.deleted is None or moment < self.deleted)

    def price(self, moment: datetime) -> Decimal:
        """The price in force at `moment`."""
        return [price for since, price in self.prices if since <= moment][-1]

    def boundaries(self, until: datetime) -> list[datetime]:
        """When it is charged, up to and including `until`: at its creation and at every boundary of its life."""
        if self.policy is Policy.PER_VM:
            first = self.created + LENGTH
        else:
            first = FIRST_BOUNDARY + LENGTH * ((self.created - FIRST_BOUNDARY) // LENGTH + 1)
        charged = [self.created]
        while first <= until and self.exists(first):
            charged.append(first)
            first += LENGTH
        return charged if self.created <= until else []

    def next_boundary(self, moment: datetime) -> datetime:
        """The first boundary after `moment`."""
        origin = self.created if self.policy is Policy.PER_VM else FIRST_BOUNDARY
        return origin + LENGTH * ((moment - origin) // LENGTH + 1)

    def bill(self, until: datetime, *, since: datetime | None = None) -> Usd:
        """All that was charged by `until`, from the charge on that covers `since`."""
        charged = self.boundaries(until)
        if since is not None:
            charged = [at for at in charged if self.next_boundary(at) > since]
        return total(Usd.exactly(self.price(at)) for at in charged)

    def listed(self, moment: datetime) -> Resource:
        """How a list shows it at `moment`."""
        page = Resource(
            account="main",
            id=f"0x{self.name}",
            kind=Kind.VM,
            generation=Generation.VMS_V2,
            name=self.name,
            status="ACTIVE",
            price=self.price(moment),
        )
        if self.policy is Policy.PAGE_ONLY:
            return page
        page = replace(page, created_at=self.created)
        if self.policy is Policy.CREATED_ONLY:
            return page
        return replace(page, next_charge_at=self.next_boundary(moment), total_spent=self.bill(moment))


minutes = st.integers(min_value=0, max_value=12 * 24 * 60)
prices = st.sampled_from([Decimal(text) for text in ("0", "0.1", "0.298160", "0.30697", "2.5")])


looks = st.lists(minutes, min_size=1, max_size=40, unique=True).map(
    lambda drawn: [START + timedelta(minutes=minute) for minute in sorted(drawn)]
)


@dataclass(frozen=True, slots=True)
class Story:
    """A fleet and the moments at which it is looked at."""

    fleet: tuple[Machine, ...]
    moments: tuple[datetime, ...]

    def until(self, count: int) -> Story:
        """The story up to its look number `count`."""
        return Story(self.fleet, self.moments[:count])


@st.composite
def stories(draw: st.DrawFn, *, machines: int = 3) -> Story:
    """A fleet, some of it older than the first look, and looks at it with gaps of minutes to days.

    Prices change where a watcher can know of it: between two sightings, once at most. (A price that changes twice
    unseen, or before anybody looked, cannot be known to anyone.) A few machines stay throughout, so that lists never
    shrink suspiciously.
    """
    policy = draw(st.sampled_from(Policy))
    moments = draw(looks)
    lasting_since = START - timedelta(days=3, minutes=7)
    fleet = [
        Machine(f"rock{number}", lasting_since, None, ((lasting_since, Decimal(1)),), policy)
        for number in range(machines + 1)
    ]
    for number in range(draw(st.integers(1, machines))):
        created = START + timedelta(minutes=draw(minutes) - 4 * 24 * 60)
        life = draw(st.none() | st.integers(min_value=1, max_value=8 * 24 * 60))
        deleted = None if life is None else created + timedelta(minutes=life)
        sightings = [at for at in moments if created <= at and (deleted is None or at < deleted)]
        changes = [(created, draw(prices))]
        for before, after in pairwise(sightings):
            if draw(st.integers(0, 5)) == 0:
                share = draw(st.sampled_from([0.0, 0.3, 0.9]))
                changes.append((after - (after - before) * share, draw(prices)))
        fleet.append(Machine(f"vm{number}", created, deleted, tuple(changes), policy))
    return Story(tuple(fleet), tuple(moments))
