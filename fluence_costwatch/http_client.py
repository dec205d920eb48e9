"""HTTP with limits on everything: time, size, attempts, redirects. The only home of httpx and stamina.

`get` asks Fluence again and again for what can be had safely twice: what goes wrong leaves it as a FluenceError whose text
is for the operator. `send` sends one request once, to anybody: what goes wrong leaves it as an HttpFailure. A key travels
in a header, to one host, and appears in no text, log or repr.
"""

from __future__ import annotations

import email.utils
import json
import logging
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx
import stamina
import stamina.instrumentation

from fluence_costwatch import __version__
from fluence_costwatch.errors import FluenceError, FluenceRefused, FluenceUnavailable, FluenceUnexpected

_LOG = logging.getLogger(__name__)

# Answers that another attempt may mend; every other one stays what it is.
_TRANSIENT: Final = (429, 500, 502, 503, 504)
_LARGEST_ERROR_BODY: Final = 64 * 1024
_LONGEST_QUOTE: Final = 200
# Shorter header values than this are no secrets, and striking them out would garble the text around them.
_SHORTEST_SECRET: Final = 6
_LONGEST_WAIT: Final = timedelta(seconds=8)
_SHORTEST_ATTEMPT: Final = timedelta(milliseconds=10)
_FAR_OFF: Final = timedelta(days=366)

_MEANWHILE: Final = "Meanwhile nothing is known anew: charges go on as uncertain, and nothing is taken for ended."

Query = Sequence[tuple[str, str | Sequence[str]]]
"""The parameters of a request in their order; several values of one name become `name[0]=...&name[1]=...`."""

# stamina's own hooks log without saying what failed and count into prometheus_client's global registry.
stamina.instrumentation.set_on_retry_hooks([])


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer of success. `sent_at` is when the attempt that was answered began; header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: datetime
    answered_at: datetime

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far the server's clock is before ours, good to a second or so; None where it sent no usable `Date`."""
        date = _http_date(self.headers.get("date", ""))
        if date is None:
            return None
        return date - (self.sent_at + (self.answered_at - self.sent_at) / 2)


@dataclass(frozen=True, slots=True)
class Budget:
    """Time that several requests share; it runs from when it is made."""

    whole: timedelta
    _started: float = field(default_factory=time.monotonic, repr=False)

    @property
    def left(self) -> timedelta:
        """What is left of it; negative when it is spent."""
        return self.whole - timedelta(seconds=time.monotonic() - self._started)

    def at_most(self, limit: timedelta) -> Budget:
        """A part of what is left, for requests that must not use up all of it."""
        return Budget(min(self.left, limit))


class HttpStatus(Exception):
    """The cause of a FluenceError where the server did answer: with `status`, and with `said` in its own words."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}" if said else str(status))
        self.status = status
        self.said = said


def status_of(error: FluenceError) -> int | None:
    """The status that the server answered with where that is why `error` was raised."""
    return error.__cause__.status if isinstance(error.__cause__, HttpStatus) else None


class HttpFailure(Exception):
    """A request that was sent once brought no answer of success; the text is for the operator and holds no secret.

    `status` is that of the answer, None where none came whole. `may_have_arrived` is whether the server may have acted on it
    nevertheless: false where no connection came about, or where it said no.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        may_have_arrived: bool = False,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.may_have_arrived = may_have_arrived
        self.retry_after = retry_after


