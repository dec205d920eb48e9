"""Faults in how an answer arrives: late, as another one, in pieces, broken, without end or not at all."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Protocol

from .wire import JSON_TYPE, Answer, error

JsonObject = dict[str, Any]
MEGABYTE = 1024 * 1024
HTML_TYPE = "text/html; charset=utf-8"
_NAME = re.compile(rb'"(?:vmName|name)":"')
_OBJECT = re.compile(rb"\{")
PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in bytes, ready to be sent."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    explain: Callable[[int], Answer] = lambda code: error(code, "Something went wrong")
    """How this path speaks of an error."""


class Channel(Protocol):
    """The open connection on which a reply goes out."""

    def head(self, reply: Reply, *, length: int | None) -> None:
        """Status and headers; without a length the body ends with the connection."""

    def write(self, data: bytes) -> None: ...

    def wait(self, seconds: float) -> None:
        """Let time pass, at most until the server stops."""

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection, politely or with a reset."""


def send(channel: Channel, reply: Reply) -> None:
    """The reply as it should be."""
    channel.head(reply, length=len(reply.body))
    channel.write(reply.body)


def deliver(channel: Channel, reply: Reply, kind: str, params: JsonObject, *, now: datetime) -> None:
    """The reply as this fault has it."""
    _DELIVERIES[kind](channel, reply, params, now)


def _status(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    code, headers = params["code"], []
    if params["retry_after"] is not None:
        headers.append(("Retry-After", str(params["retry_after"])))
    if params["retry_after_date"] is not None:
        until = now + timedelta(seconds=params["retry_after_date"])
        headers.append(("Retry-After", format_datetime(until, usegmt=True)))
    gateway = code in (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
    if params["body"] is not None:
        body = str(params["body"]).encode()
    elif gateway:
        body = PAGE
    else:
        body = reply.explain(code).body()
    send(channel, Reply(code, body, HTML_TYPE if gateway else JSON_TYPE, tuple(headers)))


def _redirect(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    send(channel, Reply(params["code"], b"", JSON_TYPE, (("Location", params["location"]),)))


def _close_before_headers(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    channel.hang_up()


def _close_after_headers(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    channel.head(reply, length=len(reply.body))
    channel.hang_up()


def _reset(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    channel.hang_up(reset=True)


def _cut_short(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    channel.head(reply, length=len(reply.body))
    channel.write(_part(reply.body, params["keep"]))
    channel.hang_up()


def _drip(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    channel.head(reply, length=len(reply.body))
    for start in range(0, len(reply.body), params["bytes"]):
        channel.write(reply.body[start : start + params["bytes"]])
        channel.wait(params["interval"])


def _hang(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    channel.head(reply, length=len(reply.body))
    channel.write(_part(reply.body, params["keep"]))
    channel.wait(params["seconds"])
    channel.hang_up()


def _truncated_json(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    send(channel, replace(reply, body=_part(reply.body, params["keep"])))


def _other_body(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    send(channel, replace(reply, body=params["body"].encode(), content_type=params["content_type"]))


def _wrong_type(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    send(channel, replace(reply, body=replace(error(200, ""), value=params["value"]).body() or b"null"))


def _inserted(
    where: re.Pattern[bytes], what: Callable[[JsonObject], bytes]
) -> Callable[[Channel, Reply, JsonObject, datetime], None]:
    def apply(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
        send(channel, replace(reply, body=where.sub(lambda found: found[0] + what(params), reply.body, count=1)))

    return apply


def _nested(params: JsonObject) -> bytes:
    depth: int = params["depth"]
    return b'"nested":' + b"[" * depth + b"]" * depth + b","


def _huge_body(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    length = len(reply.body) + params["megabytes"] * MEGABYTE
    channel.head(reply, length=length if params["declared"] else None)
    for piece in _padded(reply.body, params["megabytes"]):
        channel.write(piece)


def _gzip_bomb(channel: Channel, reply: Reply, params: JsonObject, now: datetime) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    channel.head(replace(reply, headers=(*reply.headers, ("Content-Encoding", "gzip"))), length=None)
    for piece in _padded(reply.body, params["megabytes"]):
        channel.write(packer.compress(piece))
    channel.write(packer.flush())


def _padded(body: bytes, megabytes: int) -> Iterator[bytes]:
    """The body and then white space: still the right answer, for whoever has the patience to read it."""
    yield body
    for _ in range(megabytes):
        yield b" " * MEGABYTE


def _part(body: bytes, keep: float) -> bytes:
    return body[: int(len(body) * keep)]


_DELIVERIES: dict[str, Callable[[Channel, Reply, JsonObject, datetime], None]] = {
    "status": _status,
    "redirect": _redirect,
    "close_before_headers": _close_before_headers,
    "close_after_headers": _close_after_headers,
    "reset": _reset,
    "cut_short": _cut_short,
    "drip": _drip,
    "hang": _hang,
    "truncated_json": _truncated_json,
    "invalid_json": _other_body,
    "html": _other_body,
    "empty_body": _other_body,
    "not_utf8": _inserted(_NAME, lambda params: b"\xff\xfe\xc3"),
    "lone_surrogate": _inserted(_NAME, lambda params: b"\\ud800"),
    "wrong_type": _wrong_type,
    "deep_nesting": _inserted(_OBJECT, _nested),
    "huge_body": _huge_body,
    "gzip_bomb": _gzip_bomb,
}
DELIVERIES: dict[str, JsonObject] = {
    "status": {"code": 500, "retry_after": None, "retry_after_date": None, "body": None},
    "redirect": {"code": 302, "location": "http://redirect.invalid/vms/v2"},
    "close_before_headers": {},
    "close_after_headers": {},
    "reset": {},
    "cut_short": {"keep": 0.5},
    "drip": {"bytes": 1, "interval": 0.1},
    "hang": {"keep": 0.5, "seconds": 3600},
    "truncated_json": {"keep": 0.5},
    "invalid_json": {"body": '[{"id":"0x01","pricePerEpoch":298160,},nonsense]', "content_type": JSON_TYPE},
    "html": {"body": PAGE.decode(), "content_type": HTML_TYPE},
    "empty_body": {"body": "", "content_type": JSON_TYPE},
    "not_utf8": {},
    "lone_surrogate": {},
    "wrong_type": {"value": {"vms": []}},
    "deep_nesting": {"depth": 100_000},
    "huge_body": {"megabytes": 64, "declared": True},
    "gzip_bomb": {"megabytes": 256},
}
"""Each kind with its parameters and their defaults; the first that matches decides."""

MODIFIERS: dict[str, JsonObject] = {
    "latency": {"seconds": 1.0},
    "clock_skew": {"seconds": 600.0},
    "no_date": {},
}
"""What goes with any other fault; all that match apply."""

WITHOUT_EFFECT: tuple[str, ...] = ("status", "redirect", "close_before_headers", "reset")
"""Where one of these strikes, the request is not carried out unless the fault says so."""
