"""What one cycle makes of deletions: proposed, told, moved, withdrawn, proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.budgets.budget import Budget, BudgetStatus, Window
from fluence_costwatch.core.deletion.deletion_findings import deletion_findings
from fluence_costwatch.core.deletion.deletion_views import deletions_view
from fluence_costwatch.core.deletion.deletions import (
    Deletion,
    DeletionState,
    Ground,
    IfMissed,
    Kept,
    Lease,
    Mode,
    Protection,
    Veto,
)
from fluence_costwatch.core.deletion.grounds import Situation
from fluence_costwatch.core.deletion.outcomes import explain_absence
from fluence_costwatch.core.deletion.planning import applied, shortfalls, situation_of
from fluence_costwatch.core.deletion.protection import Keeping, newly_kept
from fluence_costwatch.core.deletion.savings import saving_of
from fluence_costwatch.core.idle.idleness import IdleVerdict
from fluence_costwatch.core.idle.rules import Action, Condition, Signal
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.ports import ResourceRecord
from tests.deletable import (
    EXECUTE,
    NOTICED,
    NOW,
    RULE,
    WEB,
    E,
    asked_for,
    deletion,
    fleet,
    idle_clock,
    keeping,
    machine,
    planned,
    situation,
)
from tests.known import Facts, at

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def policy(**facts: Any) -> dict[str, Any]:
    return {"policy": replace(EXECUTE, **facts)}


def test_an_idle_machine_is_proposed_with_what_it_costs() -> None:
    proposed = planned(situation(deletions=())).only

    assert (DeletionState.PROPOSED, Ground.IDLE, RULE.name) == (proposed.state, proposed.ground, proposed.rule)
    assert ("new1", "0xWeb", "web") == (proposed.id, proposed.target_id, proposed.name)
    assert ("cpu 0.8% busy",) == proposed.evidence
    assert (Decimal("0.298160"), E) == (proposed.next_charge, proposed.next_charge_at)
    assert [DeletionState.PROPOSED] == [step.state for step in proposed.history]


ALERTS = replace(RULE, action=Action.ALERT)
LEASE_RULE = replace(RULE, name="lease", when=(Condition(Signal.LEASE),))

NOT_PROPOSED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("the rule only alerts", {"rules": (ALERTS,)}),
    ("unknown", {"clocks": {(WEB, RULE.name): idle_clock(verdict=IdleVerdict.UNKNOWN)}}),
    ("active", {"clocks": {(WEB, RULE.name): idle_clock(verdict=IdleVerdict.ACTIVE)}}),
    ("judged by the rule as it was", {"clocks": {(WEB, RULE.name): idle_clock(digest="another")}}),
    ("protected", {"keeping": keeping(protect=Protection(("we?",)))}),
    ("vetoed", {"vetoes": (Veto(WEB, RULE.name, NOW + HOUR, "ann", "", NOW),)}),
    ("found by asking", {"configured": frozenset()}),
    ("without a name", {"records": fleet(machine(name=None))}),
    ("missing", {"records": fleet(machine(presence=Presence.MISSING))}),
    ("gone", {"records": fleet(machine(presence=Presence.GONE))}),
    ("unpriced", {"records": fleet(machine(price=None))}),
    ("with a status nobody knows", {"records": fleet(machine(status="odd"))}),
    ("leased by its name", {"records": fleet(machine(name="web--until-2026-12-01"))}),
    ("leased by a name that cannot be read", {"records": fleet(machine(name="web--until-2026-02-31"))}),
    ("a disk", {"records": fleet(machine(kind=Kind.STORAGE, listed={"attached_to": ()}))}),
    ("proposed already", {"deletions": (deletion(execute_at=at("2026-03-03 17:25")),)}),
    ("unconfirmed", {"deletions": (asked_for("0xweb", hours_ago=30, state=DeletionState.UNCONFIRMED),)}),
    ("failed lately", {"deletions": (deletion(state=DeletionState.FAILED, settled_at=NOW - 23 * HOUR),)}),
)


@pytest.mark.parametrize("around", [pytest.param(row[1], id=row[0]) for row in NOT_PROPOSED])
def test_it_is_not_proposed(around: dict[str, Any]) -> None:
    assert () == planned(situation(**({"deletions": ()} | around))).proposed


def test_nothing_is_proposed_of_a_list_that_did_not_come_or_a_database_that_was_rolled_back() -> None:
    assert () == planned(situation(deletions=()), readable=()).proposed
    assert () == planned(situation(deletions=()), rolled_back=True).proposed


def test_after_a_day_what_failed_is_proposed_again() -> None:
    failed = deletion(state=DeletionState.FAILED, settled_at=NOW - DAY)

    assert ("0xweb",) == planned(situation(deletions=(failed,))).proposed


def test_a_lease_that_ran_out_is_its_own_ground() -> None:
    clocks = {(WEB, "lease"): idle_clock(rule="lease", digest=LEASE_RULE.digest)}
    around = situation(deletions=(), rules=(LEASE_RULE,), clocks=clocks)

    assert (Ground.LEASE, "lease") == (planned(around).only.ground, planned(around).only.rule)


def test_an_accepted_notice_sets_the_moment() -> None:
    waiting = deletion(state=DeletionState.PROPOSED, notified_at=None, execute_at=None)
    told = planned(situation(deletions=(waiting,)), accepted={"d1": NOTICED}, now=NOTICED + HOUR).only

    assert (DeletionState.NOTIFIED, NOTICED, NOW) == (told.state, told.notified_at, told.execute_at)


def test_nothing_is_told_by_a_notice_that_nobody_accepted() -> None:
    waiting = deletion(state=DeletionState.PROPOSED, notified_at=None, execute_at=None)

    assert () == planned(situation(deletions=(waiting,)), accepted={"other": NOTICED}).planned


def test_in_observe_mode_a_proposal_stays_one() -> None:
    around = situation(deletions=(), **policy(mode=Mode.OBSERVE))
    proposed = planned(around).only
    again = planned(replace(around, deletions=(proposed,)), accepted={proposed.id: NOW})

    assert (Mode.OBSERVE, DeletionState.PROPOSED) == (proposed.mode, proposed.state)
    assert () == again.planned


@pytest.mark.parametrize(
    ("was", "mode", "states"),
    [
        pytest.param(Mode.EXECUTE, Mode.OBSERVE, ["withdrawn", "proposed"], id="made safe"),
        pytest.param(Mode.PROPOSE, Mode.EXECUTE, ["withdrawn", "proposed"], id="made bolder: a notice of its own"),
        pytest.param(Mode.OBSERVE, Mode.EXECUTE, ["withdrawn", "proposed"], id="no longer observed"),
        pytest.param(Mode.EXECUTE, Mode.PROPOSE, ["notified"], id="to be approved now"),
    ],
)
def test_another_mode(was: Mode, mode: Mode, states: list[str]) -> None:
    state = DeletionState.PROPOSED if was is Mode.OBSERVE else DeletionState.NOTIFIED
    turned = planned(situation(deletions=(deletion(mode=was, state=state),), **policy(mode=mode)))

    assert states == [one.state.value for one, _ in turned.planned]
    assert {mode} == {one.mode for one, _ in turned.planned if one.state is not DeletionState.WITHDRAWN}


WITHDRAWN: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("busy again", {"clocks": {(WEB, RULE.name): idle_clock(verdict=IdleVerdict.ACTIVE)}}, "is active now"),
    ("unknown", {"clocks": {(WEB, RULE.name): idle_clock(verdict=IdleVerdict.UNKNOWN)}}, "is unknown now"),
    ("busy meanwhile", {"clocks": {(WEB, RULE.name): idle_clock(since=NOW - HOUR)}}, "not idle all the time"),
    ("renamed", {"records": fleet(machine(name="db"))}, "'web' is 'db' now"),
    ("re-created", {"records": fleet(machine(listed={"created_at": NOW}))}, "created anew"),
    ("re-priced", {"records": fleet(machine(price="0.4"))}, "price has changed"),
    ("protected", {"keeping": keeping(protect=Protection(("web",)))}, "protected"),
    ("gone", {"records": fleet(machine(presence=Presence.GONE))}, "it is gone"),
    ("never seen", {"records": {}}, "nothing is remembered"),
    ("the rule gone", {"rules": ()}, "no longer configured"),
    ("the generation gone", {"configured": frozenset()}, "does not name"),
)


@pytest.mark.parametrize(("around", "why"), [pytest.param(*row[1:], id=row[0]) for row in WITHDRAWN])
def test_it_is_withdrawn(around: dict[str, Any], why: str) -> None:
    turned = planned(situation(**around), readable=())

    assert DeletionState.WITHDRAWN is turned.only.state
    assert why in turned.only.history[-1].reason


def test_a_restored_database_withdraws_all_that_waits() -> None:
    running = asked_for("0xwork1", hours_ago=0.1, state=DeletionState.REQUESTED)
    turned = planned(situation(deletions=(deletion(), running)), rolled_back=True)

    assert ("d1", DeletionState.WITHDRAWN) == (turned.only.id, turned.only.state)


def test_a_notice_that_was_accepted_by_a_wrong_clock_counts_for_nothing() -> None:
    off = timedelta(minutes=6)
    told, observed = situation(), situation(deletions=(deletion(mode=Mode.OBSERVE, state=DeletionState.PROPOSED),))
    observing = replace(observed, policy=replace(EXECUTE, mode=Mode.OBSERVE))

    for ahead in (off, -off):
        assert DeletionState.WITHDRAWN is planned(told, clock_ahead=ahead).only.state
        assert () == planned(situation(deletions=()), clock_ahead=ahead).planned
        assert () == planned(observing, clock_ahead=ahead).planned
    assert () == planned(told, clock_ahead=timedelta(minutes=5)).planned


def test_a_notice_from_before_its_proposal_was_accepted_by_a_wrong_clock() -> None:
    before = deletion(notified_at=NOTICED - HOUR, proposed_at=NOTICED)

    (withdrawn, _), *_ = planned(situation(deletions=(before,))).planned

    assert DeletionState.WITHDRAWN is withdrawn.state
    assert "the clock was changed" in withdrawn.history[-1].reason


def test_a_failed_look_withdraws_nothing() -> None:
    assert () == planned(situation(), readable=(), now=NOW - timedelta(minutes=1)).planned


def test_a_missed_moment_goes_to_the_next_epoch_with_its_notice_and_takes_the_approval_with_it() -> None:
    late = E - timedelta(minutes=9)
    waiting = planned(situation(), now=late).only
    said = deletion(state=DeletionState.APPROVED, mode=Mode.PROPOSE, approved_for=NOW)
    approved = planned(situation(deletions=(said,), **policy(mode=Mode.PROPOSE)), now=late).only

    assert (DeletionState.NOTIFIED, NOW + DAY, NOTICED) == (waiting.state, waiting.execute_at, waiting.notified_at)
    assert (DeletionState.NOTIFIED, None, NOW + DAY) == (approved.state, approved.approved_for, approved.execute_at)
    assert () == planned(situation(**policy(if_missed=IfMissed.NOW)), now=late).planned


CALLED = NOW - timedelta(minutes=20)


def called(state: DeletionState, **facts: Any) -> Deletion:
    return replace(asked_for("0xweb", hours_ago=0, state=state, **facts), requested_at=CALLED, settled_at=None)


def gone(**facts: Any) -> ResourceRecord:
    return machine(presence=Presence.GONE, absent_since=CALLED + timedelta(minutes=5), **facts)


OUTCOMES: tuple[tuple[str, DeletionState, ResourceRecord, timedelta, DeletionState], ...] = (
    ("taken, still listed", DeletionState.REQUESTED, machine(), timedelta(0), DeletionState.REQUESTED),
    (
        "taken, missing once",
        DeletionState.REQUESTED,
        machine(presence=Presence.MISSING, absent_since=NOW),
        timedelta(0),
        DeletionState.REQUESTED,
    ),
    ("taken, gone", DeletionState.REQUESTED, gone(), timedelta(0), DeletionState.VERIFIED),
    (
        "taken, listed as ended",
        DeletionState.REQUESTED,
        machine(status="Stopped"),
        timedelta(0),
        DeletionState.VERIFIED,
    ),
    (
        "taken, listed without its creation time",
        DeletionState.REQUESTED,
        machine(listed={"created_at": None}),
        timedelta(0),
        DeletionState.REQUESTED,
    ),
    (
        "taken, listed by another generation in its own precision",
        DeletionState.REQUESTED,
        machine(
            generation=Generation.CLOUD_V2,
            listed={"created_at": at("2026-02-01 12:00") + timedelta(milliseconds=7)},
        ),
        timedelta(0),
        DeletionState.REQUESTED,
    ),
    (
        "absent before the call",
        DeletionState.REQUESTED,
        machine(presence=Presence.GONE, absent_since=CALLED - HOUR),
        timedelta(0),
        DeletionState.REQUESTED,
    ),
    ("not watched any more", DeletionState.REQUESTED, gone(retired=True), timedelta(0), DeletionState.REQUESTED),
    ("taken, an hour ago, still listed", DeletionState.REQUESTED, machine(), HOUR, DeletionState.UNCONFIRMED),
    ("in doubt, gone at last", DeletionState.UNCONFIRMED, gone(), DAY, DeletionState.VERIFIED),
    ("in doubt for days", DeletionState.UNCONFIRMED, machine(), 3 * DAY, DeletionState.UNCONFIRMED),
    ("no answer, still listed", DeletionState.EXECUTING, machine(), timedelta(0), DeletionState.EXECUTING),
    ("no answer, gone", DeletionState.EXECUTING, gone(), timedelta(0), DeletionState.REQUESTED),
    (
        "no answer, listed an hour later",
        DeletionState.EXECUTING,
        machine(last_seen="2026-03-03 18:20"),
        HOUR,
        DeletionState.FAILED,
    ),
    (
        "no answer, no list since",
        DeletionState.EXECUTING,
        machine(last_seen="2026-03-03 17:00"),
        HOUR,
        DeletionState.UNCONFIRMED,
    ),
)


@pytest.mark.parametrize(
    ("state", "record", "later", "expected"), [pytest.param(*row[1:], id=row[0]) for row in OUTCOMES]
)
def test_what_became_of_a_call(
    state: DeletionState, record: ResourceRecord, later: timedelta, expected: DeletionState
) -> None:
    it = called(state)
    work = machine("0xwork")
    turned = planned(situation(deletions=(it,), records=fleet(record, work)), readable=(), now=NOW + later)

    assert [expected] == [one.state for one, _ in turned.planned] or (state is expected and turned.planned == ())


def test_an_empty_list_proves_nothing_until_it_has_stayed_so() -> None:
    around = situation(deletions=(called(DeletionState.REQUESTED),), records=fleet(gone()))

    assert () == planned(around, now=CALLED + timedelta(minutes=34)).planned
    assert DeletionState.VERIFIED is planned(around, now=CALLED + timedelta(minutes=35)).only.state


def test_what_is_listed_again_after_the_proof_has_failed_and_is_not_proposed_at_once() -> None:
    proven = replace(called(DeletionState.VERIFIED), settled_at=CALLED + timedelta(minutes=1))
    turned = planned(situation(deletions=(proven,)))

    assert (DeletionState.FAILED, "d-0xweb") == (turned.only.state, turned.only.id)


def test_what_is_listed_again_without_its_creation_time_has_failed_too() -> None:
    proven = replace(called(DeletionState.VERIFIED), settled_at=CALLED + timedelta(minutes=1))
    back = machine(listed={"created_at": None})
    turned = planned(situation(deletions=(proven,), records=fleet(back, machine("0xwork"))))

    assert DeletionState.FAILED is turned.only.state


def test_another_life_under_the_id_is_not_the_one_that_was_deleted() -> None:
    proven = replace(called(DeletionState.VERIFIED), settled_at=CALLED, created_at=at("2026-01-01 00:00"))

    assert ("0xweb",) == planned(situation(deletions=(proven,))).proposed


def test_a_saving_is_the_next_charge_if_it_went_in_time_and_the_daily_burn() -> None:
    went = replace(
        called(DeletionState.VERIFIED, next_charge=Decimal("0.3"), next_charge_at=E, burn_per_day=Decimal("0.3")),
        settled_at=E,
    )
    in_time, late = saving_of(went), saving_of(replace(went, settled_at=E + timedelta(seconds=1)))

    assert in_time is not None
    assert late is not None
    assert (Decimal("0.3"), Decimal(0)) == (in_time.avoided, late.avoided)
    assert Decimal("0.3") == late.burn_per_day
    assert saving_of(called(DeletionState.REQUESTED)) is None
    assert Decimal("0.6") == deletions_view([went, went], zone=UTC, now=NOW).saved.avoided


def test_an_absence_is_explained_by_a_call_that_the_api_did_not_refuse() -> None:
    taken = called(DeletionState.REQUESTED)
    refused = replace(
        taken,
        id="d2",
        identity=Identity("main", "0xno"),
        history=(*taken.history, replace(taken.history[0], state=DeletionState.FAILED)),
    )

    assert frozenset({"0xweb"}) == explain_absence((taken, refused, deletion(id="d3")), account="main", sent_at=NOW)
    assert frozenset() == explain_absence((taken,), account="main", sent_at=CALLED - timedelta(seconds=1))


def test_a_machine_seen_under_a_protected_name_stays_kept_under_any_other() -> None:
    wanted = keeping(protect=Protection(("db-*",)))
    (kept,) = newly_kept([machine(name="db-1"), machine("0xother")], wanted, now=NOW)
    released = replace(wanted, released={WEB: ("db-1",)})

    assert WEB == kept.identity
    assert () == planned(situation(deletions=(), keeping=keeping(kept={WEB: kept}))).proposed
    assert () == newly_kept([machine(name="db-1")], released, now=NOW)
    assert [WEB] == [one.identity for one in newly_kept([machine(name="db-2")], released, now=NOW)]


@pytest.mark.parametrize(
    "name",
    [
        "db-caf\u00e9",
        "db-cafe\u0301",
        " db-caf\u00e9\n",
        "\u200bdb-caf\u00e9",
        "DB-CAF\u00c9",
        "\uff44\uff42-caf\u00e9",
        "d\x00b-caf\u00e9",
    ],
)
def test_a_protected_name_is_known_however_it_is_encoded(name: str) -> None:
    for glob in ("db-caf\u00e9", "db-cafe\u0301"):
        assert 1 == len(newly_kept([machine(name=name)], keeping(protect=Protection((glob,))), now=NOW))
    assert () == newly_kept([machine(name=name)], keeping(protect=Protection(("db-cafe",))), now=NOW)


# One machine that is known under several identities

OTHER = Identity("second", "0xweb")


@dataclass(frozen=True, slots=True)
class Remembering(Facts):
    """What is remembered of resources and what people want kept; nothing else."""

    wanted: Keeping = Keeping()
    stopped: tuple[Veto, ...] = ()

    def deletions(self, *, states: Iterable[DeletionState] | None = None) -> Sequence[Deletion]:
        return ()

    def vetoes(self) -> Sequence[Veto]:
        return self.stopped

    def leases(self) -> Mapping[Identity, Lease]:
        return self.wanted.leases

    def kept(self) -> Mapping[Identity, Kept]:
        return self.wanted.kept

    def released(self) -> Mapping[Identity, tuple[str | None, ...]]:
        return self.wanted.released

    def silences(self) -> Sequence[Silence]:
        return self.wanted.silences

    def outbox(self, *, states: Iterable[Delivery] | None = None, target: str | None = None) -> Sequence[OutboxRow]:
        return ()


def proposed_with(*others: ResourceRecord, **remembered: Any) -> tuple[str, ...]:
    """What is proposed of the idle machine, with `others` beside it."""
    work = machine("0xwork", name="work")
    plain = situation()
    built = situation_of(
        Remembering((machine(), work, *others), **remembered),
        policy=plain.policy,
        rules=plain.rules,
        configured=plain.configured,
        clocks=plain.clocks,
        statuses=(),
        patience=plain.patience,
        confirm_suspicious=plain.confirm_suspicious,
        now=NOW,
    )
    return planned(built).proposed


def lasting_silence(**about: Any) -> Silence:
    return Silence("s1", NOW + HOUR, "alice", "", NOW, **about)


UNDER_THE_OTHER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("kept", {"wanted": keeping(kept={OTHER: Kept(OTHER, NOW, "cli alice", "needed")})}),
    ("leased", {"wanted": keeping(leases={OTHER: Lease(OTHER, NOW + HOUR, "cli alice", NOW)})}),
    ("silenced", {"wanted": keeping(silences=(lasting_silence(account="second", resource_id="0xWeb"),))}),
    ("account silenced", {"wanted": keeping(silences=(lasting_silence(account="second"),))}),
    ("vetoed", {"stopped": (Veto(OTHER, RULE.name, NOW + DAY, "link", "needed", NOW - HOUR),)}),
)


@pytest.mark.parametrize("remembered", [pytest.param(each, id=name) for name, each in UNDER_THE_OTHER])
def test_what_people_want_of_a_machine_holds_under_whichever_account_it_is_known(remembered: dict[str, Any]) -> None:
    second = machine(account="second", charged_under="main")

    assert ("0xweb",) == proposed_with(second)
    assert () == proposed_with(second, **remembered)


def test_of_what_may_be_one_machine_under_two_ids_none_goes() -> None:
    by_address = {"public_ip": "10.0.0.7"}
    here = machine(listed=by_address)
    there = machine("vm-9", name="other", generation=Generation.CLOUD_V2, listed=by_address)

    assert ("0xweb",) == proposed_with(here)
    assert () == proposed_with(here, there)
    assert () == proposed_with(machine("vm-9", generation=Generation.CLOUD_V2))
    assert ("0xweb",) == proposed_with(machine("vm-9", generation=Generation.CLOUD_V2, presence=Presence.GONE))


# Budgets

PROD = Budget("prod", Usd.parse("10"), Window.MONTH, UTC, delete_at=Decimal("1.1"))


def over(forecast: str, **facts: Any) -> BudgetStatus:
    plain = BudgetStatus(
        budget=PROD,
        starts_at=at("2026-03-01 00:00"),
        ends_at=at("2026-03-08 00:00"),
        spent=Usd.parse("3"),
        uncertain=Usd(0),
        committed=Usd.parse("3"),
        forecast=Usd.parse(forecast),
        exhausted_at=None,
    )
    return replace(plain, **facts)


def budgeted(forecast: str, *records: ResourceRecord, **facts: Any) -> Situation:
    """No rules; each machine at a dollar a day has five charges left in the window, of which a deletion spares all."""
    plain: dict[str, Any] = {"deletions": (), "rules": (), "clocks": {}, "statuses": (over(forecast),)}
    return situation(**(plain | {"records": fleet(*records)} | facts))


def test_only_as_many_go_as_bring_the_forecast_under_the_limit_the_dearest_first_then_the_newest() -> None:
    cheap, dear = machine("0xcheap", price="0.5"), machine("0xdear", price="2")
    old = machine("0xold", price="1", created_at=at("2026-01-01 00:00"))
    new = machine("0xnew", price="1", created_at=at("2026-02-20 00:00"))

    assert ("0xdear",) == planned(budgeted("15", cheap, dear, old, new), now=NOTICED).proposed
    assert {"0xdear", "0xnew"} == set(planned(budgeted("20", cheap, dear, old, new), now=NOTICED).proposed)
    assert {"0xdear", "0xnew", "0xold"} == set(planned(budgeted("25", cheap, dear, old, new), now=NOTICED).proposed)


def test_the_idle_go_first_and_the_unknown_never() -> None:
    alert = replace(RULE, action=Action.ALERT)
    ids = ("0xidle", "0xbusy", "0xunknown")
    verdicts = (IdleVerdict.IDLE, IdleVerdict.ACTIVE, IdleVerdict.UNKNOWN)
    clocks = {
        (Identity("main", id), RULE.name): idle_clock(id, verdict=verdict, at=NOTICED, digest=alert.digest)
        for id, verdict in zip(ids, verdicts, strict=True)
    }
    records = [machine("0xidle", price="1"), machine("0xbusy", price="2"), machine("0xunknown", price="9")]
    judged: dict[str, Any] = {"rules": (alert,), "clocks": clocks}

    assert ("0xidle",) == planned(budgeted("14", *records, **judged), now=NOTICED).proposed
    assert {"0xidle", "0xbusy"} == set(planned(budgeted("20", *records, **judged), now=NOTICED).proposed)
    assert () == planned(budgeted("26", *records, **judged), now=NOTICED).proposed


@pytest.mark.parametrize("forecast", ["9.99", "10", "10.99"])
def test_below_its_threshold_a_budget_deletes_nothing(forecast: str) -> None:
    assert () == planned(budgeted(forecast, machine(price="2")), now=NOTICED).proposed


def test_where_no_set_suffices_none_is_deleted_and_that_alerts() -> None:
    around = budgeted("30", machine(price="1"), machine("0xother", price="1"))
    told = deletion_findings(around, alerts=(), rolled_back=False, repeat=DAY, now=NOTICED)

    assert () == planned(around, now=NOTICED).planned
    assert ["prod"] == [choice.status.budget.name for choice in shortfalls(around, now=NOTICED)]
    assert [("critical", "budget prod")] == [(one.severity, one.rule) for one in told.findings]


def test_a_machine_without_a_charge_left_in_the_window_is_not_chosen() -> None:
    ending = over("15", ends_at=at("2026-03-03 17:00"))

    assert () == planned(budgeted("15", machine(price="9"), statuses=(ending,)), now=NOTICED).proposed


def test_a_budget_that_is_for_others_leaves_the_rest_alone() -> None:
    budget = replace(PROD, select=Selector(names=("prod-*",)))
    mine, other = machine("0xprod", name="prod-1", price="2"), machine("0xdev", name="dev", price="9")

    around = budgeted("15", mine, other, statuses=(over("15", budget=budget),))

    assert ("0xprod",) == planned(around, now=NOTICED).proposed


def test_what_goes_already_counts_and_a_budget_that_is_met_withdraws() -> None:
    records = [machine(price="2"), machine("0xother", price="2")]
    around = budgeted("15", *records)
    first = planned(around, now=NOTICED)
    standing = applied(around, first.planned)

    assert ("0xother",) == first.proposed or ("0xweb",) == first.proposed
    assert () == planned(standing, now=NOTICED).planned
    met = replace(standing, statuses=(over("10"),))
    assert DeletionState.WITHDRAWN is planned(met, now=NOTICED).only.state


def test_a_budget_that_counts_what_was_not_seen_lately_takes_nothing() -> None:
    unseen = machine("0xother", price="2", last_seen="2026-03-01 12:00")
    ended = machine("0xended", price="2", last_seen="2026-03-01 12:00", billed=False, status="Stopped")

    proposed = planned(budgeted("15", machine(price="2")), now=NOTICED).only
    around = replace(budgeted("15", machine(price="2"), unseen), deletions=(proposed,))
    after = planned(around, now=NOTICED).only

    assert DeletionState.WITHDRAWN is after.state
    assert "not all seen lately" in after.history[-1].reason
    assert () == planned(budgeted("15", machine(price="2"), unseen), now=NOTICED).proposed
    assert ("0xweb",) == planned(budgeted("15", machine(price="2"), ended), now=NOTICED).proposed


# Reclaim and release


def test_a_record_that_holds_funds_is_reclaimed_where_that_is_wanted() -> None:
    ended = machine(status="Terminated", billed=False, listed={"reserved": Usd.parse("0.3"), "next_charge_at": None})
    spent = machine(status="Terminated", billed=False, listed={"reserved": Usd(0)})
    plain: dict[str, Any] = {"deletions": (), "rules": (), "clocks": {}}

    proposed = planned(situation(**plain, records=fleet(ended), **policy(reclaim=True))).only
    assert Ground.RECLAIM is proposed.ground
    assert () == planned(situation(**plain, records=fleet(ended))).proposed
    assert () == planned(situation(**plain, records=fleet(spent), **policy(reclaim=True))).proposed


def test_an_address_is_released_where_a_verified_deletion_has_left_it() -> None:
    terms: dict[str, Any] = {"generation": Generation.CLOUD_V2}
    vm = machine("vm-1", presence=Presence.GONE, status="terminated", **terms)
    address = machine(
        "ip-1", kind=Kind.PUBLIC_IP, status="ready", listed={"attached_to": ("VM-1",), "next_charge_at": None}, **terms
    )
    deleted = replace(asked_for("vm-1", hours_ago=3), generation=Generation.CLOUD_V2, identity=Identity("main", "vm-1"))
    plain: dict[str, Any] = {
        "rules": (),
        "clocks": {},
        "records": fleet(vm, address),
        "configured": frozenset({("main", Generation.CLOUD_V2)}),
    }
    wanted = policy(release_public_ips=True)

    def proposed(**facts: Any) -> tuple[str, ...]:
        return planned(situation(**(plain | facts)), readable=(Generation.CLOUD_V2,)).proposed

    assert ("ip-1",) == proposed(deletions=(deleted,), **wanted)
    assert () == proposed(deletions=(deleted,))
    assert () == proposed(deletions=(), **wanted)
    assert () == proposed(deletions=(replace(deleted, state=DeletionState.UNCONFIRMED),), **wanted)


# What is told


def told(*deletions: Deletion, now: Any = NOW, **facts: Any) -> list[tuple[str, str, str]]:
    judged = deletion_findings(
        situation(deletions=deletions, **facts), alerts=(), rolled_back=False, repeat=DAY, now=now
    )
    return [(one.severity, one.telling.value, one.summary) for one in judged.findings]


def test_a_restored_database_says_which_command_confirms_it() -> None:
    (found,) = deletion_findings(situation(deletions=()), alerts=(), rolled_back=True, repeat=DAY, now=NOW).findings

    assert "critical" == found.severity
    assert "run `fluence-costwatch deletions confirm`" in found.advice


def test_what_an_operator_hears_beside_the_notice() -> None:
    settled: dict[str, Any] = {"settled_at": NOW}

    assert [("info", "changes", "web would be deleted, were the mode not observe")] == told(
        deletion(state=DeletionState.PROPOSED, mode=Mode.OBSERVE)
    )
    assert [] == told(deletion(state=DeletionState.PROPOSED))
    assert [("warning", "event", "Reminder: web will be deleted at 2026-03-03 17:25 UTC")] == told(
        deletion(), now=NOW - HOUR
    )
    assert [] == told(deletion(), now=NOW - 2 * HOUR)
    assert [("warning", "event", "web is not deleted after all")] == told(
        deletion(state=DeletionState.WITHDRAWN, **settled)
    )
    assert ["critical"] == [row[0] for row in told(deletion(state=DeletionState.UNCONFIRMED, **settled))]
    assert ["critical"] == [row[0] for row in told(deletion(state=DeletionState.FAILED, **settled))]


def test_a_restored_database_is_told_until_it_is_confirmed() -> None:
    judged = deletion_findings(situation(), alerts=(), rolled_back=True, repeat=DAY, now=NOW - 2 * HOUR)

    assert [("critical", "rolled_back")] == [(one.severity, one.rule) for one in judged.findings]
