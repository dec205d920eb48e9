"""Layouts on their own: whatever the limit, what is sent keeps to it, and what matters most stays longest."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.notify.layouts import escaping, texts
from fluence_costwatch.notify.layouts.cutting import Limits, fitted
from fluence_costwatch.notify.layouts.html import html_mail
from tests.servers.messages import ATTACKS, hostile, many, usual

STYLES = (texts.PLAIN, texts.MARKDOWN, texts.SLACK)


@pytest.mark.parametrize("style", STYLES)
@given(size=st.integers(60, 6000), lines=st.integers(0, 40), rows=st.integers(0, 60))
def test_a_text_keeps_to_every_limit_and_counts_what_it_leaves_out(
    style: texts.Style, size: int, lines: int, rows: int
) -> None:
    message, limits = many(rows), Limits(size, lines)

    def render(shown: Message) -> str:
        return texts.chat_text(shown, style=style)

    text = fitted(message, render=render, limits=limits)

    assert limits.hold(text)
    assert text
    left = sum(int(count) for count in re.findall(r"… and (\d+) more", text))
    shown = len(re.findall(r"machine-\d{4}", text)) + sum(said in text for said in ("They cost much", "Nothing"))
    # Where there was no room for the lines at all, none is there to be counted from.
    assert left + shown in (rows + 2, 0)


def test_what_acts_stays_longer_than_what_explains() -> None:
    def render(shown: Message) -> str:
        return texts.chat_text(shown, style=texts.PLAIN)

    short = fitted(usual(), render=render, limits=Limits(180))

    assert [usual().subject, "", usual().action, usual().link] == short.splitlines()


def test_a_text_message_is_the_subject_alone() -> None:
    def render(shown: Message) -> str:
        return texts.chat_text(shown, style=texts.PLAIN)

    assert usual().subject == fitted(usual(), render=render, limits=Limits(75))
    assert "Budget team-a is …" == fitted(usual(), render=render, limits=Limits(20))


@given(text=st.text(max_size=200))
def test_markdown_shows_every_text_as_it_is(text: str) -> None:
    cleaned = escaping.cleaned(usual(subject=text)).subject

    shown = re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", escaping.markdown(cleaned))

    assert cleaned.replace("\u200b", "") == shown.replace("\u200b", "")


@pytest.mark.parametrize("text", ATTACKS)
def test_a_page_loads_nothing_from_anywhere(text: str) -> None:
    page = html_mail(escaping.cleaned(hostile(text)))

    assert not re.search(
        r"<(img|script|link|iframe|svg|object|form)\b|\bon\w+=\"|url\(|@import", page.lower().replace("&lt;", "")
    )
    assert [] == re.findall(r'(?:href|src)="[^"]*"', page)


def test_a_link_that_could_break_out_of_its_place_is_no_link() -> None:
    refused = ("javascript:alert(1)", 'https://x/"onclick="y', "https://x/<b>", "https://x/ y", "data:text/html,x", "x")

    assert [False] * len(refused) == [escaping.is_link(text) for text in refused]
    assert escaping.is_link("https://costwatch.example.com/deletions/3f?token=a_b-c.d&x=1")
