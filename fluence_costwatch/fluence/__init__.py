"""The Fluence marketplace in our words and our errors: one module per generation of its API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from fluence_costwatch.core.resources import Generation, Resource
from fluence_costwatch.fluence import cloud_v2, vms_v2, vms_v3
from fluence_costwatch.fluence.billing import FluenceBilling
from fluence_costwatch.fluence.catalogue import Catalogue
from fluence_costwatch.fluence.connection import Connection
from fluence_costwatch.fluence.deletion import VM_ID, FluenceDeleter
from fluence_costwatch.fluence.discovery import FluenceDiscovery
from fluence_costwatch.fluence.gpu import GpuCloud
from fluence_costwatch.http_client import HttpClient
from fluence_costwatch.ports import Listing

DEFAULT_API_URL: Final = "https://api.fluence.dev"

GENERATIONS: Final = (Generation.CLOUD_V2, Generation.VMS_V3, Generation.VMS_V2, Generation.GPU)
"""The generations that can be looked at, in the order in which they should be listed."""


class _Read(Protocol):
    def __call__(self, body: bytes, *, account: str) -> tuple[Resource, ...]: ...


class FluenceCloud:
    """The marketplace as one account sees it (`ports.Cloud`); all but its `deleter` only ever read."""

    def __init__(
        self,
        *,
        account: str,
        api_url: str = DEFAULT_API_URL,
        api_key: str,
        auth: str = "x-api-key",
        clock: Callable[[], datetime],
        connect_timeout: timedelta = timedelta(seconds=10),
        read_timeout: timedelta = timedelta(seconds=20),
        deadline: timedelta = timedelta(seconds=30),
        budget: timedelta = timedelta(seconds=60),
        attempts: int = 4,
        back_off: timedelta = timedelta(milliseconds=500),
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._account = account
        self._connection = Connection(
            api_url=api_url,
            api_key=api_key,
            auth=auth,
            clock=clock,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            deadline=deadline,
            budget=budget,
            attempts=attempts,
            back_off=back_off,
            max_bytes=max_bytes,
        )
        self._catalogue = Catalogue()
        self._gpu = GpuCloud(account=account)

    def __repr__(self) -> str:
        return f"<FluenceCloud {self._account!r} over {self._connection!r}>"

    def close(self) -> None:
        """Close what is open; the cloud, its billing and its discovery are of no use afterwards."""
        self._connection.close()

    def billing(self) -> FluenceBilling:
        """The money side of the account, over the same connection."""
        return FluenceBilling(self._connection)

    def discovery(self) -> FluenceDiscovery:
        """Finding out which generations serve the account, over the same connection."""
        return FluenceDiscovery(self._connection)

    def deleter(self, *, delete_body: str = VM_ID) -> FluenceDeleter:
        """The side that ends things, over the same connection and with the same key."""
        return FluenceDeleter(self._connection, delete_body=delete_body)

    def look(self, generation: Generation) -> Listing:
        """The complete list of `generation`. Raises FluenceError where it cannot be had completely and in time."""
        http = self._connection.to(generation)
        match generation:
            case Generation.CLOUD_V2:
                return cloud_v2.look(http, account=self._account, catalogue=self._catalogue)
            case Generation.GPU:
                return self._gpu.look(http)
            # Paths of different generations differ in the order of words only, and some of them delete
            # (`fluence-api.md` 0.2): each is a constant of its generation.
            case Generation.VMS_V3:
                return self._look_at(http, vms_v3.LIST_PATH, vms_v3.read, generation=generation)
            case Generation.VMS_V2:
                return self._look_at(http, vms_v2.LIST_PATH, vms_v2.read, generation=generation)

    def _look_at(self, http: HttpClient, path: str, read: _Read, *, generation: Generation) -> Listing:
        """A list that one request gives whole."""
        answer = http.get(path)
        return Listing(
            generation=generation,
            sent_at=answer.sent_at,
            answered_at=answer.answered_at,
            resources=read(answer.body, account=self._account),
            clock_ahead=answer.clock_ahead,
        )
