from __future__ import annotations

import gzip
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import KINDS, SEVERITIES, Severity
from fluence_costwatch.core.billing.history import Cause, Doubt, Presence
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict
from fluence_costwatch.core.idle.rules import Condition, Rule, Signal
from fluence_costwatch.core.messages.outbox import Delivery, Draft, OutboxRow
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Identity, Kind
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.metrics.exporter import Exporter, no_drift
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.store import open_store
from tests import deletable, telling
from tests.known import (
    NOW,
    Facts,
    at,
    known_account,
    known_balance,
    known_charge,
    known_resource,
    metered,
    watched,
)
from tests.tools import tool

P = "fluence_costwatch_"
HOSTILE = 'a"b\\c\nd\r\x1b[31m{}, # HELP \u202e \ud83d'


@dataclass(frozen=True, slots=True)
class Remembered(Facts):
    """What is known, with what was judged of it."""

    standing: tuple[Alert, ...] = ()
    messages: tuple[OutboxRow, ...] = ()
    watches: tuple[IdleClock, ...] = ()
    planned: tuple[Deletion, ...] = ()

    def alerts(self) -> Sequence[Alert]:
        return self.standing

    def outbox(self, *, states: Iterable[Delivery] | None = None) -> Sequence[OutboxRow]:
        return [row for row in self.messages if states is None or row.state in states]

    def clocks(self) -> Mapping[tuple[Identity, str], IdleClock]:
        return {(clock.identity, clock.rule): clock for clock in self.watches}

    def deletions(self) -> Sequence[Deletion]:
        return self.planned


FLEET = Remembered(
    (
        known_resource("0xa1", of_resource={"datacenter": "DE-1"}),
        known_resource("0xb2", name=HOSTILE, price=None, presence=Presence.MISSING),
        known_resource("0xc3", status="Terminated", billed=False, of_resource={"reserved": Usd.parse("0.894480")}),
        known_resource("0xd4", presence=Presence.GONE, charged="2"),
    ),
    looks=(known_account(),),
)

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def exporter(
    tallies: Tallies | None = None,
    *,
    accounts: tuple[str, ...] = ("main",),
    drift: Callable[[], Mapping[tuple[str, str], Decimal]] = no_drift,
    **configured: Any,
) -> Exporter:
    return Exporter(
        version="1.2.3",
        watched=lambda: watched(*accounts),
        tallies=tallies or Tallies(),
        size_bytes=lambda: 4096,
        drift=drift,
        **{name: lambda values=values: values for name, values in configured.items()},
    )


