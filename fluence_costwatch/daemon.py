"""The daemon: jobs, signals, the service manager, shutdown. Here the parts are put together, and here is the clock."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from threading import Lock
from types import FrameType
from typing import Final

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from fluence_costwatch import __version__
from fluence_costwatch.config import AccountSettings, Settings
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.history import Finding, Judgement
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.views import Watched, WatchedAccount, patience_of
from fluence_costwatch.cycle import Turn, Watching, find_twins, retire_removed, run_cycle
from fluence_costwatch.errors import ConfigInvalid, CostwatchError
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.metrics.exporter import Exporter
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.ports import Clock, Cloud, Display, Reading, Store
from fluence_costwatch.systemd import ServiceManager
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.server import WebServer

log = logging.getLogger(__name__)

# A look may take this long with all its retries; the unit's TimeoutStopSec leaves room for it.
LOOK_BUDGET: Final = timedelta(seconds=45)
SHORTEST_LOOK_BUDGET: Final = timedelta(seconds=5)
# Accounts start one after the other, so that one id under two keys is charged under the account that is listed first.
STAGGER: Final = timedelta(seconds=1)
HOUSEKEEPING: Final = CronTrigger(hour=3, minute=17, timezone=UTC)
# Beyond this a deletion would be refused, and boundaries may be judged wrongly (`design.md` section 7).
CLOCKS_MAY_DIFFER_BY: Final = timedelta(minutes=5)


def system_clock() -> datetime:
    """The present instant; the only place where the program asks for it."""
    return datetime.now(UTC)


def grid_of(account: AccountSettings) -> EpochGrid:
    """The grid on which the account's epochs lie where the API does not say."""
    return EpochGrid(account.epoch.anchor, account.epoch.length)


def watched_of(settings: Settings) -> Watched:
    """What is configured, as the views need it."""
    return Watched(
        accounts=tuple(
            WatchedAccount(account.name, tuple(map(Generation, account.generations)), grid_of(account))
            for account in settings.accounts
        ),
        patience=patience_of(interval=settings.poll.interval, stale_after=settings.alerts.stale_after),
        zone=settings.display.zone,
    )


def watching_of(account: AccountSettings, settings: Settings) -> Watching:
    """How the account's lists are to be judged."""
    return Watching(
        account.name,
        tuple(
            (
                Generation(generation),
                Judgement(
                    grid=grid_of(account),
                    confirm_absence=settings.poll.confirm_absence,
                    confirm_suspicious=settings.poll.confirm_suspicious,
                    rank=rank,
                    charge_from=account.charge_from,
                ),
            )
            for rank, generation in enumerate(account.generations)
        ),
    )


def cloud_of(account: AccountSettings, *, clock: Clock, budget: timedelta = LOOK_BUDGET) -> FluenceCloud:
    """The marketplace with the account's key; a look takes at most `budget`, retries and all."""
    return FluenceCloud(
        account=account.name,
        api_url=account.api_url,
        api_key=account.api_key.reveal(),
        auth=account.auth,
        clock=clock,
        budget=budget,
    )


def look_budget_of(settings: Settings) -> timedelta:
    """How long one look may take: with short polls not much longer than the next one is away."""
    return min(LOOK_BUDGET, max(settings.poll.interval, SHORTEST_LOOK_BUDGET))


def watchdog_of(settings: Settings) -> timedelta:
    """How long the service manager waits for a finished cycle: three polls, and what the looks of one may take."""
    looks = max(len(account.generations) for account in settings.accounts)
    return 3 * settings.poll.interval + looks * look_budget_of(settings)


@dataclass(slots=True)
class Runner:
    """One account on the scheduler, with its connection and how its last turns went.

    `finished` is when a turn last ended, at first when the runner was made; one that is `over` does nothing more.
    """

    watching: Watching
    cloud: Cloud
    close: Callable[[], None]
    finished: datetime
    answered: datetime | None = None
    over: bool = False
    trouble: str | None = None
    clocks_differ: bool = False
    turn: Lock = field(default_factory=Lock)


