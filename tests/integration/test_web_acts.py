"""The veto page, heartbeats and figures over real HTTP, with nothing behind them: who may do what, and from where."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest

from fluence_costwatch.errors import StoreError, UnknownName, UnusableOption
from fluence_costwatch.web.acts import VetoPage
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.server import WebServer
from tests.servers.acts import ScriptedActs
from tests.servers.proxy import reverse_proxy

PUBLIC = "https://watch.example.com"
FORM = "application/x-www-form-urlencoded"
PAGE = "/deletions/d1?token=right"

Address = tuple[str, int]
Serve = Callable[..., Address]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server for acts on a free port of loopback; all are stopped at the end."""
    with ExitStack() as running:

        def start(acts: ScriptedActs, *, origins: Sequence[str] = (), token: str | None = None) -> Address:
            server = WebServer(
                "127.0.0.1",
                0,
                metrics=lambda: (b"", b""),
                health=Health,
                acts=acts,
                origins=lambda: tuple(origins),
                token=token,
                metrics_without_token=False,
            )
            running.callback(server.stop)
            return server.start()

        yield start


class Answer:
    """One answer of the server. `sent` are headers; a `form` is sent as browsers do, a `body` as it is."""

    def __init__(
        self,
        address: Address,
        path: str = PAGE,
        *,
        method: str = "GET",
        form: dict[str, str] | None = None,
        body: bytes = b"",
        **sent: Any,
    ) -> None:
        headers = {name.replace("_", "-"): value for name, value in sent.items()}
        if form is not None:
            method, body = "POST", urlencode(form).encode()
            headers.setdefault("Content-Type", FORM)
        connection = http.client.HTTPConnection(*address, timeout=10)
        connection.request(method, path, body=body or None, headers=headers)
        response = connection.getresponse()
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        connection.close()


RIGHT = {"token": "right", "reason": "mine"}


def vetoes(acts: ScriptedActs) -> list[tuple[str, ...]]:
    return [asked for asked in acts.asked if asked[0] == "veto"]


