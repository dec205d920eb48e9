"""A web hook on loopback: keeps every request with its body, and answers, fails or hangs as a test says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Posted:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Webhook:
    """What it answers to everything. `mode` is "answer", "hang" (take the request and say nothing), "stall" (begin an
    answer of success and say no more), "drip" (a byte now and then) or "drop" (close without a word)."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    mode: str = "answer"
    port: int = 0
    requests: list[Posted] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """A running web hook."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook.requests.append(Posted(self.command, self.path, headers, body))
            if hook.mode == "hang":
                hook.released.wait(20)
                return
            if hook.mode == "drop":
                return
            with contextlib.suppress(OSError):  # whoever gave up does not read on
                self._answer()

        def _answer(self) -> None:
            self.send_response(hook.status)
            for name, value in hook.headers.items():
                self.send_header(name, value)
            stalls = hook.mode in ("stall", "drip")
            self.send_header("Content-Length", "1000" if stalls else str(len(hook.body)))
            self.end_headers()
            self.wfile.write(hook.body)
            while hook.mode == "drip" and not hook.released.wait(0.05):
                self.wfile.write(b".")
            if stalls:
                hook.released.wait(20)

        do_GET = do_POST = do_PUT = _take  # noqa: N815  # names that the base class looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name that the base class gives it
            """Tests say what they saw."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hook.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hook
        finally:
            hook.released.set()
            server.shutdown()
            thread.join()
