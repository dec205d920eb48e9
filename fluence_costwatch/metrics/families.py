"""The metric families of what is seen and charged (`design.md` 9.4), built anew from values each time, so that no series outlives its subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from prometheus_client.metrics_core import Metric

from fluence_costwatch.core.alerts.waste import Ground
from fluence_costwatch.core.money import total
from fluence_costwatch.core.resources import Per
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.fleet import AccountStatus, StatusView, VmView
from fluence_costwatch.metrics.samples import RESOURCE, counter, dollars, gauge
from fluence_costwatch.metrics.tallies import REASONS, Counts

# Names are untrusted: an exposition is read in terminals too, and a label is no place for a novel.
_LONGEST_NAME: Final = 200
# What is merely held back costs nothing a day; it is in reclaimable_usd.
_COSTING: Final = (Ground.ORPHAN, Ground.NOT_RUNNING)
_INFO: Final = ("account", "resource_id", "name", "kind", "generation", "datacenter")


def process_families(*, version: str, size_bytes: int, counts: Counts) -> Iterator[Metric]:
    """What the process knows of itself.

    build_info{version}, config_last_reload_success, database_size_bytes
    """
    yield gauge("build_info", "The running version of CostWatch, as a label; always 1.", ("version",), {(version,): 1})
    yield gauge(
        "config_last_reload_success",
        "1 if the last reload of the configuration was taken, 0 if it was refused and the former one stays in force.",
        (),
        {(): float(counts.reloaded)},
    )
    yield gauge(
        "database_size_bytes",
        "Size of the database with its write-ahead log when a cycle last ended.",
        (),
        {(): size_bytes},
    )


def account_families(status: StatusView, *, counts: Counts) -> Iterator[Metric]:
    """What is known of each configured account.

    up, poll_*, polls_total, poll_failures_total{reason}, charged_usd, burn_usd_per_day, uncertain_usd
    """
    accounts = status.accounts
    label = ("account",)
    yield gauge(
        "up",
        "1 if the last look at every generation of the account brought a complete list, else 0.",
        label,
        {(each.account,): float(each.answering) for each in accounts},
    )
    yield gauge(
        "poll_last_success_timestamp_seconds",
        "When the account was last seen completely; 0 if it never was. The age is time() minus this.",
        label,
        {(each.account,): each.last_success.timestamp() if each.last_success else 0 for each in accounts},
    )
    yield gauge(
        "poll_duration_seconds",
        "How long the last look at the account took, retries included.",
        label,
        {(name,): counts.durations[name].total_seconds() for name in _names(status) if name in counts.durations},
    )
    yield counter(
        "polls",
        "Looks at the account since the process started, failed ones included.",
        label,
        {(name,): counts.polls.get(name, 0) for name in _names(status)},
    )
    yield counter(
        "poll_failures",
        "Looks at the account that brought no complete list, by reason.",
        ("account", "reason"),
        {(name, reason): counts.failures.get((name, reason), 0) for name in _names(status) for reason in REASONS},
    )
    yield gauge(
        "charged_usd",
        "All that the account was ever charged, in USD (USDC counts as USD), resources that are gone included. "
        "It rises in steps at epoch boundaries: use a difference over whole epochs rather than rate().",
        label,
        {(each.account,): dollars(each.spent) for each in accounts},
    )
    yield gauge(
        "burn_usd_per_day",
        "What the account costs a day while nothing changes, in USD.",
        label,
        {(each.account,): float(each.burn_per_day) for each in accounts},
    )
    yield gauge(
        "uncertain_usd",
        "What the bill may hold on top of charged_usd, in USD: epochs that nobody saw and changes not yet confirmed.",
        label,
        {(each.account,): dollars(each.uncertain) for each in accounts},
    )


def money_families(status: StatusView, *, drift: Mapping[tuple[str, str], Decimal]) -> Iterator[Metric]:
    """What each account has left, wastes and can get back, and how far its ledger is from the provider's numbers.

    balance_usd, runway_timestamp_seconds, waste_usd_per_day{ground}, reclaimable_usd, reconcile_drift_usd{against}
    """
    accounts, label = status.accounts, ("account",)
    known = [(each.account, each.outlook) for each in accounts if each.outlook is not None]
    ends = [(name, outlook.runway.ends_at) for name, outlook in known]
    yield gauge(
        "balance_usd",
        "What is left on the account in USD, the sum of all its entries; negative is debt. Absent where not known.",
        label,
        {(name,): float(outlook.balance) for name, outlook in known},
    )
    yield gauge(
        "runway_timestamp_seconds",
        "When the balance ends if nothing changes; absent where that is not known or further than ten years ahead.",
        label,
        {(name,): end.timestamp() for name, end in ends if end is not None},
    )
    yield gauge(
        "waste_usd_per_day",
        "What is charged a day for nothing, in USD: disks and addresses that serve no machine, machines that do not run.",
        ("account", "ground"),
        {(each.account, ground.value): _wasted(each, ground) for each in accounts for ground in _COSTING},
    )
    yield gauge(
        "reclaimable_usd",
        "Funds in USD still reserved by records of machines that the provider terminated; deleting these frees them.",
        label,
        {(each.account,): dollars(total(one.held for one in each.waste)) for each in accounts},
    )
    names = set(_names(status))
    yield gauge(
        "reconcile_drift_usd",
        "The provider's figures less the ledger's in USD, where they differ by more than rounding; positive means that "
        "the ledger holds too little. Absent before the first comparison.",
        ("account", "against"),
        {(name, str(against)): float(amount) for (name, against), amount in drift.items() if name in names},
    )


def resource_families(resources: Iterable[VmView]) -> Iterator[Metric]:
    """What is known of each resource that is not gone.

    resources{kind,status}, resource_info, resource_price_usd_per_epoch, resource_burn_usd_per_day,
    resource_charged_usd, resource_paid_until_timestamp_seconds
    """
    current = [view for view in resources if view.current]
    yield gauge(
        "resources",
        "Resources that are not gone, by their kind and by their status as the API spells it.",
        ("account", "kind", "status"),
        dict(Counter((view.account, view.kind.value, printable(view.status)) for view in current)),
    )
    yield gauge(
        "resource_info",
        "What a resource is called and where it is; always 1. Join on account and resource_id.",
        _INFO,
        {
            (
                view.account,
                view.id,
                printable(view.name or "", limit=_LONGEST_NAME),
                view.kind.value,
                view.generation.value,
                printable(view.datacenter or "", limit=_LONGEST_NAME),
            ): 1
            for view in current
        },
    )
    yield gauge(
        "resource_price_usd_per_epoch",
        "Price in force of one prepaid epoch of the resource in USD; absent where it is not known or metered by the hour.",
        RESOURCE,
        {
            (view.account, view.id): float(view.price)
            for view in current
            if view.price is not None and view.price_per is Per.EPOCH
        },
    )
    yield gauge(
        "resource_burn_usd_per_day",
        "What the resource costs a day while nothing changes, in USD; 0 where it is not charged, absent where no price "
        "is known.",
        RESOURCE,
        {(view.account, view.id): float(view.burn_per_day) for view in current if view.burn_per_day is not None},
    )
    yield gauge(
        "resource_charged_usd",
        "All that the resource was ever charged, in USD.",
        RESOURCE,
        {(view.account, view.id): dollars(view.spent) for view in current},
    )
    yield gauge(
        "resource_paid_until_timestamp_seconds",
        "When the next charge of the resource falls due; absent where none does.",
        RESOURCE,
        {(view.account, view.id): view.paid_until.timestamp() for view in current if view.paid_until is not None},
    )


def _names(status: StatusView) -> list[str]:
    return [each.account for each in status.accounts]


def _wasted(account: AccountStatus, ground: Ground) -> float:
    return float(sum((one.per_day or Decimal(0) for one in account.waste if one.ground is ground), Decimal(0)))