def scraped(shown: Exporter) -> Series:
    """What a scrape brings: (name without the prefix, labels) -> value."""
    return {
        (sample.name.removeprefix(P), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(shown.metrics()[0].decode())
        for sample in family.samples
    }


def shown(facts: Remembered, tallies: Tallies | None = None, **configured: Any) -> Series:
    """What a scrape brings where that is known, and budgets, rules and targets are configured so."""
    display = exporter(tallies, **configured)
    display.show(facts, now=NOW)
    return scraped(display)


def of(id: str) -> tuple[tuple[str, str], ...]:
    return (("account", "main"), ("resource_id", id))


MAIN = (("account", "main"),)


def test_each_resource_has_its_figures() -> None:
    series = shown(FLEET)

    assert {
        "resource_price_usd_per_epoch": 0.29816,
        "resource_burn_usd_per_day": 0.29816,
        "resource_charged_usd": 0.59632,
        "resource_paid_until_timestamp_seconds": at("2026-03-03 17:55").timestamp(),
    } == {name: value for (name, labels), value in series.items() if labels == of("0xa1")}


def test_what_is_not_known_has_no_series() -> None:
    series = shown(FLEET)

    assert ("resource_price_usd_per_epoch", of("0xb2")) not in series
    assert ("resource_burn_usd_per_day", of("0xb2")) not in series
    assert ("resource_charged_usd", of("0xb2")) in series


def test_what_is_not_charged_burns_nothing_and_is_paid_until_no_time() -> None:
    series = shown(FLEET)

    assert 0 == series["resource_burn_usd_per_day", of("0xc3")]
    assert ("resource_paid_until_timestamp_seconds", of("0xc3")) not in series


def test_an_account_has_its_sums() -> None:
    doubt = Doubt(Span(at("2026-03-01 17:55"), at("2026-03-02 17:55")), Usd.parse("0.1"), Cause.AFTER_LAST_SIGHT)

    series = shown(Remembered((*FLEET.records, known_resource("0xe5", doubts=(doubt,))), looks=FLEET.looks))

    assert [pytest.approx(4.38528), pytest.approx(0.59632), 0.1, 0.89448, 1.0] == [
        series[name, MAIN] for name in ("charged_usd", "burn_usd_per_day", "uncertain_usd", "reclaimable_usd", "up")
    ]
    assert at("2026-03-03 11:55").timestamp() == series["poll_last_success_timestamp_seconds", MAIN]


def test_resources_are_counted_by_kind_and_status() -> None:
    series = shown(FLEET)

    assert {"Active": 2.0, "Terminated": 1.0} == {
        dict(labels)["status"]: value for (name, labels), value in series.items() if name == "resources"
    }


def test_what_is_gone_vanishes_but_stays_in_the_sum() -> None:
    display = exporter()
    display.show(Remembered((known_resource("0xa1"), known_resource("0xb2")), looks=FLEET.looks), now=NOW)
    assert any(("resource_id", "0xb2") in labels for _, labels in scraped(display))

    display.show(
        Remembered((known_resource("0xa1"), known_resource("0xb2", presence=Presence.GONE)), looks=FLEET.looks), now=NOW
    )

    assert not any(("resource_id", "0xb2") in labels for _, labels in scraped(display))
    assert 1.19264 == scraped(display)["charged_usd", MAIN]


def test_a_hostile_name_arrives_with_all_that_acts_in_it_escaped() -> None:
    series = shown(FLEET)

    assert printable(HOSTILE, limit=200) in {dict(labels).get("name") for _, labels in series}


def test_polls_and_their_failures_are_counted() -> None:
    tallies = Tallies()
    tallies.polled("main", None, duration=timedelta(seconds=2))
    tallies.polled("main", "refused", duration=timedelta(seconds=1.5))

    series = shown(FLEET, tallies)

    assert (2, 1.5) == (series["polls_total", MAIN], series["poll_duration_seconds", MAIN])
    assert {"unavailable": 0.0, "refused": 1.0, "unexpected": 0.0, "incomplete": 0.0} == {
        dict(labels)["reason"]: value for (name, labels), value in series.items() if name == "poll_failures_total"
    }


def test_an_account_that_was_never_looked_at_has_series_too() -> None:
    display = exporter(accounts=("new",))
    display.show(Remembered(), now=NOW)

    series = scraped(display)

    new = (("account", "new"),)
    assert [0, 0, 0, 0] == [
        series[name, new] for name in ("up", "poll_last_success_timestamp_seconds", "polls_total", "charged_usd")
    ]


def test_a_refused_reload_shows() -> None:
    tallies = Tallies()
    assert 1 == shown(FLEET, tallies)["config_last_reload_success", ()]

    tallies.reloaded(ok=False)

    assert 0 == shown(FLEET, tallies)["config_last_reload_success", ()]


def test_the_process_shows_itself_before_anything_was_seen() -> None:
    assert {
        ("build_info", (("version", "1.2.3"),)): 1.0,
        ("config_last_reload_success", ()): 1.0,
        ("database_size_bytes", ()): 4096.0,
    } == scraped(exporter())


def test_a_scrape_hands_out_what_was_rendered() -> None:
    display = exporter()
    display.show(FLEET, now=NOW)

    plain, compressed = display.metrics()

    assert plain is display.metrics()[0]
    assert plain == gzip.decompress(compressed)


def test_every_metric_is_explained_and_none_has_a_created_series() -> None:
    display = exporter()
    display.show(FLEET, now=NOW)

    text = display.metrics()[0].decode()

    assert "_created" not in text
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert names == re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE)
    assert all(name.startswith(P) for name in names)


