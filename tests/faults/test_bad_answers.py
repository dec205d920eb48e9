"""Every way in which the marketplace can misbehave, and what the watch then does: nothing lost, invented or ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.cycle import Turn
from fluence_costwatch.simulator.misbehaviour import KINDS
from tests.rig import Rig, rig

MINUTE = timedelta(minutes=1)
# The looks of the fault lie around the boundary at 17:55.
START = datetime(2026, 3, 1, 17, 30, tzinfo=UTC)
LOOKS = (10 * MINUTE, 12 * MINUTE, 5 * MINUTE)
FLEET = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what it does to a look.

    `unknown` is the value that cannot be read any more, `told` the kinds of what an operator hears while it lasts.
    Machines that a list hides are `hidden`: after two such lists in a row they are believed to be gone, until they are
    listed again.
    """

    kind: str
    outcome: str = "ok"
    unknown: str | None = None
    told: tuple[str, ...] = ()
    hidden: int = 0
    params: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.kind, *map(str, self.params.values())])


CASES = (
    # How an answer arrives.
    Case("latency", params={"seconds": 0.2}),
    Case("latency", "unavailable", params={"seconds": 30}),
    Case("clock_skew"),
    Case("no_date"),
    Case("status", "refused", params={"code": 401}),
    Case("status", "refused", params={"code": 403}),
    Case("status", "unexpected", params={"code": 404}),
    Case("status", "unexpected", params={"code": 418}),
    Case("status", "unavailable", params={"code": 429, "retry_after": 3600}),
    Case("status", "unavailable", params={"code": 500}),
    Case("status", "unavailable", params={"code": 502}),
    Case("status", "unavailable", params={"code": 503, "retry_after_date": 3600}),
    Case("redirect", "unexpected"),
    Case("close_before_headers", "unavailable"),
    Case("close_after_headers", "unavailable"),
    Case("reset", "unavailable"),
    Case("cut_short", "unavailable"),
    Case("drip", "unavailable"),
    Case("hang", "unavailable"),
    Case("truncated_json", "unexpected"),
    Case("invalid_json", "unexpected"),
    Case("html", "unexpected"),
    Case("empty_body", "unexpected"),
    Case("wrong_type", "unexpected"),
    Case("wrong_type", "unexpected", params={"value": None}),
    Case("deep_nesting", "unexpected"),
    Case("huge_body", "unexpected"),
    Case("huge_body", "unexpected", params={"declared": False}),
    Case("gzip_bomb", "unexpected"),
    # One bad name hides no machine.
    Case("not_utf8", unknown="name", told=("status",)),
    Case("lone_surrogate"),
    Case("hostile_name"),
    # What cannot be told apart cannot be charged, so such a list is set aside whole.
    Case("id_missing", "unexpected"),
    Case("id_null", "unexpected"),
    Case("not_objects", "unexpected"),
    Case("id_case"),
    Case("duplicate_vm"),
    Case("duplicate_vm", unknown="id", told=("status",), params={"changes": {"pricePerEpoch": "9.5"}}),
    # An unknown status is charged as if the machine ran.
    Case("unknown_status", told=("status",) * FLEET),
    Case("null_status", unknown="status", told=("status",) * FLEET * 2),
    # An unknown price is the last known one.
    Case("price_null", unknown="price", told=("price",) * FLEET),
    Case("price_missing", unknown="price", told=("price",) * FLEET),
    Case("price_float", unknown="price", told=("price",) * FLEET),
    Case("price_negative", unknown="price", told=("price",) * FLEET),
    Case("price_huge", unknown="price", told=("price",) * FLEET),
    Case("price_text", unknown="price", told=("price",) * FLEET),
    Case("price_too_precise", unknown="price", told=("price",) * FLEET),
    Case("price_with_point"),
    Case("price_digits"),
    # An unknown charge time leaves the boundaries where they were.
    Case("date_malformed", unknown="next_charge_at", told=("status",) * FLEET),
    Case("date_null"),
    Case("date_future", unknown="next_charge_at", told=("status",) * FLEET),
    Case("date_past", unknown="next_charge_at", told=("status",) * FLEET),
    Case("date_malformed", unknown="created_at", told=("status",) * FLEET, params={"field": "createdAt"}),
    Case("details_any"),
    Case("extra_fields"),
    Case("supply_string"),
    Case("field"),
    Case("field", unknown="name", told=("status",) * FLEET, params={"value": ["web"]}),
    Case("field_missing"),
    # Lists that lack machines.
    Case("empty_list", "suspicious", told=("suspicious",)),
    Case("half_list", hidden=2),
    Case("missing_vm", hidden=1),
)

# Only lists that come in pages, or parts of their own, can have these: test_fluence_cloud.py.
OF_OTHER_GENERATIONS = (
    "attached_to",
    "page_endless",
    "page_moves",
    "page_repeats",
    "page_short",
    "page_totals",
    "page_without",
)


def test_every_kind_of_misbehaviour_is_expected_here() -> None:
    assert sorted(KINDS) == sorted({case.kind for case in CASES} | set(OF_OTHER_GENERATIONS))


@contextmanager
def watched_fleet(tmp_path: Path, **options: Any) -> Iterator[Rig]:
    """Four machines, seen twice, at 17:35."""
    with rig(tmp_path / "watch.db", start=START, generation=Generation.VMS_V3, **options) as watch:
        for number in range(FLEET):
            watch.market.create(f"vm-{number}")
        watch.poll()
        watch.advance(5 * MINUTE)
        watch.poll()
        yield watch