# What opens links without anybody having clicked, and methods that no page sends.
PREVIEWS: tuple[dict[str, Any], ...] = (
    {"User_Agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
    {"User_Agent": "TelegramBot (like TwitterBot)"},
    {"User_Agent": "Mozilla/5.0 (compatible; SafeLinks)", "Sec_Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch", "X_Moz": "prefetch"},
    {"User_Agent": "", "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    {"X_HTTP_Method_Override": "POST", "X_Method_Override": "POST"},
)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whoever_only_opens_the_link_sees_the_page_and_stops_nothing(serve: Serve, method: str) -> None:
    acts = ScriptedActs()
    address = serve(acts)
    for sent in PREVIEWS:
        for more in ("", "&_method=POST&reason=x"):
            assert 200 == Answer(address, f"{PAGE}{more}", method=method, **sent).status

    assert [] == vetoes(acts)


@pytest.mark.parametrize("path", [PAGE, "/heartbeat/beat", "/api/v1/status"])
def test_other_methods_do_nothing(serve: Serve, path: str) -> None:
    acts = ScriptedActs()
    address = serve(acts)
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        assert 405 == Answer(address, path, method=method).status

    assert [] == acts.asked


def test_a_veto_says_who_and_why(serve: Serve) -> None:
    acts = ScriptedActs(VetoPage("This VM is kept", "web", ("It is kept until then.",), done=True))
    answer = Answer(serve(acts), form=RIGHT)

    assert [("veto", "d1", "right", "link 127.0.0.1", "mine")] == acts.asked
    assert 200 == answer.status
    assert "It is kept until then." in answer.text
    assert "<form" not in answer.text


def test_a_veto_that_came_second_sees_how_it_stands_and_has_not_done_it(serve: Serve) -> None:
    answer = Answer(serve(ScriptedActs(VetoPage("This VM is kept", "web", ("It is kept until then.",)))), form=RIGHT)

    assert 409 == answer.status
    assert "It is kept until then." in answer.text


def test_whatever_is_wrong_about_a_link_the_answer_is_the_same(serve: Serve) -> None:
    acts = ScriptedActs()
    address = serve(acts)
    wrong = (
        "",
        "?token=",
        "?token=wrong",
        "?token=right%00",
        "?Token=right",
        f"?token={'a' * 9000}",
        "?token=%ff%fe",
        "?%",
    )
    opened = [Answer(address, f"/deletions/d1{query}") for query in wrong]
    opened += [
        Answer(address, f"/deletions/{id}?token=right") for id in ("d2", "D1", "%00", "a" * 9000, "%f0%9f%92%a9")
    ]
    sent = [Answer(address, PAGE, form=form) for form in ({}, {"token": ""}, {"token": "wrong"}, {"reason": "right"})]
    sent += [Answer(address, "/deletions/d2", form=RIGHT)]

    (only,) = {(answer.status, answer.text, tuple(answer.headers.keys())) for answer in opened + sent}
    assert 404 == only[0]


def test_a_token_in_the_address_alone_stops_nothing(serve: Serve) -> None:
    acts = ScriptedActs()

    assert 404 == Answer(serve(acts), PAGE, form={"reason": "x"}).status
    assert [("veto", "d1", "", "link 127.0.0.1", "x")] == acts.asked


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param({}, 409, id="a program, which says nothing"),
        pytest.param({"Sec_Fetch_Site": "same-origin", "Origin": "http://127.0.0.1:{port}"}, 409, id="the page itself"),
        pytest.param({"Origin": "http://127.0.0.1:{port}"}, 409, id="the page itself in an older browser"),
        pytest.param({"Origin": PUBLIC}, 409, id="the page under its public address"),
        pytest.param({"Origin": PUBLIC, "Sec_Fetch_Site": "same-origin"}, 409, id="the same, in a newer browser"),
        pytest.param({"Origin": "null", "Sec_Fetch_Site": "same-origin"}, 409, id="a browser that hides its origin"),
        pytest.param(
            {"Origin": "https://other.example", "Host": "other.example"}, 409, id="a proxy that keeps the host"
        ),
        pytest.param({"Origin": "https://other.example:443", "Host": "Other.Example"}, 409, id="however it is written"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="a page of somebody else"),
        pytest.param({"Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}, 403, id="the same, newer"),
        pytest.param({"Origin": "https://x.example.com", "Sec_Fetch_Site": "same-site"}, 403, id="a neighbour"),
        pytest.param({"Sec_Fetch_Site": "cross-site"}, 403, id="no origin, but from elsewhere"),
        pytest.param({"Sec_Fetch_Site": "cross-site", "Origin": PUBLIC}, 403, id="a browser that contradicts itself"),
        pytest.param({"Sec_Fetch_Site": "whatever"}, 403, id="a word that nobody knows"),
        pytest.param({"Origin": "null"}, 403, id="a sandbox"),
        pytest.param({"Origin": "http://watch.example.com"}, 403, id="the public address without encryption"),
        pytest.param({"Origin": "https://watch.example.com:8443"}, 403, id="another port of it"),
        pytest.param({"Origin": "https://watch.example.com.evil.example"}, 403, id="a name that begins like it"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, 403, id="another program of this machine"),
        pytest.param({"Origin": "http://["}, 403, id="no address"),
        pytest.param({"Origin": "http://127.0.0.1:x"}, 403, id="no port"),
        pytest.param({"Origin": ""}, 403, id="nothing"),
    ],
)
def test_a_veto_comes_from_the_page_itself(serve: Serve, sent: dict[str, Any], status: int) -> None:
    acts = ScriptedActs()
    address = serve(acts, origins=("https://Watch.Example.com:443",))
    answer = Answer(address, form=RIGHT, **{name: value.format(port=address[1]) for name, value in sent.items()})

    assert status == answer.status
    assert (status != 403) is bool(acts.asked)


def test_another_public_address_counts_from_the_next_request_on(serve: Serve) -> None:
    origins = [PUBLIC]
    address = serve(ScriptedActs(), origins=origins)

    def statuses() -> list[int]:
        return [Answer(address, form=RIGHT, Origin=origin).status for origin in (PUBLIC, "https://new.example.com")]

    assert [409, 403] == statuses()
    origins[:] = ["https://new.example.com"]
    assert [403, 409] == statuses()


@pytest.mark.parametrize("keeps_host", [False, True])
@pytest.mark.parametrize("prefix", ["", "/costwatch"])
def test_behind_a_proxy_the_page_and_its_button_work(serve: Serve, prefix: str, keeps_host: bool) -> None:
    acts = ScriptedActs()
    with reverse_proxy(serve(acts, origins=(PUBLIC,)), prefix=prefix, keeps_host=keeps_host) as proxy:
        shown = Answer(proxy, f"{prefix}{PAGE}", Host="watch.example.com", X_Forwarded_Proto="https")
        (action,) = re.findall(r'<form method="post" action="(.*?)">', shown.text)
        answer = Answer(proxy, f"{prefix}{PAGE}", form=RIGHT, Host="watch.example.com", Origin=PUBLIC)
        beaten = Answer(proxy, f"{prefix}/heartbeat/beat", method="POST", Host="watch.example.com")

    assert (200, "") == (shown.status, action), "an empty action is the address that the browser sees"
    assert 409 == answer.status
    assert [("veto", "d1", "right", "link 127.0.0.1", "mine")] == vetoes(acts)
    assert 200 == beaten.status


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        pytest.param(f"{FORM}; charset=UTF-8", b"token=right", 409, id="a form with its charset"),
        pytest.param(FORM.upper(), b"token=right", 409, id="in capitals"),
        pytest.param(FORM, b"token=wrong&token=right", 409, id="twice: the last one"),
        pytest.param(FORM, b"token=right&reason=" + b"x" * 4077, 409, id="as much as is taken"),
        pytest.param(FORM, b"token=right&reason=" + b"x" * 4078, 413, id="a byte more"),
        pytest.param(FORM, b"&" * 4096, 404, id="nothing but marks"),
        pytest.param(FORM, b"token=right%", 404, id="a broken escape"),
        pytest.param(FORM, b"\xff\xfe\x00", 404, id="no text"),
        pytest.param("", b"token=right", 415, id="no type"),
        pytest.param("text/plain", b"token=right", 415, id="text, which a form of any page may send"),
        pytest.param("application/json", b'{"token": "right"}', 415, id="json"),
        pytest.param("multipart/form-data; boundary=x", b"--x\r\n\r\n", 415, id="parts"),
    ],
)
def test_only_a_small_form_is_read(serve: Serve, kind: str, body: bytes, status: int) -> None:
    answer = Answer(serve(ScriptedActs()), method="POST", body=body, Content_Type=kind)

    assert status == answer.status
    assert (status != 409) is ("<form" not in answer.text)


