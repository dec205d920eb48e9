"""The notice of a deletion: what goes, when, why, what keeping it costs, and how to stop it (`design.md` section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.deletion.deletions import Deletion, Ground, Mode
from fluence_costwatch.core.deletion.vetoes import token_of
from fluence_costwatch.core.messages.context import Context, only
from fluence_costwatch.core.messages.message import Message, Section
from fluence_costwatch.core.messages.outbox import Draft, QuietHours, Route
from fluence_costwatch.core.messages.routing import earliest as earliest_sending
from fluence_costwatch.core.messages.routing import takes
from fluence_costwatch.core.messages.sections import described, tag_of
from fluence_costwatch.core.messages.wording import instant, label, money, sentence, span
from fluence_costwatch.core.untrusted import printable

KIND: Final = "deletion"
SEVERITY: Final = Severity.WARNING

_LONGEST_TEXT: Final = 200
_EVIDENCE: Final = 10
_GROUNDS: Final = (
    (Ground.IDLE, "idle rule"),
    (Ground.LEASE, "lease"),
    (Ground.BUDGET, "budget"),
    (Ground.RECLAIM, "reclaim of reserved funds"),
    (Ground.RELEASE, "release of unused addresses"),
)


def veto_link(deletion_id: str, *, secret: bytes, public_url: str | None) -> str:
    """The signed link to the page where a deletion can be vetoed; "" where nobody said under which address it is reached."""
    if public_url is None:
        return ""
    return f"{public_url}/deletions/{deletion_id}?token={token_of(deletion_id, secret=secret)}"


def notices(
    deletion: Deletion,
    *,
    routes: Sequence[Route],
    quiet: QuietHours | None,
    context: Context,
    veto_link: str = "",
    earliest: datetime | None = None,
    now: datetime,
) -> tuple[Draft, ...]:
    """The notice of one deletion for every target that takes warnings about deletions of its account, on its own.

    Nothing where no target does; then nobody is told, and so it is never carried out.
    """
    account = deletion.identity.account
    return tuple(
        Draft(
            key=f"notice-{deletion.id}",
            target=route.target,
            message=notice_of(
                deletion,
                context=only(context, route.accounts),
                route=route,
                veto_link=veto_link,
                earliest=earliest,
                now=now,
            ),
            not_before=earliest_sending(quiet, urgent=False, now=now),
            deletion=deletion.id,
        )
        for route in routes
        if takes(route, kind=KIND, severity=SEVERITY, account=account)
    )


def notice_of(
    deletion: Deletion,
    *,
    context: Context,
    route: Route | None = None,
    veto_link: str = "",
    earliest: datetime | None = None,
    now: datetime,
) -> Message:
    """The notice. `earliest` is when it may be carried out if the notice is accepted now, for while that is not fixed."""
    name = label(deletion.name, id=deletion.identity.id)
    when = _when(deletion, earliest=earliest, context=context)
    veto = f"{context.command} deletions veto {deletion.id} --reason 'still needed'"
    approve = f"{context.command} deletions approve {deletion.id}"
    proposed = deletion.mode is Mode.PROPOSE
    return Message(
        severity=SEVERITY,
        subject=f"{tag_of(SEVERITY)} {_fact(deletion, name=name, when=when)}",
        thread=f"deletion-{deletion.id}",
        sections=(
            Section("What goes", tuple(_what(deletion, name=name))),
            Section("When", tuple(_moment(deletion, when=when, approve=approve, context=context, now=now))),
            Section("Why", tuple(_why(deletion))),
            Section("What keeping it costs", (_cost(deletion, context=context, now=now),)),
            Section("How to stop it", tuple(_stop(veto_link, veto=veto))),
        ),
        action=approve if proposed else veto,
        link=veto_link,
        why="" if route is None else f"You get this because target {route.target} takes {described(route)}.",
    )


def _when(deletion: Deletion, *, earliest: datetime | None, context: Context) -> str:
    if deletion.execute_at is not None:
        return f"on {instant(deletion.execute_at, zone=context.zone)}"
    return (
        "at a time not known yet" if earliest is None else f"at the earliest on {instant(earliest, zone=context.zone)}"
    )


def _fact(deletion: Deletion, *, name: str, when: str) -> str:
    subject = f"{deletion.kind} {name} of {deletion.identity.account}"
    if deletion.mode is Mode.OBSERVE:
        return f"{subject} would be deleted (mode observe)"
    if deletion.mode is Mode.PROPOSE:
        return f"{subject} is proposed for deletion, {when}"
    return f"{subject} will be deleted {when}"


def _what(deletion: Deletion, *, name: str) -> Iterator[str]:
    yield f"{deletion.kind} {name} of account {deletion.identity.account}, id {printable(deletion.target_id, limit=80)}."
    yield "All data on it go with it." if deletion.ground is not Ground.RECLAIM else "Its machine has ended already."


def _moment(deletion: Deletion, *, when: str, approve: str, context: Context, now: datetime) -> Iterator[str]:
    if deletion.mode is Mode.OBSERVE:
        yield "Not at all: the mode is observe, which only says what would be deleted."
        return
    if deletion.mode is Mode.PROPOSE:
        yield f"Only once a person has approved it, then {when}. To approve: {approve}"
    else:
        yield sentence(f"It is deleted {when}, unless somebody stops it")
    if deletion.execute_at is not None and deletion.execute_at > now:
        yield f"That is in {span(deletion.execute_at - now)}."
    elif deletion.execute_at is None:
        yield "The time is fixed when a target has taken this notice; `deletions show` tells it."


def _why(deletion: Deletion) -> Iterator[str]:
    yield sentence(printable(deletion.reason, limit=_LONGEST_TEXT))
    for evidence in deletion.evidence[:_EVIDENCE]:
        yield sentence(printable(evidence, limit=_LONGEST_TEXT))
    decided = dict(_GROUNDS)[deletion.ground]
    rule = f" {printable(deletion.rule, limit=80)}" if deletion.rule else ""
    yield f"Decided by: {decided}{rule}."


def _cost(deletion: Deletion, *, context: Context, now: datetime) -> str:
    at, amount = deletion.next_charge_at, deletion.next_charge
    if at is None or amount is None:
        own = [
            charge
            for charge in context.charges
            if (charge.account, charge.resource_id) == (deletion.identity.account, deletion.identity.id)
            and charge.at > now
        ]
        at, amount = (own[0].at, own[0].amount.dollars) if own else (None, None)
    daily = f"{money(deletion.burn_per_day)} a day" if deletion.burn_per_day is not None else ""
    if at is not None and amount is not None:
        after = f", and {daily} from then on" if daily else ""
        return f"{money(amount)} with its next charge on {instant(at, zone=context.zone)}{after}."
    return f"{daily}." if daily else "Its price is not known."


def _stop(veto_link: str, *, veto: str) -> Iterator[str]:
    if veto_link:
        yield "Open the link of this message and confirm there; opening it alone changes nothing."
    yield f"Or run: {veto}" if veto_link else f"Run: {veto}"
