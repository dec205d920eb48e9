"""The keys of all accounts: whose they are, what they may do, and whether they have run out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .options import AccountOptions
from .refusals import NoSuch

EVERYTHING: tuple[str, ...] = (
    "vm:create",
    "vm:remove",
    "vm:restart",
    "vm:update",
    "vm:list",
    "billing:top_up",
    "billing:get_history",
    "billing:get_spending_history",
    "storage:write",
    "storage:read",
    "public_ip:write",
    "public_ip:read",
    "clusters:read",
    "prices:read",
    "vms:read",
    "vms:write",
)


@dataclass(frozen=True, slots=True)
class Key:
    """What opens an account; `scopes` are what it may do."""

    account: str
    scopes: tuple[str, ...] = EVERYTHING
    expired: bool = False

    @property
    def reads_only(self) -> bool:
        return not any(scope.endswith(":write") for scope in self.scopes)


class Keys:
    """Every key that was ever given out."""

    def __init__(self, accounts: Iterable[AccountOptions]) -> None:
        self._keys = {
            key: Key(account.name, tuple(account.scopes.get(key, EVERYTHING)))
            for account in accounts
            for key in account.keys
        }

    def get(self, text: str) -> Key | None:
        return self._keys.get(text)

    def limit(self, text: str, scopes: tuple[str, ...] | None) -> None:
        """Let a key do only this; None lets it do everything again."""
        self._keys[text] = replace(self._find(text), scopes=EVERYTHING if scopes is None else scopes)

    def expire(self, text: str, *, expired: bool = True) -> None:
        self._keys[text] = replace(self._find(text), expired=expired)

    def _find(self, text: str) -> Key:
        if text not in self._keys:
            raise NoSuch("no such key")
        return self._keys[text]
