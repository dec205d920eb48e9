"""The table of obstacles: what must keep a machine that is about to be deleted, and what is then said of it.

An obstacle comes early, so that looks see it before the moment; late, after the last look; or while the last look is being
made, between the fresh list and the decision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.alerts.findings import fingerprint_of
from fluence_costwatch.core.deletion.deletions import Kept, Lease, Mode, Protection
from fluence_costwatch.core.deletion.vetoes import vetoed
from fluence_costwatch.core.idle.rules import Action
from fluence_costwatch.core.money import Usd
from fluence_costwatch.store import open_beside
from tests.faults.deletion_scene import (
    BY_BUDGET,
    BY_LEASE,
    DUE,
    GPU,
    HOUR,
    IDLE,
    IDLE_RULE,
    METERED,
    MINUTE,
    OVER,
    TERMINATED,
    Scene,
    Setting,
)

MAINTENANCE = "/v1/service/status"
WEEK = timedelta(days=7)


LONGER = replace(IDLE_RULE, held_for=2 * HOUR)
UNKNOWN = "by rule idle-vm it is unknown now"
CHANGED = "rule idle-vm was changed"
OBSERVE = "the mode is observe, which deletes nothing"
OUTSIDE = "it is outside the allowed hours"
MOVED = "its moment was missed or has moved"


class When(StrEnum):
    """When an obstacle comes."""

    EARLY = "seen by looks"
    LATE = "after the last look"
    MEANWHILE = "during the last look"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something after which nothing may be deleted, and what the audit trail or an alert then says; None: not tried."""

    what: str
    happens: Callable[[Scene], object]
    early: str | None = None
    late: str | None = None
    meanwhile: str | None = None
    setting: Setting = IDLE

    def says(self, when: When) -> str | None:
        """What is expected to be said of it."""
        return {When.EARLY: self.early, When.LATE: self.late, When.MEANWHILE: self.meanwhile}[when]


def always(what: str, happens: Callable[[Scene], object], says: str, *, late: bool = False) -> Obstacle:
    """An obstacle here at home, of which the same is said whenever it comes."""
    return Obstacle(what, happens, early=says, late=says if late else None, meanwhile=says)


def shown(
    what: str, happens: Callable[[Scene], object], says: str, setting: Setting = IDLE, *, early: bool = False
) -> Obstacle:
    """An obstacle that only the fresh list can show; with `early` looks are tried too."""
    return Obstacle(what, happens, early=says if early else None, late=says, setting=setting)


def both(what: str, happens: Callable[[Scene], object], says: str, setting: Setting) -> Obstacle:
    """An obstacle to a deletion on another ground, seen by looks or not."""
    return shown(what, happens, says, setting, early=True)


def reloaded(**facts: Any) -> Callable[[Scene], None]:
    """The configuration is read again with another `[deletion]` section."""
    return lambda on: on.policy(**facts)


def terms(**facts: Any) -> Callable[[Scene], None]:
    """The configuration is read again with other rules or budgets."""
    return lambda on: on.terms(**facts)


def lists(kind: str, **fields: Any) -> Callable[[Scene], None]:
    """The list goes wrong."""
    return lambda on: on.misbehave(kind, **fields)


def shows(kind: str, **fields: Any) -> Callable[[Scene], None]:
    """The list says something else of the machine."""
    return lambda on: on.misbehave(kind, vm=on.vm, **fields)


def status(word: str) -> Callable[[Scene], None]:
    """The machine is listed with that status, and billed on."""
    return lambda on: on.watch.market.set_status(on.vm, word)


def half_of_the_list(on: Scene) -> None:
    on.misbehave("half_list")


def quarter_of_the_list(on: Scene) -> None:
    on.misbehave("half_list")
    on.misbehave("half_list")


def renamed(name: str) -> Callable[[Scene], None]:
    """Its owner gives it another name."""
    return lambda on: on.watch.market.rename(on.vm, name)


def later_charge(on: Scene) -> None:
    """The charge that was near falls due later."""
    on.misbehave("date_future", vm=on.vm, value=f"{DUE + 8 * HOUR:%Y-%m-%dT%H:%M:%SZ}")


def by_id(on: Scene) -> None:
    on.policy(protect=Protection(ids=(on.vm,)))


def maintenance_question(kind: str, **fields: Any) -> Callable[[Scene], None]:
    """The question for maintenance goes wrong."""
    return lambda on: on.misbehave(kind, path=MAINTENANCE, **fields)


def exporter(answer: int | str) -> Callable[[Scene], None]:
    """The exporter of the machine fails."""

    def fail(on: Scene) -> None:
        on.machines.fails[on.vm] = answer
        on.machines.go_on([on.vm], timedelta(0))

    return fail


def busy(on: Scene) -> None:
    """The machine works; if that is after the last look, it has since."""
    on.machines.busy[on.vm] = 0.9
    if on.watch.now < on.setting.due:
        return
    on.machines.go_on([on.vm], 5 * MINUTE)


