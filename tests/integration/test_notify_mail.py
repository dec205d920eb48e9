"""Mail through a real server: what arrives, what a thread is made of, and what each failure means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest

from fluence_costwatch.core.messages.outbox import Attempt
from fluence_costwatch.notify.apprise_targets import AppriseNotifier
from tests.builders import at
from tests.servers.messages import ATTACKS, hostile, many, usual
from tests.servers.smtp import MailServer, mail_server

NOW = at("2026-03-12 09:30")
# No text that leaves may hold these; they are in every URL below.
SECRETS = ("watch@example.org", "ops@example.com", "127.0.0.1")


@pytest.fixture(name="server")
def _server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def notifier(url: str, **options: Any) -> AppriseNotifier:
    return AppriseNotifier({"ops": url}, clock=lambda: NOW, **options)


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    content: str = found.get_content()
    return content.replace("\r\n", "\n")


class Page(HTMLParser):
    """What a mail program would make of a page: its tags, and its text without the style sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data


def test_a_mail_arrives_with_a_page_and_its_text_and_nothing_attached(server: MailServer) -> None:
    attempt = notifier(server.url()).send("ops", usual(), reference="row 7")

    assert Attempt(True) == attempt
    (mail,) = server.mails
    assert usual().subject == mail["Subject"]
    assert "multipart/alternative" == mail.get_content_type()
    assert ["text/plain", "text/html"] == [piece.get_content_type() for piece in mail.iter_parts()]
    assert [] == list(mail.iter_attachments())
    assert "Thu, 12 Mar 2026 09:30:00 +0000" == mail["Date"]
    assert "auto-generated" == mail["Auto-Submitted"]
    text, page = part(mail, "plain"), Page(part(mail, "html"))
    for said in ("$41.50", "fluence-costwatch silence 3f9a --for 24h", usual().link, usual().why, "… and 37 more"):
        assert said in f"{mail['Subject']} {text}"
        assert said in page.text
    assert "  train-large-gpu-eu-west  main       $3.10  $24.80" in text.splitlines()
    assert {"img", "script", "svg", "link", "iframe", "form"}.isdisjoint(tag for tag, _ in page.tags)
    assert [usual().link] == [attributes["href"] for tag, attributes in page.tags if tag == "a"]


def test_a_row_sent_again_is_the_same_message_and_a_thread_stays_together(server: MailServer) -> None:
    sender = notifier(server.url())

    for reference, thread in (("row 1", "a"), ("row 1", "a"), ("row 2", "a"), ("row 3", "b")):
        sender.send("ops", usual(thread=thread), reference=reference)

    ids = [mail["Message-ID"] for mail in server.mails]
    threads = [mail["References"] for mail in server.mails]
    assert ids[0] == ids[1]
    assert 3 == len(set(ids))
    assert threads[0] == threads[1] == threads[2] != threads[3]
    assert threads == [mail["In-Reply-To"] for mail in server.mails]
    assert set(ids).isdisjoint(threads)


SUBJECTS = (
    "Budget team-a is at 83% " + "and so on " * 15,
    "Spend is ≥ $41.50 " + "über alles " * 12,
    "VM " + "x" * 150 + " is idle",
    "VM " + "é" * 150 + " is idle",
    "機械 " * 40,
)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_long_subject_arrives_as_it_was_written(server: MailServer, subject: str) -> None:
    notifier(server.url()).send("ops", usual(subject=subject.strip()), reference="1")

    assert subject.strip() == server.mails[0]["Subject"]


def test_a_target_that_asks_for_text_gets_no_page(server: MailServer) -> None:
    notifier(server.url(more="&format=text")).send("ops", usual(), reference="1")

    assert "text/plain" == server.mails[0].get_content_type()


