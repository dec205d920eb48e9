"""Addresses of the configuration: where to listen, and whom to ask. What is refused is never quoted whole.

Each function raises ValueError with a sentence that continues after the dotted path: "must be ..., is ...".
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from string import Formatter
from typing import Final
from urllib.parse import SplitResult, urlsplit

from fluence_costwatch.config.problems import listed, nearest, shown

PLACEHOLDERS: Final = ("public_ip", "name", "id")

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ID: Final = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def parse_listen(value: object) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 address stands in brackets and comes out without them."""
    right = 'must be "HOST:PORT", as in "127.0.0.1:17550" or "[::1]:17550"'
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]{1,5})", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{right}, is {shown(value)}")
    host, port = match[1], int(match[2])
    if not host:
        raise ValueError(f'{right}, is {shown(value)}; every address is "0.0.0.0:{port}" or "[::]:{port}"')
    if port > 65_535:
        raise ValueError(f"must have a port from 0 to 65535, is {shown(value)}")
    if not _is_host(host):
        raise ValueError(f"{right}, is {shown(value)}")
    return host.strip("[]"), port


def parse_api_url(value: object) -> str:
    """The address before the API's paths, without a slash at its end; encrypted unless it is this machine's."""
    parts = _checked(value, like="https://api.fluence.dev", secrets="the key has its own setting")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"must begin with https://, since the key would travel in the open to {shown(parts.hostname)}")
    return str(value).rstrip("/")


def parse_public_url(value: object) -> str:
    """Where people reach this server, without a slash at its end."""
    _checked(value, like="https://watch.example.com", secrets="the token has its own setting")
    return str(value).rstrip("/")


def parse_prometheus_url(value: object) -> str:
    """The address before Prometheus's own paths, without a slash at its end."""
    _checked(value, like="http://127.0.0.1:9090")
    return str(value).rstrip("/")


def parse_alertmanager_url(value: object) -> str:
    """The address before Alertmanager's own paths, without a slash at its end."""
    _checked(value, like="http://127.0.0.1:9093")
    return str(value).rstrip("/")


def parse_node_exporter_url(value: object) -> str:
    """An address with at least one of `PLACEHOLDERS` in braces; empty where machines are asked by `overrides` alone."""
    right = 'must be an address as in "http://{public_ip}:9100/metrics"'
    if value == "":
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{right}, is {shown(value)}")
    try:
        found = [(name, form, how) for _, name, form, how in Formatter().parse(value) if name is not None]
    except ValueError:
        raise ValueError(f"{right}, and a brace in it is not closed") from None
    for name, form, how in found:
        if name not in PLACEHOLDERS or form or how:
            guess = nearest(name, PLACEHOLDERS)
            hint = f"did you mean {{{guess}}}?" if guess else f"known are {listed(PLACEHOLDERS, last='and')}"
            raise ValueError(f"{shown(f'{{{name}}}')} in it stands for nothing; {hint}")
    if not found:
        raise ValueError(
            f"{right}, with {{public_ip}}, {{name}} or {{id}} in it, or all machines would be the same one; "
            'write "" to ask only those in "overrides"'
        )
    _checked(value.format(public_ip="192.0.2.1", name="a", id="a"), like="http://{public_ip}:9100/metrics")
    return value


def parse_overrides(value: object) -> dict[str, str]:
    """node_exporter addresses by name, or by id, which comes out in small letters."""
    right = 'must be a table, as in {"web-1" = "http://10.0.0.7:9100/metrics"}'
    if not isinstance(value, dict):
        raise ValueError(f"{right}, is {shown(value)}")
    addresses: dict[str, str] = {}
    for given, address in value.items():
        machine = given.lower() if _ID.fullmatch(given) else given
        if not given or machine in addresses:
            raise ValueError(f"names {shown(given)} twice" if given else f"{right}, with a name or id before each")
        try:
            _checked(address, like="http://10.0.0.7:9100/metrics")
        except ValueError as error:
            raise ValueError(f"the address of {shown(given)} {error}") from None
        addresses[machine] = address
    return addresses


def is_open_http(url: str) -> bool:
    """Whether what is sent to `url` travels readable through a network."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether `host` reaches this machine alone; a name other than localhost is not trusted to."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_web_address(text: str) -> bool:
    """Whether `text` is an http(s) address, whatever follows its host."""
    parts, port = _split(text)
    return parts is not None and parts.scheme in ("https", "http") and bool(parts.hostname) and port != 0


def _checked(value: object, *, like: str, secrets: str = "") -> SplitResult:
    right = f'must be an address as in "{like}"'
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value) or "\\" in value:
        raise ValueError(f"{right}, without spaces or control characters")
    parts, port = _split(value)
    if parts is None or parts.scheme not in ("https", "http") or port == 0:
        raise ValueError(right)
    if "@" in parts.netloc:
        raise ValueError(f"{right}, without a user or password in it{'; ' if secrets else ''}{secrets}")
    if "?" in value or "#" in value:
        raise ValueError(f"{right}, without a query or fragment")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if not _is_host(host):
        raise ValueError(right)
    return parts


def _is_host(host: str) -> bool:
    bracketed = host.startswith("[")
    try:
        return (ip_address(host.strip("[]")).version == 6) == bracketed
    except ValueError:
        # What consists of digits and dots alone is a mistyped address, not a name.
        return not bracketed and _HOST.fullmatch(host) is not None and not re.fullmatch(r"[0-9.]+", host)


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        return None, None
