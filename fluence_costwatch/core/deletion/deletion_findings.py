"""What an operator should hear of deletions beside their notices, which are messages of their own (`notices.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Mode
from fluence_costwatch.core.deletion.grounds import Situation
from fluence_costwatch.core.deletion.planning import expected_at, shortfalls
from fluence_costwatch.core.deletion.savings import saving_of
from fluence_costwatch.core.messages.wording import label, money
from fluence_costwatch.core.resources import Identity
from fluence_costwatch.core.untrusted import printable

KIND: Final = "deletion"
ROLLED_BACK: Final = "rolled_back"
BUDGET: Final = "budget"

# What happens is told while it is news; within this the next cycle has come.
_NEWS_FOR: Final = timedelta(hours=1)
# A failure that nothing came of in so long is history.
_FAILED_FOR: Final = timedelta(days=7)
_LONGEST: Final = 200


def deletion_findings(
    situation: Situation, *, alerts: Iterable[Alert], rolled_back: bool, repeat: timedelta, now: datetime
) -> Judged:
    """All findings of kind deletion, from what is stored (after this turn's plan), and what of them has ended."""
    newest = {one.identity: one for one in sorted(situation.deletions, key=lambda one: one.proposed_at)}
    news_for = min(_NEWS_FOR, repeat)
    findings = [
        *(
            finding
            for deletion in situation.deletions
            if (finding := _finding(deletion, situation, newest=newest, news_for=news_for, now=now)) is not None
        ),
        *_budgets(situation, now=now),
        *([_rolled_back()] if rolled_back else []),
    ]
    found = {finding.fingerprint for finding in findings}
    return Judged(tuple(findings), tuple(_endings(situation, alerts, found=found, rolled_back=rolled_back)))


def _finding(
    deletion: Deletion,
    situation: Situation,
    *,
    newest: Mapping[Identity, Deletion],
    news_for: timedelta,
    now: datetime,
) -> Finding | None:
    name = label(deletion.name, id=deletion.target_id)
    lately = deletion.settled_at is not None and now - deletion.settled_at <= news_for
    ended_lately = bool(deletion.history) and now - deletion.history[-1].at <= news_for
    because = printable(deletion.history[-1].reason if deletion.history else deletion.reason, limit=_LONGEST)
    match deletion.state:
        case DeletionState.PROPOSED if deletion.mode is Mode.OBSERVE:
            return _about(
                deletion,
                Severity.INFO,
                f"{name} would be deleted, were the mode not observe",
                means=f"Why: {printable(deletion.reason, limit=_LONGEST)}. {_cost(deletion)}",
                advice="Nothing is deleted in this mode; deletion.mode in the configuration changes it.",
                telling=Telling.CHANGES,
            )
        case DeletionState.NOTIFIED | DeletionState.APPROVED if _is_near(deletion, situation, now=now):
            at = expected_at(deletion, situation, now=now)
            when = "soon" if at is None else f"at {at:%Y-%m-%d %H:%M} UTC"
            waits = deletion.mode is Mode.PROPOSE and deletion.state is not DeletionState.APPROVED
            fact = f"could be deleted {when}, if somebody approves it" if waits else f"will be deleted {when}"
            return _about(
                deletion,
                Severity.WARNING,
                f"Reminder: {name} {fact}",
                means=_cost(deletion),
                advice=f"Run `fluence-costwatch deletions {'approve' if waits else 'veto'} {deletion.id}`.",
                # What comes of it is told by itself.
                telling=Telling.EVENT,
            )
        case DeletionState.WITHDRAWN if lately and deletion.mode is not Mode.OBSERVE:
            # As the notice, so that whoever got that hears what came of it.
            return _about(
                deletion,
                Severity.WARNING,
                f"{name} is not deleted after all",
                means=f"Why: {because}.",
                telling=Telling.EVENT,
            )
        case DeletionState.VERIFIED if ended_lately:
            saving = saving_of(deletion)
            avoided = (
                "" if saving is None or not saving.avoided else f" The next charge, {money(saving.avoided)}, is saved."
            )
            return _about(
                deletion,
                Severity.WARNING,
                f"{name} was deleted, as the lists prove",
                means=f"{_cost(deletion)}{avoided}",
                telling=Telling.EVENT,
            )
        case DeletionState.UNCONFIRMED:
            return _about(
                deletion,
                Severity.CRITICAL,
                f"Whether {name} was deleted is not known",
                means=f"It may bill on. Known is: {because}.",
                advice="Look in the console, and delete it there if it is to go. It is not tried again by itself.",
                telling=Telling.STATE,
            )
        case DeletionState.FAILED if _still_matters(deletion, situation, newest=newest, now=now):
            return _about(
                deletion,
                Severity.CRITICAL,
                _failed(deletion, name=name),
                means=f"It bills on. Known is: {because}.",
                advice=f"`fluence-costwatch deletions show {deletion.id}` tells its story.",
                telling=Telling.STATE,
            )
    return None


def _failed(deletion: Deletion, *, name: str) -> str:
    was_proven = any(step.state is DeletionState.VERIFIED for step in deletion.history)
    return f"{name} is listed again after it was gone" if was_proven else f"{name} could not be deleted"


def _is_near(deletion: Deletion, situation: Situation, *, now: datetime) -> bool:
    """Whether it is time for a reminder: half the notice before, and at least as long after the notice itself."""
    half = situation.policy.min_notice / 2
    at, told_at = deletion.execute_at, deletion.notified_at
    return at is not None and told_at is not None and now >= at - half and now - told_at >= half


def _still_matters(
    deletion: Deletion, situation: Situation, *, newest: Mapping[Identity, Deletion], now: datetime
) -> bool:
    record = situation.records.get(deletion.identity)
    return (
        record is not None
        and record.state.presence is not Presence.GONE
        and newest.get(deletion.identity) == deletion
        and (deletion.settled_at is None or now - deletion.settled_at <= _FAILED_FOR)
    )


def _about(
    deletion: Deletion, severity: Severity, summary: str, *, telling: Telling, means: str = "", advice: str = ""
) -> Finding:
    facts = [("deletion", deletion.id), ("state", str(deletion.state)), ("rule", deletion.rule)]
    facts += [("evidence", printable(one, limit=_LONGEST)) for one in deletion.evidence]
    return Finding(
        kind=KIND,
        severity=severity,
        account=deletion.identity.account,
        resource_id=deletion.identity.id,
        summary=summary,
        rule=_rule_of(deletion),
        name=deletion.name,
        means=means,
        advice=advice,
        telling=telling,
        cost_per_day=deletion.burn_per_day,
        facts=tuple(facts),
    )


def _rule_of(deletion: Deletion) -> str:
    """A deletion that waits is one thing to hear of, its end another."""
    waits = deletion.state in (DeletionState.PROPOSED, DeletionState.NOTIFIED, DeletionState.APPROVED)
    return deletion.id if waits else f"{deletion.id} {deletion.state}"


def _cost(deletion: Deletion) -> str:
    daily = f"It costs {money(deletion.burn_per_day)} a day." if deletion.burn_per_day else ""
    if deletion.next_charge is None or deletion.next_charge_at is None:
        return daily
    at = f"{deletion.next_charge_at:%Y-%m-%d %H:%M} UTC"
    return f"{daily} Its next charge is {money(deletion.next_charge)} at {at}.".strip()


def _budgets(situation: Situation, *, now: datetime) -> Iterator[Finding]:
    for choice in shortfalls(situation, now=now):
        name = choice.status.budget.name
        yield Finding(
            kind=KIND,
            severity=Severity.CRITICAL,
            account="",
            resource_id=None,
            rule=f"{BUDGET} {name}",
            summary=f"No deletions bring budget {name} back under its limit, so none is made for it",
            means=f"Even all that may go leave it {money(choice.short_by)} above.",
            advice="Delete by hand what is not needed, or raise the limit. Protected, leased and doubtful machines stay.",
            telling=Telling.STATE,
            facts=(("budget", name),),
        )


def _rolled_back() -> Finding:
    return Finding(
        kind=KIND,
        severity=Severity.CRITICAL,
        account="",
        resource_id=None,
        rule=ROLLED_BACK,
        summary="The database is older than it was, so nothing is deleted until an operator confirms it",
        means="Vetoes, leases and protections made since may be lost. All proposals were withdrawn.",
        advice=(
            "See `fluence-costwatch deletions`; renew what is lost, then confirm that the database is as it should be: "
            "run `fluence-costwatch deletions confirm`."
        ),
        telling=Telling.STATE,
    )


def _endings(situation: Situation, alerts: Iterable[Alert], *, found: set[str], rolled_back: bool) -> Iterator[Ending]:
    by_rule = {_rule_of(one): one for one in situation.deletions} | {one.id: one for one in situation.deletions}
    for alert in alerts:
        if alert.kind != KIND or alert.state is AlertState.RESOLVED or alert.fingerprint in found:
            continue
        if alert.rule == ROLLED_BACK:
            if not rolled_back:
                yield Ending(alert.fingerprint, "an operator has confirmed the database")
        elif alert.rule.startswith(f"{BUDGET} "):
            yield Ending(alert.fingerprint, "the budget is not over, or deletions can meet it")
        elif (deletion := by_rule.get(alert.rule.partition(" ")[0])) is not None:
            if alert.telling is Telling.EVENT and alert.rule != deletion.id:
                continue  # what happened ends by itself; a reminder, though it is not told to end, once there is no more to wait for
            step = deletion.history[-1] if deletion.history else None
            reason = str(deletion.state) if step is None else f"{step.state}: {printable(step.reason, limit=_LONGEST)}"
            yield Ending(alert.fingerprint, reason)
