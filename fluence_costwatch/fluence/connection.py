"""The one connection of an account: which header carries its key for which paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.resources import Generation
from fluence_costwatch.errors import FluenceRefused
from fluence_costwatch.http_client import HttpClient

NOT_FOUND: Final = (404, 410)
"""The path is not served (any more)."""

_FIRST_GENERATIONS: Final = (Generation.VMS_V2, Generation.VMS_V3)


class Connection:
    """The API with one account's key.

    Every other API than that of `vms-*` takes an API key in the header X-API-KEY and a session of the console as a bearer,
    so `auth = "bearer"` is for `vms-*` only.
    """

    def __init__(
        self,
        *,
        api_url: str,
        api_key: str,
        auth: str,
        clock: Callable[[], datetime],
        connect_timeout: timedelta,
        read_timeout: timedelta,
        deadline: timedelta,
        budget: timedelta,
        attempts: int,
        back_off: timedelta,
        max_bytes: int,
    ) -> None:
        if auth not in ("x-api-key", "bearer"):
            raise ValueError(f'auth is "x-api-key" or "bearer", not {auth!r}')
        self._key_is_sendable = bool(api_key) and all("!" <= char <= "~" for char in api_key)
        key = api_key if self._key_is_sendable else ""

        def client(headers: Mapping[str, str]) -> HttpClient:
            return HttpClient(
                api_url,
                headers,
                clock=clock,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                deadline=deadline,
                budget=budget,
                attempts=attempts,
                back_off=back_off,
                max_bytes=max_bytes,
            )

        self._http = client({"X-API-KEY": key})
        # One header only: servers may prefer an Authorization that they then find invalid.
        self._first = client({"Authorization": f"Bearer {key}"}) if auth == "bearer" else self._http

    def __repr__(self) -> str:
        return repr(self._http)

    def close(self) -> None:
        """Close what is open; the connection is of no use afterwards."""
        self._http.close()
        self._first.close()

    def to(self, generation: Generation | None = None) -> HttpClient:
        """The client that asks the paths of `generation`, or of billing. Raises FluenceRefused where no key can be sent."""
        if not self._key_is_sendable:
            raise FluenceRefused(
                "The key cannot be sent: it is empty or holds characters that no key has (spaces, line breaks, letters "
                "beyond ASCII). CostWatch is blind for this account until that is mended: charges go on as uncertain."
            )
        return self._first if generation in _FIRST_GENERATIONS else self._http
