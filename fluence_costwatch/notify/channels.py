"""Apprise URLs as channels that are checked before anything is sent, and Apprise kept quiet: its logs hold URLs."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from fluence_costwatch.notify.redaction import Redaction

# Loggers of Apprise and of what it sends with; their texts hold tokens and addresses.
_TALKATIVE: Final = ("apprise", "requests", "urllib3")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]{0,31})://", re.IGNORECASE)
_REFUSED_PARTS: Final = re.compile(r"\b(invalid|unsupported|not supported|unparseable|dropped)\b", re.IGNORECASE)

# Channels that declare plain text and show it as Markdown.
_MARKDOWN_BY_NATURE: Final = ("mmost", "mmosts", "zulip")
# Channels that take any format; behind them are programs, which get plain text unless the URL asks for another.
_TEXT_FIRST: Final = ("form", "forms", "json", "jsons", "xml", "xmls")
# Slack cuts a text wherever it is when it has more characters than this.
_SLACK_LIMIT: Final = 3000

SEVERAL: Final = (
    "addresses more than one recipient: give each recipient a target of its own, so that nobody gets a message twice when "
    "one of them fails"
)


class UnusableTarget(Exception):
    """A URL that cannot be a target; the text says why and holds no part of the URL."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A URL that Apprise understands, ready to send to its one recipient. `kind` is a name of Apprise's own ("Slack")."""

    plugin: Any = field(repr=False)
    kind: str
    scheme: str
    redaction: Redaction = field(repr=False)

    @property
    def is_mail(self) -> bool:
        """Whether it speaks to a mail server, which is done without Apprise."""
        return self.scheme in ("mailto", "mailtos")

    @property
    def is_slack(self) -> bool:
        """Whether it takes Slack's own dialect of Markdown."""
        return self.scheme == "slack"

    @property
    def format(self) -> str:
        """ "html", "markdown" or "text": what to send."""
        from apprise import NotifyFormat

        if self.is_mail:
            wanted = NotifyFormat.HTML
        else:
            wanted = NotifyFormat.TEXT if self.scheme in _TEXT_FIRST else NotifyFormat.MARKDOWN
        return str(self.plugin.resolve_format(wanted).value)

    @property
    def takes_mail_pages(self) -> bool:
        """Whether its HTML is that of mails, as with services that send mail, and not the little that chats take."""
        return self.format == "html" and self.plugin.title_maxlen > 0 and "markdown" not in _formats(self.plugin)

    @property
    def largest_body(self) -> int:
        """How much text fits into one message."""
        largest = int(self.plugin.body_maxlen)
        return min(largest, _SLACK_LIMIT) if self.is_slack else largest


def channel_of(url: str, *, connect_seconds: float, read_seconds: float) -> Channel:
    """The channel of `url`. Raises UnusableTarget."""
    apprise = _apprise()
    redaction = Redaction(url)
    with said_by_apprise() as said:
        try:
            plugin = apprise.Apprise.instantiate(url, asset=_asset(), suppress_exceptions=False)
        except Exception as exc:  # whatever a plugin raises on parameters that it cannot use
            # Any other exception tells of code, not of the URL.
            explains = isinstance(exc, apprise.exception.AppriseImproperlyConfigured)
            words = redaction.quote(str(exc)) if explains else ""
            raise UnusableTarget(
                f"cannot be used: {words}" if words else "is incomplete or holds a bad value"
            ) from None
    if plugin is None:
        raise UnusableTarget(_why_not(url, apprise=apprise))
    refused = next((text for text in said if _REFUSED_PARTS.search(text)), None)
    if refused is not None:
        raise UnusableTarget(f"is not wholly understood: {redaction.quote(refused)}")
    scheme = _scheme_of(plugin, url)
    # Repeating is for the outbox, and pausing between messages too.
    plugin.retry = 0
    plugin.request_rate_per_sec = 0
    if len(plugin) > 1 or getattr(plugin, "cc", None) or getattr(plugin, "bcc", None):
        raise UnusableTarget(SEVERAL)
    if len(plugin) < 1 or (hasattr(plugin, "targets") and plugin.targets == [] and scheme in ("mailto", "mailtos")):
        raise UnusableTarget("names no recipient")
    if getattr(plugin, "pgp_mode", "no") != "no":
        raise UnusableTarget("asks for PGP, which CostWatch cannot do")
    if scheme in _MARKDOWN_BY_NATURE and "format=" not in url.lower():
        plugin.notify_format = apprise.NotifyFormat.MARKDOWN
    # What the URL itself says (`cto`, `rto`) stays.
    if "socket_connect_timeout" not in vars(plugin):
        plugin.socket_connect_timeout = connect_seconds
    if "socket_read_timeout" not in vars(plugin):
        plugin.socket_read_timeout = read_seconds
    return Channel(plugin, str(plugin.service_name), scheme, redaction)


def problems_of(url: str) -> str | None:
    """Why `url` cannot be a target, without any part of it; None where it can."""
    try:
        channel_of(url, connect_seconds=1, read_seconds=1)
    except UnusableTarget as exc:
        return str(exc)
    return None


@contextmanager
def said_by_apprise() -> Iterator[list[str]]:
    """Whatever Apprise says in this thread, from warnings on."""
    said: list[str] = []
    thread = threading.get_ident()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                said.append(record.getMessage())

    handler = Listening(logging.WARNING)
    logger = logging.getLogger("apprise")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def _apprise() -> Any:
    """Apprise, loaded when first needed: it takes a third of a second and 18 MB."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.propagate:
            logger.propagate = False
            logger.addHandler(logging.NullHandler())
    import apprise

    return apprise


def _asset() -> Any:
    from apprise import AppriseAsset

    return AppriseAsset(
        app_id="Fluence CostWatch",
        app_desc="Fluence CostWatch",
        app_url="",
        # Pictures would be fetched from a stranger's server by whoever reads the message.
        image_url_mask="",
        image_url_logo="",
        image_path_mask="",
        # A redirected POST arrives as a GET, and the page it finds there looks like success.
        http_redirects=False,
        interpret_escapes=False,
        interpret_emojis=False,
        secure_logging=True,
    )


def _why_not(url: str, *, apprise: Any) -> str:
    found = _SCHEME.match(url)
    known = apprise.manager_plugins.NotificationManager()
    if found is None or found[1].lower() not in known or found[1].lower() in ("http", "https"):
        return 'is no channel that Apprise knows: it must begin with the name of one, such as "mailto://" or "slack://"'
    kind = known[found[1].lower()]
    if not kind.enabled:
        return f"is for {kind.service_name}, for which Apprise needs a library that is not installed"
    return f"is incomplete or holds a bad value for {kind.service_name}"


def _scheme_of(plugin: Any, url: str) -> str:
    """What the channel goes by; services also take the addresses that they show themselves ("https://hooks.slack.com/...")."""
    found = _SCHEME.match(url)
    written = found[1].lower() if found else ""
    names = [name for names in (plugin.secure_protocol, plugin.protocol) if names for name in _listed(names)]
    return written if written in names else str(names[0])


def _listed(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _formats(plugin: Any) -> tuple[str, ...]:
    declared = plugin.notify_format
    return tuple(
        str(getattr(entry, "value", entry)) for entry in (declared if isinstance(declared, tuple) else (declared,))
    )
