"""What a key must be allowed to do, and what goes missing where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from fluence_costwatch.errors import FluenceRefused
from fluence_costwatch.http_client import HttpStatus

_FORBIDDEN: Final = 403

_BLIND: Final = (
    "Without it the list of what costs money is not whole, so none of it is taken over: charges go on as uncertain, and "
    "nothing is taken for ended."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope of a key. `without` says what is lost where it is missing: everything, if it `is_essential`."""

    name: str
    without: str
    is_essential: bool = False


VMS: Final = Scope("vms:read", f"Machines cannot be listed. {_BLIND}", is_essential=True)
STORAGES: Final = Scope(
    "storage:read", f"Disks, which bill on their own, cannot be listed. {_BLIND}", is_essential=True
)
ADDRESSES: Final = Scope(
    "public_ip:read", f"Public addresses, which bill on their own, cannot be listed. {_BLIND}", is_essential=True
)
PRICES: Final = Scope("prices:read", 'What does not state its own price has none: totals are only "at least".')
CLUSTERS: Final = Scope("clusters:read", "Datacenters have no names.")
SPENDING: Final = Scope("billing:get_spending_history", "What Fluence charged cannot be compared with the ledger.")
TOP_UPS: Final = Scope("billing:get_history", "What came in is not known, so balances cannot be compared.")

SCOPES: Final = (VMS, STORAGES, ADDRESSES, PRICES, CLUSTERS, SPENDING, TOP_UPS)
"""Every scope that watching `cloud-v2` takes, the essential ones first."""


def missing(scopes: Iterable[str]) -> tuple[Scope, ...]:
    """The scopes that a key with `scopes` lacks."""
    held = frozenset(scopes)
    return tuple(scope for scope in SCOPES if scope.name not in held)


@contextmanager
def needing(scope: Scope) -> Iterator[None]:
    """What is asked inside needs `scope`: an error about a key that lacks it names it, and says what is lost."""
    with explaining_403(lacks=f"the scope {scope.name}", without=scope.without):
        yield


@contextmanager
def explaining_403(*, lacks: str, without: str) -> Iterator[None]:
    """Where the server forbids what is asked inside, the error says what the key `lacks` and what is lost `without` it."""
    try:
        yield
    except FluenceRefused as error:
        cause = error.__cause__
        if not isinstance(cause, HttpStatus) or cause.status != _FORBIDDEN:
            raise
        said = f" ({cause.said})" if cause.said else ""
        raise FluenceRefused(
            f"The key lacks {lacks}: Fluence answered with {cause.status}{said}. {without} Give the account a key that has it."
        ) from cause