class HttpClient:
    """One server, asked with one set of secret headers.

    `connect_timeout` and `read_timeout` bound one operation on the network, `deadline` a whole attempt, `budget` all
    attempts of one `get` together with the pauses between them. `max_bytes` counts the decoded body. Proxies and
    certificates come from the environment as is usual (`HTTPS_PROXY`, `SSL_CERT_FILE`), credentials never do.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        clock: Callable[[], datetime],
        connect_timeout: timedelta = timedelta(seconds=10),
        read_timeout: timedelta = timedelta(seconds=20),
        deadline: timedelta = timedelta(seconds=30),
        budget: timedelta = timedelta(seconds=60),
        attempts: int = 4,
        back_off: timedelta = timedelta(milliseconds=500),
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._secrets = _secrets_in(headers)
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._deadline = deadline
        self._budget = budget
        self._attempts = attempts
        self._longest_wait = min(_LONGEST_WAIT, budget / 4)
        self._back_off = min(back_off, self._longest_wait)
        self._max_bytes = max_bytes
        # At INFO httpx logs whole URLs, at DEBUG httpcore logs headers.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            self._where = httpx.URL(self._base_url).netloc.decode("ascii")
            self._client = httpx.Client(
                headers={
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip",
                    "User-Agent": f"fluence-costwatch/{__version__}",
                    **headers,
                },
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                # Every attempt has a connection of its own, so that its deadline knows the socket to close.
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        except (httpx.InvalidURL, ValueError, ImportError, OSError) as exc:
            # The text of `exc` may hold a proxy's password.
            raise FluenceUnexpected(
                f"No connection to Fluence can be set up ({type(exc).__name__}): check `api_url` and, in the environment, "
                "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
            ) from None

    def __repr__(self) -> str:
        return f"<HttpClient of {self._where}>"

    def close(self) -> None:
        """Close what is open; the client is of no use afterwards."""
        self._client.close()

    def budget(self) -> Budget:
        """A budget for several requests, as long as the one that a single request has."""
        return Budget(self._budget)

    def get(self, path: str, *, query: Query = (), budget: Budget | None = None) -> HttpAnswer:
        """The answer to `GET path`, complete and with status 200, within the budget. Raises FluenceError otherwise.

        Without `budget` the request has one of its own. Where the server's status is the reason, `status_of` tells it.
        """
        started = time.monotonic()
        shared = self.budget() if budget is None else budget
        path = _with_query(path, query)
        if shared.left <= timedelta(0):
            raise FluenceUnavailable(
                f"The time for this look was over before GET {path} at {self._where} could be sent. {_MEANWHILE}"
            )
        made = 0
        last: Exception | None = None

        def again(failure: Exception) -> bool | timedelta:
            nonlocal last
            last = failure
            if not isinstance(failure, _Transient):
                return False
            if failure.wait:
                return failure.wait if failure.wait < shared.left else False
            return shared.left > self._longest_wait

        try:
            for attempt in stamina.retry_context(
                on=again,
                attempts=self._attempts,
                timeout=None,  # `again` keeps the budget; it knows the pause to come, which stamina's own limit does not
                wait_initial=self._back_off,
                wait_jitter=self._back_off,
                wait_max=self._longest_wait,
            ):
                with attempt:
                    made = attempt.num
                    if last is not None:
                        _LOG.info("asking again, attempt %d: %s", made, last)
                    return self._attempt(path, within=max(min(self._deadline, shared.left), _SHORTEST_ATTEMPT))
        except _Transient as failure:
            took = time.monotonic() - started
            raise FluenceUnavailable(
                f"{failure} Asked {made} {'time' if made == 1 else 'times'} in {took:.0f} s.{failure.advice} {_MEANWHILE}"
            ) from failure.__cause__
        raise AssertionError("the loop above returns or raises")

    def send(
        self,
        method: str,
        path: str,
        *,
        content: object = None,
        accept: str = "application/json",
        called: str | None = None,
    ) -> HttpAnswer:
        """The answer to one request that is sent once, with any status of success. Raises HttpFailure otherwise.

        `content` is sent as JSON unless it is None. `path` is a whole URL where the client has no base. `called` is what
        texts say instead of method and path, for a path that is secret.
        """
        request = called or f"{method} {self._quotable(path)}{f' at {self._where}' if self._where else ''}"
        body = None if content is None else json.dumps(content, separators=(",", ":")).encode("utf-8")
        sent_at = self._clock()
        with _Deadline(self._deadline) as deadline:
            try:
                with self._client.stream(
                    method,
                    self._base_url + path,
                    content=body,
                    headers={"Accept": accept} | ({} if body is None else {"Content-Type": "application/json"}),
                    timeout=self._timeouts(self._deadline),
                    extensions={"trace": deadline.watch},
                ) as response:
                    if not response.is_success:
                        said = self._said(response)
                        raise HttpFailure(
                            f"{request} was answered with {response.status_code}{f' ({said})' if said else ''}.",
                            status=response.status_code,
                            # Whoever stands before the server may give up while it still works on the request.
                            may_have_arrived=response.status_code in (408, 500, 502, 503, 504),
                            retry_after=_retry_after(response.headers, now=self._clock()),
                        )
                    read = self._body_of(response, request)
                # A connection that was shut down because time was up can look like the regular end of a body.
                if deadline.is_over:
                    raise HttpFailure(f"No complete answer to {request} in time.", may_have_arrived=True)
                answered_at = max(self._clock(), sent_at)
                return HttpAnswer(
                    response.status_code, dict(response.headers), self._without_secrets(read), sent_at, answered_at
                )
            except FluenceUnexpected as exc:
                raise HttpFailure(
                    f"The answer to {request} could not be read whole.", may_have_arrived=True
                ) from exc.__cause__
            except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, UnicodeError):
                raise HttpFailure(f"{request} cannot be sent: its address is not one that HTTP can carry.") from None
            except (httpx.ConnectError, httpx.ConnectTimeout):
                raise HttpFailure(f"No connection for {request}.") from None
            except (httpx.TransportError, zlib.error):
                raise HttpFailure(f"No complete answer to {request} in time.", may_have_arrived=True) from None

    def _timeouts(self, within: timedelta) -> httpx.Timeout:
        return httpx.Timeout(
            min(self._read_timeout, within).total_seconds(),
            connect=min(self._connect_timeout, within).total_seconds(),
        )

    def _body_of(self, response: httpx.Response, request: str) -> bytearray:
        body = bytearray()
        for piece in _decoded(response):
            if len(body) + len(piece) > self._max_bytes:
                raise FluenceUnexpected(
                    f"The answer to {request} is larger than {self._max_bytes} bytes and was not read on. {_MEANWHILE}"
                )
            body += piece
        return body

    def _attempt(self, path: str, *, within: timedelta) -> HttpAnswer:
        request = f"GET {path} at {self._where}"
        sent_at = self._clock()
        with _Deadline(within) as deadline:
            try:
                with self._client.stream(
                    "GET",
                    self._base_url + path,
                    timeout=self._timeouts(within),
                    extensions={"trace": deadline.watch},
                ) as response:
                    if response.status_code != 200:
                        raise self._refusal(request, response)
                    body = self._body_of(response, request)
                # A connection that was shut down because time was up can look like the regular end of a body.
                if deadline.is_over:
                    raise _Transient(f"No complete answer to {request} within {within.total_seconds():.3g} s.")
                answered_at = max(self._clock(), sent_at)
                return HttpAnswer(
                    response.status_code, dict(response.headers), self._without_secrets(body), sent_at, answered_at
                )
            except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL, UnicodeError):
                # The text of the exception may quote the headers.
                raise FluenceUnexpected(
                    f"{request} cannot be sent: `api_url` or the key holds what HTTP cannot carry. {_MEANWHILE}"
                ) from None
            except (httpx.TransportError, zlib.error) as exc:
                if deadline.is_over:
                    raise _Transient(f"No complete answer to {request} within {within.total_seconds():.3g} s.") from exc
                if isinstance(exc, httpx.ConnectTimeout):
                    raise _Transient(f"No connection for {request} in time.") from exc
                if isinstance(exc, httpx.TimeoutException):
                    raise _Transient(
                        f"The connection fell silent before the answer to {request} was complete."
                    ) from exc
                raise _Transient(
                    f"{request} failed: {self._quotable(str(exc)) or type(exc).__name__}.", advice=_advice_on(exc)
                ) from exc

    def _refusal(self, request: str, response: httpx.Response) -> Exception:
        """What an answer other than 200 means, caused by what the server itself says about it."""
        said = self._said(response)
        meaning = self._meaning(request, response, said)
        meaning.__cause__ = HttpStatus(response.status_code, said)
        return meaning

    def _meaning(self, request: str, response: httpx.Response, said: str) -> Exception:
        status = response.status_code
        answered = f"{request} was answered with {status}{f' ({said})' if said else ''}."
        if status in (401, 403):
            return FluenceRefused(
                f"Fluence refuses the key: {answered} CostWatch is blind for this account until that is mended: charges go "
                "on as uncertain. Check the key (has it expired, may it list machines?) and `auth` in the configuration."
            )
        if status in _TRANSIENT:
            wait = _retry_after(response.headers, now=self._clock())
            back = ""
            if wait:
                back = f" It asks to come back at {(self._clock() + wait).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}."
            return _Transient(answered, wait=wait, advice=back)
        if status >= 500:
            return FluenceUnavailable(f"{answered} {_MEANWHILE}")
        if status in (404, 410):
            return FluenceUnexpected(
                f"{answered} The API has moved or this account is on another generation; that is not an empty list. "
                f"Check `generation` and `api_url`. {_MEANWHILE}"
            )
        if 300 <= status < 400:
            to = self._quotable(response.headers.get("location", "nowhere"))
            return FluenceUnexpected(
                f"{answered} It points to {to}, which is not followed, as the key must not travel. If that is "
                f"where the API is now, set `api_url`. {_MEANWHILE}"
            )
        return FluenceUnexpected(f"{answered} {_MEANWHILE}")

    def _said(self, response: httpx.Response) -> str:
        """The server's own words on an error: JSON `code`, `error`, `detail`, else how the body begins."""
        body = bytearray()
        # The status is the message; its explanation may be missing, cut off or endless.
        with suppress(httpx.TransportError, zlib.error, FluenceUnexpected):
            for piece in _decoded(response):
                body += piece[: _LARGEST_ERROR_BODY - len(body)]
                if len(body) >= _LARGEST_ERROR_BODY:
                    break
        return self._quotable(_words_of(bytes(body)))

    def _without_secrets(self, body: bytearray) -> bytes:
        """`body` with every secret struck out: whoever reads it quotes what it cannot understand."""
        if self._secrets is None:
            return bytes(body)
        return re.sub(self._secrets.pattern.encode("latin-1"), b"***", bytes(body), flags=re.IGNORECASE)

    def _quotable(self, text: str) -> str:
        """`text` as it may stand in a message: no secret, no control characters, not long."""
        # Secrets go first: a cut could leave the head of one.
        if self._secrets:
            text = self._secrets.sub("***", text)
        text = " ".join(text[:_LONGEST_QUOTE].split()).rstrip(".")
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


