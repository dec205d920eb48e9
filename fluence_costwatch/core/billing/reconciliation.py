"""Our ledger beside the provider's own numbers: where they differ, which side is believed, and what would mend it.

Drift is the provider's figure less ours, in dollars: positive means that the ledger holds too little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from fluence_costwatch.core.billing.boundaries import SHORT_FRAGMENT_BELOW
from fluence_costwatch.core.billing.history import Basis, Charge, Presence, Reason, ResourceState
from fluence_costwatch.core.billing.ledger import charged_total, is_at_least, is_charged_on
from fluence_costwatch.core.billing.metering import is_metered, open_charge
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.money import LARGEST_AMOUNT, Usd
from fluence_costwatch.core.resources import Generation, Identity

DAY: Final = timedelta(days=1)
# The provider's charges lag by an unknown time (`fluence-api.md` 7 #30), so a day is compared when it is well over.
DAY_IS_SETTLED_AFTER: Final = timedelta(hours=6)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICRO: Final = Decimal("0.000001")
# GPU amounts are rounded to cents (`fluence-api.md` 3.5), so each epoch may be half a cent off.
_GPU_ROUNDING: Final = Decimal("0.005")


_WHY_TOTALS: Final = {
    Generation.VMS_V2: "the published totals of vms-v2 do not add up, so neither side is taken to be right",
    Generation.VMS_V3: "totalSpent is what the provider took for this machine",
    Generation.GPU: "total_spendings is what the provider took for this instance, to the cent",
}


_WHY_CHARGES: Final = "the charges endpoint is the bill, ours is an estimate from list prices"
_WHY_UNSEEN: Final = "nobody saw this resource, so there is no ledger of it to mend"
_WHY_PREPAID: Final = "the ledger has it in prepaid epochs, which cannot be told apart by day"
_WHY_NOTHING_YET: Final = "the provider has charged nothing at all on this day, so its charges may be late"
_WHY_ABSURD: Final = "no bill is that large, so the provider's figure is taken for a mistake"
_WHY_NOT_PRICED: Final = "the ledger lacks time whose price is not known, and will charge it once that is"


class Against(StrEnum):
    """Which of the provider's numbers the ledger is held against."""

    TOTAL_SPENT = "total_spent"
    CHARGES = "charges"
    BALANCE = "balance"


class Believed(StrEnum):
    """Which side is taken to be right."""

    PROVIDER = "provider"
    LEDGER = "ledger"
    NEITHER = "neither"


