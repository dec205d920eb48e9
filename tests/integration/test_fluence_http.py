"""What the Fluence client asks of the HTTP client beyond a single GET: parameters, shared time, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fluence_costwatch.errors import FluenceError, FluenceUnavailable
from fluence_costwatch.http_client import Budget, HttpClient, HttpStatus, Query, status_of
from tests.servers.scripted import Scripted, failing, scripted

KEY = "fk-Very.Secret-0123456789"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@contextmanager
def asking(server: Scripted, **options: Any) -> Iterator[HttpClient]:
    settings: dict[str, Any] = {"clock": lambda: NOON, "attempts": 1, "back_off": timedelta(milliseconds=10)}
    client = HttpClient(server.url, {"X-API-KEY": KEY}, **(settings | options))
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ((), "/x"),
        ((("page", "1"), ("perPage", "100")), "/x?page=1&perPage=100"),
        ((("status", ["launched", "new"]),), "/x?status[0]=launched&status[1]=new"),
        ((("status", []),), "/x"),
        ((("name", "a&b=c #?é[0]"),), "/x?name=a%26b%3Dc%20%23%3F%C3%A9%5B0%5D"),
    ],
)
def test_parameters_are_sent_as_they_are_meant(query: Query, target: str) -> None:
    with scripted({"/x": []}) as server, asking(server) as client:
        client.get("/x", query=query)

    assert [target] == [request.target for request in server.requests]


def test_requests_that_share_a_budget_end_with_it() -> None:
    with scripted({"/x": []}) as server, asking(server) as client:
        client.get("/x", budget=Budget(timedelta(seconds=5)))
        with pytest.raises(FluenceUnavailable, match="time for this look was over before GET /x"):
            client.get("/x", budget=Budget(timedelta(0)))

    assert 1 == len(server.requests)


def test_attempts_keep_within_a_shared_budget() -> None:
    started = time.monotonic()
    with scripted({"/x": failing(503)}) as server, asking(server, attempts=1000) as client:
        budget = Budget(timedelta(seconds=0.5))
        with pytest.raises(FluenceUnavailable):
            client.get("/x", budget=budget)

    assert 3 > time.monotonic() - started


def test_a_part_of_a_budget_is_never_more_than_what_is_left() -> None:
    whole = Budget(timedelta(seconds=10))

    assert timedelta(seconds=1) == whole.at_most(timedelta(seconds=1)).whole
    assert timedelta(seconds=10) >= whole.at_most(timedelta(hours=1)).whole


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 501, 503])
def test_the_status_behind_an_error_is_told(status: int) -> None:
    said = {"code": "some_code", "error": f"with {KEY} in it"}
    with (
        scripted({"/x": failing(status, said)}) as server,
        asking(server) as client,
        pytest.raises(FluenceError) as caught,
    ):
        client.get("/x")

    cause = caught.value.__cause__
    assert status == status_of(caught.value)
    assert isinstance(cause, HttpStatus)
    assert ("some_code: with *** in it", f"{status}: some_code: with *** in it") == (cause.said, str(cause))


def test_without_an_answer_there_is_no_status() -> None:
    with scripted({}) as server:
        pass
    with asking(server) as client, pytest.raises(FluenceUnavailable) as caught:
        client.get("/x")

    assert status_of(caught.value) is None
