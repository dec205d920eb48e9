"""The HTTP client against real sockets that answer as badly as they can."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import socketserver
import ssl
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.errors import FluenceError, FluenceRefused, FluenceUnavailable, FluenceUnexpected
from fluence_costwatch.http_client import HttpAnswer, HttpClient

KEY = "fk-Very.Secret-0123456789"
MOMENT = timedelta(milliseconds=10)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Line:
    """The connection on which a script answers."""

    def __init__(self, handler: socketserver.StreamRequestHandler, stopping: threading.Event) -> None:
        self._handler = handler
        self._stopping = stopping

    def send(self, data: bytes) -> None:
        self._handler.wfile.write(data)

    def wait(self, seconds: float) -> None:
        """Let time pass, at most until the server stops."""
        self._stopping.wait(seconds)


Answer = bytes | Callable[[Line], None]


@dataclass
class Server:
    """Gives the next of `answers` to each request, the last one for ever; remembers what it was asked."""

    answers: list[Answer]
    asked: list[str] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(list(answers))
    stopping = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines = []
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                lines.append(line.decode("latin-1"))
            if not lines:
                return
            server.asked.append("".join(lines))
            server.asked_at.append(time.monotonic())
            answer = server.answers[min(len(server.asked), len(server.answers)) - 1]
            try:
                if callable(answer):
                    answer(Line(self, stopping))
                else:
                    self.wfile.write(answer)
            except OSError:
                pass  # the client has hung up, as many tests want it to

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def get_request(self) -> tuple[Any, Any]:
            connection, address = super().get_request()
            return (tls.wrap_socket(connection, server_side=True) if tls else connection), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is what many tests want."""

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.server_address[1]}"
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            stopping.set()
            listener.shutdown()
            thread.join()


def answer(status: int = 200, body: bytes = b"[]", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def drip(data: bytes, *, every: float = 0.05) -> Callable[[Line], None]:
    def script(line: Line) -> None:
        for byte in data:
            line.send(bytes([byte]))
            line.wait(every)

    return script


def ticking() -> Callable[[], datetime]:
    """A clock that is a second later whenever it is read."""
    reading = iter(range(10_000))
    return lambda: NOON + timedelta(seconds=next(reading))


def client(url: str, *, key: str = KEY, **options: Any) -> HttpClient:
    settings: dict[str, Any] = {"clock": lambda: NOON, "back_off": MOMENT, "attempts": 3}
    return HttpClient(url, {"X-API-KEY": key}, **(settings | options))


def get(url: str, path: str = "/vms/v2", **options: Any) -> HttpAnswer:
    asking = client(url, **options)
    try:
        return asking.get(path)
    finally:
        asking.close()


def failure_of(kind: type[FluenceError], *answers: Answer, **options: Any) -> tuple[str, Server]:
    """The text of the error that `answers` lead to, and the server as it stands then."""
    with serving(*answers) as server, pytest.raises(kind) as caught:
        get(server.url, **options)
    assert kind is type(caught.value)
    return str(caught.value), server


def test_an_answer_comes_back_whole() -> None:
    with serving(answer(body=b'[{"id": 1}]', X_Version="7")) as server:
        got = get(server.url)

    assert (200, b'[{"id": 1}]', "7") == (got.status, got.body, got.headers["x-version"])


def test_the_key_travels_in_one_header_only() -> None:
    with serving(answer()) as server:
        get(server.url + "/")

    request = server.asked[0]
    assert request.startswith("GET /vms/v2 HTTP/1.1\r\n")
    assert 1 == request.count(KEY)
    assert f"x-api-key: {KEY}" in request.replace("X-API-KEY", "x-api-key")


def test_sent_at_is_when_the_attempt_began_that_was_answered() -> None:
    with serving(answer(503), answer(503), answer()) as server:
        got = get(server.url, clock=ticking())

    assert 3 == len(server.asked)
    assert timedelta(seconds=1) == got.answered_at - got.sent_at


def test_a_clock_that_jumps_back_meanwhile_does_not_turn_the_answer_round() -> None:
    reading = iter([NOON, NOON - timedelta(hours=1)])
    with serving(answer()) as server:
        got = get(server.url, clock=lambda: next(reading))

    assert got.sent_at == got.answered_at


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(status: int) -> None:
    with serving(answer(status), answer(body=b"[1]")) as server:
        assert b"[1]" == get(server.url).body

    assert 2 == len(server.asked)


def test_after_its_attempts_it_gives_up_as_unavailable() -> None:
    text, server = failure_of(FluenceUnavailable, answer(502, b"<html>Bad gateway</html>"))

    assert 3 == len(server.asked)
    assert "answered with 502 (<html>Bad gateway</html>)" in text
    assert "Asked 3 times" in text
    assert "charges go on as uncertain" in text


def test_other_server_errors_are_not_asked_again() -> None:
    _, server = failure_of(FluenceUnavailable, answer(501))

    assert 1 == len(server.asked)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_at_once(status: int) -> None:
    text, server = failure_of(FluenceRefused, answer(status, b'{"error":"Auth failed. No such API Key"}'))

    assert 1 == len(server.asked)
    assert f"{status} (Auth failed. No such API Key)." in text
    assert "blind" in text


@pytest.mark.parametrize("status", [404, 410])
def test_a_list_that_is_not_there_is_no_empty_list(status: int) -> None:
    text, server = failure_of(FluenceUnexpected, answer(status))

    assert 1 == len(server.asked)
    assert "has moved or this account is on another generation" in text


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 402, 405, 422, 451])
def test_any_other_answer_is_unexpected(status: int) -> None:
    text, server = failure_of(FluenceUnexpected, answer(status, b""))

    assert 1 == len(server.asked)
    assert f"answered with {status}" in text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    with serving(answer()) as elsewhere:
        text, server = failure_of(FluenceUnexpected, answer(status, Location=f"{elsewhere.url}/vms/v2"))

    assert ([], 1) == (elsewhere.asked, len(server.asked))
    assert f"{elsewhere.url}/vms/v2, which is not followed" in text


