"""Where a machine's node_exporter is asked. Names come from the API, so they are untrusted: they never choose the server."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from fluence_costwatch.core.resources import Resource

_PLACE: Final = re.compile(r"\{(public_ip|name|id)\}")
# One label of a host name: no dots, so that a name stays within the domain that the template gives it.
_HOST_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class NoAddress(Exception):
    """The machine cannot be asked; the reason is for a person."""


def exporter_url(resource: Resource, *, template: str, overrides: Mapping[str, str]) -> str:
    """The URL to scrape: the override of the machine's id or name, else `template` filled in. Raises NoAddress."""
    chosen = overrides.get(resource.identity.id)
    if chosen is None and resource.name is not None:
        chosen = overrides.get(resource.name)
    chosen = template if chosen is None else chosen
    authority = _end_of_authority(chosen)
    return _PLACE.sub(lambda place: _filled(place[1], resource, in_host=place.start() < authority), chosen)


def where_of(url: str) -> str:
    """Host and port of a URL, for a person."""
    return urlsplit(url).netloc.rpartition("@")[2]


def address_of(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `text` is; None where it is none that a machine can have."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    plain = address.ipv4_mapped or address if address.version == 6 else address
    # Link-local addresses are where clouds keep the credentials of the machine that asks.
    refused = plain.is_link_local or plain.is_multicast or plain.is_unspecified or "%" in str(plain)
    return None if refused else address


def _end_of_authority(url: str) -> int:
    start = url.find("://") + 3
    return min((place for mark in "/?#" if (place := url.find(mark, start)) >= 0), default=len(url))


def _filled(field: str, resource: Resource, *, in_host: bool) -> str:
    if field == "public_ip":
        if resource.public_ip is None:
            raise NoAddress("has no public address")
        address = address_of(resource.public_ip)
        if address is None:
            raise NoAddress("has a public address that cannot be used")
        return f"[{address}]" if in_host and address.version == 6 else str(address)
    value = resource.name if field == "name" else resource.id
    if not value:
        raise NoAddress("has no name")
    if not in_host:
        return quote(value, safe="")
    if not _HOST_LABEL.fullmatch(value):
        raise NoAddress(f"has {'a name' if field == 'name' else 'an id'} that cannot be part of a host name")
    return value
