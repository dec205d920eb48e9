"""What the user's Prometheus says: one instant query for all machines, its series matched to them by a label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

from fluence_costwatch.core.idle.idleness import Reading
from fluence_costwatch.core.idle.rules import NOT_MACHINES, Condition, Match
from fluence_costwatch.core.resources import Identity, Resource
from fluence_costwatch.signals.addresses import address_of

_PORT: Final = re.compile(r":[0-9]{1,5}\Z")
_LONGEST_QUERY_SHOWN: Final = 80


class NoSeries(Exception):
    """Prometheus did not answer with series; the reason is for a person."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an instant vector: its labels, and its value (None: no number)."""

    labels: Mapping[str, str]
    value: Decimal | None


def query_url(prometheus_url: str, condition: Condition, *, now: datetime) -> str:
    """Where the condition's query is asked as of `now`."""
    parameters = urlencode({"query": condition.query, "time": f"{now.timestamp():.3f}"})
    return f"{prometheus_url.rstrip('/')}/api/v1/query?{parameters}"


def series_in(body: bytes) -> tuple[Series, ...]:
    """The series of an answer. Raises NoSeries."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise NoSeries("Prometheus did not answer in JSON") from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or answer.get("status") != "success":
        raise NoSeries("Prometheus did not answer the query")
    if data.get("resultType") != "vector" or not isinstance(data.get("result"), list):
        raise NoSeries(
            "Prometheus did not answer with one value for each machine: the query must give an instant vector"
        )
    return tuple(_series(entry) for entry in data["result"])


def readings_of(
    condition: Condition, series: Iterable[Series], resources: Iterable[Resource]
) -> dict[Identity, Reading]:
    """What the series say of each resource. Machines that the label does not tell apart are unknown."""
    by_mark: dict[str, list[Series]] = {}
    for one in series:
        for mark in _marks_of(one.labels.get(condition.label, ""), condition.match):
            by_mark.setdefault(mark, []).append(one)
    resources = tuple(resources)
    owners: dict[str, set[Identity]] = {}
    for resource in resources:
        own = _mark_of(resource, condition.match)
        if own is not None and resource.kind not in NOT_MACHINES:  # an address on its own has that of its machine
            owners.setdefault(own, set()).add(resource.identity)
    return {each.identity: _reading(condition, each, by_mark, owners) for each in resources}


def _series(entry: object) -> Series:
    if isinstance(entry, dict) and isinstance(entry.get("metric"), dict):
        value: Any = entry.get("value")
        if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str):
            labels = {name: text for name, text in entry["metric"].items() if isinstance(text, str)}
            return Series(labels, _number(value[1]))
    raise NoSeries("Prometheus answered in a form that is not known")


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _mark_of(resource: Resource, match: Match) -> str | None:
    if match is Match.PUBLIC_IP:
        address = address_of(resource.public_ip)
        return None if address is None else str(address)
    return resource.name or None if match is Match.NAME else resource.identity.id


def _marks_of(label: str, match: Match) -> set[str]:
    """What a label's value may stand for: itself, and itself without a port."""
    has_port = label.startswith("[") or label.count(":") == 1  # the end of a bare IPv6 address only looks like one
    values = {label, _PORT.sub("", label)} if has_port else {label}
    if match is Match.PUBLIC_IP:
        addresses = (address_of(value.removeprefix("[").removesuffix("]")) for value in values)
        return {str(address) for address in addresses if address is not None}
    return {value.lower() for value in values} if match is Match.ID else values


def _reading(
    condition: Condition,
    resource: Resource,
    by_mark: Mapping[str, list[Series]],
    owners: Mapping[str, set[Identity]],
) -> Reading:
    query = condition.query if len(condition.query) <= _LONGEST_QUERY_SHOWN else f"{condition.query[:79]}…"
    mark = _mark_of(resource, condition.match)
    if mark is None:
        return Reading(condition, None, f"promql: has no {condition.match.replace('_', ' ')} to match series by")
    if len(owners.get(mark, ())) > 1:
        return Reading(condition, None, f"promql: ambiguous, other machines have the same {condition.match}")
    found = by_mark.get(mark, [])
    if not found:
        return Reading(condition, None, f"promql: no series of this machine in {query}")
    values = [one.value for one in found if one.value is not None]
    if len(values) < len(found) or condition.below is None:
        return Reading(condition, None, f"promql: no number in {query}")
    holding = {value < condition.below for value in values}
    if len(holding) > 1:
        return Reading(condition, None, f"promql: ambiguous, {len(values)} series of this machine disagree in {query}")
    shown = ", ".join(f"{float(value):.4g}" for value in sorted(set(values))[:3])
    return Reading(condition, holding.pop(), f"promql {shown} in {query}")
