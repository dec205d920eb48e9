"""Idle verdicts: rules over a few hours of looks, one fact to a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Ending, Severity, Telling, fingerprint_of
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.deletion.deletions import Lease
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.idle.conditions import conditions_to_ask, resources_to_ask
from fluence_costwatch.core.idle.idle_views import explain_view, idle_view
from fluence_costwatch.core.idle.idleness import IdleClock, IdleVerdict, Reading
from fluence_costwatch.core.idle.idling import idle_findings, next_clocks, verdict_of, wasted
from fluence_costwatch.core.idle.rules import Condition, Match, Rule, Signal
from fluence_costwatch.core.money import ZERO, Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.core.views.shapes import explain, idle
from fluence_costwatch.ports import Heartbeat, ResourceRecord
from tests.known import Facts, at, known_resource, metered, watched

ACTIVE, IDLE, UNKNOWN = IdleVerdict.ACTIVE, IdleVerdict.IDLE, IdleVerdict.UNKNOWN
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = at("2026-03-03 00:00")
WEB = Identity("main", "0xa1")
CPU = Condition(Signal.CPU, below=Decimal("0.03"))
NETWORK = Condition(Signal.NETWORK, below=Decimal(2048))
QUIET = Rule("quiet", (CPU,), held_for=HOUR, min_age=timedelta(0))
INTERVAL = 5 * MINUTE


def machine(**facts: Any) -> ResourceRecord:
    return known_resource("0xa1", **({"created_at": at("2026-02-01 00:00")} | facts))


@dataclass
class Watch:
    """Looks at one machine, every five minutes unless told otherwise."""

    rule: Rule = QUIET
    record: ResourceRecord = field(default_factory=machine)
    interval: timedelta = INTERVAL
    now: datetime = START
    clocks: dict[tuple[Identity, str], IdleClock] = field(default_factory=dict)
    leases: Mapping[Identity, Lease] = field(default_factory=dict)
    heartbeats: Mapping[Identity, Heartbeat] = field(default_factory=dict)
    listening_since: datetime | None = START - DAY

    def look(self, *holds: bool | None, listed: bool = True, after: timedelta | None = None) -> IdleVerdict:
        """One look at which the conditions say what `holds` says, in their order."""
        self.now += self.interval if after is None else after
        if listed:
            self.record = replace(self.record, last_seen=self.now - timedelta(seconds=1))
        readings = {
            (WEB, condition): Reading(condition, one, f"{condition.signal} {one}")
            for condition, one in zip(self.rule.when, holds, strict=False)
        }
        for clock in next_clocks(
            [self.rule],
            [self.record],
            readings=readings,
            clocks=self.clocks,
            leases=self.leases,
            heartbeats=self.heartbeats,
            listening_since=self.listening_since,
            interval=self.interval,
            now=self.now,
        ):
            self.clocks[clock.identity, clock.rule] = clock
        return self.clock.verdict

    def looks(self, pattern: str) -> str:
        """Looks of one condition: "+" it holds, "-" it does not, "?" unknown. Returns the verdicts' first letters."""
        return "".join(self.look({"+": True, "-": False, "?": None}[one]).value[0] for one in pattern)

    @property
    def clock(self) -> IdleClock:
        return self.clocks[WEB, self.rule.name]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        # With looks every five minutes, an hour has passed at the thirteenth.
        pytest.param("+" * 14, "u" * 12 + "ii", id="idle once it has held for an hour, not known before"),
        pytest.param("-" + "+" * 14, "a" + "a" * 12 + "ii", id="active while it was busy within the hour"),
        pytest.param("+" * 13 + "-", "u" * 12 + "i" + "a", id="busy at once ends idleness"),
        pytest.param("+" * 13 + "-" + "+" * 13, "u" * 12 + "ia" + "a" * 12 + "i", id="and the clock starts anew"),
        pytest.param("+" * 13 + "?", "u" * 12 + "iu", id="no data now is unknown now"),
        pytest.param("+" * 13 + "?+", "u" * 12 + "iui", id="one lost look of twelve does not start the clock anew"),
        pytest.param("+" * 13 + "??" + "+" * 12, "u" * 12 + "iuu" + "u" * 12, id="two of twelve do"),
        pytest.param("+" * 13 + "??" + "+" * 13, "u" * 12 + "iuu" + "u" * 12 + "i", id="and an hour later it is idle"),
        pytest.param("?" * 30, "u" * 30, id="nothing known is never idle"),
        pytest.param("+?" * 20, "u" * 40, id="every other look is too little"),
        pytest.param("-?" + "+" * 3, "auaaa", id="busy is remembered across a lost look"),
        pytest.param("-" + "?" * 13 + "+", "a" + "u" * 14, id="but not for longer than an hour"),
    ],
)
def test_verdicts_follow_from_looks(pattern: str, expected: str) -> None:
    assert expected == Watch().looks(pattern)


