from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.resources import Kind, Specs
from fluence_costwatch.core.views import shapes
from fluence_costwatch.core.views.fleet import status_view, vms_view
from fluence_costwatch.core.views.spending import By, calendar_view, export_rows, spend_view
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

FACTS = Facts((known_resource(),), (known_charge("2026-03-02 17:55"),), (known_account(),))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param(at("2026-03-01 17:55"), "2026-03-01T17:55:00Z", id="whole seconds have no fraction"),
        pytest.param(at("2026-03-01 17:55:00.25"), "2026-03-01T17:55:00.250000Z", id="a fraction is shown"),
        pytest.param(
            datetime(2026, 3, 1, 19, 55, tzinfo=timezone(timedelta(hours=2))), "2026-03-01T17:55:00Z", id="always UTC"
        ),
    ],
)
def test_an_instant_is_iso_8601_with_z(moment: datetime, expected: str) -> None:
    assert expected == shapes.instant(moment)


def test_status() -> None:
    expected = {
        "as_of": "2026-03-03T12:00:00Z",
        "stale": False,
        "accounts": [
            {
                "account": "main",
                "generations": ["vms-v3"],
                "last_success": "2026-03-03T11:55:00Z",
                "burn_usd_per_day": "0.298160",
                "balance_usd": None,
                "runway_at": None,
            }
        ],
    }

    assert json.dumps(expected) == json.dumps(shapes.status(status_view(FACTS, watched=watched(), now=NOW)))


def test_status_tells_what_is_left_and_until_when() -> None:
    facts = Facts((metered(price="0.5"),), looks=(known_account(),), left=(known_balance(vms="12.0000005"),))

    (account,) = shapes.status(status_view(facts, watched=watched(), now=NOW))["accounts"]

    assert ("12.0000005", "2026-03-04T11:55:00.003600Z") == (account["balance_usd"], account["runway_at"])


def test_a_balance_that_lasts_has_no_end() -> None:
    facts = Facts(looks=(known_account(),), left=(known_balance(vms="-0"),))

    (account,) = shapes.status(status_view(facts, watched=watched(), now=NOW))["accounts"]

    assert ("0.000000", None) == (account["balance_usd"], account["runway_at"])


def test_a_metered_resource_is_priced_by_the_hour() -> None:
    record = metered("d-1", kind=Kind.STORAGE, price="0.00001234", start="2026-03-03 11:00")

    (resource,) = shapes.vms(vms_view(Facts((record,)), watched=watched(), now=NOW))["resources"]

    assert ("storage", "0.00001234", "hour", "0.00029616", None, "0.000011") == (
        resource["kind"],
        resource["price_usd"],
        resource["price_per"],
        resource["burn_usd_per_day"],
        resource["paid_until"],
        resource["spent_usd"],
    )


def test_status_of_an_account_that_never_answered() -> None:
    answer = shapes.status(status_view(Facts(), watched=watched(), now=NOW))

    assert (True, None) == (answer["stale"], answer["accounts"][0]["last_success"])


def test_vms() -> None:
    specs = Specs(vcpu=2, ram_mib=4096, storage_mib=25600, public_ips=1)
    record = known_resource("0xA1", created_at=at("2026-03-01 11:23:05"), of_resource={"specs": specs})
    expected = {
        "as_of": "2026-03-03T12:00:00Z",
        "resources": [
            {
                "account": "main",
                "id": "0xa1",
                "name": "web",
                "kind": "vm",
                "generation": "vms-v3",
                "status": "Active",
                "presence": "present",
                "billed": True,
                "price_usd": "0.298160",
                "price_per": "epoch",
                "burn_usd_per_day": "0.298160",
                "paid_until": "2026-03-03T17:55:00Z",
                "created_at": "2026-03-01T11:23:05Z",
                "first_seen": "2026-03-01T12:00:00Z",
                "last_seen": "2026-03-03T11:55:00Z",
                "spent_usd": "0.596320",
                "verdict": None,
                "protected": False,
                "specs": {
                    "vcpu": 2,
                    "ram_mib": 4096,
                    "storage_mib": 25600,
                    "public_ips": 1,
                    "network_bandwidth": None,
                },
            }
        ],
    }

    assert json.dumps(expected) == json.dumps(shapes.vms(vms_view(Facts((record,)), watched=watched(), now=NOW)))


def test_what_is_not_known_of_a_vm_is_null() -> None:
    record = known_resource(name=None, price=None, presence=Presence.MISSING)

    resource = shapes.vms(vms_view(Facts((record,)), watched=watched(), now=NOW))["resources"][0]

    unknown = ("name", "price_usd", "burn_usd_per_day", "created_at", "specs")
    assert dict.fromkeys(unknown) == {key: resource[key] for key in unknown}
    assert "missing" == resource["presence"]


def test_spend() -> None:
    expected = {
        "as_of": "2026-03-03T12:00:00Z",
        "since": "2026-03-02T17:55:00Z",
        "until": "2026-03-03T12:00:00Z",
        "total_usd": "0.298160",
        "uncertain_usd": "0.000000",
        "by": "resource",
        "rows": [{"key": "0xa1", "name": "web", "usd": "0.298160"}],
    }

    assert json.dumps(expected) == json.dumps(shapes.spend(spend_view(FACTS, watched=watched(), now=NOW)))


def test_the_key_of_an_epoch_is_its_start() -> None:
    answer = shapes.spend(spend_view(FACTS, watched=watched(), now=NOW, by=By.EPOCH))

    assert [{"key": "2026-03-02T17:55:00Z", "name": "2026-03-02T17:55:00Z", "usd": "0.298160"}] == answer["rows"]


def test_calendar() -> None:
    expected = {
        "as_of": "2026-03-03T12:00:00Z",
        "charges": [
            {
                "at": "2026-03-03T17:55:00Z",
                "account": "main",
                "resource_id": "0xa1",
                "name": "web",
                "usd": "0.298160",
            }
        ],
    }

    assert json.dumps(expected) == json.dumps(shapes.calendar(calendar_view(FACTS, watched=watched(), now=NOW, days=1)))


def test_an_export_row_has_exactly_the_columns() -> None:
    (row,) = export_rows(FACTS)

    assert {
        "account": "main",
        "resource_id": "0xa1",
        "resource_name": "web",
        "kind": "vm",
        "epoch_start": "2026-03-02T17:55:00Z",
        "epoch_end": "2026-03-03T17:55:00Z",
        "amount_usd": "0.298160",
        "basis": "observed",
    } == shapes.export_row(row)
    assert shapes.EXPORT_COLUMNS == tuple(shapes.export_row(row))
