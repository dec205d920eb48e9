"""What people and Prometheus see: plain values made from what the store remembers.

`design.md` 9.1 names the figures. Money that was charged or will be is in `spending.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

from fluence_costwatch.core.alerts.waste import Waste, waste_in
from fluence_costwatch.core.billing.history import Presence, ResourceState
from fluence_costwatch.core.billing.ledger import is_at_least, is_charged_on, spent_total, uncertain_total
from fluence_costwatch.core.billing.metering import is_metered
from fluence_costwatch.core.budgets.outlook import Outlook, outlook_of
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.known import Known, KnownAccount, KnownBalance, KnownResource, KnownTopUp
from fluence_costwatch.core.money import Usd, total
from fluence_costwatch.core.resources import Generation, Kind, Per, Specs

_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)
# A price per epoch of seven hours has no finite number of decimals per day; far below a micro-dollar it is cut.
_FINEST: Final = Decimal("1e-12")

TOP_UPS_ARE_NEWS_FOR: Final = timedelta(days=30)

# Outcomes of a look after which its list is at hand; all others say why it is not.
ANSWERED: Final = ("ok", "suspicious")


@dataclass(frozen=True, slots=True)
class WatchedAccount:
    """An account as it is configured."""

    account: str
    generations: tuple[Generation, ...]
    grid: EpochGrid = EpochGrid()


@dataclass(frozen=True, slots=True)
class Watched:
    """What is configured and bears on what is shown: the accounts, `patience` (see `patience_of`), the zone of people."""

    accounts: tuple[WatchedAccount, ...]
    patience: timedelta
    zone: tzinfo


def patience_of(*, interval: timedelta, stale_after: timedelta) -> timedelta:
    """How long an account may go without success before it is stale."""
    return max(3 * interval, stale_after)


@dataclass(frozen=True, slots=True)
class View:
    """What every view says: its instant, the zone for people, and the accounts whose data are stale."""

    as_of: datetime
    zone: tzinfo
    stale_accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopUp:
    """Money that came in, in dollars."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One configured account.

    `last_success` is the instant up to which all its generations are known; None where one never was. `trouble` says
    how the last looks failed, or that their list is suspicious. `spent` and `burn_per_day` are "at least" where a
    price is not known. `outlook` is None where no balance is known. `waste` is dearest first. `topped_up` is the
    newest top-up, while it is news.
    """

    account: str
    generations: tuple[str, ...]
    last_success: datetime | None
    stale: bool
    trouble: tuple[str, ...]
    answering: bool
    billed: int
    burn_per_day: Decimal
    spent: Usd
    uncertain: Usd
    at_least: bool
    outlook: Outlook | None = None
    topped_up: TopUp | None = None
    waste: tuple[Waste, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusView(View):
    """The state of the watch."""

    accounts: tuple[AccountStatus, ...]


@dataclass(frozen=True, slots=True)
class VmView:
    """One resource. `price` is the one in force; `burn_per_day` is None where no price is known.

    `current` is false once it is gone; `paid_until` is when its next charge falls due. `verdict` and `protected` are
    those of `idle_views.judged_vms`.
    """

    account: str
    id: str
    name: str | None
    kind: Kind
    generation: Generation
    status: str
    presence: Presence
    current: bool
    billed: bool
    price: Decimal | None
    price_per: Per
    burn_per_day: Decimal | None
    paid_until: datetime | None
    created_at: datetime | None
    first_seen: datetime
    last_seen: datetime
    spent: Usd
    uncertain: Usd
    at_least: bool
    reserved: Usd | None
    datacenter: str | None
    specs: Specs | None
    verdict: IdleVerdict | None = None
    protected: bool = False


@dataclass(frozen=True, slots=True)
class VmsView(View):
    """Resources, by account and id."""

    resources: tuple[VmView, ...]


def vms_view(known: Known, *, watched: Watched, now: datetime, everything: bool = False) -> VmsView:
    """All that bills or may bill again; with `everything` also what is gone."""
    return VmsView(
        as_of=now,
        zone=watched.zone,
        stale_accounts=stale_accounts(known.accounts(), watched=watched, now=now),
        resources=tuple(vm_view(record, now=now) for record in known.resources(gone=everything)),
    )


def status_view(known: Known, *, watched: Watched, now: datetime) -> StatusView:
    """The state of every configured account."""
    return whole_view(known, watched=watched, now=now)[0]


def whole_view(known: Known, *, watched: Watched, now: datetime) -> tuple[StatusView, VmsView]:
    """The state of every configured account, and of all resources, gone ones included."""
    looks = {record.account: record for record in known.accounts()}
    balances = known.newest_balances()
    stale = stale_accounts(looks.values(), watched=watched, now=now)
    owned: dict[str, list[tuple[KnownResource, VmView]]] = {}
    for record in known.resources():
        owned.setdefault(record.state.identity.account, []).append((record, vm_view(record, now=now)))
    accounts = tuple(
        _account_status(
            account,
            looks.get(account.account),
            owned.get(account.account, []),
            balances.get(account.account),
            known.top_ups(account=account.account, since=now - TOP_UPS_ARE_NEWS_FOR)[-1:],
            patience=watched.patience,
            now=now,
        )
        for account in watched.accounts
    )
    views = tuple(view for pairs in owned.values() for _, view in pairs)
    return StatusView(now, watched.zone, stale, accounts), VmsView(now, watched.zone, stale, views)


def vm_view(record: KnownResource, *, now: datetime) -> VmView:
    """What is shown of one resource."""
    resource, state = record.resource, record.state
    billed = is_charged_on(state) and state.charged_under is None
    prepaid = billed and not is_metered(state.generation)
    return VmView(
        account=state.identity.account,
        id=state.identity.id,
        name=resource.name,
        kind=state.kind,
        generation=state.generation,
        status=state.status,
        presence=state.presence,
        current=state.presence is not Presence.GONE,
        billed=billed,
        price=state.price,
        price_per=resource.price_per,
        burn_per_day=burn_per_day(state, per=resource.price_per) if billed else Decimal(0),
        paid_until=state.epoch.end if prepaid and state.epoch is not None else None,
        created_at=state.created_at,
        first_seen=state.first_seen,
        last_seen=record.last_seen,
        spent=spent_total(state, seen=record.last_seen),
        uncertain=uncertain_total(state, now=now, seen=record.last_seen),
        at_least=is_at_least(state),
        reserved=resource.reserved,
        datacenter=resource.datacenter,
        specs=resource.specs,
    )


def burn_per_day(state: ResourceState, *, per: Per) -> Decimal | None:
    """What the resource costs a day while nothing changes; None where no price is known."""
    if state.price is None:
        return None
    if per is Per.HOUR:
        return state.price * 24
    with localcontext() as context:
        context.prec = 60
        daily = state.price * (_DAY // _MICROSECOND) / (state.grid.length // _MICROSECOND)
        return daily if daily == daily.quantize(_FINEST) else daily.quantize(_FINEST, ROUND_HALF_EVEN)


def stale_accounts(accounts: Iterable[KnownAccount], *, watched: Watched, now: datetime) -> tuple[str, ...]:
    """The configured accounts without success for longer than `watched.patience`, or ever."""
    looks = {record.account: record for record in accounts}
    return tuple(
        account.account
        for account in watched.accounts
        if _is_stale(_known_up_to(account, looks.get(account.account)), patience=watched.patience, now=now)
    )


def _account_status(
    account: WatchedAccount,
    record: KnownAccount | None,
    resources: Sequence[tuple[KnownResource, VmView]],
    balance: KnownBalance | None,
    top_ups: Sequence[KnownTopUp],
    *,
    patience: timedelta,
    now: datetime,
) -> AccountStatus:
    records, views = [known for known, _ in resources], [view for _, view in resources]
    last_success = _known_up_to(account, record)
    looks = {} if record is None else record.last_cycle
    last_looks = [(generation, looks[generation]) for generation in account.generations if generation in looks]
    return AccountStatus(
        account=account.account,
        generations=account.generations,
        last_success=last_success,
        stale=_is_stale(last_success, patience=patience, now=now),
        trouble=tuple(
            f"{generation}: {look.outcome}{': ' if look.detail else ''}{look.detail}"
            for generation, look in last_looks
            if look.outcome != "ok"
        ),
        answering=bool(last_looks)
        and len(last_looks) == len(account.generations)
        and all(look.outcome in ANSWERED for _, look in last_looks),
        billed=sum(view.billed for view in views),
        burn_per_day=sum((view.burn_per_day or Decimal(0) for view in views), Decimal(0)),
        spent=total(view.spent for view in views),
        uncertain=total(view.uncertain for view in views),
        at_least=any(view.at_least or view.burn_per_day is None for view in views),
        outlook=None if balance is None else outlook_of(balance, records),
        topped_up=None if not top_ups else TopUp(top_ups[-1].at, top_ups[-1].amount),
        waste=tuple(sorted(waste_in(records), key=lambda one: (-(one.per_hour or 0), -one.held.micros))),
    )


def _known_up_to(account: WatchedAccount, record: KnownAccount | None) -> datetime | None:
    successes = [None if record is None else record.last_success.get(each) for each in account.generations]
    known = [success for success in successes if success is not None]
    return min(known) if known and len(known) == len(successes) else None


def _is_stale(last_success: datetime | None, *, patience: timedelta, now: datetime) -> bool:
    return last_success is None or now - last_success > patience