def test_all_conditions_must_hold() -> None:
    watch = Watch(Rule("both", (CPU, NETWORK), HOUR, timedelta(0)))

    for _ in range(13):
        watch.look(True, True)
    assert IDLE is watch.clock.verdict
    assert ACTIVE is watch.look(True, False)
    assert ACTIVE is watch.look(None, False)
    assert UNKNOWN is watch.look(None, True)


def test_a_gap_of_the_daemon_is_not_idleness() -> None:
    watch = Watch()
    watch.looks("+" * 13)

    assert UNKNOWN is watch.look(True, after=40 * MINUTE)
    assert watch.now == watch.clock.since


def test_looks_that_come_late_by_less_than_half_an_interval_leave_no_gap() -> None:
    watch = Watch()
    for number in range(14):
        watch.look(True, after=7 * MINUTE if number % 2 else 3 * MINUTE)

    assert (IDLE, Decimal(1)) == (watch.clock.verdict, watch.clock.coverage)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(MINUTE, 10 * MINUTE, id="looks that become rarer"),
        pytest.param(10 * MINUTE, MINUTE, id="looks that become more frequent"),
    ],
)
def test_another_interval_does_not_change_how_much_was_watched(before: timedelta, after: timedelta) -> None:
    """Known half an hour, unknown the next, counted in time whatever the looks: far from ninety per cent."""
    watch = Watch(Rule("long", (CPU,), 2 * HOUR, timedelta(0)), interval=before)
    for _ in range(30 * MINUTE // before + 1):
        watch.look(True)
    watch.interval = after
    for _ in range(30 * MINUTE // after):
        watch.look(None)

    assert (Decimal("0.5"), None) == (watch.clock.coverage, watch.clock.since)


def test_a_clock_from_the_future_starts_anew() -> None:
    watch = Watch()
    watch.looks("+" * 14)

    assert UNKNOWN is watch.look(True, after=-3 * HOUR)
    assert watch.looks("+" * 13).endswith("i")


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"presence": Presence.MISSING}, id="missing"),
        pytest.param({"status": "Teleporting"}, id="a status that is not known"),
    ],
)
def test_a_doubtful_resource_is_unknown(facts: dict[str, Any]) -> None:
    watch = Watch()
    watch.looks("+" * 13)
    watch.record = machine(**facts)

    assert UNKNOWN is watch.look(True)


def test_a_resource_that_the_newest_look_did_not_show_is_unknown() -> None:
    watch = Watch()
    watch.looks("+" * 13)

    assert UNKNOWN is watch.look(True, listed=False)
    assert IDLE is watch.look(True)


def test_busy_counts_even_where_the_rest_is_in_doubt() -> None:
    watch = Watch()
    watch.looks("+" * 13)

    assert UNKNOWN is watch.look(False, listed=False)
    assert (None, watch.now) == (watch.clock.since, watch.clock.busy_at)
    assert ACTIVE is watch.look(True)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"price": "0.5"}, UNKNOWN, id="another price"),
        pytest.param({"created_at": at("2026-03-02 00:00")}, UNKNOWN, id="another life"),
        pytest.param({"price": None}, IDLE, id="a price that cannot be read is no other price"),
        pytest.param({"name": "other"}, IDLE, id="another name"),
    ],
)
def test_what_starts_the_clock_anew(facts: dict[str, Any], expected: IdleVerdict) -> None:
    watch = Watch()
    watch.looks("+" * 13)
    watch.record = machine(**facts)

    assert expected is watch.look(True)


