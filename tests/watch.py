"""A watch without disk or network: feeds lists to the ledger as the daemon would, and keeps its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from fluence_costwatch.core.alerts.findings import Finding
from fluence_costwatch.core.billing.history import (
    Charge,
    History,
    Judgement,
    Reason,
    ResourceState,
    Snapshot,
    Step,
    Verdict,
    added_at,
)
from fluence_costwatch.core.billing.ledger import charged_total, doubts_of, remember, retire, uncertain_total
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.money import Usd, total
from fluence_costwatch.core.resources import Generation, Kind, Per, Resource

DAY_0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PRICE = Decimal("0.298160")

RULES_PROVEN: set[str] = set()
Test = TypeVar("Test", bound=Callable[..., None])


def proves(*rules: str) -> Callable[[Test], Test]:
    """Says which sentences of the billing rules a test proves; `test_every_rule.py` finds those that none does."""
    RULES_PROVEN.update(rules)
    return lambda test: test


def day(number: int, clock: str = "00:00") -> datetime:
    """The instant at `clock` (UTC, HH:MM or HH:MM:SS) on day `number` of the tests' calendar."""
    parts = [int(part) for part in clock.split(":")]
    hours, minutes, seconds = (*parts, 0)[:3]
    return DAY_0 + timedelta(days=number, hours=hours, minutes=minutes, seconds=seconds)


def vm(name: str = "web", **facts: Any) -> Resource:
    """One listed VM: active, 0.298160 USD an epoch, nothing else reported; `facts` replace any field."""
    seen = Resource(
        account="main",
        id=f"0x{name}",
        kind=Kind.VM,
        generation=Generation.VMS_V2,
        name=name,
        status="ACTIVE",
        price=PRICE,
    )
    return replace(seen, **facts)


def metered(name: str = "web", **facts: Any) -> Resource:
    """One listed machine of `cloud-v2`: launched, 0.01 USD an hour; `facts` replace any field."""
    plain = {"generation": Generation.CLOUD_V2, "status": "launched", "price": Decimal("0.01"), "price_per": Per.HOUR}
    return vm(name, **(plain | facts))


OTHER = vm("other")


class Watch:
    """One account under watch. Every look folds a list into the history and the rows into the ledger."""

    def __init__(
        self,
        generation: Generation = Generation.VMS_V2,
        *,
        grid: EpochGrid | None = None,
        account: str = "main",
        claimed: Mapping[str, str] | None = None,
        **judgement: Any,
    ) -> None:
        self.generation = generation
        self.judgement = Judgement(grid=grid or EpochGrid(), **judgement)
        self.history = History(account)
        self.claimed = claimed or {}
        self.rows: dict[tuple[str, datetime, Reason], Charge] = {}
        self.findings: list[Finding] = []
        self.snapshots: list[Snapshot] = []
        self.first_asked: dict[Generation, datetime] = {}

    def look(
        self,
        moment: datetime,
        *listed: Resource,
        answered: datetime | None = None,
        generation: Generation | None = None,
        deleted_by_us: frozenset[str] = frozenset(),
        **judgement: Any,
    ) -> Verdict:
        """One complete list of `listed`, asked at `moment`."""
        generation = generation or self.generation
        resources = sorted(
            (replace(one, account=self.history.account, generation=generation) for one in listed),
            key=lambda one: one.identity,
        )
        judged = replace(self.judgement, **judgement)
        if judged.charge_from is None:
            added = added_at(self.history, generation, first_asked=self.first_asked, now=moment)
            judged = replace(judged, charge_from=added)
        self.first_asked.setdefault(generation, moment)
        snapshot = Snapshot(
            account=self.history.account,
            generation=generation,
            sent_at=moment,
            answered_at=answered or moment,
            resources=tuple(resources),
            judgement=judged,
        )
        self.snapshots.append(snapshot)
        return self._keep(remember(self.history, snapshot, claimed_elsewhere=self.claimed, deleted_by_us=deleted_by_us))

    def retire(self, generation: Generation) -> None:
        """The generation is taken out of the configuration."""
        self._keep(retire(self.history, generation))

    def _keep(self, step: Step) -> Verdict:
        for row in step.charges:
            key = (row.identity.id, row.span.start, row.reason)
            former = self.rows.get(key)
            assert former is None or not former.closed, f"a closed row was written again: {former} -> {row}"
            self.rows[key] = row
        self.history = step.history
        self.findings.extend(step.findings)
        return step.verdict

    def polls(
        self, since: datetime, until: datetime, *listed: Resource, every: timedelta = timedelta(minutes=5)
    ) -> None:
        """Looks at the same list from `since` to `until`, both included."""
        moment = since
        while moment <= until:
            self.look(moment, *listed)
            moment += every

    def state(self, name: str = "web") -> ResourceState:
        """What is remembered of the VM of that name."""
        return self.history.resources[f"0x{name}"]

    def epochs(self, name: str = "web") -> list[Charge]:
        """The rows of its epochs, oldest first."""
        rows = (row for key, row in self.rows.items() if key[0] == f"0x{name}" and row.reason is Reason.EPOCH)
        return sorted(rows, key=lambda row: row.span)

    def corrections(self, name: str = "web") -> list[Charge]:
        """Its `reported` rows, oldest first."""
        rows = (row for key, row in self.rows.items() if key[0] == f"0x{name}" and row.reason is not Reason.EPOCH)
        return sorted(rows, key=lambda row: row.span)

    def total(self, name: str = "web") -> Usd:
        """What its rows add up to; the same as its state says."""
        summed = total(row.amount for key, row in self.rows.items() if key[0] == f"0x{name}")
        assert charged_total(self.state(name)) == summed
        return summed

    def uncertain(self, now: datetime, name: str = "web") -> Usd:
        """What its bill may hold on top by `now`."""
        assert uncertain_total(self.state(name), now=now) == total(
            one.amount for one in doubts_of(self.state(name), now=now) if one.amount is not None
        )
        return uncertain_total(self.state(name), now=now)


def usd(text: str) -> Usd:
    """Short for `Usd.parse`."""
    return Usd.parse(text)
