"""Generation `gpu`: containers, virtual machines and bare metal, prepaid by the hour of UTC.

What an instance costs stands in its detail alone, which is one request for each; it is asked for live instances, several
at a time, and again only when the list shows a change or the next charge is near. The environment of a container, which
its detail holds, may carry secrets: nothing here reads it, and no error quotes a detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from fluence_costwatch.core.resources import Generation, Kind
from fluence_costwatch.errors import FluenceError, FluenceRefused
from fluence_costwatch.fluence.gpu_instances import Detail, Instance, detail_of, instances
from fluence_costwatch.fluence.wire import unique
from fluence_costwatch.http_client import Budget, HttpClient
from fluence_costwatch.ports import Listing

# The path of a list and that of a detail without its id. The slash at the end of the first list is part of it.
VMS_PATH: Final = "/gpu/instances/vms"
LISTS: Final = (
    (Kind.GPU_CONTAINER, "/gpu/instances/", "/gpu/instances/"),
    (Kind.GPU_VM, VMS_PATH, "/gpu/instances/vms/"),
    (Kind.GPU_BAREMETAL, "/gpu/instances/baremetal", "/gpu/instances/baremetal/"),
)

_AT_A_TIME: Final = 4
# A detail is asked for again from this long before the next charge on, and at least this often.
_HOUR: Final = timedelta(hours=1)
_NEAR: Final = timedelta(minutes=5)
_KEPT_FOR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A detail that was read, and what the list said of the instance then."""

    detail: Detail
    version: tuple[bytes, str]
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of the request for a detail."""

    instance: Instance
    detail: Detail | None = None
    answered_at: datetime | None = None
    error: FluenceError | None = None


class GpuCloud:
    """The GPU side of one account; it keeps the details that it has read for as long as they hold."""

    def __init__(self, *, account: str) -> None:
        self._account = account
        self._kept: dict[str, _Kept] = {}

    def look(self, http: HttpClient) -> Listing:
        """All instances, those that have ended among them. A detail that cannot be had leaves its price unknown.

        Raises FluenceError where one of the lists cannot be had, or where the key may read no detail at all.
        """
        budget = http.budget()
        try:
            answers = [(kind, http.get(path, budget=budget)) for kind, path, _ in LISTS]
        except FluenceRefused as error:
            raise FluenceRefused(f"{error} The GPU cloud refuses read-only keys too.") from error.__cause__
        listed = [instance for kind, answer in answers for instance in instances(answer.body, kind=kind)]
        now = answers[0][1].sent_at
        held = {instance.id: kept for instance in listed if (kept := self._holding(instance, now=now)) is not None}
        wanted = [instance for instance in listed if instance.is_live and instance.id not in held]
        details = _ask(wanted, http=http, budget=budget)
        refused = [answer.error for answer in details if isinstance(answer.error, FluenceRefused)]
        if refused and len(refused) == len(details) and not held:
            raise refused[0]
        for answer in details:
            if answer.detail is not None and answer.instance.version is not None:
                held[answer.instance.id] = _Kept(answer.detail, answer.instance.version, now)
        self._kept = held
        read = {answer.instance.id: answer.detail or _without(answer.error) for answer in details}
        read |= {id: kept.detail for id, kept in held.items()}
        return Listing(
            generation=Generation.GPU,
            sent_at=now,
            answered_at=max(
                [answer.answered_at for _, answer in answers]
                + [answer.answered_at for answer in details if answer.answered_at is not None]
            ),
            resources=unique(
                instance.resource(account=self._account, detail=read.get(instance.id, Detail())) for instance in listed
            ),
            clock_ahead=answers[0][1].clock_ahead,
        )

    def _holding(self, instance: Instance, *, now: datetime) -> _Kept | None:
        """The kept detail of a live instance, unless it may have changed since it was read."""
        kept = self._kept.get(instance.id)
        if kept is None or not instance.is_live or kept.version != instance.version or kept.detail.problems:
            return None
        due = kept.detail.next_charge_at
        if due is None:
            return None
        # Just after the hour a total may lag behind a charge time that has moved on already: such an answer is not kept.
        is_settled = kept.asked_at >= due - _HOUR + _NEAR
        is_fresh = is_settled and now < due - _NEAR and abs(now - kept.asked_at) < _KEPT_FOR
        return kept if is_fresh else None


def _ask(wanted: Sequence[Instance], *, http: HttpClient, budget: Budget) -> list[_Answer]:
    prefixes = {kind: prefix for kind, _, prefix in LISTS}

    def ask(instance: Instance) -> _Answer:
        try:
            answer = http.get(prefixes[instance.kind] + quote(instance.id, safe=""), budget=budget)
            return _Answer(instance, detail_of(answer.body, instance=instance), answer.answered_at)
        except FluenceError as error:
            return _Answer(instance, error=error)

    if not wanted:
        return []
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="gpu-detail") as threads:
        return list(threads.map(ask, wanted))


def _without(error: FluenceError | None) -> Detail:
    """What stands for a detail that could not be had, in words that do not change from one look to the next."""
    why = "the key may not read" if isinstance(error, FluenceRefused) else "no answer gives"
    return Detail(problems=(f"price: {why} the detail of this instance",))
