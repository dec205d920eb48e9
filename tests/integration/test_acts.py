"""Vetoes, heartbeats and figures over real HTTP on the daemon's own store, beside a watch that writes to it."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from fluence_costwatch.acts import StoredActs
from fluence_costwatch.config import Settings, load
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Ground, Mode, Transition, moved
from fluence_costwatch.core.deletion.vetoes import token_of
from fluence_costwatch.core.idle.heartbeats import heartbeat_token, owner_of
from fluence_costwatch.core.resources import Generation, Identity
from fluence_costwatch.deleting import carry_out_due
from fluence_costwatch.errors import StoreError
from fluence_costwatch.ports import Deleter, Heartbeat, Store, Transaction
from fluence_costwatch.showing import answer
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.server import WebServer
from tests.deletable import NOW, deletion
from tests.faults.deletion_scene import IDLE, Scene, prepared
from tests.rig import Rig, rig

VETOED, NOTIFIED = DeletionState.VETOED, DeletionState.NOTIFIED


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `text` as a person reads it."""

    status: int
    raw: str

    @property
    def text(self) -> str:
        return unescape(re.sub(r"<style.*?</style>|<[^>]*>", "", self.raw, flags=re.DOTALL))


@dataclass
class Site:
    """The server over the store of a watch."""

    watch: Rig
    settings: Settings
    address: tuple[str, int]

    def token(self, id: str = "d1") -> str:
        return token_of(id, secret=self.watch.store.secret())

    def open(self, id: str = "d1", *, token: str | None = None) -> Answer:
        return self.ask("GET", f"/deletions/{id}?{urlencode({'token': self.token(id) if token is None else token})}")

    def veto(self, id: str = "d1", *, token: str | None = None, reason: str = "still needed") -> Answer:
        form = urlencode({"token": self.token(id) if token is None else token, "reason": reason})
        return self.ask("POST", f"/deletions/{id}", form)

    def beat(self, token: str) -> Answer:
        return self.ask("POST", f"/heartbeat/{token}")

    def ask(self, method: str, path: str, form: str | None = None) -> Answer:
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        headers = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path, body=form, headers=headers)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return Answer(response.status, body)

    def keep(self, *deletions: Deletion) -> None:
        with self.watch.store.transaction() as tx:
            for one in deletions:
                assert tx.save_deletion(one, was=None)

    def stored(self, id: str = "d1") -> Deletion:
        return next(one for one in self.watch.deletions() if one.id == id)

    def everything(self) -> tuple[Any, ...]:
        with self.watch.store.reading() as reading:
            return tuple(reading.deletions()), tuple(reading.vetoes()), dict(reading.heartbeats())


