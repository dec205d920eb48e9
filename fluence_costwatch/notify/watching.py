"""What really happened on the network while Apprise sent something.

Apprise says of a send that it went or not, and no more: not the status, not the `Retry-After`, not whether the request had
been handed over. Each of its plugins calls `requests` by itself, where no session of ours can be given, so `requests` is
watched at the one place that all of them pass, and only in the context of a send of ours.
"""

from __future__ import annotations

import re
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import requests

_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)
_INSTALLING: Final = threading.Lock()
_SECONDS: Final = re.compile(r"\d{1,7}(\.\d{1,6})?")
_LONGEST_BODY: Final = 4096
_LONGEST_WAIT: Final = timedelta(days=1)
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


@dataclass(slots=True)
class Exchange:
    """One request. `status` is None until the head of an answer came; `trouble` says, without an address, what ended it
    early, and `timed_out` whether that was waiting for the answer."""

    method: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    trouble: str = ""
    timed_out: bool = False
    over: bool = False

    @property
    def failed(self) -> bool:
        """Whether it brought no answer of success."""
        return not self.over or bool(self.trouble) or self.status is None or not 200 <= self.status < 300

    @property
    def unanswered(self) -> bool:
        """Whether the request was handed over whole, and what became of it was not said in time.

        A connection that ends without a word is not that: what stands before a dead server takes requests and drops them.
        """
        if self.method in _SAFE_METHODS:
            return False
        if self.status is not None:
            return 200 <= self.status < 300 and (bool(self.trouble) or not self.over)
        return not self.over or self.timed_out

    def retry_after(self, *, now: datetime) -> timedelta | None:
        """How long the server asks us to stay away: seconds or a date."""
        text = self.headers.get("retry-after", "").strip()
        if _SECONDS.fullmatch(text):
            return min(timedelta(seconds=float(text)), _LONGEST_WAIT)
        try:
            until = parsedate_to_datetime(text[:64])
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return min(max(until - now, timedelta(0)), _LONGEST_WAIT)


class Watch:
    """The requests of one send. Once it is closed no further one begins."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Watch:
        _install()
        self._token = _WATCH.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _WATCH.reset(self._token)

    def begin(self, method: str) -> Exchange:
        """Note that a request is about to be sent; raises where it is too late for that."""
        with self._lock:
            if self._closed:
                raise TimeoutError("the time for this message is over")
            exchange = Exchange(method)
            self.exchanges.append(exchange)
            return exchange

    def close(self) -> None:
        """Let no further request begin."""
        with self._lock:
            self._closed = True

    @property
    def failure(self) -> Exchange | None:
        """The last request that failed, which is why the send did."""
        return next((exchange for exchange in reversed(self.exchanges) if exchange.failed), None)


def _install() -> None:
    """Put the watch before `requests`, once."""
    # Loaded with the first message, as Apprise is.
    import requests

    with _INSTALLING:
        unwatched = requests.Session.send
        if getattr(unwatched, "watched", False):
            return

        def send(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            watch = _WATCH.get()
            if watch is None:
                return unwatched(self, request, **kwargs)
            exchange = watch.begin(request.method or "")

            def note_head(response: requests.Response, *args: Any, **kwargs: Any) -> None:
                # Called before the body is read, which may fail.
                exchange.status = response.status_code
                exchange.headers = {name.lower(): value for name, value in response.headers.items()}

            request.register_hook("response", note_head)
            try:
                response = unwatched(self, request, **kwargs)
                exchange.status = response.status_code
                exchange.body = response.content[:_LONGEST_BODY].decode("utf-8", "replace")
                return response
            except Exception as exc:
                exchange.trouble = _trouble(exc)
                exchange.timed_out = isinstance(exc, requests.exceptions.ReadTimeout)
                raise
            finally:
                exchange.over = True

        send.watched = True  # type: ignore[attr-defined]  # how a second installation knows of the first
        requests.Session.send = send  # type: ignore[method-assign]  # the one place that all plugins pass


def _trouble(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "no encrypted connection came about, or its certificate is not trusted"
    if isinstance(error, requests.exceptions.ReadTimeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.Timeout):
        return "no connection in time"
    # urllib3's own texts are all there is to tell these by.
    text = str(error)
    if "refused" in text:
        return "it refuses connections"
    if "resolve" in text:
        return "its name cannot be looked up"
    return "the connection broke off"
