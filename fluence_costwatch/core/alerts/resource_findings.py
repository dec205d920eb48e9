"""What the newest list says of single resources and an operator should hear of: statuses and values that are not known,
prices that cannot be read, machines whose money is nearly spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.alerts.subjects import COMMAND, in_sentence, open_of, subject_of
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.resources import Generation, Identity, is_recognised
from fluence_costwatch.core.untrusted import printable

STATUS: Final = ""
VALUES: Final = "values"
PRICE: Final = ""
SMALL_BALANCE: Final = "small_balance"
"""The rules that tell findings about one resource apart."""

_SMALL: Final = "smallbalance"
_HAS_BALANCE: Final = (Generation.VMS_V2, Generation.VMS_V3)
_LONGEST_STATUS: Final = 40
_LONGEST_PROBLEM: Final = 160


def judge_resources(records: Mapping[Identity, KnownResource], *, alerts: Iterable[Alert]) -> Judged:
    """What holds of each of `records`, and for which of the open `alerts` it holds no more.

    One that is missing from the last list stays as it was until it is seen again or gone.
    """
    listed = [record for record in records.values() if _is_listed(record)]
    return Judged(
        findings=tuple(finding for record in listed for finding in _found(record)),
        endings=tuple(_ended(records, alerts)),
    )


def ended_with(record: KnownResource) -> str | None:
    """Why nothing that is said of a resource holds any more: it is gone, or no longer watched."""
    if record.state.retired:
        return "its generation is no longer watched"
    return "it is gone" if record.state.presence is Presence.GONE else None


def _is_listed(record: KnownResource) -> bool:
    return record.state.presence is Presence.PRESENT and not record.state.retired


def _found(record: KnownResource) -> Iterator[Finding]:
    if _has_unknown_status(record):
        yield _finding(
            record,
            "status",
            STATUS,
            f"{subject_of(record)} has the unknown status '{printable(record.state.status, limit=_LONGEST_STATUS)}'",
            means="It is charged as if it ran, and never deleted.",
            advice="See on the marketplace's page what it means, and whether there is a newer version of CostWatch.",
        )
    unreadable = _unreadable(record)
    if unreadable:
        yield _finding(
            record,
            "status",
            VALUES,
            f"What the list says of {in_sentence(record)} cannot be read: {unreadable}",
            means="That value counts as unknown, not as zero, and the resource is never deleted.",
            advice="See whether there is a newer version of CostWatch.",
        )
    if _lacks_price(record):
        problem = next(iter(_price_problems(record)), "the list does not say what it costs")
        known = record.state.price is not None
        yield _finding(
            record,
            "price",
            PRICE,
            f"The price of {in_sentence(record)} is not known: {printable(problem, limit=_LONGEST_PROBLEM)}",
            means="Its last known price is charged meanwhile."
            if known
            else 'Totals are "at least" until it is known, and budgets lack it; it is never deleted.',
            advice=f"Look its price up on the marketplace's page; `{COMMAND} vms` shows what is known of it.",
        )
    if _is_nearly_spent(record):
        yield _finding(
            record,
            "runway",
            SMALL_BALANCE,
            f"{subject_of(record)} has nearly used up its money",
            means="When it is used up the provider ends the machine, and what is on it is lost.",
            advice="Top up the account, or save what is on the machine.",
            telling=Telling.STATE,
        )


def _finding(
    record: KnownResource,
    kind: str,
    rule: str,
    summary: str,
    *,
    means: str,
    advice: str,
    telling: Telling = Telling.CHANGES,
) -> Finding:
    state = record.state
    return Finding(
        kind=kind,
        severity=Severity.WARNING,
        account=state.identity.account,
        resource_id=state.identity.id,
        rule=rule,
        name=record.resource.name,
        summary=summary,
        means=means,
        advice=advice,
        telling=telling,
    )


def _ended(records: Mapping[Identity, KnownResource], alerts: Iterable[Alert]) -> Iterator[Ending]:
    for alert in open_of(alerts, "status", "price", "runway"):
        record = None if alert.resource_id is None else records.get(Identity(alert.account, alert.resource_id))
        if record is None:
            continue
        reason = ended_with(record)
        if reason is None and _is_listed(record):
            reason = _overcome(alert, record)
        if reason is not None:
            yield Ending(alert.fingerprint, reason)


def _overcome(alert: Alert, record: KnownResource) -> str | None:
    status = printable(record.state.status, limit=_LONGEST_STATUS)
    if alert.kind == "runway":
        over = alert.rule == SMALL_BALANCE and not _is_nearly_spent(record)
        return f"its status is {status} now" if over else None
    if alert.kind == "price":
        if _lacks_price(record):
            return None
        return "its price is known" if is_charged_on(record.state) else "it is not billed any more"
    if alert.rule == STATUS:
        return None if _has_unknown_status(record) else f"its status is {status} now, which is known"
    return "the list can be read again" if alert.rule == VALUES and not _unreadable(record) else None


def _has_unknown_status(record: KnownResource) -> bool:
    return not is_recognised(record.state.status, record.state.generation)


def _lacks_price(record: KnownResource) -> bool:
    billed = is_charged_on(record.state) and record.state.charged_under is None
    return billed and (record.resource.price is None or any(True for _ in _price_problems(record)))


def _price_problems(record: KnownResource) -> Iterator[str]:
    return (problem for problem in record.resource.problems if problem.startswith("price"))


def _unreadable(record: KnownResource) -> str:
    others = [problem for problem in record.resource.problems if not problem.startswith("price")]
    return printable("; ".join(others), limit=_LONGEST_PROBLEM)


def _is_nearly_spent(record: KnownResource) -> bool:
    return record.state.generation in _HAS_BALANCE and record.state.status.casefold() == _SMALL
