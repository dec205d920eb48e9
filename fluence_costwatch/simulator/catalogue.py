"""What is on offer by the hour: clusters, plans, disk types, and the list price of each in each cluster.

A list price holds for a kind in a cluster. Whatever price a resource is created with, a kind and a cluster are found whose
list price it is, so that the price lists alone always tell what a resource costs.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from .refusals import Refused

PLANS: tuple[str, ...] = tuple(
    f"cpu-{family}-{size}"
    for family, sizes in (
        ("regular", ("2vcpu-4gb", "4vcpu-8gb", "8vcpu-16gb", "8vcpu-32gb", "16vcpu-32gb", "24vcpu-48gb", "32vcpu-64gb")),
        ("premium", ("2vcpu-4gb", "4vcpu-8gb", "8vcpu-16gb", "8vcpu-32gb", "16vcpu-32gb", "24vcpu-48gb", "32vcpu-64gb")),
        ("shared", ("2vcpu-2gb", "3vcpu-4gb", "4vcpu-8gb", "8vcpu-16gb", "16vcpu-32gb")),
    )
    for size in sizes
)  # fmt: skip
DISK_TYPES: tuple[str, ...] = ("NVME", "SSD", "HDD", "NVME/replicated", "SSD/replicated", "HDD/replicated")
ADDRESS_TYPE = "V4"
KINDS: tuple[str, ...] = (*PLANS, *DISK_TYPES, ADDRESS_TYPE)
CITIES: tuple[tuple[str, str, str], ...] = (("PL", "WAW", "Warsaw"), ("US", "SEA", "Seattle"), ("CA", "YTO", "Toronto"))


def made_id(*words: object) -> str:
    """A UUID, the same for the same words."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(str(word) for word in words)))


@dataclass(frozen=True, slots=True)
class Datacenter:
    """Where clusters stand; its clusters are those of every third number."""

    id: str
    country: str
    city: str
    city_name: str

    @property
    def slug(self) -> str:
        return f"{self.country}-{self.city}-1".lower()


DATACENTERS: tuple[Datacenter, ...] = tuple(
    Datacenter(made_id("datacenter", city), c, city, n) for c, city, n in CITIES
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A place with a price list of its own: micro-dollars per hour by kind, for disks per gigabyte."""

    number: int
    id: str
    name: str
    prices: dict[str, Fraction] = field(default_factory=dict)

    @property
    def datacenter(self) -> Datacenter:
        return DATACENTERS[self.number % len(DATACENTERS)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something to be had at this price, of any of these kinds."""

    kinds: tuple[str, ...]
    price: Fraction


class Catalogue:
    """All price lists; there is always a cluster more where the others do not fit."""

    def __init__(self) -> None:
        self._clusters: list[Cluster] = []
        self._open_cluster()

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        return tuple(self._clusters)

    def cluster(self, word: str) -> Cluster:
        """The cluster of that id or name; Refused where there is none."""
        for cluster in self._clusters:
            if word in (cluster.id, cluster.name):
                return cluster
        raise Refused(f"no cluster {word!r}")

    def place(self, wanted: Sequence[Wanted], *, cluster: str | None = None) -> tuple[Cluster, list[str]]:
        """A cluster that lists all of it at its price, and which kind each is; what was not listed is from now on."""
        for candidate in self._clusters if cluster is None else [self.cluster(cluster)]:
            if kinds := _fit(candidate, wanted):
                return candidate, kinds
        if cluster is not None:
            raise Refused(f"cluster {cluster} has another list price for that")
        opened = self._open_cluster()
        kinds = _fit(opened, wanted)
        if not kinds:
            raise Refused("too many prices for one cluster")
        return opened, kinds

    def _open_cluster(self) -> Cluster:
        number = len(self._clusters)
        self._clusters.append(Cluster(number, made_id("cluster", number), f"cluster-{number + 1}"))
        return self._clusters[-1]


def plan_id(plan: str) -> str:
    return made_id("plan", plan)


def plan_size(plan: str) -> tuple[int, int]:
    """The vCPUs and the gigabytes of RAM of a plan."""
    vcpu, ram = plan.split("-")[2:]
    return int(vcpu.removesuffix("vcpu")), int(ram.removesuffix("gb"))


def _fit(cluster: Cluster, wanted: Sequence[Wanted]) -> list[str]:
    """The kinds under which this cluster has or can have the prices; none where it cannot have all of them."""
    prices, kinds = dict(cluster.prices), []
    for item in wanted:
        free = next((kind for kind in item.kinds if prices.get(kind) == item.price), None)
        kind = free or next((kind for kind in item.kinds if kind not in prices), None)
        if kind is None:
            return []
        prices[kind] = item.price
        kinds.append(kind)
    cluster.prices.update(prices)
    return kinds
