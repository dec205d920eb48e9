"""node_exporters scraped over real HTTP: what they say, and all the ways in which they say nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.rules import Condition, Signal
from fluence_costwatch.core.resources import Identity, Kind, Resource
from fluence_costwatch.signals import MachineSignals
from fluence_costwatch.signals.addresses import NoAddress, exporter_url
from tests.builders import at, resource
from tests.servers.exporters import Answer, Exporters, Line, exporters, exposition

CPU = Condition(Signal.CPU, below=Decimal("0.03"))
NETWORK = Condition(Signal.NETWORK, below=Decimal(2048))
NOW = at("2026-03-03 12:00")
LOOPBACK = "127.0.0.1"


class Ticks:
    """A clock of seconds that goes forward when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def machine(id: str = "vm-1", **facts: Any) -> Resource:
    return resource(id, **({"public_ip": LOOPBACK, "name": "web"} | facts))


def signals(server: Exporters, ticks: Callable[[], float], **options: Any) -> MachineSignals:
    plain: dict[str, Any] = {
        "prometheus_url": None,
        "node_exporter_url": f"http://{{public_ip}}:{server.address.rpartition(':')[2]}/{{id}}",
        "timeout": timedelta(seconds=2),
        "overrides": {},
        "interval": timedelta(minutes=5),
        "clock": lambda: datetime.now(UTC),
        "monotonic": ticks,
    }
    return MachineSignals(**plain | options)


def says(readings: Mapping[tuple[Identity, Condition], Reading], condition: Condition, id: str = "vm-1") -> Reading:
    return readings[Identity("main", id), condition]


def twice(
    first: Answer, second: Answer, *, apart: float = 300.0, condition: Condition = CPU, **options: Any
) -> tuple[bool | None, str]:
    """What a condition says after two scrapes, so many seconds apart."""
    ticks = Ticks()
    with exporters({"/vm-1": first}) as server:
        watch = signals(server, ticks, **options)
        watch.gather([condition], [machine()], now=NOW)
        server.answers["/vm-1"] = second
        ticks.seconds += apart
        reading = says(watch.gather([condition], [machine()], now=NOW), condition)
        watch.close()
    # The port is a free one.
    return reading.holds, reading.says.replace(server.address, "it")


PLAIN = exposition(busy=10, idle=90)


@pytest.mark.parametrize(
    ("first", "second", "condition", "expected"),
    [
        pytest.param(PLAIN, exposition(busy=11, idle=389), CPU, (True, "cpu 0.3% busy over 5 min"), id="idle"),
        pytest.param(PLAIN, exposition(busy=160, idle=240), CPU, (False, "cpu 50.0% busy over 5 min"), id="busy"),
        pytest.param(PLAIN, exposition(busy=19, idle=381), CPU, (False, "cpu 3.0% busy over 5 min"), id="not below"),
        pytest.param(
            PLAIN,
            exposition(busy=11, idle=389, received=3000, sent=3000),
            NETWORK,
            (True, "network 20 B/s over 5 min"),
            id="little traffic, that of virtual devices left out",
        ),
        pytest.param(
            PLAIN,
            exposition(busy=11, idle=389, sent=3e6),
            NETWORK,
            (False, "network 10000 B/s over 5 min"),
            id="traffic",
        ),
        pytest.param(
            exposition(busy=1, idle=9, cpus=2),
            exposition(busy=2, idle=208, cpus=2),
            CPU,
            (True, "cpu 0.5% busy over 5 min"),
            id="several cpus",
        ),
    ],
)
def test_two_scrapes_say_what_happened_between_them(
    first: str, second: str, condition: Condition, expected: tuple[bool, str]
) -> None:
    assert expected == twice(first, second, condition=condition)


def hung(line: Line) -> None:
    line.wait(60)


def drip(line: Line) -> None:
    line.send(b"HTTP/1.0 200 OK\r\n\r\n")
    while not line.stopping:
        line.send(b"# nothing\n")
        line.wait(0.1)


def huge(line: Line) -> None:
    line.send(b"HTTP/1.0 200 OK\r\n\r\n")
    for _ in range(200):
        line.send(b"# a comment\n" * 8192)


