"""From a configuration to the parts that serve it: how accounts are watched, with which connection, and for how long."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from fluence_costwatch.assessment import Policy
from fluence_costwatch.config import AccountSettings, Settings
from fluence_costwatch.core.alerts import judging
from fluence_costwatch.core.billing.history import Judgement
from fluence_costwatch.core.epochs import EpochGrid
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.core.views.fleet import Watched, WatchedAccount, patience_of
from fluence_costwatch.cycle import Watching
from fluence_costwatch.deleting import Terms
from fluence_costwatch.errors import FluenceUnavailable
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.notify.apprise_targets import AppriseNotifier
from fluence_costwatch.ports import Billing, Clock, Discovery, Probe, Reading
from fluence_costwatch.signals import MachineSignals

# A look may take this long with all its retries; the unit's TimeoutStopSec leaves room for it.
LOOK_BUDGET: Final = timedelta(seconds=45)
SHORTEST_LOOK_BUDGET: Final = timedelta(seconds=5)
# Beyond this a deletion would be refused, and boundaries may be judged wrongly (`design.md` section 7).
CLOCKS_MAY_DIFFER_BY: Final = timedelta(minutes=5)
WITH_BILLING: Final = (Generation.CLOUD_V2,)
AUTO: Final = ("auto",)
NOT_WATCHED: Final = "not watched, because it cannot be read; if it bills, that is not seen"
"""What the log says of a generation that may be there but refuses the key or fails, where generations are found."""
ORDER: Final = (Generation.CLOUD_V2, Generation.VMS_V3, Generation.VMS_V2, Generation.GPU)
"""The order in which generations are listed that were found by asking: the present one first."""

Found = Mapping[str, tuple[Generation, ...]]
"""The generations that were found to serve an account whose configuration leaves that open, by account."""


def grid_of(account: AccountSettings) -> EpochGrid:
    """The grid on which the account's epochs lie where the API does not say."""
    return EpochGrid(account.epoch.anchor, account.epoch.length)


def generations_of(account: AccountSettings, found: Found) -> tuple[Generation, ...]:
    """The generations to watch, in their order; none yet where they are to be found by asking and were not."""
    if account.generations == AUTO:
        return found.get(account.name, ())
    return tuple(map(Generation, account.generations))


def found_before(reading: Reading) -> Found:
    """The generations that every account was ever asked for, as the database knows them."""
    return {record.account: tuple(sorted(record.last_cycle, key=ORDER.index)) for record in reading.accounts()}


def watched_of(settings: Settings, found: Found) -> Watched:
    """What is configured, as the views need it."""
    return Watched(
        accounts=tuple(
            WatchedAccount(account.name, generations_of(account, found), grid_of(account))
            for account in settings.accounts
        ),
        patience=patience_of(interval=settings.poll.interval, stale_after=settings.alerts.stale_after),
        zone=settings.display.zone,
    )


def watching_of(account: AccountSettings, settings: Settings, found: Found) -> Watching:
    """How the account's lists are to be judged."""
    return Watching(
        account.name,
        tuple(
            (
                generation,
                Judgement(
                    grid=grid_of(account),
                    confirm_absence=settings.poll.confirm_absence,
                    confirm_suspicious=settings.poll.confirm_suspicious,
                    rank=rank,
                    charge_from=account.charge_from,
                ),
            )
            for rank, generation in enumerate(generations_of(account, found))
        ),
        found=account.generations == AUTO,
    )


def terms_of(settings: Settings, found: Found, *, armed: bool, listening_since: datetime | None) -> Terms:
    """What bears on deletions. `armed`: the second key was given. `listening_since`: from when on heartbeats could arrive.

    Nothing is deleted of a generation that was found by asking: only what the configuration names itself.
    """
    return Terms(
        policy=replace(settings.deletion, armed=armed),
        rules=settings.rules,
        budgets=settings.budgets,
        watched=watched_of(settings, found),
        configured=frozenset(
            (account.name, Generation(word))
            for account in settings.accounts
            if account.generations != AUTO
            for word in account.generations
        ),
        judgements={
            (account.name, generation): judgement
            for account in settings.accounts
            for generation, judgement in watching_of(account, settings, found).judgements
        },
        confirm_suspicious=settings.poll.confirm_suspicious,
        listening_since=listening_since,
    )


def policy_of(settings: Settings, terms: Terms, *, secret: bytes, command: str = "fluence-costwatch") -> Policy:
    """What is judged and told, and by which rules. `secret` signs links, `command` is how people call the program."""
    return Policy(
        judging=judging.Policy(
            watched=terms.watched,
            repeat=settings.alerts.repeat,
            runway=settings.alerts.runway,
            new_vm_above=settings.alerts.new_vm_above,
        ),
        terms=terms,
        new_id=lambda: secrets.token_hex(8),
        secret=secret,
        routes=tuple(target.route for target in settings.targets),
        quiet=settings.notify.quiet,
        interval=settings.poll.interval,
        command=command,
        zone=settings.notify.zone,
        public_url=settings.server.public_url,
    )


def notifier_of(settings: Settings, *, clock: Clock) -> AppriseNotifier:
    """Whoever hands messages to the configured targets."""
    return AppriseNotifier({target.name: target.url.reveal() for target in settings.targets}, clock=clock)


def signals_of(settings: Settings, *, clock: Clock) -> MachineSignals:
    """What asks the machines of one account what they do; it remembers only what it asked last."""
    return MachineSignals(
        prometheus_url=settings.signals.prometheus_url,
        node_exporter_url=settings.signals.node_exporter_url,
        timeout=settings.signals.timeout,
        overrides=settings.signals.overrides,
        interval=settings.poll.interval,
        clock=clock,
    )


def deleting_cloud_of(account: AccountSettings, *, clock: Clock, budget: timedelta = LOOK_BUDGET) -> FluenceCloud:
    """The marketplace with the key that may delete: the account's own where no other is configured."""
    key = account.delete_api_key or account.api_key
    return cloud_of(replace(account, api_key=key), clock=clock, budget=budget)


def billing_of(watching: Watching, cloud: FluenceCloud) -> Billing | None:
    """The money side of the account, where one of its generations has one."""
    return cloud.billing() if any(generation in WITH_BILLING for generation, _ in watching.judgements) else None


def find_generations(account: AccountSettings, discovery: Discovery) -> tuple[Probe, ...]:
    """What each generation answers. Raises FluenceUnavailable where none does, with what each said."""
    probes = discovery.probe()
    if not any(probe.answers for probe in probes):
        said = " ".join(f"{probe.generation}: {probe.detail}" for probe in probes)
        raise FluenceUnavailable(
            f"No generation of the API answers for account {account.name!r}, so nothing is known of it. Check the key and "
            f"api_url, or name the generation in the configuration. {said}"
        )
    return probes


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
    # An account whose generations are to be found may turn out to have all of them; the balance is one look more.
    most = max(len(ORDER) if account.generations == AUTO else len(account.generations) for account in settings.accounts)
    return 3 * settings.poll.interval + (most + 1) * look_budget_of(settings)
