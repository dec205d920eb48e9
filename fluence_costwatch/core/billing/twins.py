"""One machine that two lists may show under different ids (`design.md` 3.1 "Accounts"): told, never merged."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.billing.booking import in_words
from fluence_costwatch.core.resources import Identity, Resource

_KIND: Final = "drift"
_RULE: Final = "twin of "


def likely_twins(resources: Iterable[Resource]) -> tuple[Finding, ...]:
    """A finding for each two of `resources` that are likely one machine, charged twice.

    Those are two of different ids, and of different generations or accounts, with the same public address or the same
    name and creation time. What neither tells is not the same. A finding is filed under the one that sorts last.
    """
    return tuple(_finding(one, other) for one, other in _pairs(resources))


def twins_of(resources: Iterable[Resource]) -> Mapping[Identity, Resource]:
    """One likely twin of each resource that has one."""
    pairs = _pairs(resources)
    return {one.identity: other for one, other in pairs} | {other.identity: one for one, other in pairs}


def _pairs(resources: Iterable[Resource]) -> list[tuple[Resource, Resource]]:
    several = list(resources)
    if len({(resource.account, resource.generation) for resource in several}) <= 1:
        return []
    alike: dict[Hashable, list[Resource]] = {}
    for resource in several:
        for mark in _marks(resource):
            alike.setdefault(mark, []).append(resource)
    pairs = {
        (one.identity, one.generation, other.identity, other.generation): (one, other)
        for marked in alike.values()
        for one, other in combinations(_ordered(marked), 2)
        if one.id.lower() != other.id.lower() and (one.account, one.generation) != (other.account, other.generation)
    }
    return [pairs[key] for key in sorted(pairs)]


def _ordered(marked: list[Resource]) -> list[Resource]:
    return sorted(marked, key=lambda one: (one.identity, one.generation)) if len(marked) > 1 else marked


def _marks(resource: Resource) -> Iterator[Hashable]:
    """By what a resource can be known under another id."""
    if resource.public_ip:
        yield ("address", resource.public_ip)
    if resource.name and resource.created_at is not None:
        yield ("name and creation time", resource.name, resource.created_at)


def judge_twins(resources: Iterable[Resource], *, alerts: Iterable[Alert]) -> Judged:
    """The likely twins among `resources`, all that are not gone, and the end of each alert about two that are none."""
    findings = likely_twins(resources)
    found = {finding.fingerprint for finding in findings}
    return Judged(
        findings=findings,
        endings=tuple(
            Ending(alert.fingerprint, "they no longer look alike, or one of them is gone")
            for alert in alerts
            if alert.kind == _KIND
            and alert.rule.startswith(_RULE)
            and alert.state is not AlertState.RESOLVED
            and alert.fingerprint not in found
        ),
    )


def _finding(one: Resource, other: Resource) -> Finding:
    return Finding(
        kind=_KIND,
        severity=Severity.WARNING,
        account=other.account,
        resource_id=other.identity.id,
        rule=f"{_RULE}{one.account}/{one.identity.id} {one.generation}",
        name=other.name,
        summary=f"{in_words(other)} of {other.account} ({other.generation}) looks like the same machine as "
        f"{in_words(one)} of {one.account} ({one.generation}). If it is, it is charged twice here: watch it once only.",
        means="Totals, budgets and forecasts count it twice if it is one machine.",
        advice="Take one of the two generations or accounts out of the configuration.",
        telling=Telling.CHANGES,
    )
