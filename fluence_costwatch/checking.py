"""What `check` asks the marketplace: does the key open what is watched, what may it see, do both clocks agree?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Literal

from fluence_costwatch.cli.program import CheckLine
from fluence_costwatch.config import AccountSettings
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.errors import FluenceError
from fluence_costwatch.fluence import FluenceCloud
from fluence_costwatch.fluence.scopes import missing
from fluence_costwatch.wiring import AUTO, CLOCKS_MAY_DIFFER_BY, WITH_BILLING, find_generations

EXPIRES_SOON: Final = timedelta(days=14)

DELETES: Final = "vms:write"
# What a watcher has no use for: these allow creating and destroying.
NOT_NEEDED: Final = (DELETES, "storage:write", "public_ip:write")


def check_account(
    account: AccountSettings, cloud: FluenceCloud, *, deletes: bool = False, now: datetime
) -> Iterator[CheckLine]:
    """Everything that can be known of one account by asking. `deletes`: the configuration lets machines be deleted."""
    generations: tuple[Generation, ...]
    if account.generations == AUTO:
        try:
            probes = find_generations(account, cloud.discovery())
        except FluenceError as exc:
            yield CheckLine(f"account {account.name}", "failed", str(exc), exc.exit_code)
            return
        for probe in probes:
            subject = f"account {account.name}, {probe.generation}"
            state: Literal["ok", "warning"] = "warning" if probe.reason else "ok"
            yield CheckLine(subject, state, f"{'watched' if probe.answers else 'not watched'}: {probe.detail}")
        generations = tuple(probe.generation for probe in probes if probe.answers)
    else:
        generations = tuple(map(Generation, account.generations))
    for generation in generations:
        yield from _check_list(cloud, account.name, generation)
    if any(generation in WITH_BILLING for generation in generations):
        # The GPU cloud refuses keys that only read, and without a key of its own this one deletes.
        reads_only = Generation.GPU not in generations and (not deletes or account.delete_api_key is not None)
        yield from _check_scopes(cloud, account.name, reads_only=reads_only, now=now)


def check_deleting(account: AccountSettings, cloud: FluenceCloud) -> Iterator[CheckLine]:
    """Whether the key that would delete may do so, where that can be asked; `cloud` is the marketplace with that key.

    Accounts whose generation is left open are never deleted from, so there is nothing to ask.
    """
    if account.generations == AUTO:
        return
    subject = f"account {account.name}, deletion"
    if account.delete_api_key is None:
        yield CheckLine(
            subject, "warning", "the key that watches also deletes; set delete_api_key_file, so that it need not"
        )
    if Generation.CLOUD_V2 not in map(Generation, account.generations):
        yield CheckLine(subject, "ok", "whether the key may delete cannot be asked of this generation")
        return
    try:
        scopes = cloud.billing().permissions().scopes
    except FluenceError as exc:
        yield CheckLine(subject, "failed", str(exc), exc.exit_code)
        return
    if DELETES in scopes:
        yield CheckLine(subject, "ok", f"the key has the scope {DELETES}")
    else:
        yield CheckLine(
            subject, "failed", f"the key lacks the scope {DELETES}, so it can delete nothing", FluenceError.exit_code
        )


def _check_list(cloud: FluenceCloud, account: str, generation: Generation) -> Iterator[CheckLine]:
    """Whether the key opens the list of `generation`, what is doubtful in it, and whether both clocks agree."""
    subject = f"account {account}, {generation}"
    try:
        listing = cloud.look(generation)
    except FluenceError as exc:
        yield CheckLine(subject, "failed", str(exc), exc.exit_code)
        return
    count = len(listing.resources)
    listed = f"{count} {'resource is' if count == 1 else 'resources are'} listed"
    yield CheckLine(subject, "ok", f"the key is accepted, {listed}")
    for resource in listing.resources:
        for problem in resource.problems:
            yield CheckLine(subject, "warning", f"{resource.name or resource.id}: {problem}")
    ahead = listing.clock_ahead
    if ahead is not None and abs(ahead) > CLOCKS_MAY_DIFFER_BY:
        yield CheckLine(subject, "warning", f"this machine's clock and the marketplace's differ by {abs(ahead)}")


def _check_scopes(cloud: FluenceCloud, account: str, *, reads_only: bool, now: datetime) -> Iterator[CheckLine]:
    """What the key may see, what each missing scope costs, and whether it ends soon. `reads_only` is whether a key that
    only reads would do."""
    subject = f"account {account}, key"
    try:
        permissions = cloud.billing().permissions()
    except FluenceError as exc:
        yield CheckLine(subject, "warning", f"what the key may see cannot be asked: {exc}")
        return
    lacking = missing(permissions.scopes)
    for scope in lacking:
        yield CheckLine(subject, "warning", f"it lacks the scope {scope.name}. {scope.without}")
    if not lacking:
        yield CheckLine(subject, "ok", "it may see all that CostWatch can use")
    more = [scope for scope in NOT_NEEDED if scope in permissions.scopes]
    if more and reads_only:
        yield CheckLine(subject, "warning", f"it may also {', '.join(more)}; a key that only reads is safer")
    if permissions.expires_at is not None and permissions.expires_at - now < EXPIRES_SOON:
        yield CheckLine(subject, "warning", f"it expires at {permissions.expires_at:%Y-%m-%d %H:%M} UTC")
