"""The daemon: jobs, signals, the service manager, shutdown. Here the parts are put together, and here is the clock."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from queue import SimpleQueue
from types import FrameType
from typing import Final

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from fluence_costwatch import __version__
from fluence_costwatch.acts import StoredActs
from fluence_costwatch.assessment import Policy
from fluence_costwatch.config import Settings
from fluence_costwatch.core.alerts.storage_findings import judge_housekeeping, judge_room
from fluence_costwatch.core.deletion.deletions import DeletionState
from fluence_costwatch.core.messages.outbox import OutboxRow
from fluence_costwatch.core.views.fleet import Watched
from fluence_costwatch.cycle import Around, judge_anew, retire_removed
from fluence_costwatch.deleting import next_wake, note_accepted
from fluence_costwatch.errors import ConfigInvalid, CostwatchError, StoreError
from fluence_costwatch.logs import facts
from fluence_costwatch.mailroom import Mailroom
from fluence_costwatch.metrics.exporter import Exporter
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.noticeboard import Noticeboard
from fluence_costwatch.ports import Clock, Display, Reading, Store, Transaction
from fluence_costwatch.systemd import ServiceManager
from fluence_costwatch.watcher import Watcher, tell_event
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.server import WebServer
from fluence_costwatch.wiring import Found, found_before, policy_of, terms_of, watchdog_of, watched_of

log = logging.getLogger(__name__)

# Accounts start one after the other, so that one id under two keys is charged under the account that is listed first.
STAGGER: Final = timedelta(seconds=1)
HOUSEKEEPING: Final = CronTrigger(hour=3, minute=17, timezone=UTC)
RECONCILE_EVERY: Final = timedelta(hours=1)
# The first reconciliation waits for the first looks.
RECONCILE_FIRST_AFTER: Final = timedelta(minutes=2)
# What a cycle puts into the outbox is sent within this; what another process queues again, too.
# Nothing that hangs (an account, a target) keeps another job waiting: there is a thread for each.
MOST_JOBS_AT_ONCE: Final = 64
DELIVER_EVERY: Final = timedelta(seconds=2)
TELL_ALERTMANAGER_EVERY: Final = timedelta(minutes=1)
# What another process decides about deletions (an approval) is noticed within this.
REVIEW_DELETIONS_EVERY: Final = timedelta(seconds=30)
_DELIVERING: Final = "deliver to "


def system_clock() -> datetime:
    """The present instant; the only place where the program asks for it."""
    return datetime.now(UTC)


class Displays:
    """Shows every new state to several displays."""

    def __init__(self, *displays: Display) -> None:
        self._displays = displays

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Make this the state that is shown from now on."""
        for display in self._displays:
            display.show(reading, now=now)