CLOUD = Remembered(
    (
        metered("vm-1", price="0.5"),
        metered("vm-2", price="0.25", status="suspended"),
        metered("d-1", kind=Kind.STORAGE, price="0.01", status="ready", of_resource={"attached_to": ()}),
        metered("d-2", kind=Kind.STORAGE, price=None, status="ready", of_resource={"attached_to": ()}),
        metered("ip-1", kind=Kind.PUBLIC_IP, price="0.005", status="ready", of_resource={"attached_to": ("vm-1",)}),
    ),
    looks=(known_account(),),
    left=(known_balance(vms="7.65"),),
)


def test_a_metered_account_shows_what_is_left_and_until_when() -> None:
    series = shown(CLOUD)

    # 0.765 an hour: the balance of 11:55 lasts ten hours.
    assert (7.65, at("2026-03-03 21:55").timestamp()) == (
        series["balance_usd", MAIN],
        series["runway_timestamp_seconds", MAIN],
    )


def test_without_a_balance_there_is_no_runway_and_a_balance_that_lasts_has_no_end() -> None:
    assert [] == [name for name, _ in shown(FLEET) if name in ("balance_usd", "runway_timestamp_seconds")]

    lasting = shown(Remembered(looks=FLEET.looks, left=(known_balance(vms="-1.5", promo="2"),)))

    assert 0.5 == lasting["balance_usd", MAIN]
    assert ("runway_timestamp_seconds", MAIN) not in lasting


def test_waste_is_summed_by_its_ground() -> None:
    series = shown(CLOUD)

    assert {"orphan": pytest.approx(0.24), "not_running": 6.0} == {
        dict(labels)["ground"]: value for (name, labels), value in series.items() if name == "waste_usd_per_day"
    }


def test_metered_resources_have_no_price_per_epoch_and_are_counted_by_kind() -> None:
    series = shown(CLOUD)

    assert ("resource_price_usd_per_epoch", of("vm-1")) not in series
    assert ("resource_paid_until_timestamp_seconds", of("vm-1")) not in series
    assert 12 == series["resource_burn_usd_per_day", of("vm-1")]
    assert {("vm", "launched"): 1, ("vm", "suspended"): 1, ("storage", "ready"): 2, ("public_ip", "ready"): 1} == {
        (dict(labels)["kind"], dict(labels)["status"]): value
        for (name, labels), value in series.items()
        if name == "resources"
    }


def test_drift_is_shown_for_accounts_that_are_configured() -> None:
    drift = {("main", "charges"): Decimal("-0.25"), ("main", "balance"): Decimal(0), ("former", "charges"): Decimal(9)}
    display = exporter(drift=lambda: drift)
    display.show(CLOUD, now=NOW)

    assert {("main", "charges"): -0.25, ("main", "balance"): 0.0} == {
        (dict(labels)["account"], dict(labels)["against"]): value
        for (name, labels), value in scraped(display).items()
        if name == "reconcile_drift_usd"
    }


def budget(name: str = "all", limit: str = "10", window: Window = Window.MONTH, **facts: Any) -> Budget:
    return Budget(name, Usd.parse(limit), window, UTC, **facts)


SPENT = replace(FLEET, rows=(known_charge("2026-03-01 17:55"), known_charge("2026-03-02 17:55")))


def of_budget(name: str, series: Series) -> dict[str, float]:
    """The figures of one budget by metric."""
    return {metric: value for (metric, labels), value in series.items() if labels == (("budget", name),)}


def test_a_budget_shows_its_limit_what_is_spent_and_what_is_foreseen() -> None:
    # 0xa1 alone has a price: spent two days of it, and 29 more begin before April.
    web = Selector(ids=("0xa1",))

    found = of_budget("web", shown(SPENT, budgets=[budget("web", select=web)]))

    assert {
        "budget_limit_usd": 10.0,
        "budget_spent_usd": 0.59632,
        "budget_forecast_usd": pytest.approx(31 * 0.29816),
        "budget_used_ratio": 0.059632,
        "budget_window_end_timestamp_seconds": at("2026-04-01 00:00").timestamp(),
    } == found


def test_a_budget_without_end_has_neither_forecast_nor_end() -> None:
    found = of_budget("all", shown(SPENT, budgets=[budget(limit="0.5", window=Window.TOTAL)]))

    assert {"budget_limit_usd": 0.5, "budget_spent_usd": 0.59632, "budget_used_ratio": 1.19264} == found