def test_a_flood_is_cut_off_without_its_length(serve: Serve) -> None:
    acts = ScriptedActs()
    with socket.create_connection(serve(acts), timeout=10) as sent:
        head = f"POST {PAGE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
        sent.sendall(head.encode() + b"1000\r\n" + b"x" * 4096 + b"\r\n1\r\nx\r\n")

        assert b" 413 " in sent.recv(4096)
    assert [] == acts.asked


def test_a_form_that_breaks_off_is_no_trouble(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    acts = ScriptedActs()
    address = serve(acts)
    with socket.create_connection(address, timeout=10) as sent:
        sent.sendall(
            f"POST {PAGE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nContent-Length: 99\r\n\r\ntok".encode()
        )

    assert 200 == Answer(address).status
    assert [] == vetoes(acts)
    assert "" == caplog.text


class Elements(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' autofocus='",
    "</title></style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
    "שלום עולם",
    "\u0301" * 50,
)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_and_nothing_else(serve: Serve, name: str) -> None:
    plain = Elements(Answer(serve(ScriptedActs())).text)
    page = VetoPage("This VM will be deleted", name, (name,), ((name, name),), effect=name)
    answer = Answer(serve(ScriptedActs(page)))
    shown = Elements(answer.text)

    assert 5 <= shown.text.count(name)
    assert [tag for tag, _ in plain.tags] == [tag for tag, _ in shown.tags if tag not in ("dt", "dd")]
    assert [] == [
        key for _, attrs in shown.tags for key in attrs if key.startswith("on") or key in ("style", "src", "href")
    ]


def test_a_token_that_is_shown_again_is_text(serve: Serve) -> None:
    class Anyones(ScriptedActs):
        """Takes every token."""

        def deletion(self, deletion_id: str, *, token: str) -> VetoPage | None:
            return self.page

    hidden = [
        attrs["value"]
        for tag, attrs in Elements(Answer(serve(Anyones()), '/deletions/d1?token="><script>').text).tags
        if tag == "input" and attrs.get("type") == "hidden"
    ]

    assert ['"><script>'] == hidden


def test_the_page_may_only_load_its_own_style_and_send_its_own_form(serve: Serve) -> None:
    address = serve(ScriptedActs())
    first, second = Answer(address), Answer(address)
    (nonce,) = [attrs["nonce"] for tag, attrs in Elements(first.text).tags if tag == "style"]

    assert (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        == first.headers["Content-Security-Policy"]
    )
    assert first.headers["Content-Security-Policy"] != second.headers["Content-Security-Policy"]
    assert ["same-origin", "no-store", "nosniff"] == [
        first.headers[name] for name in ("Referrer-Policy", "Cache-Control", "X-Content-Type-Options")
    ]


def test_a_database_in_trouble_is_told_without_its_words(serve: Serve) -> None:
    address = serve(ScriptedActs(trouble=StoreError("/var/lib/secret.db is full")))
    answers = [Answer(address), Answer(address, form=RIGHT), Answer(address, "/heartbeat/beat", method="POST")]

    assert [503, 503, 503] == [answer.status for answer in answers]
    assert ["Nothing has changed" in answers[0].text, "Nothing has changed" in answers[1].text] == [True, True]
    assert not [answer for answer in answers if "secret.db" in answer.text]


def test_a_heartbeat_is_sent_and_not_opened(serve: Serve) -> None:
    acts = ScriptedActs()
    address = serve(acts)
    sent, opened = Answer(address, "/heartbeat/beat", method="POST"), Answer(address, "/heartbeat/beat")

    assert (200, "noted\n") == (sent.status, sent.text)
    assert (405, "POST") == (opened.status, opened.headers["Allow"])
    assert "curl -X POST" in opened.text
    assert 405 == Answer(address, "/heartbeat/beat", method="HEAD").status
    assert [("beat", "beat")] == acts.asked
    assert 404 == Answer(address, "/heartbeat/other", method="POST").status
    assert opened.text == Answer(address, "/heartbeat/other").text, "whether it is somebody's is not told"


def test_a_heartbeat_takes_whatever_is_sent_with_it(serve: Serve) -> None:
    address = serve(ScriptedActs(), token="s3cret")

    for kind in ("application/json", FORM, "text/plain"):
        answer = Answer(
            address, "/heartbeat/beat", method="POST", body=b"x" * 100_000, Content_Type=kind, Origin="null"
        )
        assert 200 == answer.status


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        pytest.param(None, (200, {"as_of": "now"}), id="figures"),
        pytest.param(UnusableOption("by is day"), (400, {"error": "by is day"}), id="an option that cannot be"),
        pytest.param(UnknownName("no account x"), (404, {"error": "no account x"}), id="a name that nobody has"),
        pytest.param(StoreError("it is full"), (503, {"error": "it is full"}), id="a database in trouble"),
    ],
)
def test_figures_are_json(serve: Serve, trouble: UnusableOption | None, expected: tuple[int, object]) -> None:
    answer = Answer(serve(ScriptedActs(trouble=trouble)), "/api/v1/status")

    assert expected == (answer.status, json.loads(answer.text))
    assert "application/json" == answer.headers["Content-Type"]


