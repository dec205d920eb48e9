"""From our values to rows and back. Whatever is written reads back equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from fluence_costwatch.core.billing.history import Charge, Judgement, ListState, ResourceState
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Generation, Identity, Kind, Per, Resource, Specs
from fluence_costwatch.store.types import compact, grid_of, grid_text, micros_at, micros_of, moment_at

Row = Any
"""A row of SQLAlchemy, whose columns are attributes; its columns' types are the schema's."""


def details_text(resource: Resource) -> str:
    """What of a resource hardly ever changes, as one text; what the list did not say is left out."""
    said = {
        "id": resource.id,
        "kind": resource.kind.value,
        "name": resource.name,
        "per": resource.price_per.value,
        "created_at": None if resource.created_at is None else micros_at(resource.created_at),
        "datacenter": resource.datacenter,
        "public_ip": resource.public_ip,
        "specs": None if resource.specs is None else _said(asdict(resource.specs)),
        "attached_to": resource.attached_to,
        "allowed_actions": resource.allowed_actions,
    }
    return compact(_said(said))


def _said(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


class Details(NamedTuple):
    """What `details_text` wrote."""

    id: str
    kind: Kind
    name: str | None
    price_per: Per
    created_at: datetime | None
    datacenter: str | None
    public_ip: str | None
    specs: Specs | None
    attached_to: tuple[str, ...] | None
    allowed_actions: tuple[str, ...] | None


@lru_cache(maxsize=20_000)
def details_of(text: str) -> Details:
    """The details that `details_text` wrote. Remembered, as the same texts are read at every cycle."""
    said = json.loads(text).get
    created, specs, attached, allowed = said("created_at"), said("specs"), said("attached_to"), said("allowed_actions")
    return Details(
        id=said("id"),
        kind=Kind(said("kind")),
        name=said("name"),
        price_per=Per(said("per")),
        created_at=None if created is None else moment_at(created),
        datacenter=said("datacenter"),
        public_ip=said("public_ip"),
        specs=None if specs is None else Specs(**specs),
        attached_to=None if attached is None else tuple(attached),
        allowed_actions=None if allowed is None else tuple(allowed),
    )


def digest_of(text: str) -> bytes:
    """The name under which details are kept once."""
    return hashlib.sha256(text.encode()).digest()[:16]


def version_values(resource: Resource) -> dict[str, object]:
    """The columns of `versions` that come from the resource itself."""
    return {
        "status": resource.status,
        "price": resource.price,
        "next_charge_at": resource.next_charge_at,
        "status_changed_at": resource.status_changed_at,
        "total_spent": resource.total_spent,
        "reserved": resource.reserved,
        "problems": resource.problems,
    }


def resource_of(row: Row, *, account: str, generation: Generation) -> Resource:
    """The resource that a row of `versions`, with the content of its details, describes."""
    details = details_of(row.content)
    return Resource(
        account=account,
        id=details.id,
        kind=details.kind,
        generation=generation,
        name=details.name,
        status=row.status,
        price=row.price,
        price_per=details.price_per,
        created_at=details.created_at,
        next_charge_at=row.next_charge_at,
        status_changed_at=row.status_changed_at,
        total_spent=row.total_spent,
        reserved=row.reserved,
        datacenter=details.datacenter,
        public_ip=details.public_ip,
        specs=details.specs,
        attached_to=details.attached_to,
        allowed_actions=details.allowed_actions,
        problems=row.problems,
    )


def judgement_text(judgement: Judgement) -> str:
    """The settings of a judgement as one text."""
    return compact(
        {
            "grid": grid_text(judgement.grid),
            "confirm_absence": judgement.confirm_absence,
            "confirm_suspicious": micros_of(judgement.confirm_suspicious),
            "rank": judgement.rank,
            "charge_from": None if judgement.charge_from is None else micros_at(judgement.charge_from),
        }
    )


@lru_cache(maxsize=256)
def judgement_of(text: str) -> Judgement:
    """The judgement that `judgement_text` wrote."""
    content = json.loads(text)
    charge_from = content["charge_from"]
    return Judgement(
        grid=grid_of(content["grid"]),
        confirm_absence=content["confirm_absence"],
        confirm_suspicious=timedelta(microseconds=content["confirm_suspicious"]),
        rank=content["rank"],
        charge_from=None if charge_from is None else moment_at(charge_from),
    )


def list_values(state: ListState) -> dict[str, object]:
    """The columns of `lists` that remember the last list that was believed; its ids go to `listed`."""
    return {
        "rank": state.rank,
        "sent_at": state.sent_at,
        "charge_from": state.charge_from,
        "suspicious_since": state.suspicious_since,
    }


NO_LIST: Mapping[str, object] = {"rank": None, "sent_at": None, "charge_from": None, "suspicious_since": None}
"""The same columns where no list is remembered."""


def list_of(row: Row, *, ids: frozenset[str]) -> ListState:
    """The list state that a row of `lists` holds."""
    return ListState(
        generation=row.generation,
        rank=row.rank,
        sent_at=row.sent_at,
        ids=ids,
        charge_from=row.charge_from,
        suspicious_since=row.suspicious_since,
    )


def state_values(state: ResourceState) -> dict[str, object]:
    """The columns of `states`, without the resource's own key."""
    epoch, row = state.epoch, state.epoch_charge
    if row is not None and row.identity != state.identity:
        raise ValueError(f"the epoch of {state.identity} is charged to {row.identity}")
    return {
        "kind": state.kind,
        "generation": state.generation,
        "created_at": state.created_at,
        "first_seen": state.first_seen,
        "status": state.status,
        "price": state.price,
        "last_seen": state.last_seen,
        "presence": state.presence,
        "absences": state.absences,
        "absent_since": state.absent_since,
        "billed": state.billed,
        "retired": state.retired,
        "charged_under": state.charged_under,
        "phase": state.phase,
        "grid": state.grid,
        "run_since": state.run_since,
        "epoch_start": epoch and epoch.start,
        "epoch_end": epoch and epoch.end,
        "row_start": row and row.span.start,
        "row_end": row and row.span.end,
        "row_amount": row and row.amount,
        "row_basis": row and row.basis,
        "row_reason": row and row.reason,
        "row_closed": row and row.closed,
        "charged": state.charged,
        "unpriced": state.unpriced,
        "doubts": state.doubts,
        "settling": state.settling,
        "problems": state.problems,
        "due_prices": state.due_prices,
    }


