"""What the exporter asks of a reading, and a reading whose resources are loaded once though several views ask for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Protocol

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.deletion.deletions import Deletion
from fluence_costwatch.core.idle.idling import Clocks
from fluence_costwatch.core.known import Known, KnownAccount, KnownBalance, KnownCharge, KnownResource, KnownTopUp
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Identity


class Remembered(Known, Protocol):
    """All that the exposition is made from; any `ports.Reading` is one."""

    def alerts(self) -> Sequence[Alert]: ...
    def outbox(self, *, states: Iterable[Delivery] | None = None) -> Sequence[OutboxRow]: ...
    def clocks(self) -> Clocks: ...
    def deletions(self) -> Sequence[Deletion]: ...


class ReadOnce:
    """`reading`, as far as it is of money."""

    def __init__(self, reading: Known) -> None:
        self._reading = reading

    @cached_property
    def _resources(self) -> Sequence[KnownResource]:
        return self._reading.resources()

    def resources(self, *, gone: bool = True) -> Sequence[KnownResource]:
        """Every resource ever seen (without gone ones if not `gone`)."""
        if gone:
            return self._resources
        return [record for record in self._resources if record.state.presence is not Presence.GONE]

    def accounts(self) -> Sequence[KnownAccount]:
        """Every account that was ever looked at."""
        return self._reading.accounts()

    def newest_balances(self) -> Mapping[str, KnownBalance]:
        """The newest balance of every account that has one."""
        return self._reading.newest_balances()

    def top_ups(self, *, account: str, since: datetime) -> Sequence[KnownTopUp]:
        """The top-ups of `account` from `since` on."""
        return self._reading.top_ups(account=account, since=since)

    def charges(
        self, *, since: datetime | None = None, until: datetime | None = None, account: str | None = None
    ) -> Iterable[KnownCharge]:
        """The rows of the ledger whose span starts in `[since, until)`."""
        return self._reading.charges(since=since, until=until, account=account)

    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
        """The sum of the written rows of each resource whose span starts in `[since, until)`."""
        return self._reading.spent(since=since, until=until)

    def straddling(self, moment: datetime) -> Sequence[KnownCharge]:
        """The written rows of metered resources whose span begins before and ends after `moment`."""
        return self._reading.straddling(moment)
