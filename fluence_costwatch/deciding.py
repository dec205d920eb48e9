"""What people decide by command: silences, what is kept, leases, vetoes, approvals. Each is one short transaction beside
the daemon, which reads them anew before it acts."""

from __future__ import annotations

import os
import pwd
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from fluence_costwatch.asking import Asking
from fluence_costwatch.cli.program import Heartbeat, Subject
from fluence_costwatch.config import ServerSettings, Settings
from fluence_costwatch.config.addresses import is_loopback
from fluence_costwatch.core.alerts.alert import Silence
from fluence_costwatch.core.alerts.silencing import NAMED_IN_FACTS
from fluence_costwatch.core.billing.history import Presence
from fluence_costwatch.core.deletion.deletions import AWAITING, LIVE, Deletion, DeletionState, Kept, Lease, Mode, moved
from fluence_costwatch.core.deletion.protection import protection_of
from fluence_costwatch.core.deletion.vetoes import approved, vetoed
from fluence_costwatch.core.idle.heartbeats import heartbeat_token
from fluence_costwatch.core.messages.wording import instant, label
from fluence_costwatch.core.resources import Identity, Resource
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.errors import CannotBeDone, UnknownName
from fluence_costwatch.ports import Reading, Transaction
from fluence_costwatch.showing import deletion_of, keeping_of, require_known, resource_named
from fluence_costwatch.store import open_beside

_LONGEST_REASON: Final = 200
_BEGINNING: Final = datetime.fromisoformat("1970-01-01T00:00Z")


@dataclass(frozen=True, slots=True)
class _Writing:
    """One transaction, and what is configured."""

    settings: Settings
    tx: Transaction
    reading: Reading
    now: datetime

    def when(self, moment: datetime) -> str:
        """An instant for the person who decided."""
        return instant(moment, zone=self.settings.display.zone)


