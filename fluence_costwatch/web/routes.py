"""What is served under which path (`design.md` 9.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from fluence_costwatch import __version__
from fluence_costwatch.web.health import Health

# The text format 0.0.4 is in every Accept header of Prometheus, and the quickest to render.
EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"

_PAGE: Final = f"""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Fluence CostWatch</title></head>
<body>
<h1>Fluence CostWatch {__version__}</h1>
<ul>
<li><a href="/metrics">/metrics</a> for Prometheus</li>
<li><a href="/-/healthy">/-/healthy</a>: the scheduler lives</li>
<li><a href="/-/ready">/-/ready</a>: every account has answered and none is stale</li>
</ul>
<p>The figures themselves: <code>fluence-costwatch status</code>, <code>vms</code>, <code>spend</code>.</p>
</body>
</html>
"""


def build_app(*, metrics: Callable[[], tuple[bytes, bytes]], health: Callable[[], Health]) -> Starlette:
    """The application. `metrics` (plain, gzip) and `health` are asked in the event loop, so they answer from memory."""

    async def show_metrics(request: Request) -> Response:
        plain, compressed = metrics()
        headers = {"Vary": "Accept-Encoding"}
        if not takes_gzip(request.headers.get("accept-encoding", "")):
            return Response(plain, media_type=EXPOSITION, headers=headers)
        return Response(compressed, media_type=EXPOSITION, headers={**headers, "Content-Encoding": "gzip"})

    async def show_healthy(request: Request) -> Response:
        return _state(request, health().unhealthy)

    async def show_ready(request: Request) -> Response:
        state = health()
        return _state(request, state.unhealthy or state.unready)

    async def show_page(_: Request) -> Response:
        return HTMLResponse(_PAGE)

    app = Starlette(
        routes=[
            Route("/", show_page, methods=["GET"]),
            Route("/metrics", show_metrics, methods=["GET"]),
            Route("/-/healthy", show_healthy, methods=["GET"]),
            Route("/-/ready", show_ready, methods=["GET"]),
        ]
    )
    # A redirect would name the host that the request named.
    app.router.redirect_slashes = False
    return app


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client with this Accept-Encoding takes gzip."""
    for coding in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in coding.split(";"))
        if name in {"gzip", "x-gzip", "*"}:
            return not any(parameter.replace(" ", "").rstrip("0.") == "q=" for parameter in parameters)
    return False


def _state(request: Request, trouble: str | None) -> Response:
    if trouble is None:
        return PlainTextResponse("ok\n")
    reason = trouble if request.scope["may_read"] else "not ok"
    return PlainTextResponse(f"{reason}\n", status_code=503)