def cut(line: Line) -> None:
    line.send(b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n" + PLAIN.encode())


CPU_LINE = 'node_cpu_seconds_total{cpu="0",mode="idle"} '


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param(exposition(busy=5, idle=400), "cpu: shows counters that were reset", id="counters were reset"),
        pytest.param(PLAIN, "cpu: shows counters that stand still", id="counters stand still"),
        pytest.param(exposition(busy=11, idle=389, cpus=2), "cpu: shows other processors than before", id="other cpus"),
        pytest.param(exposition(busy=11, idle=389, booted=1_700_000_100.0), "cpu: has been restarted", id="restarted"),
        pytest.param("", "cpu: shows other processors than before", id="an empty body"),
        pytest.param("<html>", "cpu: shows other processors than before", id="another page"),
        pytest.param(CPU_LINE + "NaN", "cpu: the answer of it holds a counter that is no number", id="NaN"),
        pytest.param(CPU_LINE + "-1", "cpu: the answer of it holds a counter that is no number", id="negative"),
        pytest.param(CPU_LINE + "1_0 x", "cpu: the answer of it cannot be read", id="garbage after the value"),
        pytest.param('node_cpu_seconds_total{cpu="0} 1', "cpu: the answer of it cannot be read", id="an open quote"),
        pytest.param(f"{CPU_LINE}1\n{CPU_LINE}2", "cpu: the answer of it holds a series twice", id="a series twice"),
        pytest.param(b"\xff\xfe", "cpu: the answer of it is not text", id="no text"),
        pytest.param((500, PLAIN), "cpu: status 500 from it", id="an error"),
        pytest.param((404, PLAIN), "cpu: status 404 from it", id="not found"),
        pytest.param(huge, "cpu: no answer from it", id="a body without end"),
        pytest.param(cut, "cpu: no answer from it", id="a body that is cut off"),
        pytest.param(hung, "cpu: no answer from it", id="silence"),
        pytest.param(drip, "cpu: no answer from it", id="a byte now and then"),
    ],
)
def test_what_cannot_be_known_is_unknown_and_says_why(second: Answer, expected: str) -> None:
    assert (None, expected) == twice(PLAIN, second, timeout=timedelta(seconds=0.5))


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        (0.1, "cpu: was scraped again too soon to tell"),
        (-5.0, "cpu: was scraped again too soon to tell"),
        (751.0, "cpu: was not scraped for too long to compare"),
    ],
)
def test_scrapes_too_close_or_too_far_apart_are_not_compared(apart: float, expected: str) -> None:
    assert (None, expected) == twice(PLAIN, exposition(busy=11, idle=389), apart=apart)


def test_other_network_devices_are_unknown() -> None:
    second = exposition(busy=11, idle=389, devices=("eth0", "eth1"))

    assert (None, "network: shows other network devices than before") == twice(PLAIN, second, condition=NETWORK)


def test_a_machine_without_a_network_device_is_unknown() -> None:
    texts = [exposition(busy=1, idle=idle, devices=()) for idle in (9, 309)]

    assert (None, "network: shows no network device") == twice(*texts, condition=NETWORK)


def test_a_first_scrape_says_nothing_and_a_lost_one_makes_the_next_a_first() -> None:
    ticks = Ticks()
    with exporters({"/vm-1": PLAIN}) as server:
        watch = signals(server, ticks)
        said = []
        answers: tuple[Answer, ...] = (PLAIN, exposition(busy=10, idle=390), (503, ""), exposition(busy=10, idle=900))
        for answer in answers:
            server.answers["/vm-1"] = answer
            ticks.seconds += 300
            said.append(says(watch.gather([CPU], [machine()], now=NOW), CPU).says.replace(server.address, "it"))
        watch.close()

    assert [
        "cpu: was scraped for the first time, the next look will tell",
        "cpu 0.0% busy over 5 min",
        "cpu: status 503 from it",
        "cpu: was scraped for the first time, the next look will tell",
    ] == said


def test_redirects_are_not_followed() -> None:
    def elsewhere(line: Line) -> None:
        line.send(b"HTTP/1.0 302 Found\r\nLocation: /secret\r\n\r\n")

    with exporters({"/vm-1": elsewhere, "/secret": PLAIN}) as server:
        watch = signals(server, Ticks())
        reading = says(watch.gather([CPU], [machine()], now=NOW), CPU)
        watch.close()

    assert f"cpu: status 302 from {server.address}" == reading.says
    assert ["/vm-1"] == server.asked


