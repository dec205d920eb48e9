"""What becomes of a row of the outbox after one try to send it, and when it is tried again (`design.md` section 8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.core.messages.outbox import Attempt, Delivery, OutboxRow
from fluence_costwatch.core.untrusted import printable

FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(minutes=5)
LONGEST_WISH: Final = timedelta(hours=1)
"""The longest pause that a channel may ask for."""

BREAKS_ALLOWED: Final = 10
"""After so many tries in a row that broke the notifier itself, a message is given up."""

STUCK_AFTER: Final = 16
"""After so many tries, which take about an hour, a message that fails may be one that its channel never takes."""

PASSED_OVER: Final = 5
"""So many messages that may be stuck are passed over in one turn; where more fail, it is the channel."""

_LONGEST_ERROR: Final = 300
_LONGEST_QUIET: Final = timedelta(hours=26)
_BROKE: Final = re.compile(r"\Abroke the notifier (\d+) times: ")


@dataclass(frozen=True, slots=True)
class Settled:
    """What a row is after a try, and when it is due next if it is still queued. `attempt` is as it is to be noted."""

    attempt: Attempt
    state: Delivery
    next_at: datetime


def pause_after(attempts: int, *, retry_after: timedelta | None = None) -> timedelta:
    """How long to wait after `attempts` failures: 10 s doubling to 5 min, or what the channel asks for if that is more."""
    doubled = FIRST_PAUSE * (1 << min(attempts - 1, 10))
    wish = min(retry_after or timedelta(0), LONGEST_WISH)
    return max(min(doubled, LONGEST_PAUSE), wish)


def settled(row: OutboxRow, attempt: Attempt, *, at: datetime) -> Settled:
    """What `attempt`, which ended `at`, makes of a row. A passing failure is tried again for ever."""
    noted = replace(attempt, error=printable(attempt.error, limit=_LONGEST_ERROR))
    if attempt.sent:
        return Settled(noted, Delivery.SENT, at)
    if attempt.unconfirmed:
        return Settled(noted, Delivery.UNCONFIRMED, at)
    if attempt.permanent:
        return Settled(noted, Delivery.DEAD, at)
    return Settled(noted, Delivery.QUEUED, at + pause_after(row.attempts + 1, retry_after=attempt.retry_after))


def broken(row: OutboxRow, error: Exception) -> Attempt:
    """The attempt in which the notifier itself broke on this row: a failure, in the end for good.

    Broken tries in a row are counted in the text of the error, where a person reads them too.
    """
    times = _breaks(row) + 1
    text = f"broke the notifier {times} times: {type(error).__name__}: {error}"
    return Attempt(sent=False, error=text, permanent=times >= BREAKS_ALLOWED)


def holds_others_back(row: OutboxRow) -> bool:
    """Whether a failure of this row speaks of its channel, so that later rows wait. One that breaks the notifier, or
    has failed for an hour, may be the only one that fails."""
    return not _breaks(row) and row.attempts < STUCK_AFTER


def turn_of(rows: Sequence[OutboxRow], *, now: datetime) -> tuple[OutboxRow, ...]:
    """Of the queued rows of one target, in their order, those to be tried now; none while its channel is given a pause."""
    if any(pause > now for pause in _pauses(rows, now=now)):
        return ()
    return tuple(row for row in rows if row.next_at <= now or _was_put_off_too_far(row, now=now))


def next_turn(rows: Sequence[OutboxRow], *, now: datetime) -> datetime | None:
    """When a target's turn comes next; None where nothing is queued for it."""
    if not rows:
        return None
    soonest = min(now if _was_put_off_too_far(row, now=now) else row.next_at for row in rows)
    return max([soonest, *_pauses(rows, now=now)])


def _pauses(rows: Iterable[OutboxRow], *, now: datetime) -> list[datetime]:
    """When the pauses end that were given to the channel."""
    return [row.next_at for row in rows if row.attempts and not _breaks(row) and not _was_put_off_too_far(row, now=now)]


def _was_put_off_too_far(row: OutboxRow, *, now: datetime) -> bool:
    """Neither failures nor quiet hours put a row off for so long: the clock was ahead when they did."""
    return row.next_at - now > (2 * LONGEST_WISH if row.attempts else _LONGEST_QUIET)


def _breaks(row: OutboxRow) -> int:
    found = _BROKE.match(row.error) if row.attempts else None  # one that was queued again keeps its old error
    return int(found[1]) if found else 0