class Reported(Protocol):
    """What the provider charged one resource on one day (UTC)."""

    @property
    def resource_id(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def day(self) -> date: ...
    @property
    def cost(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of ours beside the provider's. `span` is the stretch that both are of.

    `within` says that they agree as closely as rounding allows; `because` why which side is believed.
    """

    account: str
    against: Against
    resource_id: str | None
    name: str | None
    span: Span
    ours: Decimal
    theirs: Decimal
    within: bool
    believed: Believed
    because: str

    @property
    def drift(self) -> Decimal:
        """The provider's figure less ours."""
        return self.theirs - self.ours

    def adjustment(self) -> Charge | None:
        """The `reported` row that would make ours equal to the provider's, where the provider is believed."""
        if self.within or self.believed is not Believed.PROVIDER or self.resource_id is None:
            return None
        amount = Usd.rounded(self.drift)
        identity = Identity(self.account, self.resource_id)
        return Charge(identity, self.span, amount, Basis.REPORTED, Reason.RECONCILED, closed=True) if amount else None


def drift_of(comparisons: Iterable[Comparison]) -> Mapping[tuple[str, Against], Decimal]:
    """The sum of all drift by account and by what it was held against; zero where all agree."""
    summed: dict[tuple[str, Against], Decimal] = {}
    for one in comparisons:
        key = (one.account, one.against)
        summed[key] = summed.get(key, Decimal(0)) + (Decimal(0) if one.within else one.drift)
    return summed


def against_totals(records: Iterable[KnownResource], *, begun: Mapping[Identity, datetime]) -> Iterator[Comparison]:
    """The total that each prepaid resource reports, against its rows.

    `begun` is where the ledger of each resource starts: a total is of the whole life, so it says nothing against a
    ledger that starts later. A total is read only away from a boundary, where it cannot lag, and not while it still
    decides over the opening.
    """
    for record in records:
        resource, state = record.resource, record.state
        created, start = state.created_at, begun.get(state.identity)
        if (
            resource.total_spent is None
            or is_metered(state.generation)
            or created is None
            or start is None
            or start > created
            or state.charged_under is not None
            or state.settling is not None
            or _near_boundary(state, record.last_seen)
        ):
            continue
        ours, theirs = charged_total(state).dollars, resource.total_spent.dollars
        tolerance = _tolerance(state, ours)
        why = _WHY_NOT_PRICED if _awaits_price(state) else _WHY_TOTALS[state.generation]
        yield Comparison(
            account=state.identity.account,
            against=Against.TOTAL_SPENT,
            resource_id=state.identity.id,
            name=resource.name,
            span=Span(record.last_seen, record.last_seen),
            ours=ours,
            theirs=theirs,
            within=abs(theirs - ours) <= tolerance,
            believed=Believed.NEITHER
            if why == _WHY_NOT_PRICED or state.generation is Generation.VMS_V2
            else Believed.PROVIDER,
            because=why,
        )


def _awaits_price(state: ResourceState) -> bool:
    """Whether part of the ledger will be written only once its price is known: mended before, it would count twice."""
    return is_at_least(state) or (state.price is None and is_charged_on(state))


def _near_boundary(state: ResourceState, moment: datetime) -> bool:
    if state.epoch is None:
        return False
    margin = state.grid.length / SHORT_FRAGMENT_BELOW
    since = (moment - state.epoch.end) % state.grid.length
    return since <= margin or state.grid.length - since <= margin


def _tolerance(state: ResourceState, ours: Decimal) -> Decimal:
    if state.generation is not Generation.GPU or not state.price:
        return Decimal(0)
    return _GPU_ROUNDING * (1 + int(ours / state.price))


def settled_days(*, since: datetime, now: datetime) -> Sequence[date]:
    """The days (UTC) that lie wholly after `since` and ended long enough before `now` to be charged in full."""
    first = since.astimezone(UTC).date() + (DAY if since.astimezone(UTC).time() != time(0) else timedelta(0))
    last = (now.astimezone(UTC) - DAY_IS_SETTLED_AFTER).date() - DAY
    return [first + count * DAY for count in range((last - first).days + 1)]


def against_charges(
    account: str,
    records: Iterable[KnownResource],
    rows: Iterable[Charge],
    reported: Iterable[Reported],
    *,
    days: Sequence[date],
) -> Iterator[Comparison]:
    """The provider's charges of each metered resource on each of `days`, against our rows by time.

    `rows` are the written rows of the account; open ones are computed here. A resource that goes on is compared on days
    after which it was seen: what lies beyond is charged when it is seen again. One that another account is charged for
    is left to that one.
    """
    known = {record.state.identity.id: record for record in records}
    wanted, charged_at_all = set(days), set()
    ours: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    pieces: dict[tuple[str, date], int] = defaultdict(int)
    for row in (*rows, *_open_rows(known.values())):
        for day, cost in _by_day(row):
            ours[row.identity.id, day] += cost
            pieces[row.identity.id, day] += 1
    theirs: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    names: dict[str, str | None] = {}
    for entry in reported:
        theirs[entry.resource_id, entry.day] += entry.cost
        charged_at_all.add(entry.day)
        names.setdefault(entry.resource_id, entry.name)
    for key, day in sorted(ours.keys() | theirs.keys(), key=lambda each: (each[1], each[0])):
        record, span = known.get(key), _span_of(day)
        if day not in wanted or not _is_comparable(record, span, reported=(key, day) in theirs):
            continue
        mine, yours = ours.get((key, day), Decimal(0)), theirs.get((key, day), Decimal(0))
        why = _WHY_NOTHING_YET if day not in charged_at_all else _why_charges(record)
        if why == _WHY_CHARGES and max(abs(yours), abs(yours - mine)) >= LARGEST_AMOUNT:
            why = _WHY_ABSURD
        yield Comparison(
            account=account,
            against=Against.CHARGES,
            resource_id=key,
            name=names.get(key) if record is None else record.resource.name,
            span=span,
            ours=mine,
            theirs=yours,
            within=abs(yours - mine) <= _MICRO * (1 + pieces.get((key, day), 0)),
            believed=Believed.PROVIDER if why == _WHY_CHARGES else Believed.NEITHER,
            because=why,
        )


def _open_rows(records: Iterable[KnownResource], *, until: datetime | None = None) -> Iterator[Charge]:
    """The open rows of what is metered, up to the last sighting; those of what is still there up to `until`, if later."""
    for record in records:
        seen = record.last_seen
        if until is not None and record.state.presence is Presence.PRESENT:
            seen = max(seen, until)
        row = open_charge(record.state, seen=seen)
        if row is not None:
            yield row


def _is_comparable(record: KnownResource | None, span: Span, *, reported: bool) -> bool:
    if record is None:
        return reported
    state = record.state
    if state.charged_under is not None or not (reported or is_metered(state.generation)):
        return False
    is_over = not state.retired and not is_charged_on(state)
    return is_over or record.last_seen >= span.end


def _why_charges(record: KnownResource | None) -> str:
    if record is None:
        return _WHY_UNSEEN
    if not is_metered(record.state.generation):
        return _WHY_PREPAID
    return _WHY_NOT_PRICED if _awaits_price(record.state) else _WHY_CHARGES


def _span_of(day: date) -> Span:
    start = datetime.combine(day, time(0), UTC)
    return Span(start, start + DAY)


def _by_day(row: Charge) -> Iterator[tuple[date, Decimal]]:
    """What of `row` falls on each day (UTC), by time. A row without length counts where it is dated."""
    length = row.span.length
    if not length:
        yield row.span.start.astimezone(UTC).date(), row.amount.dollars
        return
    start = row.span.start.astimezone(UTC)
    while start < row.span.end:
        stop = min(_span_of(start.date()).end, row.span.end)
        yield start.date(), _share(row, Span(start, stop))
        start = stop


@dataclass(frozen=True, slots=True)
class BalanceAt:
    """What was left on an account at an instant."""

    at: datetime
    balance: Decimal


def against_balance(
    account: str,
    first: BalanceAt,
    last: BalanceAt,
    *,
    came_in: Decimal,
    records: Iterable[KnownResource],
    rows: Iterable[Charge],
) -> Comparison:
    """How the balance moved from `first` to `last`, net of the top-ups that `came_in` between, against what we charged
    in that time: prepaid epochs at their start, metered ones by time."""
    stretch = Span(first.at, last.at)
    ours = Decimal(0)
    records = list(records)
    metered = {record.state.identity.id for record in records if is_metered(record.state.generation)}
    for row in (*rows, *_open_rows(records, until=last.at)):
        if row.reason is Reason.RECONCILED and not row.span.length:
            continue  # it mends a whole life, and is dated only to stand somewhere
        if row.identity.id in metered and row.span.length:
            ours += _share(row, stretch)
        elif first.at < row.span.start <= last.at:
            ours += row.amount.dollars
    theirs = first.balance - last.balance + came_in
    return Comparison(
        account=account,
        against=Against.BALANCE,
        resource_id=None,
        name=None,
        span=stretch,
        ours=ours,
        theirs=theirs,
        within=abs(theirs - ours) <= _MICRO * (1 + len(records)),
        believed=Believed.NEITHER,
        because="a balance also moves by reserves, refunds and promotions, so it only shows that something differs",
    )


def _share(row: Charge, stretch: Span) -> Decimal:
    """What of `row` falls into `stretch`, by time."""
    start, stop = max(row.span.start, stretch.start), min(row.span.end, stretch.end)
    if stop <= start:
        return Decimal(0)
    return row.amount.dollars * ((stop - start) // _MICROSECOND) / (row.span.length // _MICROSECOND)
