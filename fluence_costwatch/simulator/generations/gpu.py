"""Generation `gpu`: containers, VMs and bare metal with GPUs; money as JSON numbers, rounded to cents, only in details."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from ..gpu import ACTIVE, ENDED, FAILED, GpuInstance
from ..market import Market
from ..options import Options
from ..refusals import NoSuch
from ..wire import Answer, Manners, Request, Route

JsonObject = dict[str, Any]
CENT = 10_000
PATHS: dict[str, str] = {
    "container": "/gpu/instances",
    "vm": "/gpu/instances/vms",
    "baremetal": "/gpu/instances/baremetal",
}
LOCATIONS: tuple[str, ...] = ("US", "us-central-3", "Texas")
NO_SUCH_INSTANCE = "Instance not found"


def gpu_error(options: Options, status: int, text: str, code: str | None) -> Answer:
    """A `detail`: a text, or a list of what is wrong with the request where that is a 422."""
    if status == 422:
        return Answer(
            status, {"detail": [{"type": code or "value_error", "loc": ["path"], "msg": text, "input": None}]}
        )
    return Answer(status, {"detail": text})


MANNERS = Manners(error=gpu_error, bad_key=(401, "Invalid API key"), refused=lambda code: 400, api_key_only=True)


def add_slash(market: Market, request: Request) -> Answer:
    return Answer(307, headers=(("Location", f"{PATHS['container']}/"),))


def _lists(kind: str) -> Callable[[Market, Request], Answer]:
    def answer(market: Market, request: Request) -> Answer:
        rows = [_summary(instance, market) for instance in market.gpu.listed(request.account, kind)]
        return Answer(200, rows, listed=True)

    return answer


def _details(kind: str) -> Callable[[Market, Request], Answer]:
    def answer(market: Market, request: Request) -> Answer:
        return Answer(200, _detail(_find(market, request, kind), market))

    return answer


def _deletes(kind: str) -> Callable[[Market, Request], Answer]:
    def answer(market: Market, request: Request) -> Answer:
        market.gpu.delete(_find(market, request, kind))
        return Answer(204)

    return answer


def _find(market: Market, request: Request, kind: str) -> GpuInstance:
    for instance in market.gpu.listed(request.account, kind):
        if instance.id.lower() == request.path["id"].lower():
            return instance
    raise NoSuch(NO_SUCH_INSTANCE)


def _summary(instance: GpuInstance, market: Market) -> JsonObject:
    """What lists say: the status of a container has another name, and one that has ended may be said to have failed."""
    rendered = _base(instance)
    if instance.status == ENDED and market.options.gpu_lists_failed:
        rendered[_status_field(instance)] = FAILED
    return rendered


def _base(instance: GpuInstance) -> JsonObject:
    return {
        "id": instance.id,
        "name": instance.name,
        _status_field(instance): instance.reported_status,
        "resources": {
            "supply": {
                "vcpu": {"count": 24},
                "memory": {"count": 180, "units": "Gi"},
                "storage": {"count": 500, "units": "Gi"},
                "gpu_count": 1,
            },
            "gpu_model": {"vendor": "nvidia", "model": "h100", "vram": "80Gi", "interface": "sxm"},
        },
        "domain": _domain(instance),
        "location": LOCATIONS[instance.number % len(LOCATIONS)],
        "created_at": _instant(instance.created_at),
        "updated_at": _instant(instance.updated_at),
    }


def _detail(instance: GpuInstance, market: Market) -> JsonObject:
    domain = _domain(instance)
    rendered = _base(instance) | {
        "billing": _billing(instance, market),
        "network": None if domain is None else {"domain": domain, "forwarded_ports": [], "uri": None},
    }
    if instance.kind == "container":
        return rendered | {
            "container_status": "STARTED" if instance.status == ACTIVE else "NOT_STARTED",
            "container_info": {"image": "registry.example.net/trainer:1", "environment": dict(instance.environment)},
        }
    return rendered | {
        "availability": instance.kind,
        "os_image": "ubuntu-22.04",
        "ssh_connection": None if domain is None else f"ssh ubuntu@{domain}",
        "ssh_key": "ssh-ed25519 AAAAinvented",
    }


def _billing(instance: GpuInstance, market: Market) -> JsonObject:
    """Nothing per hour and nothing held once it has ended; what was spent stays."""
    books = market.books[instance.account]
    return {
        "hourly_usage": _cents(instance.price) if instance.live else 0,
        "total_spendings": _cents(books.charged(instance.id)),
        "reserved_amount": _cents(books.reserve_of(instance.id)),
        "next_billing_period": _instant(instance.next_boundary, digits=0) if instance.live else None,
    }


def _cents(micros: int) -> float | int:
    """Dollars as a JSON number, rounded half up to cents."""
    cents = int(Fraction(micros, CENT) + Fraction(1, 2))
    return cents / 100 if cents else 0


def _status_field(instance: GpuInstance) -> str:
    return "instance_status" if instance.kind == "container" else "status"


def _domain(instance: GpuInstance) -> str | None:
    if instance.status != ACTIVE:
        return None
    return (
        f"gpu-{instance.number}.example.net"
        if instance.kind == "container"
        else f"198.51.100.{instance.number % 250 + 1}"
    )


def _instant(moment: datetime, *, digits: int = 6) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}{f'.{utc.microsecond:06}' if digits else ''}Z"


ROUTES = (
    Route("GET", "/gpu/instances", add_slash, MANNERS, open=True),
    Route("GET", "/gpu/instances/", _lists("container"), MANNERS),
    Route("GET", "/gpu/instances/vms", _lists("vm"), MANNERS),
    Route("GET", "/gpu/instances/baremetal", _lists("baremetal"), MANNERS),
    *(Route("GET", f"{path}/{{id}}", _details(kind), MANNERS) for kind, path in PATHS.items()),
    *(Route("DELETE", f"{path}/{{id}}", _deletes(kind), MANNERS) for kind, path in PATHS.items()),
)
