"""The server: a thread of its own with an event loop that nothing else runs in."""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

import uvicorn

from fluence_costwatch.errors import ListenFailed
from fluence_costwatch.web.acts import Acts
from fluence_costwatch.web.guard import Guard
from fluence_costwatch.web.health import Health
from fluence_costwatch.web.routes import build_app

_SECONDS_TO_START: Final = 10
_SECONDS_TO_FINISH: Final = 2
_LARGEST_CROWD: Final = 100


class WebServer:
    """Serves from `start` to `stop`; port 0 takes a free one."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        metrics: Callable[[], tuple[bytes, bytes]],
        health: Callable[[], Health],
        acts: Acts,
        origins: Callable[[], tuple[str, ...]] = lambda: (),
        token: str | None,
        metrics_without_token: bool,
    ) -> None:
        self._host = host
        self._port = port
        self._guard = Guard(
            build_app(metrics=metrics, health=health, acts=acts, origins=origins),
            host=host,
            token=token,
            metrics_without_token=metrics_without_token,
        )
        self._server = _Server(
            uvicorn.Config(
                self._guard,
                http="h11",
                loop="asyncio",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_LARGEST_CROWD,
                timeout_graceful_shutdown=_SECONDS_TO_FINISH,
            )
        )
        self._thread: Thread | None = None

    def start(self) -> tuple[str, int]:
        """Listen and serve; returns the address that was taken. Raises ListenFailed."""
        listening = _listen(self._host, self._port)
        host, port = listening.getsockname()[:2]
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [listening]}, name="web", daemon=True)
        self._thread.start()
        if not self._server.serving.wait(_SECONDS_TO_START):
            raise ListenFailed(f"the web server on {_shown(host, port)} did not start within {_SECONDS_TO_START} s")
        return str(host), int(port)

    def ask_for(self, *, token: str | None, metrics_without_token: bool) -> None:
        """From now on ask for this token."""
        self._guard.ask_for(token=token, metrics_without_token=metrics_without_token)

    def stop(self) -> None:
        """Finish what is being answered, close, and wait until that is done. Harmless when nothing was started."""
        if self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(2 * _SECONDS_TO_FINISH)
        self._thread = None


class _Server(uvicorn.Server):
    """A server that tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ListenFailed with what to do."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenFailed(f"cannot listen on {_shown(host, port)}: {error.strerror}; see [server] listen") from error
    try:
        # A port that a former process of ours has just left is free; one that is listened on is not.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_LARGEST_CROWD)
    except OSError as error:
        listening.close()
        raise ListenFailed(
            f"cannot listen on {_shown(host, port)}: {error.strerror}. Stop what listens there, or choose another "
            f"port: [server] listen in the configuration, --listen of a demo."
        ) from error
    return listening


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
