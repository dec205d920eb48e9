"""Whether the watch itself sees anything: unanswered looks, refused keys, lists that lack too much, looks that were not made.

All of it follows from the last look at each account and generation as it is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling, fingerprint_of
from fluence_costwatch.core.alerts.subjects import COMMAND, moment_text, open_of
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.known import KnownAccount, KnownLook, KnownResource
from fluence_costwatch.core.messages.wording import counted, money, span
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.fleet import ANSWERED, Watched, WatchedAccount, burn_per_day

FINDING_OUT: Final = "finding out"
"""The rule of an alert about an account whose generations could not be found."""

KINDS: Final = ("api", "key", "stale", "suspicious")

# Without a success for this long whole epochs begin unseen.
_CRITICAL_AFTER: Final = timedelta(hours=24)
_LONGEST_DETAIL: Final = 200
_SAID: Final = {
    "unavailable": "does not answer",
    "unexpected": "gives answers that cannot be read",
    "incomplete": "gives lists that are not complete",
}
_ADVICE: Final = {
    "unavailable": f"See whether the marketplace is down or the network is; `{COMMAND} check` asks it now.",
    "unexpected": f"See whether there is a newer version of CostWatch; `{COMMAND} check` shows what is answered.",
    "incomplete": f"Nothing but wait, unless it goes on; `{COMMAND} check` asks for the lists now.",
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """One generation of an account: its last look, and when one last succeeded."""

    account: str
    generation: Generation
    look: KnownLook
    last_success: datetime | None
    records: Sequence[KnownResource]

    @property
    def where(self) -> str:
        return f"{self.generation} of account {self.account!r}"

    @property
    def last(self) -> str:
        """When a look last succeeded, in words."""
        return "never" if self.last_success is None else moment_text(self.last_success)

    @property
    def per_day(self) -> Decimal:
        """What all that bills there costs a day, as far as prices are known."""
        charged = (each for each in self.records if is_charged_on(each.state))
        return sum(
            (burn_per_day(each.state, per=each.resource.price_per) or Decimal(0) for each in charged), Decimal(0)
        )

    def finding(
        self,
        kind: str,
        severity: Severity,
        summary: str,
        *,
        means: str,
        advice: str,
        patience: timedelta = timedelta(0),
        facts: tuple[tuple[str, str], ...] = (),
    ) -> Finding:
        return Finding(
            kind=kind,
            severity=severity,
            account=self.account,
            resource_id=None,
            rule=self.generation.value,
            summary=summary,
            means=means,
            advice=advice,
            telling=Telling.STATE,
            patience=patience,
            facts=facts,
        )


def judge_looks(
    accounts: Iterable[KnownAccount],
    records: Mapping[str, Sequence[KnownResource]],
    *,
    watched: Watched,
    alerts: Iterable[Alert],
    now: datetime,
) -> Judged:
    """What hinders the watch, and what hinders it no more. `records` are the resources by account."""
    known = {record.account: record for record in accounts}
    opened = {alert.fingerprint: alert for alert in open_of(alerts, *KINDS)}
    findings: list[Finding] = []
    endings: list[Ending] = []
    for account in watched.accounts:
        for seen in _looks_of(account, known.get(account.account), records.get(account.account, ())):
            findings += _troubles(seen, patience=watched.patience, now=now)
            for kind, reason in _overcome(seen, patience=watched.patience, now=now):
                alert = opened.get(fingerprint_of(kind, seen.account, None, seen.generation.value))
                if alert is not None:
                    endings.append(Ending(alert.fingerprint, _explained(reason, alert, seen, now=now)))
    return Judged(tuple(findings), tuple(endings))


def judge_finding_out(account: str, *, refusal: str | None, patience: timedelta) -> Judged:
    """Where an account's generations are to be found by asking: that none answers (`refusal` is what was said), or that
    they are found. No look is remembered of such an account, so nothing else tells of it."""
    if refusal is None:
        fingerprint = fingerprint_of("api", account, None, FINDING_OUT)
        return Judged(endings=(Ending(fingerprint, "a generation of the API answers"),))
    return Judged(
        findings=(
            Finding(
                kind="api",
                severity=Severity.WARNING,
                account=account,
                resource_id=None,
                rule=FINDING_OUT,
                summary=f"No generation of the API answers for account {account!r}",
                means=f"Nothing is known of what it costs. {printable(refusal, limit=_LONGEST_DETAIL)}",
                advice=f"Check its key, api_url and generation; `{COMMAND} check` asks the marketplace now.",
                telling=Telling.STATE,
                patience=patience,
            ),
        )
    )


def _looks_of(
    account: WatchedAccount, record: KnownAccount | None, records: Sequence[KnownResource]
) -> Iterator[_Seen]:
    if record is None:
        return
    # An account that finds its generations by asking has none until it has asked; those it had go on to count.
    for generation in account.generations or tuple(record.last_cycle):
        look = record.last_cycle.get(generation)
        if look is not None:
            owned = [each for each in records if each.state.generation is generation]
            yield _Seen(account.account, generation, look, record.last_success.get(generation), owned)


def _troubles(seen: _Seen, *, patience: timedelta, now: datetime) -> Iterator[Finding]:
    """What the last look says. A single failed one is nobody's business, so these are told once they go on."""
    outcome = seen.look.outcome
    detail = printable(seen.look.detail, limit=_LONGEST_DETAIL)
    is_long = seen.last_success is None or now - seen.last_success > _CRITICAL_AFTER
    if outcome == "refused":
        yield seen.finding(
            "key",
            Severity.CRITICAL,
            f"The key of {seen.where} is refused",
            means=f"{detail} {_unseen(seen)}".lstrip(),
            advice=f"Put a valid key in its place and reload; `{COMMAND} check` tells what it may do.",
            patience=patience / 3,
        )
    elif outcome == "suspicious":
        yield _suspicious(seen)
    elif outcome != "ok":
        yield seen.finding(
            "api",
            Severity.CRITICAL if is_long else Severity.WARNING,
            f"{seen.where} {_SAID.get(outcome, 'cannot be looked at')}; the last good look was {seen.last}",
            means=f"{detail} {_unseen(seen)}".lstrip(),
            advice=_ADVICE.get(outcome, f"`{COMMAND} check` asks the marketplace now."),
            patience=patience,
        )
    elif _is_overdue(seen, patience=patience, now=now):
        yield seen.finding(
            "stale",
            Severity.CRITICAL if is_long else Severity.WARNING,
            f"{seen.where} has not been looked at since {seen.last}, though it answered then",
            means=_unseen(seen),
            advice=f"See in the daemon's log what keeps it from looking; `{COMMAND} check` asks the marketplace now.",
            # After a longer pause of the daemon, the account whose turn comes first finds all others overdue.
            patience=patience / 3,
        )