def test_a_changed_rule_starts_the_clock_anew() -> None:
    watch = Watch()
    watch.looks("+" * 20)
    watch.rule = replace(QUIET, held_for=30 * MINUTE)

    assert UNKNOWN is watch.look(True)
    assert UNKNOWN is verdict_of(watch.record, rules=[QUIET], clocks=watch.clocks, now=watch.now, patience=HOUR)


def test_an_unreadable_price_does_not_hide_a_change() -> None:
    watch = Watch()
    watch.looks("+" * 13)
    for price, expected in ((None, IDLE), ("0.5", UNKNOWN)):
        watch.record = machine(price=price)
        assert expected is watch.look(True)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"created_at": START}, ACTIVE, id="too young"),
        pytest.param({"created_at": START - 3 * HOUR}, IDLE, id="old enough"),
        pytest.param({"created_at": None, "first_seen": START - HOUR}, UNKNOWN, id="perhaps too young"),
        pytest.param({"created_at": None, "first_seen": START - 3 * HOUR}, IDLE, id="at least old enough"),
    ],
)
def test_the_minimum_age(facts: dict[str, Any], expected: IdleVerdict) -> None:
    watch = Watch(replace(QUIET, min_age=3 * HOUR), machine(**facts))
    watch.looks("+" * 13)

    assert expected is watch.clock.verdict


def test_a_machine_younger_than_the_time_of_the_rule_is_active() -> None:
    assert "aaa" == Watch(record=machine(created_at=START)).looks("+++")


def beat(ago: timedelta) -> dict[Identity, Heartbeat]:
    return {WEB: Heartbeat(START - 30 * DAY, START + INTERVAL - ago)}


LEASED = {WEB: Lease(WEB, START, "cli alice", START - DAY)}


@pytest.mark.parametrize(
    ("condition", "facts", "more", "expected", "says"),
    [
        pytest.param(Condition(Signal.AGE, above=DAY), {}, {}, IDLE, "created 30 d ago", id="old"),
        pytest.param(Condition(Signal.AGE, above=60 * DAY), {}, {}, ACTIVE, "created 30 d ago", id="not old"),
        pytest.param(
            Condition(Signal.AGE, above=60 * DAY),
            {"created_at": None},
            {},
            UNKNOWN,
            "first seen 1 d 12 h ago, when it was created is not known",
            id="perhaps old",
        ),
        pytest.param(
            Condition(Signal.AGE, above=DAY),
            {"created_at": None},
            {},
            IDLE,
            "first seen 1 d 12 h ago, when it was created is not known",
            id="old in any case",
        ),
        pytest.param(Condition(Signal.STATE, statuses=("ACTIVE",)), {}, {}, IDLE, "status Active", id="in that state"),
        pytest.param(
            Condition(Signal.STATE, statuses=("Stopped",)), {}, {}, ACTIVE, "status Active", id="in another state"
        ),
        pytest.param(Condition(Signal.LEASE), {}, {}, ACTIVE, "has no lease", id="no lease"),
        pytest.param(
            Condition(Signal.LEASE),
            {},
            {"leases": LEASED},
            IDLE,
            "lease ran out at 2026-03-03 00:00 UTC",
            id="a lease that has run out",
        ),
        pytest.param(
            Condition(Signal.LEASE),
            {"name": "web--until-2026-03-03"},
            {},
            ACTIVE,
            "lease runs at 2026-03-04 00:00 UTC",
            id="a lease that runs",
        ),
        pytest.param(
            Condition(Signal.LEASE),
            {"name": "web--ttl-x"},
            {},
            UNKNOWN,
            "lease: its name ends in a --ttl- that cannot be read",
            id="a lease that cannot be read",
        ),
        pytest.param(
            Condition(Signal.HEARTBEAT, silent=6 * HOUR),
            {},
            {},
            UNKNOWN,
            "heartbeat: has never beaten",
            id="no first beat",
        ),
        pytest.param(
            Condition(Signal.HEARTBEAT, silent=6 * HOUR),
            {},
            {"heartbeats": beat(7 * HOUR)},
            IDLE,
            "no heartbeat for 7 h",
            id="silent",
        ),
        pytest.param(
            Condition(Signal.HEARTBEAT, silent=6 * HOUR),
            {},
            {"heartbeats": beat(5 * HOUR)},
            ACTIVE,
            "last heartbeat 5 h ago",
            id="beating",
        ),
        pytest.param(
            Condition(Signal.HEARTBEAT, silent=6 * HOUR),
            {},
            {"heartbeats": beat(7 * HOUR), "listening_since": START - HOUR},
            UNKNOWN,
            "heartbeat: nobody has listened for 6 h yet",
            id="silent while the daemon was down",
        ),
        pytest.param(
            Condition(Signal.HEARTBEAT, silent=6 * HOUR),
            {},
            {"heartbeats": beat(7 * HOUR), "listening_since": None},
            UNKNOWN,
            "heartbeat: nobody has listened for 6 h yet",
            id="silent while nobody listens",
        ),
        pytest.param(CPU, {}, {}, UNKNOWN, "cpu: was not asked for in this look", id="not asked"),
    ],
)
def test_conditions_that_follow_from_what_is_remembered(
    condition: Condition, facts: dict[str, Any], more: dict[str, Any], expected: IdleVerdict, says: str
) -> None:
    watch = Watch(Rule("one", (condition,), timedelta(0), timedelta(0)), machine(**facts), **more)

    assert expected is watch.look()
    assert (says,) == watch.clock.evidence


