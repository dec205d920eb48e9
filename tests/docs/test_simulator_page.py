"""docs/simulator.md against the simulated marketplace."""

from __future__ import annotations

import json
import re

import pytest

from fluence_costwatch.simulator import read_script
from fluence_costwatch.simulator.__main__ import _parser
from fluence_costwatch.simulator.misbehaviour import KINDS
from fluence_costwatch.simulator.script import NEEDED
from tests.docs.markdown import blocks_of, rows_of, section_of
from tests.servers.marketplace import ControlRefused, Marketplace, marketplace, marketplace_process

PAGE = "docs/simulator.md"


def words_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_fault_is_documented() -> None:
    documented = [kind for row in rows_of(section_of(PAGE, "Let it misbehave")) for kind in words_in(row[0])]

    assert sorted(KINDS) == sorted(documented)


def test_every_scripted_event_is_documented_with_what_it_needs() -> None:
    rows = [row for row in rows_of(section_of(PAGE, "Scripts")) if words_in(row[0])]

    assert NEEDED == {action: tuple(words_in(row[1])) for row in rows for action in words_in(row[0])}


def test_the_script_of_the_page_can_be_played() -> None:
    (block,) = [block for block in blocks_of(PAGE, "json") if block.text.startswith("[")]

    assert len(json.loads(block.text)) == len(read_script(json.loads(block.text)).events)


REQUESTS = [
    request
    for row in rows_of(section_of(PAGE, "Make things happen"))
    for request in words_in(row[0])
    if request.startswith(("GET", "POST", "DELETE"))
]
FIELDS: dict[str, dict[str, object]] = {
    "POST vms": {"name": "web", "price": "1"},
    "POST vms/ID/price": {"price": "2"},
    "POST vms/ID/rename": {"name": "web-2"},
    "POST vms/ID/status": {"status": None},
    "POST top-up": {"amount": "5"},
    "POST clock/set": {"at": "2099-01-01T00:00:00Z"},
    "POST clock/advance": {"seconds": 1},
    "POST faults": {"kind": "latency"},
    "POST do": {"do": "top_up", "amount": "5"},
}


def asked(market: Marketplace, request: str, vm: str) -> str | None:
    """Why a documented request is refused, if it is."""
    method, _, path = request.partition(" ")
    try:
        market._ask(method, path.replace("ID", vm), None if method == "GET" else FIELDS.get(request, {}))
    except ControlRefused as refused:
        return str(refused)
    return None


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_control_api_takes_what_is_documented(request_: str) -> None:
    with marketplace() as market:
        assert asked(market, request_, market.create("first")) is None


def test_the_clouds_of_today_start_as_the_page_says_and_rent_what_it_says() -> None:
    section = section_of(PAGE, "The clouds of today")
    (command,) = re.findall(r"^fluence-costwatch simulate --listen 127\.0\.0\.1:\d+ (.+)$", section, re.MULTILINE)
    (action,) = [block for block in blocks_of(PAGE, "json") if block.text.startswith("{")]

    with marketplace_process(*command.split()) as market:
        fields = json.loads(action.text)
        rented = market.do(fields.pop("do"), **fields)

        assert {"web", "web-boot", "web-ip"} == {one["name"] for one in market.resources()}
        assert [rented["id"]] == [one["id"] for one in market.resources() if one["name"] == "web"]


def test_the_options_of_the_clouds_of_today_are_there() -> None:
    rows = rows_of(section_of(PAGE, "The clouds of today"))

    assert [] == [name for row in rows for name in words_in(row[0]) if name not in _parser()._option_string_actions]
