"""What `check` and `notify test` find out about the rest of the world: targets, signals, and whether deletions could work."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from typing import Final

from fluence_costwatch.cli.program import CheckLine
from fluence_costwatch.config import Settings
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.deletion.deletions import Mode
from fluence_costwatch.core.idle.conditions import conditions_to_ask
from fluence_costwatch.core.idle.rules import Action, Condition, Rule, Signal
from fluence_costwatch.core.messages.message import Message, Section, Table
from fluence_costwatch.core.messages.outbox import Route
from fluence_costwatch.core.messages.sections import described
from fluence_costwatch.core.messages.wording import counted, instant, label, sentence, span
from fluence_costwatch.core.resources import Resource
from fluence_costwatch.errors import UnknownName
from fluence_costwatch.http_client import HttpClient, HttpFailure
from fluence_costwatch.notify.channels import problems_of
from fluence_costwatch.ports import Clock, Notifier
from fluence_costwatch.signals.addresses import NoAddress, exporter_url, where_of
from fluence_costwatch.signals.exposition import Unreadable, counters_in
from fluence_costwatch.signals.prometheus import NoSeries, query_url, readings_of, series_in

_AT_ONCE: Final = 32
_LARGEST_ANSWER: Final = 8 * 1024 * 1024
_LISTED: Final = 10
_SCRAPED: Final = (Signal.CPU, Signal.NETWORK)
_CONFIGURATION_INVALID: Final = 3


def check_targets(settings: Settings) -> Iterator[CheckLine]:
    """Whether each target can be one, without sending anything."""
    if not settings.targets:
        yield CheckLine(
            "targets", "warning", "none is configured, so nobody is told anything; `alerts` shows what is found"
        )
    for target in settings.targets:
        problem = problems_of(target.url.reveal())
        subject = f"target {target.name}"
        if problem is not None:
            yield CheckLine(subject, "failed", f"its URL {problem}", _CONFIGURATION_INVALID)
            continue
        digest = "" if target.route.digest == "none" else f", and a {target.route.digest} digest"
        yield CheckLine(subject, "ok", f"takes {described(target.route)}{digest}; `notify test` sends a sample")


def check_policy(settings: Settings) -> Iterator[CheckLine]:
    """What is judged, and what may be deleted and under which conditions."""
    budgets, rules, policy = settings.budgets, settings.rules, settings.deletion
    deleting = [budget for budget in budgets if budget.delete_at is not None]
    if budgets:
        may = f", {len(deleting)} of them may have machines deleted" if deleting else ""
        yield CheckLine("budgets", "ok", f"{counted(len(budgets), 'budget')}{may}")
    asking = [rule for rule in rules if rule.action is Action.DELETE]
    if rules:
        may = f", {len(asking)} of them may have machines deleted" if asking else ""
        yield CheckLine("rules", "ok", f"{counted(len(rules), 'rule')}{may}")
    if policy.mode is Mode.OBSERVE:
        if deleting or asking or policy.reclaim:
            yield CheckLine("deletion", "ok", "mode observe: it is said what would be deleted, and nothing is")
        return
    who = "what a person has approved" if policy.mode is Mode.PROPOSE else "after notice, unless somebody vetoes"
    yield CheckLine(
        "deletion",
        "ok",
        f"mode {policy.mode}: {who}, {span(policy.margin)} before the next charge, at most {policy.max_per_day} in 24 hours; "
        "the daemon also needs --allow-delete",
    )
    if not (deleting or asking or policy.reclaim):
        yield CheckLine("deletion", "warning", "no rule or budget asks for a deletion, so there will be none")
    if not policy.max_per_day or not policy.max_fleet_share:
        yield CheckLine("deletion", "warning", "max_per_day or max_fleet_share is 0, which forbids every deletion")


def check_signals(settings: Settings, resources: Sequence[Resource], *, clock: Clock) -> Iterator[CheckLine]:
    """Whether what rules ask for over the network answers now, each machine and query asked once."""
    conditions = conditions_to_ask(settings.rules)
    if not conditions:
        return
    timeout = settings.signals.timeout
    with closing(
        HttpClient(
            "",
            {},
            clock=clock,
            connect_timeout=timeout,
            read_timeout=timeout,
            deadline=timeout,
            max_bytes=_LARGEST_ANSWER,
        )
    ) as client:
        for condition in conditions:
            if condition.signal is Signal.PROMQL:
                judged = _judged(settings.rules, (condition,), resources)
                yield from _check_query(settings, condition, judged, client=client, now=clock())
        scraped = [condition for condition in conditions if condition.signal in _SCRAPED]
        if scraped:
            yield from _check_exporters(settings, _judged(settings.rules, scraped, resources), client=client)


def samples(settings: Settings, notifier: Notifier, *, target: str | None, now: datetime) -> Iterator[CheckLine]:
    """What came of a sample message to `target`, or to each. Raises UnknownName."""
    names = [each.name for each in settings.targets]
    if target is not None and target not in names:
        raise UnknownName(f"there is no target {target!r}; configured: {', '.join(names) or 'none'}")
    for each in settings.targets:
        if target not in (None, each.name):
            continue
        sample = sample_message(each.route, settings=settings, now=now)
        attempt = notifier.send(each.name, sample, reference=f"test-{secrets.token_hex(8)}")
        subject = f"target {each.name}"
        if attempt.sent:
            yield CheckLine(subject, "ok", "it took the sample")
        elif attempt.unconfirmed:
            yield CheckLine(subject, "warning", f"it may have the sample: {attempt.error}")
        else:
            yield CheckLine(subject, "failed", attempt.error or "it did not take the sample")


def sample_message(route: Route, *, settings: Settings, now: datetime) -> Message:
    """A message that says of itself that it is a test, with all that a message can hold."""
    return Message(
        severity=Severity.INFO,
        subject=f"[TEST] Fluence CostWatch reaches target {route.target}",
        thread=f"test-{route.target}",
        sections=(
            Section(
                "What this is",
                (f"A sample, sent by hand on {instant(now, zone=settings.notify.zone)}. Nothing is wrong.",),
            ),
            Section(
                "What is watched",
                (),
                Table(
                    ("", "Count"),
                    (
                        ("Accounts", str(len(settings.accounts))),
                        ("Budgets", str(len(settings.budgets))),
                        ("Rules", str(len(settings.rules))),
                    ),
                    right=(1,),
                ),
            ),
        ),
        action="fluence-costwatch status",
        link=settings.server.public_url or "",
        why=f"You get this because somebody ran `notify test`. Target {route.target} takes {described(route)}.",
    )


def _judged(rules: Iterable[Rule], conditions: Iterable[Condition], resources: Iterable[Resource]) -> list[Resource]:
    wanted = set(conditions)
    asking = [rule for rule in rules if wanted.intersection(rule.when)]
    return [resource for resource in resources if any(rule.judges(resource) for rule in asking)]


def _check_query(
    settings: Settings, condition: Condition, resources: Sequence[Resource], *, client: HttpClient, now: datetime
) -> Iterator[CheckLine]:
    subject = "signals, Prometheus"
    try:
        url = query_url(settings.signals.prometheus_url or "", condition, now=now)
        series = series_in(client.send("GET", url, called="the query to Prometheus").body)
    except (HttpFailure, NoSeries) as failure:
        yield CheckLine(subject, "warning", f"{condition.query}: {failure}")
        return
    readings = readings_of(condition, series, resources)
    silent = {each: readings[each.identity].says for each in resources if readings[each.identity].holds is None}
    yield from _count(subject, silent, of=len(resources), what=f"have a series in {condition.query}")


def _check_exporters(settings: Settings, resources: Sequence[Resource], *, client: HttpClient) -> Iterator[CheckLine]:
    def silence_of(resource: Resource) -> str | None:
        try:
            url = exporter_url(
                resource, template=settings.signals.node_exporter_url, overrides=settings.signals.overrides
            )
        except NoAddress as reason:
            return str(reason)
        try:
            counters_in(client.send("GET", url, accept="text/plain;version=0.0.4").body)
        except HttpFailure as failure:
            return f"{'no answer' if failure.status is None else f'status {failure.status}'} from {where_of(url)}"
        except Unreadable as reason:
            return f"the answer of {where_of(url)} {reason}"
        return None

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="check") as pool:
        found = dict(zip(resources, pool.map(silence_of, resources), strict=True))
    silent = {each: reason for each, reason in found.items() if reason is not None}
    yield from _count("signals, node_exporter", silent, of=len(resources), what="answer")


def _count(subject: str, silent: Mapping[Resource, str], *, of: int, what: str) -> Iterator[CheckLine]:
    if not of:
        yield CheckLine(subject, "ok", "no machine is known yet that a rule would ask it about")
        return
    state = f"{of - len(silent)} of {counted(of, 'machine')} {what}"
    yield CheckLine(subject, "warning" if silent else "ok", state)
    for resource, reason in list(silent.items())[:_LISTED]:
        name = label(resource.name, id=resource.id)
        yield CheckLine(subject, "warning", sentence(f"{name}: {reason}; its verdict is unknown while that lasts"))
    if len(silent) > _LISTED:
        yield CheckLine(subject, "warning", f"and {len(silent) - _LISTED} more like these")
