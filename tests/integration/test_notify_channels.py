"""Chats and web hooks through Apprise and real requests: what arrives, and what each failure means."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from fluence_costwatch.core.messages.outbox import Attempt
from fluence_costwatch.notify.apprise_targets import AppriseNotifier
from fluence_costwatch.notify.channels import SEVERAL, problems_of
from tests.builders import at
from tests.servers.messages import ATTACKS, hostile, many, usual
from tests.servers.webhook import Webhook, webhook

NOW = at("2026-03-12 09:30")
TOKEN = "3ccdd113474722377935511fc85d3dd4"


@pytest.fixture(name="hook")
def _hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


@pytest.fixture(name="slack")
def _slack(hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> str:
    """A target of Slack's that leads to the hook."""
    from apprise.plugins.slack import NotifySlack

    monkeypatch.setattr(NotifySlack, "webhook_url", f"{hook.url}/services")
    return "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7"


def notifier(url: str, **options: Any) -> AppriseNotifier:
    return AppriseNotifier({"ops": url}, clock=lambda: NOW, **options)


def unhidden(text: str) -> str:
    """`text` as a person sees it."""
    return text.replace("\u200b", "")


def test_a_web_hook_gets_text_and_a_title(hook: Webhook) -> None:
    assert Attempt(True) == notifier(f"json://{hook.address}/{TOKEN}").send("ops", usual(), reference="1")

    (posted,) = hook.requests
    assert (usual().subject, "warning", []) == (posted.json["title"], posted.json["type"], posted.json["attachments"])
    lines = unhidden(posted.json["message"]).splitlines()
    assert "Biggest drivers (Machine · Account · Per day · Spent)" in lines
    assert "• staging_db · lab · $0.60 · $7.70" in lines
    assert "… and 37 more" in lines
    assert [usual().action, usual().link, "", usual().why] == lines[-4:]
    assert "Spent by day: ▂▂▁▄▄▄▅▅▅█ (2026-02-27 to 2026-03-08, at most $4.40)" in lines


def test_a_markdown_chat_gets_markdown_and_no_title(hook: Webhook) -> None:
    assert Attempt(True) == notifier(f"mmost://{hook.address}/{TOKEN}").send("ops", usual(), reference="1")

    text = hook.requests[0].json["text"]
    assert text.startswith(r"**Budget team-a is at 83% (\$41".replace(r"(\$", r"\(\$"))
    assert "• staging_db · lab · \\$0.60 · \\$7.70" in text
    assert f"`{usual().action}`" in text
    assert f"<{usual().link}>" in text


def test_slack_gets_its_own_dialect(hook: Webhook, slack: str) -> None:
    assert Attempt(True) == notifier(slack).send("ops", usual(), reference="1")

    text = hook.requests[0].json["attachments"][0]["text"]
    assert text.startswith(f"*{usual().subject}*\n\n*What changed*\n")
    assert "• staging_db · lab · $0.60 · $7.70" in text
    assert f"`{usual().action}`" in text
    assert f"<{usual().link}>" in text
    assert "\\" not in text


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_name_calls_links_and_formats_nothing_in_slack(hook: Webhook, slack: str, name: str) -> None:
    assert Attempt(True) == notifier(slack).send("ops", hostile(name), reference="1")

    attachment = hook.requests[0].json["attachments"][0]
    assert "" == attachment["title"]
    text = attachment["text"]
    # What is ours: strong subject and headings, and the command as code.
    ours = re.sub(r"(?m)^`[^`\n]*`$", "", text)
    ours = re.sub(r"(?m)^\*([^*\n]*)\*", r"\1", ours)
    assert not re.search(r"[*`~<>]|(?<![^\W_])_|_(?![^\W_])|&(?!(amp|lt|gt);)", ours)
    assert not re.search(r"@(everyone|here|channel|ops)|https?://|www\.|:skull:", ours)
    assert not re.search(r"<[!@#]|[\x00-\x09\x0b-\x1f\u202e]", text)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_name_calls_links_and_formats_nothing_in_markdown(hook: Webhook, name: str) -> None:
    assert Attempt(True) == notifier(f"mmost://{hook.address}/{TOKEN}").send("ops", hostile(name), reference="1")

    text = hook.requests[0].json["text"]
    ours = re.sub(r"(?m)^(`+) ?[^\n]*? ?\1$", "", text)
    ours = re.sub(r"(?m)^\*\*(.*?)(?<!\\)\*\*", r"\1", ours)
    bare = re.sub(r"\\[^a-zA-Z0-9\s]", "", ours)
    assert not re.search(r"[*`~<>\[\]|&!#(]|(?<![^\W_])_|_(?![^\W_])", bare)
    assert not re.search(r"(?m)^\s*([-+=]|\d+[.)])(\s|$)", bare)
    assert not re.search(r"@(everyone|here|channel|ops)|https?://|www\.|:skull:", ours)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_name_calls_nobody_in_plain_text(hook: Webhook, name: str) -> None:
    assert Attempt(True) == notifier(f"json://{hook.address}/").send("ops", hostile(name), reference="1")

    posted = hook.requests[0].json
    text = f"{posted['title']}\n" + "".join(
        line for line in posted["message"].splitlines(keepends=True) if not line.startswith("fluence-costwatch")
    )
    assert not re.search(r"@(everyone|here|channel|ops)|<[!@#]|<at |https?://|www\.", text)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", posted["title"] + posted["message"])


