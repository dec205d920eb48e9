"""Money in the books: amounts as text, and what holds whatever happens."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluence_costwatch.simulator import AccountOptions, Options, Simulator, read_script
from fluence_costwatch.simulator.books import dollars, micros_of
from tests.simulator.asking import at

START = at("2026-03-01 12:00")
VMS = ("a", "b", "c")

hours = st.integers(min_value=0, max_value=24 * 20)
prices = st.integers(min_value=0, max_value=3_000_000).map(lambda micros: dollars(micros))
events = st.lists(
    st.one_of(
        st.tuples(hours, st.just("price"), st.sampled_from(VMS), prices),
        st.tuples(hours, st.sampled_from(("delete", "terminate")), st.sampled_from(VMS), st.none()),
        st.tuples(hours, st.just("top_up"), st.none(), prices),
    ),
    max_size=8,
)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0.298160", 298_160),
        (".30697", 306_970),
        ("2", 2_000_000),
        ("2.", 2_000_000),
        ("0", 0),
        ("1.0000000", 1_000_000),
    ],
)
def test_amounts_are_read_exactly(text: str, micros: int) -> None:
    assert micros == micros_of(text)


@pytest.mark.parametrize("text", ["", ".", "-1", "+1", "1e3", "0.0000001", " 1", "1_0", "NaN", "٣"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        micros_of(text)


@given(micros=st.integers(min_value=0, max_value=10**15), decimals=st.integers(min_value=0, max_value=6))
def test_amounts_survive_being_written_and_read(micros: int, decimals: int) -> None:
    assert micros == micros_of(dollars(micros, decimals=decimals))


@settings(max_examples=60, deadline=None)
@given(
    happenings=events,
    births=st.tuples(hours, hours, hours),
    policy=st.sampled_from(("global", "per_vm")),
    delete_hours=st.integers(min_value=0, max_value=30),
    delay_hours=st.integers(min_value=0, max_value=30),
    balance=st.integers(min_value=0, max_value=60_000_000),
)
def test_nothing_is_lost_and_no_epoch_is_paid_twice(
    happenings: list[tuple[int, str, str | None, str | None]],
    births: tuple[int, int, int],
    policy: str,
    delete_hours: int,
    delay_hours: int,
    balance: int,
) -> None:
    """Opening + top-ups = balance + reserves + charges; the epochs of a VM follow one another without a hole."""
    script = [
        {"at": h * 3600, "do": "create", "vm": v, "name": v, "price": "1"} for h, v in zip(births, VMS, strict=True)
    ]
    for hour, action, name, money in happenings:
        script.append({"at": hour * 3600 + 60, "do": action, "vm": name, "price": money, "amount": money})
    simulator = Simulator(
        Options(
            start=START,
            held=True,
            policy="per_vm" if policy == "per_vm" else "global",
            delete_latency=timedelta(hours=delete_hours),
            charge_delay=timedelta(hours=delay_hours),
            accounts=(AccountOptions(balance=dollars(balance)),),
            script=read_script(script),
        )
    )
    simulator.market.clock.set(START + timedelta(days=60))
    simulator.market.settle()
    books = simulator.market.books["main"]
    paid_in = sum(entry.amount for entry in books.entries if entry.kind in ("opening", "top_up"))
    vms = simulator.market.vms()
    reserves = [books.reserve_of(vm.id) for vm in vms]

    assert paid_in == books.balance + sum(reserves) + sum(books.total_by_vm.values())
    assert books.balance >= 0
    assert min(reserves, default=0) >= 0
    assert not any(reserve for vm, reserve in zip(vms, reserves, strict=True) if vm.removed)
    for vm in vms:
        charges = [entry for entry in books.charges if entry.vm == vm.id]
        assert vm.created_at == charges[0].epoch_start
        assert all(before.epoch_end == after.epoch_start for before, after in pairwise(charges))
