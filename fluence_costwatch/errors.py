"""Every error that CostWatch raises on purpose, named for what the operator must do.

    CostwatchError
    ├── ConfigInvalid            mend the configuration file; every problem is listed
    ├── FluenceError             a look at the marketplace failed; `reason` is the metric label
    │   ├── FluenceUnavailable   wait: no answer, a time-out, 429 or 5xx
    │   ├── FluenceRefused       mend the key: 401 or 403
    │   ├── FluenceUnexpected    look closer, perhaps update: the answer is not what this generation sends
    │   └── FluenceIncomplete    wait: the list is not whole, so nothing is concluded from it
    ├── StoreError               the database cannot be used as it is
    │   ├── DatabaseMissing      run the daemon once, or name the right file
    │   ├── DatabaseInUse        another daemon holds this file
    │   ├── DatabaseOutdated     run `fluence-costwatch db upgrade`, or the daemon, which does it
    │   ├── DatabaseFromFuture   update CostWatch: a newer version has written this file
    │   └── DatabaseDamaged      restore a backup
    ├── ListenFailed             choose another address, or stop what listens there
    ├── UnusableOption           call the command differently
    ├── UnknownName              no such resource, account, alert, deletion or snapshot
    └── CannotBeDone             what stands does not allow it; the text says what stands

Texts are for the operator: what happened, what it means for the money, what to do. They never carry a secret.
"""

from __future__ import annotations

from collections.abc import Sequence


class CostwatchError(Exception):
    """The root; `exit_code` is what the command line returns for it."""

    exit_code = 1


class ConfigInvalid(CostwatchError):
    """The configuration cannot be used; `problems` are all that was found, one sentence each, by dotted path."""

    exit_code = 3

    def __init__(self, path: str, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{path} is not a valid configuration:", *(f"  {line}" for line in self.problems)]))


class FluenceError(CostwatchError):
    """A look at the marketplace failed, so nothing is known anew: charges go on as uncertain, and nothing ends."""

    exit_code = 4
    reason = "unexpected"


class FluenceUnavailable(FluenceError):
    """No usable answer in time. Waiting mends it."""

    reason = "unavailable"


class FluenceRefused(FluenceError):
    """The key was refused. Until it is mended CostWatch is blind for this account."""

    reason = "refused"


class FluenceUnexpected(FluenceError):
    """The answer is not what this generation of the API is known to send."""

    reason = "unexpected"


class FluenceIncomplete(FluenceError):
    """Part of the list is missing, so the whole of it is set aside."""

    reason = "incomplete"


class StoreError(CostwatchError):
    """The database cannot be used as it is."""


class DatabaseMissing(StoreError):
    """There is no database at this path yet."""


class DatabaseInUse(StoreError):
    """Another process writes to this database."""


class DatabaseOutdated(StoreError):
    """The schema is older than this version of CostWatch and the command may not change it."""


class DatabaseFromFuture(StoreError):
    """The schema was written by a newer version of CostWatch."""


class DatabaseDamaged(StoreError):
    """SQLite's own checks find the file damaged."""


class ListenFailed(CostwatchError):
    """The web server cannot listen where it is told to."""


class UnusableOption(CostwatchError):
    """What the command line asks for cannot be."""

    exit_code = 2


class UnknownName(CostwatchError):
    """Nothing goes by this name."""


class CannotBeDone(CostwatchError):
    """What is asked for is understood, but what stands does not allow it, and nothing was changed."""
