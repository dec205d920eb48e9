"""What stands beside the marketplace in a demo: exporters that grow as they were told, a chat, somebody who presses buttons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import pytest

from fluence_costwatch.core.idle.rules import Condition, Signal
from fluence_costwatch.signals import MachineSignals
from fluence_costwatch.signals.exposition import counters_in
from fluence_costwatch.signals.rates import busy_ratio, bytes_per_second
from fluence_costwatch.simulator import exporters, inbox, press_button
from fluence_costwatch.simulator.exporters import BUSY, IDLE, Pace, Paces, counters
from tests.builders import resource
from tests.servers.webhook import webhook

MINUTE = timedelta(minutes=1)
QUIET_LATER: Paces = (*BUSY, Pace(10 * MINUTE, 0.0, 0.0))


def asked(method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, parts.path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("paces", "since", "busy", "rate"),
    [
        pytest.param(IDLE, 5 * MINUTE, 0.004, 90, id="idle"),
        pytest.param(BUSY, 5 * MINUTE, 0.42, 180_000, id="busy"),
        pytest.param(QUIET_LATER, 8 * MINUTE, 0.42, 180_000, id="busy, before it falls quiet"),
        pytest.param(QUIET_LATER, 9.5 * MINUTE, 0.21, 90_000, id="half of the time busy"),
        pytest.param(QUIET_LATER, 11 * MINUTE, 0.0, 0, id="quiet"),
    ],
)
def test_counters_grow_by_the_pace_of_the_machine(paces: Paces, since: timedelta, busy: float, rate: float) -> None:
    before, after = (
        counters_in(counters(paces, after=moment, booted_at=7.0).encode()) for moment in (since, since + MINUTE)
    )

    assert pytest.approx(busy, abs=1e-6) == busy_ratio(before, after)
    assert pytest.approx(rate, abs=0.1) == bytes_per_second(before, after, elapsed=MINUTE)
    assert 7.0 == after.booted_at


def test_each_machine_has_its_own_page_whatever_its_name_is() -> None:
    hostile = "<b>Zoë</b> \x1b[31m/../x"
    seconds: Iterator[float] = iter([0.0, 60.0, 60.0])
    with exporters({hostile: IDLE}, clock=lambda: next(seconds)) as url:
        idle = asked("GET", f"{url}/{quote(hostile, safe='')}/metrics")
        busy = asked("GET", f"{url}/any-other/metrics")
        elsewhere = asked("GET", f"{url}/metrics")
        written = asked("POST", f"{url}/any-other/metrics", b"x")

    assert counters(IDLE, after=MINUTE, booted_at=0) == idle[1].decode()
    assert counters(BUSY, after=MINUTE, booted_at=0) == busy[1].decode()
    assert [200, 200, 404, 404] == [status for status, _ in (idle, busy, elsewhere, written)]


def test_signals_take_them_for_node_exporters() -> None:
    seconds: Iterator[float] = iter([0.0, *[60.0] * 2, *[120.0] * 2])
    monotonic: Iterator[float] = iter([float(n) for n in range(0, 100, 10)])
    condition = Condition(Signal.CPU, below=Decimal("0.03"))
    machines = (resource("0xa", name="sleeper"), resource("0xb", name="worker"))
    with exporters({"sleeper": IDLE}, clock=lambda: next(seconds)) as url:
        signals = MachineSignals(
            prometheus_url=None,
            node_exporter_url=f"{url}/{{name}}/metrics",
            timeout=timedelta(seconds=5),
            overrides={},
            interval=timedelta(minutes=5),
            clock=lambda: datetime(2026, 3, 1, tzinfo=UTC),
            monotonic=lambda: next(monotonic),
        )
        signals.gather([condition], machines, now=datetime(2026, 3, 1, tzinfo=UTC))
        said = signals.gather([condition], machines, now=datetime(2026, 3, 1, tzinfo=UTC))
        signals.close()

    assert [True, False] == [said[machine.identity, condition].holds for machine in machines]


def test_a_chat_hands_on_title_and_text_and_refuses_what_is_neither() -> None:
    taken: list[tuple[str, str]] = []
    with inbox(lambda title, text: taken.append((title, text))) as url:
        first = asked("POST", f"{url}/", b'{"title": "[WARN] idle", "message": "since\\nnoon", "type": "warning"}')
        others = [asked("POST", f"{url}/", body)[0] for body in (b"", b"[]", b'{"title": "alone"}')]

    assert 200 == first[0]
    assert [400, 400, 400] == others
    assert [("[WARN] idle", "since\nnoon")] == taken


def test_a_button_is_pressed_after_its_page_was_opened_with_the_token_of_the_link() -> None:
    with webhook() as page:
        press_button(f"{page.url}/deletions/d1?token=abc", reason="still needed")

        assert [("GET", ""), ("POST", "token=abc&reason=still+needed")] == [
            (each.method, each.body.decode()) for each in page.requests
        ]

        page.status = 404
        with pytest.raises(OSError, match="404"):
            press_button(f"{page.url}/deletions/d1?token=abc", reason="still needed")
