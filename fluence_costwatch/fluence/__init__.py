"""The Fluence marketplace in our words and our errors: one module per generation of its API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

from fluence_costwatch.core.resources import Generation, Resource
from fluence_costwatch.errors import FluenceRefused, FluenceUnexpected
from fluence_costwatch.fluence import vms_v2, vms_v3
from fluence_costwatch.http_client import HttpClient
from fluence_costwatch.ports import Listing

DEFAULT_API_URL: Final = "https://api.fluence.dev"


class _Read(Protocol):
    def __call__(self, body: bytes, *, account: str) -> tuple[Resource, ...]: ...


# Paths of different generations differ in the order of words only, and some of them delete (`fluence-api.md` 0.2):
# each is a constant of its generation.
_LISTS: Final[tuple[tuple[Generation, str, _Read], ...]] = (
    (Generation.VMS_V2, vms_v2.LIST_PATH, vms_v2.read),
    (Generation.VMS_V3, vms_v3.LIST_PATH, vms_v3.read),
)

GENERATIONS: Final = tuple(generation for generation, _, _ in _LISTS)
"""The generations that can be looked at."""


class FluenceCloud:
    """The marketplace as one account sees it (`ports.Cloud`); it only ever reads."""

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
        if auth not in ("x-api-key", "bearer"):
            raise ValueError(f'auth is "x-api-key" or "bearer", not {auth!r}')
        self._account = account
        self._key_is_sendable = bool(api_key) and all("!" <= char <= "~" for char in api_key)
        key = api_key if self._key_is_sendable else ""
        self._http = HttpClient(
            api_url,
            # One header only: servers may prefer an Authorization that they then find invalid.
            {"Authorization": f"Bearer {key}"} if auth == "bearer" else {"X-API-KEY": key},
            clock=clock,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            deadline=deadline,
            budget=budget,
            attempts=attempts,
            back_off=back_off,
            max_bytes=max_bytes,
        )

    def __repr__(self) -> str:
        return f"<FluenceCloud {self._account!r} over {self._http!r}>"

    def close(self) -> None:
        """Close what is open; the cloud is of no use afterwards."""
        self._http.close()

    def look(self, generation: Generation) -> Listing:
        """The complete list of `generation`. Raises FluenceError where it cannot be had completely and in time."""
        if not self._key_is_sendable:
            raise FluenceRefused(
                "The key cannot be sent: it is empty or holds characters that no key has (spaces, line breaks, letters "
                "beyond ASCII). CostWatch is blind for this account until that is mended: charges go on as uncertain."
            )
        for known, path, read in _LISTS:
            if known is generation:
                answer = self._http.get(path)
                return Listing(
                    generation=generation,
                    sent_at=answer.sent_at,
                    answered_at=answer.answered_at,
                    resources=read(answer.body, account=self._account),
                    clock_ahead=answer.clock_ahead,
                )
        raise FluenceUnexpected(
            f"This version of CostWatch cannot look at the generation {generation.value}, so nothing is known of it: take it "
            f"out of `generation` in the configuration; {' and '.join(GENERATIONS)} can be looked at."
        )
