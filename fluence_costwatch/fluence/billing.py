"""The money side of an account: its balance, what came in, what the provider charged, and what the key may see of it.

A sum with a hole in it is worse than none, so an answer is taken over whole or not at all.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Context, Decimal
from typing import Final, TypeVar

import msgspec

from fluence_costwatch.core.money import LARGEST_AMOUNT, AmountInvalid
from fluence_costwatch.fluence import scopes
from fluence_costwatch.fluence.connection import Connection
from fluence_costwatch.fluence.pages import read_pages
from fluence_costwatch.fluence.scopes import explaining_403, needing
from fluence_costwatch.fluence.wire import NULL, Doubts, decoded, elements, exact_number, shown, unexpected
from fluence_costwatch.http_client import Budget
from fluence_costwatch.ports import BalanceEntry, Permissions, ReportedCharge, TopUp

BALANCES_PATH: Final = "/v2/users/balances"
TOP_UPS_PATH: Final = "/v2/top-ups"
CHARGES_PATH: Final = "/v1/billing/charges/aggregated"
ME_PATH: Final = "/v1/users/me"

_BALANCES: Final = "list of balances"
_TOP_UPS: Final = "list of top-ups"
_CHARGES: Final = "list of charges"
_ME: Final = "answer about the key"

_FINISHED: Final = "resolved"
_DAYS_AT_A_TIME: Final = 31
_LARGEST_CENTS: Final = 10**15
_EXACT: Final = Context(prec=80)
_LARGEST_DAYS: Final = 100_000
_LONGEST: Final = 1_000


class _Balance(msgspec.Struct, rename="camel"):
    balance: msgspec.Raw
    feature_key: str = ""
    usage_days_left: object = None


class _TopUp(msgspec.Struct, rename="camel"):
    id: str
    status: str
    amount_cents: object = None
    created_at: msgspec.Raw = NULL
    updated_at: msgspec.Raw = NULL


class _Charge(msgspec.Struct, rename="camel"):
    total_cost: msgspec.Raw
    resource_id: str | None = None
    resource_name: str | None = None
    resource_type: str | None = None
    period_start: str | None = None


class _Me(msgspec.Struct, rename="camel"):
    permissions: list[str]


_BALANCE: Final = msgspec.json.Decoder(_Balance)
_TOP_UP: Final = msgspec.json.Decoder(_TopUp)
_CHARGE: Final = msgspec.json.Decoder(_Charge)
_PERMISSIONS: Final = msgspec.json.Decoder(_Me)

_S = TypeVar("_S")


class FluenceBilling:
    """The billing of `cloud-v2` (`ports.Billing`), which is that of the whole account; it only ever reads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def balances(self) -> tuple[BalanceEntry, ...]:
        """Every balance entry, by feature."""
        with explaining_403(
            lacks="the right to see the balance", without="The balance is not known, and neither is when it ends."
        ):
            body = self._connection.to().get(BALANCES_PATH).body
        entries = [_read(_BALANCE, raw, what=_BALANCES) for raw in elements(body, what=_BALANCES)]
        return tuple(
            sorted(
                (
                    BalanceEntry(
                        feature=entry.feature_key[:_LONGEST],
                        balance=_amount(entry.balance, what=_BALANCES),
                        days_left=_days(entry.usage_days_left),
                    )
                    for entry in entries
                ),
                key=lambda entry: (entry.feature, entry.balance),
            )
        )

    def top_ups(self) -> tuple[TopUp, ...]:
        """Every finished top-up, oldest first."""
        http = self._connection.to()
        with needing(scopes.TOP_UPS):
            pages = read_pages(http, TOP_UPS_PATH, what=_TOP_UPS, budget=http.budget())
        read = [_read(_TOP_UP, raw, what=_TOP_UPS) for raw in pages.items]
        found = [_top_up(entry) for entry in read if entry.status.casefold() == _FINISHED]
        return tuple(sorted(found, key=lambda top_up: (top_up.at, top_up.id)))

    def charges(self, *, since: date, until: date) -> tuple[ReportedCharge, ...]:
        """What the provider charged from day `since` to day `until` (both included, days of UTC), by resource and day."""
        budget = self._connection.to().budget()
        rows: list[ReportedCharge] = []
        first = since
        while first <= until:
            last = min(first + timedelta(days=_DAYS_AT_A_TIME - 1), until)
            rows += self._charges(first, last, budget=budget)
            first = last + timedelta(days=1)
        return _summed(rows)

    def permissions(self) -> Permissions:
        """What the key may do. When it expires is told to sessions of the console only."""
        body = self._connection.to().get(ME_PATH).body
        return Permissions(scopes=frozenset(_read(_PERMISSIONS, body, what=_ME).permissions))

    def _charges(self, since: date, until: date, *, budget: Budget) -> list[ReportedCharge]:
        query = (
            ("startDate", since.isoformat()),
            ("endDate", until.isoformat()),
            ("groupBy", "RESOURCE"),
            ("period", "DAY"),
            ("format", "json"),
        )
        with needing(scopes.SPENDING):
            body = self._connection.to().get(CHARGES_PATH, query=query, budget=budget).body
        entries = [_read(_CHARGE, raw, what=_CHARGES) for raw in elements(body, what=_CHARGES)]
        if since < until and any(entry.period_start is None for entry in entries):
            # A server that does not know `period` sums over all days, so it is asked for each day.
            days = [since + timedelta(days=day) for day in range((until - since).days + 1)]
            return [row for day in days for row in self._charges(day, day, budget=budget)]
        rows = [_charge(entry, day=since) for entry in entries]
        return [row for row in rows if since <= row.day <= until]