def test_hostile_texts_do_not_reach_the_evidence() -> None:
    watch = Watch(Rule("one", (Condition(Signal.STATE, statuses=("x",)),), HOUR, timedelta(0)))
    watch.record = machine(status="\x1b[31mActive" + "x" * 1000)
    watch.look()

    assert all(text.isprintable() and len(text) <= 200 for text in watch.clock.evidence)


@pytest.mark.parametrize(
    ("match", "other", "expected"),
    [
        pytest.param(
            Match.NAME, {"name": "web"}, UNKNOWN, id="another of that name, whether or not a rule is about it"
        ),
        pytest.param(Match.NAME, {"name": "db"}, IDLE, id="no other of that name"),
        pytest.param(Match.NAME, {"name": "web", "presence": Presence.GONE}, IDLE, id="the other is gone"),
        pytest.param(Match.PUBLIC_IP, {"name": "web"}, IDLE, id="another of that name does not matter to addresses"),
        pytest.param(Match.ID, {"name": "web"}, IDLE, id="nor to ids"),
    ],
)
def test_a_series_that_may_be_another_machines_says_nothing(
    match: Match, other: dict[str, Any], expected: IdleVerdict
) -> None:
    condition = Condition(Signal.PROMQL, below=Decimal(1), query="q", match=match)
    rule = Rule("one", (condition,), timedelta(0), timedelta(0), select=Selector(ids=("0xa1",)))
    records = [replace(record, last_seen=START) for record in (machine(), known_resource("0xb2", **other))]

    (clock,) = next_clocks(
        [rule],
        records,
        readings={(WEB, condition): Reading(condition, True, "promql 0 in q")},
        clocks={},
        leases={},
        heartbeats={},
        listening_since=None,
        interval=INTERVAL,
        now=START,
    )

    assert expected is clock.verdict