LIMITS = (
    ("mmost://{}/" + TOKEN, "text", 4000),
    ("gotify://{}/tokentoken", "message", 32768),
)


@pytest.mark.parametrize(("url", "field", "limit"), LIMITS)
def test_a_long_message_arrives_once_cut_on_whole_lines(hook: Webhook, url: str, field: str, limit: int) -> None:
    assert Attempt(True) == notifier(url.format(hook.address)).send("ops", many(3000), reference="1")

    (posted,) = hook.requests
    text = posted.json[field]
    assert len(text.encode()) <= limit
    rows = [line for line in text.splitlines() if "machine" in line]
    assert f"… and {3000 - len(rows)} more" in text
    assert rows == [line for line in rows if re.search(r"machine-\d{4} · \\?\$1.00 *$", line)]
    assert usual().action in text
    assert usual().link in text


def test_slack_gets_no_more_than_it_shows(hook: Webhook, slack: str) -> None:
    notifier(slack).send("ops", many(3000), reference="1")

    text = hook.requests[0].json["attachments"][0]["text"]
    assert 2500 < len(text) <= 3000
    assert re.search(r"… and \d+ more", text)


def test_nothing_waits_between_two_messages(hook: Webhook, slack: str) -> None:
    """Slack's plugin would pause for 1.2 s."""
    sender = notifier(slack, deadline=timedelta(seconds=1))

    assert [Attempt(True)] * 4 == [sender.send("ops", usual(), reference=str(number)) for number in range(4)]


ANSWERS: tuple[tuple[int, dict[str, str], Attempt], ...] = (
    (500, {}, Attempt(False, "JSON answered 500 Internal Server Error (ok)")),
    (
        503,
        {"Retry-After": "7"},
        Attempt(False, "JSON answered 503 Service Unavailable (ok)", retry_after=timedelta(seconds=7)),
    ),
    (
        429,
        {"Retry-After": "120"},
        Attempt(False, "JSON answered 429 Too Many Requests (ok)", retry_after=timedelta(minutes=2)),
    ),
    (
        429,
        {"Retry-After": "Thu, 12 Mar 2026 09:31:00 GMT"},
        Attempt(False, "JSON answered 429 Too Many Requests (ok)", retry_after=timedelta(minutes=1)),
    ),
    (429, {"Retry-After": "soon"}, Attempt(False, "JSON answered 429 Too Many Requests (ok)")),
    (408, {}, Attempt(False, "JSON answered 408 Request Timeout (ok)")),
    (404, {}, Attempt(False, "JSON answered 404 Not Found (ok)", permanent=True)),
    (401, {}, Attempt(False, "JSON answered 401 Unauthorized (ok)", permanent=True)),
    (302, {"Location": "/login"}, Attempt(False, "JSON answered 302 Found (ok)")),
)


@pytest.mark.parametrize(("status", "headers", "expected"), ANSWERS)
def test_what_the_channel_answers_decides_whether_to_try_again(
    hook: Webhook, status: int, headers: dict[str, str], expected: Attempt
) -> None:
    hook.status, hook.headers = status, headers

    assert expected == notifier(f"json://{hook.address}/{TOKEN}").send("ops", usual(), reference="1")
    assert 1 == len(hook.requests)


def test_a_channel_that_is_down_may_be_tried_again() -> None:
    with webhook() as hook:
        address = hook.address

    attempt = notifier(f"json://{address}/{TOKEN}").send("ops", usual(), reference="1")

    assert Attempt(False, "JSON cannot be reached: it refuses connections") == attempt


def test_a_connection_that_ends_without_a_word_may_be_tried_again(hook: Webhook) -> None:
    hook.mode = "drop"

    attempt = notifier(f"json://{hook.address}/{TOKEN}").send("ops", usual(), reference="1")

    assert Attempt(False, "JSON cannot be reached: the connection broke off") == attempt


