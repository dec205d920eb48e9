"""Every guard alone keeps the machine, and says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.deletion.deletions import (
    DeletionState,
    Ground,
    Kept,
    Lease,
    Mode,
    Protection,
    Transition,
    Veto,
)
from fluence_costwatch.core.deletion.guards import most_of_fleet, refusals
from fluence_costwatch.core.idle.idleness import IdleVerdict, Reading
from fluence_costwatch.core.idle.rules import Action, Condition, Match, Signal
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Kind, Resource
from tests.deletable import (
    CPU,
    EXECUTE,
    NOW,
    RULE,
    WEB,
    asked_for,
    deletion,
    examined,
    fleet,
    fresh,
    idle_clock,
    keeping,
    machine,
    situation,
)
from tests.known import at

HOUR = timedelta(hours=1)
RESOURCE = machine().resource


def test_with_every_guard_agreeing_nothing_is_refused() -> None:
    assert () == refusals(deletion(), examined(), situation(), now=NOW)


def policy(**facts: Any) -> dict[str, Any]:
    return {"policy": replace(EXECUTE, **facts)}


def listed(**facts: Any) -> dict[str, Any]:
    others = [one for one in fresh().resources if one.identity != RESOURCE.identity]
    return {"fresh": fresh(replace(RESOURCE, **facts), *others)}


def clock(**facts: Any) -> dict[str, Any]:
    return {"clocks": {(WEB, RULE.name): idle_clock(**facts)}}


def silence(**facts: Any) -> dict[str, Any]:
    return {"keeping": keeping(silences=(Silence("s1", NOW + HOUR, "ann", "", NOW - HOUR, **facts),))}


def protected(*names: str, ids: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"keeping": keeping(protect=Protection(names, ids))}


CHANGED = replace(RULE, held_for=timedelta(hours=1))
DONE = (asked_for("0xa", hours_ago=1), asked_for("0xb", hours_ago=2), asked_for("0xc", hours_ago=23))
VETO = Veto(WEB, RULE.name, NOW + HOUR, "ann", "still needed", NOW - HOUR)

# what: changes of the deletion, of what was found out, of the situation; the words of the refusal
ALONE: tuple[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str], ...] = (
    ("observe mode", {}, {}, policy(mode=Mode.OBSERVE), "mode is observe"),
    ("the second key missing", {}, {}, policy(armed=False), "--allow-delete"),
    ("a database from a backup", {}, {"rolled_back": True}, {}, "older than it was"),
    ("not notified", {"state": DeletionState.PROPOSED}, {}, {}, "it is proposed"),
    ("vetoed", {"state": DeletionState.VETOED}, {}, {}, "it is vetoed"),
    ("executing already", {"state": DeletionState.EXECUTING}, {}, {}, "it is executing"),
    ("propose mode without approval", {}, {}, policy(mode=Mode.PROPOSE), "nobody has approved"),
    ("proposed, and no approval", {"mode": Mode.PROPOSE}, {}, {}, "nobody has approved"),
    (
        "approved for another moment",
        {"mode": Mode.PROPOSE, "state": DeletionState.APPROVED, "approved_for": NOW - 24 * HOUR},
        {},
        {},
        "another moment",
    ),
    ("no notice", {"notified_at": None}, {}, {}, "no target has accepted"),
    ("a short notice", {"notified_at": NOW - HOUR}, {}, {}, "less than 2 h ago"),
    ("a notice from the future", {"notified_at": NOW + HOUR}, {}, {}, "less than 2 h ago"),
    ("no moment", {"execute_at": None}, {}, {}, "no moment"),
    ("before its moment", {"execute_at": NOW + HOUR}, {}, {}, "not due before"),
    ("outside the hours", {}, {}, policy(allowed_from=time(9), allowed_until=time(17)), "outside the allowed hours"),
    ("no list", {}, {"fresh": None, "missing": ("HTTP 500",)}, {}, "HTTP 500"),
    ("an old list", {}, {"fresh": fresh(sent_at=NOW - timedelta(minutes=3))}, {}, "not fresh"),
    ("a list from the future", {}, {"fresh": fresh(sent_at=NOW + HOUR)}, {}, "clock was changed"),
    ("an empty list", {}, {"fresh": replace(fresh(), resources=())}, {}, "does not show it once"),
    ("a list that shows it twice", {}, {"fresh": fresh(RESOURCE, RESOURCE)}, {}, "does not show it once"),
    ("half a list", {}, {"fresh": fresh(*(machine(f"0xwork{n}").resource for n in range(4)), RESOURCE)}, {}, "5 of 10"),
    ("a suspicious list", {}, {"fresh": fresh(suspicious=True)}, {}, "suspicious"),
    ("a list with nothing before it", {}, {"fresh": fresh(suspicious=None)}, {}, "no earlier one"),
    ("a server without a clock", {}, {"fresh": fresh(clock_ahead=None)}, {}, "what time it is"),
    ("a clock behind", {}, {"fresh": fresh(clock_ahead=timedelta(minutes=6))}, {}, "differ by 6 min"),
    ("a clock ahead", {}, {"fresh": fresh(clock_ahead=-timedelta(minutes=6))}, {}, "differ by 6 min"),
    ("maintenance", {}, {"maintenance": True}, {}, "under maintenance"),
    ("maintenance not known", {}, {"maintenance": None}, {}, "maintenance is not known"),
    ("stale data", {}, {"listed_at": NOW - HOUR}, {}, "stale"),
    ("never seen wholly", {}, {"listed_at": None}, {}, "stale"),
    ("another id", {"target_id": "0xWEB"}, {}, {}, "its id is not the one"),
    ("renamed", {}, listed(name="db"), {}, "renamed"),
    ("without its name", {}, listed(name=None), {}, "renamed"),
    ("created anew", {}, listed(created_at=at("2026-03-01 12:00")), {}, "created anew"),
    ("without its creation time", {}, listed(created_at=None), {}, "created anew"),
    ("priced anew", {}, listed(price=Decimal("0.3")), {}, "price has changed"),
    ("without a price", {}, listed(price=None), {}, "price is not known"),
    ("another kind", {}, listed(kind=Kind.STORAGE), {}, "storage"),
    ("a value that cannot be read", {}, listed(problems=("status: odd",)), {}, "can be read: status: odd"),
    ("a status nobody knows", {}, listed(status="Hibernating"), {}, "Hibernating"),
    ("starting", {}, listed(status="Launching"), {}, "Launching"),
    ("ended by the provider", {}, listed(status="Terminated"), {}, "nothing is charged"),
    ("no reported charge time", {}, listed(next_charge_at=None), {}, "does not say when its next charge"),
    ("its charge has come", {}, listed(next_charge_at=NOW + 24 * HOUR), {}, "its moment is"),
    ("a generation found by asking", {}, {}, {"configured": frozenset()}, "does not name vms-v3"),
    ("missing from the lists", {}, {}, {"records": fleet(machine(presence=Presence.MISSING))}, "it is missing"),
    (
        "charged under another account",
        {},
        {},
        {"records": fleet(machine(charged_under="other"))},
        "under account other",
    ),
    ("nothing remembered", {}, {}, {"records": {}}, "nothing is remembered"),
    ("a protected name", {}, {}, protected("w*"), "protected by 'w*'"),
    ("a protected name in capitals", {}, {}, protected("WEB"), "protected by 'WEB'"),
    ("a protected id", {}, {}, protected(ids=("0xWEB",)), "deletion.protect.ids"),
    ("a pattern that does not compile", {}, {}, protected("db[z-a]"), "cannot be read"),
    ("a pattern without its end", {}, {}, protected("db[1"), "cannot be read"),
    ("kept", {}, {}, {"keeping": keeping(kept={WEB: Kept(WEB, NOW, "ann", "mine")})}, "kept until released: mine"),
    ("leased", {}, {}, {"keeping": keeping(leases={WEB: Lease(WEB, NOW + HOUR, "ann", NOW)})}, "leased"),
    ("silenced", {}, {}, silence(account="main", resource_id="0xWeb"), "silenced"),
    ("its rule silenced", {}, {}, silence(rule=RULE.name), "silenced"),
    ("its account silenced", {}, {}, silence(account="main"), "silenced"),
    ("vetoed before", {}, {}, {"vetoes": (VETO,)}, "vetoed by ann: still needed"),
    ("cap 0", {}, {}, policy(max_per_day=0), "max_per_day"),
    (
        "cap reached",
        {},
        {},
        {"deletions": (deletion(), *DONE)} | policy(max_fleet_share=Decimal(1)),
        "3 deletions in 24",
    ),
    ("share 0", {}, {}, policy(max_fleet_share=Decimal(0)), "max_fleet_share"),
    ("share reached", {}, {}, {"deletions": (deletion(), *DONE[:2])}, "2 deletions in 24 hours, 2 allowed"),
    (
        "an unconfirmed one counts",
        {},
        {},
        policy(max_per_day=1)
        | {
            "deletions": (deletion(), asked_for("0xa", hours_ago=1, state=DeletionState.UNCONFIRMED)),
        },
        "1 deletion in 24",
    ),
    ("the rule gone", {}, {}, {"rules": ()}, "no longer configured"),
    ("the rule changed", {}, {}, {"rules": (CHANGED,)}, "was changed"),
    ("the rule alerts only", {}, {}, {"rules": (replace(RULE, action=Action.ALERT),)}, "does not delete any more"),
    ("active by its clock", {}, {}, clock(verdict=IdleVerdict.ACTIVE), "is active now"),
    ("unknown by its clock", {}, {}, clock(verdict=IdleVerdict.UNKNOWN), "is unknown now"),
    ("busy meanwhile", {}, {}, clock(since=NOW - HOUR), "not idle all the time"),
    ("a clock of another life", {}, {}, clock(created_at=at("2026-01-01 00:00")), "another creation time"),
    ("never judged", {}, {}, {"clocks": {}}, "has not judged it"),
    ("not judged lately", {}, {}, clock(at=NOW - HOUR), "was not judged lately"),
    (
        "busy at this moment",
        {},
        {"readings": {(WEB, CPU): Reading(CPU, False, "cpu 80% busy")}},
        {},
        "does not hold now",
    ),
    ("unknown at this moment", {}, {"readings": {(WEB, CPU): Reading(CPU, None, "no answer")}}, {}, "no answer"),
    ("not asked at this moment", {}, {"readings": {}}, {}, "was not asked for"),
    ("not proposed as a lease", {"ground": Ground.LEASE}, {}, {}, "not about it any more"),
    ("not over budget", {"ground": Ground.BUDGET, "rule": "prod"}, {}, {}, "does not delete any more"),
    ("reclaim of a machine that runs", {"ground": Ground.RECLAIM}, {}, policy(reclaim=True), "not Terminated"),
    ("reclaim not wanted", {"ground": Ground.RECLAIM}, listed(status="Terminated"), {}, "reclaim is off"),
    (
        "release of a machine",
        {"ground": Ground.RELEASE},
        {},
        policy(release_public_ips=True),
        "not deleted on this ground",
    ),
)


@pytest.mark.parametrize(("_", "of_it", "found", "around", "why"), [pytest.param(*row, id=row[0]) for row in ALONE])
def test_it_is_kept(_: str, of_it: dict[str, Any], found: dict[str, Any], around: dict[str, Any], why: str) -> None:
    refused = refusals(deletion(**of_it), examined(**found), situation(**around), now=NOW)

    assert [] != [one.says for one in refused if why in one.says], refused


def test_a_broken_ground_lasts_and_a_failing_list_passes() -> None:
    renamed = refusals(deletion(), examined(**listed(name="db")), situation(), now=NOW)
    unanswered = refusals(deletion(), examined(fresh=None), situation(), now=NOW)

    assert any(one.lasting for one in renamed)
    assert unanswered
    assert not any(one.lasting for one in unanswered)


def test_a_status_alone_is_no_ground() -> None:
    condition = Condition(Signal.STATE, statuses=("Active",))
    rule = replace(RULE, when=(condition,))
    clocks = {(WEB, rule.name): idle_clock(digest=rule.digest)}

    refused = refusals(deletion(), examined(), situation(rules=(rule,), clocks=clocks), now=NOW)

    assert ["rule idle-vm rests on a status alone, which is no ground to delete"] == [one.says for one in refused]


CLOUD: tuple[tuple[str, tuple[str, ...] | None, bool], ...] = (
    ("launched", ("restart", "terminate"), True),
    ("launched", ("restart",), False),
    ("launched", (), False),
    ("launched", None, True),
    ("failed", None, False),
    ("failed", ("terminate",), True),
    ("unknown", ("terminate",), False),
    ("terminating", ("terminate",), False),
    ("terminated", ("terminate",), False),
)


@pytest.mark.parametrize(("status", "actions", "may_go"), CLOUD)
def test_a_cloud_machine_goes_where_the_action_is_allowed(
    status: str, actions: tuple[str, ...] | None, may_go: bool
) -> None:
    record = machine(
        generation=Generation.CLOUD_V2, status=status, listed={"allowed_actions": actions, "next_charge_at": None}
    )
    around = situation(records=fleet(record), configured=frozenset({("main", Generation.CLOUD_V2)}))
    it = deletion(generation=Generation.CLOUD_V2, notified_at=NOW - 25 * HOUR)

    refused = refusals(it, examined(fresh=fresh(record.resource)), around, now=NOW)

    assert may_go is (refused == ()), refused


def over(forecast: str) -> BudgetStatus:
    budget = Budget("prod", Usd.parse("1"), Window.MONTH, UTC, delete_at=Decimal(1))
    return BudgetStatus(
        budget=budget,
        starts_at=at("2026-03-01 00:00"),
        ends_at=at("2026-04-01 00:00"),
        spent=Usd.parse("0.5"),
        uncertain=Usd(0),
        committed=Usd.parse("0.5"),
        forecast=Usd.parse(forecast),
        exhausted_at=None,
    )


@pytest.mark.parametrize(("forecast", "kept"), [("1", False), ("1.2", False), ("0.999999", True)])
def test_a_budget_must_still_be_over(forecast: str, kept: bool) -> None:
    it = deletion(ground=Ground.BUDGET, rule="prod")

    assert kept is bool(refusals(it, examined(), situation(statuses=(over(forecast),)), now=NOW))


def test_for_a_budget_that_may_be_met_by_now_nothing_goes() -> None:
    it = deletion(ground=Ground.BUDGET, rule="prod")
    around = situation(statuses=(over("2"),), deletions=(it,))
    own, first, *others = [record.resource for record in around.records.values()]

    def kept_by(*listed: Resource, **facts: Any) -> list[str]:
        found = examined(fresh=fresh(own, *listed, *others))
        return [one.says for one in refusals(it, found, replace(around, **facts), now=NOW)]

    assert [] == kept_by(first)
    why = ["what budget prod comes to has changed since it was reckoned"]
    assert why == kept_by()  # somebody has ended one by hand
    assert why == kept_by(replace(first, status="Stopped"))
    assert why == kept_by(replace(first, price=Decimal("0.1")))
    assert why == kept_by(replace(first, price=None))
    assert [] == kept_by(deletions=(it, asked_for(first.identity.id, hours_ago=0.1, state=DeletionState.REQUESTED)))


def test_a_record_is_reclaimed_though_nothing_else_is_left() -> None:
    record = machine(status="Terminated", billed=False, listed={"reserved": Usd.parse("0.3"), "next_charge_at": None})
    around = situation(records=fleet(record), **policy(reclaim=True))
    it = deletion(ground=Ground.RECLAIM, rule="reclaim", notified_at=NOW - 2 * HOUR)

    assert () == refusals(it, examined(fresh=fresh(record.resource)), around, now=NOW)


def test_an_address_is_released_after_the_last_machine() -> None:
    terms: dict[str, Any] = {"generation": Generation.CLOUD_V2}
    vm = machine("vm-1", presence=Presence.GONE, status="terminated", last_seen="2026-03-02 12:00", **terms)
    address = machine(
        "ip-1", kind=Kind.PUBLIC_IP, status="ready", listed={"attached_to": ("vm-1",), "next_charge_at": None}, **terms
    )
    deleted = replace(asked_for("vm-1", hours_ago=30), generation=Generation.CLOUD_V2)
    around = situation(
        records=fleet(vm, address),
        configured=frozenset({("main", Generation.CLOUD_V2)}),
        deletions=(deleted,),
        **policy(release_public_ips=True),
    )
    it = deletion(
        ground=Ground.RELEASE,
        rule="release_public_ips",
        kind=Kind.PUBLIC_IP,
        identity=address.state.identity,
        target_id="ip-1",
        generation=Generation.CLOUD_V2,
        notified_at=NOW - 25 * HOUR,
    )

    assert () == refusals(it, examined(fresh=fresh(address.resource)), around, now=NOW)


def test_a_machine_that_may_be_busy_does_not_go_for_a_budget() -> None:
    it = deletion(ground=Ground.BUDGET, rule="prod")
    around = situation(statuses=(over("2"),), **clock(verdict=IdleVerdict.UNKNOWN))

    assert ["whether it is idle is not known"] == [one.says for one in refusals(it, examined(), around, now=NOW)]


def test_the_share_is_of_the_fleet_of_24_hours_ago_rounded_up() -> None:
    young = [machine(f"0xy{n}", created_at=NOW - HOUR, first_seen=NOW - HOUR) for n in range(50)]
    ended = [machine(f"0xe{n}", billed=False) for n in range(50)]
    old = [machine(f"0xo{n}") for n in range(5)]
    around = situation(records=fleet(machine(), *old, *young, *ended))

    assert 2 == most_of_fleet(around, account="main", now=NOW)  # a fifth of six


@pytest.mark.parametrize(
    "condition",
    [
        Condition(Signal.PROMQL, below=Decimal(1), query="q", match=Match.NAME),
        Condition(Signal.PROMQL, below=Decimal(1), query="q", match=Match.PUBLIC_IP),
        CPU,
    ],
)
def test_a_machine_that_took_its_name_and_address_since_the_last_look_speaks_for_nobody(condition: Condition) -> None:
    rule = replace(RULE, when=(condition,))
    own = replace(RESOURCE, public_ip="10.0.0.7")
    fleet_now = [*(record.resource for record in situation().records.values() if record.state.identity != WEB), own]
    twin = replace(own, id="0xnew", created_at=NOW)
    around = situation(rules=(rule,), clocks={(WEB, rule.name): idle_clock(digest=rule.digest)})
    holds = {(WEB, condition): Reading(condition, True, "quiet")}

    def kept_by(*listed: Resource) -> list[str]:
        found = examined(fresh=fresh(*listed), readings=holds)
        return [one.says for one in refusals(deletion(), found, around, now=NOW)]

    assert [] == kept_by(*fleet_now)
    assert any("ambiguous" in says for says in kept_by(*fleet_now, twin))


def test_a_call_in_doubt_counts_and_one_that_the_api_refused_does_not() -> None:
    def kept_by(actor: str) -> list[str]:
        then = NOW - 2 * HOUR
        steps = tuple(Transition(then, state, actor, "") for state in (DeletionState.EXECUTING, DeletionState.FAILED))
        failed = [asked_for(f"0xf{n}", hours_ago=2, state=DeletionState.FAILED) for n in range(3)]
        ended = [replace(one, history=steps) for one in failed]
        return [one.says for one in refusals(deletion(), examined(), situation(deletions=ended), now=NOW)]

    assert "max_per_day is reached: 3 deletions in 24 hours" in kept_by("costwatch")
    assert [] == kept_by("api")


def test_after_24_hours_a_deletion_counts_no_more() -> None:
    done = (asked_for("0xa", hours_ago=24), asked_for("0xb", hours_ago=25))

    assert () == refusals(deletion(), examined(), situation(deletions=(deletion(), *done)), now=NOW)
