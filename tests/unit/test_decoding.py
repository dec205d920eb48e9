"""The lists of `vms-v2` and `vms-v3` in our words: every example of the fact sheet, and every way a value can be bad."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Kind, Per, Resource, Specs
from fluence_costwatch.errors import FluenceUnexpected
from fluence_costwatch.fluence import vms_v2, vms_v3

SEED = """
[{"id":"0x3aF10c5bD2e94477A1B0E6dE3c5F0912aB77C4d1","vmName":"ci-runner-2","status":"ACTIVE",
 "pricePerEpoch":412500,
 "resources":[
  {"type":"VCPU","quantity":4,"metadata":{"manufacturer":"AMD","brand":"EPYC","architecture":"Zen","generation":"3"},"details":{"model":"7543"}},
  {"type":"RAM","quantity":8192,"metadata":{"type":"DDR","generation":"4"},"details":{}},
  {"type":"STORAGE","quantity":51200,"metadata":{"type":"NVMe"}},
  {"type":"PUBLIC_IP","quantity":1,"metadata":{"version":"4"},"details":{}}]}]
"""

RICH = SEED.rstrip().removesuffix("]}]") + (
    """],
 "createdAt":"+002025-04-11T08:02:31.000000000Z","nextBillingAt":"+002025-04-19T17:59:55.000000000Z",
 "reservedBalance":"412500","totalSpent":"3300000"}]
"""
)

ACTIVE = """
[{"id":"0x91c2E7b40A63f5D8102aBc4400Ee7D19f3A5e802","vmName":"etl-worker","status":"Active",
 "pricePerEpoch":"0.41250",
 "resources":[
  {"type":"VCPU","quantity":4,"metadata":{"manufacturer":"AMD","architecture":"Zen"},"details":null},
  {"type":"RAM","supply":8,"units":"GiB","metadata":{"type":"DDR","generation":"4"},"details":null},
  {"type":"STORAGE","supply":50,"units":"GiB","metadata":{"type":"NVMe"},"details":null},
  {"type":"PUBLIC_IP","quantity":1,"metadata":{"version":"4"},"details":null}],
 "osImage":"https://images.example.net/ubuntu-24.04.img",
 "datacenter":{"countryCode":"PL","cityCode":"WAW","cityIndex":1,"tier":3,"certifications":["ISO 27001"]},
 "publicIp":"203.0.113.18","ports":[{"port":22,"protocol":"tcp"},{"port":443,"protocol":"tcp"}],
 "reservedBalance":".41250","totalSpent":"4.95000",
 "createdAt":"2025-11-03T09:14:22Z","nextBillingAt":"2025-11-16T09:17:40Z","statusChangedAt":"2025-11-03T09:17:40Z"}]
"""

TERMINATED = """
[{"id":"0x91c2E7b40A63f5D8102aBc4400Ee7D19f3A5e803","vmName":"old","status":"Terminated","pricePerEpoch":"0.30697",
 "resources":[],"datacenter":null,"publicIp":null,"ports":[],"reservedBalance":".30697","totalSpent":"2.45576",
 "createdAt":"2025-05-01T11:23:05Z"}]
"""

TRANSITION = """
[{"id":"0x0B08D9233ed01f4697d4b6C5814bc6d9f0cB8F99","vmName":"between","status":"Active","pricePerEpoch":"2.4352",
 "resources":[{"type":"VCPU","supply":"2"},{"type":"RAM","supply":"4096","units":"MiB"},
  {"type":"STORAGE","supply":25,"units":"GiB"}],
 "createdAt":"2025-04-30T10:00:00Z","nextBillingAt":"2025-05-01T10:00:00.123456789+02:00"}]