def test_a_budget_that_is_no_longer_configured_vanishes() -> None:
    budgets = [budget("former")]
    display = exporter(budgets=budgets)
    display.show(SPENT, now=NOW)
    assert of_budget("former", scraped(display))

    budgets[:] = [budget("present")]
    display.show(SPENT, now=NOW)

    assert {} == of_budget("former", scraped(display))
    assert of_budget("present", scraped(display))


def test_alerts_that_fire_are_counted_and_every_kind_and_severity_is_there_from_the_start() -> None:
    standing = (
        telling.alert("a1"),
        telling.alert("a2"),
        telling.alert("a3", kind="budget", severity=Severity.CRITICAL),
        telling.alert("a4", kind="stale", state=AlertState.PENDING),
        telling.alert("a5", kind="stale", state=AlertState.RESOLVED),
    )

    series = shown(replace(FLEET, standing=standing))

    counts = {
        (dict(labels)["severity"], dict(labels)["kind"]): value
        for (name, labels), value in series.items()
        if name == "alerts_firing"
    }
    assert {(severity.value, kind) for severity in SEVERITIES for kind in KINDS} == counts.keys()
    assert {("warning", "idle"): 2, ("critical", "budget"): 1} == {key: value for key, value in counts.items() if value}


OPS, MAIL = (("target", "ops"),), (("target", "mail"),)


def test_messages_are_counted_by_target_from_zero_on() -> None:
    tallies = Tallies()
    tallies.delivered("ops", accepted=2, failed=1)
    tallies.delivered("ops", failed=1)
    tallies.delivered("former", accepted=1)

    series = shown(FLEET, tallies, targets=["ops", "mail"])

    assert {OPS: 4, MAIL: 0} == {
        labels: value for (name, labels), value in series.items() if name == "notifications_total"
    }
    assert {OPS: 2, MAIL: 0} == {
        labels: value for (name, labels), value in series.items() if name == "notification_failures_total"
    }


def test_what_waits_for_a_configured_target_is_in_the_queue() -> None:
    messages = (
        telling.row(1),
        telling.row(2, target="mail"),
        telling.row(3, target="former"),
        telling.row(4, state=Delivery.SENT),
        telling.row(5, state=Delivery.DEAD),
    )

    assert 2 == shown(replace(FLEET, messages=messages), targets=["ops", "mail"])["notification_queue_length", ()]
    assert 0 == shown(FLEET)["notification_queue_length", ()]


CPU = Condition(Signal.CPU, below=Decimal("0.03"))
RULE = Rule("quiet", (CPU,), held_for=timedelta(hours=6), min_age=timedelta(0))


def watch(id: str, verdict: IdleVerdict, **facts: Any) -> IdleClock:
    """What the clock of `RULE` says of a machine, five minutes ago."""
    return replace(IdleClock(Identity("main", id), RULE.name, RULE.digest, verdict, at("2026-03-03 11:55")), **facts)


def test_a_verdict_is_shown_where_it_is_known() -> None:
    machines = ("0xidle", "0xactive", "0xunknown", "0xold", "0xother", "0xnew")
    facts = Remembered(
        (*(known_resource(id) for id in machines), known_resource("0xgone", presence=Presence.GONE)),
        looks=FLEET.looks,
        watches=(
            watch("0xidle", IdleVerdict.IDLE),
            watch("0xactive", IdleVerdict.ACTIVE),
            watch("0xunknown", IdleVerdict.UNKNOWN),
            watch("0xold", IdleVerdict.IDLE, at=at("2026-03-03 09:00")),
            watch("0xother", IdleVerdict.IDLE, digest="another"),
            watch("0xgone", IdleVerdict.IDLE),
        ),
    )

    series = shown(facts, rules=[RULE])

    assert {"0xidle": 1, "0xactive": 0} == {
        dict(labels)["resource_id"]: value
        for (name, labels), value in series.items()
        if name == "resource_idle" and dict(labels)["rule"] == "quiet"
    }


def planned(id: str, state: DeletionState, **facts: Any) -> Deletion:
    """A deletion of a machine of "main" that is due at six."""
    due = {"execute_at": at("2026-03-03 18:00")} | facts
    return deletable.deletion(id=f"d-{id}", identity=Identity("main", id), state=state, **due)


