"""Ending things over real HTTP: exactly one call with one id, and what each answer means."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Ground, Mode
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.errors import FluenceError, FluenceRefused, FluenceUnavailable, FluenceUnexpected
from fluence_costwatch.fluence import FluenceCloud
from tests.servers.marketplace import KEY, Marketplace, marketplace
from tests.servers.scripted import failing, scripted

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def deletion(id_: str, generation: Generation, kind: Kind = Kind.VM) -> Deletion:
    return Deletion(
        id="d1",
        identity=Identity("main", id_.lower()),
        target_id=id_,
        name="web",
        kind=kind,
        generation=generation,
        created_at=START,
        ground=Ground.IDLE,
        rule="idle",
        reason="idle for a day",
        mode=Mode.EXECUTE,
        state=DeletionState.EXECUTING,
        proposed_at=START,
    )


@contextmanager
def cloud_at(url: str) -> Iterator[FluenceCloud]:
    cloud = FluenceCloud(
        account="main", api_url=url, api_key=KEY, clock=lambda: START, attempts=1, deadline=timedelta(seconds=1)
    )
    try:
        yield cloud
    finally:
        cloud.close()


def ids(market: Marketplace, generation: Generation) -> list[str]:
    with cloud_at(market.url) as cloud:
        return [one.id for one in cloud.look(generation).resources]


@pytest.mark.parametrize(
    ("generation", "market_takes", "setting"),
    [
        pytest.param(Generation.VMS_V2, "vmId", "vmId", id="vms-v2 as its first page has it"),
        pytest.param(Generation.VMS_V2, "vmIds", "vmIds", id="vms-v2 after the page changed"),
        pytest.param(Generation.VMS_V3, "vmIds", "vmId", id="vms-v3, whatever the setting for vms-v2"),
    ],
)
def test_a_vm_of_the_first_generations_goes_with_the_body_that_they_take(
    generation: Generation, market_takes: str, setting: str
) -> None:
    with marketplace(start=START, generations=(str(generation),), delete_body=market_takes) as market:
        kept = market.create("kept", price="0.3")
        gone = market.create("gone", price="0.3")
        with cloud_at(market.url) as cloud:
            cloud.deleter(delete_body=setting).delete(deletion(gone, generation))
        market.advance(timedelta(minutes=30))

        assert [kept] == ids(market, generation)


ANSWERS = [
    (401, FluenceRefused, "a refused key"),
    (403, FluenceRefused, "a key that may only read"),
    (400, FluenceUnexpected, "a body that is not taken"),
    (406, FluenceUnexpected, "a status in which it cannot go"),
    (409, FluenceUnexpected, "something else under way"),
    (301, FluenceUnexpected, "a redirect, which is not followed"),
    (404, FluenceUnavailable, "an id that is not known: it may have gone already"),
    (429, FluenceUnavailable, "too many requests"),
    (500, FluenceUnavailable, "a failure in the middle of it"),
    (502, FluenceUnavailable, "a proxy that gave up"),
    (504, FluenceUnavailable, "a proxy that waited in vain"),
]


@pytest.mark.parametrize(("status", "error", "_"), [pytest.param(*row, id=row[2]) for row in ANSWERS])
def test_an_answer_other_than_success_means(status: int, error: type[FluenceError], _: str) -> None:
    with scripted({"/vms/v3": failing(status)}) as server, cloud_at(server.url) as cloud:
        with pytest.raises(FluenceError) as raised:
            cloud.deleter().delete(deletion("0xAb", Generation.VMS_V3))

        assert error is type(raised.value)
        assert KEY not in str(raised.value)
        assert 1 == len(server.requests)


def test_an_answer_that_does_not_come_may_mean_that_it_was_taken_and_is_not_asked_for_again() -> None:
    over = threading.Event()

    def hang(_: Mapping[str, str]) -> tuple[int, Any]:
        over.wait(10)
        return 200, {}

    with scripted({"/vms/v3": hang}) as server, cloud_at(server.url) as cloud:
        with pytest.raises(FluenceUnavailable):
            cloud.deleter().delete(deletion("0xAb", Generation.VMS_V3))
        over.set()

        assert 1 == len(server.requests)


def test_where_nobody_listens_nothing_was_deleted() -> None:
    with scripted({}) as server:
        url = server.url

    with cloud_at(url) as cloud, pytest.raises(FluenceUnexpected, match="Nothing was deleted"):
        cloud.deleter().delete(deletion("0xAb", Generation.VMS_V3))


CALLS = [
    (Generation.VMS_V2, Kind.VM, "vmId", "DELETE", "/vms/v3", {"vmId": "0xA/b"}),
    (Generation.VMS_V2, Kind.VM, "vmIds", "DELETE", "/vms/v3", {"vmIds": ["0xA/b"]}),
    (Generation.VMS_V3, Kind.VM, "vmId", "DELETE", "/vms/v3", {"vmIds": ["0xA/b"]}),
    (Generation.CLOUD_V2, Kind.VM, "vmId", "POST", "/v2/vms/0xA%2Fb/terminate", None),
    (Generation.CLOUD_V2, Kind.PUBLIC_IP, "vmId", "DELETE", "/v1/public_ips/0xA%2Fb", None),
    (Generation.GPU, Kind.GPU_CONTAINER, "vmId", "DELETE", "/gpu/instances/0xA%2Fb", None),
    (Generation.GPU, Kind.GPU_VM, "vmId", "DELETE", "/gpu/instances/vms/0xA%2Fb", None),
    (Generation.GPU, Kind.GPU_BAREMETAL, "vmId", "DELETE", "/gpu/instances/baremetal/0xA%2Fb", None),
]


@pytest.mark.parametrize(("generation", "kind", "setting", "method", "path", "content"), CALLS)
def test_the_one_call_that_ends(
    generation: Generation, kind: Kind, setting: str, method: str, path: str, content: object
) -> None:
    with scripted({path: {}}) as server, cloud_at(server.url) as cloud:
        cloud.deleter(delete_body=setting).delete(deletion("0xA/b", generation, kind))

        asked = [(one.method, one.target, json.loads(one.body) if one.body else None) for one in server.requests]
        assert [(method, path, content)] == asked
        assert [KEY] == [one.headers["x-api-key"] for one in server.requests]


@pytest.mark.parametrize(
    ("generation", "kind"),
    [(Generation.CLOUD_V2, Kind.STORAGE), (Generation.VMS_V3, Kind.PUBLIC_IP), (Generation.GPU, Kind.VM)],
)
def test_what_is_never_deleted_sends_nothing(generation: Generation, kind: Kind) -> None:
    with scripted({}) as server, cloud_at(server.url) as cloud:
        with pytest.raises(FluenceUnexpected, match="nothing was sent"):
            cloud.deleter().delete(deletion("0xAb", generation, kind))

        assert [] == server.requests


def test_maintenance_is_asked_where_the_api_can_tell() -> None:
    with scripted({"/v1/service/status": {"maintenanceMode": True, "version": "0.10.0"}}) as server:
        with cloud_at(server.url) as cloud:
            told = [cloud.deleter().maintenance(generation) for generation in (Generation.CLOUD_V2, Generation.VMS_V3)]

        assert [True, False] == told
        assert 1 == len(server.requests)


@pytest.mark.parametrize("said", [{}, {"maintenanceMode": None}, {"maintenanceMode": "no"}, [], b"maintenance"])
def test_a_service_that_does_not_say_whether_there_is_maintenance_is_doubted(said: Any) -> None:
    with (
        scripted({"/v1/service/status": said}) as server,
        cloud_at(server.url) as cloud,
        pytest.raises(FluenceUnexpected),
    ):
        cloud.deleter().maintenance(Generation.CLOUD_V2)
