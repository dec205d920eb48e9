"""Finding out which generations of the API serve an account, by GET alone: a hint for people, never ground for a deletion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

import msgspec

from fluence_costwatch.core.resources import Generation
from fluence_costwatch.errors import FluenceError, FluenceRefused
from fluence_costwatch.fluence import cloud_v2, gpu, vms_v2, vms_v3
from fluence_costwatch.fluence.billing import ME_PATH
from fluence_costwatch.fluence.connection import NOT_FOUND, Connection
from fluence_costwatch.fluence.gpu_instances import INSTANCES
from fluence_costwatch.fluence.wire import decoded, elements, unexpected
from fluence_costwatch.http_client import Budget, HttpStatus, Query, status_of
from fluence_costwatch.ports import Probe

STATUS_PATH: Final = "/v1/service/status"

_NOT_ALLOWED: Final = 405
_LONGEST: Final = timedelta(seconds=30)
_LONGEST_VERSION: Final = 40
_ONE: Final = (("page", "1"), ("perPage", "1"))


class _Status(msgspec.Struct, rename="camel"):
    version: str
    maintenance_mode: bool = False


class _Me(msgspec.Struct):
    permissions: list[str]


class _Pagination(msgspec.Struct, rename="camel"):
    total_records: int


class _Page(msgspec.Struct):
    pagination: _Pagination


_STATUS: Final = msgspec.json.Decoder(_Status)
_ME: Final = msgspec.json.Decoder(_Me)
_PAGE: Final = msgspec.json.Decoder(_Page, strict=False)

_S = TypeVar("_S")


class FluenceDiscovery:
    """Asks every known generation once (`ports.Discovery`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def probe(self) -> tuple[Probe, ...]:
        """What each known generation answers, in the order in which they should be listed.

        Raises FluenceRefused where the key is one that cannot be sent.
        """
        budget = self._connection.to().budget().at_most(_LONGEST)
        return (
            self._cloud(budget),
            self._probe(Generation.VMS_V3, vms_v3.LIST_PATH, _machines, budget=budget),
            self._probe(Generation.VMS_V2, vms_v2.LIST_PATH, _machines, budget=budget),
            self._probe(Generation.GPU, gpu.VMS_PATH, _instances, budget=budget),
        )

    def _cloud(self, budget: Budget) -> Probe:
        found = self._probe(Generation.CLOUD_V2, cloud_v2.MACHINES_PATH, _records, query=_ONE, budget=budget)
        if not found.answers:
            newer = self._probe(
                Generation.CLOUD_V2, cloud_v2.MACHINES_AND_DRAFTS_PATH, _records, query=_ONE, budget=budget
            )
            found = newer if newer.answers else found
        about = [self._said(STATUS_PATH, _service, budget=budget), self._said(ME_PATH, _scopes, budget=budget)]
        return replace(found, detail=" ".join([found.detail, *filter(None, about)]))

    def _probe(
        self,
        generation: Generation,
        path: str,
        read: Callable[[bytes], str],
        *,
        query: Query = (),
        budget: Budget,
    ) -> Probe:
        try:
            answer = self._connection.to(generation).get(path, query=query, budget=budget)
            return Probe(generation, answers=True, detail=f"GET {path} answers with {read(answer.body)}.")
        except FluenceError as error:
            reason = "" if status_of(error) in NOT_FOUND else error.reason
            return Probe(generation, answers=False, detail=_why_not(path, error), reason=reason)

    def _said(self, path: str, read: Callable[[bytes], str], *, budget: Budget) -> str:
        """A sentence from an answer that only adds to a probe; none where there is no such answer."""
        try:
            return read(self._connection.to().get(path, budget=budget).body)
        except FluenceError:
            return ""


def _why_not(path: str, error: FluenceError) -> str:
    cause = error.__cause__
    if not isinstance(cause, HttpStatus):
        return f"GET {path} gives no usable answer: {error}"
    said = f", {cause.said}" if cause.said else ""
    # Where a path takes other methods alone, a GET of it is not there either.
    if status_of(error) in (*NOT_FOUND, _NOT_ALLOWED):
        return f"GET {path} is not there ({cause.status}{said})."
    if isinstance(error, FluenceRefused):
        return f"GET {path} refuses the key ({cause.status}{said})."
    return f"GET {path} fails ({cause.status}{said})."


def _counted(count: int, one: str, many: str) -> str:
    return f"1 {one}" if count == 1 else f"{count} {many}"


def _machines(body: bytes) -> str:
    return _counted(len(elements(body)), "machine", "machines")


def _instances(body: bytes) -> str:
    found = elements(body, what=INSTANCES, is_secret=True)
    return _counted(len(found), "GPU machine", "GPU machines")


def _records(body: bytes) -> str:
    return _counted(_read(_PAGE, body).pagination.total_records, "machine", "machines") + ", ended ones included"


def _service(body: bytes) -> str:
    status = _read(_STATUS, body)
    version = status.version[:_LONGEST_VERSION]
    return f"The service says it is version {version!r}{', in maintenance' if status.maintenance_mode else ''}."


def _scopes(body: bytes) -> str:
    return f"The key has {_counted(len(set(_read(_ME, body).permissions)), 'scope', 'scopes')}."


def _read(decoder: msgspec.json.Decoder[_S], body: bytes) -> _S:
    try:
        return decoded(body, decoder)
    except (ValueError, RecursionError) as exc:
        raise unexpected(f"it is not what this generation sends ({exc})", what="answer") from exc