def test_a_fleet_of_dead_machines_is_bounded_in_time_and_hides_nobody_for_good() -> None:
    fleet = [machine(f"vm-{number}") for number in range(150)]
    ticks = Ticks()
    dead: dict[str, Answer] = {f"/vm-{number}": hung for number in range(149)}
    with exporters(dead) as server:
        watch = signals(server, ticks, timeout=timedelta(seconds=0.4))
        took, said = [], []
        for look in range(5):
            server.answers["/vm-149"] = exposition(busy=10, idle=90 + 300 * look)
            ticks.seconds += 300
            started = time.monotonic()
            readings = watch.gather([CPU, NETWORK], fleet, now=NOW)
            took.append(time.monotonic() - started)
            said.append(says(readings, CPU, "vm-149").says)
            assert 300 == len(readings)
            assert readings[Identity("main", "vm-0"), CPU].holds is None
        watch.close()

    assert max(took) < 2.0
    assert "cpu: was not asked or did not answer in time" == said[0]
    assert "cpu 0.0% busy over 5 min" == said[-1]


def test_one_scrape_serves_all_conditions() -> None:
    other = Condition(Signal.CPU, below=Decimal("0.5"))
    with exporters({"/vm-1": PLAIN}) as server:
        watch = signals(server, Ticks())
        watch.gather([CPU, NETWORK, other], [machine()], now=NOW)
        watch.close()

    assert ["/vm-1"] == server.asked


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"public_ip": None}, "cpu: has no public address", id="no address"),
        pytest.param({"public_ip": "web.example"}, "cpu: has a public address that cannot be used", id="a name"),
        pytest.param({"public_ip": "127.0.0.1:80/x?"}, "cpu: has a public address that cannot be used", id="an URL"),
        pytest.param({"public_ip": "169.254.169.254"}, "cpu: has a public address that cannot be used", id="metadata"),
        pytest.param({"kind": Kind.STORAGE}, "cpu: is no machine", id="a disk"),
    ],
)
def test_what_cannot_be_asked_is_unknown_and_nobody_is_asked(facts: dict[str, Any], expected: str) -> None:
    with exporters({}) as server:
        watch = signals(server, Ticks())
        reading = says(watch.gather([CPU], [machine(**facts)], now=NOW), CPU)
        watch.close()

    assert (None, expected, []) == (reading.holds, reading.says, server.asked)


@pytest.mark.parametrize(
    ("template", "facts", "expected"),
    [
        ("http://{public_ip}:9100/metrics", {"public_ip": "10.0.0.7"}, "http://10.0.0.7:9100/metrics"),
        ("http://{public_ip}:9100/metrics", {"public_ip": "2001:db8::7"}, "http://[2001:db8::7]:9100/metrics"),
        ("http://{name}.internal:9100/metrics", {"name": "web-1"}, "http://web-1.internal:9100/metrics"),
        (
            "https://proxy/{name}?id={id}",
            {"name": "a/../b?c#d {id}"},
            "https://proxy/a%2F..%2Fb%3Fc%23d%20%7Bid%7D?id=vm-1",
        ),
    ],
)
def test_templates_are_filled_with_harmless_text(template: str, facts: dict[str, Any], expected: str) -> None:
    assert expected == exporter_url(machine(**facts), template=template, overrides={})


@pytest.mark.parametrize(
    "name", ["evil.example", "a/b", "user@host", "a:1", "", "-a", "a\n", "ä", "a" * 64, None, "[::1]"]
)
def test_a_name_never_chooses_the_server(name: str | None) -> None:
    with pytest.raises(NoAddress):
        exporter_url(machine(name=name), template="http://{name}:9100/metrics", overrides={})


@pytest.mark.parametrize(
    "text", ["fe80::1", "fe80::1%eth0", "::", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254", " "]
)
def test_an_address_that_no_machine_has_is_refused(text: str) -> None:
    with pytest.raises(NoAddress):
        exporter_url(machine(public_ip=text), template="http://{public_ip}:9100/metrics", overrides={})


def test_overrides_go_by_id_then_by_name() -> None:
    overrides = {"vm-1": "http://a/metrics", "web": "http://b/metrics"}

    def url(id: str, name: str) -> str:
        return exporter_url(machine(id, name=name), template="http://c/", overrides=overrides)

    assert ("http://a/metrics", "http://b/metrics", "http://c/") == (
        url("VM-1", "web"),
        url("vm-2", "web"),
        url("vm-2", "db"),
    )
