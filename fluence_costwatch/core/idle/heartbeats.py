"""The tokens by which a machine or a job says that it lives: one for each resource, made from the secret beside the
database (`design.md` 6 and 9.3)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from fluence_costwatch.core.resources import Identity

_PURPOSE: Final = b"fluence-costwatch heartbeat 1\x00"
# 160 bits: short enough for a line in a crontab, and nobody guesses it.
_DIGITS: Final = 40


def heartbeat_token(identity: Identity, *, secret: bytes) -> str:
    """The token of the resource's URL `/heartbeat/TOKEN`."""
    subject = f"{identity.account}\x00{identity.id}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, _PURPOSE + subject, sha256).hexdigest()[:_DIGITS]


def owner_of(token: str, identities: Iterable[Identity], *, secret: bytes) -> Identity | None:
    """Whose token it is; takes the same time whoever it is compared with."""
    given = token.encode("utf-8", "surrogatepass")
    owner = None
    for identity in identities:
        if hmac.compare_digest(given, heartbeat_token(identity, secret=secret).encode()):
            owner = identity
    return owner
