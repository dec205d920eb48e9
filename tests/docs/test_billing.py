"""The worked examples of docs/billing.md, recomputed by the ledger itself."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

import pytest

from fluence_costwatch.core.history import Basis, Charge
from fluence_costwatch.core.ledger import is_at_least
from fluence_costwatch.core.resources import Generation, Resource
from tests.docs.markdown import Block, blocks_of
from tests.watch import DAY, DAY_0, OTHER, Watch, day, usd, vm

EXAMPLES = [block for block in blocks_of("docs/billing.md", "text") if "ledger" in block.tags]
MOMENT = r"day \d+ [\d:]+"
LINE = re.compile(rf"(?P<what>seen|unseen)\s+(?P<since>{MOMENT}) \.\. (?P<until>{MOMENT})\s*(?P<facts>.*)")


def instant(text: str) -> datetime:
    _, number, clock = text.split()
    return day(int(number), clock)


def told(moment: datetime) -> str:
    clock = moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
    return f"day {(moment - DAY_0) // DAY} {clock}"


def machine(facts: str) -> Resource:
    """The machine that a line describes: "price 0.3, created day 1 12:00, next charge day 2 12:00, total spent 2.4"."""
    words = dict(re.findall(rf"(price|created|next charge|total spent) ({MOMENT}|[\w.]+)", facts))
    price = words["price"]
    return vm(
        price=None if price == "unknown" else Decimal(price),
        created_at=instant(words["created"]) if "created" in words else None,
        next_charge_at=instant(words["next charge"]) if "next charge" in words else None,
        total_spent=usd(words["total spent"]) if "total spent" in words else None,
    )


def line_of(row: Charge) -> str:
    word = "correct" if row.basis is Basis.REPORTED else "charge "
    return f"{word} {told(row.span.start)} .. {told(row.span.end)}  {row.amount} {row.basis}"


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in EXAMPLES])
def test_the_ledger_gives_what_the_example_says(block: Block) -> None:
    seen, _, given = block.text.partition("\n\n")
    looks = [LINE.fullmatch(line) for line in seen.splitlines()]
    watch = Watch(Generation.VMS_V3 if "next charge" in seen else Generation.VMS_V2)
    until = DAY_0
    for look in looks:
        assert look, seen
        until = instant(look["until"])
        listed = [OTHER, machine(look["facts"])] if look["what"] == "seen" else [OTHER]
        watch.polls(instant(look["since"]), until, *listed)

    total = f"{'at least ' if is_at_least(watch.state()) else ''}{watch.total()}"
    assert given.splitlines() == [
        *map(line_of, [*watch.epochs(), *watch.corrections()]),
        f"total   {total}, uncertain {watch.uncertain(until)}",
    ]


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) >= 10