def state_of(row: Row, identity: Identity) -> ResourceState:
    """The state that a row of `states` holds."""
    return ResourceState(
        identity=identity,
        kind=row.kind,
        generation=row.generation,
        created_at=row.created_at,
        first_seen=row.first_seen,
        status=row.status,
        price=row.price,
        last_seen=row.last_seen,
        presence=row.presence,
        absences=row.absences,
        absent_since=row.absent_since,
        billed=row.billed,
        retired=row.retired,
        charged_under=row.charged_under,
        phase=row.phase,
        grid=row.grid,
        run_since=row.run_since,
        epoch=None if row.epoch_start is None else Span(row.epoch_start, row.epoch_end),
        epoch_charge=_epoch_charge(row, identity),
        charged=row.charged,
        unpriced=row.unpriced,
        doubts=row.doubts,
        settling=row.settling,
        problems=row.problems,
        due_prices=row.due_prices,
    )


def _epoch_charge(row: Row, identity: Identity) -> Charge | None:
    if row.row_start is None:
        return None
    return Charge(
        identity=identity,
        span=Span(row.row_start, row.row_end),
        amount=row.row_amount,
        basis=row.row_basis,
        reason=row.row_reason,
        closed=row.row_closed,
    )


def charge_values(charge: Charge) -> dict[str, object]:
    """The columns of `charges`, without the resource's key."""
    return {
        "starts_at": charge.span.start,
        "reason": charge.reason,
        "ends_at": charge.span.end,
        "amount": charge.amount,
        "basis": charge.basis,
        "closed": charge.closed,
    }


def charge_of(row: Row, identity: Identity) -> Charge:
    """The charge that a row of `charges` holds."""
    return Charge(
        identity=identity,
        span=Span(row.starts_at, row.ends_at),
        amount=row.amount,
        basis=row.basis,
        reason=row.reason,
        closed=row.closed,
    )