WORDS = (
    (b'{"code":"forbidden","error":"no scope"}', "forbidden: no scope", "code and error"),
    (b'{"detail":"Not now"}', "Not now", "a text as detail"),
    (b'{"detail":[{"msg":"field required","loc":["a"]},{"msg":"too long"}]}', "field required; too long", "a list"),
    (b'{"message":"hm"}', '{"message":"hm"}', "another object"),
    (b"[" * 100_000, "[" * 200, "nesting without end"),
    (b"\x1b[31mred\x07\r\nX: 1\xff", "\\x1b[31mred\\x07 X: 1\ufffd", "control characters"),
    ("\u202egpj".encode(), "\\u202egpj", "text that runs backwards"),
    (b'{"error":"\\ud800"}', "\\ud800", "half a character"),
    (b"x" * 300, "x" * 200, "a long text"),
)


@pytest.mark.parametrize(("body", "words"), [pytest.param(*row[:2], id=row[2]) for row in WORDS])
def test_the_servers_own_words_are_quoted_harmlessly(body: bytes, words: str) -> None:
    text, _ = failure_of(FluenceUnexpected, answer(400, body))

    assert f"answered with 400 ({words})." in text
    assert text.isprintable()


KINDS = {302: FluenceUnexpected, 403: FluenceRefused, 400: FluenceUnexpected, 500: FluenceUnavailable}


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error":"no such key: {KEY}"}}'.encode(),
        f"<p>{KEY.upper()}</p>".encode(),
        b"x" * 190 + KEY.encode(),
    ],
    ids=["in JSON", "in another case", "across the cut"],
)
@pytest.mark.parametrize("status", [302, 403, 400, 500])
def test_a_key_that_is_echoed_is_struck_out(status: int, body: bytes) -> None:
    text, _ = failure_of(KINDS[status], answer(status, body, Location=f"/?k={KEY}"))

    assert KEY[:8].lower() not in text.lower()


