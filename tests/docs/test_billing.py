"""The worked examples of docs/billing.md, recomputed by the ledger itself."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fluence_costwatch.core.billing.history import Basis, Charge, seen_last
from fluence_costwatch.core.billing.ledger import is_at_least, spent_total, uncertain_total
from fluence_costwatch.core.billing.metering import open_charge
from fluence_costwatch.core.budgets.runway import Flow, Stair, runway_of
from fluence_costwatch.core.resources import Generation, Kind, Resource
from tests.docs.markdown import Block, blocks_of, section_of
from tests.watch import DAY, DAY_0, OTHER, Watch, day, usd, vm

EXAMPLES = [block for block in blocks_of("docs/billing.md", "text") if "ledger" in block.tags]
MOMENT = r"day \d+ [\d:]+"
LINE = re.compile(rf"(?P<what>seen|unseen)\s+(?P<since>{MOMENT}) \.\. (?P<until>{MOMENT})\s*(?P<facts>.*)")
ONCE = re.compile(rf"(?P<what>seen|unseen)\s+(?P<since>{MOMENT})\s+(?P<facts>[a-z].*)")


def instant(text: str) -> datetime:
    _, number, clock = text.split()
    return day(int(number), clock)


def told(moment: datetime) -> str:
    clock = moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
    return f"day {(moment - DAY_0) // DAY} {clock}"


def machine(facts: str) -> Resource:
    """The machine that a line describes: "price 0.3, created day 1 12:00, next charge day 2 12:00, total spent 2.4"."""
    words = dict(re.findall(rf"(price|created|ended|next charge|total spent|status) ({MOMENT}|[\w.]+)", facts))
    price = words["price"]
    found: dict[str, Any] = {"status": words["status"]} if "status" in words else {}
    return vm(
        price=None if price == "unknown" else Decimal(price),
        created_at=instant(words["created"]) if "created" in words else None,
        status_changed_at=instant(words["ended"]) if "ended" in words else None,
        next_charge_at=instant(words["next charge"]) if "next charge" in words else None,
        total_spent=usd(words["total spent"]) if "total spent" in words else None,
        kind=Kind.GPU_CONTAINER if "a GPU hour" in facts else Kind.VM,
        **found,
    )


def generation_of(seen: str) -> Generation:
    if "a GPU hour" in seen:
        return Generation.GPU
    if "an hour" in seen:
        return Generation.CLOUD_V2
    return Generation.VMS_V3 if "next charge" in seen else Generation.VMS_V2


def line_of(row: Charge, *, word: str | None = None) -> str:
    word = word or ("correct" if row.basis is Basis.REPORTED else "charge")
    return f"{word:<7} {told(row.span.start)} .. {told(row.span.end)}  {row.amount} {row.basis}"


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in EXAMPLES])
def test_the_ledger_gives_what_the_example_says(block: Block) -> None:
    seen, _, given = block.text.partition("\n\n")
    watch = Watch(generation_of(seen))
    until = DAY_0
    for line in seen.splitlines():
        look = LINE.fullmatch(line) or ONCE.fullmatch(line)
        assert look, line
        until = instant(look.groupdict().get("until") or look["since"])
        listed = [OTHER, machine(look["facts"])] if look["what"] == "seen" else [OTHER]
        watch.polls(instant(look["since"]), until, *listed)

    state = watch.state()
    last = seen_last(state, watch.history.lists)
    row = open_charge(state, seen=last)
    total = f"{'at least ' if is_at_least(state) else ''}{spent_total(state, seen=last)}"
    assert given.splitlines() == [
        *map(line_of, [*watch.epochs(), *watch.corrections()]),
        *([line_of(row, word="open")] if row is not None else []),
        f"total   {total}, uncertain {uncertain_total(state, now=until, seen=last)}",
    ]


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) >= 18


RUNWAY = re.compile(
    r"balance (?P<balance>[\d.]+), (?P<hourly>[\d.]+) an hour(?: of which (?P<disks>[\d.]+) for disks)?"
    r"(?:, (?P<step>[\d.]+) each (?P<each>hour|day))?\n"
)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=block.place)
        for block in blocks_of("docs/billing.md", "text")
        if block.text.startswith("balance")
    ],
)
def test_the_balance_ends_when_the_example_says(block: Block) -> None:
    given = RUNWAY.match(block.text)
    assert given, block.text
    disks = Decimal(given["disks"] or 0)
    flows = [Flow(Decimal(given["hourly"]) - disks), *([Flow(disks, is_disk=True)] if disks else [])]
    length = DAY if given["each"] == "day" else timedelta(hours=1)
    stairs = [Stair(DAY_0 + length, length, Decimal(given["step"]))] if given["step"] else []

    runway = runway_of(Decimal(given["balance"]), at=DAY_0, flows=flows, stairs=stairs)

    assert runway.ends_at is not None
    assert runway.machines_removed_at is not None
    lines = [f"ends      {told(runway.ends_at)}", f"machines  {told(runway.machines_removed_at)} at the worst"]
    if runway.disks_removed_at is not None:
        lines.append(f"disks     {told(runway.disks_removed_at)} at the worst")
    assert block.text.splitlines()[1:] == lines


def test_the_runway_has_an_example() -> None:
    assert "```text\nbalance" in section_of("docs/billing.md", "How long the balance lasts")
