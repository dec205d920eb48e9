"""One account under watch: its turns, its due deletions and its reconciliations, what they tell the log, and how the last
ones went."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Final

from fluence_costwatch.assessment import Policy
from fluence_costwatch.config import AccountSettings, Settings
from fluence_costwatch.core.alerts.alert import AlertEvent, Change
from fluence_costwatch.core.alerts.drift_findings import judge_drift
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.alerts.self_monitoring import judge_finding_out
from fluence_costwatch.core.billing.reconciliation import Against, drift_of
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.cycle import Around, Turn, run_cycle
from fluence_costwatch.deleting import Carried, carry_out_due
from fluence_costwatch.errors import CostwatchError, FluenceError, FluenceUnavailable
from fluence_costwatch.logs import facts
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.noticeboard import Noticeboard
from fluence_costwatch.ports import Clock, Display, Listing, Probe, Store
from fluence_costwatch.reconcile import Reconciliation, reconcile
from fluence_costwatch.wiring import (
    CLOCKS_MAY_DIFFER_BY,
    NOT_WATCHED,
    billing_of,
    cloud_of,
    deleting_cloud_of,
    find_generations,
    look_budget_of,
    signals_of,
    watching_of,
)

log = logging.getLogger(__name__)

_LEVELS: Final = {Severity.INFO: logging.INFO, Severity.WARNING: logging.WARNING, Severity.CRITICAL: logging.ERROR}


class Watcher:
    """One account with its connection. Raises CostwatchError where that cannot be had.

    `finished` is when a turn last ended, at first when the watcher was made; `answered` when all its lists last came.
    Whoever holds `turn` keeps it from looking, whoever holds `acting` from deleting.
    """

    def __init__(
        self,
        account: AccountSettings,
        settings: Settings,
        *,
        store: Store,
        display: Display,
        tallies: Tallies,
        board: Noticeboard,
        policy: Callable[[], Policy],
        around: Callable[[], Around],
        alarm: Callable[[CostwatchError | None], None],
        clock: Clock,
    ) -> None:
        self.name = account.name
        self.turn = Lock()
        self.acting = Lock()
        self.tried_at: datetime | None = None
        self.finished = clock()
        self.answered: datetime | None = None
        self.drift: Mapping[str, Decimal] = {}
        self._account = account
        self._settings = settings
        self._store = store
        self._display = display
        self._tallies = tallies
        self._board = board
        self._policy = policy
        self._around = around
        self._alarm = alarm
        self._clock = clock
        self._signals = signals_of(settings, clock=clock)
        self._cloud = cloud_of(account, clock=clock, budget=look_budget_of(settings))
        self._deleting = deleting_cloud_of(account, clock=clock, budget=look_budget_of(settings))
        self.watching = watching_of(account, settings, {})
        self._probes: tuple[Probe, ...] = ()
        self._probe_again = False
        self._over = False
        self._winding_up = False
        self._trouble: str | None = None
        self._clocks_differ = False
        self._blind_to_balance = False
        self._skipped: frozenset[str] = frozenset()

    @property
    def generations(self) -> tuple[Generation, ...]:
        """What is looked at."""
        return tuple(generation for generation, _ in self.watching.judgements)

    @property
    def is_closed(self) -> bool:
        """Whether it does nothing any more, as after its settings were replaced."""
        return self._over

    def wind_up(self) -> None:
        """Ask for nothing more: the running request is the last one of its turn."""
        self._winding_up = True

    def look(self, generation: Generation) -> Listing:
        """The list of `generation` (`ports.Cloud`). Raises FluenceError, also where the daemon is about to end."""
        if self._winding_up:
            raise FluenceUnavailable("CostWatch is stopping, so this list was not asked for any more.")
        return self._cloud.look(generation)

    def close(self) -> None:
        """Do nothing more. The holder of `turn` and `acting` calls it, or whoever knows that nothing runs any more."""
        self._over = True
        self._signals.close()
        self._deleting.close()
        self._cloud.close()

    def take_turn(self) -> bool:
        """One turn. Whatever happens in it, the next one comes. Whether what is remembered was judged in it."""
        with self.turn:
            return not (self._over or self._winding_up) and self._take_turn()

    def _take_turn(self) -> bool:
        judged = False
        begun = time.monotonic()
        reason: str | None = "unexpected"
        try:
            self._find_generations()
            turn = run_cycle(
                self.watching,
                cloud=self,
                billing=None if self._winding_up else billing_of(self.watching, self._cloud),
                signals=None if self._winding_up else self._signals,
                store=self._store,
                display=self._display,
                policy=self._policy(),
                around=self._around(),
                clock=self._clock,
            )
            judged = True
            self._alarm(None)
            reason = turn.failures[0].outcome if turn.failures else None
            self._tell(turn)
        except FluenceError as exc:
            reason = exc.reason
            log.warning("the account cannot be looked at", extra=facts(account=self.name, detail=exc))
            self._post_finding_out(refusal=str(exc))
        except CostwatchError as exc:
            log.error("the cycle failed, nothing of it was kept", extra=facts(account=self.name, error=exc))
            self._alarm(exc)
        except Exception:
            log.exception("the cycle failed, nothing of it was kept", extra=facts(account=self.name))
        took = timedelta(seconds=time.monotonic() - begun)
        self._tallies.polled(self.name, reason, duration=took)
        self.finished = self._clock()
        if reason is None:
            self.answered = self.finished
        log.debug("cycle ended", extra=facts(account=self.name, seconds=f"{took.total_seconds():.3f}"))
        return judged

    def _post_finding_out(self, *, refusal: str | None) -> None:
        patience = self._policy().terms.watched.patience
        notice = judge_finding_out(self.name, refusal=refusal, patience=patience)
        self._board.post(f"finding out {self.name}", notice)

    def _find_generations(self) -> None:
        """Find what serves the account, where that is left open: at first, again while a probe fails for a reason that
        may pass, and once an hour. What was found once stays. Raises FluenceUnavailable where nothing answers."""
        if not self.watching.found or (self.generations and not self._probe_again):
            return
        try:
            probes = find_generations(self._account, self._cloud.discovery())
        except FluenceError:
            if self.generations:
                return  # what is watched says for itself why it does not answer
            raise
        self._probe_again = any(probe.reason == FluenceUnavailable.reason for probe in probes)
        found = tuple(probe.generation for probe in probes if probe.answers or probe.generation in self.generations)
        self._post_finding_out(refusal=None)
        if found != self.generations:
            self.watching = watching_of(self._account, self._settings, {self.name: found})
        for probe in probes:
            if probe in self._probes:
                continue
            about = facts(account=self.name, generation=probe.generation, detail=probe.detail)
            if probe.answers:
                log.info("watching what answers", extra=about)
            elif probe.reason:
                log.warning(NOT_WATCHED, extra=about)
            else:
                log.info("not there", extra=about)
        self._probes = probes

    def carry_out_due(self) -> tuple[Carried, ...]:
        """Carry out the deletions that are due. Whatever happens in it, the next moment comes."""
        with self.acting:
            if self._over or self._winding_up:
                return ()
            try:
                carried = carry_out_due(
                    self.name,
                    cloud=self,
                    deleter=self._deleting.deleter(delete_body=self._account.delete_body),
                    signals=self._signals,
                    store=self._store,
                    terms=lambda: self._policy().terms,
                    clock=self._clock,
                )
            except CostwatchError as exc:
                log.error("what was due to be deleted was kept", extra=facts(account=self.name, error=exc))
                carried = ()
            except Exception:
                log.exception("what was due to be deleted was kept", extra=facts(account=self.name))
                carried = ()
            self.tried_at = self._clock()
            return carried

    def _tell(self, turn: Turn) -> None:
        for event in turn.assessed.events:
            tell_event(event)
        trouble = next((record for record in turn.records if record.outcome != "ok"), None)
        if trouble is not None:
            about = facts(
                account=self.name, generation=trouble.generation, outcome=trouble.outcome, detail=trouble.detail
            )
            log.warning("the look brought nothing to charge by", extra=about)
        elif self._trouble is not None:
            log.info("answers again", extra=facts(account=self.name, after=self._trouble))
        self._trouble = None if trouble is None else trouble.outcome
        blind = turn.blind_to_balance
        if blind is not None and not self._blind_to_balance:
            about = facts(account=self.name, detail=blind)
            log.warning("the balance cannot be read, so its end is not foretold", extra=about)
        self._blind_to_balance = blind is not None
        differ = turn.clock_ahead is not None and abs(turn.clock_ahead) > CLOCKS_MAY_DIFFER_BY
        if differ and not self._clocks_differ:
            log.warning(
                "this machine's clock and the marketplace's differ, so charges near a boundary may be counted late",
                extra=facts(account=self.name, marketplace_ahead=turn.clock_ahead),
            )
        self._clocks_differ = differ

    def reconcile(self) -> None:
        """Hold the ledger against the provider's own numbers."""
        with self.turn:
            if self._over or self._winding_up:
                return
            self._probe_again = True
            billing = billing_of(self.watching, self._cloud)
            try:
                found = reconcile(self.name, billing=billing, store=self._store, now=self._clock())
            except CostwatchError as exc:
                log.error("the ledger was not reconciled", extra=facts(account=self.name, error=exc))
                return
        self.drift = {str(against): usd for (_, against), usd in drift_of(found.comparisons).items()}
        self._tell_drift(found)

    def _tell_drift(self, found: Reconciliation) -> None:
        """Say once what could not be had, and put up where ledger and provider drift apart by more than is tolerated."""
        for reason in sorted(frozenset(found.skipped) - self._skipped):
            about = facts(account=self.name, detail=reason)
            log.warning("part of the provider's numbers could not be had", extra=about)
        self._skipped = frozenset(found.skipped)
        tolerance = self._settings.alerts.drift_tolerance
        compared = {str(one.against) for one in found.comparisons}
        drifting = {name: self.drift[name] for name in compared if _drifts(found, Against(name), tolerance=tolerance)}
        self._board.post(f"drift {self.name}", judge_drift(self.name, drifting=drifting, compared=compared))


def tell_event(event: AlertEvent) -> None:
    """Say in the log what is told of an alert."""
    alert = event.alert
    level = _LEVELS[alert.severity] if event.change is not Change.RESOLVED else logging.INFO
    about = {"account": alert.account} if alert.account else {}
    log.log(
        level,
        alert.summary,
        extra=facts(**about, kind=alert.kind, change=event.change, alert=alert.id, because=event.reason),
    )


def _drifts(found: Reconciliation, against: Against, *, tolerance: Decimal) -> bool:
    """Whether all that was held against one number of the provider's differs by more than its share of it."""
    apart = [one for one in found.comparisons if one.against == against]
    drift = sum((abs(one.drift) for one in apart if not one.within), Decimal(0))
    return drift > tolerance * sum((abs(one.theirs) for one in apart), Decimal(0))