@contextmanager
def served(watch: Rig, *, store: Store | None = None) -> Iterator[Site]:
    """`watch`, with the server over its store."""
    path = watch.path.parent / "config.toml"
    path.write_text(
        '[[accounts]]\nname = "main"\ngeneration = "vms-v3"\napi_key_env = "KEY"\n'
        f'[notify]\nzone = "Europe/Berlin"\n[database]\nurl = "sqlite:///{watch.path}"\n'
    )
    path.chmod(0o600)
    settings = load(str(path), environ={"KEY": "k"})
    acts = StoredActs(store or watch.store, settings=lambda: settings, found=dict, clock=lambda: watch.now)
    server = WebServer(
        "127.0.0.1", 0, metrics=lambda: (b"", b""), health=Health, acts=acts, token=None, metrics_without_token=False
    )
    try:
        yield Site(watch, settings, server.start())
    finally:
        server.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A watch over one machine at the moment when its deletion "d1" waits for three hours more."""
    start = NOW - timedelta(hours=3)
    with rig(tmp_path / "db", start=start, generation=Generation.VMS_V3) as watch:
        machine = watch.market.create("web", price="0.298160")
        watch.poll()
        with served(watch) as site:
            site.keep(deletion(identity=Identity("main", machine.lower()), target_id=machine))
            yield site


def test_the_page_says_what_happens_when_at_what_cost_and_what_the_button_does(site: Site) -> None:
    before = site.everything()
    page = site.open().text

    for words in (
        "This VM will be deleted",
        "It is deleted on 2026-03-03 17:25 UTC (18:25 CET), in 3 h, unless somebody stops it.",
        "All data on it go with it.",
        "$0.29816 with its next charge on 2026-03-03 17:55 UTC (18:55 CET), and $0.29816 a day from then on.",
        "cpu below 3%.",
        "The button stops this deletion at once and keeps it from rule idle-vm until 2026-03-10 14:25 UTC",
        "Opening this page has changed nothing.",
        site.stored().target_id,
    ):
        assert words in page
    assert before == site.everything()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        pytest.param(
            {"mode": Mode.PROPOSE},
            "Nothing happens unless somebody approves it; then it is deleted on 2026-03-03 17:25 UTC",
            id="proposed",
        ),
        pytest.param({"mode": Mode.OBSERVE}, "Nothing happens to it: the mode is observe", id="observed"),
        pytest.param(
            {"state": DeletionState.PROPOSED, "execute_at": None},
            "It is deleted at a time that is not set yet, unless somebody stops it.",
            id="not told yet",
        ),
        pytest.param({"execute_at": NOW - timedelta(hours=4)}, "It is deleted at any moment now", id="due"),
        pytest.param(
            {
                "mode": Mode.PROPOSE,
                "state": DeletionState.APPROVED,
                "history": (Transition(NOW, DeletionState.APPROVED, "cli ann", "fine"),),
            },
            "Approved by cli ann.",
            id="approved",
        ),
        pytest.param(
            {"ground": Ground.RECLAIM, "rule": "reclaim"}, "Its machine has ended already", id="a record to reclaim"
        ),
        pytest.param(
            {"identity": Identity("main", "0xgone")}, "Keeping it costs $0.29816 with each charge.", id="never seen"
        ),
        pytest.param({"ground": Ground.BUDGET, "rule": "lab"}, "keeps it from budget lab until", id="budget"),
    ],
)
def test_the_page_tells_how_it_stands(site: Site, facts: dict[str, Any], words: str) -> None:
    site.keep(deletion(id="d2", **facts))

    assert words in site.open("d2").text


def test_names_that_act_are_shown_and_do_nothing(site: Site) -> None:
    name = "<script>alert(1)</script>\u202egnp.exe\x1b[31m\n\"'"
    site.keep(deletion(id="d2", name=name, target_id="0x<b>\u2066", reason=name, evidence=(name,), rule="<i>"))
    page = site.open("d2")

    assert 200 == page.status
    assert r"<script>alert(1)</script>\u202egnp.exe\x1b[31m\n" + "\"'" in page.text
    assert r"0x<b>\u2066" in page.text
    assert [] == [one for one in ("<script", "<b>", "<i>", "\u202e", "\u2066", "\x1b") if one in page.raw]


def test_a_veto_stops_it_and_says_until_when_it_is_kept(site: Site) -> None:
    said = site.veto(reason=" still\u202e needed ")
    stopped, (veto,) = site.stored(), site.everything()[1]

    assert 200 == said.status
    assert "It is kept until 2026-03-10 14:25 UTC (15:25 CET) from rule idle-vm." in said.text
    assert r"Stopped on 2026-03-03 14:25 UTC (15:25 CET) by link 127.0.0.1: still\u202e needed." in said.text
    assert (VETOED, "link 127.0.0.1", r"still\u202e needed") == (
        stopped.state,
        stopped.history[-1].actor,
        stopped.history[-1].reason,
    )
    assert (stopped.identity, "idle-vm", site.watch.now + timedelta(days=7)) == (veto.identity, veto.rule, veto.until)


def test_a_second_veto_changes_nothing_and_shows_that_it_is_kept(site: Site) -> None:
    site.veto(reason="first")
    before = site.everything()
    site.watch.advance(timedelta(hours=1))
    second, shown = site.veto(reason="second"), site.open()

    assert before == site.everything()
    assert (409, 200) == (second.status, shown.status)
    assert second.text == shown.text
    assert "It is kept until 2026-03-10 14:25 UTC" in shown.text
    assert "<form" not in shown.raw


def test_once_the_veto_has_ended_the_page_does_not_say_that_it_is_kept(site: Site) -> None:
    site.veto()
    site.watch.advance(timedelta(days=8))

    assert "The veto that kept it has ended since" in site.open().text


BEGUN = (
    (DeletionState.WITHDRAWN,),
    (DeletionState.EXECUTING,),
    (DeletionState.EXECUTING, DeletionState.REQUESTED),
    (DeletionState.EXECUTING, DeletionState.REQUESTED, DeletionState.VERIFIED),
    (DeletionState.EXECUTING, DeletionState.FAILED),
    (DeletionState.EXECUTING, DeletionState.UNCONFIRMED),
)


def test_a_link_of_no_use_stops_nothing_and_does_not_say_why(site: Site) -> None:
    ids = []
    for number, states in enumerate(BEGUN):
        one = deletion(id=f"over{number}", identity=Identity("main", f"0x{number}"))
        for state in states:
            one = moved(one, state, at=NOW, reason="so it went")
        site.keep(one)
        ids.append(one.id)
    right = site.token()
    links: list[tuple[str, str | None]] = [(id, None) for id in ids]
    links += [("d1", token) for token in ("", right[:-1], right + "0", right.upper(), "0" * 64, site.token("over0"))]
    links += [("nothing", None), ("nothing", right), ("over0", right)]
    links += [("d1", token_of("d1", secret=b"another")), ("d1", heartbeat_token(site.stored().identity, secret=b"s"))]
    before = site.everything()

    answers = {act(id, token=token) for act in (site.open, site.veto) for id, token in links}
    assert [404] == [answer.status for answer in answers]
    assert before == site.everything()


class Calling:
    """A deleter with whom something happens when its call is about to be sent."""

    def __init__(self, true: Deleter, happens: Callable[[], Any]) -> None:
        self._true = true
        self._happens = happens

    def maintenance(self, generation: Generation) -> bool:
        return self._true.maintenance(generation)

    def delete(self, deletion: Deletion) -> None:
        self._happens()
        self._true.delete(deletion)


@contextmanager
def due(folder: Path) -> Iterator[tuple[Scene, Site]]:
    """An idle machine at the moment at which it is to be deleted."""
    with prepared(IDLE, folder) as on, served(on.watch) as site:
        on.last_looks()
        on.until_due()
        yield on, site


def test_a_veto_between_the_last_look_and_the_decision_counts(tmp_path: Path) -> None:
    with due(tmp_path) as (on, site):
        answers: list[Answer] = []
        on.interrupt(lambda: answers.append(site.veto(on.deletion.id)))
        on.persist()

        assert [200] == [answer.status for answer in answers]
        assert [] == on.calls()
        assert VETOED is on.deletion.state


def test_a_veto_after_the_decision_is_told_that_it_is_too_late(tmp_path: Path) -> None:
    with due(tmp_path) as (on, site):
        answers: list[Answer] = []
        watch, signals = on.watch, on.watch.signals
        assert signals is not None
        carry_out_due(
            "main",
            cloud=watch.cloud,
            deleter=Calling(watch.cloud.deleter(), lambda: answers.append(site.veto(on.deletion.id))),
            signals=signals,
            store=watch.store,
            terms=lambda: watch.policy.terms,
            clock=lambda: watch.now,
        )

        assert [404] == [answer.status for answer in answers]
        assert 1 == len(on.calls())
        assert () == site.everything()[1], "no veto is kept that did not hold"


@pytest.mark.parametrize("looks_first", [False, True])
def test_whoever_is_first_wins_alone(tmp_path: Path, looks_first: bool) -> None:
    """Five people veto at the very moment at which it is carried out: mostly too late, or mostly in time where the other
    side has one request to wait for itself. Either may win, but only one."""
    with due(tmp_path) as (on, site), ThreadPoolExecutor(5) as people:
        together, id = threading.Barrier(6), on.deletion.id

        def veto() -> int:
            together.wait(10)
            return site.veto(id).status

        on.interrupt(lambda: (together.wait(10), looks_first and site.open(id)))
        asked = [people.submit(veto) for _ in range(5)]
        on.act()
        answers = sorted(one.result() for one in asked)

        stopped = [200, 409, 409, 409, 409] == answers
        assert stopped or [404] * 5 == answers
        assert (0 if stopped else 1) == len(on.calls())
        assert (1 if stopped else 0) == len(site.everything()[1])
        assert stopped is (on.deletion.state is VETOED)
        assert 1 == [step.state in (VETOED, DeletionState.EXECUTING) for step in on.deletion.history].count(True)


def test_a_veto_waits_for_a_cycle_that_writes(site: Site) -> None:
    with ThreadPoolExecutor(1) as person:
        with site.watch.store.transaction() as tx:
            tx.save_heartbeat(Identity("main", "0x1"), at=site.watch.now)
            asked = person.submit(site.veto)
            assert 200 == site.open().status, "reading does not wait"
            assert NOTIFIED is site.stored().state
        assert 200 == asked.result().status

    assert VETOED is site.stored().state


class Full:
    """A store for which there is no room on the disk."""

    def __init__(self, true: Store) -> None:
        self.secret = true.secret
        self.reading = true.reading
        self._true = true

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._true.transaction() as tx:
            yield tx
            raise StoreError("there is no space left")


def test_a_veto_that_cannot_be_kept_is_not_said_to_be(site: Site) -> None:
    before = site.everything()
    with served(site.watch, store=Full(site.watch.store)) as full:  # type: ignore[arg-type]  # serves what is asked of it here
        answers = full.veto(), full.beat(heartbeat_token(site.stored().identity, secret=site.watch.store.secret()))

    assert [503, 503] == [answer.status for answer in answers]
    assert "Nothing has changed" in answers[0].text
    assert before == site.everything()


def test_a_heartbeat_is_noted_for_its_machine_alone_in_one_row(site: Site) -> None:
    other = site.watch.market.create("db", price="0.3")
    site.watch.poll()
    secret, first = site.watch.store.secret(), site.watch.now
    token = heartbeat_token(Identity("main", other.lower()), secret=secret)
    for _ in range(20):
        assert Answer(200, "noted\n") == site.beat(token)
        site.watch.advance(timedelta(seconds=1))
    last = site.watch.now - timedelta(seconds=1)

    assert {Identity("main", other.lower()): Heartbeat(first, last)} == site.everything()[2]


def test_a_heartbeat_of_nobody_is_not_noted(site: Site) -> None:
    secret, own = site.watch.store.secret(), site.stored().identity
    right = heartbeat_token(own, secret=secret)
    elsewhere = heartbeat_token(Identity("other", own.id), secret=secret)
    unseen = heartbeat_token(Identity("main", "0xunseen"), secret=secret)
    before = site.everything()
    wrong = (right[:-1], right + "0", right.upper(), elsewhere, unseen, site.token(), "%00", "%ff", "a" * 9000, "%2F")

    assert {404} == {site.beat(token).status for token in wrong}
    assert before == site.everything()


def test_a_machine_that_has_gone_beats_no_more(site: Site) -> None:
    own = site.stored().identity
    site.watch.market.create("db", price="0.3")
    site.watch.poll()
    site.watch.market.delete(site.stored().target_id)
    site.watch.polls(timedelta(minutes=10), every=timedelta(minutes=5))

    assert 404 == site.beat(heartbeat_token(own, secret=site.watch.store.secret())).status


def test_tokens_differ_by_account_machine_and_purpose() -> None:
    secret = b"s" * 32
    identities = [Identity("a", "b"), Identity("a", "c"), Identity("b", "b"), Identity("a b", ""), Identity("a", " b")]
    tokens = [heartbeat_token(one, secret=secret) for one in identities]

    assert len(identities) == len({*tokens})
    assert identities == [owner_of(token, identities, secret=secret) for token in tokens]
    assert not {token_of("b", secret=secret), heartbeat_token(identities[0], secret=b"t" * 32)} & {*tokens}


def test_figures_are_those_of_the_command(site: Site) -> None:
    for name in ("status", "vms", "spend", "calendar", "budgets", "forecast", "alerts", "idle", "deletions"):
        with site.watch.store.reading() as reading:
            said = answer(name, settings=site.settings, found={}, reading=reading, now=site.watch.now, query={})
        asked = site.ask("GET", f"/api/v1/{name}")

        assert (200, said) == (asked.status, json.loads(asked.raw)), name


QUESTIONS = (
    ("spend?by=day&since=2026-03-01T00:00:00Z", 200, '"by": "day"'),
    ("vms?all=1", 200, '"resources"'),
    ("calendar?days=3", 200, '"charges"'),
    ("spend?by=hour", 400, "by is "),
    ("spend?since=yesterday", 400, "since is an instant"),
    ("spend?since=0001-01-01T00:00:00%2B14:00", 400, "since is an instant"),
    ("calendar?days=1e9", 400, "days is a number"),
    ("status?verbose=1", 400, "verbose"),
    ("spend?account=nobody", 404, "there is no account"),
    ("secret", 404, "no such figures"),
    ("__class__", 404, "no such figures"),
    ("Status", 404, "no such figures"),
)


def test_questions_about_figures_change_nothing(site: Site) -> None:
    before = site.everything()
    for asked, status, words in QUESTIONS:
        said = site.ask("GET", f"/api/v1/{asked}")
        assert (asked, status) == (asked, said.status)
        assert words in said.raw

    assert before == site.everything()


def test_what_was_done_is_logged_without_its_token(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    beat = heartbeat_token(site.stored().identity, secret=site.watch.store.secret())
    site.open()
    site.veto()
    site.beat(beat)
    told = [record for record in caplog.records if record.getMessage() == "vetoed"]

    assert [{"deletion": "d1", "resource": site.stored().target_id, "actor": "link 127.0.0.1"}] == [
        vars(record)["facts"] for record in told
    ]
    assert not [one for one in (site.token(), beat) if one in caplog.text]