class Deciding(Asking):
    """The commands that write down what a person decided."""

    def silence(self, config: str | None, *, subject: Subject, length: timedelta, reason: str) -> str:
        """Tell nothing of `subject` for so long."""
        with self._writing(config) as at:
            matched, about = _silenced(subject, at)
            silence = Silence(
                id=secrets.token_hex(4),
                until=at.now + length,
                author=self._author(),
                reason=_said(reason),
                made_at=at.now,
                **matched,
            )
            at.tx.save_silence(silence)
            kept = "" if subject.alert is not None else ", and nothing of it is deleted"
            return (
                f"Nothing is told of {about}{kept} until {at.when(silence.until)}; "
                f"`silence --end {silence.id}` ends that."
            )

    def end_silence(self, config: str | None, *, id: str) -> str:
        """End a silence now."""
        with self._writing(config) as at:
            silence = next((one for one in at.reading.silences() if one.id == id), None)
            if silence is None:
                raise UnknownName(f"there is no silence {printable(id, limit=60)!r}; `silence --list` lists them")
            if silence.until <= at.now:
                raise CannotBeDone(f"silence {silence.id} ended on {at.when(silence.until)} already")
            at.tx.save_silence(replace(silence, until=at.now))
            return f"Silence {silence.id} is over; it would have gone on until {at.when(silence.until)}."

    def keep(self, config: str | None, *, vm: str, reason: str) -> str:
        """Protect a resource until it is released."""
        with self._writing(config) as at:
            resource = resource_named(vm, at.reading).resource
            already = at.reading.kept().get(resource.identity)
            if already is not None:
                since = at.when(already.since)
                return f"{_called(resource)} has been kept since {since}: {printable(already.reason)}."
            at.tx.keep(Kept(resource.identity, at.now, self._actor(), _said(reason, otherwise="kept by command")))
            return (
                f"{_called(resource)} is kept until `keep {_word(resource)} --off`.{_about_its_deletion(resource, at)}"
            )

    def release(self, config: str | None, *, vm: str) -> str:
        """Protect a resource no longer."""
        with self._writing(config) as at:
            resource = resource_named(vm, at.reading).resource
            at.tx.release(resource.identity, actor=self._actor(), at=at.now)
            still = protection_of(resource, keeping_of(at.settings, at.reading), now=at.now)
            return f"{_called(resource)} is kept no longer." + (
                f" It is still not deleted, because {printable(still)}." if still is not None else ""
            )

    def lease(self, config: str | None, *, vm: str, until: datetime) -> str:
        """Keep a resource until then."""
        with self._writing(config) as at:
            resource = resource_named(vm, at.reading).resource
            at.tx.save_lease(Lease(resource.identity, until, self._actor(), at.now))
            return f"{_called(resource)} is leased until {at.when(until)} and not deleted before.{_about_its_deletion(resource, at)}"

    def end_lease(self, config: str | None, *, vm: str) -> str:
        """End what `lease` gave."""
        with self._writing(config) as at:
            resource = resource_named(vm, at.reading).resource
            if resource.identity not in at.reading.leases():
                raise CannotBeDone(f"{_called(resource)} has no lease that was given by command")
            at.tx.end_lease(resource.identity)
            still = protection_of(resource, keeping_of(at.settings, at.reading), now=at.now)
            return f"The lease of {_called(resource)} is over." + (
                f" It is still not deleted, because {printable(still)}." if still is not None else ""
            )

    def heartbeat(self, config: str | None, *, vm: str) -> Heartbeat:
        """How a resource says that it lives."""
        settings = self._settings(config)
        address, caution = _heard_at(settings.server)
        with open_beside(settings.database.path) as store:
            with store.reading() as reading:
                record = resource_named(vm, reading)
            secret = store.secret()
        called = _called(record.resource)
        if record.state.presence is Presence.GONE:
            raise CannotBeDone(f"{called} is gone, so its heartbeats are no longer noted")
        url = f"{address}/heartbeat/{heartbeat_token(record.state.identity, secret=secret)}"
        return Heartbeat(
            # In a crontab a plain % would end the command.
            line=f"curl -fsS -X POST {shlex.quote(url)}".replace("%", r"\%"),
            meaning=(
                f"Run from time to time it says that {called} is in use; once it has run, rules with the signal "
                '"heartbeat" take its silence for idleness.'
            ),
            caution=caution,
        )

    def approve(self, config: str | None, *, id: str, reason: str) -> str:
        """Approve a deletion for the moment that is set for it."""
        with self._writing(config) as at:
            before = deletion_of(id, at.reading)
            after = approved(before, actor=self._actor(), reason=reason, now=at.now)
            if after is None or after.approved_for is None:
                raise CannotBeDone(f"deletion {before.id} cannot be approved: {_why_not_approved(before, at)}")
            _save(after, before, at)
            return (
                f"Approved: {_named(after)} is deleted on {at.when(after.approved_for)} unless anything speaks against it "
                "by then; the approval is for that moment alone."
            )

    def veto(self, config: str | None, *, id: str, reason: str) -> str:
        """Stop a deletion."""
        with self._writing(config) as at:
            before = deletion_of(id, at.reading)
            done = vetoed(
                before, actor=self._actor(), reason=reason, veto_for=at.settings.deletion.veto_for, now=at.now
            )
            if done is None:
                raise CannotBeDone(f"deletion {before.id} cannot be vetoed: it is {_standing(before, at)}")
            after, veto = done
            _save(after, before, at)
            at.tx.save_veto(veto)
            of_rule = f" for rule {printable(veto.rule)}" if veto.rule else ""
            return (
                f"Vetoed: {_named(after)} stays, and is not proposed again{of_rule} until it has been active or "
                f"{at.when(veto.until)}."
            )

    def rolled_back(self, config: str | None) -> bool:
        """Whether nothing is deleted until an operator has confirmed that the database is as it should be."""
        with open_beside(self._database(config)) as store:
            return store.was_rolled_back()

    def accept_rollback(self, config: str | None) -> str:
        """Confirm that. What waits in it is withdrawn first: whoever stopped it since may have been forgotten."""
        with open_beside(self._database(config)) as store:
            if not store.was_rolled_back():
                raise CannotBeDone("there is nothing to confirm: the database and the counter beside it agree")
            with store.transaction() as tx:
                now = self.now()
                for before in tx.reading().deletions(states=AWAITING):
                    reason = "the database was restored; what was decided since it was saved is not known"
                    after = moved(
                        before, DeletionState.WITHDRAWN, at=now, actor=self._actor(), reason=reason, settled_at=now
                    )
                    tx.save_deletion(after, was=before.state)
            store.accept_rollback()
        return "Confirmed: the database counts as it is, and from the next look on deletions are proposed again."

    def notify_retry(self, config: str | None, *, number: int) -> str:
        """Queue a message again that was given up or may not have arrived."""
        with self._writing(config) as at:
            row = next((row for row in at.reading.outbox() if row.number == number), None)
            if row is None:
                raise UnknownName(f"there is no message {number}; `notify list` lists them")
            if row.target not in {target.name for target in at.settings.targets}:
                raise CannotBeDone(f"message {number} is for target {row.target}, which is no longer configured")
            if not at.tx.requeue(number, at=at.now):
                raise CannotBeDone(f"message {number} to {row.target} is {row.state}, so there is nothing to try again")
            return f"Message {number} to {row.target} is queued again; the daemon sends it within seconds of its next look."

    @contextmanager
    def _writing(self, config: str | None) -> Iterator[_Writing]:
        settings = self._settings(config)
        with open_beside(settings.database.path) as store, store.transaction() as tx:
            yield _Writing(settings, tx, tx.reading(), self.now())

    def _author(self) -> str:
        return login_name(self._environ)

    def _actor(self) -> str:
        return f"cli {self._author()}"


