"""Mail: composed and handed over by ourselves, to the server and the recipient that an Apprise URL names.

Apprise would make the plain side out of the HTML, give every try an id of its own, and say of a failure only that there was
one. Here a row of the outbox is the same message however often it is tried, mails about one thing form a thread, and it is
known whether the server had been handed the text when something went wrong.
"""

from __future__ import annotations

import hashlib
import os
import re
import smtplib
import socket
import ssl
from contextlib import suppress
from copy import copy
from datetime import datetime, timedelta
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final

from fluence_costwatch.core.messages.message import Message
from fluence_costwatch.core.messages.outbox import Attempt
from fluence_costwatch.notify.channels import Channel
from fluence_costwatch.notify.layouts.cutting import Limits, fitted
from fluence_costwatch.notify.layouts.html import html_mail
from fluence_costwatch.notify.layouts.texts import mail_text
from fluence_costwatch.notify.timed import Timed

# Above this some mail programs hide the rest behind a link.
_LARGEST_PAGE: Final = 96_000
_LARGEST_TEXT: Final = 64_000
_LONGEST_SUBJECT: Final = 200
_LEADING_DOT: Final = re.compile(rb"(?m)^\.")
# Seven bits pass every server, and lines stay short enough for all of them.
_POLICY: Final = SMTP.clone(cte_type="7bit")
# What is plain stays on its line; encoded words must be short.
_LONGEST_LINE: Final = 990
_LONGEST_ENCODED: Final = 75
_OURS: Final = (
    "auto-submitted",
    "bcc",
    "cc",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "in-reply-to",
    "message-id",
    "mime-version",
    "references",
    "reply-to",
    "subject",
    "to",
)


def mail_of(channel: Channel, message: Message, *, reference: str, now: datetime) -> EmailMessage:
    """The mail for a cleaned message. The same `reference` gives the same Message-ID, the same thread the same References."""
    plugin = channel.plugin
    name, address = plugin.from_addr
    domain = address.rpartition("@")[2]
    to_name, to_address = plugin.targets[0]
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = _address(name, address)
    mail["To"] = _address(to_name, to_address)
    mail["Subject"] = _shortened(message.subject)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = _id_of(f"message {reference}", domain=domain)
    thread = _id_of(f"thread {message.thread}", domain=domain)
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    # No holiday note is wanted in reply.
    mail["Auto-Submitted"] = "auto-generated"
    if plugin.reply_to:
        mail["Reply-To"] = [_address(plugin.names.get(entry), entry) for entry in sorted(plugin.reply_to)]
    for header, value in plugin.headers.items():
        if header.strip().lower() not in _OURS:
            mail[header.strip()] = value
    mail.set_content(fitted(message, render=mail_text, limits=Limits(_LARGEST_TEXT)))
    if channel.format == "html":
        mail.add_alternative(fitted(message, render=html_mail, limits=Limits(_LARGEST_PAGE)), subtype="html")
    return mail


def send_mail(channel: Channel, mail: EmailMessage, *, patience: timedelta, deadline: timedelta) -> Attempt:
    """Try once to hand `mail` to the server. `patience` is for one answer, `deadline` for the whole conversation."""
    conversation = _Conversation(channel, mail, patience=patience.total_seconds())
    work = Timed(conversation.hold, name="mail")
    try:
        done = work.within(deadline, stop=conversation.abandon)
    except smtplib.SMTPResponseException as exc:
        return _refused(channel, exc.smtp_code, exc.smtp_error)
    except smtplib.SMTPNotSupportedError as exc:
        return Attempt(
            False, f"the mail server cannot do what the target asks for ({channel.redaction.quote(str(exc))})", True
        )
    except (OSError, smtplib.SMTPException) as exc:
        if conversation.handed_over:
            return _unconfirmed()
        return Attempt(False, f"the mail server cannot be reached: {_reason(exc)}")
    except ValueError as exc:
        return Attempt(False, f"the mail cannot be written ({channel.redaction.quote(str(exc))})", permanent=True)
    if done is None:
        return _unconfirmed() if conversation.handed_over else Attempt(False, "the mail server took too long")
    return done


def _unconfirmed() -> Attempt:
    return Attempt(False, "the mail was handed over, but the mail server did not say that it took it", unconfirmed=True)


def _refused(channel: Channel, code: int, words: bytes | str) -> Attempt:
    said = channel.redaction.quote(words.decode("utf-8", "replace") if isinstance(words, bytes) else words)
    return Attempt(False, f"the mail server answered {code}{f' ({said})' if said else ''}", permanent=500 <= code < 600)


def _reason(exc: Exception) -> str:
    """What went wrong, in words that hold no address."""
    if isinstance(exc, smtplib.SMTPServerDisconnected) and isinstance(exc.__context__, OSError):
        exc = exc.__context__
    if isinstance(exc, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(exc, ssl.SSLError):
        return "no encrypted connection came about"
    if isinstance(exc, TimeoutError):
        return "it did not answer in time"
    if isinstance(exc, socket.gaierror):
        return "its name cannot be looked up"
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno)
    return "it closed the connection"


