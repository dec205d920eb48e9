"""What is served under which path (`design.md` 9.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from fluence_costwatch import __version__
from fluence_costwatch.errors import CostwatchError, UnknownName, UnusableOption
from fluence_costwatch.web.acts import Acts
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.veto import PATH, VetoRoute

# The text format 0.0.4 is in every Accept header of Prometheus, and the quickest to render.
EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"

_HOW_TO_BEAT: Final = "A heartbeat is sent, not opened: curl -X POST ADDRESS. Nothing was noted.\n"

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
<p>The figures themselves: <code>fluence-costwatch status</code>, <code>vms</code>, <code>spend</code>, and as JSON
<a href="/api/v1/status">/api/v1/status</a>, <a href="/api/v1/vms">/api/v1/vms</a> and so on.</p>
</body>
</html>
"""


def build_app(
    *,
    metrics: Callable[[], tuple[bytes, bytes]],
    health: Callable[[], Health],
    acts: Acts,
    origins: Callable[[], tuple[str, ...]],
) -> Starlette:
    """The application. `metrics` (plain, gzip) and `health` are asked in the event loop, so they answer from memory.

    `acts` are asked in threads. `origins` say, in the event loop too, where people reach this server by another name than
    it is listening under.
    """
    veto = VetoRoute(acts, origins=origins)

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

    async def beat(request: Request) -> Response:
        try:
            known = await run_in_threadpool(acts.beat, request.path_params["token"])
        except CostwatchError:
            return PlainTextResponse("not noted, try again\n", status_code=503)
        return PlainTextResponse("noted\n") if known else PlainTextResponse("no such token\n", status_code=404)

    async def explain_beat(_: Request) -> Response:
        return PlainTextResponse(_HOW_TO_BEAT, status_code=405, headers={"Allow": "POST"})

    async def answer(request: Request) -> Response:
        asked = request.query_params.multi_items()
        query = dict(asked)
        if len(query) < len(asked):
            return _json({"error": "an option is given twice"}, status=400)
        try:
            said = await run_in_threadpool(acts.answer, request.path_params["name"], query=query)
        except UnusableOption as error:
            return _json({"error": str(error)}, status=400)
        except UnknownName as error:
            return _json({"error": str(error)}, status=404)
        except CostwatchError as error:
            return _json({"error": str(error)}, status=503)
        return _json({"error": "no such figures"}, status=404) if said is None else _json(said)

    app = Starlette(
        routes=[
            Route("/", show_page, methods=["GET"]),
            Route("/metrics", show_metrics, methods=["GET"]),
            Route("/-/healthy", show_healthy, methods=["GET"]),
            Route("/-/ready", show_ready, methods=["GET"]),
            Route("/api/v1/{name}", answer, methods=["GET"]),
            Route(PATH, veto.show, methods=["GET"]),
            Route(PATH, veto.veto, methods=["POST"]),
            Route("/heartbeat/{token}", beat, methods=["POST"]),
            Route("/heartbeat/{token}", explain_beat, methods=["GET"]),
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


def _json(said: Mapping[str, Any], *, status: int = 200) -> Response:
    # As the commands print it: all but ASCII is escaped, halves of surrogate pairs in names too.
    return Response(f"{json.dumps(said)}\n", status_code=status, media_type="application/json")
