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
from .clock import Clock
from .control import Control
from .delivery import HTML_TYPE, PAGE, Reply, deliver, send
from .distortions import distort
from .generations import ROUTES
from .keys import Key
from .market import Market
from .misbehaviour import Fault, Misbehaviour
from .options import Options
from .pages import cut
from .record import Record
from .refusals import NoSuch, Refused
from .wire import OLD_MANNERS, Answer, BadRequest, Manners, Request, Route, error

HOST = "127.0.0.1"
SHUTDOWN_POLL_SECONDS = 0.02
GPU_PREFIX = "/gpu/"
NO_LINGER = struct.pack("ii", 1, 0)
EXPIRED = "API key has expired"


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
        self._spoken = {a.name: a.generations or self.options.generations for a in self.options.accounts}
        self._routes = [
            (name, route)
            for name in ROUTES
            if name in self.options.generations or any(name in own for own in self._spoken.values())
            for route in ROUTES[name]
            if route.spoken(self.options)
        ]
        self._port = self.options.port
        self._lock = threading.Lock()
        self._count = 0
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
            now, key = self.market.settle(), self._key_in(headers, self._manners(path))
            account = None if key is None else key.account
            self.record.add(at=now, method=method, path=target, headers=headers.items(), body=body, account=account)
            return self.misbehaviour.take_modifiers(method, path), self.misbehaviour.take_delivery(method, path)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer of the API, distorted where it was told so."""
        parts = urlsplit(target)
        with self._lock:
            self.market.settle()
            self._count += 1
            answer = self._answer(method, parts.path, parts.query, headers, body)
            return self._distorted(answer, method, parts.path) if answer.listed else answer

    def explain(self, target: str, status: int) -> Answer:
        """How an error without any reason looks on that path."""
        manners = self._manners(urlsplit(target).path)
        return manners.error(self.options, status, manners.phrase(status), None)

    def _answer(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        found = self._found(path)
        manners = self._manners(path)
        route, holes = next(((r, h) for _, r, h in found if r.method == method), (None, {}))
        if not found:
            return self._not_found(manners)
        if route is None:
            return manners.error(self.options, 405, "Method Not Allowed", None)
        key = self._key_in(headers, route.manners)
        if not route.open:
            if key is None or key.expired:
                status, text = route.manners.bad_key
                return route.manners.error(self.options, status, text if key is None else EXPIRED, None)
            if not any(name in self._spoken[key.account] for name, r, _ in found if r.method == method):
                return self._not_found(manners)
            if refusal := self._refusal(route, key, path):
                return route.manners.error(self.options, 403, refusal, None)
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        account = next(iter(self._spoken)) if key is None else key.account
        shown = Key(account) if key is None else key
        return self._carry_out(route, Request(account, dict(pairs), body, self._count, pairs, holes, shown))

    def _found(self, path: str) -> list[tuple[str, Route, dict[str, str]]]:
        """The routes of this very path, else those whose holes it fills."""
        matches = [(name, route, route.match(path)) for name, route in self._routes]
        found = [(name, route, holes) for name, route, holes in matches if holes is not None]
        return [item for item in found if item[1].path == path] or found

    def _manners(self, path: str) -> Manners:
        return next((route.manners for _, route, _ in self._found(path)), OLD_MANNERS)

    def _not_found(self, manners: Manners) -> Answer:
        if self.options.not_found == "html":
            return Answer(404, text=PAGE.decode().replace("Bad gateway", "Not found"), content_type=HTML_TYPE)
        return manners.error(self.options, 404, "Not Found", None)

    def _refusal(self, route: Route, key: Key, path: str) -> str | None:
        if route.scope is not None and route.scope not in key.scopes:
            return f"Missing scope {route.scope}"
        return "Read-only keys are not accepted" if path.startswith(GPU_PREFIX) and key.reads_only else None

    def _distorted(self, answer: Answer, method: str, path: str) -> Answer:
        page, inner = answer.page, isinstance(answer.value, dict)
        rows = page.rows if page is not None else answer.value["items"] if inner else answer.value
        for fault in self.misbehaviour.take_distortions(method, path):
            rows = distort(rows, fault.kind, fault.params)
        if page is not None:
            faults = self.misbehaviour.take_page_faults(method, path, page=page.index + page.base)
            value: Any = cut(replace(page, rows=rows), [(fault.kind, fault.params) for fault in faults])
        else:
            value = {**answer.value, "items": rows} if inner else rows
        return replace(answer, value=value, page=None)

    def _carry_out(self, route: Route, request: Request) -> Answer:
        manners = route.manners
        try:
            return route.answer(self.market, request)
        except BadRequest as exc:
            return manners.error(self.options, 400, str(exc), None)
        except NoSuch as exc:
            return manners.error(self.options, 404, str(exc), None)
        except Refused as exc:
            return manners.error(self.options, manners.refused(exc.code), str(exc), exc.code)

    def _key_in(self, headers: dict[str, str], manners: Manners) -> Key | None:
        """The key that the request carries; where there are two, only that of a bearer counts, which newer ones refuse."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer"
        if manners.api_key_only:
            return None if bearer else self.market.keys.get(headers.get("x-api-key", ""))
        accepted = self.options.auth
        if "authorization" in headers and accepted != "x-api-key":
            return self.market.keys.get(token.strip()) if bearer else None
        return self.market.keys.get(headers.get("x-api-key", "")) if accepted != "bearer" else None


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