def test_what_was_announced_shows_when_it_is_due() -> None:
    states = {
        "0xnotified": DeletionState.NOTIFIED,
        "0xapproved": DeletionState.APPROVED,
        "0xproposed": DeletionState.PROPOSED,
        "0xvetoed": DeletionState.VETOED,
        "0xexecuting": DeletionState.EXECUTING,
        "0xgone": DeletionState.APPROVED,
    }
    facts = Remembered(
        tuple(
            known_resource(id, presence=Presence.GONE if id == "0xgone" else Presence.PRESENT)
            for id in (*states, "0xno-moment")
        ),
        looks=FLEET.looks,
        planned=(
            *(planned(id, state) for id, state in states.items()),
            planned("0xno-moment", DeletionState.NOTIFIED, execute_at=None),
        ),
    )

    series = shown(facts)

    six = at("2026-03-03 18:00").timestamp()
    assert {of("0xnotified"): six, of("0xapproved"): six} == {
        labels: value for (name, labels), value in series.items() if name == "deletion_due_timestamp_seconds"
    }


def test_deletions_are_counted_by_state_from_zero_on_and_show_what_they_saved() -> None:
    proven = {
        "settled_at": at("2026-03-03 17:40"),
        "burn_per_day": Decimal("0.29816"),
        "next_charge": Decimal("0.29816"),
    }
    facts = replace(
        FLEET,
        planned=(
            planned("0x1", DeletionState.VERIFIED, next_charge_at=at("2026-03-03 17:55"), **proven),
            planned("0x2", DeletionState.VERIFIED, next_charge_at=at("2026-03-03 17:35"), **proven),
            planned("0x3", DeletionState.UNCONFIRMED, next_charge_at=at("2026-03-03 17:55"), **proven),
        ),
    )

    series = shown(facts)

    none = {state.value: 0.0 for state in DeletionState}
    assert {**none, "verified": 2, "unconfirmed": 1} == {
        dict(labels)["state"]: value for (name, labels), value in series.items() if name == "deletions"
    }
    assert (0.29816, 0.59632) == (series["deletions_avoided_usd", ()], series["deletions_burn_removed_usd_per_day", ()])


def test_what_the_store_remembers_is_shown(tmp_path: Path) -> None:
    display = exporter(budgets=[budget()], rules=[RULE], targets=["ops"])
    with open_store(tmp_path / "watch.db", now=NOW) as store:
        with store.transaction() as tx:
            tx.save_alerts([telling.alert("a1")])
            tx.enqueue([Draft("key", "ops", telling.message(), NOW)], at=NOW)
        with store.reading() as reading:
            display.show(reading, now=NOW)

    series = scraped(display)

    assert 1 == series["alerts_firing", (("kind", "idle"), ("severity", "warning"))]
    assert (1, 0) == (series["notification_queue_length", ()], series["budget_spent_usd", (("budget", "all"),)])


JUDGED = replace(
    SPENT,
    watches=(watch("0xa1", IdleVerdict.IDLE),),
    standing=(telling.alert(),),
    messages=(telling.row(),),
    planned=(planned("0xa1", DeletionState.APPROVED),),
)


@pytest.mark.parametrize(
    "facts",
    [pytest.param(FLEET, id="prepaid"), pytest.param(CLOUD, id="metered"), pytest.param(JUDGED, id="judged")],
)
def test_promtool_finds_nothing_to_complain_about(facts: Remembered) -> None:
    display = exporter(
        drift=lambda: {("main", "charges"): Decimal("0.1")}, budgets=[budget()], rules=[RULE], targets=["ops"]
    )
    display.show(facts, now=NOW)

    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=display.metrics()[0], capture_output=True, timeout=60, check=False
    )

    assert (0, b"") == (checked.returncode, checked.stderr)


def test_ten_thousand_resources_render_in_seconds() -> None:
    facts = Remembered(tuple(known_resource(f"0x{number:040x}") for number in range(10_000)), looks=FLEET.looks)
    display = exporter()
    started = time.monotonic()

    display.show(facts, now=NOW)

    # About one second on two slow cores; the margin is for a busy machine.
    assert 10 > time.monotonic() - started
    assert 10_000 == sum(name == "resource_charged_usd" for name, _ in scraped(display))