class _Transient(Exception):
    """An attempt failed in a way that another one may mend; `wait` is what the server asked for."""

    def __init__(self, text: str, *, wait: timedelta | None = None, advice: str = "") -> None:
        super().__init__(text)
        self.wait = wait
        self.advice = advice


class _Deadline:
    """Shuts the connection of a request when time is up, however steadily bytes drip in.

    Time-outs of sockets are for one operation, so a server that sends a byte now and then would hold us for hours, in the
    headers as well as in the body. Not covered: the look-up of the host name, which the system's resolver bounds.
    """

    def __init__(self, within: timedelta) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(within.total_seconds(), 0), self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Called by httpx on every step of a request; takes note of the connection once there is one."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self.is_over:
                    self._shut()

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            self._shut()

    def _shut(self) -> None:
        # The plain socket's method, since SSLSocket.shutdown pulls the TLS object from under a thread that reads.
        with suppress(OSError):
            if self._socket is not None:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _with_query(path: str, query: Query) -> str:
    """`path?name=value&list[0]=value`; brackets of a list stay as they are, as servers need not read them escaped."""
    pairs = []
    for name, value in query:
        if isinstance(value, str):
            pairs.append((name, value))
        else:
            pairs.extend((f"{name}[{index}]", item) for index, item in enumerate(value))
    text = "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in pairs)
    return f"{path}?{text}" if text else path


