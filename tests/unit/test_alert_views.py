"""Alerts as people and scripts see them."""

from __future__ import annotations

from datetime import timedelta

from fluence_costwatch.core.alerts.alert import AlertState
from fluence_costwatch.core.alerts.alert_views import alerts_view
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.views import shapes
from tests.alerts import NOW, finding, fired, silence
from tests.known import Facts, at, known_account, known_resource, watched

FACTS = Facts(looks=(known_account(),), records=(known_resource(first_seen=at("2026-03-01 12:00")),))
DISK = fired(finding(resource_id="disk-1", rule="orphan", summary="a disk"))
BUDGET = fired(
    finding(kind="budget", account="", rule="team-a: 80% of 50.000000 spent", facts=(("budget", "team-a"),)),
    ago=timedelta(hours=2),
)
KEY = fired(finding(kind="key", rule="vms-v3", severity=Severity.CRITICAL))
OVER = fired(finding(rule="over"), state=AlertState.RESOLVED, resolved_at=NOW)


def test_what_fires_comes_first_and_of_this_the_gravest_and_then_the_oldest() -> None:
    waiting = fired(finding(rule="waiting", severity=Severity.CRITICAL), state=AlertState.PENDING)
    view = alerts_view(FACTS, [OVER, waiting, DISK, KEY, BUDGET], watched=watched(), now=NOW)

    assert ["main vms-v3", "team-a", "main/disk-1", "main waiting", "main over"] == [
        each.subject for each in view.alerts
    ]


def test_what_is_silenced_says_by_whom_and_until_when() -> None:
    long, short = silence(rule="orphan"), silence(account="main", until=NOW + timedelta(hours=1))
    view = alerts_view(FACTS, [DISK, BUDGET], [short, long], watched=watched(), now=NOW)

    assert {"main/disk-1": long, "team-a": None} == {each.subject: each.silence for each in view.alerts}


def test_accounts_with_too_short_a_history_are_named_with_the_end_of_their_learning() -> None:
    view = alerts_view(FACTS, [], watched=watched("main", "new"), now=NOW)

    assert (("main", at("2026-03-09 05:55")), ("new", None)) == view.learning
    assert () == alerts_view(FACTS, [], watched=watched(), now=at("2026-03-09 05:55")).learning


def test_the_json_of_alerts_is_what_scripts_rely_on() -> None:
    view = alerts_view(FACTS, [DISK, OVER], watched=watched(), now=NOW)

    first, last = shapes.alerts(view)["alerts"]
    assert {
        "id": DISK.id,
        "fingerprint": DISK.fingerprint,
        "kind": "waste",
        "severity": "warning",
        "state": "firing",
        "subject": "main/disk-1",
        "summary": "a disk",
        "since": "2026-03-03T11:00:00Z",
        "resolved_at": None,
    } == first
    assert ("resolved", "2026-03-03T12:00:00Z") == (last["state"], last["resolved_at"])
