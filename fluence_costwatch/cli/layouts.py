"""How each view is laid out for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from fluence_costwatch.cli.columns import column, several
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.tables import Column
from fluence_costwatch.cli.texts import (
    LONGEST_NAME,
    NOTHING,
    UNKNOWN,
    counted,
    full_moment,
    label,
    long_span,
    moment,
    money,
    span,
    uncertain,
)
from fluence_costwatch.core.alerts.waste import Ground, Waste
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.outlook import Outlook
from fluence_costwatch.core.budgets.runway import Runway
from fluence_costwatch.core.money import total
from fluence_costwatch.core.resources import Kind, Per
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views.fleet import AccountStatus, StatusView, VmsView, VmView
from fluence_costwatch.core.views.spending import By, CalendarView, SpendView

_MOST_CHARGES: Final = 50
_MOST_WASTE: Final = 10
_SECONDS_COUNT_BELOW: Final = timedelta(hours=1)
_KINDS: Final = {Kind.STORAGE: "disk", Kind.PUBLIC_IP: "address"}
_PER: Final = {Per.EPOCH: "epoch", Per.HOUR: "h"}
_NAME: Final = 14
_ID: Final = 11


def show_status(view: StatusView, output: Output) -> None:
    """One line for each account, then its troubles, how long its balance lasts and what it wastes."""
    zone, now, accounts = view.zone, view.as_of, view.accounts
    output.say(f"As of {full_moment(now, zone=zone)}")
    output.table(
        [
            column("account", [each.account for each in accounts], least=_NAME),
            column("state", [_state(each) for each in accounts]),
            column(
                "last success",
                [
                    "never"
                    if each.last_success is None
                    else f"{moment(each.last_success, zone=zone, today=now)} ({span(now - each.last_success)} ago)"
                    for each in accounts
                ],
                rank=1,
            ),
            column("billed", [str(each.billed) for each in accounts], right=True),
            column("a day", [money(each.burn_per_day, at_least=each.at_least) for each in accounts], right=True),
            column("spent", [money(each.spent, at_least=each.at_least) for each in accounts], right=True),
            *_outlook_columns(accounts, now=now),
            *_uncertain_column([each.uncertain.dollars for each in accounts], rank=2),
            column("generations", [", ".join(each.generations) for each in accounts], rank=3),
        ]
    )
    for account in accounts:
        for trouble in account.trouble:
            output.say(f"{account.account}: {printable(trouble)}")
    for account in accounts:
        if account.outlook is not None:
            for line in outlook_lines(account.outlook, zone=zone, now=now):
                output.say(f"{account.account}: {line}")
        if account.topped_up is not None:
            when = full_moment(account.topped_up.at, zone=zone)
            output.say(f"{account.account}: last topped up with {money(account.topped_up.amount)} at {when}")
    _show_waste([one for account in accounts for one in account.waste], output)
    at_least = any(account.at_least for account in accounts)
    burn = money(sum((account.burn_per_day for account in accounts), Decimal(0)), at_least=at_least)
    spent = money(total(account.spent for account in accounts), at_least=at_least)
    output.say(f"{burn} a day, {spent} spent{uncertain(total(account.uncertain for account in accounts))}")
    output.warn_if_at_least(at_least)


def _outlook_columns(accounts: Sequence[AccountStatus], *, now: datetime) -> list[Column]:
    """What is left and for how long, where a balance is known at all."""
    outlooks = [each.outlook for each in accounts]
    if not any(outlooks):
        return []
    balances = [NOTHING if each is None else money(each.balance) for each in outlooks]
    lasting = [NOTHING if each is None else _lasting(each, now=now) for each in outlooks]
    return [column("balance", balances, right=True), column("runway", lasting)]


def _lasting(outlook: Outlook, *, now: datetime) -> str:
    end = outlook.runway.ends_at
    if end is None:
        return UNKNOWN if outlook.is_latest else "> 10 years"
    return "over" if end <= now else f"{'≤ ' if outlook.is_latest else ''}{long_span(end - now)}"


def outlook_lines(outlook: Outlook, *, zone: tzinfo, now: datetime) -> Iterator[str]:
    """Until when the balance lasts, what is removed at the worst afterwards, and what the balance consists of."""
    end = outlook.runway.ends_at
    left = f"{money(outlook.balance)} at {moment(outlook.as_of, zone=zone, today=now)}"
    if end is None:
        yield f"{left} lasts for more than ten years if nothing changes"
    elif outlook.balance < 0:
        yield f"{left} is debt"
    elif end <= now:
        yield f"{left} was used up at {full_moment(end, zone=zone)} if nothing changed since"
    else:
        until = f"{long_span(end - now)}, {full_moment(_to_the_minute(end, now=now), zone=zone)}"
        yield f"{left} lasts {until}, if nothing changes"
    if outlook.is_latest:
        yield "not all prices are known, so the balance may end earlier"
    yield from _removals(outlook.runway, zone=zone, now=now)
    if len(outlook.features) > 1:
        parts = ", ".join(f"{printable(name, limit=LONGEST_NAME)} {money(left)}" for name, left in outlook.features)
        yield f"the balance is the sum of {len(outlook.features)} entries: {parts}"


def _removals(runway: Runway, *, zone: tzinfo, now: datetime) -> Iterator[str]:
    if runway.machines_removed_at is None:
        return
    machines = full_moment(_to_the_minute(runway.machines_removed_at, now=now), zone=zone)
    text = f"at the worst machines and addresses may be removed from {machines} on"
    if runway.disks_removed_at is None:
        yield text
    else:
        disks = full_moment(_to_the_minute(runway.disks_removed_at, now=now), zone=zone)
        yield f"{text}, disks with all data from {disks} on"


def _to_the_minute(instant: datetime, *, now: datetime) -> datetime:
    """`instant` without its seconds where nobody counts them yet; earlier rather than later."""
    return instant.replace(second=0, microsecond=0) if instant - now >= _SECONDS_COUNT_BELOW else instant


def _show_waste(found: Sequence[Waste], output: Output) -> None:
    """The dearest waste, one line each, and its sums."""
    for one in found[:_MOST_WASTE]:
        kind = _KINDS.get(one.resource.kind, "machine")
        name = label(one.resource.name, otherwise=printable(one.resource.id))
        status = printable(one.resource.status, limit=20)
        what = {
            Ground.ORPHAN: f"serves no machine, costs {money(one.per_day)} a day",
            Ground.NOT_RUNNING: f"is {status} but costs {money(one.per_day)} a day",
            Ground.RESERVED: f"has ended, its record holds {money(one.held)}; deleting it frees that",
        }
        output.say(f"{one.resource.account}: {kind} {name} {what[one.ground]}")
    if len(found) > _MOST_WASTE:
        output.say(f"and {len(found) - _MOST_WASTE} more like these")
    costing = [one for one in found if one.ground is not Ground.RESERVED]
    if costing:
        wasted = sum((one.per_day or Decimal(0) for one in costing), Decimal(0))
        unpriced = any(one.per_day is None for one in costing)
        output.say(f"wasted: {money(wasted, at_least=unpriced)} a day by {counted(len(costing), 'resource')}")
    held = total(one.held for one in found)
    if held:
        output.say(f"reclaimable: {money(held)}")


def show_vms(view: VmsView, output: Output) -> None:
    """One line for each resource, and their sums."""
    zone, now, resources = view.zone, view.as_of, view.resources
    if not resources:
        output.note("There are no resources.")
        return
    output.say(f"As of {full_moment(now, zone=zone)}")
    output.table(
        [
            column("name", [label(each.name, otherwise=each.id) for each in resources], least=_NAME),
            column("status", [_status(each) for each in resources]),
            *_kind_column([each.kind for each in resources]),
            column("price", [f"{money(each.price)}/{_PER[each.price_per]}" for each in resources], rank=3, right=True),
            column("a day", [money(each.burn_per_day) for each in resources], right=True),
            column("paid until", [moment(each.paid_until, zone=zone, today=now) for each in resources]),
            column("spent", [money(each.spent, at_least=each.at_least) for each in resources], right=True),
            *_uncertain_column([each.uncertain.dollars for each in resources]),
            column("id", [printable(each.id) for each in resources], rank=2, least=_ID, middle=True),
            *_verdict_column(resources),
            *several("account", [each.account for each in resources], rank=1),
            *several("generation", [each.generation.value for each in resources], rank=6),
            column("last seen", [moment(each.last_seen, zone=zone, today=now) for each in resources], rank=4),
            column("created", [moment(each.created_at, zone=zone, today=now) for each in resources], rank=7),
        ]
    )
    billed = [each for each in resources if each.billed]
    burn = sum((each.burn_per_day or Decimal(0) for each in billed), Decimal(0))
    spent = money(total(each.spent for each in resources), at_least=any(each.at_least for each in resources))
    output.say(
        f"{counted(len(resources), 'resource')}, {len(billed)} billed: {money(burn)} a day, "
        f"{spent} spent{uncertain(total(each.uncertain for each in resources))}"
    )


def show_spend(view: SpendView, output: Output) -> None:
    """The sums, dearest or oldest first, and the total."""
    zone, rows = view.zone, view.rows
    output.say(f"From {full_moment(view.since, zone=zone)} to {full_moment(view.until, zone=zone)}")
    if view.by is By.RESOURCE:
        keys = [
            column("name", [label(row.name, otherwise=row.key) for row in rows], least=_NAME),
            column("id", [printable(row.key) for row in rows], rank=1, least=_ID, middle=True),
        ]
    elif view.by is By.EPOCH:
        starts = [row.key if row.starts is None else full_moment(row.starts, zone=zone) for row in rows]
        keys = [column("epoch from", starts)]
    else:
        keys = [column(view.by.value, [printable(row.key) for row in rows], least=_NAME)]
    if rows:
        output.table([*keys, column("spent", [money(row.amount) for row in rows], right=True)])
    output.say(f"Total {money(view.total, at_least=view.at_least)}{uncertain(view.uncertain)}")


def show_calendar(view: CalendarView, output: Output) -> None:
    """The next charges in order, and the sum of all."""
    zone, now = view.zone, view.as_of
    output.say(f"From {full_moment(now, zone=zone)} to {full_moment(view.until, zone=zone)}")
    first, rest = view.charges[:_MOST_CHARGES], view.charges[_MOST_CHARGES:]
    if first:
        output.table(
            [
                column("due", [moment(each.at, zone=zone, today=now) for each in first]),
                column("name", [label(each.name, otherwise=each.resource_id) for each in first], least=_NAME),
                column("amount", [money(each.amount) for each in first], right=True),
                column("id", [printable(each.resource_id) for each in first], rank=2, least=_ID, middle=True),
                *several("account", [each.account for each in first], rank=1),
            ]
        )
    if rest:
        output.say(f"and {len(rest)} more, {money(total(each.amount for each in rest))}; --json lists them all")
    output.say(f"{counted(len(view.charges), 'charge')}, {money(total(each.amount for each in view.charges))}")


def _kind_column(kinds: Sequence[Kind]) -> list[Column]:
    """A column only where there is more than VMs."""
    return [column("kind", [kind.value for kind in kinds], rank=1)] if set(kinds) - {Kind.VM} else []


def _verdict_column(resources: Sequence[VmView]) -> list[Column]:
    """A column only where a rule judges anything."""
    cells = [NOTHING if each.verdict is None else each.verdict.value for each in resources]
    return [column("verdict", cells, rank=1)] if any(each.verdict for each in resources) else []


def _uncertain_column(amounts: Sequence[Decimal], *, rank: int = 1) -> list[Column]:
    """A column only where there is any doubt."""
    cells = [f"+ {money(amount)}" if amount else NOTHING for amount in amounts]
    return [column("uncertain", cells, rank=rank, right=True)] if any(amounts) else []


def _state(account: AccountStatus) -> str:
    if account.last_success is None:
        return "no data yet" if not account.trouble else "failing"
    if account.stale:
        return "stale"
    return "failing" if not account.answering else "doubtful" if account.trouble else "ok"


def _status(view: VmView) -> str:
    status = printable(view.status, limit=20) or UNKNOWN
    return status if view.presence is Presence.PRESENT else f"{status}, {view.presence}"
