"""Finding out by GET alone which generations answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fluence_costwatch.core.resources import Generation
from fluence_costwatch.errors import FluenceRefused
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.ports import Discovery, Probe
from tests.servers.marketplace import KEY, marketplace
from tests.servers.scripted import failing, paged, scripted

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDER = [Generation.CLOUD_V2, Generation.VMS_V3, Generation.VMS_V2, Generation.GPU]


def probe(url: str, **options: Any) -> tuple[Probe, ...]:
    settings: dict[str, Any] = {"attempts": 1, "deadline": timedelta(seconds=5)}
    cloud = FluenceCloud(account="main", api_url=url, clock=lambda: START, **({"api_key": KEY} | settings | options))
    discovery: Discovery = cloud.discovery()
    try:
        return discovery.probe()
    finally:
        cloud.close()


@pytest.mark.parametrize("served", ORDER)
def test_what_answers_is_found_and_the_rest_is_not_there(served: Generation) -> None:
    with marketplace(start=START, generations=(served.value,)) as market:
        found = probe(market.url)
        methods = {asked.method for asked in market.requests()}

    assert ORDER == [each.generation for each in found]
    assert [generation is served for generation in ORDER] == [each.answers for each in found]
    assert {"GET"} == methods
    assert all(each.detail.endswith(".") and each.detail.isprintable() for each in found)
    assert ["not there" in each.detail for each in found] == [not each.answers for each in found]


def test_all_that_answer_are_found() -> None:
    with marketplace(start=START, generations=tuple(generation.value for generation in ORDER)) as market:
        assert [True] * 4 == [each.answers for each in probe(market.url)]


def test_each_answer_is_a_sentence() -> None:
    paths: dict[str, Any] = {
        "/v1/service/status": {"version": "0.10.0", "maintenanceMode": True},
        "/v1/users/me": {"permissions": ["vms:read", "prices:read"]},
        "/v2/vms": paged([], totalRecords=12),
        "/vms/v3": [{}],
        "/vms/v2": failing(403, {"error": "Auth failed. No such API Key"}),
        "/gpu/instances/vms": b"<html>",
    }
    with scripted(paths) as server:
        found = probe(server.url)
        (asked,) = server.asked("/v2/vms")

    assert [
        "GET /v2/vms answers with 12 machines, ended ones included. "
        "The service says it is version '0.10.0', in maintenance. The key has 2 scopes.",
        "GET /vms/v3 answers with 1 machine.",
        "GET /vms/v2 refuses the key (403, Auth failed. No such API Key).",
    ] == [each.detail for each in found[:3]]
    assert (False, "GET /gpu/instances/vms gives no usable answer") == (found[3].answers, found[3].detail.split(":")[0])
    assert "/v2/vms?page=1&perPage=1" == asked.target


def test_a_server_with_drafts_only_is_cloud_v2_as_well() -> None:
    with scripted({"/v3/vms": paged([])}) as server:
        found = probe(server.url)

    assert (True, "GET /v3/vms answers with 0 machines, ended ones included.") == (found[0].answers, found[0].detail)


def test_a_server_that_fails_answers_nothing() -> None:
    paths = dict.fromkeys(("/v2/vms", "/vms/v3", "/vms/v2", "/gpu/instances/vms"), failing(500))
    with scripted(paths) as server:
        found = probe(server.url)

    assert [False] * 4 == [each.answers for each in found]
    assert ["GET /v2/vms fails (500, x: says no)."] == [found[0].detail]


def test_the_first_generations_are_asked_with_the_key_where_they_want_it() -> None:
    with scripted({}) as server:
        probe(server.url, auth="bearer")
        bearers = {request.path for request in server.requests if "authorization" in request.headers}
        others = {request.path for request in server.requests if "x-api-key" in request.headers}

    assert {"/vms/v3", "/vms/v2"} == bearers
    assert bearers.isdisjoint(others)


def test_a_key_that_cannot_be_sent_is_not_probed_with() -> None:
    with scripted({}) as server:
        with pytest.raises(FluenceRefused):
            probe(server.url, api_key="two words")
        assert [] == server.requests
