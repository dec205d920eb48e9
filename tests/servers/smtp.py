"""A mail server on loopback that keeps what it is handed and refuses, fails or hangs as a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(slots=True)
class MailServer:
    """`rcpt` and `data` are what it answers to the recipient and to the whole text; `hangs` at one of these steps.

    It lets in anybody who gives no password or `password`.
    """

    password: str = "right"

    rcpt: str = "250 OK"
    data: str = "250 OK"
    hangs: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def url(self, *, to: str = "ops@example.com", more: str = "") -> str:
        """A target at this server for one recipient."""
        return f"mailto://{self.host}:{self.port}/?smtp={self.host}&mode=insecure&from=watch@example.org&to={to}{more}"

    def lets_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object) -> AuthResult:
        """What aiosmtpd asks where somebody logs in."""
        right = isinstance(given, LoginPassword) and given.password == self.password.encode()
        return AuthResult(success=right, handled=False)

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._perhaps_hang("rcpt")
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
            self.recipients.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # likewise
        if self.data.startswith("250"):
            content = envelope.content or b""
            self.raw.append(content if isinstance(content, bytes) else content.encode())
            mail: Any = message_from_bytes(self.raw[-1], policy=default)
            self.mails.append(mail)
        await self._perhaps_hang("data")
        return self.data

    async def _perhaps_hang(self, step: str) -> None:
        while self.hangs == step:
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    """A running mail server."""
    server = MailServer()

    class Chosen(Controller):
        """aiosmtpd connects once to see that it runs, for which it has to know the port that it was given."""

        def _trigger_server(self) -> None:
            assert isinstance(self.server, asyncio.Server)
            self.port = self.server.sockets[0].getsockname()[1]
            super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd leaves this one without annotations

    controller = Chosen(server, hostname=server.host, port=0, authenticator=server.lets_in, auth_require_tls=False)
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        server.hangs = ""
        controller.stop()
