"""Balance, top-ups, charges and scopes over real HTTP: exact, and whole or refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from fluence_costwatch.errors import FluenceError, FluenceIncomplete, FluenceRefused, FluenceUnexpected
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.fluence.billing import FluenceBilling
from fluence_costwatch.fluence.scopes import SCOPES, missing
from fluence_costwatch.ports import BalanceEntry, Billing, Permissions, ReportedCharge, TopUp
from tests.servers.marketplace import KEY, Marketplace, marketplace
from tests.servers.scripted import Scripted, failing, paged, scripted

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BALANCES = "/v2/users/balances"
TOP_UPS = "/v2/top-ups"
CHARGES = "/v1/billing/charges/aggregated"
FORBIDDEN = failing(403, {"code": "forbidden", "error": "Not allowed to call this endpoint"})


@contextmanager
def billing_of(server: Marketplace | Scripted) -> Iterator[Billing]:
    cloud = FluenceCloud(
        account="main", api_url=server.url, api_key=KEY, clock=lambda: START, attempts=1, deadline=timedelta(seconds=5)
    )
    try:
        yield cloud.billing()
    finally:
        cloud.close()


def balance(value: Any, **fields: Any) -> dict[str, Any]:
    return {"balance": value, "featureKey": "credits", "usage": "1", "userId": "u"} | fields


def charge(cost: Any, **fields: Any) -> dict[str, Any]:
    plain = {
        "userId": "u",
        "resourceId": "A1",
        "resourceName": "web",
        "resourceType": "VM",
        "totalUsageHours": "24",
        "totalCost": cost,
        "periodStart": "2026-03-01T00:00:00Z",
    }
    return plain | fields


def top_up(number: int, **fields: Any) -> dict[str, Any]:
    plain = {
        "id": f"t{number}",
        "amountCents": 1000 * number + 5,
        "status": "resolved",
        "createdAt": f"2026-02-0{number}T00:00:00Z",
        "updatedAt": f"2026-02-0{number}T00:10:00Z",
    }
    return plain | fields


# Balance.


def test_every_entry_of_the_balance_is_exact_and_debt_is_negative() -> None:
    entries = [
        balance("100.123456789", usageDaysLeft=7),
        balance("-5.00", featureKey="a", usageDaysLeft=None),
        balance(3, featureKey="b", usageDaysLeft="soon"),
    ]
    with scripted({BALANCES: entries}) as server, billing_of(server) as billing:
        assert (
            BalanceEntry("a", Decimal("-5.00")),
            BalanceEntry("b", Decimal(3)),
            BalanceEntry("credits", Decimal("100.123456789"), 7),
        ) == billing.balances()


@pytest.mark.parametrize("value", [None, "much", "1e5", True, [], {}, "9" * 60])
def test_a_balance_that_cannot_be_read_is_none_at_all(value: Any) -> None:
    with (
        scripted({BALANCES: [balance("1"), balance(value)]}) as server,
        billing_of(server) as billing,
        pytest.raises(FluenceUnexpected, match="list of balances"),
    ):
        billing.balances()


def test_the_balance_at_the_marketplace_is_what_its_books_say() -> None:
    with marketplace(start=START, generations=("cloud-v2",), balance_keys=("credits", "promo")) as market:
        market.create_vm_cloud("web")
        market.advance(timedelta(hours=7))
        with billing_of(market) as billing:
            entries = billing.balances()
        books = market.books()

    assert ["credits", "promo"] == [entry.feature for entry in entries]
    assert abs(sum(entry.balance for entry in entries) - Decimal(books.balance).scaleb(-6)) <= Decimal("0.000001")


def test_a_balance_that_is_refused_is_said_with_what_is_lost() -> None:
    with (
        scripted({BALANCES: FORBIDDEN}) as server,
        billing_of(server) as billing,
        pytest.raises(FluenceRefused, match="right to see the balance"),
    ):
        billing.balances()


# Top-ups.


def test_finished_top_ups_come_oldest_first_over_all_pages() -> None:
    items = [top_up(3), top_up(1), *(top_up(n, status=s) for n, s in ((4, "open"), (5, "failed"), (6, "brandnew")))]
    with scripted({TOP_UPS: paged([*items, top_up(2, status="Resolved")])}) as server, billing_of(server) as billing:
        assert (
            TopUp("t1", datetime(2026, 2, 1, 0, 10, tzinfo=UTC), Decimal("10.05")),
            TopUp("t2", datetime(2026, 2, 2, 0, 10, tzinfo=UTC), Decimal("20.05")),
            TopUp("t3", datetime(2026, 2, 3, 0, 10, tzinfo=UTC), Decimal("30.05")),
        ) == billing.top_ups()


@pytest.mark.parametrize(
    "fields", [{"amountCents": None}, {"amountCents": "5"}, {"amountCents": 1.5}, {"createdAt": "x", "updatedAt": None}]
)
def test_a_finished_top_up_that_cannot_be_read_is_not_left_out(fields: dict[str, Any]) -> None:
    with (
        scripted({TOP_UPS: paged([top_up(1), top_up(2, **fields)])}) as server,
        billing_of(server) as billing,
        pytest.raises(FluenceUnexpected, match="list of top-ups"),
    ):
        billing.top_ups()


def test_top_ups_are_whole_or_not_taken() -> None:
    with (
        scripted({TOP_UPS: paged([top_up(1)], filteredRecords=2)}) as server,
        billing_of(server) as billing,
        pytest.raises(FluenceIncomplete),
    ):
        billing.top_ups()


def test_a_top_up_at_the_marketplace_is_seen_when_it_came() -> None:
    with marketplace(start=START, generations=("cloud-v2",)) as market, billing_of(market) as billing:
        market.advance(timedelta(hours=1))
        market.top_up("25.50")

        assert (START + timedelta(hours=1), Decimal("25.5")) == (
            billing.top_ups()[-1].at,
            billing.top_ups()[-1].amount,
        )


# Charges.


def test_charges_come_by_resource_and_day() -> None:
    rows = [
        charge("0.74400000000000001", resourceType="WORKSPACE"),
        charge("0.1", resourceId="b2", resourceType="PUBLIC_IP", resourceName=None),
        charge("0.2", resourceId="b2", resourceType="PUBLIC_IP", resourceName=None),
        charge("-0.5", periodStart="2026-03-02"),
    ]
    with scripted({CHARGES: rows}) as server, billing_of(server) as billing:
        found = billing.charges(since=date(2026, 3, 1), until=date(2026, 3, 3))
        (asked,) = server.requests

    assert (
        ReportedCharge("a1", "web", "workspace", date(2026, 3, 1), Decimal("0.74400000000000001")),
        ReportedCharge("b2", None, "public_ip", date(2026, 3, 1), Decimal("0.3")),
        ReportedCharge("a1", "web", "vm", date(2026, 3, 2), Decimal("-0.5")),
    ) == found
    assert f"{CHARGES}?startDate=2026-03-01&endDate=2026-03-03&groupBy=RESOURCE&period=DAY&format=json" == asked.target


def test_a_long_range_is_asked_for_in_parts_without_gap_or_overlap() -> None:
    with scripted({CHARGES: []}) as server, billing_of(server) as billing:
        assert () == billing.charges(since=date(2026, 1, 1), until=date(2026, 3, 5))
        asked = [(request.query["startDate"], request.query["endDate"]) for request in server.requests]
        assert () == billing.charges(since=date(2026, 1, 2), until=date(2026, 1, 1))

    assert [("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-03-03"), ("2026-03-04", "2026-03-05")] == asked


def test_a_server_that_does_not_tell_days_is_asked_day_by_day() -> None:
    def answer(query: Any) -> tuple[int, Any]:
        days = (date.fromisoformat(query["endDate"]) - date.fromisoformat(query["startDate"])).days + 1
        return 200, [charge(f"{days}.5", periodStart=None)]

    with scripted({CHARGES: answer}) as server, billing_of(server) as billing:
        found = billing.charges(since=date(2026, 3, 1), until=date(2026, 3, 3))

    assert [(date(2026, 3, day), Decimal("1.5")) for day in (1, 2, 3)] == [(row.day, row.cost) for row in found]


def test_a_day_that_was_not_asked_for_is_not_given() -> None:
    rows = [charge("1", periodStart="2026-02-28T23:00:00Z"), charge("2", periodStart="2026-03-01T01:00:00+02:00")]
    with scripted({CHARGES: rows}) as server, billing_of(server) as billing:
        assert () == billing.charges(since=date(2026, 3, 1), until=date(2026, 3, 2))


@pytest.mark.parametrize(
    "row",
    [charge(None), charge("dear"), charge("1", resourceId=None), charge("1", periodStart="someday"), 7, {}],
    ids=str,
)
def test_charges_with_a_row_that_cannot_be_read_are_refused(row: Any) -> None:
    with (
        scripted({CHARGES: [charge("1"), row]}) as server,
        billing_of(server) as billing,
        pytest.raises(FluenceUnexpected, match="list of charges"),
    ):
        billing.charges(since=date(2026, 3, 1), until=date(2026, 3, 1))


def test_charges_at_the_marketplace_are_what_its_books_say() -> None:
    with marketplace(start=START, generations=("cloud-v2",)) as market, billing_of(market) as billing:
        market.create_vm_cloud("web")
        market.advance(timedelta(days=40))
        market.delete("web")
        market.advance(timedelta(days=2))
        found = billing.charges(since=date(2026, 3, 1), until=date(2026, 4, 30))
        books = market.metered_by_day()

    ours = {(row.resource_id, row.day): row.cost for row in found}
    theirs = {(id.lower(), day): cost for id, days in books.items() for day, cost in days.items() if cost}
    assert {"vm", "storage", "public_ip"} == {row.kind for row in found}
    assert set(theirs) == {key for key, cost in ours.items() if cost}
    assert all(abs(Fraction(ours[key]) * 10**6 - cost) <= 1 for key, cost in theirs.items())


@pytest.mark.parametrize(
    ("path", "scope"), [(TOP_UPS, "billing:get_history"), (CHARGES, "billing:get_spending_history")]
)
def test_a_missing_scope_is_named(path: str, scope: str) -> None:
    def ask(billing: Billing) -> object:
        return billing.top_ups() if path == TOP_UPS else billing.charges(since=START.date(), until=START.date())

    with scripted({path: FORBIDDEN}) as server, billing_of(server) as billing:
        with pytest.raises(FluenceRefused, match=f"lacks the scope {scope}: Fluence answered with 403"):
            ask(billing)
        server.paths[path] = failing(401, {"code": "unauthorized", "error": "Auth token invalid or missing"})
        with pytest.raises(FluenceRefused, match="refuses the key"):
            ask(billing)


# The key.


def test_a_key_says_what_it_may_do_and_nothing_of_its_owner_comes_out() -> None:
    me = {"id": "u", "email": "user@example.net", "permissions": ["vms:read", "brand:new", "vms:read"]}
    with scripted({"/v1/users/me": me}) as server, billing_of(server) as billing:
        assert Permissions(frozenset({"vms:read", "brand:new"})) == billing.permissions()


def test_the_scopes_of_a_key_at_the_marketplace() -> None:
    with marketplace(start=START, generations=("cloud-v2",)) as market, billing_of(market) as billing:
        market.set_scopes(["vms:read", "prices:read"])

        assert {"vms:read", "prices:read"} == billing.permissions().scopes


def test_what_a_key_lacks_is_known_with_what_is_lost() -> None:
    held = ["vms:read", "storage:read", "vms:write", "billing:get_spending_history", "clusters:read"]

    assert ["public_ip:read", "prices:read", "billing:get_history"] == [scope.name for scope in missing(held)]
    assert [True, False, False] == [scope.is_essential for scope in missing(held)]
    assert () == missing(scope.name for scope in SCOPES)


@pytest.mark.parametrize("me", [{}, [], {"permissions": "all"}, {"permissions": [1]}, b"<html>"], ids=str)
def test_an_answer_about_the_key_that_is_none_is_refused(me: Any) -> None:
    with scripted({"/v1/users/me": me}) as server, billing_of(server) as billing, pytest.raises(FluenceError):
        billing.permissions()


def test_billing_shares_the_connection_of_the_cloud() -> None:
    cloud = FluenceCloud(account="main", api_key="two words", clock=lambda: START)
    billing: FluenceBilling = cloud.billing()
    cloud.close()

    with pytest.raises(FluenceRefused, match="cannot be sent"):
        billing.balances()
