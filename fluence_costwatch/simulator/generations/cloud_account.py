"""What `cloud-v2` says about the account: who, what is left, what was paid in, and what everything has cost."""

from __future__ import annotations

import csv
import io
from fractions import Fraction
from typing import Any

from ..books import Entry
from ..catalogue import made_id
from ..charges import Selection, Sum, sums
from ..market import Market
from ..meter import DAY, decimal_text
from ..options import ORIGIN
from ..parts import Address, CloudVm, Disk
from ..wire import Answer, BadRequest, Request, Route
from .cloud_manners import MANNERS
from .cloud_objects import charged_type, instant, user_id
from .query import Query, page_of

JsonObject = dict[str, Any]
DIGITS = 12
"""Decimals of costs and balances: far finer than a micro-dollar, and not the whole truth either."""
CENT = 10_000
DAY_HOURS = 24
MOST_DAYS = 65_535
VERSIONS: dict[str, str] = {"0.8": "0.8.210", "0.10": "0.10.0", "0.13": "0.13.1"}
RESOURCE_TYPES = ("VM", "PUBLIC_IP", "SECURITY_GROUP", "STORAGE", "SUBNET", "VPC", "WORKSPACE")
COLUMNS = (
    "userId", "resourceId", "resourceName", "resourceType", "clusterId", "quantity", "periodStart", "totalUsageHours",
    "totalCost", "storageType", "ipAddressType", "vmConfiguration", "replicatedStorage",
)  # fmt: skip


def service_status(market: Market, request: Request) -> Answer:
    return Answer(200, {"maintenanceMode": market.maintenance, "version": VERSIONS[market.options.spec]})


def me(market: Market, request: Request) -> Answer:
    """Whose key it is and what it may do."""
    permissions = list(dict.fromkeys(request.key.scopes))
    email = f"{request.account}@customers.example.net"
    return Answer(200, {"id": user_id(request.account), "email": email, "permissions": permissions})


def balances(market: Market, request: Request) -> Answer:
    """An array: the first entry has all the money, a debt as a negative balance; the others have none."""
    keys, wanted = market.options.balance_keys, Query(request.pairs).text("entitlementKey")
    entries = [_balance(market, request.account, key, mine=key == keys[0]) for key in keys if wanted in (None, key)]
    return Answer(200, entries)


def _balance(market: Market, account: str, key: str, *, mine: bool) -> JsonObject:
    books, now = market.books[account], market.now
    free = books.free(at=now) if mine else Fraction(0)
    used = sum(books.total_by_vm.values()) + books.metered(at=now) if mine else Fraction(0)
    daily = books.rate * DAY_HOURS if mine else Fraction(0)
    return {
        "balance": _dollars(free),
        "usage": _dollars(used),
        "estimatedUsage": _dollars(daily),
        "overage": _dollars(max(-free, Fraction(0))),
        "totalDepositedAmount": _dollars(Fraction(books.deposited if mine else 0)),
        "usageDaysLeft": min(int(max(free, Fraction(0)) / daily), MOST_DAYS) if daily else None,
        "userId": user_id(account),
        "featureKey": key,
    }


def top_ups(market: Market, request: Request) -> Answer:
    """What was paid in, newest first unless asked otherwise."""
    query = Query(request.pairs)
    amount = query.choice("sort", ("createdAt", "amount")) == "amount"
    entries = [entry for entry in market.books[request.account].entries if entry.kind == "top_up"]
    entries.sort(key=lambda entry: (entry.amount, entry.number) if amount else (0, entry.number))
    if query.choice("order", ("asc", "desc")) != "asc":
        entries.reverse()
    rows = [_top_up(entry, request.account) for entry in entries]
    return Answer(200, page=page_of(rows, query, market.options, total=len(rows)), listed=True)


