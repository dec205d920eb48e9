"""Values of the core, one line per fact: what a test does not say has a plain default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fluence_costwatch.core.billing.history import Basis, Charge, Judgement, Reason, Snapshot
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind, Per, Resource


def at(text: str) -> datetime:
    """The instant "2026-03-01 17:55" (UTC), seconds and fractions too."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def usd(text: str) -> Usd:
    """The amount "0.31"."""
    return Usd.parse(text)


def resource(id: str = "0xWeb", **facts: Any) -> Resource:
    """One listed VM of account "main"; `facts` are any other fields."""
    plain = Resource(
        account="main",
        id=id,
        kind=Kind.VM,
        generation=Generation.VMS_V3,
        name="web",
        status="Active",
        price=Decimal("0.30697"),
    )
    return replace(plain, **facts)


def metered(id: str = "vm-1", **facts: Any) -> Resource:
    """One listed resource of account "main" and `cloud-v2`, at an hourly price with many decimals."""
    plain = resource(
        id, generation=Generation.CLOUD_V2, status="LAUNCHED", price=Decimal("0.012345678"), price_per=Per.HOUR
    )
    return replace(plain, **facts)


def snapshot(sent_at: str | datetime, *listed: Resource, judgement: Judgement | None = None, **facts: Any) -> Snapshot:
    """One complete list of account "main" and `vms-v3`, answered two seconds after it was asked for."""
    moment = at(sent_at) if isinstance(sent_at, str) else sent_at
    plain = Snapshot(
        account="main",
        generation=Generation.VMS_V3,
        sent_at=moment,
        answered_at=moment + timedelta(seconds=2),
        resources=_in_order(listed),
        judgement=judgement or Judgement(),
    )
    return replace(plain, **facts)


def _in_order(listed: Iterable[Resource]) -> tuple[Resource, ...]:
    return tuple(sorted(listed, key=lambda one: one.identity))


def charge(start: str, end: str, amount: str = "0.30697", **facts: Any) -> Charge:
    """One open, observed row of the VM "0xweb" of account "main"."""
    plain = Charge(
        identity=Identity("main", "0xweb"),
        span=Span(at(start), at(end)),
        amount=usd(amount),
        basis=Basis.OBSERVED,
        reason=Reason.EPOCH,
    )
    return replace(plain, **facts)