def test_figures_are_asked_by_name_and_options(serve: Serve) -> None:
    acts = ScriptedActs()
    address = serve(acts)
    asked = Answer(address, "/api/v1/status?since=2026-03-01T00%3A00%3A00Z&all=")
    twice = Answer(address, "/api/v1/status?by=day&by=kind")

    assert [("answer", "status", "since=2026-03-01T00:00:00Z", "all=")] == acts.asked
    assert [200, 400, 404] == [asked.status, twice.status, Answer(address, "/api/v1/nothing").status]


@pytest.mark.parametrize(
    "path", ["/api/v1/", "/api/v1", "/api/v1/a%2Fb", "/api/v1/..%2F..%2Fmetrics", "/api/v1/status/"]
)
def test_paths_that_hide_a_slash_lead_nowhere(serve: Serve, path: str) -> None:
    acts = ScriptedActs()

    assert 404 == Answer(serve(acts), path).status
    assert [] == acts.asked


def test_figures_need_the_token_where_there_is_one_and_links_have_their_own(serve: Serve) -> None:
    address = serve(ScriptedActs(), token="s3cret")

    assert 401 == Answer(address, "/api/v1/status").status
    assert 401 == Answer(address, "/api/v1/status?token=s3cret").status
    assert 200 == Answer(address, "/api/v1/status", Authorization="Bearer s3cret").status
    assert 200 == Answer(address, PAGE).status
    assert 200 == Answer(address, "/heartbeat/beat", method="POST").status


@pytest.mark.parametrize(
    "path",
    [
        "/deletions/../api/v1/status",
        "/deletions/..%2Fapi%2Fv1%2Fstatus",
        "/deletions/%2e%2e/metrics",
        "/heartbeat/..;/metrics",
        "/deletions/",
        "//deletions/../metrics",
        "/deletions/%2F%2Fmetrics",
    ],
)
def test_what_has_its_own_token_is_no_way_around_the_token(serve: Serve, path: str) -> None:
    acts = ScriptedActs()

    assert Answer(serve(acts, token="s3cret"), path).status in (401, 404)
    assert [] == [asked for asked in acts.asked if asked[0] == "answer"]


def test_under_a_name_of_somebody_else_links_work_and_figures_do_not(serve: Serve) -> None:
    address = serve(ScriptedActs())

    assert [200, 421] == [Answer(address, path, Host="watch.example.com").status for path in (PAGE, "/api/v1/status")]


def test_no_token_of_a_link_or_heartbeat_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    address = serve(ScriptedActs())

    Answer(address, "/deletions/d1?token=s3cret")
    Answer(address, "/deletions/d1?token=s3cret", form={"token": "s3cret", "reason": "mine"})
    Answer(address, "/heartbeat/s3cret", method="POST")
    Answer(address, "/heartbeat/s3cret")

    assert "s3cret" not in caplog.text
