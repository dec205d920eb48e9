"""The commands `alerts` and `silence`: what holds now, and what of it is not told."""

from __future__ import annotations

from typing import Annotated

import typer

from fluence_costwatch.cli.arguments import parse_span
from fluence_costwatch.cli.columns import column
from fluence_costwatch.cli.output import Output
from fluence_costwatch.cli.program import Program, SilencesView, Subject
from fluence_costwatch.cli.reading import AsJson
from fluence_costwatch.cli.tables import Column
from fluence_costwatch.cli.texts import counted, full_moment, moment
from fluence_costwatch.core.alerts.alert import AlertState, Silence
from fluence_costwatch.core.alerts.alert_views import AlertsView, AlertView
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.core.views import shapes, told_shapes


def add_to(app: typer.Typer, program: Program) -> None:
    """Add the commands."""

    @app.command()
    def alerts(
        ctx: typer.Context,
        everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """List what is found and not over: the gravest first."""
        output = Output()
        view = program.alerts(ctx.obj, everything=everything)
        if as_json:
            output.json(shapes.alerts(view))
        else:
            show_alerts(view, output)
        output.warn_if_stale(view)

    @app.command()
    def silence(
        ctx: typer.Context,
        id: Annotated[str | None, typer.Argument(metavar="ID", help="An alert's id, as alerts shows it.")] = None,
        length: Annotated[str | None, typer.Option("--for", metavar="SPAN", help="For how long (8h, 7d).")] = None,
        resource: Annotated[
            str | None, typer.Option(metavar="VM", help="Instead of an alert: all about this resource.")
        ] = None,
        rule: Annotated[str | None, typer.Option(metavar="NAME", help="All of this rule or budget.")] = None,
        account: Annotated[str | None, typer.Option(metavar="NAME", help="All about this account.")] = None,
        reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who wonder.")] = "",
        listing: Annotated[bool, typer.Option("--list", help="List the silences that go on.")] = False,
        end: Annotated[str | None, typer.Option(metavar="SILENCE", help="End this silence now.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Tell nothing of an alert, resource, rule or account for a while. Alerts are kept as ever.

        What is silenced is not deleted meanwhile.
        """
        output = Output()
        subject = Subject(id, resource, rule, account)
        given = [word for word in (id, resource, rule, account) if word is not None]
        if len(given) + (end is not None) + listing != 1:
            raise typer.BadParameter("name one thing: an alert's ID, --resource, --rule, --account, --end or --list")
        if as_json and not listing:
            raise typer.BadParameter("goes with --list alone", param_hint="'--json'")
        if given and length is None:
            raise typer.BadParameter("say for how long, as in --for 8h", param_hint="'--for'")
        if not given and (length is not None or reason):
            raise typer.BadParameter("go with what is to be silenced", param_hint="'--for', '--reason'")
        if listing:
            view = program.silences(ctx.obj)
            if as_json:
                output.json(told_shapes.silences(view.silences))
            else:
                show_silences(view, output)
        elif end is not None:
            output.say(program.end_silence(ctx.obj, id=end))
        else:
            span = parse_span(length or "", option="--for")
            output.say(program.silence(ctx.obj, subject=subject, length=span, reason=reason))


def show_alerts(view: AlertsView, output: Output) -> None:
    """One line for each alert, with its fact at the end; then what is not judged yet."""
    zone, now = view.zone, view.as_of
    if view.alerts:
        output.say(f"As of {full_moment(now, zone=zone)}")
        output.table(
            [
                column("id", [each.alert.id for each in view.alerts]),
                column("severity", [each.alert.severity.value for each in view.alerts]),
                column("kind", [each.alert.kind for each in view.alerts], rank=2),
                column("state", [_state(each) for each in view.alerts]),
                column("since", [moment(each.alert.since, zone=zone, today=now) for each in view.alerts], rank=3),
                *_endings(view),
                column("what", [printable(each.alert.summary, limit=300) for each in view.alerts], least=24),
            ]
        )
        firing = [each for each in view.alerts if each.alert.state is AlertState.FIRING]
        worst = sum(each.alert.severity is Severity.CRITICAL for each in firing)
        output.say(f"{counted(len(firing), 'alert')} firing, {worst} critical")
    else:
        output.note("There are no alerts.")
    for account, at in view.learning:
        until = "nothing was seen there yet" if at is None else f"from {full_moment(at, zone=zone)} on"
        output.note(f"{account}: its history is too short to say what is unusual; {until}")


def show_silences(view: SilencesView, output: Output) -> None:
    """One line for each silence."""
    zone, now, found = view.zone, view.as_of, view.silences
    if not found:
        output.note("Nothing is silenced.")
        return
    output.table(
        [
            column("silence", [one.id for one in found]),
            column("of", [_about(one) for one in found], least=20),
            column("until", [moment(one.until, zone=zone, today=now) for one in found]),
            column("by", [printable(one.author) for one in found], rank=1),
            column("reason", [printable(one.reason) or "-" for one in found], rank=2, least=10),
        ]
    )


def _state(view: AlertView) -> str:
    going_on = view.alert.state is not AlertState.RESOLVED
    return "silenced" if going_on and view.silence is not None else view.alert.state.value


def _endings(view: AlertsView) -> list[Column]:
    """Until when alerts are silenced, or when they ended; a column only where any is or did."""
    ends = [each.alert.resolved_at or (None if each.silence is None else each.silence.until) for each in view.alerts]
    cells = [moment(end, zone=view.zone, today=view.as_of) for end in ends]
    return [column("until", cells, rank=4)] if any(ends) else []


def _about(silence: Silence) -> str:
    if silence.alert is not None:
        return f"alert {printable(silence.alert)}"
    if silence.resource_id is not None:
        return f"resource {printable(silence.account or '')}/{printable(silence.resource_id)}"
    return (
        f"rule {printable(silence.rule)}" if silence.rule is not None else f"account {printable(silence.account or '')}"
    )
