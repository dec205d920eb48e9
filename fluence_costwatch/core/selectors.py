"""Which resources a budget or a rule is about (`design.md` section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from fluence_costwatch.core.resources import Resource


@dataclass(frozen=True, slots=True)
class Selector:
    """What must match; an empty field matches everything, of several values in a field one is enough.

    `names` are globs, compared exactly; `ids` are lower-cased; `datacenters` are compared case-folded.
    """

    accounts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    datacenters: tuple[str, ...] = ()

    def matches(self, resource: Resource) -> bool:
        """Whether all that is given matches. A resource without a name matches no name, nor without a datacenter any."""
        name, datacenter = resource.name, resource.datacenter
        return (
            (not self.accounts or resource.account in self.accounts)
            and (not self.kinds or resource.kind in self.kinds)
            and (not self.ids or resource.identity.id in self.ids)
            and (not self.names or (name is not None and any(fnmatchcase(name, glob) for glob in self.names)))
            and (
                not self.datacenters
                or (datacenter is not None and datacenter.casefold() in {one.casefold() for one in self.datacenters})
            )
        )


EVERYTHING = Selector()
