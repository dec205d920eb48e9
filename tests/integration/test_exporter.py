from __future__ import annotations

import gzip
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.history import Cause, Doubt, Presence
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Kind
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.metrics.exporter import Exporter, no_drift
from fluence_costwatch.metrics.tallies import Tallies
from tests.known import NOW, Facts, at, known_account, known_balance, known_resource, metered, watched
from tests.tools import tool

P = "fluence_costwatch_"
HOSTILE = 'a"b\\c\nd\r\x1b[31m{}, # HELP \u202e \ud83d'
FLEET = Facts(
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
) -> Exporter:
    return Exporter(
        version="1.2.3",
        watched=lambda: watched(*accounts),
        tallies=tallies or Tallies(),
        size_bytes=lambda: 4096,
        drift=drift,
    )


def scraped(shown: Exporter) -> Series:
    """What a scrape brings: (name without the prefix, labels) -> value."""
    return {
        (sample.name.removeprefix(P), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(shown.metrics()[0].decode())
        for sample in family.samples
    }


def shown(facts: Facts, tallies: Tallies | None = None) -> Series:
    display = exporter(tallies)
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

    series = shown(Facts((*FLEET.records, known_resource("0xe5", doubts=(doubt,))), looks=FLEET.looks))

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
    display.show(Facts((known_resource("0xa1"), known_resource("0xb2")), looks=FLEET.looks), now=NOW)
    assert any(("resource_id", "0xb2") in labels for _, labels in scraped(display))

    display.show(
        Facts((known_resource("0xa1"), known_resource("0xb2", presence=Presence.GONE)), looks=FLEET.looks), now=NOW
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
    display.show(Facts(), now=NOW)

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


CLOUD = Facts(
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

    lasting = shown(Facts(looks=FLEET.looks, left=(known_balance(vms="-1.5", promo="2"),)))

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


@pytest.mark.parametrize("facts", [pytest.param(FLEET, id="prepaid"), pytest.param(CLOUD, id="metered")])
def test_promtool_finds_nothing_to_complain_about(facts: Facts) -> None:
    display = exporter(drift=lambda: {("main", "charges"): Decimal("0.1")})
    display.show(facts, now=NOW)

    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=display.metrics()[0], capture_output=True, timeout=60, check=False
    )

    assert (0, b"") == (checked.returncode, checked.stderr)


def test_ten_thousand_resources_render_in_seconds() -> None:
    facts = Facts(tuple(known_resource(f"0x{number:040x}") for number in range(10_000)), looks=FLEET.looks)
    display = exporter()
    started = time.monotonic()

    display.show(facts, now=NOW)

    # About one second on two slow cores; the margin is for a busy machine.
    assert 10 > time.monotonic() - started
    assert 10_000 == sum(name == "resource_charged_usd" for name, _ in scraped(display))
