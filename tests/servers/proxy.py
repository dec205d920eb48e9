"""A reverse proxy on loopback: names the server behind it as its host, or itself as the client did."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def reverse_proxy(behind: tuple[str, int], *, prefix: str = "", keeps_host: bool = False) -> Iterator[tuple[str, int]]:
    """A running proxy for the server `behind`, which is reached below `prefix`; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept = {name: value for name, value in self.headers.items() if keeps_host or name.lower() != "host"}
            connection = http.client.HTTPConnection(*behind, timeout=10)
            connection.request(self.command, self.path.removeprefix(prefix), body=body, headers=kept)
            response = connection.getresponse()
            answer = response.read()
            self.send_response(response.status)
            for name, value in response.headers.items():
                if name.lower() not in ("transfer-encoding", "connection", "date"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)
            connection.close()

        do_GET = do_POST = _pass_on  # noqa: N815  # names that the base class looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that the base class gives it
            """Tests say what they saw."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield "127.0.0.1", server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
