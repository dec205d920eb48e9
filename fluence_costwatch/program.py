"""What every command does: the parts put together for one command, as `daemon.py` does for the watch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from fluence_costwatch.cli.program import CheckLine, DemoOptions, Looked, SimulateOptions
from fluence_costwatch.config import Settings, load
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.spending import (
    By,
    CalendarView,
    ExportRow,
    SpendView,
    calendar_view,
    export_rows,
    spend_view,
)
from fluence_costwatch.core.views import StatusView, VmsView, status_view, vms_view
from fluence_costwatch.cycle import retire_removed, run_cycle
from fluence_costwatch.daemon import (
    CLOCKS_MAY_DIFFER_BY,
    Daemon,
    Displays,
    cloud_of,
    system_clock,
    watched_of,
    watching_of,
)
from fluence_costwatch.demo import run_demo
from fluence_costwatch.errors import (
    ConfigInvalid,
    CostwatchError,
    DatabaseMissing,
    FluenceError,
    ListenFailed,
    UnknownName,
    UnusableOption,
)
from fluence_costwatch.logs import set_up_logging
from fluence_costwatch.ports import Backup, Listing, Reading
from fluence_costwatch.simulator import (
    AccountOptions,
    Options,
    Script,
    ScriptError,
    demo_script,
    read_script_file,
    serve,
)
from fluence_costwatch.store import (
    backup_database,
    open_reading,
    open_store,
    rebuild_database,
    upgrade_database,
    verify_database,
)

BACKUPS: Final = "backups"
LOOPBACK: Final = ("127.0.0.1", "localhost")


class InstalledProgram:
    """The program as it is installed, over an environment."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ

    def now(self) -> datetime:
        """The present instant."""
        return system_clock()

    def run(self, config: str | None, *, allow_delete: bool) -> None:
        """Be the daemon; returns when it was told to stop."""
        settings = load(config, environ=self._environ)
        self._log(settings)
        with open_store(settings.database.path, now=self.now()) as store:
            Daemon(
                settings,
                store=store,
                reload=lambda: load(config, environ=self._environ),
                environ=self._environ,
                on_reload=self._log,
            ).run()

    def once(self, config: str | None, *, allow_delete: bool) -> Sequence[Looked]:
        """One cycle for each account."""
        settings = load(config, environ=self._environ)
        self._log(settings)
        looks = []
        with open_store(settings.database.path, now=self.now()) as store:
            watchings = [watching_of(account, settings) for account in settings.accounts]
            retire_removed(store, watchings, now=self.now())
            for account, watching in zip(settings.accounts, watchings, strict=True):
                cloud = cloud_of(account, clock=self.now)
                try:
                    turn = run_cycle(watching, cloud=cloud, store=store, display=Displays(), clock=self.now)
                finally:
                    cloud.close()
                looks += [Looked(each.account, each.generation, each.outcome, each.detail) for each in turn.records]
        return looks

    def demo(self, options: DemoOptions) -> None:
        """Be the daemon on the simulated marketplace."""
        run_demo(
            host=options.listen[0],
            port=options.listen[1],
            epoch=options.epoch,
            duration=options.duration,
            directory=options.directory,
            environ=self._environ,
        )

    def simulate(self, options: SimulateOptions) -> None:
        """Be the simulated marketplace."""
        host, port = options.listen
        if host not in LOOPBACK:
            raise ListenFailed("the simulated marketplace has no real keys to check, so it listens on 127.0.0.1 only")
        try:
            serve(_marketplace(options, port=port), on_ready=lambda market: print(market.url, flush=True))
        except OSError as exc:
            raise ListenFailed(f"cannot listen on port {port}: {exc.strerror}") from exc

    def check(self, config: str | None) -> Iterable[CheckLine]:
        """Look at all that could be wrong, one after the other."""
        try:
            settings = load(config, environ=self._environ)
        except ConfigInvalid as exc:
            for problem in exc.problems:
                yield CheckLine(f"configuration {exc.path}", "failed", problem, exc.exit_code)
            return
        yield CheckLine("configuration", "ok", str(settings.path))
        for remark in settings.remarks:
            yield CheckLine("configuration", "warning", remark)
        yield self._check_database(settings)
        for account in settings.accounts:
            cloud = cloud_of(account, clock=self.now)
            try:
                for generation in account.generations:
                    yield from _check_key(cloud.look, account.name, Generation(generation))
            finally:
                cloud.close()

    def _check_database(self, settings: Settings) -> CheckLine:
        path = settings.database.path
        try:
            problems = verify_database(path)
        except DatabaseMissing:
            return CheckLine("database", "ok", f"{path} will be made at the first start")
        except CostwatchError as exc:
            return CheckLine("database", "failed", str(exc), exc.exit_code)
        return CheckLine("database", "failed" if problems else "ok", "; ".join(problems) or str(path))

    def status(self, config: str | None) -> StatusView:
        """The state of the watch."""
        with self._reading(config) as (settings, reading):
            return status_view(reading, watched=watched_of(settings), now=self.now())

    def vms(self, config: str | None, *, everything: bool) -> VmsView:
        """The resources, those that are gone only with `everything`."""
        with self._reading(config) as (settings, reading):
            return vms_view(reading, watched=watched_of(settings), now=self.now(), everything=everything)

    def spend(
        self, config: str | None, *, since: datetime | None, until: datetime | None, by: By, account: str | None
    ) -> SpendView:
        """What was spent in `[since, until)`."""
        with self._reading(config) as (settings, reading):
            _require_known(account, settings, reading)
            return spend_view(
                reading,
                watched=watched_of(settings),
                now=self.now(),
                since=since,
                until=until,
                by=by,
                account=account,
            )

    def calendar(self, config: str | None, *, days: int) -> CalendarView:
        """What falls due in the next days."""
        with self._reading(config) as (settings, reading):
            return calendar_view(reading, watched=watched_of(settings), now=self.now(), days=days)

    def export(
        self, config: str | None, *, since: datetime | None, until: datetime | None, account: str | None
    ) -> Iterator[ExportRow]:
        """The rows of the ledger, oldest first. Raises before the first row where there is nothing to read from."""
        stack = ExitStack()
        settings, reading = stack.enter_context(self._reading(config))
        with stack:
            _require_known(account, settings, reading)
            stack = stack.pop_all()
        return _until_read(stack, export_rows(reading, since=since, until=until, account=account))

    def db_upgrade(self, config: str | None) -> str:
        """Bring the schema up to date; returns a sentence on what was done."""
        path = self._database(config)
        saved = upgrade_database(path, now=self.now())
        return f"{path} is up to date." + (f" The former state is in {saved}." if saved is not None else "")

    def db_backup(self, config: str | None, *, directory: Path | None) -> Backup:
        """Write a backup, beside the database unless `directory` is given."""
        path = self._database(config)
        return backup_database(path, directory if directory is not None else path.parent / BACKUPS, now=self.now())

    def db_verify(self, config: str | None) -> Sequence[str]:
        """What is wrong with the database; empty when all is well."""
        return verify_database(self._database(config))

    def db_rebuild(self, config: str | None) -> Sequence[str]:
        """How the ledger replayed from the snapshots differs from the one that was kept; empty when it does not."""
        return rebuild_database(self._database(config))

    def _database(self, config: str | None) -> Path:
        return load(config, environ=self._environ, read_secrets=False).database.path

    @contextmanager
    def _reading(self, config: str | None) -> Iterator[tuple[Settings, Reading]]:
        # Whoever reads needs no key, and may not be allowed to see one.
        settings = load(config, environ=self._environ, read_secrets=False)
        with open_reading(settings.database.path) as reading:
            yield settings, reading

    def _log(self, settings: Settings) -> None:
        set_up_logging(
            form=settings.log.format, level=settings.log.level, under_systemd="JOURNAL_STREAM" in self._environ
        )


