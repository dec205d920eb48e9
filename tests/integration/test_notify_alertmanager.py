"""Alertmanager and the dead man's switch over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Severity, Telling
from fluence_costwatch.notify.alertmanager import Alertmanager
from fluence_costwatch.notify.dead_man import ping
from tests.builders import at
from tests.servers.webhook import Webhook, webhook

NOW = at("2026-03-12 09:30")


@pytest.fixture(name="hook")
def _hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


def alert(**facts: Any) -> Alert:
    plain: dict[str, Any] = {
        "id": "a1",
        "fingerprint": "0123456789abcdef",
        "kind": "idle",
        "severity": Severity.WARNING,
        "state": AlertState.FIRING,
        "account": "main",
        "resource_id": "0xweb",
        "rule": "quiet",
        "name": "web",
        "summary": "web is idle since 10 March",
        "means": "It costs $0.90 a day.",
        "advice": "Delete it.",
        "telling": Telling.STATE,
        "group": "",
        "level": Decimal(0),
        "cost_per_day": None,
        "facts": (),
        "since": at("2026-03-10 08:00"),
        "fired_at": at("2026-03-11 08:00"),
    }
    return Alert(**(plain | facts))


def test_alertmanager_is_told_what_fires_and_what_has_ended(hook: Webhook) -> None:
    ended = alert(
        id="a2",
        kind="budget",
        severity=Severity.CRITICAL,
        state=AlertState.RESOLVED,
        account="",
        resource_id=None,
        rule="team-a",
        resolved_at=at("2026-03-12 09:29"),
        resolved_because="A new month began.",
    )
    pending = alert(id="a3", state=AlertState.PENDING, fired_at=None)
    manager = Alertmanager(f"{hook.url}/prefix/", clock=lambda: NOW, public_url="https://costwatch.example.com")

    assert None is manager.tell((alert(), ended, pending), now=NOW)

    (posted,) = hook.requests
    assert ("POST", "/prefix/api/v2/alerts") == (posted.method, posted.path)
    assert [
        {
            "labels": {
                "alertname": "Idle",
                "severity": "warning",
                "account": "main",
                "resource_id": "0xweb",
                "rule": "quiet",
            },
            "annotations": {
                "summary": "web is idle since 10 March",
                "description": "It costs $0.90 a day. Delete it.",
            },
            "startsAt": "2026-03-11T08:00:00.000000Z",
            "endsAt": "2026-03-12T09:50:00.000000Z",
            "generatorURL": "https://costwatch.example.com",
        },
        {
            "labels": {"alertname": "Budget", "severity": "critical", "rule": "team-a"},
            "annotations": {
                "summary": "web is idle since 10 March",
                "description": "It costs $0.90 a day. Delete it. A new month began.",
            },
            "startsAt": "2026-03-11T08:00:00.000000Z",
            "endsAt": "2026-03-12T09:29:00.000000Z",
            "generatorURL": "https://costwatch.example.com",
        },
    ] == posted.json


def test_nothing_is_posted_where_nothing_fires(hook: Webhook) -> None:
    assert None is Alertmanager(hook.url, clock=lambda: NOW).tell((), now=NOW)
    assert [] == hook.requests


def test_a_failing_alertmanager_is_an_error_text(hook: Webhook) -> None:
    hook.status, hook.body = 503, b"starting"

    error = Alertmanager(hook.url, clock=lambda: NOW).tell((alert(),), now=NOW)

    assert "POST to Alertmanager was answered with 503 (starting)" == error


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[", "ftp://x"])
def test_an_alertmanager_that_is_not_there_is_an_error_text(url: str) -> None:
    assert Alertmanager(url, clock=lambda: NOW).tell((alert(),), now=NOW)


def test_a_silent_alertmanager_does_not_hold_us(hook: Webhook) -> None:
    hook.mode = "hang"

    error = Alertmanager(hook.url, clock=lambda: NOW, deadline=timedelta(seconds=0.3)).tell((alert(),), now=NOW)

    assert "No complete answer to POST to Alertmanager in time" == error


def test_a_ping_reaches_the_switch(hook: Webhook) -> None:
    assert None is ping(f"{hook.url}/hunter2secret", clock=lambda: NOW)
    assert [("GET", "/hunter2secret")] == [(posted.method, posted.path) for posted in hook.requests]


def test_a_failed_ping_says_why_without_the_url(hook: Webhook) -> None:
    hook.status, hook.body = 404, b"no /hunter2secret here"

    assert "The dead man's ping was answered with 404 (no /*** here)" == ping(
        f"{hook.url}/hunter2secret", clock=lambda: NOW
    )


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/hunter2secret", "hunter2secret", "http://[hunter2secret", "ftp://hunter2secret"]
)
def test_a_switch_that_is_not_there_is_an_error_text_without_the_url(url: str) -> None:
    error = ping(url, clock=lambda: NOW)

    assert error is not None
    assert "hunter2" not in error
