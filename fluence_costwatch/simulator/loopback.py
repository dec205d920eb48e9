"""A small server on a free port of loopback, for what stands beside the marketplace: exporters, a chat."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = "127.0.0.1"
SHUTDOWN_POLL_SECONDS = 0.02
LARGEST_BODY = 1_000_000

Answering = Callable[[str, str, bytes], tuple[int, str]]
"""Answers method, path and body with a status and a text."""


@contextlib.contextmanager
def serving(answer: Answering, *, name: str, content_type: str) -> Iterator[str]:
    """Answer every request by `answer` while the block runs; gives the URL, without a slash at its end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = name
        sys_version = ""

        def respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST_BODY:
                self.close_connection = True
                status, text = 413, "too much\n"
            else:
                status, text = answer(self.command, self.path, self.rfile.read(length))
            body = text.encode("utf-8")
            with contextlib.suppress(OSError):  # whoever gave up does not read on
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        # The names are those that the base class looks for.
        do_GET = do_POST = do_PUT = respond  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's own word
            """Nothing: whoever runs the server says what is worth saying."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    server = Server((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), name=name, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
