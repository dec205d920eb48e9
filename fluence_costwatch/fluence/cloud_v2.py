"""Generation `cloud-v2`: machines, disks and public addresses, each billed on its own by the hour of its existence.

`GET /v2/vms` is asked for machines. Only where a server no longer has that path is `GET /v3/vms` asked, the same list
with drafts in it, which cost nothing. Neither is `/vms/v3`, which belongs to another generation.
"""

from __future__ import annotations

from typing import Final

from fluence_costwatch.core.resources import Generation
from fluence_costwatch.errors import FluenceUnexpected
from fluence_costwatch.fluence import cloud_records, scopes
from fluence_costwatch.fluence.catalogue import Catalogue
from fluence_costwatch.fluence.cloud_resources import resources_of
from fluence_costwatch.fluence.connection import NOT_FOUND
from fluence_costwatch.fluence.pages import Pages, read_pages
from fluence_costwatch.fluence.scopes import needing
from fluence_costwatch.http_client import Budget, HttpClient, status_of
from fluence_costwatch.ports import Listing

MACHINES_PATH: Final = "/v2/vms"
MACHINES_AND_DRAFTS_PATH: Final = "/v3/vms"
DISKS_PATH: Final = "/v1/storages"
ADDRESSES_PATH: Final = "/v1/public_ips"


def look(http: HttpClient, *, account: str, catalogue: Catalogue) -> Listing:
    """All that bills, ended resources among it. Raises FluenceError unless all three lists are whole."""
    budget = http.budget()
    with needing(scopes.VMS):
        machines = _machines(http, budget)
    with needing(scopes.STORAGES):
        disks = read_pages(http, DISKS_PATH, what=cloud_records.DISKS, budget=budget)
    with needing(scopes.ADDRESSES):
        addresses = read_pages(http, ADDRESSES_PATH, what=cloud_records.ADDRESSES, budget=budget)
    return Listing(
        generation=Generation.CLOUD_V2,
        sent_at=machines.sent_at,
        answered_at=max(pages.answered_at for pages in (machines, disks, addresses)),
        resources=resources_of(
            cloud_records.machines(machines.items),
            cloud_records.disks(disks.items),
            cloud_records.addresses(addresses.items),
            account=account,
            catalogue=catalogue.asking(http, now=machines.sent_at, budget=budget),
        ),
        clock_ahead=machines.clock_ahead,
    )


def _machines(http: HttpClient, budget: Budget) -> Pages:
    try:
        return read_pages(http, MACHINES_PATH, what=cloud_records.MACHINES, budget=budget)
    except FluenceUnexpected as error:
        if status_of(error) not in NOT_FOUND:
            raise
        try:
            return read_pages(http, MACHINES_AND_DRAFTS_PATH, what=cloud_records.MACHINES, budget=budget)
        except FluenceUnexpected as later:
            if status_of(later) in NOT_FOUND:
                raise error from error.__cause__
            raise