def login_name(environ: Mapping[str, str]) -> str:
    """Who runs the command: by the system's own word, and for root also by sudo's."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    by_sudo = printable(environ.get("SUDO_USER", ""), limit=40)
    return f"{by_sudo} as {name}" if uid == 0 and by_sudo not in ("", name) else name


def _heard_at(server: ServerSettings) -> tuple[str, str]:
    """The address before the path of a heartbeat, and who may not reach it. Raises CannotBeDone where it is not known."""
    if server.public_url is not None:
        return server.public_url, ""
    if server.port == 0:
        raise CannotBeDone(
            "where heartbeats are heard is not known before the daemon listens, because [server] listen takes any free "
            "port; set a port there, or public_url"
        )
    address = f"http://{f'[{server.host}]' if ':' in server.host else server.host}:{server.port}"
    if is_loopback(server.host) or _is_every_address(server.host):
        return address, f"{address} leads to the daemon on its own machine only; for others set [server] public_url"
    return address, ""


def _is_every_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _silenced(subject: Subject, at: _Writing) -> tuple[Mapping[str, str], str]:
    """What a silence about `subject` matches, and how that is called. Raises UnknownName."""
    if subject.resource is not None:
        resource = resource_named(subject.resource, at.reading).resource
        return {"account": resource.account, "resource_id": resource.identity.id}, _called(resource)
    if subject.account is not None:
        require_known(subject.account, at.settings, at.reading)
        return {"account": subject.account}, f"account {subject.account}"
    alerts = at.reading.alerts(resolved_since=_BEGINNING)
    if subject.rule is not None:
        known = {rule.name for rule in at.settings.rules} | {budget.name for budget in at.settings.budgets}
        told = {value for alert in alerts for key, value in alert.facts if key in NAMED_IN_FACTS}
        if subject.rule not in known | told | {alert.rule for alert in alerts}:
            names = ", ".join(sorted(known)) or "none"
            raise UnknownName(f"there is no rule or budget {printable(subject.rule, limit=120)!r}; configured: {names}")
        return {"rule": subject.rule}, f"rule {printable(subject.rule)}"
    found = [alert for alert in alerts if subject.alert in (alert.id, alert.fingerprint)]
    if not found:
        raise UnknownName(f"there is no alert {printable(subject.alert or '', limit=60)!r}; `alerts --all` lists them")
    newest = found[-1]
    return {"alert": newest.fingerprint}, f"alert {newest.id} ({printable(newest.summary, limit=120)})"


def _about_its_deletion(resource: Resource, at: _Writing) -> str:
    """What becomes of a deletion that stands, now that the resource is to be kept."""
    for one in at.reading.deletions(states=LIVE):
        if one.identity == resource.identity:
            if one.state in AWAITING:
                return f" Deletion {one.id} is not carried out."
            return f" Deletion {one.id} is {one.state} already and cannot be stopped any more."
    return ""


def _save(after: Deletion, before: Deletion, at: _Writing) -> None:
    if not at.tx.save_deletion(after, was=before.state):
        raise CannotBeDone(f"deletion {before.id} has just changed; look at it again with `deletions show {before.id}`")


def _why_not_approved(deletion: Deletion, at: _Writing) -> str:
    if deletion.mode is Mode.OBSERVE:
        return "it was only observed; [deletion] mode says whether anything is deleted"
    if deletion.state is DeletionState.PROPOSED:
        return "no target has accepted its notice yet, see `notify list`"
    if deletion.state is DeletionState.NOTIFIED:
        return "no moment is set for it yet"
    return f"it is {_standing(deletion, at)}"


def _standing(deletion: Deletion, at: _Writing) -> str:
    """The state of a deletion, since when and by whom."""
    last = deletion.history[-1] if deletion.history else None
    return (
        str(deletion.state) if last is None else f"{deletion.state} since {at.when(last.at)} by {printable(last.actor)}"
    )


def _called(resource: Resource) -> str:
    return _resource_called(resource.name, resource.identity)


def _named(deletion: Deletion) -> str:
    return _resource_called(deletion.name, deletion.identity)


def _resource_called(name: str | None, identity: Identity) -> str:
    id = label(None, id=identity.id)
    return f"{label(name, id=identity.id)} ({id}) of {identity.account}" if name else f"{id} of {identity.account}"


def _word(resource: Resource) -> str:
    return label(None, id=resource.identity.id)


def _said(reason: str, *, otherwise: str = "") -> str:
    return printable(reason.strip(), limit=_LONGEST_REASON) or otherwise
