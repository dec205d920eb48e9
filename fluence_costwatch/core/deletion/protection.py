"""What is never deleted, and why. Whatever cannot be read protects (`design.md` section 7, "Protection")."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.deletion.deletions import COSTWATCH, Kept, Lease, Protection
from fluence_costwatch.core.idle.leases import lease_protection
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import label
from fluence_costwatch.core.resources import Identity, Resource


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the configuration and people want kept. `released` holds the names under which a person let it go.

    `namesakes` are the identities of other accounts under which a resource is known too (`namesakes_of`): what is wanted
    of one of them is wanted of all.
    """

    protect: Protection = Protection()
    kept: Mapping[Identity, Kept] = field(default_factory=dict)
    released: Mapping[Identity, tuple[str | None, ...]] = field(default_factory=dict)
    leases: Mapping[Identity, Lease] = field(default_factory=dict)
    silences: Sequence[Silence] = ()
    namesakes: Mapping[Identity, tuple[Identity, ...]] = field(default_factory=dict)

    def known_as(self, identity: Identity) -> tuple[Identity, ...]:
        """All identities of one resource, its own first."""
        return (identity, *self.namesakes.get(identity, ()))


def namesakes_of(identities: Iterable[Identity]) -> Mapping[Identity, tuple[Identity, ...]]:
    """The other identities with the same id of each that has any: one id in two accounts is one resource."""
    alike: dict[str, list[Identity]] = {}
    for identity in identities:
        alike.setdefault(identity.id, []).append(identity)
    several = (each for each in alike.values() if len(each) > 1)
    return {one: tuple(other for other in each if other != one) for each in several for one in each}


def protection_of(
    resource: Resource, keeping: Keeping, *, now: datetime, rule: str | None = None, alerts: Iterable[str] = ()
) -> str | None:
    """Why `resource` must not be deleted, for a person; None where nothing protects it.

    `rule` and `alerts` (fingerprints) are those of a deletion that is asked about: a silence of one of them keeps it too.
    """
    identity = resource.identity
    if identity.id in {each.lower() for each in keeping.protect.ids}:
        return "its id is protected by deletion.protect.ids"
    known_as = keeping.known_as(identity)
    for kept in (keeping.kept[one] for one in known_as if one in keeping.kept):
        return f"it is kept until released: {kept.reason}"
    leases = [keeping.leases.get(one) for one in known_as]
    return (
        _protected_name(resource, keeping)
        or next(filter(None, (_leased(resource, lease, now=now) for lease in leases)), None)
        or _silenced(known_as, keeping.silences, rule=rule, alerts=frozenset(alerts), now=now)
    )


def newly_kept(records: Iterable[KnownResource], keeping: Keeping, *, now: datetime) -> tuple[Kept, ...]:
    """What is seen under a protected name and was not before: from now on it is kept, whatever it will be called."""
    return newly_seen_protected((record.resource for record in records), keeping, now=now)


def newly_seen_protected(resources: Iterable[Resource], keeping: Keeping, *, now: datetime) -> tuple[Kept, ...]:
    """The same of what a list shows."""
    return tuple(
        Kept(resource.identity, now, COSTWATCH, f"seen under the protected name {label(name, id='')!r}")
        for resource in resources
        if (name := resource.name) is not None
        and resource.identity not in keeping.kept
        and name not in keeping.released.get(resource.identity, ())
        and _matching(name, keeping.protect.names) is not None
    )


def glob_problem(glob: str) -> str | None:
    """Why a pattern of names cannot mean what was meant; None where it can. What it would not match goes unprotected."""
    if not glob:
        return "it is empty"
    place = 0
    while (place := glob.find("[", place)) >= 0:
        first = place + 1 + (glob[place + 1 : place + 2] == "!")
        end = glob.find("]", first + 1)
        if end < 0:
            return "a '[' in it is never closed"
        for low, high in re.findall(r"(.)-(.)", glob[first:end], re.DOTALL):
            if low > high:
                return f"the range {low}-{high} in it is empty"
        place = end + 1
    return None


def _protected_name(resource: Resource, keeping: Keeping) -> str | None:
    released = keeping.released.get(resource.identity, ())
    for glob in keeping.protect.names:
        if (problem := glob_problem(glob)) is not None:
            return (
                f"the protected pattern {label(glob, id='')!r} cannot be read ({problem}), so everything is protected"
            )
    if resource.name in released:
        return None
    if not resource.name:
        return "its name is not known, and it may be a protected one"
    glob_or_none = _matching(resource.name, keeping.protect.names)
    return None if glob_or_none is None else f"its name is protected by {label(glob_or_none, id='')!r}"


def _matching(name: str, globs: Iterable[str]) -> str | None:
    """The glob that protects `name`, compared as it is, without regard to case, and by what a person sees of it: it is
    safer to protect too much."""
    folded, seen = name.casefold(), _as_seen(name)
    for glob in globs:
        if (
            fnmatchcase(name, glob)
            or fnmatchcase(folded, glob.casefold())
            or fnmatchcase(seen, unicodedata.normalize("NFKC", glob).casefold())
        ):
            return glob
    return None


def _as_seen(name: str) -> str:
    """`name` in one encoding and case, without blanks around it and without characters that cannot be seen."""
    plain = unicodedata.normalize("NFKC", name)
    return "".join(one for one in plain if not unicodedata.category(one).startswith("C")).strip().casefold()


def _leased(resource: Resource, lease: Lease | None, *, now: datetime) -> str | None:
    why = lease_protection(resource.name, created_at=resource.created_at, lease=lease, now=now)
    return None if why is None else f"it is leased: {why}"


def _silenced(
    known_as: Sequence[Identity],
    silences: Iterable[Silence],
    *,
    rule: str | None,
    alerts: frozenset[str],
    now: datetime,
) -> str | None:
    accounts, ids = {one.account for one in known_as}, {one.id for one in known_as}
    for silence in silences:
        if silence.until <= now:
            continue
        about_it = silence.resource_id is not None and silence.resource_id.lower() in ids
        whole = silence.resource_id is None and silence.rule is None and silence.alert is None
        matches = (
            (about_it and silence.account in (None, *accounts))
            or (whole and silence.account in accounts)
            or (silence.rule is not None and silence.rule == rule)
            or (silence.alert is not None and silence.alert in alerts)
        )
        if matches:
            return f"it is silenced until {silence.until:%Y-%m-%d %H:%M} UTC"
    return None