def _suspicious(seen: _Seen) -> Finding:
    there = [each for each in seen.records if each.state.presence is Presence.PRESENT and not each.state.retired]
    lacking = sum(each.state.absent_since is not None for each in there)
    return seen.finding(
        "suspicious",
        Severity.WARNING,
        f"The list of {seen.where} lacks {lacking} of {counted(len(there), 'resource')}",
        means="Nothing is concluded from such a list unless it stays so for a while: what it lacks counts as uncertain, "
        "and nothing is deleted.",
        advice=f"Compare the marketplace's own page with `{COMMAND} vms`.",
        facts=(("lacking", str(lacking)), ("listed", str(len(there)))),
    )


def _overcome(seen: _Seen, *, patience: timedelta, now: datetime) -> Iterator[tuple[str, str]]:
    """Each kind of trouble that the last look shows to be over, and why. A look that failed says nothing of a list."""
    outcome = seen.look.outcome
    answers = outcome in ANSWERED
    if answers:
        yield "api", "it answers again"
        yield "key", "the key is accepted again"
    elif outcome == "refused":
        yield "api", "it answers again, but refuses the key"
    if outcome == "ok":
        yield "suspicious", "the list is believed again"
        if not _is_overdue(seen, patience=patience, now=now):
            yield "stale", "it is looked at again"
    else:
        yield "stale", "it is looked at again, though without success"


def _explained(reason: str, alert: Alert, seen: _Seen, *, now: datetime) -> str:
    """Why an alert ends, and how long it had gone on."""
    if alert.kind == "suspicious":
        facts = dict(alert.facts)
        there = sum(each.state.presence is Presence.PRESENT for each in seen.records)
        if str(there) != facts.get("listed", str(there)):
            reason = f"the list stayed so for long enough to be believed; it shows {counted(there, 'resource')} now"
        else:
            reason = "the list shows all of them again"
    return f"{reason}, after {span(now - alert.since)}"


def _is_overdue(seen: _Seen, *, patience: timedelta, now: datetime) -> bool:
    return seen.last_success is None or now - seen.last_success > patience


def _unseen(seen: _Seen) -> str:
    return (
        f"Meanwhile charges that fall due there (about {money(seen.per_day)} a day) are counted as uncertain, "
        "what is new is not seen, and nothing is deleted."
    )