class Daemon:
    """The watch as a long-running process. `reload` reads the configuration anew, or raises ConfigInvalid."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        reload: Callable[[], Settings],
        environ: Mapping[str, str],
        allow_delete: bool = False,
        command: str = "fluence-costwatch",
        clock: Clock = system_clock,
        displays: tuple[Display, ...] = (),
        on_reload: Callable[[Settings], None] = lambda settings: None,
        on_listening: Callable[[str, int], None] = lambda host, port: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._reload = reload
        self._clock = clock
        self._on_reload = on_reload
        self._on_listening = on_listening
        self._armed = allow_delete
        self._command = command
        self._board = Noticeboard()
        self._listening_since: datetime | None = None
        self._assessed_at: datetime | None = None
        self._alarmed = False
        self._manager = ServiceManager(environ)
        self._tallies = Tallies()
        self._exporter = Exporter(
            version=__version__,
            watched=self._watched,
            tallies=self._tallies,
            size_bytes=store.size_bytes,
            drift=self._drift,
            budgets=lambda: self._settings.budgets,
            rules=lambda: self._settings.rules,
            targets=lambda: self._mailroom.targets,
        )
        self._mailroom = self._mailroom_of(settings)
        self._secret = store.secret()
        self._display = Displays(*displays)
        self._server = self._web_server()
        self._watchers: dict[str, Watcher] = {}
        self._found: Found = {}
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._executor = ThreadPoolExecutor(MOST_JOBS_AT_ONCE)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": self._executor},
            # In memory, and never dropped for being late: what is due is found in the database, not in the scheduler.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(_log_job_trouble, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def run(self) -> None:
        """Watch until SIGTERM or SIGINT; then end after the running step."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note_signal)
        host, port = self._server.start()
        try:
            self._listening_since = self._clock()
            self._on_listening(host, port)
            with self._store.reading() as reading:
                self._found = found_before(reading)
            self._show_metrics()
            self._watch(self._settings)
            self._serve_targets()
            self._scheduler.add_job(self._keep_house, HOUSEKEEPING, id="housekeeping")
            self._scheduler.start()
            self._manager.ready(watchdog=watchdog_of(self._settings))
            log.info(
                "watching", extra=facts(version=__version__, listen=f"{host}:{port}", accounts=len(self._watchers))
            )
            while self._signals.get() == signal.SIGHUP:
                self._take_new_settings()
        finally:
            self._manager.stopping()
            log.info("stopping after the running step")
            for watcher in self._watchers.values():
                watcher.wind_up()
            if self._scheduler.running:
                # While it waits for jobs itself it holds the lock that they need to put others on or off.
                self._scheduler.shutdown(wait=False)
                self._executor.shutdown(wait=True)
            self._server.stop()
            for watcher in self._watchers.values():
                watcher.close()

    def _all_found(self) -> Found:
        return {**self._found, **{name: each.generations for name, each in self._watchers.items()}}

    def _watched(self) -> Watched:
        return watched_of(self._settings, self._all_found())

    def _policy(self) -> Policy:
        terms = terms_of(self._settings, self._all_found(), armed=self._armed, listening_since=self._listening_since)
        return policy_of(self._settings, terms, secret=self._secret, command=self._command)

    def _around(self) -> Around:
        self._board.post("room", judge_room(free_bytes=self._store.free_bytes(), size_bytes=self._store.size_bytes()))
        return Around(noticed=self._board.read(), digests_since=self._assessed_at)

    def _mailroom_of(self, settings: Settings, *, former: Mailroom | None = None) -> Mailroom:
        return Mailroom(
            settings,
            store=self._store,
            board=self._board,
            tallies=self._tallies,
            clock=self._clock,
            on_accepted=self._notice_accepted,
            former=former,
        )

    def _notice_accepted(self, tx: Transaction, row: OutboxRow, at: datetime) -> None:
        note_accepted(tx, row, at, terms=self._policy().terms)

    def _alarm(self, trouble: CostwatchError | None) -> None:
        """A cycle could not be kept: tell it past the database, once until one is kept again."""
        if trouble is None:
            self._alarmed = False
            return
        if isinstance(trouble, StoreError) and not self._alarmed:
            self._alarmed = True
            self._mailroom.alarm(
                "The watch cannot write to its database",
                means=f"Nothing is recorded while charges go on: budgets, alerts and deletions stand still. {trouble}",
                advice="Mend it; the next cycle carries on by itself.",
            )

    def _drift(self) -> dict[tuple[str, str], Decimal]:
        return {(name, against): usd for name, each in self._watchers.items() for against, usd in each.drift.items()}

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)

    def _web_server(self) -> WebServer:
        server = self._settings.server
        return WebServer(
            server.host,
            server.port,
            metrics=self._exporter.metrics,
            health=self._health,
            acts=StoredActs(self._store, settings=lambda: self._settings, found=self._all_found, clock=self._clock),
            origins=lambda: origins_of(self._settings),
            token=None if server.token is None else server.token.reveal(),
            metrics_without_token=server.metrics_without_token,
        )

    def _watch(self, settings: Settings) -> None:
        """Put every configured account on the scheduler, instead of those that were there before.

        Raises CostwatchError where that cannot be; then the former ones go on.
        """
        now = self._clock()
        former = tuple(self._watchers.values())
        watchers = self._watchers_of(settings)
        try:
            with ExitStack() as turns:
                # A turn that still runs belongs to the former settings: what it brings is kept before anything is retired.
                for watcher in former:
                    turns.enter_context(watcher.turn)
                    turns.enter_context(watcher.acting)
                removed = retire_removed(self._store, [watcher.watching for watcher in watchers], now=now)
                for watcher in former:
                    watcher.close()
                    self._scheduler.remove_job(_job_id(watcher))
                    self._scheduler.remove_job(_reconciling_id(watcher))
                    self._scheduler.remove_job(_reviewing_id(watcher))
                    self._put_off(_deleting_id(watcher))
        except CostwatchError:
            for watcher in watchers:
                watcher.close()
            raise
        for name, generation in removed:
            log.warning("no longer configured, so no longer charged", extra=facts(account=name, generation=generation))
        self._watchers = {watcher.name: watcher for watcher in watchers}
        interval = settings.poll.interval.total_seconds()
        for place, watcher in enumerate(watchers):
            begin = now + place * STAGGER
            self._scheduler.add_job(
                self._turn,
                IntervalTrigger(seconds=interval, start_date=begin, timezone=UTC),
                args=(watcher,),
                id=_job_id(watcher),
                next_run_time=begin,
            )
            first = begin + RECONCILE_FIRST_AFTER
            self._scheduler.add_job(
                self._reconcile,
                IntervalTrigger(seconds=RECONCILE_EVERY.total_seconds(), start_date=first, timezone=UTC),
                args=(watcher,),
                id=_reconciling_id(watcher),
                next_run_time=first,
            )
            self._scheduler.add_job(
                self._await_deletions,
                IntervalTrigger(seconds=REVIEW_DELETIONS_EVERY.total_seconds(), timezone=UTC),
                args=(watcher,),
                id=_reviewing_id(watcher),
            )
        self._scheduler.add_job(
            self._judge_anew,
            IntervalTrigger(seconds=interval, start_date=now + settings.poll.interval / 2, timezone=UTC),
            id="judging",
            replace_existing=True,
        )

    def _watchers_of(self, settings: Settings) -> list[Watcher]:
        """A watcher for each configured account, in their order. Raises CostwatchError where one cannot be had."""
        watchers: list[Watcher] = []
        try:
            for account in settings.accounts:
                watchers.append(
                    Watcher(
                        account,
                        settings,
                        store=self._store,
                        display=self._display,
                        tallies=self._tallies,
                        board=self._board,
                        policy=self._policy,
                        around=self._around,
                        alarm=self._alarm,
                        clock=self._clock,
                    )
                )
        except CostwatchError:
            for watcher in watchers:
                watcher.close()
            raise
        return watchers

    def _turn(self, watcher: Watcher) -> None:
        begun = self._clock()
        if watcher.take_turn():
            self._assessed_at = begun
        self._show_metrics()
        self._await_deletions(watcher)
        if self._overdue() is None:
            self._manager.alive()
        if self._unready() is None:
            self._soon(self._mailroom.ping_dead_man, id="dead man")

    def _judge_anew(self) -> None:
        """Judge without a look, where looks are overdue: that data grow old is told all the same."""
        now = self._clock()
        if self._assessed_at is not None and now - self._assessed_at <= self._settings.poll.interval:
            return
        try:
            assessed = judge_anew(self._store, policy=self._policy(), around=self._around(), now=now)
        except CostwatchError as exc:
            log.error("what is remembered was not judged", extra=facts(error=exc))
            self._alarm(exc)
            return
        self._assessed_at = now
        for event in assessed.events:
            tell_event(event)
        self._show_metrics()

    def _await_deletions(self, watcher: Watcher) -> None:
        """Wake when the next deletion of the account is due; not for a watcher that was replaced while its step ran."""
        if watcher.is_closed:
            return
        try:
            with self._store.reading() as reading:
                waiting = reading.deletions(states=(DeletionState.NOTIFIED, DeletionState.APPROVED))
        except CostwatchError as exc:
            log.error("whether a deletion is due could not be looked up", extra=facts(account=watcher.name, error=exc))
            return
        own = [one for one in waiting if one.identity.account == watcher.name]
        at = next_wake(own, policy=self._settings.deletion, tried_at=watcher.tried_at)
        if at is None:
            self._put_off(_deleting_id(watcher))
        else:
            self._soon(self._delete, watcher, id=_deleting_id(watcher), at=at)

    def _delete(self, watcher: Watcher) -> None:
        carried = watcher.carry_out_due()
        if any(one.called for one in carried):
            # The lists tell what became of it; the sooner they are asked, the better the latency is known.
            with suppress(JobLookupError):  # the daemon is stopping
                self._scheduler.modify_job(_job_id(watcher), next_run_time=self._clock())
        self._await_deletions(watcher)

    def _soon(self, act: Callable[..., None], *arguments: object, id: str, at: datetime | None = None) -> None:
        """Do it once, at `at` or now, instead of when it was to be done."""
        when = max(self._clock(), at) if at is not None else self._clock()
        self._scheduler.add_job(act, DateTrigger(when, timezone=UTC), args=arguments, id=id, replace_existing=True)

    def _put_off(self, id: str) -> None:
        with suppress(JobLookupError):
            self._scheduler.remove_job(id)

    def _serve_targets(self) -> None:
        """A job for each target, instead of those that were there before, and one for Alertmanager."""
        for job in self._scheduler.get_jobs():
            if job.id.startswith(_DELIVERING):
                self._put_off(job.id)
        for target in self._mailroom.targets:
            self._scheduler.add_job(
                self._mailroom.deliver,
                IntervalTrigger(seconds=DELIVER_EVERY.total_seconds(), timezone=UTC),
                args=(target,),
                id=f"{_DELIVERING}{target}",
            )
        self._scheduler.add_job(
            self._mailroom.tell_alertmanager,
            IntervalTrigger(seconds=TELL_ALERTMANAGER_EVERY.total_seconds(), timezone=UTC),
            id="alertmanager",
            replace_existing=True,
        )

    def _reconcile(self, watcher: Watcher) -> None:
        watcher.reconcile()
        self._show_metrics()

    def _show_metrics(self) -> None:
        """Render the metrics anew. They come after the tallies of a turn, and also where the turn failed."""
        try:
            with self._store.reading() as reading:
                self._exporter.show(reading, now=self._clock())
        except CostwatchError as exc:
            log.error("the metrics stay as they were", extra=facts(error=exc))
        except Exception:
            # Whoever looks at the metrics sees that they are old; the ledger goes on.
            log.exception("the metrics stay as they were")

    def _take_new_settings(self) -> None:
        """SIGHUP: a valid configuration is taken, an invalid one changes nothing."""
        self._manager.reloading()
        try:
            settings = self._reload()
            self._watch(settings)
        except ConfigInvalid as exc:
            for problem in exc.problems:
                log.error("the configuration was not reloaded", extra=facts(problem=problem))
            self._tallies.reloaded(ok=False)
        except CostwatchError as exc:
            log.error("the configuration was not reloaded", extra=facts(problem=exc))
            self._tallies.reloaded(ok=False)
        else:
            self._put_in_force(settings)
            self._tallies.reloaded(ok=True)
            log.info("configuration reloaded", extra=facts(accounts=len(settings.accounts)))
        self._show_metrics()
        self._manager.ready(watchdog=watchdog_of(self._settings))

    def _put_in_force(self, settings: Settings) -> None:
        former, server = self._settings, settings.server
        self._on_reload(settings)
        if settings.database.path != former.database.path:
            log.warning("the path of the database is only read at the start; the former one stays")
        if (server.host, server.port) != (former.server.host, former.server.port):
            # The token belongs to the address: what is fit for another one may leave this one open.
            log.warning("where to listen, and the token for it, are only read at the start; the former ones stay")
            server = former.server
        else:
            self._server.ask_for(
                token=None if server.token is None else server.token.reveal(),
                metrics_without_token=server.metrics_without_token,
            )
        self._settings = replace(
            settings, server=server, database=replace(settings.database, path=former.database.path)
        )
        self._mailroom = self._mailroom_of(self._settings, former=self._mailroom)
        self._serve_targets()

    def _keep_house(self) -> None:
        """Once a day: drop old snapshots, write a backup, check the file."""
        now = self._clock()
        folder = self._settings.database.path.parent / "backups"
        try:
            dropped = self._store.prune(before=now - self._settings.database.retention)
            backup = self._store.backup(folder, now=now)
            problems = self._store.verify()
        except CostwatchError as exc:
            log.error("housekeeping failed, the watch goes on", extra=facts(error=exc))
            self._board.post("housekeeping", judge_housekeeping(failed=str(exc), damage=()))
            return
        self._board.post("housekeeping", judge_housekeeping(failed=None, damage=problems))
        log.info("kept house", extra=facts(dropped_snapshots=dropped, backup=backup.path, bytes=backup.size_bytes))
        for problem in problems:
            log.error("the database is damaged; restore a backup", extra=facts(problem=problem))

    def _overdue(self) -> str | None:
        """An account that has not finished a turn for as long as the service manager waits, if there is one."""
        limit = self._clock() - watchdog_of(self._settings)
        for name, watcher in self._watchers.items():
            if watcher.finished < limit:
                return name
        return None

    def _health(self) -> Health:
        overdue = self._overdue()
        unhealthy = None
        if not self._scheduler.running:
            unhealthy = "the scheduler does not run"
        elif overdue is not None:
            unhealthy = f"account {overdue} has not finished a cycle for {watchdog_of(self._settings)}"
        return Health(unhealthy=unhealthy, unready=unhealthy or self._unready())

    def _unready(self) -> str | None:
        fresh = self._clock() - self._watched().patience
        for name, watcher in self._watchers.items():
            if watcher.answered is None:
                return f"account {name} has not answered yet"
            if watcher.answered < fresh:
                return f"account {name} is stale"
        return None


def origins_of(settings: Settings) -> tuple[str, ...]:
    """Where people reach the web server, by the name that is configured for them."""
    if settings.server.public_url is None:
        return ()
    scheme, _, rest = settings.server.public_url.partition("://")
    return (f"{scheme}://{rest.partition('/')[0]}",)


def _reviewing_id(watcher: Watcher) -> str:
    return f"review deletions {watcher.name}"


def _deleting_id(watcher: Watcher) -> str:
    return f"delete {watcher.name}"


def _reconciling_id(watcher: Watcher) -> str:
    return f"reconcile {watcher.name}"


def _job_id(watcher: Watcher) -> str:
    return f"cycle {watcher.name}"


def _log_job_trouble(event: JobEvent) -> None:
    if event.code == EVENT_JOB_MAX_INSTANCES and event.job_id.startswith(_DELIVERING):
        return  # a target that is slow to answer keeps only itself waiting, and is told of where it does not take a message
    if event.code == EVENT_JOB_MAX_INSTANCES:
        log.warning("a cycle takes longer than the poll interval; one turn is skipped", extra=facts(job=event.job_id))
    else:
        log.error("a job failed or was missed", extra=facts(job=event.job_id))
