"""The price lists and clusters of the marketplace, which change seldom: asked for now and then, and kept in between.

They only add to what the lists of resources say, so a look never fails for want of them; what they would have told is
then unknown and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Final, Generic, TypeVar

import msgspec

from fluence_costwatch.core.money import LARGEST_PRICE, parse_decimal
from fluence_costwatch.errors import FluenceError, FluenceRefused
from fluence_costwatch.fluence import scopes
from fluence_costwatch.fluence.wire import decoded, shown, unexpected
from fluence_costwatch.http_client import Budget, HttpClient

VM_PRICES_PATH: Final = "/v1/prices/vm"
STORAGE_PRICES_PATH: Final = "/v1/prices/storage"
ADDRESS_PRICES_PATH: Final = "/v1/prices/public-ip"
CLUSTERS_PATH: Final = "/v1/clusters"

_FRESH_FOR: Final = timedelta(minutes=10)
_USABLE_FOR: Final = timedelta(days=1)
# Of the time for a look, all lists of the catalogue together.
_LONGEST: Final = timedelta(seconds=15)
_LONGEST_NAME: Final = 200

_V = TypeVar("_V")

Unit = tuple[str, ...]
"""What a price is for: configuration or type, and cluster, case-folded."""


def unit(*parts: str | bool) -> Unit:
    """The unit that `parts` name, however they are spelled: disks are NVME here and NVMe there."""
    return tuple(str(part).casefold() for part in parts)


class _Type(msgspec.Struct, rename="camel"):
    cluster_id: str
    vm_configuration_id: str = ""
    storage_type: str = ""
    replicated: bool = False
    address_type: str = ""


class _PriceInfo(msgspec.Struct, rename="camel"):
    price_per_hour_per_qty: str


class _Price(msgspec.Struct, rename="camel"):
    price_info: _PriceInfo
    vm_type_id: _Type | None = None
    storage_type_id: _Type | None = None
    public_ip_type_id: _Type | None = None


class _Cluster(msgspec.Struct):
    id: str
    name: str


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]


# `/v1/clusters` was a bare array once.
_ITEMS: Final = msgspec.json.Decoder(_Items)
_BARE: Final = msgspec.json.Decoder(list[msgspec.Raw])
_PRICE: Final = msgspec.json.Decoder(_Price)
_CLUSTER: Final = msgspec.json.Decoder(_Cluster)


@dataclass(frozen=True, slots=True)
class Known(Generic[_V]):
    """A list by unit. `unknown` says why it cannot be had, in words that do not change from one look to the next."""

    by_unit: Mapping[Unit, _V]
    unknown: str = ""


class Catalogue:
    """What one account may read of prices and clusters, as of `now` or some minutes before."""

    def __init__(self) -> None:
        self._vms = _Kept(VM_PRICES_PATH, scopes.PRICES.name, _prices)
        self._storages = _Kept(STORAGE_PRICES_PATH, scopes.PRICES.name, _prices)
        self._addresses = _Kept(ADDRESS_PRICES_PATH, scopes.PRICES.name, _prices)
        self._clusters = _Kept(CLUSTERS_PATH, scopes.CLUSTERS.name, _clusters)

    def asking(self, http: HttpClient, *, now: datetime, budget: Budget) -> Asking:
        """The catalogue for one look, which asks for those of its lists that are needed, each once at most."""
        part = budget.at_most(_LONGEST)
        return Asking(
            vm_prices=cache(lambda: self._vms.get(http, now=now, budget=part)),
            storage_prices=cache(lambda: self._storages.get(http, now=now, budget=part)),
            address_prices=cache(lambda: self._addresses.get(http, now=now, budget=part)),
            clusters=cache(lambda: self._clusters.get(http, now=now, budget=part)),
        )


@dataclass(frozen=True, slots=True)
class Asking:
    """The catalogue during one look."""

    vm_prices: Callable[[], Known[Decimal]]
    storage_prices: Callable[[], Known[Decimal]]
    address_prices: Callable[[], Known[Decimal]]
    clusters: Callable[[], Known[str]]


class _Kept(Generic[_V]):
    """One list, asked for anew once it is old; where that fails, the old one goes on for a while."""

    def __init__(self, path: str, scope: str, read: Callable[[bytes], dict[Unit, _V]]) -> None:
        self._path = path
        self._scope = scope
        self._read = read
        self._known: Known[_V] | None = None
        self._since: datetime | None = None

    def get(self, http: HttpClient, *, now: datetime, budget: Budget) -> Known[_V]:
        age = None if self._since is None else abs(now - self._since)
        if self._known is not None and age is not None and age < _FRESH_FOR:
            return self._known
        try:
            self._known = Known(self._read(http.get(self._path, budget=budget).body))
            self._since = now
        except FluenceError as error:
            if self._known is not None and age is not None and age < _USABLE_FOR:
                return self._known
            if isinstance(error, FluenceRefused):
                return Known({}, unknown=f"the key may not read {self._path} (it lacks the scope {self._scope})")
            return Known({}, unknown=f"{self._path} gives no answer")
        return self._known


def _prices(body: bytes) -> dict[Unit, Decimal]:
    """The prices per hour and piece, gigabyte or address. An unreadable one is left out, as is one that is said twice."""
    found: dict[Unit, Decimal] = {}
    contradicted = set()
    for raw in _items(body, what="price list"):
        try:
            price = _PRICE.decode(raw)
            amount = parse_decimal(price.price_info.price_per_hour_per_qty)
        except (ValueError, RecursionError):
            continue
        if not 0 <= amount <= LARGEST_PRICE:
            continue
        key = _unit_of(price)
        if key is not None and found.setdefault(key, amount) != amount:
            contradicted.add(key)
    return {key: amount for key, amount in found.items() if key not in contradicted}


def _unit_of(price: _Price) -> Unit | None:
    if price.vm_type_id is not None:
        return unit(price.vm_type_id.vm_configuration_id, price.vm_type_id.cluster_id)
    if price.storage_type_id is not None:
        disk = price.storage_type_id
        return unit(disk.storage_type, disk.replicated, disk.cluster_id)
    if price.public_ip_type_id is not None:
        return unit(price.public_ip_type_id.address_type, price.public_ip_type_id.cluster_id)
    return None


def _clusters(body: bytes) -> dict[Unit, str]:
    found = {}
    for raw in _items(body, what="list of clusters"):
        try:
            cluster = _CLUSTER.decode(raw)
        except (ValueError, RecursionError):
            continue
        found[unit(cluster.id)] = cluster.name[:_LONGEST_NAME]
    return found


def _items(body: bytes, *, what: str) -> list[msgspec.Raw]:
    try:
        return decoded(body, _BARE) if body.lstrip()[:1] == b"[" else decoded(body, _ITEMS).items
    except (ValueError, RecursionError) as exc:
        raise unexpected(f"it is no list ({exc}) but begins {shown(body)}", what=what) from exc
