"""The page of a deletion: GET shows it and changes nothing, so that link previews do no harm; only POST vetoes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, PackageLoader
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from fluence_costwatch.errors import CostwatchError
from fluence_costwatch.web.acts import Acts, VetoPage

PATH: Final = "/deletions/{id}"
_LARGEST_FORM: Final = 4096
_LONGEST_TOKEN: Final = 200
_PAGES: Final = Environment(loader=PackageLoader("fluence_costwatch.web", "pages"), autoescape=True)
_GONE: Final = "There is no such deletion, or this link is not its own.\n"
_FAILED: Final = (
    "This cannot be done right now. Nothing has changed; try again, or use `fluence-costwatch deletions`.\n"
)


class VetoRoute:
    """Serves the page for `acts`. `origins` are where people reach this server, beside the name that a request names."""

    def __init__(self, acts: Acts, *, origins: tuple[str, ...] = ()) -> None:
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
            return PlainTextResponse("This page may only be used from itself. Nothing has changed.\n", status_code=403)
        form = await _form_of(request)
        if form is None:
            return PlainTextResponse("That is too much for a reason. Nothing has changed.\n", status_code=413)
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
        return _answer(page, token=token)

    def _is_from_here(self, request: Request) -> bool:
        """Whether a browser says that the request comes from our own page; a program says nothing of that sort."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True
        return origin in self._origins or urlsplit(origin).netloc == request.headers.get("host")


async def _form_of(request: Request) -> Mapping[str, str] | None:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_FORM:
            return None
    return dict(parse_qsl(bytes(body).decode("utf-8", "replace"), keep_blank_values=True))


def _answer(page: VetoPage | None, *, token: str) -> Response:
    if page is None:
        return PlainTextResponse(_GONE, status_code=404)
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return HTMLResponse(
        _PAGES.get_template("veto.html").render(page=page, token=token, nonce=nonce),
        # The token in the address must not travel to other sites, but the button's own request must say where it is from.
        headers={"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"},
    )
