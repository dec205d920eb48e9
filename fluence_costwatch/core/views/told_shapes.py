"""The JSON of what is told and done: one deletion in full, a report, the outbox, silences. As in `shapes.py`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.deletion.deletions import Deletion
from fluence_costwatch.core.deletion.savings import saving_of
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Delivery, OutboxRow
from fluence_costwatch.core.money import price_text
from fluence_costwatch.core.views.shapes import Json, deletion, instant


def deletion_story(one: Deletion) -> Json:
    """The answer of `deletions show`: as in `deletions`, and all else that is kept of it.

    {... as in `deletions`, "kind", "generation", "created_at": T|null, "evidence": [...], "proposed_at": T,
     "notified_at": T|null, "approved_for": T|null, "requested_at": T|null, "settled_at": T|null, "price_usd"|null,
     "burn_usd_per_day"|null, "next_charge_usd"|null, "next_charge_at": T|null, "avoided_usd"|null}
    """
    saving = saving_of(one)
    return deletion(one) | {
        "kind": one.kind.value,
        "generation": one.generation.value,
        "created_at": _instant(one.created_at),
        "evidence": list(one.evidence),
        "proposed_at": instant(one.proposed_at),
        "notified_at": _instant(one.notified_at),
        "approved_for": _instant(one.approved_for),
        "requested_at": _instant(one.requested_at),
        "settled_at": _instant(one.settled_at),
        "price_usd": _price(one.price),
        "burn_usd_per_day": _price(one.burn_per_day),
        "next_charge_usd": _price(one.next_charge),
        "next_charge_at": _instant(one.next_charge_at),
        "avoided_usd": None if saving is None else _price(saving.avoided),
    }


def report(message: Message, *, as_of: datetime) -> Json:
    """The answer of `report`:

    {"as_of": T, "subject", "sections": [{"heading", "lines": [...], "table": {"columns": [...], "rows": [[...]]}|null,
     "left_out": 0}]}; all texts are those that a person reads.
    """
    return {
        "as_of": instant(as_of),
        "subject": message.subject,
        "sections": [
            {
                "heading": section.heading,
                "lines": list(section.lines),
                "table": None
                if section.table is None
                else {"columns": list(section.table.columns), "rows": [list(row) for row in section.table.rows]},
                "left_out": section.left_out,
            }
            for section in message.sections
        ],
    }


def outbox(rows: Iterable[OutboxRow]) -> Json:
    """The answer of `notify list`."""
    return {
        "messages": [
            {
                "number": row.number,
                "target": row.target,
                "state": row.state.value,
                "subject": row.message.subject,
                "since": instant(row.made_at),
                "next_at": instant(row.next_at) if row.state is Delivery.QUEUED else None,
                "tries": row.attempts,
                "error": row.error,
            }
            for row in rows
        ]
    }


def silences(found: Iterable[Silence]) -> Json:
    """The answer of `silence --list`. Exactly one of the last four keys but `account` says what is silenced."""
    return {
        "silences": [
            {
                "id": one.id,
                "until": instant(one.until),
                "author": one.author,
                "reason": one.reason,
                "made_at": instant(one.made_at),
                "alert": one.alert,
                "resource_id": one.resource_id,
                "rule": one.rule,
                "account": one.account,
            }
            for one in found
        ]
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)


def _price(price: Decimal | None) -> str | None:
    return None if price is None else price_text(price)
