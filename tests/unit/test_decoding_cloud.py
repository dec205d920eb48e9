"""What holds for any JSON in any field of `cloud-v2` and `gpu`: read exactly or not at all, and only FluenceError comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.money import LARGEST_PRICE, AmountInvalid
from fluence_costwatch.core.resources import Kind, Resource
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.fluence import cloud_records
from fluence_costwatch.fluence.catalogue import Asking, Known, Unit, unit
from fluence_costwatch.fluence.cloud_resources import resources_of
from fluence_costwatch.fluence.gpu_instances import Detail, detail_of, instances
from fluence_costwatch.fluence.wire import exact_number
from tests.unit.test_decoding_properties import JSON_VALUES, NUMBERS

_V = TypeVar("_V")

FIELDS = (
    "name",
    "status",
    "clusterId",
    "createdAt",
    "priceHourlyUsd",
    "allowedActions",
    "configurationId",
    "terminatedAt",
    "removedAt",
    "bootDisk",
    "dataDisks",
    "publicIp",
    "vcpu",
    "ramGb",
    "attachedTo",
    "storageType",
    "replicated",
    "volumeGb",
    "addressType",
    "address",
)
IDS = st.sampled_from(["a", "b", "c", "D"])
VALUES = JSON_VALUES | IDS | st.lists(IDS, max_size=3) | st.fixed_dictionaries({"id": IDS})


def shelf(prices: Mapping[Unit, Decimal] | None = None) -> Asking:
    """A catalogue whose lists are at hand."""
    known = Known(prices or {})
    return Asking(lambda: known, lambda: known, lambda: known, lambda: Known({unit("c"): "Cloudless"}))


def cloud(*records: Any, kind: Kind = Kind.VM, catalogue: Asking | None = None) -> tuple[Resource, ...]:
    """The resources of a list of one kind beside empty ones."""
    items = [msgspec.Raw(json.dumps(record).encode()) for record in records]
    return resources_of(
        cloud_records.machines(items if kind is Kind.VM else []),
        cloud_records.disks(items if kind is Kind.STORAGE else []),
        cloud_records.addresses(items if kind is Kind.PUBLIC_IP else []),
        account="main",
        catalogue=catalogue or shelf(),
    )


KINDS = (Kind.VM, Kind.STORAGE, Kind.PUBLIC_IP)


@given(
    records=st.lists(
        st.fixed_dictionaries({"id": IDS | JSON_VALUES}, optional=dict.fromkeys(FIELDS, VALUES)), max_size=3
    )
)
@pytest.mark.parametrize("kind", KINDS)
def test_any_json_in_any_field_is_read_or_refused(kind: Kind, records: list[dict[str, Any]]) -> None:
    try:
        resources = cloud(*records, kind=kind)
    except FluenceError:
        return
    assert len(records) == len(resources)
    assert list(resources) == sorted(resources, key=lambda resource: resource.identity)
    for resource in resources:
        assert resource.price is None or 0 <= resource.price <= LARGEST_PRICE
        assert all(problem.isprintable() for problem in resource.problems)


@given(field=st.sampled_from(FIELDS), value=VALUES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_value_costs_no_record_and_no_other_value(kind: Kind, field: str, value: Any) -> None:
    plain = {
        "id": "a",
        "name": "web",
        "status": "ready",
        "clusterId": "c",
        "createdAt": "2026-02-01T00:00:00Z",
        "priceHourlyUsd": "0.5",
    }

    (found,) = cloud(plain | {field: value}, kind=kind)

    expected = {"name": "web", "status": "ready", "datacenter": "Cloudless", "price": Decimal("0.5")}
    of_field = {"priceHourlyUsd": "price", "clusterId": "datacenter"}.get(field, field)
    kept = {name: getattr(found, name) for name in expected if name != of_field}
    assert {name: text for name, text in expected.items() if name != of_field} == kept


@given(each=st.decimals(0, LARGEST_PRICE, places=9, allow_nan=False), size=st.integers(0, 10**6))
def test_a_listed_price_times_the_size_is_exact(each: Decimal, size: int) -> None:
    prices = shelf({unit("NVMe", True, "c"): each})
    record = {
        "id": "a",
        "status": "ready",
        "storageType": "NVME",
        "replicated": True,
        "clusterId": "C",
        "volumeGb": size,
    }

    (found,) = cloud(record, kind=Kind.STORAGE, catalogue=prices)

    exact = int(each * 10**9) * size
    if exact <= LARGEST_PRICE * 10**9:
        assert found.price is not None
        assert Decimal(exact).scaleb(-9) == found.price
        assert () == found.problems
    else:
        assert found.price is None


# GPU.

GPU_FIELDS = (
    "id",
    "name",
    "status",
    "instance_status",
    "created_at",
    "updated_at",
    "location",
    "domain",
    "resources",
    "billing",
    "network",
)
GPU_KINDS = (Kind.GPU_CONTAINER, Kind.GPU_VM, Kind.GPU_BAREMETAL)
BILLINGS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("hourly_usage", "total_spendings", "reserved_amount", "next_billing_period"), JSON_VALUES),
)


def read_or_refused(read: Callable[[], _V]) -> _V | None:
    try:
        return read()
    except FluenceError:
        return None


@given(
    item=st.fixed_dictionaries({}, optional=dict.fromkeys(GPU_FIELDS, JSON_VALUES)),
    more=st.fixed_dictionaries({}, optional={**dict.fromkeys(GPU_FIELDS[1:], JSON_VALUES), "billing": BILLINGS}),
)
@pytest.mark.parametrize("kind", GPU_KINDS)
def test_any_json_of_an_instance_is_read_or_refused(kind: Kind, item: dict[str, Any], more: dict[str, Any]) -> None:
    listed = read_or_refused(lambda: instances(json.dumps([{"id": "a"} | item]).encode(), kind=kind))
    for instance in listed or ():
        detail = read_or_refused(partial(detail_of, json.dumps(more).encode(), instance=instance))
        resource = instance.resource(account="main", detail=detail or Detail())
        assert resource.price is None or 0 <= resource.price <= LARGEST_PRICE
        assert all(problem.isprintable() for problem in resource.problems)


@given(body=st.binary(max_size=200) | st.text(alphabet='[]{}",:\\u0d8e1.- ', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read_or_refused(lambda: instances(body, kind=Kind.GPU_VM))
    (instance,) = instances(b'[{"id": "a"}]', kind=Kind.GPU_VM)
    read_or_refused(lambda: detail_of(body, instance=instance))


@given(number=NUMBERS | st.decimals(-100, 100, places=6, allow_nan=False).map(float))
def test_a_number_is_what_its_digits_say_or_none(number: float) -> None:
    text = json.dumps(number)
    try:
        assert Decimal(text) == exact_number(msgspec.Raw(text.encode()))
    except AmountInvalid:
        # Refused are only those that are too long or too far from one to be an amount of money.
        assert len(text) > 17 or not -10 <= Decimal(text).adjusted() <= 20


@pytest.mark.parametrize("text", ["NaN", "Infinity", "true", "null", "[1]", "{}", '"1e3"', '""', "1e10", "1E-10", "-"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(AmountInvalid):
        exact_number(msgspec.Raw(text.encode()))
