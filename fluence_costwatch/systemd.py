"""What the service manager is told: sd_notify's datagrams, a few lines of them.

The package for this dates from 2017, encodes latin-1 and swallows errors, so it is written here.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from datetime import timedelta

log = logging.getLogger(__name__)


class ServiceManager:
    """Sends states to `$NOTIFY_SOCKET`; without one, to nobody. Where nobody listens, the watch goes on untold."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._warned = False

    def ready(self, *, watchdog: timedelta) -> None:
        """The watch runs; expect `alive` at least once every `watchdog` from now on."""
        self._send("READY=1", f"WATCHDOG_USEC={watchdog // timedelta(microseconds=1)}")

    def alive(self) -> None:
        """A cycle has ended."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` follows."""
        self._send("RELOADING=1")

    def stopping(self) -> None:
        """The watch ends after the running step."""
        self._send("STOPPING=1")

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        # A leading "@" means the abstract namespace, whose names begin with a zero byte.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.connect(address)
                channel.sendall("\n".join(assignments).encode())
        except OSError as exc:
            if not self._warned:
                log.warning("the service manager cannot be told how the watch goes", extra={"facts": {"error": exc}})
            self._warned = True
