from __future__ import annotations

import gzip
import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fluence_costwatch.errors import ListenFailed
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.server import WebServer
from tests.servers.acts import ScriptedActs

PLAIN = b"fluence_costwatch_up 1.0\n"
GZIP = gzip.compress(PLAIN)

Serve = Callable[..., tuple[str, int]]


def server(host: str, port: int, **facts: Any) -> WebServer:
    plain: dict[str, Any] = {"health": Health, "acts": ScriptedActs(), "token": None, "metrics_without_token": False}
    return WebServer(host, port, metrics=lambda: (PLAIN, GZIP), **(plain | facts))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server on a free port of loopback; all are stopped at the end."""
    with ExitStack() as running:

        def start(**facts: Any) -> tuple[str, int]:
            one = server("127.0.0.1", 0, **facts)
            running.callback(one.stop)
            return one.start()

        yield start


class Answer:
    """One answer of the server."""

    def __init__(self, address: tuple[str, int], path: str, *, method: str = "GET", **headers: str) -> None:
        connection = http.client.HTTPConnection(*address, timeout=10)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        connection.close()


def test_port_0_takes_a_free_one_and_says_which(serve: Serve) -> None:
    first, second = serve(), serve()

    assert "127.0.0.1" == first[0]
    assert 0 != first[1] != second[1]
    assert 200 == Answer(first, "/-/healthy").status == Answer(second, "/-/healthy").status


def test_metrics_are_the_rendered_bytes(serve: Serve) -> None:
    answer = Answer(serve(), "/metrics")

    assert (200, PLAIN) == (answer.status, answer.body)
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["Content-Type"]
    assert answer.headers["Content-Encoding"] is None


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        pytest.param("gzip", True, id="gzip"),
        pytest.param("deflate, GZIP;q=0.5", True, id="among others"),
        pytest.param("*", True, id="anything"),
        pytest.param("gzip;q=0", False, id="not gzip"),
        pytest.param("gzip; q=0.000", False, id="not gzip, with decimals"),
        pytest.param("br", False, id="something else"),
        pytest.param("identity", False, id="plain"),
    ],
)
def test_metrics_are_compressed_for_whom_takes_it(serve: Serve, accepted: str, compressed: bool) -> None:
    answer = Answer(serve(), "/metrics", Accept_Encoding=accepted)

    assert (GZIP if compressed else PLAIN) == answer.body
    assert ("gzip" if compressed else None, "Accept-Encoding") == (
        answer.headers["Content-Encoding"],
        answer.headers["Vary"],
    )


@pytest.mark.parametrize(
    ("health", "path", "expected"),
    [
        pytest.param(Health(), "/-/healthy", (200, b"ok\n"), id="healthy"),
        pytest.param(Health(), "/-/ready", (200, b"ok\n"), id="ready"),
        pytest.param(
            Health(unready="main has not answered yet"), "/-/healthy", (200, b"ok\n"), id="healthy though not ready"
        ),
        pytest.param(
            Health(unready="main has not answered yet"), "/-/ready", (503, b"main has not answered yet\n"), id="unready"
        ),
        pytest.param(
            Health(unhealthy="the scheduler stands still"),
            "/-/healthy",
            (503, b"the scheduler stands still\n"),
            id="unhealthy",
        ),
        pytest.param(
            Health(unhealthy="the scheduler stands still"),
            "/-/ready",
            (503, b"the scheduler stands still\n"),
            id="what is not healthy is not ready",
        ),
    ],
)
def test_health(serve: Serve, health: Health, path: str, expected: tuple[int, bytes]) -> None:
    answer = Answer(serve(health=lambda: health), path)

    assert expected == (answer.status, answer.body)


def test_health_is_asked_each_time(serve: Serve) -> None:
    states = iter([Health(unready="not yet"), Health()])
    address = serve(health=lambda: next(states))

    assert [503, 200] == [Answer(address, "/-/ready").status, Answer(address, "/-/ready").status]


def test_the_page_links_to_what_there_is_and_lets_browsers_load_nothing(serve: Serve) -> None:
    address = serve()
    answer = Answer(address, "/")

    assert (200, "text/html; charset=utf-8") == (answer.status, answer.headers["Content-Type"])
    assert b'href="/metrics"' in answer.body
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "nosniff" == answer.headers["X-Content-Type-Options"]
    assert "nosniff" == Answer(address, "/metrics").headers["X-Content-Type-Options"]


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/-/", "//metrics"])
def test_other_paths_are_not_found(serve: Serve, path: str) -> None:
    assert 404 == Answer(serve(), path).status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_but_reading_is_allowed(serve: Serve, method: str) -> None:
    assert 405 == Answer(serve(), "/metrics", method=method).status


def test_head_answers_without_a_body(serve: Serve) -> None:
    answer = Answer(serve(), "/metrics", method="HEAD")

    assert (200, b"", str(len(PLAIN))) == (answer.status, answer.body, answer.headers["Content-Length"])


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param("Bearer s3cret", 200, id="the token"),
        pytest.param("bearer  s3cret", 200, id="the scheme in any case"),
        pytest.param("Bearer s3cre", 401, id="a part of it"),
        pytest.param("Bearer s3cret2", 401, id="more than it"),
        pytest.param("Bearer s3cr\xe9t", 401, id="another alphabet"),
        pytest.param("Basic s3cret", 401, id="another scheme"),
        pytest.param("s3cret", 401, id="no scheme"),
        pytest.param("", 401, id="nothing"),
    ],
)
def test_with_a_token_reading_needs_it(serve: Serve, authorization: str, status: int) -> None:
    address = serve(token="s3cret")

    for path in ("/metrics", "/"):
        answer = Answer(address, path, Authorization=authorization)
        assert status == answer.status
        assert (None if status == 200 else "Bearer") == answer.headers["WWW-Authenticate"]


def test_without_its_token_not_even_what_exists_is_told(serve: Serve) -> None:
    assert 401 == Answer(serve(token="s3cret"), "/nothing").status


def test_metrics_may_be_exempted_from_the_token(serve: Serve) -> None:
    address = serve(token="s3cret", metrics_without_token=True)

    assert [200, 401] == [Answer(address, "/metrics").status, Answer(address, "/").status]


def test_health_needs_no_token_but_its_reason_does(serve: Serve) -> None:
    address = serve(token="s3cret", health=lambda: Health(unready="main is stale"))

    assert (503, b"not ok\n") == (Answer(address, "/-/ready").status, Answer(address, "/-/ready").body)
    assert b"main is stale\n" == Answer(address, "/-/ready", Authorization="Bearer s3cret").body


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("127.0.0.1", 200, id="its address"),
        pytest.param("127.0.0.1:17550", 200, id="with any port"),
        pytest.param("LocalHost:9", 200, id="by name"),
        pytest.param("[::1]:17550", 200, id="the other loopback"),
        pytest.param("[::1]", 200, id="without a port"),
        pytest.param("evil.example", 421, id="a domain that was pointed here"),
        pytest.param("localhost.evil.example:17550", 421, id="one that begins well"),
        pytest.param("127.0.0.1.evil.example", 421, id="one that begins like the address"),
        pytest.param("", 421, id="no name"),
    ],
)
def test_on_loopback_only_a_page_of_this_machine_can_read(serve: Serve, host: str, status: int) -> None:
    assert status == Answer(serve(), "/metrics", Host=host).status


def test_a_taken_port_is_told_in_a_sentence(serve: Serve) -> None:
    host, port = serve()

    with pytest.raises(ListenFailed, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use\. Stop"):
        server(host, port).start()


def test_an_address_that_is_not_ours_is_told_in_a_sentence() -> None:
    with pytest.raises(ListenFailed, match=r"cannot listen on 192\.0\.2\.1:0: "):
        server("192.0.2.1", 0).start()


def test_after_stop_the_port_is_free_and_a_second_stop_is_harmless() -> None:
    first = server("127.0.0.1", 0)
    first.stop()
    _, port = first.start()
    assert 200 == Answer(("127.0.0.1", port), "/metrics").status

    first.stop()
    first.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    second = server("127.0.0.1", port)
    assert ("127.0.0.1", port) == second.start()
    second.stop()


def test_a_request_that_never_ends_does_not_hold_up_others_or_the_stop(serve: Serve) -> None:
    address = serve()
    with socket.create_connection(address, timeout=5) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n")

        assert 200 == Answer(address, "/metrics").status


def test_no_token_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    address = serve(token="s3cret")

    Answer(address, "/metrics?token=s3cret", Authorization="Bearer s3cret")
    Answer(address, "/metrics", Authorization="Bearer other-s3cret")

    assert "s3cret" not in caplog.text
