"""What is known of some accounts alone, for targets that are told of no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fluence_costwatch.core.known import Known, KnownAccount, KnownBalance, KnownCharge, KnownResource, KnownTopUp
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Identity


@dataclass(frozen=True, slots=True)
class OfAccounts:
    """`whole`, as far as it is about `owners`."""

    whole: Known
    owners: frozenset[str]

    def accounts(self) -> Sequence[KnownAccount]:
        return [each for each in self.whole.accounts() if each.account in self.owners]

    def resources(self, *, gone: bool = True) -> Sequence[KnownResource]:
        return [each for each in self.whole.resources(gone=gone) if each.state.identity.account in self.owners]

    def newest_balances(self) -> Mapping[str, KnownBalance]:
        return {account: each for account, each in self.whole.newest_balances().items() if account in self.owners}

    def top_ups(self, *, account: str, since: datetime) -> Sequence[KnownTopUp]:
        return self.whole.top_ups(account=account, since=since) if account in self.owners else ()

    def charges(
        self, *, since: datetime | None = None, until: datetime | None = None, account: str | None = None
    ) -> Iterable[KnownCharge]:
        for each in self.whole.charges(since=since, until=until, account=account):
            if each.charge.identity.account in self.owners:
                yield each

    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
        amounts = self.whole.spent(since=since, until=until)
        return {identity: amount for identity, amount in amounts.items() if identity.account in self.owners}

    def straddling(self, moment: datetime) -> Sequence[KnownCharge]:
        return [each for each in self.whole.straddling(moment) if each.charge.identity.account in self.owners]
