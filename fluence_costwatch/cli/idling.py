"""The commands `idle` and `explain`, and `heartbeat`, `keep` and `lease`, which say what a machine is still wanted for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated

import typer

from fluence_costwatch.cli.arguments import parse_until
from fluence_costwatch.cli.columns import column, several
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program
from fluence_costwatch.cli.reading import AsJson
from fluence_costwatch.cli.texts import NOTHING, counted, full_moment, label, long_span, moment, money
from fluence_costwatch.core.idle.idle_views import ExplainView, IdleView, RuleVerdict
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.idle.rules import Action
from fluence_costwatch.core.money import ZERO, total
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views import shapes

Vm = Annotated[str, typer.Argument(metavar="VM", help="Its id, ACCOUNT/ID, or a name that no other has.")]


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the commands."""

    @app.command()
    def idle(ctx: typer.Context, as_json: AsJson = False) -> None:
        """Show what each rule says of each machine, and what its idleness has cost."""
        output = Output()
        view = program.idle(ctx.obj)
        if as_json:
            output.json(shapes.idle(view))
        else:
            show_idle(view, output)
        output.warn_if_stale(view)

    @app.command()
    def explain(ctx: typer.Context, vm: Vm, as_json: AsJson = False) -> None:
        """Show why a machine is called idle, active or unknown, and what keeps it from being deleted."""
        output = Output()
        view = program.explain(ctx.obj, vm=vm)
        if as_json:
            output.json(shapes.explain(view))
        else:
            show_explain(view, output)
        output.warn_if_stale(view)

    @app.command()
    def heartbeat(ctx: typer.Context, vm: Vm) -> None:
        """Print the command by which this machine, or a job on it, says that it is in use."""
        output = Output()
        beat = program.heartbeat(ctx.obj, vm=vm)
        output.say(beat.line)
        output.note(beat.meaning)
        if beat.caution:
            output.warn(beat.caution)

    @app.command()
    def keep(
        ctx: typer.Context,
        vm: Vm,
        off: Annotated[bool, typer.Option("--off", help="Keep it no longer.")] = False,
        reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who wonder.")] = "",
    ) -> None:
        """Never delete this resource, until --off."""
        if off and reason:
            raise typer.BadParameter("goes without --off", param_hint="'--reason'")
        output = Output()
        output.say(program.release(ctx.obj, vm=vm) if off else program.keep(ctx.obj, vm=vm, reason=reason))

    @app.command()
    def lease(
        ctx: typer.Context,
        vm: Vm,
        until: Annotated[
            str | None,
            typer.Argument(metavar="D", help="For how long (3d), through which day, or until which instant."),
        ] = None,
        off: Annotated[bool, typer.Option("--off", help="End the lease.")] = False,
    ) -> None:
        """Do not delete this resource before then. Afterwards a rule with the signal "lease" holds for it."""
        if off == (until is not None):
            raise typer.BadParameter(
                'give one of them, as in "lease web-1 3d" or "lease web-1 --off"', param_hint="'D', '--off'"
            )
        output = Output()
        if until is None:
            output.say(program.end_lease(ctx.obj, vm=vm))
        else:
            at = parse_until(until, option="D", now=program.now())
            output.say(program.lease(ctx.obj, vm=vm, until=at))


def show_idle(view: IdleView, output: Output) -> None:
    """One line for each verdict, and what the idle ones have cost."""
    zone, now, found = view.zone, view.as_of, view.verdicts
    if not found:
        output.note("No rule judges anything; [[rules]] in the configuration says what is idle.")
        return
    output.say(f"As of {full_moment(now, zone=zone)}")
    output.table(
        [
            *several("account", [each.account for each in found], rank=3),
            column("name", [label(each.name, otherwise=each.resource_id) for each in found], least=14),
            column("rule", [each.rule for each in found], rank=1),
            column("verdict", [each.verdict.value for each in found]),
            column("since", [moment(each.since, zone=zone, today=now) for each in found]),
            column("known", [_percent(each.coverage) for each in found], right=True, rank=2),
            column("wasted", [_wasted(each) for each in found], right=True),
            column(
                "why",
                ["; ".join(printable(said, limit=120) for said in each.evidence) for each in found],
                rank=4,
                least=16,
            ),
        ]
    )
    # Of several rules the one by which it has been idle longest says what that has cost.
    by_cost = sorted(found, key=lambda each: (each.wasted or ZERO).micros)
    idle = {(each.account, each.resource_id): each for each in by_cost if each.verdict is IdleVerdict.IDLE}
    unpriced = any(each.wasted is None for each in idle.values())
    wasted = total(each.wasted or ZERO for each in idle.values())
    output.say(f"{counted(len(idle), 'machine')} idle, {money(wasted, at_least=unpriced)} wasted so far")


def show_explain(view: ExplainView, output: Output) -> None:
    """The resource, each rule with its conditions and evidence, and what keeps it."""
    for line in explain_lines(view):
        output.say(line)


def explain_lines(view: ExplainView) -> Iterator[str]:
    """The story of one resource."""
    zone, now, resource = view.zone, view.as_of, view.resource
    verdict = "no rule is about it" if view.verdict is None else view.verdict.value
    name = label(resource.name, otherwise=resource.id)
    yield f"{name} ({printable(resource.id)}) of {resource.account}: {verdict}"
    per_day = money(resource.burn_per_day)
    due = "" if resource.paid_until is None else f", next charge {moment(resource.paid_until, zone=zone, today=now)}"
    yield f"  {resource.kind}, {printable(resource.status, limit=40)}, {resource.presence}; {per_day} a day{due}"
    for rule in view.rules:
        yield from _rule_lines(rule, zone=zone, now=now)
    if view.other_rules:
        yield f"Not about it: {', '.join(view.other_rules)}"
    if view.lease is not None:
        until = (
            "until when cannot be said"
            if view.lease.until is None
            else f"until {full_moment(view.lease.until, zone=zone)}"
        )
        yield f"Lease: {until}, {printable(view.lease.source)}"
    if view.last_heartbeat is not None:
        yield f"Last heartbeat: {full_moment(view.last_heartbeat, zone=zone)}"
    for reason in view.protection:
        yield f"Protected: {printable(reason)}"
    for standing in view.standing:
        yield f"Stands: {printable(standing)}"


def _rule_lines(rule: RuleVerdict, *, zone: tzinfo, now: datetime) -> Iterator[str]:
    action = "may have it deleted" if rule.action is Action.DELETE else "only tells"
    yield (
        f"Rule {rule.rule} ({action}): {rule.verdict}. Idle after {long_span(rule.held_for)} of "
        f"{' and '.join(printable(condition, limit=160) for condition in rule.conditions)}, from an age of "
        f"{long_span(rule.min_age)} on"
    )
    for said in rule.evidence:
        yield f"  {printable(said, limit=200)}"
    if rule.judged_at is not None:
        yield f"  last judged {moment(rule.judged_at, zone=zone, today=now)}, {_percent(rule.coverage)} of the time known"
    if rule.since is not None:
        cost = "?" if rule.wasted is None else money(rule.wasted)
        yield f"  holds since {moment(rule.since, zone=zone, today=now)} ({long_span(now - rule.since)}), {cost} spent since"
    elif rule.busy_at is not None:
        yield f"  last known busy {moment(rule.busy_at, zone=zone, today=now)}"


def _wasted(verdict: RuleVerdict) -> str:
    return NOTHING if verdict.verdict is not IdleVerdict.IDLE else money(verdict.wasted)


def _percent(ratio: Decimal) -> str:
    return f"{int((ratio * 100).to_integral_value(ROUND_FLOOR))}%"
