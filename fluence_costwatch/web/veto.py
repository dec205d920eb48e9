"""The page of a deletion: GET shows it and changes nothing, so that link previews do no harm; only POST vetoes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, PackageLoader
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from fluence_costwatch.errors import CostwatchError
from fluence_costwatch.web.acts import Acts, VetoPage

PATH: Final = "/deletions/{id}"
_LARGEST_FORM: Final = 4096
_LONGEST_TOKEN: Final = 200
_SECONDS_FOR_A_FORM: Final = 10
_FORM: Final = "application/x-www-form-urlencoded"
_PORTS: Final = (("http", 80), ("https", 443))
_PAGES: Final = Environment(loader=PackageLoader("fluence_costwatch.web", "pages"), autoescape=True)
_GONE: Final = (
    "There is no deletion here that could be stopped: the link is not whole, or its deletion was withdrawn or has begun.\n"
    "`fluence-costwatch deletions` shows how all of them stand.\n"
)
_FAILED: Final = (
    "This cannot be done right now. Nothing has changed; try again, or use `fluence-costwatch deletions`.\n"
)
_ELSEWHERE: Final = (
    "This page may only be used from itself. Nothing has changed; open the link again, or use "
    "`fluence-costwatch deletions veto`.\n"
)


class VetoRoute:
    """Serves the page for `acts`. `origins` say anew for each request where people reach this server, beside the name that
    the request names."""

    def __init__(self, acts: Acts, *, origins: Callable[[], tuple[str, ...]]) -> None:
        self._acts = acts
        self._origins = origins

    async def show(self, request: Request) -> Response:
        """The page."""
        token = request.query_params.get("token", "")[:_LONGEST_TOKEN]
        try:
            page = await run_in_threadpool(self._acts.deletion, request.path_params["id"], token=token)
        except CostwatchError:
            return PlainTextResponse(_FAILED, status_code=503)
        return _answer(page, token=token)

    async def veto(self, request: Request) -> Response:
        """Do what the page's button says."""
        if not self._is_from_here(request):
            return PlainTextResponse(_ELSEWHERE, status_code=403)
        form = await _form_of(request)
        # Not the one in the address: whatever only repeats an address has not read the page.
        token = form.get("token", "")[:_LONGEST_TOKEN]
        try:
            page = await run_in_threadpool(
                self._acts.veto,
                request.path_params["id"],
                token=token,
                actor=f"link {request.client.host if request.client else 'unknown'}",
                reason=form.get("reason", ""),
            )
        except CostwatchError:
            return PlainTextResponse(_FAILED, status_code=503)
        # A token stops its deletion once; whoever comes later is shown that this was done, and has not done it.
        return _answer(page, token=token, status=200 if page is not None and page.done else 409)

    def _is_from_here(self, request: Request) -> bool:
        """Whether a browser says that the request comes from our own page; a program says nothing of that sort."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            # The browser compares what it knows itself, whatever proxies lie between.
            return site in ("same-origin", "none")
        origin = request.headers.get("origin")
        if origin is None:
            return True
        claimed = _origin_of(origin)
        if claimed is None:
            return False
        # Which of both schemes it is cannot be seen behind a proxy.
        here = _origin_of(f"{claimed[0]}://{request.headers.get('host', '')}")
        return claimed == here or claimed in map(_origin_of, self._origins())


def _origin_of(text: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an address; None where it is none."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.scheme, parts.hostname, dict(_PORTS).get(parts.scheme) if port is None else port


async def _form_of(request: Request) -> Mapping[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, f"Send it as {_FORM}. Nothing has changed.\n")
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS_FOR_A_FORM):
            async for piece in request.stream():
                body += piece
                if len(body) > _LARGEST_FORM:
                    raise HTTPException(413, "That is too much for a reason. Nothing has changed.\n")
    except TimeoutError:
        raise HTTPException(408, "The form did not come in time. Nothing has changed.\n") from None
    except ClientDisconnect:
        raise HTTPException(400, "The form did not come whole. Nothing has changed.\n") from None
    return dict(parse_qsl(bytes(body).decode("utf-8", "replace"), keep_blank_values=True))


def _answer(page: VetoPage | None, *, token: str, status: int = 200) -> Response:
    if page is None:
        return PlainTextResponse(_GONE, status_code=404)
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return HTMLResponse(
        _PAGES.get_template("veto.html").render(page=page, token=token, nonce=nonce),
        status_code=status,
        # The token in the address must not travel to other sites, but the button's own request must say where it is from.
        headers={"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"},
    )
