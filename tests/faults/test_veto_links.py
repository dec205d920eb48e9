"""The link of a notice, over real HTTP: its button keeps the machine, and nothing else does anything."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen

from fluence_costwatch.acts import StoredActs
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.server import WebServer
from tests.faults.deletion_scene import IDLE, Scene, configured, scene


class Web:
    """The daemon's own server before the store of a scene, and the link of its notice."""

    def __init__(self, on: Scene, folder: Path) -> None:
        settings = configured(folder / "web")
        acts = StoredActs(on.watch.store, settings=lambda: settings, found=dict, clock=lambda: on.watch.now)
        self._on = on
        self._server = WebServer(
            "127.0.0.1",
            0,
            metrics=lambda: (b"", b""),
            health=Health,
            acts=acts,
            token=None,
            metrics_without_token=False,
        )

    def __enter__(self) -> Web:
        host, port = self._server.start()
        self.url = f"http://{host}:{port}"
        watch = self._on.watch
        watch.policy = replace(watch.policy, secret=watch.store.secret(), public_url=self.url)
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.stop()

    def link(self) -> str:
        """The link of the notice that was sent last."""
        links = [message.link for _, message in self._on.watch.notifier.sent if "/deletions/" in message.link]
        return links[-1]

    def ask(self, link: str, *, method: str = "GET", token: str | None = None, **headers: str) -> int:
        """Ask for a link; a POST is what the button of its page sends. The status of the answer."""
        parts = urlsplit(link)
        form = f"token={dict(parse_qsl(parts.query)).get('token', '') if token is None else token}&reason=mine"
        body = form.encode() if method == "POST" else None
        url = link.partition("?")[0] if method == "POST" else link
        request = Request(url, data=body, method=method, headers=headers)  # noqa: S310  # the address is our own
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310  # the address is our own
                return int(answer.status)
        except HTTPError as exc:
            with exc:
                return exc.code


def noticed(on: Scene) -> Deletion:
    """The machine is to go, and its notice was sent with a link."""
    on.begin()
    assert DeletionState.NOTIFIED is on.deletion.state
    return on.deletion


def test_the_button_behind_the_link_keeps_it(tmp_path: Path) -> None:
    with scene(IDLE, tmp_path) as on, Web(on, tmp_path) as web:
        noticed(on)
        assert 200 == web.ask(web.link(), method="POST")
        on.come_due()
        on.persist()

        assert [] == on.calls()
        assert DeletionState.VETOED is on.deletion.state
        assert "vetoed: mine" in on.told()


def test_a_link_that_is_only_looked_at_changes_nothing(tmp_path: Path) -> None:
    """A mail scanner and a chat's preview fetch every link: nothing is vetoed, and nothing goes earlier or twice for it."""
    with scene(IDLE, tmp_path) as on, Web(on, tmp_path) as web:
        before = noticed(on)
        link = web.link()
        bot = {"User-Agent": "Slackbot-LinkExpanding 1.0"}
        answers = {
            method: web.ask(link, method=method, **bot) for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
        }
        on.come_due()

        assert {"GET": 200, "HEAD": 200, "OPTIONS": 405, "PUT": 405, "DELETE": 405} == answers
        assert (before, []) == (on.deletion, on.calls())
        on.persist()
        assert 1 == len(on.calls())


def test_only_its_own_token_vetoes_a_deletion(tmp_path: Path) -> None:
    """Two machines are to go. A token that is forged, cut, empty or the other one's does not speak for this one."""
    with scene(IDLE, tmp_path) as on, Web(on, tmp_path) as web:
        other_vm = on.known_ids()[1]
        on.machines.busy[other_vm] = 0.005
        noticed(on)
        first, second = [message.link for _, message in on.watch.notifier.sent if "/deletions/" in message.link]
        own, others = (re.sub(".*token=", "", link) for link in (first, second))
        forged = ("0" * len(own), own[:-1], own[:-1] + ("0" if own[-1] != "0" else "1"), own.upper(), "", others)
        before = on.watch.deletions()
        answers = [web.ask(first, method="POST", token=token) for token in forged]

        assert [404] * len(forged) == answers
        assert before == on.watch.deletions()
        assert 403 == web.ask(first, method="POST", Origin="https://elsewhere.example")
        assert before == on.watch.deletions()


def test_a_token_that_was_used_does_nothing_more(tmp_path: Path) -> None:
    with scene(IDLE, tmp_path) as on, Web(on, tmp_path) as web:
        noticed(on)
        web.ask(web.link(), method="POST")
        vetoed = on.deletion
        answers = [web.ask(web.link(), method=method) for method in ("POST", "GET", "POST")]

        assert ([409, 200, 409], vetoed) == (answers, on.deletion)
        on.come_due()
        on.persist()
        assert [] == on.calls()


def test_a_link_expires_with_the_call(tmp_path: Path) -> None:
    """It says so, and does not pretend that anything was stopped."""
    with scene(IDLE, tmp_path) as on, Web(on, tmp_path) as web:
        noticed(on)
        on.come_due()
        on.act()
        requested = on.deletion
        answers = [web.ask(web.link(), method=method) for method in ("POST", "GET")]

        assert ([404, 404], requested) == (answers, on.deletion)
        with on.watch.store.reading() as reading:
            assert () == tuple(reading.vetoes())
