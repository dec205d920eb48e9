"""What is known at one instant, by its shape alone: the records of the store, as rules that know nothing of ports take
them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from fluence_costwatch.core.billing.history import Charge, ResourceState
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Resource


class KnownEntry(Protocol):
    """One entry of a balance."""

    @property
    def feature(self) -> str: ...
    @property
    def balance(self) -> Decimal: ...


class KnownTopUp(Protocol):
    """Money that came in, in dollars."""

    @property
    def at(self) -> datetime: ...
    @property
    def amount(self) -> Decimal: ...


class KnownBalance(Protocol):
    """What was left on an account at an instant, by feature."""

    @property
    def at(self) -> datetime: ...
    @property
    def entries(self) -> Sequence[KnownEntry]: ...


class KnownResource(Protocol):
    """A resource as the newest list that held it said, and what is remembered for the ledger."""

    @property
    def resource(self) -> Resource: ...
    @property
    def state(self) -> ResourceState: ...
    @property
    def last_seen(self) -> datetime: ...


class KnownCharge(Protocol):
    """A row of the ledger with the newest known name and kind of its resource."""

    @property
    def charge(self) -> Charge: ...
    @property
    def name(self) -> str | None: ...
    @property
    def kind(self) -> str: ...


class KnownLook(Protocol):
    """How the last look at one account and generation went."""

    @property
    def outcome(self) -> str: ...
    @property
    def detail(self) -> str: ...


class KnownAccount(Protocol):
    """What is known of one account's looks."""

    @property
    def account(self) -> str: ...
    @property
    def last_success(self) -> Mapping[Generation, datetime | None]: ...
    @property
    def last_cycle(self) -> Mapping[Generation, KnownLook]: ...


class Known(Protocol):
    """All that is known at one instant."""

    def accounts(self) -> Sequence[KnownAccount]: ...
    def resources(self, *, gone: bool = True) -> Sequence[KnownResource]: ...
    def newest_balances(self) -> Mapping[str, KnownBalance]: ...
    def top_ups(self, *, account: str, since: datetime) -> Sequence[KnownTopUp]: ...
    def charges(
        self, *, since: datetime | None = None, until: datetime | None = None, account: str | None = None
    ) -> Iterable[KnownCharge]: ...
    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]: ...
    def straddling(self, moment: datetime) -> Sequence[KnownCharge]: ...