@pytest.mark.parametrize(
    ("match", "other", "expected"),
    [
        pytest.param(Match.NAME, known_resource("0xb2", account="second", name="web"), UNKNOWN, id="its name"),
        pytest.param(
            Match.PUBLIC_IP,
            known_resource("0xb2", account="second", name="db", of_resource={"public_ip": "10.0.0.7"}),
            UNKNOWN,
            id="its address",
        ),
        pytest.param(Match.NAME, known_resource("0xA1", account="second", name="web"), IDLE, id="the same machine"),
    ],
)
def test_a_series_that_may_be_of_another_accounts_machine_says_nothing(
    match: Match, other: ResourceRecord, expected: IdleVerdict
) -> None:
    condition = Condition(Signal.PROMQL, below=Decimal(1), query="q", match=match)
    own = replace(machine(of_resource={"public_ip": "10.0.0.7"}), last_seen=START)

    (clock,) = next_clocks(
        [Rule("one", (condition,), timedelta(0), timedelta(0))],
        [own],
        beside=[other],
        readings={(WEB, condition): Reading(condition, True, "promql 0 in q")},
        clocks={},
        leases={},
        heartbeats={},
        listening_since=None,
        interval=INTERVAL,
        now=START,
    )

    assert expected is clock.verdict


@pytest.mark.parametrize("signal", [Signal.CPU, Signal.NETWORK])
def test_what_answers_at_an_address_that_two_machines_have_says_nothing(signal: Signal) -> None:
    condition = Condition(signal, below=Decimal(1))
    at_one: dict[str, Any] = {"of_resource": {"public_ip": "10.0.0.7"}, "last_seen": "2026-03-03 00:00"}

    clocks = next_clocks(
        [Rule("one", (condition,), timedelta(0), timedelta(0))],
        [machine(**at_one), known_resource("0xb2", name="db", **at_one)],
        readings={(Identity("main", id), condition): Reading(condition, True, "idle") for id in ("0xa1", "0xb2")},
        clocks={},
        leases={},
        heartbeats={},
        listening_since=None,
        interval=INTERVAL,
        now=START,
    )

    assert [UNKNOWN, UNKNOWN] == [clock.verdict for clock in clocks]


def test_only_what_needs_the_network_is_asked_for_and_only_where_a_rule_wants_it() -> None:
    age = Condition(Signal.AGE, above=DAY)
    rules = [
        Rule("a", (CPU, age), HOUR, HOUR, select=Selector(names=("web*",))),
        Rule("b", (CPU, NETWORK), HOUR, HOUR, select=Selector(names=("db",))),
        Rule("c", (age,), HOUR, HOUR),
    ]
    fleet = [known_resource(f"0x{name}", name=name).resource for name in ("web-1", "db", "other")]

    assert (CPU, NETWORK) == conditions_to_ask(rules)
    assert ("web-1", "db") == tuple(each.name for each in resources_to_ask(rules, fleet))


def test_disks_and_addresses_are_judged_by_rules_that_name_them_only() -> None:
    disk = metered("disk-1", kind=Kind.STORAGE, status="ready").resource
    named = replace(QUIET, select=Selector(kinds=("storage",)))

    assert (False, True) == (QUIET.judges(disk), named.judges(disk))


def other_rule(verdict: IdleVerdict, name: str) -> tuple[Rule, IdleClock]:
    rule = replace(QUIET, name=name)
    return rule, IdleClock(WEB, name, rule.digest, verdict, START)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), None),
        ((ACTIVE,), ACTIVE),
        ((ACTIVE, UNKNOWN), UNKNOWN),
        ((ACTIVE, UNKNOWN, IDLE), IDLE),
    ],
)
def test_the_verdict_of_a_resource_is_the_worst_of_its_rules(
    verdicts: Iterable[IdleVerdict], expected: IdleVerdict | None
) -> None:
    pairs = [other_rule(verdict, f"r{number}") for number, verdict in enumerate(verdicts)]
    clocks = {(WEB, rule.name): clock for rule, clock in pairs}
    rules = [rule for rule, _ in pairs]

    assert expected is verdict_of(machine(), rules=rules, clocks=clocks, now=START, patience=HOUR)


def test_a_verdict_that_is_old_or_was_never_made_is_unknown() -> None:
    rule, clock = other_rule(IDLE, "r")

    late = START + HOUR + MINUTE
    assert UNKNOWN is verdict_of(machine(), rules=[rule], clocks={(WEB, "r"): clock}, now=late, patience=HOUR)
    assert UNKNOWN is verdict_of(machine(), rules=[rule], clocks={}, now=START, patience=HOUR)