@pytest.mark.parametrize(
    ("mode", "limit"), [("hang", "read_timeout"), ("hang", "deadline"), ("stall", "read_timeout"), ("drip", "deadline")]
)
def test_silence_after_the_request_is_not_tried_again(hook: Webhook, mode: str, limit: str) -> None:
    hook.mode = mode
    sender = notifier(f"json://{hook.address}/{TOKEN}", **{limit: timedelta(seconds=0.4)})

    attempt = sender.send("ops", usual(), reference="1")

    assert (
        Attempt(False, "the message was handed over, but JSON did not say that it took it", unconfirmed=True) == attempt
    )
    assert 1 == len(hook.requests)


def test_a_target_works_again_after_a_send_that_was_given_up(hook: Webhook) -> None:
    sender = notifier(f"json://{hook.address}/{TOKEN}", deadline=timedelta(seconds=0.3))
    hook.mode = "hang"
    sender.send("ops", usual(), reference="1")
    hook.mode = "answer"

    assert Attempt(True) == sender.send("ops", usual(), reference="2")


class Listening(logging.Handler):
    """What reaches the root logger. (pytest's own capture also listens at loggers that are cut off from it.)"""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture(name="log")
def _log() -> Iterator[list[str]]:
    root, listening = logging.getLogger(), Listening()
    before = root.level
    root.addHandler(listening)
    root.setLevel(logging.DEBUG)
    yield listening.said
    root.removeHandler(listening)
    root.setLevel(before)


def test_no_part_of_a_url_shows_anywhere(hook: Webhook, log: list[str]) -> None:
    hook.status, hook.body = 404, f"no hook {TOKEN} for hunter2user".encode()
    sender = notifier(f"json://hunter2user:hunter2pass@{hook.address}/{TOKEN}?+X-Key=hunter2key")

    attempt = sender.send("ops", usual(), reference="1")

    assert "JSON answered 404 Not Found (no hook *** for ***)" == attempt.error
    said = f"{log} {attempt!r} {sender!r} {vars(sender)['_channels']!r}"
    assert [] == [secret for secret in (TOKEN, "hunter2", hook.address) if secret in said]


GOOD = (
    f"json://example.com/{TOKEN}",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7",
    "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7",
    "mailtos://hunter2user:hunter2@example.com",
    "mailto://mail.example.com/?from=a@example.com&to=Ops <ops@example.com>&mode=starttls&cto=3",
    "tgram://123456789:abcdefg_hijklmnop/1",
)


@pytest.mark.parametrize("url", GOOD)
def test_a_good_url_has_no_problem(url: str) -> None:
    assert None is problems_of(url)


UNKNOWN = 'is no channel that Apprise knows: it must begin with the name of one, such as "mailto://" or "slack://"'
BAD = (
    ("foo://hunter2", UNKNOWN),
    ("hunter2", UNKNOWN),
    ("https://example.com/hunter2", UNKNOWN),
    ("json://", "is incomplete or holds a bad value for JSON"),
    ("slack://hunter2hunter2/x", "cannot be used: An invalid Slack (third) Token (None) was specified"),
    ("json://example.com/?format=hunter2", "is not wholly understood: Unsupported format specified '***'"),
    (
        "json://example.com/?rto=hunter2",
        "is not wholly understood: Invalid socket read timeout (rto) was specified ***",
    ),
    (
        "mailto://example.com/?from=a@example.com&to=hunter2",
        "is not wholly understood: Dropped invalid To email (***) specified",
    ),
    (
        "mailto://example.com/?from=a@example.com&mode=hunter2",
        "cannot be used: The secure mode specified (***) is invalid",
    ),
    ("mailto://example.com/?from=a@example.com&pgp=encrypt", "asks for PGP, which CostWatch cannot do"),
    ("mailto://example.com/?from=a@example.com&to=b@example.com,c@example.com", SEVERAL),
    ("mailto://example.com/?from=a@example.com&to=b@example.com&bcc=c@example.com", SEVERAL),
    ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7/#a/#b", SEVERAL),
    ("ntfy://example.com/one/two", SEVERAL),
)


@pytest.mark.parametrize(("url", "problem"), BAD)
def test_a_bad_url_is_refused_without_a_word_of_it(url: str, problem: str) -> None:
    assert problem == problems_of(url)
    assert Attempt(False, f"its URL {problem}", permanent=True) == notifier(url).send("ops", usual(), reference="1")


def test_a_target_that_is_no_longer_configured_is_not_tried_again() -> None:
    attempt = AppriseNotifier({}, clock=lambda: NOW).send("gone", usual(), reference="1")

    assert Attempt(False, "no target of this name is configured", permanent=True) == attempt