def _top_up(entry: Entry, account: str) -> JsonObject:
    id = made_id(account, "top-up", entry.number)
    return {
        "id": id,
        "userId": user_id(account),
        "amountCents": entry.amount // CENT,
        "status": "resolved",
        "createdAt": instant(entry.at, id, "created"),
        "updatedAt": instant(entry.at, id, "updated"),
        "expiresAt": None,
        "provider": "simulated",
        "redirectUrl": None,
    }


def aggregated(market: Market, request: Request) -> Answer:
    """Charges by group and bucket, as JSON or CSV; usage that is too young is not in it yet."""
    query = Query(request.pairs)
    old = market.options.spec == "0.8"
    by: Any = None if old else query.choice("groupBy", ("RESOURCE", "RESOURCE_TYPE", "CLUSTER"))
    period: Any = None if old else query.choice("period", ("DAY", "MONTH"))
    form = query.choice("format", ("json", "csv"))
    chosen = _selection(market, query, needed=True)
    found = sums(
        market.cloud.parts(request.account), market.books[request.account], chosen, by=by or "RESOURCE", period=period
    )
    rows = [_charge(total, request.account) for total in found]
    return Answer(200, text=_csv(rows), content_type="text/csv") if form == "csv" else Answer(200, rows, listed=True)


def total(market: Market, request: Request) -> Answer:
    """The sum of the charges, of all time where no days are named."""
    chosen = _selection(market, Query(request.pairs), needed=False)
    found = sums(market.cloud.parts(request.account), market.books[request.account], chosen)
    by_type: dict[str, Fraction] = {}
    for one in found:
        by_type[str(one.resource_type)] = by_type.get(str(one.resource_type), Fraction(0)) + one.cost
    sums_by_type = {name: _dollars(cost) for name, cost in by_type.items()}
    return Answer(200, {"total": _dollars(sum(by_type.values(), Fraction(0))), **sums_by_type})


def _selection(market: Market, query: Query, *, needed: bool) -> Selection:
    since, last = query.day("startDate", needed=needed), query.day("endDate", needed=needed)
    if since is not None and last is not None and last < since:
        raise BadRequest("endDate lies before startDate")
    known = market.now - market.options.charges_lag
    return Selection(
        since=since or ORIGIN,
        until=known if last is None else min(known, last + DAY),
        resource=query.id("resourceId"),
        resource_type=query.choice("resourceType", RESOURCE_TYPES),
    )


def _charge(total: Sum, account: str) -> JsonObject:
    part = total.part
    return {
        "userId": user_id(account),
        "resourceId": None if part is None else part.id,
        "resourceName": None if part is None else part.name,
        "resourceType": total.resource_type,
        "clusterId": total.cluster,
        "quantity": None if part is None else str(part.gigabytes if isinstance(part, Disk) else 1),
        "periodStart": None if total.start is None else f"{total.start:%Y-%m-%dT%H:%M:%SZ}",
        "totalUsageHours": decimal_text(total.hours, digits=DIGITS),
        "totalCost": _dollars(total.cost),
        "storageType": charged_type(part) if isinstance(part, Disk) else None,
        "ipAddressType": part.kind if isinstance(part, Address) else None,
        "vmConfiguration": part.kind if isinstance(part, CloudVm) else None,
        "replicatedStorage": part.kind.endswith("/replicated") if isinstance(part, Disk) else None,
    }


def _csv(rows: list[JsonObject]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _dollars(micros: Fraction) -> str:
    return decimal_text(micros / 1_000_000, digits=DIGITS)


ROUTES = (
    Route("GET", "/v1/service/status", service_status, MANNERS, open=True),
    Route("GET", "/v1/users/me", me, MANNERS),
    Route("GET", "/v2/users/balances", balances, MANNERS),
    Route("GET", "/v2/top-ups", top_ups, MANNERS, "billing:get_history"),
    Route("GET", "/v1/billing/charges/aggregated", aggregated, MANNERS, "billing:get_spending_history"),
    Route("GET", "/v1/billing/charges/total", total, MANNERS, "billing:get_spending_history"),
)