@pytest.mark.parametrize(
    ("record", "since", "expected"),
    [
        # An epoch of a day began at 17:55 the day before, at 0.29816.
        pytest.param(machine(), "2026-03-02 18:00", ZERO, id="no epoch has begun since"),
        pytest.param(machine(), "2026-03-02 17:55", Usd.parse("0.29816"), id="one began just then"),
        pytest.param(machine(), "2026-03-01 00:00", Usd.parse("0.59632"), id="two have begun"),
        pytest.param(machine(price=None), "2026-03-01 00:00", None, id="no known price"),
        pytest.param(machine(billed=False), "2026-03-01 00:00", ZERO, id="not charged"),
        pytest.param(machine(charged_under="other"), "2026-03-01 00:00", ZERO, id="charged to somebody else"),
        pytest.param(
            metered("0xa1", last_seen="2026-03-03 06:00"), "2026-03-03 00:00", Usd.parse("3"), id="six hours at 0.5"
        ),
    ],
)
def test_what_was_wasted(record: ResourceRecord, since: str, expected: Usd | None) -> None:
    assert expected == wasted(record, since=at(since), now=at("2026-03-03 12:00"))


def idle_watch() -> Watch:
    watch = Watch()
    watch.looks("+" * 13)
    return watch


def test_an_idle_machine_is_told_with_its_evidence_and_its_price() -> None:
    watch = idle_watch()
    record = replace(watch.record, state=replace(watch.record.state, epoch=Span(START, START + DAY)))

    (finding,) = idle_findings([QUIET], [record], watch.clocks, alerts=[], now=watch.now).findings

    assert ("idle", "warning", "0xa1", "quiet", Telling.STATE) == (
        finding.kind,
        finding.severity,
        finding.resource_id,
        finding.rule,
        finding.telling,
    )
    assert "web has been idle since 2026-03-03 00:05 UTC: cpu below 3%." == finding.summary
    assert "Nothing was charged since then. The next charge, $0.29816, falls at 2026-03-04 00:00 UTC." == finding.means
    assert Decimal("0.298160") == finding.cost_per_day
    assert ("evidence", "cpu True") in finding.facts


def alert(rule: str = "quiet", **facts: Any) -> Alert:
    plain: dict[str, Any] = {
        "id": "1",
        "fingerprint": fingerprint_of("idle", "main", "0xa1", rule),
        "kind": "idle",
        "severity": Severity.WARNING,
        "state": AlertState.FIRING,
        "account": "main",
        "resource_id": "0xa1",
        "rule": rule,
        "name": "web",
        "summary": "",
        "means": "",
        "advice": "",
        "telling": Telling.STATE,
        "group": "",
        "level": Decimal(0),
        "cost_per_day": None,
        "facts": (),
        "since": START,
    }
    return Alert(**plain | facts)


def endings(watch: Watch, *alerts: Alert, rules: Iterable[Rule] = (QUIET,)) -> list[str]:
    judged = idle_findings(list(rules), [watch.record], watch.clocks, alerts=alerts, now=watch.now)
    assert all(isinstance(one, Ending) for one in judged.endings)
    return [one.reason for one in judged.endings]


def test_idleness_ends_when_the_machine_is_busy_again() -> None:
    watch = idle_watch()
    watch.look(False)

    assert ["busy again: cpu False"] == endings(watch, alert())


def test_unknown_ends_nothing() -> None:
    watch = idle_watch()
    watch.look(None)

    assert [] == endings(watch, alert())


def test_a_clock_that_started_anew_ends_nothing() -> None:
    watch = idle_watch()
    watch.record = machine(price="0.5")
    watch.look(True)

    assert [] == endings(watch, alert())