def outcome(turn: Turn) -> str:
    return turn.records[0].outcome


def kept(watch: Rig) -> set[tuple[str, datetime, int]]:
    """The rows of the ledger, as far as none may ever change."""
    with watch.store.reading() as reading:
        return {(row.charge.identity.id, row.charge.span.start, row.charge.amount.micros) for row in reading.charges()}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_over_a_boundary_loses_nothing_invents_nothing_and_ends_nothing(tmp_path: Path, case: Case) -> None:
    with watched_fleet(tmp_path) as watch:
        before = kept(watch)
        watch.market.misbehave(case.kind, **case.params)
        turns = []
        hidden_before = 0
        for pause in LOOKS:
            watch.advance(pause)
            turns.append(watch.poll())

            assert case.outcome == outcome(turns[-1])
            assert before <= kept(watch)
            # Two complete lists in a row that lack a machine are believed; whether its epoch is paid is then unknown.
            assert watch.differences() == [] or hidden_before
            states = watch.states().values()
            hidden_before = len([state for state in states if state.presence is not Presence.PRESENT])
            assert case.hidden == hidden_before
            unreadable = {problem.partition(":")[0] for state in states for problem in state.problems}
            assert ({case.unknown} if case.unknown else set()) == unreadable
        assert case.told == tuple(finding.kind for turn in turns for finding in turn.findings)
        if case.outcome != "ok":
            assert all(turn.records[0].detail for turn in turns)

        watch.market.behave()
        for _ in range(3):
            watch.advance(10 * MINUTE)
            assert "ok" == outcome(watch.poll())
            assert [] == watch.differences()

        assert before <= kept(watch)
        assert {Presence.PRESENT} == {state.presence for state in watch.states().values()}
        assert [] == watch.unequal()
        assert [] == watch.store.rebuild()


def test_an_empty_list_is_believed_when_it_has_stayed_so_and_forgiven_when_it_was_wrong(tmp_path: Path) -> None:
    with watched_fleet(tmp_path) as watch:
        watch.market.misbehave("empty_list")
        outcomes = []
        for _ in range(8):
            watch.advance(5 * MINUTE)
            outcomes.append(outcome(watch.poll()))

        # 17:40 to 18:05 are less than the 30 minutes of `confirm_suspicious`, 18:10 is not; the second one believed ends.
        assert ["suspicious"] * 6 + ["ok"] * 2 == outcomes
        assert {Presence.GONE} == {state.presence for state in watch.states().values()}

        watch.market.behave()
        watch.polls(20 * MINUTE, every=5 * MINUTE)

        assert {Presence.PRESENT} == {state.presence for state in watch.states().values()}
        assert [] == watch.unequal()
        assert [] == watch.store.rebuild()


def test_most_of_a_list_missing_is_believed_when_it_has_stayed_so(tmp_path: Path) -> None:
    with watched_fleet(tmp_path) as watch:
        for _ in range(2):
            watch.market.misbehave("half_list")  # half of a half: three of four are missing
        outcomes = []
        for _ in range(8):
            watch.advance(5 * MINUTE)
            outcomes.append(outcome(watch.poll()))
            if outcomes[-1] == "suspicious":
                assert {Presence.PRESENT} == {state.presence for state in watch.states().values()}
                assert [] == watch.differences()

        assert ["suspicious"] * 6 + ["ok"] * 2 == outcomes
        assert 3 == len([state for state in watch.states().values() if state.presence is Presence.GONE])

        watch.market.behave()
        watch.polls(20 * MINUTE, every=5 * MINUTE)

        assert [] == watch.unequal()
        assert [] == watch.store.rebuild()


def test_a_list_that_is_empty_now_and_then_never_ends_anything(tmp_path: Path) -> None:
    with watched_fleet(tmp_path) as watch:
        for _ in range(12):
            watch.market.misbehave("empty_list", times=1)
            for expected in ("suspicious", "ok"):
                watch.advance(5 * MINUTE)
                assert expected == outcome(watch.poll())
                assert [] == watch.differences()

        assert {Presence.PRESENT} == {state.presence for state in watch.states().values()}
        assert [] == watch.unequal()


def test_a_marketplace_that_is_down_over_a_boundary_leaves_that_epoch_uncertain_until_it_is_back(
    tmp_path: Path,
) -> None:
    with watched_fleet(tmp_path) as watch:
        watch.advance(18 * MINUTE)
        assert "ok" == outcome(watch.poll())
        before = kept(watch)
        watch.market.go_down()
        watch.now += 5 * MINUTE  # 17:58; its own clock cannot be set while it is down

        assert "unavailable" == outcome(watch.poll())
        assert before == kept(watch)

        watch.market.come_back()
        watch.advance(6 * MINUTE)
        assert [] == watch.differences()
        assert [f"{FLEET * 298160} more in the books"] == uncertain(watch)
        assert "ok" == outcome(watch.poll())
        assert [] == watch.unequal()
        assert len(before) + FLEET == len(kept(watch))


def uncertain(watch: Rig) -> list[str]:
    """How much more the books hold than the ledger, in words; nothing where they are equal."""
    more = watch.market.books().total - sum(amount for _, _, amount in kept(watch))
    return [f"{more} more in the books"] if more else []
