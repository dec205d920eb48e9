"""The HTTP side: one thread per connection on loopback, able to break whatever it sends."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType, TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from . import control
from .actions import Stage
from .api import Api
from .clock import Clock
from .control import Control
from .delivery import Reply, deliver, send
from .market import Market
from .misbehaviour import Fault, Misbehaviour
from .options import Options
from .record import Record
from .wire import Answer, error

HOST = "127.0.0.1"
SHUTDOWN_POLL_SECONDS = 0.02
NO_LINGER = struct.pack("ii", 1, 0)


class Simulator:
    """A marketplace on loopback. It keeps its fleet, books and port when it is stopped and started again."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = Options() if options is None else options
        clock = Clock(start=self.options.start, held=self.options.held)
        self.market = Market(self.options, clock=clock)
        self.misbehaviour = Misbehaviour()
        self.record = Record()
        stage = Stage(self.market, self.options.script)
        self._control = Control(self.market, stage, self.misbehaviour, self.record)
        self._api = Api(self.market, self.misbehaviour)
        self._port = self.options.port
        self._lock = threading.Lock()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def start(self) -> Self:
        """Listen, on the port of the options or of the last start; OSError where it is taken."""
        if self._server is None:
            self._server = _Server(self._port, self)
            self._port = self._server.server_address[1]
            threading.Thread(
                target=self._server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), name="simulator", daemon=True
            ).start()
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection, as a server that goes down does."""
        if self._server is not None:
            server, self._server = self._server, None
            server.stopping.set()
            server.shutdown()
            server.server_close()
            server.cut_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What a connection asks; each takes the lock for as long as it looks at the market.

    def now(self) -> datetime:
        with self._lock:
            return self.market.settle()

    def control(self, method: str, target: str, body: bytes) -> Answer:
        """The answer of the control API."""
        parts = urlsplit(target)
        fields: Any = dict(parse_qsl(parts.query))
        if body:
            try:
                fields = json.loads(body)
            except (ValueError, RecursionError) as exc:
                return error(400, f"the body is no JSON: {exc}")
            if not isinstance(fields, dict):
                return error(400, "the body must be a JSON object")
        with self._lock:
            self.market.settle()
            return self._control.answer(method, parts.path, fields)

    def note(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[list[Fault], Fault | None]:
        """Record a request; the faults that it meets on its way."""
        path = urlsplit(target).path
        with self._lock:
            now, account = self.market.settle(), self._api.account_of(target, headers)
            self.record.add(at=now, method=method, path=target, headers=headers.items(), body=body, account=account)
            modifiers = self.misbehaviour.take_modifiers(method, path, account)
            return modifiers, self.misbehaviour.take_delivery(method, path, account)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer of the API, distorted where it was told so."""
        with self._lock:
            self.market.settle()
            return self._api.answer(method, target, headers, body)

    def explain(self, target: str, status: int) -> Answer:
        """How an error without any reason looks on that path."""
        return self._api.explain(target, status)


def serve(options: Options, *, on_ready: Callable[[Simulator], None]) -> None:
    """Run a marketplace until SIGTERM or SIGINT; from the main thread only. OSError where the port is taken."""
    done = threading.Event()

    def finish(number: int, frame: FrameType | None) -> None:
        done.set()

    with Simulator(options) as simulator, _handling((signal.SIGTERM, signal.SIGINT), finish):
        on_ready(simulator)
        done.wait()


@contextlib.contextmanager
def _handling(numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, simulator: Simulator) -> None:
        self.simulator = simulator
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up first is no error here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def cut_connections(self) -> None:
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection; it is its own channel for delivery."""

    protocol_version = "HTTP/1.1"
    server_version = "simulated-marketplace"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Server

    def respond(self) -> None:
        simulator = self.server.simulator
        self._modifiers: list[Fault] = []
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith(control.PREFIX):
            send(self, _reply(simulator.control(self.command, self.path, body)))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._modifiers, fault = simulator.note(self.command, self.path, headers, body)
        for modifier in self._modifiers:
            if modifier.kind == "latency":
                self.wait(modifier.params["seconds"])
        carried_out = fault is None or fault.carries_out
        reply = _reply(simulator.answer(self.command, self.path, headers, body)) if carried_out else Reply(200, b"")
        reply = replace(reply, explain=lambda status: simulator.explain(self.path, status))
        if fault is None:
            send(self, reply)
        else:
            deliver(self, reply, fault.kind, fault.params, now=simulator.now())

    # The names are those that the base class looks for.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = respond  # noqa: N815

    def head(self, reply: Reply, *, length: int | None) -> None:
        self.send_response_only(reply.status)
        self._send_date()
        if reply.status != 204:
            self.send_header("Content-Type", reply.content_type)
            if length is not None:
                self.send_header("Content-Length", str(length))
        for name, value in reply.headers:
            self.send_header(name, value)
        if length is None:
            self.send_header("Connection", "close")
        self.end_headers()

    def write(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)

    def wait(self, seconds: float) -> None:
        self.server.stopping.wait(seconds)

    def hang_up(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's own word
        """Nothing: what was asked is in the record."""

    def _send_date(self) -> None:
        skews = [fault.params["seconds"] for fault in self._modifiers if fault.kind == "clock_skew"]
        if not any(fault.kind == "no_date" for fault in self._modifiers):
            shown = self.server.simulator.now() + timedelta(seconds=sum(skews))
            self.send_header("Date", format_datetime(shown, usegmt=True))


def _reply(answer: Answer) -> Reply:
    return Reply(answer.status, answer.body(), answer.content_type, answer.headers)
