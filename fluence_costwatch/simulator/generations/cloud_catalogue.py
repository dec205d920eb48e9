"""What `cloud-v2` has on offer: price lists by cluster, plans, clusters and datacenters."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ..catalogue import ADDRESS_TYPE, DATACENTERS, DISK_TYPES, PLANS, plan_id, plan_size
from ..market import Market
from ..meter import decimal_text
from ..wire import Answer, Request, Route
from .cloud_manners import MANNERS
from .query import Query

JsonObject = dict[str, Any]
PRICE_DIGITS = 24
FAMILIES: tuple[str, ...] = ("AMD_ZEN2", "AMD_ZEN3", "AMD_ZEN5")


def vm_prices(market: Market, request: Request) -> Answer:
    def type_id(plan: str, cluster: str) -> JsonObject:
        return {"vmTypeId": {"vmConfigurationId": plan_id(plan), "clusterId": cluster}}

    return _prices(market, request, PLANS, type_id)


def storage_prices(market: Market, request: Request) -> Answer:
    """Per gigabyte."""

    def type_id(kind: str, cluster: str) -> JsonObject:
        storage_type, _, replicated = kind.partition("/")
        named = {"storageType": storage_type, "replicated": bool(replicated), "clusterId": cluster}
        return {"storageTypeId": named}

    return _prices(market, request, DISK_TYPES, type_id)


def public_ip_prices(market: Market, request: Request) -> Answer:
    def type_id(kind: str, cluster: str) -> JsonObject:
        return {"publicIpTypeId": {"addressType": kind, "clusterId": cluster}}

    return _prices(market, request, (ADDRESS_TYPE,), type_id)


def plans(market: Market, request: Request) -> Answer:
    return Answer(200, {"items": [_plan(number, plan) for number, plan in enumerate(PLANS)]}, listed=True)


def clusters(market: Market, request: Request) -> Answer:
    """An object with `items`; a bare array and another name for the datacenter before 0.10."""
    old = market.options.spec == "0.8"
    rows = [
        {"id": c.id, "name": c.name, "dc_id" if old else "dcId": c.datacenter.id}
        for c in market.cloud.catalogue.clusters
    ]
    return Answer(200, rows if old else {"items": rows}, listed=True)


def datacenters(market: Market, request: Request) -> Answer:
    rows = [
        {
            "id": place.id,
            "countryCode": place.country,
            "cityCode": place.city,
            "cityName": place.city_name,
            "index": 1,
            "tier": 3,
            "certifications": ["ISO 27001"],
            "slug": place.slug,
        }
        for place in DATACENTERS
    ]
    return Answer(200, rows if market.options.spec == "0.8" else {"items": rows}, listed=True)


def _prices(
    market: Market, request: Request, kinds: tuple[str, ...], type_id: Callable[[str, str], JsonObject]
) -> Answer:
    wanted = Query(request.pairs).id("clusterId")
    rows = [
        {**type_id(kind, cluster.id), "priceInfo": {"pricePerHourPerQty": _price(price)}}
        for cluster in market.cloud.catalogue.clusters
        if wanted in (None, cluster.id)
        for kind, price in cluster.prices.items()
        if kind in kinds
    ]
    return Answer(200, {"items": rows}, listed=True)


def _price(micros: Fraction) -> str:
    """All its digits, at least two decimals; of one that never ends more than matter."""
    text = decimal_text(micros / 1_000_000, digits=PRICE_DIGITS).rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def _plan(number: int, plan: str) -> JsonObject:
    vcpu, ram = plan_size(plan)
    family = plan.split("-")[1]
    return {
        "id": plan_id(plan),
        "slug": plan,
        "name": f"{family.capitalize()} {vcpu} vCPU / {ram} GB",
        "vcpu": vcpu,
        "ramGb": ram,
        "dedicated": family != "shared",
        "cpuFamilies": [FAMILIES[number % len(FAMILIES)]],
        "preset": "general" if ram == 2 * vcpu else "memory_optimized",
        "tags": [family],
        "description": f"{vcpu} vCPU and {ram} GB of memory",
    }


ROUTES = (
    Route("GET", "/v1/prices/vm", vm_prices, MANNERS, "prices:read"),
    Route("GET", "/v1/prices/storage", storage_prices, MANNERS, "prices:read"),
    Route("GET", "/v1/prices/public-ip", public_ip_prices, MANNERS, "prices:read"),
    Route("GET", "/v1/configurations/virtual_machines", plans, MANNERS, "vm:list"),
    Route("GET", "/v1/clusters", clusters, MANNERS, "clusters:read"),
    Route("GET", "/v1/datacenters", datacenters, MANNERS, "clusters:read"),
)