def _top_up(entry: _TopUp) -> TopUp:
    cents = entry.amount_cents
    if not isinstance(cents, int) or isinstance(cents, bool) or abs(cents) > _LARGEST_CENTS:
        raise unexpected("a finished top-up in it has no amount", what=_TOP_UPS)
    doubts = Doubts()
    # It was begun when it was created, and the money came with its last change.
    at = doubts.instant("at", entry.updated_at) or doubts.instant("at", entry.created_at)
    if at is None:
        raise unexpected("a finished top-up in it does not say when it was", what=_TOP_UPS)
    return TopUp(id=entry.id[:_LONGEST], at=at, amount=Decimal(cents).scaleb(-2))


def _charge(entry: _Charge, *, day: date) -> ReportedCharge:
    if entry.resource_id is None:
        raise unexpected("a charge in it names no resource", what=_CHARGES)
    return ReportedCharge(
        resource_id=entry.resource_id.lower()[:_LONGEST],
        name=None if entry.resource_name is None else entry.resource_name[:_LONGEST],
        kind=(entry.resource_type or "").lower()[:_LONGEST],
        day=day if entry.period_start is None else _day(entry.period_start),
        cost=_amount(entry.total_cost, what=_CHARGES),
    )


def _day(text: str) -> date:
    """The day of UTC in which the period begins that `text` names, as an instant or a date."""
    instant = Doubts().instant("day", msgspec.Raw(msgspec.json.encode(text)))
    if instant is not None:
        return instant.date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise unexpected("a charge in it does not say for which day it is", what=_CHARGES) from None


def _summed(rows: list[ReportedCharge]) -> tuple[ReportedCharge, ...]:
    """One row for each resource and day: a resource that changed its size that day has several."""
    sums: dict[tuple[date, str], ReportedCharge] = {}
    for row in rows:
        key = (row.day, row.resource_id)
        before = sums.get(key)
        cost = row.cost if before is None else _EXACT.add(before.cost, row.cost)
        sums[key] = ReportedCharge(row.resource_id, row.name, row.kind, row.day, cost)
    return tuple(sums[key] for key in sorted(sums))


def _amount(raw: msgspec.Raw, *, what: str) -> Decimal:
    try:
        amount = exact_number(raw)
    except (AmountInvalid, ValueError, RecursionError):
        raise unexpected(f"{shown(raw)} in it is not an amount of money", what=what) from None
    if abs(amount) >= LARGEST_AMOUNT:
        raise unexpected(f"{shown(raw)} in it is beyond any bill", what=what)
    return amount


def _days(value: object) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_DAYS
    return value if isinstance(value, int) and is_whole else None


def _read(decoder: msgspec.json.Decoder[_S], raw: bytes | msgspec.Raw, *, what: str) -> _S:
    try:
        return decoded(bytes(raw), decoder)
    except (ValueError, RecursionError) as exc:
        raise unexpected(f"it is not what it should be ({exc})", what=what) from exc
