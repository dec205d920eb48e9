"""Where the ledger and the provider's own numbers drift apart, or a connection of the process does not work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling, fingerprint_of
from fluence_costwatch.core.messages.wording import money

KIND: Final = "drift"


def judge_drift(account: str, *, drifting: Mapping[str, Decimal], compared: Iterable[str]) -> Judged:
    """What of `compared` (the provider's numbers that could be had) drifts by more than is tolerated, and by how many
    dollars. A number that could not be had ends nothing."""
    findings = tuple(
        Finding(
            kind=KIND,
            severity=Severity.WARNING,
            account=account,
            resource_id=None,
            summary=f"The ledger of account {account!r} differs from the provider's {against} by {money(abs(usd))}",
            rule=against,
            means="Either the bill holds what nobody saw, or the ledger holds what was not billed.",
            advice=f"fluence-costwatch reconcile --account {account}",
            telling=Telling.STATE,
            # It moves with every comparison; the sentence is that of the newest.
            facts=(("usd", str(usd)),),
        )
        for against, usd in drifting.items()
    )
    endings = tuple(
        Ending(fingerprint_of(KIND, account, None, against), "the ledger and the provider's number agree again")
        for against in compared
        if against not in drifting
    )
    return Judged(findings, endings)
