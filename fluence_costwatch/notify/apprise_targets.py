"""Targets: names for Apprise URLs, and one try to send a message to one of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.notify.channels import Channel, UnusableTarget, channel_of, said_by_apprise
from fluence_costwatch.notify.layouts import escaping, texts
from fluence_costwatch.notify.layouts.cutting import Limits, fitted
from fluence_costwatch.notify.layouts.html import SIMPLE, html_mail
from fluence_costwatch.notify.mail import mail_of, send_mail
from fluence_costwatch.notify.timed import Timed
from fluence_costwatch.notify.watching import Exchange, Watch

# Answers of 4xx after which the same message may be taken later.
_PASSING: Final = (408, 425, 429)
_COLOURS: Final = ((Severity.INFO, "info"), (Severity.WARNING, "warning"), (Severity.CRITICAL, "failure"))
_WORDS: Final = ("error", "message", "detail", "errorDescription", "description")
_LONGEST_TITLE: Final = 250


class AppriseNotifier:
    """Sends to the targets in `urls`, each a name and its Apprise URL.

    `connect_timeout` and `read_timeout` bound one operation on the network where the URL says nothing else, `deadline` one
    send as a whole. A URL appears in no text, log or repr.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        *,
        clock: Callable[[], datetime],
        connect_timeout: timedelta = timedelta(seconds=5),
        read_timeout: timedelta = timedelta(seconds=30),
        deadline: timedelta = timedelta(seconds=60),
    ) -> None:
        self._urls = dict(urls)
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._deadline = deadline
        self._channels: dict[str, Channel] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<AppriseNotifier of {', '.join(self._urls) or 'no target'}>"

    def send(self, target: str, message: Message, *, reference: str) -> Attempt:
        """Try to send once, within a deadline. `reference` is the same for the same row of the outbox. Never raises."""
        url = self._urls.get(target)
        if url is None:
            return Attempt(False, "no target of this name is configured", permanent=True)
        try:
            channel = self._channel(target, url)
        except UnusableTarget as exc:
            return Attempt(False, f"its URL {exc}", permanent=True)
        shown = escaping.cleaned(message)
        try:
            if channel.is_mail:
                mail = mail_of(channel, shown, reference=reference, now=self._clock())
                return send_mail(channel, mail, patience=self._read_timeout, deadline=self._deadline)
            return self._post(target, channel, shown)
        except Exception as exc:  # a plugin's or a layout's own mistake must not stop the other targets
            self._forget(target)
            return Attempt(False, f"the message could not be sent ({type(exc).__name__})")

    def _channel(self, target: str, url: str) -> Channel:
        with self._lock:
            if target not in self._channels:
                self._channels[target] = channel_of(
                    url,
                    connect_seconds=self._connect_timeout.total_seconds(),
                    read_seconds=self._read_timeout.total_seconds(),
                )
            return self._channels[target]

    def _forget(self, target: str) -> None:
        """Take a new plugin next time: a thread may still be at work with this one."""
        with self._lock:
            self._channels.pop(target, None)

    def _post(self, target: str, channel: Channel, message: Message) -> Attempt:
        title, body = laid_out(message, channel=channel)
        said: list[str] = []

        def work() -> bool:
            with said_by_apprise() as words:
                try:
                    return bool(
                        channel.plugin.notify(
                            body=body,
                            title=title,
                            notify_type=dict(_COLOURS)[message.severity],
                            body_format=channel.format,
                            overflow="upstream",
                        )
                    )
                finally:
                    said.extend(words)

        with Watch() as watch:
            try:
                sent = Timed(work, name=f"notify-{target}").within(self._deadline, stop=watch.close)
            except Exception as exc:  # whatever a plugin raises
                if watch.failure is None:
                    raise
                said.append(type(exc).__name__)
                sent = False
        if sent:
            return Attempt(True)
        if sent is None:
            self._forget(target)
        return _judged(watch, channel=channel, said=said, over=sent is None, now=self._clock())


def laid_out(message: Message, *, channel: Channel) -> tuple[str, str]:
    """Title and body of a cleaned message as the channel takes them; the title is empty where it stands in the body."""
    longest_title = int(channel.plugin.title_maxlen)
    kind = channel.format
    with_title = longest_title > 0 and (kind == "text" or channel.takes_mail_pages)

    def render(shown: Message) -> str:
        if channel.takes_mail_pages:
            return html_mail(shown)
        return texts.chat_text(shown, style=_style(channel), with_subject=not with_title)

    title = escaping.plain(printable(message.subject, limit=min(longest_title, _LONGEST_TITLE))) if with_title else ""
    # Some channels count the title to the body.
    room = channel.largest_body - len(title.encode("utf-8", "surrogatepass")) if title else channel.largest_body
    body = fitted(message, render=render, limits=Limits(max(room, 1), int(channel.plugin.body_max_line_count)))
    return title, body or title


def _style(channel: Channel) -> texts.Style:
    if channel.format == "html":
        return SIMPLE
    if channel.format == "markdown":
        return texts.SLACK if channel.is_slack else texts.MARKDOWN
    return texts.PLAIN


def _judged(watch: Watch, *, channel: Channel, said: list[str], over: bool, now: datetime) -> Attempt:
    """What a send that did not succeed means. `over`: its time was up, and it may still be at work."""
    failure = watch.failure
    if failure is None and not watch.exchanges:
        # A channel that does not speak HTTP: nobody saw what happened.
        words = channel.redaction.quote(said[-1]) if said else ""
        if over:
            return Attempt(False, f"{channel.kind} took too long and may have it nevertheless", unconfirmed=True)
        return Attempt(False, f"{channel.kind} did not take it{f' ({words})' if words else ''}")
    if failure is None:
        last = watch.exchanges[-1]
        return Attempt(
            False, f"{channel.kind} answered {_status(last)} but did not take it{_words(last, channel=channel)}"
        )
    if failure.unanswered:
        return Attempt(
            False, f"the message was handed over, but {channel.kind} did not say that it took it", unconfirmed=True
        )
    if failure.status is None:
        return Attempt(False, f"{channel.kind} cannot be reached: {failure.trouble or 'it took too long'}")
    return Attempt(
        False,
        f"{channel.kind} answered {_status(failure)}{_words(failure, channel=channel)}",
        permanent=400 <= failure.status < 500 and failure.status not in _PASSING,
        retry_after=failure.retry_after(now=now),
    )


def _status(exchange: Exchange) -> str:
    status = exchange.status or 0
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _words(exchange: Exchange, *, channel: Channel) -> str:
    """What the channel itself says of it, in brackets; pages and long texts say nothing to an operator."""
    text = exchange.body.strip()
    try:
        answer: Any = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        text = next((answer[key] for key in _WORDS if isinstance(answer.get(key), str)), "")
    if not text or "<" in text[:1] or "\n" in text:
        return ""
    return f" ({channel.redaction.quote(text)})"
