"""Channels that are down, slow or busy, each beside two that work: nothing is lost, and nobody who got it gets it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fluence_costwatch.config import Settings, load
from fluence_costwatch.core.messages.composing import compose
from fluence_costwatch.core.messages.outbox import Delivery
from fluence_costwatch.delivery import nothing_more
from fluence_costwatch.mailroom import Mailroom
from fluence_costwatch.metrics.tallies import Tallies
from fluence_costwatch.noticeboard import Noticeboard
from fluence_costwatch.store import SqliteStore, open_store
from tests.daemon_process import Account, configuration
from tests.servers.marketplace import KEY
from tests.servers.smtp import MailServer, mail_server
from tests.servers.webhook import Webhook, webhook
from tests.telling import NOW, fired
from tests.unit.test_composing import CONTEXT

TARGETS = ("first", "second", "third")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass
class Office:
    """A mailroom whose clock is set by hand, with a web hook for each target."""

    settings: Settings
    store: SqliteStore
    hooks: dict[str, Webhook]
    now: datetime = NOW
    queued: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """The process begins: nothing but the database is left of a former one."""
        self.mailroom = Mailroom(
            self.settings,
            store=self.store,
            board=Noticeboard(),
            tallies=Tallies(),
            clock=lambda: self.now,
            on_accepted=nothing_more,
        )

    def alert(self) -> None:
        """Something happens that all targets are told of."""
        summary = f"fact {len(self.queued) + 1}"
        self.queued.append(f"[WARN] {summary}")
        routes = [target.route for target in self.settings.targets]
        event = fired(f"a{len(self.queued)}", summary=summary)
        with self.store.transaction() as tx:
            tx.enqueue(compose([event], routes=routes, quiet=None, context=CONTEXT, now=self.now), at=self.now)

    def work(self, span: timedelta, *, every: timedelta = 10 * SECOND, alerts: timedelta | None = None) -> None:
        """Deliver to every target now and then, for `span`; meanwhile something happens every `alerts`."""
        until, next_alert = self.now + span, self.now
        while self.now < until:
            if alerts is not None and self.now >= next_alert:
                self.alert()
                next_alert += alerts
            for target in self.mailroom.targets:
                self.mailroom.deliver(target)
            self.now += every

    def got(self, target: str) -> list[str]:
        """The subjects of all requests that reached a target, in their order."""
        return [posted.json["title"] for posted in self.hooks[target].requests]

    def states(self, target: str) -> list[Delivery]:
        with self.store.reading() as known:
            return [row.state for row in known.outbox(target=target)]


def settings_of(folder: Path, *urls: str) -> Settings:
    """A configuration with these targets."""
    tables = "".join(f'[[targets]]\nname = "{name}"\nurl = "{url}"\n' for name, url in zip(TARGETS, urls, strict=False))
    path = folder / "config.toml"
    path.write_text(configuration(Account("http://127.0.0.1:1")) + tables)
    path.chmod(0o600)
    (folder / "main.key").write_text(KEY)
    (folder / "main.key").chmod(0o600)
    return load(str(path), environ={})


@contextmanager
def office(folder: Path) -> Iterator[Office]:
    """Three targets that answer."""
    with ExitStack() as servers:
        hooks = {target: servers.enter_context(webhook()) for target in TARGETS}
        settings = settings_of(folder, *(f"json://{hook.address}/?rto=0.3" for hook in hooks.values()))
        store = servers.enter_context(open_store(folder / "watch.db", now=NOW))
        yield Office(settings, store, hooks)


DOWN = [
    pytest.param(500, "answer", id="it answers with a failure"),
    pytest.param(503, "answer", id="it says that it is unavailable"),
    pytest.param(200, "drop", id="it closes every connection"),
]


@pytest.mark.parametrize(("status", "mode"), DOWN)
def test_a_channel_that_is_down_for_an_hour_gets_everything_once_and_in_order(
    tmp_path: Path, status: int, mode: str
) -> None:
    with office(tmp_path) as at:
        down = at.hooks["second"]
        down.status, down.mode = status, mode
        at.work(HOUR, alerts=10 * MINUTE)
        tried = len(down.requests)
        assert at.queued == at.got("first") == at.got("third")
        assert {Delivery.QUEUED} == set(at.states("second"))

        at.open()
        down.status, down.mode = 200, "answer"
        at.work(6 * MINUTE)

        assert at.queued == at.got("second")[tried:]
        assert at.queued == at.got("first") == at.got("third")
        assert {Delivery.SENT} == {state for target in TARGETS for state in at.states(target)}
        # Ten seconds doubling to five minutes, with the oldest message alone.
        assert 10 < tried < 25
        assert {at.queued[0]} == set(at.got("second")[:16])


def test_what_was_handed_over_and_not_answered_is_not_sent_again_and_is_seen(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        slow = at.hooks["second"]
        slow.mode = "hang"
        at.alert()
        at.work(10 * MINUTE)
        at.open()
        at.work(50 * MINUTE)

        assert at.queued == at.got("first") == at.got("second") == at.got("third")
        assert [Delivery.UNCONFIRMED] == at.states("second")
        slow.mode = "answer"
        at.alert()
        at.work(MINUTE)

        assert at.queued == at.got("first") == at.got("second") == at.got("third")
        assert [Delivery.UNCONFIRMED, Delivery.SENT] == at.states("second")


def test_an_operator_may_have_what_was_not_answered_sent_again(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        at.hooks["second"].mode = "stall"
        at.alert()
        at.work(MINUTE)
        at.hooks["second"].mode = "answer"
        with at.store.reading() as known:
            (row,) = known.outbox(states=(Delivery.UNCONFIRMED,))
        with at.store.transaction() as tx:
            assert tx.requeue(row.number, at=at.now)
        at.work(MINUTE)

        assert 2 * at.queued == at.got("second")
        assert at.queued == at.got("first") == at.got("third")
        assert [Delivery.SENT] == at.states("second")


@pytest.mark.parametrize("minutes", [2, 20])
def test_a_channel_that_asks_to_wait_is_left_alone_for_so_long(tmp_path: Path, minutes: int) -> None:
    with office(tmp_path) as at:
        busy = at.hooks["second"]
        busy.status, busy.headers = 429, {"Retry-After": str(minutes * 60)}
        at.work(MINUTE, alerts=20 * SECOND)
        busy.status = 200
        at.work((minutes - 1) * MINUTE - 10 * SECOND)
        assert at.queued[:1] == at.got("second")

        at.work(MINUTE)
        assert at.queued[:1] + at.queued == at.got("second")
        assert at.queued == at.got("first") == at.got("third")
        assert {Delivery.SENT} == {state for target in TARGETS for state in at.states(target)}


def test_a_channel_that_is_gone_for_good_is_told_apart_and_stops_nobody(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        at.hooks["second"].status = 404
        at.work(HOUR, alerts=20 * MINUTE)

        assert at.queued == at.got("first") == at.got("second") == at.got("third")
        assert 3 * [Delivery.DEAD] == at.states("second")


def refused(server: MailServer) -> None:
    server.data = "451 try again later"


def full(server: MailServer) -> None:
    server.rcpt = "452 too many mails"


@pytest.mark.parametrize("fails", [refused, full])
def test_a_mail_server_that_fails_for_an_hour_sends_every_mail_once(
    tmp_path: Path, fails: Callable[[MailServer], None]
) -> None:
    with mail_server() as server, webhook() as hook, open_store(tmp_path / "watch.db", now=NOW) as store:
        settings = settings_of(tmp_path, f"json://{hook.address}/", server.url())
        at = Office(settings, store, {"first": hook})
        fails(server)
        at.work(HOUR, alerts=20 * MINUTE, every=MINUTE)
        server.data = server.rcpt = "250 OK"
        at.work(6 * MINUTE, every=MINUTE)

        assert at.queued == [mail["Subject"] for mail in server.mails] == at.got("first")
        assert 3 * [Delivery.SENT] == at.states("second")
