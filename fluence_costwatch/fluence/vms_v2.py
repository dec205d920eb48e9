"""Generation `vms-v2`: whole numbers are base units of 10^-6 dollars, and text with a point is dollars.

The latter was sent on this path for some days while the next generation was made (`fluence-api.md` 3.2).
"""

from __future__ import annotations

from typing import Final

import msgspec

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Resource
from fluence_costwatch.fluence.vms import read_vms
from fluence_costwatch.fluence.wire import Doubts

LIST_PATH: Final = "/vms/v2"
_LONGEST_DIGITS: Final = 40


def read(body: bytes, *, account: str) -> tuple[Resource, ...]:
    """The machines in an answer to `GET /vms/v2`, by identity."""
    return read_vms(body, account=account, generation=Generation.VMS_V2, read_price=_price, read_total=_total)


def _price(doubts: Doubts, what: str, raw: msgspec.Raw) -> Usd | None:
    value = doubts.value(what, raw)
    if isinstance(value, int) and not isinstance(value, bool):
        return doubts.base_units(what, raw, value)
    if not isinstance(value, str):
        doubts.not_money(what, raw, value)
        return None
    if "." in value:
        return doubts.dollars(what, raw, value)
    doubts.note(what, raw, "is text without a point, which may mean dollars or base units")
    return None


def _total(doubts: Doubts, what: str, raw: msgspec.Raw) -> Usd | None:
    """A total differs from a price in one thing: text of digits only is base units."""
    value = doubts.value(what, raw)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST_DIGITS:
        return doubts.base_units(what, raw, int(value))
    return _price(doubts, what, raw)
