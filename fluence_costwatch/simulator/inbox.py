"""A chat that takes every message which is posted to it as JSON, and a person who presses the button behind a link."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

from .loopback import serving

PATIENCE_SECONDS = 10


@contextlib.contextmanager
def inbox(on_message: Callable[[str, str], None]) -> Iterator[str]:
    """Hand title and text of every message that arrives to `on_message`, each before it is said to be taken.

    Gives the URL to post to; `title` and `message` of a JSON object are read, as generic webhooks get them.
    """

    def answer(method: str, path: str, body: bytes) -> tuple[int, str]:
        try:
            posted = json.loads(body)
            title, text = str(posted["title"]), str(posted["message"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return 400, "an object with title and message, please\n"
        on_message(title, text)
        return 200, "ok\n"

    with serving(answer, name="simulated-chat", content_type="text/plain; charset=utf-8") as url:
        yield url


def press_button(link: str, *, reason: str) -> None:
    """Open the page of a link with a token and press its button, as a person would. OSError where that is refused."""
    token = parse_qs(urlsplit(link).query)["token"][0]
    for form in (None, urlencode({"token": token, "reason": reason}).encode()):
        with urlopen(link, form, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # whose link it is, the caller knows
            answer.read()