def test_an_error_whose_body_breaks_off_is_still_that_error() -> None:
    failure_of(FluenceRefused, b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nhalf")


def test_retry_after_in_seconds_is_kept_to() -> None:
    with serving(answer(429, Retry_After="1"), answer()) as server:
        get(server.url)

    assert server.asked_at[1] - server.asked_at[0] >= 1


def test_retry_after_as_a_date_is_measured_on_the_servers_clock() -> None:
    server_time = NOON + timedelta(days=30)
    hold = answer(
        503,
        Date=format_datetime(server_time, usegmt=True),
        Retry_After=format_datetime(server_time + timedelta(seconds=1), usegmt=True),
    )
    with serving(hold, answer()) as server:
        get(server.url)

    assert server.asked_at[1] - server.asked_at[0] >= 1


@pytest.mark.parametrize(
    ("retry_after", "back"),
    [
        ("3600", "2026-03-01T13:00:00Z"),
        ("Sun, 01 Mar 2026 12:30:00 GMT", "2026-03-01T12:30:00Z"),
        ("9" * 400, "2027-03-02T12:00:00Z"),
    ],
)
def test_asked_to_stay_away_longer_than_its_budget_it_gives_up_at_once(retry_after: str, back: str) -> None:
    text, server = failure_of(FluenceUnavailable, answer(429, Retry_After=retry_after))

    assert 1 == len(server.asked)
    assert f"asks to come back at {back}" in text


@pytest.mark.parametrize("retry_after", ["0", "-5", "soon", "", "Sun, 99 Foo 2026 12:30:00 GMT", "1.5", "²"])
def test_a_retry_after_that_says_nothing_is_passed_over(retry_after: str) -> None:
    with serving(answer(503, Retry_After=retry_after), answer()) as server:
        get(server.url)

    assert 2 == len(server.asked)


def test_all_attempts_and_pauses_stay_within_the_budget() -> None:
    started = time.monotonic()
    failure_of(FluenceUnavailable, answer(503), attempts=1000, budget=timedelta(seconds=0.5))

    assert time.monotonic() - started < 2


HALVES = (
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1,", "less than was announced"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n", "chunks without an end"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", "half the headers"),
    (b"", "nothing at all"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "another protocol"),
    (answer(body=gzip.compress(b"[1, 2, 3]" * 1000)[:-9], Content_Encoding="gzip"), "half of what was compressed"),
    (answer(body=b"[]", Content_Encoding="gzip"), "compressed in word only"),
)


@pytest.mark.parametrize("half", [pytest.param(row[0], id=row[1]) for row in HALVES])
def test_half_an_answer_is_asked_for_again(half: bytes) -> None:
    with serving(half, answer(body=b"[1]")) as server:
        assert b"[1]" == get(server.url).body

    failure_of(FluenceUnavailable, half)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(drip(answer()), id="headers"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, every=0.01), id="endless headers"),
        pytest.param(lambda line: (line.send(answer(body=b"x" * 99)[:-99]), drip(b"[" * 99)(line)), id="body"),
        pytest.param(lambda line: (line.send(b"HTTP/1.1 200 OK\r\n\r\n"), drip(b"[" * 99)(line)), id="endless body"),
        pytest.param(lambda line: (line.send(answer(403, b"x" * 99)[:-99]), line.wait(9)), id="error"),
        pytest.param(lambda line: line.wait(9), id="nothing"),
    ],
)
def test_a_dripping_server_does_not_hold_us(script: Callable[[Line], None]) -> None:
    started = time.monotonic()
    with serving(script) as server, pytest.raises((FluenceUnavailable, FluenceRefused)):
        get(server.url, deadline=timedelta(seconds=0.3), attempts=2)

    assert 2 > time.monotonic() - started


def test_a_server_that_falls_silent_is_given_up_before_the_deadline() -> None:
    started = time.monotonic()
    text, _ = failure_of(FluenceUnavailable, lambda line: line.wait(9), read_timeout=timedelta(seconds=0.2), attempts=1)

    assert 2 > time.monotonic() - started
    assert "fell silent" in text


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with serving(answer()) as server:
        pass

    with pytest.raises(FluenceUnavailable, match="refused"):
        get(server.url)


def test_a_compressed_answer_is_unpacked() -> None:
    plain = json.dumps(list(range(200_000))).encode()
    members = gzip.compress(plain[:1000]) + gzip.compress(plain[1000:])
    with serving(answer(body=members, Content_Encoding="gzip")) as server:
        assert plain == get(server.url).body