def by_command(does: Callable[[Scene, Any], object]) -> Callable[[Scene], None]:
    """A person decides in another process, beside the daemon."""

    def decide(on: Scene) -> None:
        with open_beside(on.watch.path) as store, store.transaction() as tx:
            does(on, tx)

    return decide


def keep(on: Scene, tx: Any) -> None:
    tx.keep(Kept(on.identity, on.watch.now, "cli ann", "kept by command"))


def lease(on: Scene, tx: Any) -> None:
    tx.save_lease(Lease(on.identity, on.watch.now + WEEK, "cli ann", on.watch.now))


def silence(**about: Any) -> Callable[[Scene], None]:
    """A silence of that."""

    def put(on: Scene, tx: Any) -> None:
        facts = {name: value(on) if callable(value) else value for name, value in about.items()}
        tx.save_silence(Silence("s1", on.watch.now + WEEK, "ann", "", on.watch.now, **facts))

    return by_command(put)


def veto(on: Scene, tx: Any) -> None:
    before = on.deletion
    done = vetoed(before, actor="cli ann", reason="still needed", veto_for=WEEK, now=on.watch.now)
    assert done is not None
    assert tx.save_deletion(done[0], was=before.state)
    tx.save_veto(done[1])


def veto_of_before(on: Scene, tx: Any) -> None:
    """The veto alone, as where the deletion that it was said to is another one."""
    done = vetoed(on.deletion, actor="cli ann", reason="still needed", veto_for=WEEK, now=on.watch.now)
    assert done is not None
    tx.save_veto(done[1])


def renamed_and_back(on: Scene) -> None:
    """It had a protected name for one look."""
    on.policy(protect=Protection(("prod-*",)))
    on.watch.market.rename(on.vm, "prod-db")
    on.look(MINUTE)
    on.watch.market.rename(on.vm, "idle")


def our_clock(wrong_by: timedelta) -> Callable[[Scene], None]:
    """Our clock is set wrongly."""
    return lambda on: on.set_clock(wrong_by=wrong_by)