def test_idleness_ends_with_its_rule_its_resource_and_its_selection() -> None:
    watch = idle_watch()
    elsewhere = replace(QUIET, select=Selector(names=("db-*",)))

    assert ["rule no longer configured"] == endings(watch, alert(), rules=())
    assert ["the rule is no longer about it"] == endings(watch, alert(), rules=(elsewhere,))
    watch.record = machine(presence=Presence.GONE)
    assert ["gone"] == endings(watch, alert())
    watch.record = machine(retired=True)
    assert ["no longer watched"] == endings(watch, alert())


def test_other_alerts_are_left_alone() -> None:
    watch = idle_watch()
    watch.look(False)

    assert [] == endings(watch, alert(kind="waste"), alert(state=AlertState.RESOLVED))


@dataclass(frozen=True, slots=True)
class IdleFacts(Facts):
    """A Reading that also holds clocks, leases and beats."""

    kept_clocks: Mapping[tuple[Identity, str], IdleClock] = field(default_factory=dict)

    def clocks(self) -> Mapping[tuple[Identity, str], IdleClock]:
        return self.kept_clocks

    def leases(self) -> Mapping[Identity, Lease]:
        return {}

    def heartbeats(self) -> Mapping[Identity, Heartbeat]:
        return {WEB: Heartbeat(START, START)}

    def spent(self, *, since: datetime | None, until: datetime | None) -> Mapping[Identity, Usd]:
        return {}

    def straddling(self, moment: datetime) -> tuple[()]:
        return ()


def test_the_answer_of_idle() -> None:
    watch = idle_watch()
    known = IdleFacts((watch.record,), kept_clocks=watch.clocks)

    answer = idle(idle_view(known, rules=[QUIET], watched=watched(), now=watch.now))

    assert {
        "as_of": "2026-03-03T01:05:00Z",
        "verdicts": [
            {
                "account": "main",
                "resource_id": "0xa1",
                "name": "web",
                "rule": "quiet",
                "verdict": "idle",
                "since": "2026-03-03T00:05:00Z",
                "coverage": "1.00",
                "evidence": ["cpu True"],
                "wasted_usd": "0.000000",
            }
        ],
    } == answer


def test_explain_shows_rules_lease_beats_and_protection() -> None:
    watch = idle_watch()
    watch.record = replace(watch.record, resource=replace(watch.record.resource, name="web--until-2026-03-09"))
    known = IdleFacts((watch.record,), kept_clocks=watch.clocks)
    elsewhere = Rule("gpu", (CPU,), HOUR, HOUR, select=Selector(kinds=("gpu_vm",)))
    view = explain_view(
        known, watch.record, rules=[QUIET, elsewhere], watched=watched(), protection=["by its name"], now=watch.now
    )

    answer = explain(view)

    assert ("idle", True) == (answer["resource"]["verdict"], answer["resource"]["protected"])
    assert (["cpu below 3%"], 3600, ["gpu"]) == (
        answer["rules"][0]["conditions"],
        answer["rules"][0]["for_seconds"],
        answer["other_rules"],
    )
    assert {"until": "2026-03-10T00:00:00Z", "source": "by its name"} == answer["lease"]
    assert ("2026-03-03T00:00:00Z", ["by its name"]) == (answer["last_heartbeat"], answer["protection"])


def test_a_rule_that_has_not_judged_yet_says_so() -> None:
    view = idle_view(IdleFacts((machine(),)), rules=[QUIET], watched=watched(), now=START)

    (row,) = view.verdicts
    assert (UNKNOWN, None, ("not judged yet",)) == (row.verdict, row.since, row.evidence)


def test_the_size_of_a_clock_does_not_grow() -> None:
    watch = Watch()
    sizes = set()
    for number in range(200):
        watch.look(None if number % 7 == 0 else True, after=(1 + number % 13) * MINUTE)
        sizes.add(len(watch.clock.buckets))

    assert {21} == sizes


def test_gpu_and_prepaid_epochs_of_an_hour_are_counted() -> None:
    record = known_resource(
        "0xa1", generation=Generation.GPU, status="ACTIVE", start="2026-03-03 05:00", length=HOUR, price="1.5"
    )

    assert Usd.parse("4.5") == wasted(record, since=at("2026-03-03 02:30"), now=at("2026-03-03 05:10"))
