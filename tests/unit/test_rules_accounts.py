"""`design.md` 3.1 "Accounts": generations that come and go, ids in two places, likely twins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.billing.twins import likely_twins
from fluence_costwatch.core.epochs import Span
from fluence_costwatch.core.resources import Generation, Identity, Resource
from tests.watch import OTHER, PRICE, Watch, day, proves, usd, vm

V2, V3 = Generation.VMS_V2, Generation.VMS_V3
OLD = vm("web", created_at=day(-9, "12:00"), total_spent=usd("3"))

ADDED = (
    "A generation added to an account that has history charges from the moment it was added, unless `charge_from` says "
    "otherwise."
)


@proves(ADDED)
def test_a_generation_added_later_is_charged_from_the_epoch_in_which_it_was_added() -> None:
    watch = Watch(V2)
    watch.look(day(0, "12:00"), OTHER)
    for clock in ("12:00", "12:05", "12:10"):
        watch.look(day(1, clock), OLD, generation=V3)

    assert [day(0, "17:55")] == [row.span.start for row in watch.epochs()]
    assert [] == watch.corrections()
    assert usd("0") == watch.uncertain(day(1, "12:10"))


@proves(ADDED)
def test_the_first_generation_of_an_account_is_charged_from_creation() -> None:
    watch = Watch(V3)
    watch.look(day(0, "12:00"), OTHER, vm("web", created_at=day(-2, "12:00")))

    assert [day(-2, "12:00"), day(-2, "17:55"), day(-1, "17:55")] == [row.span.start for row in watch.epochs()]


@proves("unless `charge_from` says otherwise")
@pytest.mark.parametrize("generation", [V2, V3], ids=["first generation", "added generation"])
def test_charge_from_says_from_when_lives_are_charged(generation: Generation) -> None:
    watch = Watch(V2, charge_from=day(-2, "20:00"))
    watch.look(day(-1), OTHER)
    watch.look(day(0, "12:00"), OTHER, vm("web", created_at=day(-9, "12:00")), generation=generation)

    assert [day(-2, "17:55"), day(-1, "17:55")] == [row.span.start for row in watch.epochs()]


RETIRED = "A removed account or generation is retired: open epochs close, nothing more is charged or uncertain."


@proves(RETIRED)
def test_of_a_removed_generation_nothing_more_is_charged_or_uncertain() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), OTHER, vm("web"))
    watch.retire(V2)

    assert [True] == [row.closed for row in watch.epochs()]
    assert Presence.GONE is watch.state().presence
    assert (PRICE, usd("0")) == (watch.total().dollars, watch.uncertain(day(9)))


@proves(RETIRED)
@pytest.mark.parametrize("reported", [day(1, "15:00"), day(1, "19:00"), day(1, "17:55"), None])
def test_a_generation_added_again_begins_where_its_closed_epoch_ended(reported: datetime | None) -> None:
    watch = Watch()
    watch.look(day(0, "18:00"), OTHER, vm("web", next_charge_at=day(1, "17:55")))
    watch.retire(V2)
    watch.look(day(1, "12:00"), OTHER, vm("web", next_charge_at=reported))
    watch.look(day(2, "12:00"), OTHER, vm("web", next_charge_at=reported))

    assert day(1, "17:55") == watch.epochs()[0].span.end
    assert day(1, "17:55") == watch.epochs()[1].span.start
    assert 2 == len(watch.epochs())


@proves(RETIRED)
def test_a_generation_added_again_after_days_is_not_charged_for_the_days_between() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), OTHER, vm("web"))
    watch.retire(V2)
    watch.look(day(5, "12:00"), OTHER, vm("web"))

    assert [Span(day(-1, "17:55"), day(0, "17:55")), Span(day(4, "17:55"), day(5, "17:55"))] == [
        row.span for row in watch.epochs()
    ]
    assert usd("0") == watch.uncertain(day(5, "12:00"))


ONCE = "One id in two accounts is charged once, under the first, and alerts"


@proves(ONCE)
def test_an_id_that_another_account_is_charged_for_is_not_charged_again_and_alerts_once() -> None:
    watch = Watch(account="lab", claimed={"0xweb": "main"})
    watch.polls(day(0, "12:00"), day(3), OTHER, vm("web", id="0xWEB", total_spent=usd("7"), created_at=day(-5)))

    assert [] == watch.epochs() + watch.corrections()
    assert usd("0") == watch.uncertain(day(3))
    assert [("drift", "0xweb")] == [(finding.kind, finding.resource_id) for finding in watch.findings]
    assert "main" in watch.findings[0].summary


@proves(ONCE)
def test_an_id_that_the_first_account_no_longer_holds_is_charged_here_from_the_next_epoch() -> None:
    watch = Watch(account="lab", claimed={"0xweb": "main"})
    watch.polls(day(0, "12:00"), day(0, "13:00"), OTHER, vm("web"))
    watch.claimed = {}
    watch.polls(day(0, "13:05"), day(0, "18:00"), OTHER, vm("web"))

    assert [Span(day(0, "17:55"), day(1, "17:55"))] == [row.span for row in watch.epochs()]


@proves(ONCE)
def test_an_id_is_one_resource_whatever_its_case() -> None:
    watch = Watch()
    watch.look(day(0, "12:00"), OTHER, vm("web", id="0xWeB"))
    watch.look(day(0, "12:05"), OTHER, vm("web", id="0xwEb"))

    assert {"0xweb", "0xother"} == set(watch.history.resources)
    assert PRICE == watch.total().dollars


@proves(ONCE)
def test_an_id_in_two_generations_is_charged_once_under_the_first_listed() -> None:
    watch = Watch(V3)
    for hour in ("12:00", "12:05", "18:00"):
        watch.look(day(0, hour), OTHER, vm("web", price=PRICE), generation=V3, rank=0)
        watch.look(day(0, hour), OTHER, vm("web", price=PRICE * 2), generation=V2, rank=1)

    assert [PRICE, PRICE] == [row.amount.dollars for row in watch.epochs()]
    assert V3 is watch.state().generation


TWINS = "likely twins across generations (same address, or name and creation time) alert"
HERE = vm("web", public_ip="203.0.113.7", created_at=day(0, "12:00"))
THERE = replace(HERE, id="0xelsewhere", generation=V3)


@proves(TWINS)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HERE, THERE),
        (HERE, replace(THERE, name="renamed", created_at=None)),
        (HERE, replace(THERE, public_ip=None)),
        (HERE, replace(THERE, public_ip="203.0.113.8")),
        (replace(HERE, account="lab"), replace(THERE, generation=V2)),
    ],
    ids=["all alike", "same address", "same name and creation", "address apart", "two accounts"],
)
def test_likely_twins_alert_once_a_pair(one: Resource, other: Resource) -> None:
    (found,) = likely_twins([OTHER, one, other])

    assert ("drift", "warning") == (found.kind, found.severity)
    assert likely_twins([other, one]) == (found,)
    for twin in (one, other):
        assert twin.id in found.summary


@proves(TWINS)
@pytest.mark.parametrize(
    "other",
    [
        replace(THERE, public_ip=None, name="renamed"),
        replace(THERE, public_ip=None, created_at=day(0, "12:01")),
        replace(THERE, public_ip=None, created_at=None),
        replace(THERE, generation=V2),
        replace(THERE, id="0xWEB"),
    ],
    ids=["name apart", "creation apart", "creation unknown", "same list", "same identity"],
)
def test_what_is_not_alike_is_no_twin(other: Resource) -> None:
    assert () == likely_twins([HERE, other])


@proves(TWINS)
def test_what_is_unknown_of_both_makes_no_twins() -> None:
    nameless = replace(HERE, name=None, public_ip=None)
    blank = replace(HERE, name="", public_ip="", created_at=None)

    assert () == likely_twins([nameless, replace(nameless, id="0x1", generation=V3)])
    assert () == likely_twins([blank, replace(blank, id="0x1", generation=V3)])


@proves(TWINS)
def test_a_finding_names_the_twin_that_sorts_last() -> None:
    (found,) = likely_twins([HERE, THERE])

    assert Identity("main", "0xweb") == Identity(found.account, found.resource_id or "")
