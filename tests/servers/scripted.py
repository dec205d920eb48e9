"""A server on loopback that answers each path as a test says, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = Callable[[Mapping[str, str]], tuple[int, Any]]
"""Status and body for the parameters of a request; bytes are sent as they are, everything else as JSON."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; `target` is path and query before any decoding."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(slots=True)
class Scripted:
    """What is answered, by path; a path that is not there is 404. May be changed while it runs."""

    paths: dict[str, Any]
    url: str = ""
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> list[Request]:
        """The requests for one path, oldest first."""
        return [request for request in self.requests if request.path == path]

    def answer(self, request: Request) -> tuple[int, Any]:
        """Status and body: what the path has is a body, or a function of the parameters."""
        if request.path not in self.paths:
            return 404, {"code": "not_found", "error": "no such path"}
        said = self.paths[request.path]
        if not callable(said):
            return 200, said
        answer: tuple[int, Any] = said(request.query)
        return answer


@contextlib.contextmanager
def scripted(paths: Mapping[str, Any]) -> Iterator[Scripted]:
    """A running server for `paths`."""
    script = Scripted(dict(paths))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent = self.rfile.read(int(headers.get("content-length", "0")))
            request = Request(self.command, self.path, headers, sent)
            script.requests.append(request)
            status, body = script.answer(request)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the names that the base class looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that the base class gives it
            """Tests say what they saw."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()


def failing(status: int, body: Any = None) -> Answer:
    """Always this status."""
    return lambda query: (status, {"code": "x", "error": "says no"} if body is None else body)


def paged(items: list[Any], *, size: int = 2, **pagination: Any) -> Answer:
    """`items` in pages of `size`, whatever size is asked for; `pagination` replaces what its envelope would say."""

    def answer(query: Mapping[str, str]) -> tuple[int, Any]:
        number = int(query.get("page", "1"))
        said = {
            "totalRecords": len(items),
            "filteredRecords": len(items),
            "totalPages": -(-len(items) // size),
            "currentPage": number,
            "perPage": size,
        }
        return 200, {"items": items[max(number - 1, 0) * size :][:size], "pagination": said | pagination}

    return answer