def _decoded(response: httpx.Response) -> Iterator[bytes]:
    """The body in pieces of bounded size, so that a few compressed kilobytes cannot become gigabytes in one step."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        yield from response.iter_raw()
    elif encoding in ("gzip", "x-gzip"):
        yield from _gunzipped(response.iter_raw())
    else:
        raise FluenceUnexpected(f"The answer is encoded as {encoding[:40]!r}, which was not asked for. {_MEANWHILE}")


def _gunzipped(pieces: Iterator[bytes], *, step: int = 256 * 1024) -> Iterator[bytes]:
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    fed = False
    for piece in pieces:
        rest, more = piece, bool(piece)
        while more:
            if member.eof:  # a gzip file may consist of several members
                member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            fed = True
            plain = member.decompress(rest, step)
            yield plain
            rest = member.unused_data if member.eof else member.unconsumed_tail
            # All input may be taken while output still waits for room.
            more = bool(rest) or (len(plain) == step and not member.eof)
    if fed and not member.eof:
        raise zlib.error("the compressed body ends too early")


def _secrets_in(headers: Mapping[str, str]) -> re.Pattern[str] | None:
    """A pattern of the values of `headers`, with and without a scheme ("Bearer") before them."""
    secrets = {text for value in headers.values() for text in (value, value.rpartition(" ")[2])}
    found = sorted((text for text in secrets if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, found)), re.IGNORECASE) if found else None


def _words_of(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        words = [text for key in ("code", "error", "detail") if (text := _text_of(answer.get(key)))]
        if words:
            return ": ".join(words)
    return body.decode("utf-8", "replace")


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):  # a list of what is wrong with the request, each with a "msg"
        return "; ".join(str(entry.get("msg")) for entry in value[:5] if isinstance(entry, dict))
    return ""


def _advice_on(exc: Exception) -> str:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return " Its certificate is not trusted: if a proxy re-signs the traffic here, name its authority in SSL_CERT_FILE."
        cause = cause.__cause__ or cause.__context__
    return ""


def _http_date(text: str) -> datetime | None:
    if not 0 < len(text) <= 64:
        return None
    try:
        date = email.utils.parsedate_to_datetime(text)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """How long the server asks us to stay away: seconds or a date, which is measured on the server's own clock."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text)) if len(text) <= 7 else _FAR_OFF
    date = _http_date(text)
    if date is None:
        return None
    return min(max(date - (_http_date(headers.get("date", "")) or now), timedelta(0)), _FAR_OFF)