def _written(mail: EmailMessage) -> bytes:
    """`mail` as it goes over the wire.

    The subject is folded by the older of Python's two ways: the newer one drops blanks between encoded words, and breaks a
    line right behind the name of the header, which some programs show as a blank.
    """
    subject = str(mail["Subject"])
    longest = _LONGEST_LINE if subject.isascii() else _LONGEST_ENCODED
    charset = "us-ascii" if subject.isascii() else "utf-8"
    folded = Header(subject, charset, maxlinelen=longest, header_name="Subject").encode(linesep="\r\n")
    bare = copy(mail)
    del bare["Subject"]
    return f"Subject: {folded}\r\n".encode("ascii") + bare.as_bytes()


class _Conversation:
    """One mail to one server, step by step. `handed_over` is whether the whole text had been sent."""

    def __init__(self, channel: Channel, mail: EmailMessage, *, patience: float) -> None:
        self.handed_over = False
        self._plugin = channel.plugin
        self._channel = channel
        self._mail = mail
        self._patience = patience
        self._abandoned = False
        self._smtp: Any = None

    def hold(self) -> Attempt:
        """Hand the mail over. Raises OSError and SMTPException where the server cannot be brought to an answer."""
        plugin, mail = self._plugin, self._mail
        text = _LEADING_DOT.sub(b"..", _written(mail))
        context = ssl.create_default_context()
        if not plugin.verify_certificate:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        smtp: _Patient | _PatientTls
        if plugin.secure_mode == "ssl":
            smtp = _PatientTls(context=context, timeout=plugin.socket_connect_timeout)
        else:
            smtp = _Patient(timeout=plugin.socket_connect_timeout)
        smtp.patience = self._patience
        self._smtp = smtp
        # What STARTTLS checks the certificate against.
        smtp._host = plugin.smtp_host  # type: ignore[union-attr]  # smtplib sets it only where it connects at once
        try:
            self._expect(smtp.connect(plugin.smtp_host, plugin.port))
            smtp.ehlo_or_helo_if_needed()
            if plugin.secure_mode == "starttls":
                self._expect(smtp.starttls(context=context))
                smtp.ehlo()
            if plugin.user and plugin.password:
                self._log_in(smtp)
            self._expect(smtp.mail(plugin.from_addr[1]))
            self._expect(smtp.rcpt(plugin.targets[0][1]))
            self._expect(smtp.docmd("DATA"), success=(354,))
            if self._abandoned:
                raise TimeoutError
            smtp.send(text if text.endswith(b"\r\n") else text + b"\r\n")
            self.handed_over = True
            smtp.send(b".\r\n")
            code, words = smtp.getreply()
            if code not in (250, 251):
                return _refused(self._channel, code, words)
            return Attempt(True)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                smtp.quit()
            smtp.close()

    def abandon(self) -> None:
        """Make an end of it: shut the connection, and begin no text that has not begun."""
        self._abandoned = True
        with suppress(OSError, AttributeError):
            # The plain socket's method: that of a TLS one pulls the TLS object from under the thread that reads.
            socket.socket.shutdown(self._smtp.sock, socket.SHUT_RDWR)

    def _log_in(self, smtp: _Patient | _PatientTls) -> None:
        try:
            smtp.login(self._plugin.user, self._plugin.password)
        except smtplib.SMTPServerDisconnected:
            # A server may hang up on the second way of logging in because of the first.
            if smtp.no_entry is not None:
                raise smtp.no_entry from None
            raise

    @staticmethod
    def _expect(reply: tuple[int, bytes], *, success: tuple[int, ...] = (220, 250, 251)) -> None:
        if reply[0] not in success:
            raise smtplib.SMTPResponseException(reply[0], reply[1])


class _Patience:
    """A time-out for answers that is longer than the one for connecting: servers make strangers wait. `no_entry` is the last
    refusal of a password."""

    patience = 30.0
    no_entry: smtplib.SMTPAuthenticationError | None = None

    def auth(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        try:
            answer: tuple[int, bytes] = super().auth(*args, **options)  # type: ignore[misc]  # of the class beside this one
            return answer
        except smtplib.SMTPAuthenticationError as exc:
            self.no_entry = exc
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # of the class beside this one
        made.settimeout(self.patience)
        return made


class _Patient(_Patience, smtplib.SMTP):
    pass


class _PatientTls(_Patience, smtplib.SMTP_SSL):
    pass


def _address(name: Any, address: str) -> Address:
    """Apprise has False, None or a text for a name."""
    return Address(display_name=name or "", addr_spec=address)


def _id_of(text: str, *, domain: str) -> str:
    return f"<costwatch.{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}@{domain}>"


def _shortened(subject: str) -> str:
    return subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[: _LONGEST_SUBJECT - 1]}…"
