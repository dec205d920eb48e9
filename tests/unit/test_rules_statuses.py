"""`design.md` 3.1 "Statuses": in which states a resource is charged."""

from __future__ import annotations

from itertools import chain

import pytest

from fluence_costwatch.core.resources import Generation, is_charged, is_recognised
from tests.watch import OTHER, PRICE, Watch, day, proves, usd, vm

CHARGED = (
    "charged, compared case-folded: `vms-*` all but Terminated, Stopped, InsufficientFunds; `gpu` INITIALIZED and "
    "ACTIVE; `cloud-v2` all but draft, terminated, removed."
)
NOT_CHARGED = {
    Generation.VMS_V2: ("Terminated", "Stopped", "InsufficientFunds"),
    Generation.VMS_V3: ("Terminated", "Stopped", "InsufficientFunds"),
    Generation.GPU: ("FAILED", "ENDED"),
    Generation.CLOUD_V2: ("draft", "terminated", "removed"),
}
ARE_CHARGED = {
    Generation.VMS_V2: ("New", "Launching", "Active", "SmallBalance"),
    Generation.VMS_V3: ("New", "Launching", "Active", "SmallBalance"),
    Generation.GPU: ("INITIALIZED", "ACTIVE"),
    Generation.CLOUD_V2: ("launched", "suspended", "failed", "unknown", "terminating", "removing"),
}


@proves(CHARGED)
@pytest.mark.parametrize("spell", [str, str.upper, str.lower, str.title], ids=["as is", "upper", "lower", "title"])
@pytest.mark.parametrize("generation", Generation)
def test_a_status_is_charged_or_not_however_it_is_spelt(generation: Generation, spell: type[str]) -> None:
    free = {status: is_charged(spell(status), generation) for status in NOT_CHARGED[generation]}
    paid = {status: is_charged(spell(status), generation) for status in ARE_CHARGED[generation]}

    assert dict.fromkeys(NOT_CHARGED[generation], False) == free
    assert dict.fromkeys(ARE_CHARGED[generation], True) == paid
    assert all(is_recognised(spell(status), generation) for status in chain(free, paid))


@proves(CHARGED)
@pytest.mark.parametrize("status", ["TERMINATED", "stopped", "InsufficientFunds"])
def test_nothing_is_charged_at_a_boundary_in_an_uncharged_status(status: str) -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(0, "17:50"), OTHER, vm("web"))
    watch.polls(day(0, "17:52"), day(2), OTHER, vm("web", status=status))

    assert (PRICE, usd("0")) == (watch.total().dollars, watch.uncertain(day(2)))


UNRECOGNISED = "An unrecognised status is charged, never deletable, and alerts once."


@proves(UNRECOGNISED)
@pytest.mark.parametrize("generation", Generation)
@pytest.mark.parametrize("status", ["Hibernating", "", "TERMINATED\u0000", "Ｔｅｒｍｉｎａｔｅｄ"])
def test_an_unrecognised_status_is_charged_and_known_as_unrecognised(status: str, generation: Generation) -> None:
    """Whoever deletes asks `is_recognised` first: what is not recognised is not terminable."""
    assert (True, False) == (is_charged(status, generation), is_recognised(status, generation))


@proves(UNRECOGNISED)
def test_an_unrecognised_status_alerts_once_while_it_lasts() -> None:
    watch = Watch()
    watch.polls(day(0, "12:05"), day(1, "12:05"), OTHER, vm("web", status="Hibernating"))

    assert PRICE * 2 == watch.total().dollars
    assert [("status", "0xweb")] == [(finding.kind, finding.resource_id) for finding in watch.findings]
