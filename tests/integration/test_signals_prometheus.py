"""PromQL over real HTTP: series matched to machines, and every answer that is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.rules import Condition, Match, Signal
from fluence_costwatch.core.resources import Resource
from fluence_costwatch.signals import MachineSignals
from tests.builders import at, resource
from tests.servers.exporters import Answer, exporters

NOW = at("2026-03-03 12:00")
QUERY = 'rate(x{mode!="idle"}[5m])'
PATH = "/prefix/api/v1/query"
WEB = resource("0xWeb", name="web", public_ip="203.0.113.7")


def condition(match: Match = Match.PUBLIC_IP, label: str = "instance") -> Condition:
    return Condition(Signal.PROMQL, below=Decimal("0.03"), query=QUERY, match=match, label=label)


def vector(*series: tuple[str, str], label: str = "instance") -> str:
    result = [{"metric": {label: mark}, "value": [1.5, value]} for mark, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def asked(answer: Answer, one: Condition, *fleet: Resource, **options: Any) -> tuple[list[Reading], list[str]]:
    """What Prometheus' answer says of each machine, and what it was asked."""
    with exporters({PATH: answer}) as server:
        plain: dict[str, Any] = {
            "prometheus_url": f"http://{server.address}/prefix/",
            "node_exporter_url": "http://{public_ip}:9100/metrics",
            "timeout": timedelta(seconds=2),
            "overrides": {},
            "interval": timedelta(minutes=5),
            "clock": lambda: datetime.now(UTC),
        }
        signals = MachineSignals(**plain | options)
        fleet = fleet or (WEB,)
        readings = signals.gather([one], fleet, now=NOW)
        signals.close()
    return [readings[each.identity, one] for each in fleet], server.asked


@pytest.mark.parametrize(
    ("mark", "match"),
    [
        ("203.0.113.7", Match.PUBLIC_IP),
        ("203.0.113.7:9100", Match.PUBLIC_IP),
        ("web", Match.NAME),
        ("web:9100", Match.NAME),
        ("0xWEB", Match.ID),
    ],
)
def test_a_series_is_matched_by_its_label(mark: str, match: Match) -> None:
    for value, holds in (("0.01", True), ("0.03", False), ("1e-05", True)):
        (reading,), _ = asked(vector((mark, value)), condition(match))
        assert (holds, f"promql {float(value):.4g} in {QUERY}") == (reading.holds, reading.says)


@pytest.mark.parametrize(
    ("mark", "holds"),
    [
        ("[2001:db8::5]:9100", True),
        ("2001:db8::5", True),
        ("2001:DB8:0::5", True),
        ("[2001:db8::5]", True),
        ("2001:db8::5:9100", None),
    ],
)
def test_addresses_of_the_sixth_version_are_matched(mark: str, holds: bool | None) -> None:
    (reading,), _ = asked(vector((mark, "0")), condition(), resource("0xWeb", public_ip="2001:db8::5"))

    assert holds is reading.holds


def test_the_query_and_the_time_are_sent_once_for_all_machines() -> None:
    fleet = [resource(f"0x{number}", public_ip=f"203.0.113.{number}") for number in range(1, 4)]

    readings, (target,) = asked(vector(("203.0.113.1:9", "0"), ("203.0.113.2", "1")), condition(), *fleet)

    assert [True, False, None] == [reading.holds for reading in readings]
    assert {"query": [QUERY], "time": ["1772539200.000"]} == parse_qs(urlsplit(target).query)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(vector(), f"no series of this machine in {QUERY}", id="no series"),
        pytest.param(vector(("203.0.113.70", "0")), f"no series of this machine in {QUERY}", id="another machine's"),
        pytest.param(
            vector(("203.0.113.7", "0"), label="host"), f"no series of this machine in {QUERY}", id="no label"
        ),
        pytest.param(vector(("203.0.113.7", "NaN")), f"no number in {QUERY}", id="NaN"),
        pytest.param(vector(("203.0.113.7", "-Inf")), f"no number in {QUERY}", id="infinity"),
        pytest.param(vector(("203.0.113.7", "0"), ("203.0.113.7", "NaN")), f"no number in {QUERY}", id="one NaN"),
        pytest.param(
            vector(("203.0.113.7:1", "0"), ("203.0.113.7:2", "1")),
            f"ambiguous, 2 series of this machine disagree in {QUERY}",
            id="series that disagree",
        ),
        pytest.param("[]", "Prometheus did not answer the query", id="another JSON"),
        pytest.param("[" * 100_000, "Prometheus did not answer in JSON", id="JSON too deep"),
        pytest.param("<html>", "Prometheus did not answer in JSON", id="a page"),
        pytest.param(
            '{"status":"success","data":{"resultType":"scalar","result":[1,"0"]}}',
            "Prometheus did not answer with one value for each machine: the query must give an instant vector",
            id="a scalar",
        ),
        pytest.param(
            '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,0.0]}]}}',
            "Prometheus answered in a form that is not known",
            id="a number that is no text",
        ),
        pytest.param(
            (400, '{"status":"error","errorType":"bad_data","error":"parse error"}'),
            "the query to Prometheus was answered with 400 (parse error).",
            id="a query that is wrong",
        ),
        pytest.param(
            lambda line: line.wait(30), "No complete answer to the query to Prometheus in time.", id="silence"
        ),
    ],
)
def test_what_prometheus_does_not_say_is_unknown(answer: Answer, expected: str) -> None:
    (reading,), _ = asked(answer, condition(), timeout=timedelta(seconds=0.5))

    assert (None, f"promql: {expected}") == (reading.holds, reading.says)


@pytest.mark.parametrize(("values", "holds"), [(("0", "0.01"), True), (("1", "0.5"), False)])
def test_several_series_that_agree_are_one_fact(values: tuple[str, str], holds: bool) -> None:
    (reading,), _ = asked(vector(*(("203.0.113.7", value) for value in values)), condition())

    assert holds is reading.holds


def test_machines_that_the_label_does_not_tell_apart_are_unknown() -> None:
    fleet = (resource("0x1", name="web"), resource("0x2", name="web"), resource("0x3", name=None))

    readings, _ = asked(vector(("web", "0")), condition(Match.NAME), *fleet)

    assert [
        "promql: ambiguous, other machines have the same name",
        "promql: ambiguous, other machines have the same name",
        "promql: has no name to match series by",
    ] == [reading.says for reading in readings]


def test_without_a_prometheus_nothing_is_known() -> None:
    (reading,), asked_for = asked(vector(("203.0.113.7", "0")), condition(), prometheus_url=None)

    assert (None, []) == (reading.holds, asked_for)