@pytest.mark.parametrize("text", ATTACKS)
def test_a_hostile_name_is_a_text_in_a_mail(server: MailServer, text: str) -> None:
    assert Attempt(True) == notifier(server.url()).send("ops", hostile(text), reference="1")

    (mail,) = server.mails
    page, harmless = Page(part(mail, "html")), Page(_page_of("web-1"))
    assert [tag for tag, _ in harmless.tags] == [tag for tag, _ in page.tags]
    assert [] == [value for _, attributes in page.tags for name, value in attributes.items() if name.startswith("on")]
    assert "Bcc" not in mail
    assert ["ops@example.com"] == server.recipients
    for shown in (mail["Subject"], part(mail, "plain"), page.text):
        assert not {"\x1b", "\u202e", "\r", "\ud800"} & set(shown)


def _page_of(name: str) -> str:
    with mail_server() as server:
        notifier(server.url()).send("ops", hostile(name), reference="1")
        return part(server.mails[0], "html")


def test_a_line_with_a_dot_alone_does_not_end_the_mail(server: MailServer) -> None:
    section = replace(usual().sections[0], lines=(".", "..", ".x"))

    notifier(server.url()).send("ops", usual(sections=(section,)), reference="1")

    assert [".", "..", ".x"] == [line for line in part(server.mails[0], "plain").splitlines() if line.startswith(".")]


def test_a_huge_mail_is_cut_on_whole_lines_and_says_how_much_is_missing(server: MailServer) -> None:
    notifier(server.url()).send("ops", many(5000), reference="1")

    (mail,) = server.mails
    page = part(mail, "html")
    assert len(page.encode()) < 97_000
    shown = page.count("machine-")
    assert f"… and {5000 - shown} more" in page
    assert usual().action in page


FAILURES = (
    (
        "rcpt",
        "550 5.1.1 <ops@example.com>: no such user",
        True,
        "the mail server answered 550 (5.1.1 <***>: no such user)",
    ),
    ("rcpt", "450 4.2.0 greylisted", False, "the mail server answered 450 (4.2.0 greylisted)"),
    ("data", "554 5.7.1 spam", True, "the mail server answered 554 (5.7.1 spam)"),
    ("data", "451 4.3.0 try later", False, "the mail server answered 451 (4.3.0 try later)"),
)


@pytest.mark.parametrize(("step", "reply", "permanent", "error"), FAILURES)
def test_what_the_server_says_decides_whether_to_try_again(
    server: MailServer, step: str, reply: str, permanent: bool, error: str
) -> None:
    setattr(server, step, reply)

    attempt = notifier(server.url()).send("ops", usual(), reference="1")

    assert Attempt(False, error, permanent=permanent) == attempt
    assert [] == server.mails


def test_a_password_that_is_refused_is_not_tried_again(server: MailServer) -> None:
    url = server.url().replace("mailto://", "mailto://watch:hunter2@")

    attempt = notifier(url).send("ops", usual(), reference="1")

    assert (False, True) == (attempt.sent, attempt.permanent)
    assert attempt.error.startswith("the mail server answered 535 (")


def test_a_server_that_is_down_may_be_tried_again() -> None:
    with mail_server() as server:
        url = server.url()

    attempt = notifier(url).send("ops", usual(), reference="1")

    assert Attempt(False, "the mail server cannot be reached: Connection refused") == attempt


def test_silence_before_the_text_may_be_tried_again(server: MailServer) -> None:
    server.hangs = "rcpt"

    attempt = notifier(server.url(), read_timeout=timedelta(seconds=0.3)).send("ops", usual(), reference="1")

    assert Attempt(False, "the mail server cannot be reached: it did not answer in time") == attempt


@pytest.mark.parametrize("limit", ["read_timeout", "deadline"])
def test_silence_after_the_text_is_not_tried_again(server: MailServer, limit: str) -> None:
    server.hangs = "data"

    attempt = notifier(server.url(), **{limit: timedelta(seconds=0.5)}).send("ops", usual(), reference="1")

    assert (False, True, False) == (attempt.sent, attempt.unconfirmed, attempt.permanent)
    assert 1 == len(server.mails)


def test_no_failure_names_a_part_of_the_url(server: MailServer) -> None:
    server.rcpt = "550 watch@example.org may not write to ops@example.com from 127.0.0.1"

    attempt = notifier(server.url()).send("ops", usual(), reference="1")

    assert [] == [secret for secret in SECRETS if secret in attempt.error]
