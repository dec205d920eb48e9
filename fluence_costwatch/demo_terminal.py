"""What the demo prints: charges, messages as they arrive, what becomes of deletions, and the sum of it all at the end."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Final

from fluence_costwatch.core.billing.history import Charge
from fluence_costwatch.core.billing.ledger import uncertain_total
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Transition
from fluence_costwatch.core.deletion.savings import saving_of, savings
from fluence_costwatch.core.messages.wording import counted, label, money, span
from fluence_costwatch.core.money import ZERO, Usd, total
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.ports import ChargeRecord, Clock, Reading

LINK: Final = re.compile(r"http://\S+/deletions/\S+\?token=\S+")
"""The link that stops a deletion."""

_NAME: Final = 24
_WIDTH: Final = 100
_LONGEST_LINE: Final = 400
_SENTENCES: Final = 3
_INDENT: Final = " " * 10
# What one message after the other says, or what the lines around it say.
_NO_NEWS: Final = re.compile(
    r"Since [^,]*\.|Told because: it began\.|(State|Data) of .*|Next charge: .*|\d+ alerts: .*|You get .*"
)
# One of several alerts that a message lists.
_ONE_OF_SEVERAL: Final = " (since "


@dataclass(frozen=True, slots=True)
class Booked:
    """One charge of the marketplace's own books."""

    at: datetime
    amount: Usd


class Terminal:
    """A display that says what is new since it was last shown something, and prints the messages that arrive."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._told: set[tuple[str, datetime, str]] = set()
        self._steps: dict[str, int] = {}
        self._charged = ZERO
        self._uncertain = ZERO
        self._looked: tuple[datetime, datetime] | None = None
        self._deletions: Sequence[Deletion] = ()
        self._messages = 0

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Print a line for every new row of the ledger, one with their sum, and what became of deletions."""
        with self._lock:
            self._show_charges(list(reading.charges()), now=now)
            self._deletions = reading.deletions()
            self._show_deletions()
            self._uncertain = total(
                uncertain_total(record.state, now=now, seen=record.last_seen) for record in reading.resources()
            )
            for account in reading.accounts():
                for look in account.last_cycle.values():
                    self._looked = (look.started_at, look.ended_at) if look.outcome == "ok" else self._looked

    def show_message(self, title: str, text: str) -> None:
        """Print a message that arrived: its subject, then the first of what it says, and the link of a deletion."""
        with self._lock:
            self._messages += 1
            self._say("MESSAGE", title)
            for line in _in_short(text, title=title):
                print(_indented(line), flush=True)

    def say(self, text: str) -> None:
        """Print what the demo itself does."""
        with self._lock:
            self._say("DEMO", text)

    def summary(self, books: Iterable[Booked]) -> str:
        """What came of it all. `books` are the marketplace's own charges, each with the instant at which it took them."""
        saved = savings(self._deletions)
        vetoed = sum(one.state is DeletionState.VETOED for one in self._deletions)
        deleted = f"{saved.count} proven"
        if saved.count:
            deleted += (
                f", which saved {money(saved.avoided)} at the next charge and {money(saved.burn_per_day)} a day since"
            )
        lines = [
            f"Charged so far: {counted(len(self._told), 'charge')}, {self._charged} USD",
            f"Messages: {self._messages}",
            f"Deletions: {deleted}; {vetoed} vetoed",
            self._agreement(books),
        ]
        return "\n".join(lines)

    def _agreement(self, books: Iterable[Booked]) -> str:
        """Whether the ledger is what the marketplace had charged by the last look."""
        if self._looked is None:
            return "The marketplace was never seen, so there is nothing to compare."
        charges = list(books)
        begun, ended = (total(one.amount for one in charges if one.at <= moment) for moment in self._looked)
        if begun <= self._charged + self._uncertain and self._charged <= ended:
            most = f" + up to {self._uncertain} that are uncertain" if self._uncertain else ""
            return f"The marketplace's own books agree: {ended} USD by the last look{most}"
        return f"The marketplace's own books DISAGREE: {ended} USD by the last look"

    def _show_charges(self, records: Sequence[ChargeRecord], *, now: datetime) -> None:
        news = [record for record in records if _key(record.charge) not in self._told]
        for record in news:
            self._told.add(_key(record.charge))
            print(_line(record), flush=True)
        if news:
            self._charged = total(record.charge.amount for record in records)
            self._say("", f"the ledger holds {len(records)} charges, {self._charged} USD", at=now)

    def _show_deletions(self) -> None:
        for deletion in self._deletions:
            for step in deletion.history[self._steps.get(deletion.id, 0) :]:
                fact = _fact(deletion, step)
                if fact is not None:
                    self._say("DELETION", fact, at=step.at)
            self._steps[deletion.id] = len(deletion.history)

    def _say(self, what: str, text: str, *, at: datetime | None = None) -> None:
        moment = (at or self._clock()).astimezone(UTC)
        print(f"{moment:%H:%M:%S}  {f'{what}  ' if what else ''}{printable(text, limit=_LONGEST_LINE)}", flush=True)


def _key(charge: Charge) -> tuple[str, datetime, str]:
    return charge.identity.id, charge.span.start, charge.reason


def _line(record: ChargeRecord) -> str:
    charge = record.charge
    name = printable(record.name or charge.identity.id, limit=_NAME)
    epoch = f"{charge.span.start:%H:%M:%S}-{charge.span.end:%H:%M:%S}"
    return f"{charge.span.start:%H:%M:%S}  {name:<{_NAME}} {charge.amount!s:>10} USD  epoch {epoch}, {charge.basis}"


def _fact(deletion: Deletion, step: Transition) -> str | None:
    """What a step of a deletion comes to; None for what its notice says already."""
    name = label(deletion.name, id=deletion.target_id)
    match step.state:
        case DeletionState.REQUESTED if deletion.requested_at is not None and deletion.next_charge_at is not None:
            before = span(deletion.next_charge_at - deletion.requested_at)
            return f"{name} is deleted, {before} before its next charge: {step.reason}"
        case DeletionState.VERIFIED:
            saving = saving_of(deletion)
            saved = (
                "" if saving is None or not saving.avoided else f"; its next charge, {money(saving.avoided)}, is saved"
            )
            return f"{name} is gone, {step.reason}{saved}"
        case DeletionState.VETOED:
            return f"{name} stays, vetoed by {step.actor}: {step.reason}"
        case DeletionState.WITHDRAWN | DeletionState.FAILED | DeletionState.UNCONFIRMED:
            return f"of {name} {step.state}: {step.reason}"
    return None


def _in_short(text: str, *, title: str) -> Iterator[str]:
    """The first sentences of a message that its title does not say, and where a deletion can be stopped."""
    lines = text.splitlines()
    told = [line for line in lines if line.endswith(".") or _ONE_OF_SEVERAL in line]
    news = [line for line in told if line.rstrip(".") not in title and not _NO_NEWS.fullmatch(line)]
    yield from news[:_SENTENCES]
    yield from (line for line in lines if LINK.fullmatch(line))


def _indented(line: str) -> str:
    shown = printable(line, limit=_LONGEST_LINE)
    return textwrap.fill(
        shown,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=f"{_INDENT}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
