"""Generation `vms-v3`: money is text in dollars ("0.30697", ".30697"); a number is not known to be exact."""

from __future__ import annotations

from typing import Final

import msgspec

from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.resources import Generation, Resource
from fluence_costwatch.fluence.vms import read_vms
from fluence_costwatch.fluence.wire import Doubts

LIST_PATH: Final = "/vms/v3"


def read(body: bytes, *, account: str) -> tuple[Resource, ...]:
    """The machines in an answer to `GET /vms/v3`, by identity; records of terminated ones are among them."""
    return read_vms(body, account=account, generation=Generation.VMS_V3, read_price=_dollars, read_total=_dollars)


def _dollars(doubts: Doubts, what: str, raw: msgspec.Raw) -> Usd | None:
    value = doubts.value(what, raw)
    if isinstance(value, str):
        return doubts.dollars(what, raw, value)
    if isinstance(value, int) and not isinstance(value, bool):
        doubts.note(what, raw, "is a bare number where this generation writes dollars as text")
    else:
        doubts.not_money(what, raw, value)
    return None
