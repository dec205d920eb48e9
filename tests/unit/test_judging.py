"""What is found in what is remembered: the watch itself, single resources, runways and waste; and when it is known to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.alerts.judging import Policy, judge
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Kind
from fluence_costwatch.ports import AccountRecord, ResourceRecord, TopUp
from tests.alerts import finding, fired
from tests.known import NOW, Facts, at, known_account, known_balance, known_resource, metered, watched

FIVE_MINUTES = timedelta(minutes=5)


class Remembered(Facts):
    """Facts with nothing spent, unless a test says otherwise."""

    def spent(self, **_: Any) -> Mapping[Any, Usd]:
        return {}


def judged(*alerts: Alert, noticed: Judged | None = None, policy: Policy | None = None, **facts: Any) -> Judged:
    """What is judged of these facts; account "main" answered five minutes ago."""
    known = Remembered(**({"looks": (known_account(),)} | facts))
    return judge(
        known,
        policy=policy or Policy(watched()),
        alerts=alerts,
        noticed=noticed or Judged(),
        statuses=(),
        now=NOW,
    )


def shown(findings: Iterable[Finding]) -> list[tuple[str, str, str, str | None]]:
    return [(one.kind, one.severity, one.rule, one.resource_id) for one in findings]


def reasons(endings: Sequence[Ending]) -> list[str]:
    return [ending.reason for ending in endings]


LOOKS = {
    "unavailable": ("api", "warning", "vms-v3", None),
    "unexpected": ("api", "warning", "vms-v3", None),
    "incomplete": ("api", "warning", "vms-v3", None),
    "refused": ("key", "critical", "vms-v3", None),
    "suspicious": ("suspicious", "warning", "vms-v3", None),
}


@pytest.mark.parametrize("outcome", LOOKS)
def test_a_look_that_brought_nothing_is_found(outcome: str) -> None:
    found = judged(looks=(known_account(outcome=outcome, detail="timed out"),)).findings

    assert [LOOKS[outcome]] == shown(found)
    assert "vms-v3 of account 'main'" in found[0].summary
    assert found[0].means
    assert found[0].advice


def test_a_failed_look_is_told_after_the_patience_and_a_refused_key_after_about_a_poll() -> None:
    down, locked = (judged(looks=(known_account(outcome=each),)).findings[0] for each in ("unavailable", "refused"))

    assert (3 * FIVE_MINUTES, FIVE_MINUTES) == (down.patience, locked.patience)


def test_an_api_that_is_silent_for_a_day_is_critical() -> None:
    (found,) = judged(looks=(known_account(outcome="unavailable", last_success="2026-03-02 11:59"),)).findings

    assert Severity.CRITICAL == found.severity


def test_what_was_not_looked_at_for_long_is_stale_unless_the_last_look_says_why() -> None:
    old = "2026-03-03 11:44"

    assert [("stale", "warning", "vms-v3", None)] == shown(judged(looks=(known_account(last_success=old),)).findings)
    assert ["api"] == [
        one.kind for one in judged(looks=(known_account(last_success=old, outcome="unavailable"),)).findings
    ]


def looks(outcome: str, **facts: Any) -> tuple[AccountRecord, ...]:
    return (known_account(outcome=outcome, **facts),)


def about_looks(kind: str, **facts: Any) -> Alert:
    return fired(finding(kind=kind, rule="vms-v3", **facts))


@pytest.mark.parametrize(
    ("kind", "outcome", "ended"),
    [
        pytest.param("api", "ok", ["it answers again, after 1 h"], id="an API that answers"),
        pytest.param(
            "api", "suspicious", ["it answers again, after 1 h"], id="an API that answers with too short a list"
        ),
        pytest.param("api", "refused", ["it answers again, but refuses the key, after 1 h"], id="an API that refuses"),
        pytest.param("api", "unavailable", [], id="an API that does not answer"),
        pytest.param("key", "ok", ["the key is accepted again, after 1 h"], id="a key that is accepted"),
        pytest.param("key", "unavailable", [], id="a key of which nothing is known meanwhile"),
        pytest.param("suspicious", "ok", ["the list shows all of them again, after 1 h"], id="a list that is whole"),
        pytest.param("suspicious", "unavailable", [], id="a list that does not come"),
        pytest.param("stale", "ok", ["it is looked at again, after 1 h"], id="an account that is looked at"),
        pytest.param(
            "stale", "unavailable", ["it is looked at again, though without success, after 1 h"], id="one in vain"
        ),
    ],
)
def test_an_alert_about_looks_ends_only_where_a_look_shows_it(kind: str, outcome: str, ended: list[str]) -> None:
    assert ended == reasons(judged(about_looks(kind), looks=looks(outcome)).endings)


def test_a_short_list_that_is_believed_in_the_end_says_so() -> None:
    short = about_looks("suspicious", facts=(("listed", "9"),))

    assert ["the list stayed so for long enough to be believed; it shows 1 resource now, after 1 h"] == reasons(
        judged(short, looks=looks("ok"), records=(known_resource(),)).endings
    )


def test_how_many_a_short_list_lacks_is_said() -> None:
    records = tuple(known_resource(f"0x{n}", absent_since=at("2026-03-03 11:56") if n else None) for n in range(3))

    (found,) = judged(looks=looks("suspicious"), records=records).findings
    assert "The list of vms-v3 of account 'main' lacks 2 of 3 resources" == found.summary


def disk(id: str = "disk-1", *, serves: tuple[str, ...] | None = (), **facts: Any) -> ResourceRecord:
    return metered(
        id, **{"kind": Kind.STORAGE, "price": "0.01", "status": "ready"} | facts, of_resource={"attached_to": serves}
    )


UNKNOWN = known_resource(status="Dancing")
UNPRICED = known_resource(price=None)
UNREADABLE = known_resource(of_resource={"problems": ("createdAt: 'x' is not a time",)})
SMALL = known_resource(status="SmallBalance")
HOLDING = known_resource(status="Terminated", billed=False, of_resource={"reserved": Usd.parse("1.20")})


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(known_resource(), [], id="nothing of a machine that runs"),
        pytest.param(UNKNOWN, [("status", "warning", "", "0xa1")], id="an unknown status"),
        pytest.param(UNREADABLE, [("status", "warning", "values", "0xa1")], id="a value that cannot be read"),
        pytest.param(UNPRICED, [("price", "warning", "", "0xa1")], id="no price"),
        pytest.param(
            known_resource(price=None, billed=False, status="Stopped"), [], id="no price of what is not billed"
        ),
        pytest.param(SMALL, [("runway", "warning", "small_balance", "0xa1")], id="a small balance"),
        pytest.param(disk(), [("waste", "warning", "orphan", "disk-1")], id="a disk that serves nothing"),
        pytest.param(metered(status="suspended"), [("waste", "warning", "not_running", "vm-1")], id="one suspended"),
        pytest.param(HOLDING, [("waste", "warning", "reserved", "0xa1")], id="a record that holds money"),
        pytest.param(known_resource(status="Dancing", presence=Presence.MISSING), [], id="nothing of what is missing"),
    ],
)
def test_what_is_found_of_a_resource(record: ResourceRecord, expected: list[tuple[str, str, str, str | None]]) -> None:
    found = judged(records=(record,)).findings

    assert expected == shown(found)
    assert all(one.means and one.advice and one.telling is not Telling.EVENT for one in found)


def test_waste_says_what_it_costs_a_day_and_must_last_for_an_hour() -> None:
    (found,) = judged(records=(disk(name="data"),)).findings

    assert "Disk 'data' (disk-1) serves no machine and costs $0.24 a day" == found.summary
    assert (Decimal("0.24"), timedelta(hours=1)) == (found.cost_per_day, found.patience)


def alert_of(record: ResourceRecord) -> Alert:
    """The alert of what is found of a resource."""
    (found,) = judged(records=(record,)).findings
    return fired(found)


GONE: dict[str, Any] = {"presence": Presence.GONE}


@pytest.mark.parametrize(
    ("alert", "record", "ended"),
    [
        pytest.param(UNKNOWN, known_resource(), ["its status is Active now, which is known"], id="a known status"),
        pytest.param(UNKNOWN, UNKNOWN, [], id="a status that goes on"),
        pytest.param(UNKNOWN, known_resource(status="Dancing", **GONE), ["it is gone"], id="a status of what is gone"),
        pytest.param(UNKNOWN, known_resource(presence=Presence.MISSING), [], id="a status of what is missing"),
        pytest.param(UNKNOWN, None, [], id="a status of what nobody knows any more"),
        pytest.param(UNPRICED, known_resource(), ["its price is known"], id="a price that is known"),
        pytest.param(UNREADABLE, known_resource(), ["the list can be read again"], id="values that can be read"),
        pytest.param(SMALL, known_resource(), ["its status is Active now"], id="a balance that was filled"),
        pytest.param(disk(), disk(serves=("vm-1",)), ["it serves a machine again"], id="a disk in use"),
        pytest.param(disk(), disk(serves=None), [], id="a disk of which the list does not say what it serves"),
        pytest.param(disk(), disk(**GONE), ["it is gone"], id="a disk that was removed"),
        pytest.param(disk(), disk(retired=True), ["its generation is no longer watched"], id="a retired generation"),
        pytest.param(metered(status="suspended"), metered(), ["it is launched now"], id="a machine that runs again"),
        pytest.param(HOLDING, known_resource(), ["nothing is held back any more"], id="money that was given back"),
    ],
)
def test_when_it_is_known_to_end(alert: ResourceRecord, record: ResourceRecord | None, ended: list[str]) -> None:
    serving = (metered(),) if record is not None and record.resource.kind is Kind.STORAGE else ()
    records = serving if record is None else (*serving, record)

    assert ended == reasons(judged(alert_of(alert), records=records).endings)


HOURLY = metered(price="1")


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param("100", [], id="more than three days"),
        pytest.param("71", [("runway", "warning", "", None)], id="less than three days"),
        pytest.param("20", [("runway", "critical", "", None)], id="less than one day"),
        pytest.param("-3", [("runway", "critical", "", None)], id="in debt"),
    ],
)
def test_a_balance_that_ends_soon(left: str, expected: list[tuple[str, str, str, str | None]]) -> None:
    assert expected == shown(judged(records=(HOURLY,), left=(known_balance(CPU=left),)).findings)


def test_a_runway_says_when_it_ends_and_what_goes_then() -> None:
    (found,) = judged(records=(HOURLY, disk(serves=("vm-1",))), left=(known_balance(CPU="50.5"),)).findings

    assert "Account 'main' runs out of money on 2026-03-05 13:55 UTC ($50.50 left)" == found.summary
    assert "machines and addresses from 2026-03-05 18:5" in found.means
    assert "and disks" in found.means


def test_a_runway_ends_where_it_is_clearly_longer() -> None:
    short = fired(judged(records=(HOURLY,), left=(known_balance(CPU="70"),)).findings[0])

    def again(left: str, **facts: Any) -> Judged:
        return judged(short, records=(HOURLY,), left=(known_balance(CPU=left),), **facts)

    assert ["runway"] == [one.kind for one in again("74").findings]
    topped_up = again("100", came_in=(TopUp("t1", at("2026-03-03 11:30"), Decimal(30)),))
    assert [[], ["topped up with $30.00: $100.00 now lasts until 2026-03-07 15:55 UTC"]] == [
        list(topped_up.findings),
        reasons(topped_up.endings),
    ]
    assert (Judged(), Judged()) == (judged(short, records=(HOURLY,)), judged(short))


def test_what_is_no_longer_watched_ends() -> None:
    elsewhere = fired(finding(kind="waste", account="old", resource_id="disk-1"))
    other_list = fired(finding(kind="api", rule="cloud-v2"))

    assert ["account 'old' is no longer watched", "cloud-v2 of account 'main' is no longer watched"] == reasons(
        judged(elsewhere, other_list).endings
    )


def test_an_account_that_has_yet_to_find_its_generations_ends_nothing() -> None:
    policy = Policy(watched("main", generations=()))

    assert () == judged(fired(finding(kind="api", rule="cloud-v2")), policy=policy).endings


def test_what_others_noticed_passes_through_but_for_what_is_judged_here_as_it_goes_on() -> None:
    twins = finding(kind="drift", rule="twin of main/0xb2", telling=Telling.CHANGES)
    seen_by_the_ledger = finding(kind="status", resource_id="0xa1", telling=Telling.EVENT)
    over = Ending("0123456789abcdef", "delivered again")

    passed = judged(noticed=Judged((twins, seen_by_the_ledger), (over,)))

    assert ((twins,), (over,)) == (passed.findings, passed.endings)


def test_nothing_is_told_of_accounts_that_are_not_watched() -> None:
    records = (known_resource(account="old", status="Dancing"),)

    assert Judged() == judged(records=records, looks=(known_account("old", outcome="unavailable"),))


def test_names_in_findings_are_harmless_and_short() -> None:
    hostile = known_resource(name="<!channel>\x1b[31m\u202e" + "x" * 500, status="Dan\ncing")

    (found,) = judged(records=(hostile,)).findings

    assert found.summary.isprintable()
    assert len(found.summary) < 200
