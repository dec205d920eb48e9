"""What unpaid debt leads to: first VMs and addresses go, then disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from .books import DOLLAR, Books
from .cloud import Cloud
from .meter import HOUR, MICROSECOND
from .parts import Disk, Part
from .timeline import AFTERWARDS, Timeline

REMOVAL_DEBT = 5 * DOLLAR
REMOVAL_AFTER = timedelta(days=3)
DISKS_DEBT = 20 * DOLLAR
DISKS_AFTER = timedelta(days=10)


@dataclass(slots=True)
class Debt:
    """Since when an account owes, since when its VMs are gone, and when it is looked at next."""

    since: datetime | None = None
    removed_at: datetime | None = None
    next_look: datetime | None = None


class Debts:
    """Looks at each account whenever something happened, and at the very instant at which a limit is crossed."""

    def __init__(self, cloud: Cloud, *, timeline: Timeline, books: Mapping[str, Books]) -> None:
        self._cloud = cloud
        self._timeline = timeline
        self._books = books
        self._debts = {account: Debt() for account in books}

    def review(self) -> None:
        for account, debt in self._debts.items():
            self._judge(account, debt)
            self._look_again(account, debt)

    def _judge(self, account: str, debt: Debt) -> None:
        """VMs and addresses go at more than 5 dollars or after 3 days, disks at 20 dollars or 10 days after that."""
        now = self._timeline.now
        owed = -self._books[account].free(at=now)
        if owed <= 0:
            debt.since = debt.removed_at = None
            return
        debt.since = debt.since or now
        if owed > REMOVAL_DEBT or now - debt.since >= REMOVAL_AFTER:
            debt.removed_at = debt.removed_at or now
            self._remove(account, disks=False)
        if owed >= DISKS_DEBT or (debt.removed_at is not None and now - debt.removed_at >= DISKS_AFTER):
            self._remove(account, disks=True)

    def _remove(self, account: str, *, disks: bool) -> None:
        for part in self._cloud.parts(account):
            if part.live and isinstance(part, Disk) == disks and self._bills(part):
                self._cloud.end(part)

    def _bills(self, part: Part) -> bool:
        return self._books[part.account].meter(part.id) is not None

    def _look_again(self, account: str, debt: Debt) -> None:
        """At the first instant, if nothing else happens, at which something else will be true."""
        now, rate = self._timeline.now, self._books[account].rate
        owed = -self._books[account].free(at=now)
        moments = [now + _until_more_than(limit - owed, rate) for limit in (0, REMOVAL_DEBT) if limit >= owed and rate]
        if rate and owed < DISKS_DEBT:
            moments.append(now + _until_more_than(DISKS_DEBT - owed, rate) - MICROSECOND)
        if debt.since is not None:
            moments.append(debt.since + REMOVAL_AFTER)
        if debt.removed_at is not None:
            moments.append(debt.removed_at + DISKS_AFTER)
        ahead = min((moment for moment in moments if moment > now), default=None)
        if ahead is not None and ahead != debt.next_look:
            debt.next_look = ahead
            self._timeline.schedule(ahead, AFTERWARDS, lambda: None)


def _until_more_than(amount: Fraction, rate: Fraction) -> timedelta:
    """How long it takes to spend more than that, in whole microseconds."""
    return (amount / rate * (HOUR // MICROSECOND) // 1 + 1) * MICROSECOND
