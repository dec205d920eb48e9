"""Money that buys nothing, told with what it costs to do nothing about it (`waste.py` says what it is)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling
from fluence_costwatch.core.alerts.resource_findings import ended_with
from fluence_costwatch.core.alerts.subjects import COMMAND, open_of, subject_of
from fluence_costwatch.core.alerts.waste import Ground, Waste, waste_in
from fluence_costwatch.core.billing.ledger import is_charged_on
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import money
from fluence_costwatch.core.resources import Identity, Kind
from fluence_costwatch.core.untrusted import printable

KIND: Final = "waste"
GROUP: Final = "waste"
# What is taken off one machine to be put to another is no waste meanwhile.
PATIENCE: Final = timedelta(hours=1)
_LONGEST_STATUS: Final = 40


def judge_waste(
    records: Mapping[Identity, KnownResource], *, alerts: Iterable[Alert], patience: timedelta = PATIENCE
) -> Judged:
    """A finding for each resource that is wasted, and the end of each that is no more. One whose list does not say what it
    serves stays as it was."""
    wasted = {waste.resource.identity: waste for waste in waste_in(records.values())}
    return Judged(
        findings=tuple(_finding(records[identity], waste, patience) for identity, waste in wasted.items()),
        endings=tuple(_ended(records, wasted, alerts)),
    )


def _finding(record: KnownResource, waste: Waste, patience: timedelta) -> Finding:
    subject, costs = subject_of(record), _costs(waste)
    status = printable(record.state.status, limit=_LONGEST_STATUS)
    if waste.ground is Ground.ORPHAN:
        summary = f"{subject} serves no machine and {costs}"
        means = "Disks and addresses go on billing when their machine has ended."
        advice = "Remove it on the marketplace's page if nothing on it is needed, or attach it to a machine."
    elif waste.ground is Ground.NOT_RUNNING:
        summary = f"{subject} is {status} and {costs}"
        means = "It is billed without doing its work."
        advice = "End it if it is not needed, or see on the marketplace's page why it does not run."
    else:
        summary = f"The record of {status} {subject[0].lower()}{subject[1:]} still holds {money(waste.held)}"
        means = "The provider keeps what was reserved until the record is deleted; deleting it destroys nothing."
        advice = f"Delete the record on the marketplace's page; `{COMMAND} vms --all` shows it."
    identity = record.state.identity
    return Finding(
        kind=KIND,
        severity=Severity.WARNING,
        account=identity.account,
        resource_id=identity.id,
        rule=waste.ground.value,
        name=record.resource.name,
        summary=summary,
        means=means,
        advice=advice,
        telling=Telling.STATE,
        group=GROUP,
        patience=patience,
        cost_per_day=waste.per_day,
        facts=(("held", str(waste.held)),) if waste.held else (),
    )


def _costs(waste: Waste) -> str:
    per_day = waste.per_day
    return "is billed at a price that is not known" if per_day is None else f"costs {money(per_day)} a day"


def _ended(
    records: Mapping[Identity, KnownResource], wasted: Mapping[Identity, Waste], alerts: Iterable[Alert]
) -> Iterator[Ending]:
    for alert in open_of(alerts, KIND):
        record = None if alert.resource_id is None else records.get(Identity(alert.account, alert.resource_id))
        if record is None:
            continue
        waste = wasted.get(record.state.identity)
        if waste is not None and waste.ground.value == alert.rule:
            continue
        reason = ended_with(record) or _saved(alert, record)
        if reason is not None:
            yield Ending(alert.fingerprint, reason)


def _saved(alert: Alert, record: KnownResource) -> str | None:
    if alert.rule == Ground.RESERVED:
        return "nothing is held back any more"
    if not is_charged_on(record.state):
        return "it is not billed any more"
    if alert.rule == Ground.ORPHAN:
        unsaid = record.resource.attached_to is None and record.resource.kind in (Kind.STORAGE, Kind.PUBLIC_IP)
        return None if unsaid else "it serves a machine again"
    return f"it is {printable(record.state.status, limit=_LONGEST_STATUS)} now"