OBSTACLES = (
    # What the list is like.
    Obstacle("the list fails", lists("status", code=500), UNKNOWN, "was answered with 500"),
    Obstacle("the list hangs", lists("hang"), None, "fell silent before the answer"),
    Obstacle("the key is refused", lists("status", code=401), UNKNOWN, "Fluence refuses the key"),
    Obstacle("the list is cut short", lists("cut_short"), None, "closed connection without sending complete"),
    Obstacle("the list is a web page", lists("html"), None, "is not a list in JSON"),
    Obstacle("the list is an object", lists("wrong_type"), None, "no complete list could be had"),
    Obstacle("the list is empty", lists("empty_list"), UNKNOWN, "the list is suspicious: it lacks too much"),
    Obstacle("a quarter of the list", quarter_of_the_list, UNKNOWN, "the list is suspicious: it lacks too much"),
    Obstacle("half of the list", half_of_the_list, None, "have vanished, and not by us"),
    Obstacle("the machine is not listed", shows("missing_vm"), UNKNOWN, "the fresh list does not show it once"),
    shown(
        "the machine is listed twice",
        shows("duplicate_vm", changes={"vmName": "b"}),
        "listed more than once",
        early=True,
    ),
    # What the machine is like.
    shown("renamed", renamed("prod"), "it was renamed: 'idle' is 'prod' now", early=True),
    shown("without a name", shows("field", name="vmName", value=None), "'idle' is a machine without a name now"),
    shown("re-created under its id", shows("date_past", field="createdAt"), "it was created anew", early=True),
    shown("its id in other letters", shows("id_case"), "its id is not the one that was proposed", early=True),
    shown("dearer", lambda on: on.watch.market.set_price(on.vm, "0.4"), "its price has changed", early=True),
    shown("cheaper", lambda on: on.watch.market.set_price(on.vm, "0.2"), "its price has changed"),
    shown("its price is not known", shows("price_missing"), "its price is not known", early=True),
    shown("its price cannot be read", shows("price_text"), "its price is not known"),
    shown("a status that nobody knows", status("Hibernating"), "its status Hibernating is not one", early=True),
    shown("no status", shows("null_status"), "its status (none) is not one"),
    shown("ended by the provider", lambda on: on.watch.market.terminate(on.vm), "its status is Terminated", early=True),
    shown("launching", status("Launching"), "its status is Launching"),
    shown("no charge time", shows("date_null"), "the API does not say when its next charge falls due"),
    shown("a charge time that cannot be read", shows("date_malformed"), "cannot be read"),
    shown("a later charge time", later_charge, "by the fresh list"),
    shown("a name that is a lease", renamed("idle--ttl-9d"), "it is leased", early=True),
    # What the machine does.
    Obstacle("busy again", busy, "by rule idle-vm it is active now", "rule idle-vm does not hold now: cpu 45.2% busy"),
    Obstacle("its exporter fails", exporter(500), UNKNOWN, "is not known to hold now: cpu: status 500"),
    Obstacle("its exporter hangs", exporter("hang"), None, "is not known to hold now: cpu: no answer"),
    # What people say.
    always("protected by name", reloaded(protect=Protection(("idl*",))), "seen under the protected name 'idle'"),
    always("protected in other case", reloaded(protect=Protection(("IDLE",))), "seen under the protected name 'idle'"),
    always("protected by id", by_id, "its id is protected by deletion.protect.ids", late=True),
    always("a pattern that cannot be read", reloaded(protect=Protection(("[z-a]",))), "so everything is protected"),
    Obstacle("seen once under a protected name", renamed_and_back, "seen under the protected name 'prod-db'"),
    always("kept by command", by_command(keep), "it is kept until released: kept by command", late=True),
    always("leased by command", by_command(lease), "it is leased: leased by cli ann", late=True),
    always("silenced", silence(account="main", resource_id=lambda on: on.identity.id), "it is silenced until"),
    always("its rule silenced", silence(rule="idle-vm"), "it is silenced until"),
    always("its account silenced", silence(account="main"), "it is silenced until"),
    always(
        "its alert silenced",
        silence(alert=lambda on: fingerprint_of("idle", "main", on.identity.id, "idle-vm")),
        "it is silenced until",
    ),
    always("vetoed by command", by_command(veto), "vetoed: still needed", late=True),
    always("vetoed before", by_command(veto_of_before), "it was vetoed by cli ann: still needed"),
    # What is configured.
    Obstacle(
        "reloaded to observe", reloaded(mode=Mode.OBSERVE), "the mode was execute and is observe now", OBSERVE, OBSERVE
    ),
    always("reloaded to propose", reloaded(mode=Mode.PROPOSE), "the mode is propose", late=True),
    always("the second key taken away", reloaded(armed=False), "started without --allow-delete", late=True),
    always("a cap of none", reloaded(max_per_day=0), "max_per_day is reached: 0 deletions"),
    always("a share of none", reloaded(max_fleet_share=Decimal(0)), "max_fleet_share is reached: 0 deletions"),
    Obstacle("other hours", reloaded(allowed_from=time(2), allowed_until=time(4)), MOVED, OUTSIDE, OUTSIDE),
    Obstacle(
        "a longer notice",
        reloaded(min_notice=4 * HOUR),
        MOVED,
        "accepted less than 4 h ago",
        "accepted less than 4 h ago",
    ),
    Obstacle("another rule of that name", terms(rules=(LONGER,)), UNKNOWN, CHANGED, CHANGED),
    always("the rule removed", terms(rules=()), "rule idle-vm is no longer configured"),
    always("the rule only alerts", terms(rules=(replace(IDLE_RULE, action=Action.ALERT),)), "does not delete any more"),
    always("its generation left open", terms(configured=frozenset()), "the configuration does not name vms-v3"),
    # What time it is.
    shown("the marketplace's clock is ahead", lists("clock_skew", seconds=400), "differ by 6 min"),
    shown("the marketplace's clock is behind", lists("clock_skew", seconds=-400), "differ by 6 min"),
    shown("the marketplace has no clock", lists("no_date"), "does not say what time it is"),
    Obstacle(
        "our clock jumps ahead", our_clock(6 * MINUTE), None, "differ by 6 min", "or the clock was changed meanwhile"
    ),
    # The metered cloud.
    both("maintenance", lambda on: on.watch.market.maintenance(), "is under maintenance", METERED),
    shown("maintenance cannot be asked", maintenance_question("status"), "maintenance is not known", METERED),
    shown("the question of maintenance hangs", maintenance_question("hang"), "maintenance is not known", METERED),
    shown("maintenance is a web page", maintenance_question("html"), "maintenance is not known", METERED),
    both("may not be terminated", shows("field", name="allowedActions", value=["stop"]), "not allow to", METERED),
    shown("still launching", status("launching"), "the API does not allow to terminate it", METERED),
    # GPU instances.
    both("not begun", status("INITIALIZED"), "its status is INITIALIZED", GPU),
    shown("failed", lambda on: on.watch.market.fail(on.vm), "its status is FAILED", GPU),
    # Other grounds.
    both("the limit raised", terms(budgets=(replace(OVER, limit=Usd.parse("9")),)), "is not over any more", BY_BUDGET),
    both("the budget deletes no more", terms(budgets=(replace(OVER, delete_at=None),)), "delete any more", BY_BUDGET),
    both("the budget removed", terms(budgets=()), "does not delete any more", BY_BUDGET),
    both("a verdict that is not known", terms(rules=(IDLE_RULE,)), "whether it is idle is not known", BY_BUDGET),
    both("the lease renewed", by_command(lease), "leased by cli ann", BY_LEASE),
    both("runs again", status("Active"), "its status is Active, not Terminated", TERMINATED),
    both("reclaim switched off", reloaded(reclaim=False), "deletion.reclaim is off", TERMINATED),
)
