"""What every command does: the parts put together for one command, as `daemon.py` does for the watch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from fluence_costwatch.checking import check_account, check_deleting
from fluence_costwatch.cli.program import ROLLED_BACK, CheckLine, DemoOptions, Looked, SimulateOptions
from fluence_costwatch.config import AccountSettings, Settings, load
from fluence_costwatch.core.billing.history import Charge
from fluence_costwatch.core.billing.reconciled import ReconcileView, Skipped
from fluence_costwatch.core.billing.reconciliation import Comparison
from fluence_costwatch.core.deletion.deletions import Mode
from fluence_costwatch.core.resources import Resource
from fluence_costwatch.core.views.fleet import stale_accounts
from fluence_costwatch.cycle import retire_removed, run_cycle
from fluence_costwatch.daemon import Daemon, Displays
from fluence_costwatch.deciding import Deciding
from fluence_costwatch.deleting import Terms, carry_out_due, note_accepted
from fluence_costwatch.demo import run_demo
from fluence_costwatch.errors import (
    ConfigInvalid,
    CostwatchError,
    DatabaseInUse,
    DatabaseMissing,
    FluenceError,
    ListenFailed,
    StoreError,
    UnusableOption,
)
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.logs import facts, set_up_logging
from fluence_costwatch.mailroom import Mailroom, alarm_at_once
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.noticeboard import Noticeboard
from fluence_costwatch.ports import Backup, Signals, Store
from fluence_costwatch.probing import check_policy, check_signals, check_targets, samples
from fluence_costwatch.reconcile import WINDOW, apply_adjustments, reconcile
from fluence_costwatch.showing import require_known
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
    SqliteStore,
    backup_database,
    open_beside,
    open_reading,
    open_store,
    rebuild_database,
    upgrade_database,
    verify_database,
)
from fluence_costwatch.wiring import (
    AUTO,
    NOT_WATCHED,
    Found,
    billing_of,
    cloud_of,
    deleting_cloud_of,
    find_generations,
    found_before,
    notifier_of,
    policy_of,
    signals_of,
    terms_of,
    watched_of,
    watching_of,
)

log = logging.getLogger(__name__)

BACKUPS: Final = "backups"
LOOPBACK: Final = ("127.0.0.1", "localhost")


class InstalledProgram(Deciding):
    """The program as it is installed, over an environment."""

    def run(self, config: str | None, *, allow_delete: bool) -> None:
        """Be the daemon; returns when it was told to stop."""
        settings = load(config, environ=self._environ)
        self._log(settings)
        with self._opened(settings) as store:
            Daemon(
                settings,
                store=store,
                reload=lambda: load(config, environ=self._environ),
                environ=self._environ,
                allow_delete=allow_delete,
                on_reload=self._log,
            ).run()

    def _opened(self, settings: Settings) -> SqliteStore:
        """The database for the daemon. Where it cannot be had, targets are told at once: nothing else will tell them."""
        try:
            return open_store(settings.database.path, now=self.now())
        except DatabaseInUse:
            raise  # somebody else watches
        except StoreError as exc:
            alarm_at_once(
                settings,
                "The watch cannot open its database",
                means=f"Nobody watches while charges go on: no budget, alert or deletion is judged. {exc}",
                advice="Mend it and start the daemon again.",
                clock=self.now,
            )
            raise

    def once(self, config: str | None, *, allow_delete: bool) -> Sequence[Looked]:
        """One cycle for each account, then what is due: messages to targets, and deletions."""
        settings = load(config, environ=self._environ)
        self._log(settings)
        looks = []
        with open_store(settings.database.path, now=self.now()) as store:
            watchings = [watching_of(account, settings, {}) for account in settings.accounts]
            retire_removed(store, watchings, now=self.now())
            for account in settings.accounts:
                with (
                    closing(cloud_of(account, clock=self.now)) as cloud,
                    closing(signals_of(settings, clock=self.now)) as signals,
                ):
                    looks += self._look_once(account, settings, cloud, signals, store, armed=allow_delete)
            terms = terms_of(settings, {}, armed=allow_delete, listening_since=None)
            self._deliver_once(settings, store, terms)
            for account in settings.accounts if allow_delete else ():
                self._delete_once(account, settings, store, terms)
        return looks

    def _deliver_once(self, settings: Settings, store: Store, terms: Terms) -> None:
        mailroom = Mailroom(
            settings,
            store=store,
            board=Noticeboard(),
            tallies=Tallies(),
            clock=self.now,
            on_accepted=partial(note_accepted, terms=terms),
        )
        for target in mailroom.targets:
            mailroom.deliver(target)
        mailroom.tell_alertmanager()

    def _delete_once(self, account: AccountSettings, settings: Settings, store: Store, terms: Terms) -> None:
        """Carry out what is due. A moment that falls between two calls of the command is missed: `if_missed` decides."""
        with (
            closing(cloud_of(account, clock=self.now)) as cloud,
            closing(deleting_cloud_of(account, clock=self.now)) as deleting,
            closing(signals_of(settings, clock=self.now)) as signals,
        ):
            carry_out_due(
                account.name,
                cloud=cloud,
                deleter=deleting.deleter(delete_body=account.delete_body),
                signals=signals,
                store=store,
                terms=lambda: terms,
                clock=self.now,
            )

    def _look_once(
        self,
        account: AccountSettings,
        settings: Settings,
        cloud: FluenceCloud,
        signals: Signals,
        store: Store,
        *,
        armed: bool,
    ) -> list[Looked]:
        try:
            found = self._found(account, cloud)
            watching = watching_of(account, settings, found)
        except FluenceError as exc:
            return [Looked(account.name, "auto", exc.reason, str(exc))]
        turn = run_cycle(
            watching,
            cloud=cloud,
            billing=billing_of(watching, cloud),
            signals=signals,
            store=store,
            display=Displays(),
            policy=policy_of(
                settings, terms_of(settings, found, armed=armed, listening_since=None), secret=store.secret()
            ),
            clock=self.now,
        )
        return [Looked(each.account, each.generation, each.outcome, each.detail) for each in turn.records]

    def _found(self, account: AccountSettings, cloud: FluenceCloud) -> Found:
        """The generations that answer, where the configuration leaves that open. Raises FluenceUnavailable."""
        if account.generations != AUTO:
            return {}
        probes = find_generations(account, cloud.discovery())
        for probe in probes:
            if probe.reason:
                about = facts(account=account.name, generation=probe.generation, detail=probe.detail)
                log.warning(NOT_WATCHED, extra=about)
        return {account.name: tuple(probe.generation for probe in probes if probe.answers)}

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
        yield from self._check_database(settings)
        deletes = settings.deletion.mode is not Mode.OBSERVE
        for account in settings.accounts:
            with closing(cloud_of(account, clock=self.now)) as cloud:
                yield from check_account(account, cloud, deletes=deletes, now=self.now())
            if deletes:
                with closing(deleting_cloud_of(account, clock=self.now)) as cloud:
                    yield from check_deleting(account, cloud)
        yield from check_policy(settings)
        yield from check_targets(settings)
        yield from check_signals(settings, self._known_resources(settings), clock=self.now)

    def _known_resources(self, settings: Settings) -> Sequence[Resource]:
        try:
            with open_reading(settings.database.path) as reading:
                return [record.resource for record in reading.resources(gone=False)]
        except StoreError:
            return ()

    def notify_test(self, config: str | None, *, target: str | None) -> Iterable[CheckLine]:
        """Send a sample to one target, or to each."""
        settings = load(config, environ=self._environ)
        return samples(settings, notifier_of(settings, clock=self.now), target=target, now=self.now())

    def _check_database(self, settings: Settings) -> Iterable[CheckLine]:
        path = settings.database.path
        try:
            problems = verify_database(path)
            yield CheckLine("database", "failed" if problems else "ok", "; ".join(problems) or str(path))
            if not problems and self.rolled_back(str(settings.path)):
                yield CheckLine(
                    "database", "warning", f"{ROLLED_BACK} `deletions confirm` says that this is as it should be."
                )
        except DatabaseMissing:
            yield CheckLine("database", "ok", f"{path} will be made at the first start")
        except CostwatchError as exc:
            yield CheckLine("database", "failed", str(exc), exc.exit_code)

    def reconcile(self, config: str | None, *, apply: bool, account: str | None, days: int | None) -> ReconcileView:
        """Hold the ledger against the provider's numbers, and mend it where the provider is believed if `apply`."""
        settings = load(config, environ=self._environ)
        window = WINDOW if days is None else timedelta(days=days)
        comparisons: list[Comparison] = []
        adjustments: list[Charge] = []
        skipped: list[Skipped] = []
        with open_beside(settings.database.path) as store:
            with store.reading() as reading:
                require_known(account, settings, reading)
                found = found_before(reading)
            for each in settings.accounts:
                if account is not None and each.name != account:
                    continue
                with closing(cloud_of(each, clock=self.now)) as cloud:
                    billing = billing_of(watching_of(each, settings, found), cloud)
                    one = reconcile(each.name, billing=billing, store=store, now=self.now(), window=window)
                comparisons += one.comparisons
                if apply and one.adjustments:
                    adjustments += apply_adjustments(each.name, one.adjustments, store=store, now=self.now())
                else:
                    adjustments += one.adjustments
                skipped += [Skipped(each.name, because) for because in one.skipped]
            with store.reading() as reading:
                watched, now = watched_of(settings, found), self.now()
                stale = stale_accounts(reading.accounts(), watched=watched, now=now)
        return ReconcileView(
            as_of=now,
            zone=watched.zone,
            stale_accounts=stale,
            comparisons=tuple(comparisons),
            adjustments=tuple(adjustments),
            applied=apply,
            skipped=tuple(skipped),
        )

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

    def _log(self, settings: Settings) -> None:
        set_up_logging(
            form=settings.log.format, level=settings.log.level, under_systemd="JOURNAL_STREAM" in self._environ
        )


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
            generations=options.generations,
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