def test_a_compressed_bomb_ends_early() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    with serving(answer(body=bomb, Content_Encoding="gzip")) as server:
        tracemalloc.start()
        try:
            with pytest.raises(FluenceUnexpected, match="larger than 4194304 bytes"):
                get(server.url, max_bytes=4 << 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert 1 == len(server.asked)
    assert peak < 16 << 20


def test_a_body_without_end_is_not_read_to_the_end() -> None:
    def script(line: Line) -> None:
        line.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            line.send(bytes(1 << 16))

    failure_of(FluenceUnexpected, script, max_bytes=1 << 20)


def test_a_body_of_just_the_largest_size_is_taken() -> None:
    with serving(answer(body=b"x" * 1000)) as server:
        assert 1000 == len(get(server.url, max_bytes=1000).body)

    failure_of(FluenceUnexpected, answer(body=b"x" * 1001), max_bytes=1000)


def test_an_encoding_that_was_not_asked_for_is_unexpected() -> None:
    text, _ = failure_of(FluenceUnexpected, answer(Content_Encoding="br"))

    assert "'br'" in text


def test_nothing_of_the_key_or_the_request_is_shown_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answer(503, KEY.encode()), answer()) as server:
        asking = client(server.url)
        shown = [repr(asking), repr(asking.get("/vms/v2"))]
        asking.close()

    assert "asking again" in caplog.text
    assert KEY not in caplog.text + "".join(shown)
    assert {"fluence_costwatch.http_client"} == {record.name for record in caplog.records}


@pytest.mark.parametrize("key", ["secret\r\nX-Evil: 1", "secret\0key", " secret"])
def test_a_key_that_cannot_be_sent_is_not_quoted(key: str) -> None:
    with serving(answer()) as server, pytest.raises(FluenceUnexpected, match="cannot be sent") as caught:
        get(server.url, key=key)

    assert [] == server.asked
    assert "secret" not in repr(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "http://", "nowhere", "http://127.0.0.1:99999", "http://" + "x" * 99]
)
def test_an_address_that_is_none_is_said(url: str) -> None:
    with pytest.raises(FluenceError):
        get(url, attempts=1)


def test_cookies_are_not_kept() -> None:
    with serving(answer(Set_Cookie="a=b; Path=/")) as server:
        asking = client(server.url)
        asking.get("/vms/v2")
        asking.get("/vms/v2")
        asking.close()

    assert "cookie" not in server.asked[1].lower()


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer(body=b"[1]")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        assert b"[1]" == get("http://fluence.example").body

    assert proxy.asked[0].startswith("GET http://fluence.example/vms/v2 HTTP/1.1")


def test_a_proxy_that_is_none_is_said_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://me:pass-word@127.0.0.1:1")

    with pytest.raises(FluenceUnexpected, match="ALL_PROXY") as caught:
        get("http://127.0.0.1:1")

    assert "pass-word" not in str(caught.value)


def test_credentials_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(answer()) as server:
        get(server.url)

    assert "authorization" not in server.asked[0].lower()


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Sun, 01 Mar 2026 12:00:00 GMT", timedelta(0)),
        ("Sun, 01 Mar 2026 12:10:00 GMT", timedelta(minutes=10)),
        ("Sun, 01 Mar 2026 11:00:00 -0000", timedelta(hours=-1)),
        ("yesterday", None),
        ("Sun, 01 Mar 20260 12:00:00 GMT", None),
        ("x" * 10_000, None),
        ("", None),
    ],
)
def test_the_date_tells_how_far_the_servers_clock_is_ahead(date: str, ahead: timedelta | None) -> None:
    with serving(answer(Date=date)) as server:
        assert ahead == get(server.url).clock_ahead


def test_the_servers_clock_is_compared_with_the_middle_of_the_exchange() -> None:
    got = HttpAnswer(200, {"date": "Sun, 01 Mar 2026 12:00:02 GMT"}, b"", NOON, NOON + timedelta(seconds=4))

    assert timedelta(0) == got.clock_ahead


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, which nobody has signed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed; it is in Debian's package openssl")
    folder = tmp_path_factory.mktemp("tls")
    pem = folder / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(command, check=True, capture_output=True)
    pem.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return pem


def serving_tls(certificate: Path, *answers: Answer) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return serving(*answers, tls=context)


def test_an_untrusted_certificate_gets_no_key(certificate: Path) -> None:
    with (
        serving_tls(certificate, answer()) as server,
        pytest.raises(FluenceUnavailable, match="certificate is not trusted"),
    ):
        get(server.url, attempts=1)

    assert [] == server.asked


def test_an_authority_of_the_environment_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving_tls(certificate, answer(body=b"[1]")) as server:
        assert b"[1]" == get(server.url).body


def test_a_dripping_server_does_not_hold_us_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    started = time.monotonic()
    with serving_tls(certificate, drip(answer(body=b"x" * 99))) as server, pytest.raises(FluenceUnavailable):
        get(server.url, deadline=timedelta(seconds=0.3), attempts=2)

    assert 2 > time.monotonic() - started
    assert 2 == len(server.asked)
