"""What holds for any JSON in any field: it is read exactly or not at all, and nothing but FluenceError comes out."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.money import LARGEST_PRICE
from fluence_costwatch.core.resources import Resource
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.fluence import vms_v2, vms_v3

READERS = (vms_v2.read, vms_v3.read)
FIELDS = (
    "id",
    "vmName",
    "status",
    "pricePerEpoch",
    "resources",
    "createdAt",
    "nextBillingAt",
    "statusChangedAt",
    "totalSpent",
    "reservedBalance",
    "datacenter",
    "publicIp",
)
WORDS = st.sampled_from(
    ["type", "VCPU", "RAM", "supply", "quantity", "units", "GiB", "countryCode", "cityIndex", "0.3", ".5", "298160"]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(10**18, 10**40)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | WORDS, inner, max_size=4),
    max_leaves=12,
)
AMOUNTS = st.decimals(min_value="-10", max_value=LARGEST_PRICE * 10, allow_nan=False, places=6).map(
    str
) | st.from_regex(r"[-+]?[0-9]{0,12}\.?[0-9]{0,9}([eE][0-9])?", fullmatch=True)


def read(body: bytes, *, reader: Any) -> tuple[Resource, ...]:
    resources: tuple[Resource, ...] = reader(body, account="main")
    return resources


@given(machines=st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON_VALUES)), max_size=4))
@pytest.mark.parametrize("reader", READERS)
def test_any_json_in_any_field_is_read_or_refused(reader: Any, machines: list[dict[str, Any]]) -> None:
    try:
        resources = read(json.dumps(machines).encode(), reader=reader)
    except FluenceError:
        return
    assert len({resource.identity for resource in resources}) == len(resources)
    assert list(resources) == sorted(resources, key=lambda resource: resource.identity)


@given(field=st.sampled_from(FIELDS[1:]), value=JSON_VALUES)
@pytest.mark.parametrize("reader", READERS)
def test_a_bad_value_costs_no_machine_and_no_other_value(reader: Any, field: str, value: Any) -> None:
    plain = {"id": "0x01", "vmName": "web", "status": "Active", "createdAt": "2025-11-03T09:14:22Z"}

    (resource,) = read(json.dumps([{**plain, field: value}]).encode(), reader=reader)

    if field != "createdAt":
        assert resource.created_at is not None
    if field != "vmName":
        assert "web" == resource.name


@given(body=st.binary(max_size=200) | st.text(alphabet='[]{}",:\\u0d8e1.- ', max_size=60).map(str.encode))
@pytest.mark.parametrize("reader", READERS)
def test_any_bytes_are_read_or_refused(reader: Any, body: bytes) -> None:
    try:
        read(body, reader=reader)
    except FluenceError:
        return


@given(price=AMOUNTS | NUMBERS.map(json.dumps) | st.text())
def test_a_price_in_text_is_the_exact_price_or_unknown(price: str) -> None:
    for reader in READERS:
        (resource,) = read(json.dumps([{"id": "a", "status": "x", "pricePerEpoch": price}]).encode(), reader=reader)
        if resource.price is not None:
            assert Decimal(price) == resource.price
            assert 0 <= resource.price <= LARGEST_PRICE
            assert () == resource.problems
        else:
            assert 1 == len(resource.problems)


@given(price=NUMBERS)
def test_a_price_in_numbers_is_exact_base_units_or_unknown(price: float) -> None:
    body = json.dumps([{"id": "a", "status": "x", "pricePerEpoch": price}]).encode()

    (old,), (new,) = read(body, reader=vms_v2.read), read(body, reader=vms_v3.read)

    assert new.price is None
    if isinstance(price, int) and 0 <= price <= LARGEST_PRICE * 10**6:
        assert Decimal(price) == old.price * 10**6 if old.price is not None else False
    else:
        assert old.price is None
