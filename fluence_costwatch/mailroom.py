"""Everything that leaves the daemon to tell somebody: the outbox of each target, Alertmanager, the dead man's switch."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.config import Settings
from fluence_costwatch.core.alerts.findings import Ending, Finding, Judged, Severity, Telling, fingerprint_of
from fluence_costwatch.core.messages.message import Message, Section
from fluence_costwatch.core.messages.routing import takes
from fluence_costwatch.delivery import OnAccepted, Turn, Unrecorded, deliver
from fluence_costwatch.errors import CostwatchError
from fluence_costwatch.logs import facts
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.noticeboard import Noticeboard
from fluence_costwatch.notify.alertmanager import Alertmanager
from fluence_costwatch.notify.dead_man import ping
from fluence_costwatch.ports import Clock, Store
from fluence_costwatch.wiring import notifier_of

log = logging.getLogger(__name__)

ALERTMANAGER: Final = "alertmanager"
DEAD_MAN: Final = "dead man's switch"
# So long an alert that has ended is still told to Alertmanager, should it have been away.
_ENDED_FOR: Final = timedelta(hours=1)


class Mailroom:
    """The targets of one configuration, and the rest that is told. Made anew when the configuration is."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        board: Noticeboard,
        tallies: Tallies,
        clock: Clock,
        on_accepted: OnAccepted,
        former: Mailroom | None = None,
    ) -> None:
        self.targets = tuple(target.name for target in settings.targets)
        self._settings = settings
        self._store = store
        self._board = board
        self._tallies = tallies
        self._clock = clock
        self._on_accepted = on_accepted
        self._notifier = notifier_of(settings, clock=clock)
        # What could not be noted yet must be known to the next configuration, too, or it would be sent again.
        self._unrecorded: dict[str, Unrecorded] = {} if former is None else former._unrecorded
        self._failing: set[str] = set()
        url = settings.notify.alertmanager_url
        self._alertmanager = (
            None if url is None else Alertmanager(url, clock=clock, public_url=settings.server.public_url)
        )

    def deliver(self, target: str) -> Turn:
        """Send what is due for `target`. Whatever happens, the next turn comes."""
        try:
            turn = deliver(
                target,
                store=self._store,
                notifier=self._notifier,
                clock=self._clock,
                unrecorded=self._unrecorded.setdefault(target, {}),
                on_accepted=self._on_accepted,
            )
        except CostwatchError as exc:
            self._say(target, f"nothing was delivered: {exc}")
            return Turn()
        self._tallies.delivered(target, accepted=turn.accepted, failed=turn.failed)
        if turn.failed:
            self._say(target, "it did not take a message; `fluence-costwatch notify list` says why")
        elif turn.accepted:
            self._works(target)
        return turn

    def tell_alertmanager(self) -> None:
        """Tell Alertmanager what fires and what has just ended."""
        if self._alertmanager is None:
            return
        now = self._clock()
        try:
            with self._store.reading() as reading:
                alerts = reading.alerts(resolved_since=now - _ENDED_FOR)
        except CostwatchError as exc:
            log.error("Alertmanager was not told", extra=facts(error=exc))
            return
        self._note(ALERTMANAGER, self._alertmanager.tell(alerts, now=now))

    def ping_dead_man(self) -> None:
        """Say that all is well to whoever notices when that is not said any more."""
        url = self._settings.notify.dead_man_url
        if url is not None:
            self._note(DEAD_MAN, ping(url.reveal(), clock=self._clock))

    def alarm(self, fact: str, *, means: str, advice: str) -> None:
        """Tell every target that takes such alarms at once, past the database, because that is what fails."""
        alarm_at_once(self._settings, fact, means=means, advice=advice, clock=self._clock)

    def _note(self, whom: str, trouble: str | None) -> None:
        if trouble is None:
            self._works(whom)
            ended = Ending(fingerprint_of("delivery", "", None, whom), "it answers again")
            self._board.post(whom, Judged(endings=(ended,)))
            return
        self._say(whom, trouble)
        found = Finding(
            kind="delivery",
            severity=Severity.WARNING,
            account="",
            resource_id=None,
            summary=f"The {whom} cannot be told" if whom == DEAD_MAN else "Alertmanager cannot be told of alerts",
            rule=whom,
            means=f"Whoever relies on it does not hear of this watch. {trouble}",
            advice="Check its address under [notify], and whether it runs.",
            telling=Telling.STATE,
            patience=timedelta(minutes=15),
        )
        self._board.post(whom, Judged(findings=(found,)))

    def _say(self, whom: str, trouble: str) -> None:
        """Log that somebody cannot be told, once until they can."""
        if whom not in self._failing:
            log.warning("somebody cannot be told", extra=facts(target=whom, detail=trouble))
        self._failing.add(whom)

    def _works(self, whom: str) -> None:
        if whom in self._failing:
            log.info("can be told again", extra=facts(target=whom))
        self._failing.discard(whom)


def alarm_at_once(settings: Settings, fact: str, *, means: str, advice: str, clock: Clock) -> None:
    """Send an alarm about the database to every target that takes critical alerts of kind storage; nothing is kept of it."""
    notifier = notifier_of(settings, clock=clock)
    message = Message(
        severity=Severity.CRITICAL,
        subject=f"[CRIT] {fact}",
        thread="storage",
        sections=(Section("What happened", (f"{fact}.",)), Section("What it means", (means,))),
        action=advice,
        why="You get this at once and perhaps again, because the database, which else keeps what was sent, fails.",
    )
    for target in settings.targets:
        if takes(target.route, kind="storage", severity=Severity.CRITICAL, account=""):
            attempt = notifier.send(target.name, message, reference=f"alarm-{_stamp(clock())}")
            if not attempt.sent:
                log.error("an alarm could not be sent", extra=facts(target=target.name, detail=attempt.error))


def _stamp(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%S")