def _require_known(account: str | None, settings: Settings, reading: Reading) -> None:
    """Raises UnknownName for an account that is neither configured nor in the database."""
    known = {each.name for each in settings.accounts} | {record.account for record in reading.accounts()}
    if account is not None and account not in known:
        raise UnknownName(f"there is no account {account!r}; known are {', '.join(sorted(known))}")


def _until_read(stack: ExitStack, rows: Iterator[ExportRow]) -> Iterator[ExportRow]:
    """`rows`, with what they are read from closed after the last one."""
    with stack:
        yield from rows


def _check_key(look: Callable[[Generation], Listing], account: str, generation: Generation) -> Iterator[CheckLine]:
    """Whether the key opens the list of `generation`, and whether both clocks agree."""
    subject = f"account {account}, {generation}"
    try:
        listing = look(generation)
    except FluenceError as exc:
        yield CheckLine(subject, "failed", str(exc), exc.exit_code)
        return
    count = len(listing.resources)
    yield CheckLine(
        subject, "ok", f"the key is accepted, {count} {'resource is' if count == 1 else 'resources are'} listed"
    )
    for resource in listing.resources:
        for problem in resource.problems:
            yield CheckLine(subject, "warning", f"{resource.name or resource.id}: {problem}")
    ahead = listing.clock_ahead
    if ahead is not None and abs(ahead) > CLOCKS_MAY_DIFFER_BY:
        yield CheckLine(subject, "warning", f"this machine's clock and the marketplace's differ by {abs(ahead)}")


def _marketplace(options: SimulateOptions, *, port: int) -> Options:
    """The marketplace that the command line describes. Raises UnusableOption."""
    keys: dict[str, tuple[str, ...]] = {}
    for word in options.keys:
        name, _, key = word.rpartition("=")
        keys[name or "main"] = (*keys.get(name or "main", ()), key)
    try:
        return Options(
            port=port,
            accounts=tuple(AccountOptions(name, own, options.balance) for name, own in keys.items()),
            auth=options.auth,
            start=options.start,
            held=options.hold,
            epoch=options.epoch,
            policy=options.policy,
            anchor=options.anchor,
            flavour=options.flavour,
            delete_body=options.delete_body,
            delete_latency=options.delete_latency,
            launch_time=options.launch_time,
            listing_delay=options.listing_delay,
            charge_delay=options.charge_delay,
            next_billing_wobble=options.next_billing_wobble,
            script=_script(options.script),
        )
    except (ValueError, ScriptError) as exc:
        raise UnusableOption(f"the simulated marketplace cannot be like that: {exc}") from exc


def _script(word: str | None) -> Script:
    if word is None:
        return Script()
    return demo_script() if word == "demo" else read_script_file(Path(word))