def _runners_of(settings: Settings, *, clock: Clock, now: datetime) -> list[Runner]:
    """A runner for each configured account, in their order. Raises CostwatchError where one cannot be had."""
    runners: list[Runner] = []
    try:
        for account in settings.accounts:
            cloud = cloud_of(account, clock=clock, budget=look_budget_of(settings))
            runners.append(Runner(watching_of(account, settings), cloud, cloud.close, finished=now))
    except CostwatchError:
        for runner in runners:
            runner.close()
        raise
    return runners


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
        self._manager = ServiceManager(environ)
        self._tallies = Tallies()
        self._exporter = Exporter(
            version=__version__,
            watched=lambda: watched_of(self._settings),
            tallies=self._tallies,
            size_bytes=store.size_bytes,
        )
        self._display = Displays(*displays)
        self._server = self._web_server()
        self._runners: dict[str, Runner] = {}
        self._twins: set[Finding] = set()
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(len(settings.accounts) + 4)},
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
            self._on_listening(host, port)
            self._show_metrics()
            self._watch(self._settings)
            self._scheduler.add_job(self._keep_house, HOUSEKEEPING, id="housekeeping")
            self._scheduler.start()
            self._manager.ready(watchdog=watchdog_of(self._settings))
            log.info(
                "watching", extra=_facts(version=__version__, listen=f"{host}:{port}", accounts=len(self._runners))
            )
            while self._signals.get() == signal.SIGHUP:
                self._take_new_settings()
        finally:
            self._manager.stopping()
            log.info("stopping after the running step")
            if self._scheduler.running:
                self._scheduler.shutdown(wait=True)
            self._server.stop()
            for runner in self._runners.values():
                runner.close()

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.put(number)

    def _web_server(self) -> WebServer:
        server = self._settings.server
        return WebServer(
            server.host,
            server.port,
            metrics=self._exporter.metrics,
            health=self._health,
            token=None if server.token is None else server.token.reveal(),
            metrics_without_token=server.metrics_without_token,
        )

    def _watch(self, settings: Settings) -> None:
        """Put every configured account on the scheduler, instead of those that were there before.

        Raises CostwatchError where that cannot be; then the former ones go on.
        """
        now = self._clock()
        former = tuple(self._runners.values())
        runners = _runners_of(settings, clock=self._clock, now=now)
        try:
            with ExitStack() as turns:
                # A turn that still runs belongs to the former settings: what it brings is kept before anything is retired.
                for runner in former:
                    turns.enter_context(runner.turn)
                removed = retire_removed(self._store, [runner.watching for runner in runners], now=now)
                for runner in former:
                    runner.over = True
                    runner.close()
                    self._scheduler.remove_job(_job_id(runner))
        except CostwatchError:
            for runner in runners:
                runner.close()
            raise
        for name, generation in removed:
            log.warning("no longer configured, so no longer charged", extra=_facts(account=name, generation=generation))
        self._runners = {runner.watching.account: runner for runner in runners}
        interval = settings.poll.interval.total_seconds()
        for place, runner in enumerate(runners):
            begin = now + place * STAGGER
            self._scheduler.add_job(
                self._turn,
                IntervalTrigger(seconds=interval, start_date=begin, timezone=UTC),
                args=(runner,),
                id=_job_id(runner),
                next_run_time=begin,
            )

    def _turn(self, runner: Runner) -> None:
        """One turn for one account. Whatever happens in it, the next one comes."""
        with runner.turn:
            if not runner.over:
                self._take_turn(runner)

    def _take_turn(self, runner: Runner) -> None:
        name, begun = runner.watching.account, time.monotonic()
        reason: str | None = "unexpected"
        try:
            turn = run_cycle(
                runner.watching, cloud=runner.cloud, store=self._store, display=self._display, clock=self._clock
            )
            reason = turn.failures[0].outcome if turn.failures else None
            self._tell(runner, turn)
        except CostwatchError as exc:
            log.error("the cycle failed, nothing of it was kept", extra=_facts(account=name, error=exc))
        except Exception:
            log.exception("the cycle failed, nothing of it was kept", extra=_facts(account=name))
        took = timedelta(seconds=time.monotonic() - begun)
        self._tallies.polled(name, reason, duration=took)
        runner.finished = self._clock()
        if reason is None:
            runner.answered = runner.finished
        log.debug("cycle ended", extra=_facts(account=name, seconds=f"{took.total_seconds():.3f}"))
        self._show_metrics()
        if self._overdue() is None:
            self._manager.alive()

    def _show_metrics(self) -> None:
        """Render the metrics anew. They come after the tallies of a turn, and also where the turn failed."""
        try:
            with self._store.reading() as reading:
                self._exporter.show(reading, now=self._clock())
        except CostwatchError as exc:
            log.error("the metrics stay as they were", extra=_facts(error=exc))
        except Exception:
            # Whoever looks at the metrics sees that they are old; the ledger goes on.
            log.exception("the metrics stay as they were")

    def _tell(self, runner: Runner, turn: Turn) -> None:
        for finding in turn.findings:
            level = logging.ERROR if finding.severity == "critical" else logging.WARNING
            log.log(level, finding.summary, extra=_facts(account=finding.account, kind=finding.kind))
        trouble = next((record for record in turn.records if record.outcome != "ok"), None)
        name = runner.watching.account
        if trouble is not None:
            facts = _facts(account=name, generation=trouble.generation, outcome=trouble.outcome, detail=trouble.detail)
            log.warning("the look brought nothing to charge by", extra=facts)
        elif runner.trouble is not None:
            log.info("answers again", extra=_facts(account=name, after=runner.trouble))
        runner.trouble = None if trouble is None else trouble.outcome
        differ = turn.clock_ahead is not None and abs(turn.clock_ahead) > CLOCKS_MAY_DIFFER_BY
        if differ and not runner.clocks_differ:
            log.warning(
                "this machine's clock and the marketplace's differ, so charges near a boundary may be counted late",
                extra=_facts(account=name, marketplace_ahead=turn.clock_ahead),
            )
        runner.clocks_differ = differ

    def _tell_twins(self) -> None:
        """Say once what looks like one machine under two ids; one list alone cannot show any."""
        if sum(len(runner.watching.judgements) for runner in self._runners.values()) < 2:
            return
        twins = set(find_twins(self._store))
        for finding in sorted(twins - self._twins, key=lambda one: one.summary):
            log.warning(finding.summary, extra=_facts(account=finding.account, kind=finding.kind))
        self._twins = twins

    def _take_new_settings(self) -> None:
        """SIGHUP: a valid configuration is taken, an invalid one changes nothing."""
        self._manager.reloading()
        try:
            settings = self._reload()
            self._watch(settings)
        except ConfigInvalid as exc:
            for problem in exc.problems:
                log.error("the configuration was not reloaded", extra=_facts(problem=problem))
            self._tallies.reloaded(ok=False)
        except CostwatchError as exc:
            log.error("the configuration was not reloaded", extra=_facts(problem=exc))
            self._tallies.reloaded(ok=False)
        else:
            self._put_in_force(settings)
            self._tallies.reloaded(ok=True)
            log.info("configuration reloaded", extra=_facts(accounts=len(settings.accounts)))
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

    def _keep_house(self) -> None:
        """Once a day: drop old snapshots, write a backup, check the file."""
        now = self._clock()
        folder = self._settings.database.path.parent / "backups"
        try:
            dropped = self._store.prune(before=now - self._settings.database.retention)
            backup = self._store.backup(folder, now=now)
            problems = self._store.verify()
        except CostwatchError as exc:
            log.error("housekeeping failed, the watch goes on", extra=_facts(error=exc))
            return
        log.info("kept house", extra=_facts(dropped_snapshots=dropped, backup=backup.path, bytes=backup.size_bytes))
        for problem in problems:
            log.error("the database is damaged; restore a backup", extra=_facts(problem=problem))

    def _overdue(self) -> str | None:
        """An account that has not finished a turn for as long as the service manager waits, if there is one."""
        limit = self._clock() - watchdog_of(self._settings)
        for name, runner in self._runners.items():
            if runner.finished < limit:
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
        fresh = self._clock() - watched_of(self._settings).patience
        for name, runner in self._runners.items():
            if runner.answered is None:
                return f"account {name} has not answered yet"
            if runner.answered < fresh:
                return f"account {name} is stale"
        return None


def _job_id(runner: Runner) -> str:
    return f"cycle {runner.watching.account}"


def _facts(**facts: object) -> dict[str, dict[str, object]]:
    return {"facts": facts}


def _log_job_trouble(event: JobEvent) -> None:
    if event.code == EVENT_JOB_MAX_INSTANCES:
        log.warning("a cycle takes longer than the poll interval; one turn is skipped", extra=_facts(job=event.job_id))
    else:
        log.error("a job failed or was missed", extra=_facts(job=event.job_id))
