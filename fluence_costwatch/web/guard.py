"""Who may read: the token, the name by which the server is called, and headers that keep browsers in check."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Whoever runs the process may ask whether it lives; the reason why not is for those who may read.
_WITHOUT_TOKEN: Final = ("/-/healthy", "/-/ready")

# These have a token of their own in each address, which nobody can guess who was not given it.
_WITH_OWN_TOKEN: Final = ("/deletions/", "/heartbeat/")

_ASKED_BY_ANOTHER_NAME: Final = (
    "this server is not known by that name; to read it through a proxy, set [server] token_file\n"
)

_SECURITY_HEADERS: Final = (
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)


class Guard:
    """Lets through what may be read by whoever asks, and refuses the rest.

    With a token, reading needs it (`Authorization: Bearer TOKEN`), the health endpoints, what has a token of its own
    and, if so chosen, /metrics apart. Without one the server listens on loopback, and is only read under a name of this machine: a page of
    somebody else whose domain was pointed here ("DNS rebinding") is refused.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str | None, metrics_without_token: bool) -> None:
        self._app = app
        self.ask_for(token=token, metrics_without_token=metrics_without_token)
        self._names = (host.lower(), "localhost") if is_loopback(host) else ()

    def ask_for(self, *, token: str | None, metrics_without_token: bool) -> None:
        """From now on ask for this token."""
        self._token = None if token is None else token.encode()
        self._open_paths = (*_WITHOUT_TOKEN, "/metrics") if metrics_without_token else _WITHOUT_TOKEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS:
                    headers.setdefault(name, value)
            await send(message)

        answer: ASGIApp = self._app
        if scope["type"] == "http":
            scope["may_read"] = self._may_read(Headers(scope=scope))
            answer = self._refusal(scope) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["path"].startswith(_WITH_OWN_TOKEN):
            return None
        if self._token is None and not self._is_called_by_its_name(Headers(scope=scope).get("host")):
            return PlainTextResponse(_ASKED_BY_ANOTHER_NAME, status_code=421)
        if not scope["may_read"] and scope["path"] not in self._open_paths:
            return PlainTextResponse(
                "reading needs the token of [server] token_file: Authorization: Bearer TOKEN\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _may_read(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Headers come as latin-1, so that encoding gives back the very bytes that were sent.
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._token)

    def _is_called_by_its_name(self, host: str | None) -> bool:
        if host is None or not self._names:  # browsers always name a host
            return True
        name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
        bare = name.strip("[]").lower()
        return bare in self._names or is_loopback(bare)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