"""

PARTS = Specs(vcpu=4, ram_mib=8192, storage_mib=51200, public_ips=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def v2(body: str | bytes) -> tuple[Resource, ...]:
    return vms_v2.read(body.encode() if isinstance(body, str) else body, account="main")


def v3(body: str | bytes) -> tuple[Resource, ...]:
    return vms_v3.read(body.encode() if isinstance(body, str) else body, account="main")


def one_v2(**fields: Any) -> Resource:
    """The machine that `fields` make of a plain one; a field is JSON text, or None to leave it out."""
    return only(v2(vm_text(pricePerEpoch="298160", **fields)))


def one_v3(**fields: Any) -> Resource:
    return only(v3(vm_text(pricePerEpoch='"0.30697"', **fields)))


def vm_text(**fields: str | None) -> str:
    plain: dict[str, str | None] = {"id": '"0x01"', "vmName": '"web"', "status": '"Active"'}
    return "[{" + ",".join(f'"{name}":{text}' for name, text in (plain | fields).items() if text is not None) + "}]"


def only(resources: tuple[Resource, ...]) -> Resource:
    assert 1 == len(resources)
    return resources[0]


def test_the_machine_of_the_first_page() -> None:
    assert (
        Resource(
            account="main",
            id="0x3aF10c5bD2e94477A1B0E6dE3c5F0912aB77C4d1",
            kind=Kind.VM,
            generation=Generation.VMS_V2,
            name="ci-runner-2",
            status="ACTIVE",
            price=Decimal("0.412500"),
            price_per=Per.EPOCH,
            specs=PARTS,
        ),
    ) == v2(SEED)


def test_the_richer_machine_of_vms_v2() -> None:
    machine = only(v2(RICH))

    assert (at("2025-04-11T08:02:31"), at("2025-04-19T17:59:55")) == (machine.created_at, machine.next_charge_at)
    assert (Usd(412_500), Usd(3_300_000)) == (machine.reserved, machine.total_spent)
    assert () == machine.problems


def test_the_machine_of_vms_v3() -> None:
    assert (
        Resource(
            account="main",
            id="0x91c2E7b40A63f5D8102aBc4400Ee7D19f3A5e802",
            kind=Kind.VM,
            generation=Generation.VMS_V3,
            name="etl-worker",
            status="Active",
            price=Decimal("0.41250"),
            created_at=at("2025-11-03T09:14:22"),
            next_charge_at=at("2025-11-16T09:17:40"),
            status_changed_at=at("2025-11-03T09:17:40"),
            total_spent=Usd(4_950_000),
            reserved=Usd(412_500),
            datacenter="PL-WAW-1",
            public_ip="203.0.113.18",
            specs=PARTS,
        ),
    ) == v3(ACTIVE)


def test_the_record_of_a_terminated_machine() -> None:
    machine = only(v3(TERMINATED))

    assert ("Terminated", Decimal("0.30697"), Usd(306_970)) == (machine.status, machine.price, machine.reserved)
    assert machine.total_spent == machine.reserved * 8  # type: ignore[operator]  # it is there, as the line above says
    assert (None, None, None) == (machine.next_charge_at, machine.datacenter, machine.public_ip)
    assert () == machine.problems


def test_the_machine_between_the_generations_is_read_on_either_path() -> None:
    for machine in (only(v2(TRANSITION)), only(v3(TRANSITION))):
        assert Decimal("2.4352") == machine.price
        assert Specs(vcpu=2, ram_mib=4096, storage_mib=25600) == machine.specs
        assert at("2025-05-01T08:00:00.123456") == machine.next_charge_at
        assert () == machine.problems


def test_an_empty_list_is_a_list_without_machines() -> None:
    assert () == v2("[]") == v3(" [ ] ")


PRICES_V2 = (
    ("298160", "0.298160", "base units"),
    ("0", "0", "zero is a price"),
    ("-0", "0", "a zero with a sign"),
    ("1", "0.000001", "the smallest"),
    ("1000000000000", "1000000", "the largest"),
    ('"2.4352"', "2.4352", "text with a point is dollars"),
    ('".30697"', "0.30697", "no zero before the point"),
    ('"0.300000000000"', "0.3", "zeros beyond a micro-dollar"),
)
PRICES_V3 = (
    ('"0.30697"', "0.30697", "dollars"),
    ('".30697"', "0.30697", "no zero before the point"),
    ('"2"', "2", "whole dollars"),
    ('"0"', "0", "zero is a price"),
    ('"-0.0"', "0", "a zero with a sign"),
    ('"0.000001"', "0.000001", "the smallest"),
    ('"1000000"', "1000000", "the largest"),
    ('"\\u0030.5"', "0.5", "escaped, but the same text"),
)


@pytest.mark.parametrize(("text", "price"), [pytest.param(*row[:2], id=row[2]) for row in PRICES_V2])
def test_a_price_on_vms_v2(text: str, price: str) -> None:
    machine = only(v2(vm_text(pricePerEpoch=text)))

    assert (Decimal(price), ()) == (machine.price, machine.problems)


@pytest.mark.parametrize(("text", "price"), [pytest.param(*row[:2], id=row[2]) for row in PRICES_V3])
def test_a_price_on_vms_v3(text: str, price: str) -> None:
    machine = only(v3(vm_text(pricePerEpoch=text)))

    assert (Decimal(price), ()) == (machine.price, machine.problems)


FRACTION = "is a number with a fraction, which may have been rounded on its way"
NO_MONEY = "is not an amount of money"
BAD_ON_BOTH = (
    ("0.30697", FRACTION),
    ("298160.0", FRACTION),
    ("3e5", FRACTION),
    ("1e400", "cannot be read"),
    ("true", NO_MONEY),
    ("[298160]", NO_MONEY),
    ("{}", NO_MONEY),
    ('"-0.5"', "is negative"),
    ('"0.0000001"', "is finer than a micro-dollar"),
    ('"1000000.000001"', "is beyond any price"),
    ('"1e3.0"', NO_MONEY),
    ('"1_0.0"', NO_MONEY),
    ('"0.3 "', NO_MONEY),
    ('"0,3."', NO_MONEY),
    ('"."', NO_MONEY),
    ('"٠.٣"', NO_MONEY),
    ('"\\ud83d.5"', NO_MONEY),
    ("1" * 5000, "cannot be read"),
)
BAD_ON_V2 = (
    ("-1", "is negative"),
    ("1000000000000001", "is beyond any price"),
    ("1" + "0" * 30, "is beyond any price"),
    ('"298160"', "is text without a point, which may mean dollars or base units"),
    ('"free"', "is text without a point, which may mean dollars or base units"),
    ('""', "is text without a point, which may mean dollars or base units"),
)
BAD_ON_V3 = (
    ("298160", "is a bare number where this generation writes dollars as text"),
    ("0", "is a bare number where this generation writes dollars as text"),
    ('"NaN"', NO_MONEY),
    ('"Infinity"', NO_MONEY),
    ('"1e3"', NO_MONEY),
    ('""', NO_MONEY),
    ('"free"', NO_MONEY),
)


@pytest.mark.parametrize(("text", "why"), BAD_ON_BOTH + BAD_ON_V2)
def test_a_price_on_vms_v2_that_is_not_exact_is_unknown(text: str, why: str) -> None:
    machine = only(v2(vm_text(pricePerEpoch=text)))

    assert machine.price is None
    assert 1 == len(machine.problems)
    assert machine.problems[0].startswith("price: ")
    assert machine.problems[0].endswith(why)


@pytest.mark.parametrize(("text", "why"), BAD_ON_BOTH + BAD_ON_V3)
def test_a_price_on_vms_v3_that_is_not_exact_is_unknown(text: str, why: str) -> None:
    machine = only(v3(vm_text(pricePerEpoch=text)))

    assert machine.price is None
    assert 1 == len(machine.problems)
    assert machine.problems[0].startswith("price: ")
    assert machine.problems[0].endswith(why)


@pytest.mark.parametrize("text", ["null", None])
def test_a_price_that_is_not_said_is_unknown_and_doubtful(text: str | None) -> None:
    for machine in (only(v2(vm_text(pricePerEpoch=text))), only(v3(vm_text(pricePerEpoch=text)))):
        assert (None, 1) == (machine.price, len(machine.problems))
        assert machine.problems[0].startswith("price: ")


def test_a_problem_quotes_what_was_sent() -> None:
    assert ('price: "abc" is not an amount of money',) == one_v3_price('"abc"').problems


def one_v3_price(text: str) -> Resource:
    return only(v3(vm_text(pricePerEpoch=text)))


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ('"17846000"', 17_846_000),
        ('"000017"', 17),
        ('"17.846"', 17_846_000),
        ("17846000", 17_846_000),
        ('"0"', 0),
        ('"+17"', None),
        ('"-17"', None),
        ('"²"', None),
        ("17.5", None),
        ('"' + "9" * 41 + '"', None),
        ('"' + "9" * 40 + '"', None),
        ("true", None),
    ],
)
def test_totals_of_vms_v2_are_base_units_unless_they_have_a_point(text: str, micros: int | None) -> None:
    machine = one_v2(totalSpent=text, reservedBalance=text)

    amount = None if micros is None else Usd(micros)
    assert (amount, amount) == (machine.total_spent, machine.reserved)
    assert (0 if micros is not None else 2) == len(machine.problems)


@pytest.mark.parametrize(("text", "micros"), [('"2.45576"', 2_455_760), ('"2"', 2_000_000), ("2", None), ("2.5", None)])
def test_totals_of_vms_v3_are_dollars_as_text(text: str, micros: int | None) -> None:
    machine = one_v3(totalSpent=text, reservedBalance=text)

    amount = None if micros is None else Usd(micros)
    assert (amount, amount) == (machine.total_spent, machine.reserved)
    assert (0 if micros is not None else 2) == len(machine.problems)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-11-03T09:14:22Z", "2025-11-03T09:14:22"),
        ("2025-11-03T09:14:22.5Z", "2025-11-03T09:14:22.500000"),
        ("2025-11-03T09:14:22.123456789Z", "2025-11-03T09:14:22.123456"),
        ("2025-11-03T09:14:22+02:00", "2025-11-03T07:14:22"),
        ("2025-11-03T09:14:22.000-05:30", "2025-11-03T14:44:22"),
        ("+002025-04-01T16:50:57.000000000Z", "2025-04-01T16:50:57"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00"),
        ("2099-12-31T23:59:59Z", "2099-12-31T23:59:59"),
    ],
)
def test_an_instant(text: str, instant: str) -> None:
    machine = one_v3(createdAt=f'"{text}"')

    assert (at(instant), ()) == (machine.created_at, machine.problems)


@pytest.mark.parametrize(
    "text",
    [
        '"+002025-03-01T00:00:000000000Z"',
        '"2025-11-03T09:14:22"',
        '"2025-11-03 09:14:22Z"',
        '"2025-11-03"',
        '"2025-02-30T00:00:00Z"',
        '"2025-11-03T25:00:00Z"',
        '"2025-11-03T09:14:60Z"',
        '"2025-11-03T09:14:22+99:00"',
        '"2025-11-03T09:14:22.Z"',
        '"2025-11-03T09:14:22Z "',
        '"２０２５-11-03T09:14:22Z"',
        '"0001-01-01T00:00:00+14:00"',
        '"9999-12-31T23:59:59-14:00"',
        '"1970-01-01T00:00:00Z"',
        '"2019-12-31T23:59:59Z"',
        '"2100-01-01T00:00:00Z"',
        '"+012025-04-01T16:50:57.000000000Z"',
        '""',
        "1762161262",
        "1762161262.5",
        "true",
        "{}",
    ],
)
def test_an_instant_that_cannot_be_read_is_unknown(text: str) -> None:
    machine = one_v3(createdAt=text, nextBillingAt=text, statusChangedAt=text)

    assert (None, None, None) == (machine.created_at, machine.next_charge_at, machine.status_changed_at)
    assert ["created_at", "next_charge_at", "status_changed_at"] == [
        problem.partition(":")[0] for problem in machine.problems
    ]


@pytest.mark.parametrize(
    ("text", "name", "problems"),
    [
        ('"web"', "web", 0),
        ('""', "", 0),
        ('"<b>\\u0000\\n\\u202e"', "<b>\x00\n\u202e", 0),
        (json.dumps("x" * 2000), "x" * 1000, 0),
        ('"\\ud800half"', "\ufffdhalf", 0),
        ('"\\\\ud800 \\ud83e\\udd84"', "\\ud800 \U0001f984", 0),
        ("null", None, 0),
        (None, None, 0),
        ("7", None, 1),
        ('["web"]', None, 1),
    ],
)
def test_a_name_is_the_text_that_was_sent(text: str | None, name: str | None, problems: int) -> None:
    machine = one_v2(vmName=text)

    assert (name, problems) == (machine.name, len(machine.problems))


def test_half_a_character_in_one_name_does_not_hide_the_fleet() -> None:
    machines = v3('[{"id":"a","vmName":"\\udc00","status":"Active"},{"id":"b","status":"Active"}]')

    assert ["a", "b"] == [machine.id for machine in machines]


def test_a_name_that_is_not_utf8_is_unknown() -> None:
    machine = only(v2(b'[{"id":"a","vmName":"\xff\xfe","status":"Active","pricePerEpoch":1}]'))

    assert (None, ('name: "\ufffd\ufffd" cannot be read',)) == (machine.name, machine.problems)


@pytest.mark.parametrize(
    ("text", "status", "problems"),
    [
        ('"SmallBalance"', "SmallBalance", 0),
        ('"Hibernating"', "Hibernating", 0),
        (json.dumps("x" * 200), "x" * 100, 0),
        ('""', "", 0),
        ("null", "", 1),
        (None, "", 1),
        ("3", "", 1),
    ],
)
def test_a_status_is_kept_as_it_is(text: str | None, status: str, problems: int) -> None:
    machine = one_v2(status=text)

    assert (status, problems) == (machine.status, len(machine.problems))


@pytest.mark.parametrize(
    ("text", "address", "problems"),
    [
        ('"203.0.113.18"', "203.0.113.18", 0),
        ('"2001:DB8:0::1"', "2001:db8::1", 0),
        ("null", None, 0),
        (None, None, 0),
        ('"host.example"', None, 1),
        ('"203.0.113.18; rm"', None, 1),
        ('"203.0.113.018"', None, 1),
        ('""', None, 1),
        ("3405803794", None, 1),
    ],
)
def test_a_public_address(text: str | None, address: str | None, problems: int) -> None:
    machine = one_v3(publicIp=text)

    assert (address, problems) == (machine.public_ip, len(machine.problems))


@pytest.mark.parametrize(
    ("text", "place", "problems"),
    [
        ('{"countryCode":"PL","cityCode":"WAW","cityIndex":1}', "PL-WAW-1", 0),
        ('{"countryCode":"PL","cityCode":"WAW","cityIndex":"2"}', "PL-WAW-2", 0),
        ('{"countryCode":"PL","cityIndex":null}', "PL", 0),
        ('{"id":"0x00"}', None, 0),
        ("{}", None, 0),
        ("null", None, 0),
        (None, None, 0),
        ('"PL-WAW-1"', None, 1),
        ('{"countryCode":["PL"]}', None, 1),
        ('{"cityIndex":true}', None, 1),
        ('{"cityIndex":1.5}', None, 1),
    ],
)
def test_a_datacenter(text: str | None, place: str | None, problems: int) -> None:
    machine = one_v3(datacenter=text)

    assert (place, problems) == (machine.datacenter, len(machine.problems))


@pytest.mark.parametrize(
    ("entries", "specs", "problems"),
    [
        ("null", None, 0),
        (None, None, 0),
        ("[]", Specs(), 0),
        ('[{"type":"RAM","quantity":4096}]', Specs(ram_mib=4096), 0),
        ('[{"type":"RAM","supply":"4","units":"GiB","quantity":9}]', Specs(ram_mib=4096), 0),
        ('[{"type":"STORAGE","supply":1,"units":"TiB"}]', Specs(storage_mib=1 << 20), 0),
        ('[{"type":"STORAGE","supply":25,"units":"GB"}]', Specs(storage_mib=23841), 0),
        ('[{"type":"ram","supply":512,"units":" mib "}]', Specs(ram_mib=512), 0),
        ('[{"type":"RAM","supply":1,"units":"bushel"}]', Specs(), 0),
        ('[{"type":"RAM","supply":1,"units":7}]', Specs(), 0),
        ('[{"type":"STORAGE","quantity":1},{"type":"STORAGE","quantity":2}]', Specs(storage_mib=3), 0),
        ('[{"type":"STORAGE","quantity":1},{"type":"STORAGE"}]', Specs(), 0),
        ('[{"type":"NETWORK_BANDWIDTH","quantity":100},{"type":"GPU","quantity":1}]', Specs(network_bandwidth=100), 0),
        ('[{"type":"VCPU","supply":2,"units":"cores"}]', Specs(vcpu=2), 0),
        ('[{"type":"VCPU","quantity":-1}]', Specs(), 0),
        ('[{"type":"VCPU","quantity":1000000000001}]', Specs(), 0),
        ('[{"type":"VCPU","quantity":"many"}]', Specs(), 0),
        ('[{"type":"VCPU","quantity":"' + "9" * 5000 + '"}]', Specs(), 0),
        ('[{"type":"VCPU","quantity":2.5}]', Specs(), 1),
        ('[{"type":"VCPU","quantity":true}]', Specs(), 1),
        ('[{"type":"VCPU","quantity":[2]}]', Specs(), 1),
        ('[{"quantity":2},{"type":7,"quantity":[2]}]', Specs(), 0),
        ('[{"type":"VCPU","quantity":2,"details":[[1.5]],"metadata":7}]', Specs(vcpu=2), 0),
        ('{"vcpu":2}', None, 1),
        ("[2]", None, 1),
        ('"none"', None, 1),
    ],
)
def test_specs_are_the_sums_of_the_entries(entries: str | None, specs: Specs | None, problems: int) -> None:
    machine = one_v2(resources=entries)

    assert (specs, problems) == (machine.specs, len(machine.problems))


def test_one_bad_value_leaves_the_others_as_they_are() -> None:
    bad = ACTIVE.replace('"0.41250"', "0.4125").replace('"2025-11-03T09:14:22Z"', "7").replace('"203.0.113.18"', "[]")
    machine, good = only(v3(bad)), only(v3(ACTIVE))

    assert (None, None, None) == (machine.price, machine.created_at, machine.public_ip)
    assert (good.next_charge_at, good.total_spent, good.specs) == (
        machine.next_charge_at,
        machine.total_spent,
        machine.specs,
    )
    assert ["price", "created_at", "public_ip"] == [problem.partition(":")[0] for problem in machine.problems]


NO_LISTS = (
    ("", "nothing"),
    ("<!DOCTYPE html><html>", "a web page"),
    ('{"items":[]}', "an object"),
    ("null", "null"),
    ('"[]"', "a text"),
    ("[] []", "two lists"),
    ('[{"id":"0x01"},', "half a list"),
    ('[{"id":"0x01","price":NaN}]', "NaN"),
    ('[{"id":"0x01","\\x":1}]', "a bad escape"),
    ("\ufeff[]", "a byte order mark"),
    ("[" * 100_000, "nesting without end"),
    ('[{"id":"0x01","details":' + "[" * 100_000 + "]" * 100_000 + "}]", "nesting where nobody looks"),
)
NO_MACHINES = (
    ("[7]", "a number"),
    ("[null]", "null"),
    ("[[]]", "a list"),
    ("[{}]", "no id"),
    ('[{"ID":"0x01"}]', "an id by another name"),
    ('[{"id":null}]', "null for an id"),
    ('[{"id":7}]', "a number for an id"),
    ('[{"id":""}]', "an empty id"),
    ('[{"id":" \\t"}]', "a blank id"),
    ('[{"id":"0x\\u0000"}]', "an id with control characters"),
    ('[{"id":"0x\\u202e01"}]', "an id that runs backwards"),
    ('[{"id":"' + "x" * 201 + '"}]', "an id without end"),
    ('[{"id":"0x01","status":"Active"},{"vmName":"web"}]', "one of two without an id"),
)


@pytest.mark.parametrize("body", [pytest.param(row[0], id=row[1]) for row in NO_LISTS + NO_MACHINES])
def test_what_is_not_a_whole_list_of_machines_is_set_aside_as_a_whole(body: str) -> None:
    for read in (v2, v3):
        with pytest.raises(FluenceUnexpected, match="cannot be used") as caught:
            read(body)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600


def test_an_id_is_kept_as_it_is_sent_without_space_around_it() -> None:
    machine = one_v2(id='" 0xAb "')

    assert ("0xAb", "0xab") == (machine.id, machine.identity.id)


def test_machines_come_by_identity() -> None:
    machines = v2('[{"id":"0xC","status":"a"},{"id":"0xb","status":"a"},{"id":"0xA","status":"a"}]')

    assert ["0xA", "0xb", "0xC"] == [machine.id for machine in machines]


@pytest.mark.parametrize("second", ["0xAb", "0xaB"])
def test_a_machine_that_is_listed_twice_alike_is_one(second: str) -> None:
    machine = only(
        v2(
            f'[{{"id":"0xAb","status":"ACTIVE","pricePerEpoch":1}},'
            f'{{"id":"{second}","status":"ACTIVE","pricePerEpoch":1,"new":1}}]'
        )
    )

    assert ("0xAb", ()) == (machine.id, machine.problems)


def test_of_a_machine_that_is_listed_with_different_contents_the_first_stands_and_says_so() -> None:
    twice = '{"id":"0x01","pricePerEpoch":1,"status":"ACTIVE"},{"id":"0x01","pricePerEpoch":2,"status":"ACTIVE"}'
    for body in (f"[{twice}]", f"[{twice},{twice}]"):
        machine = only(v2(body))

        assert Decimal("0.000001") == machine.price
        assert ("id: listed more than once with different contents, of which the first is kept",) == machine.problems


def test_a_field_that_is_there_twice_is_read_once() -> None:
    assert Decimal("0.000002") == only(v2('[{"id":"a","status":"x","pricePerEpoch":1,"pricePerEpoch":2}]')).price


def test_fields_that_nobody_knows_are_passed_over() -> None:
    extra = ACTIVE.replace('"vmName"', '"extra":{"a":[1.5,null]},"pricePerHour":"1","vmName"')

    assert v3(ACTIVE) == v3(extra)


def test_problems_are_fit_to_be_shown() -> None:
    machine = one_v3(publicIp=json.dumps("\x1b[31m\u202e" + "x" * 500, ensure_ascii=False).replace("\\u001b", "\x7f"))

    assert machine.problems[0].isprintable()
    assert len(machine.problems[0]) < 150
