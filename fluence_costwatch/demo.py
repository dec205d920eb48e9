"""The demo: the real daemon on the simulated marketplace, with epochs of seconds, and a terminal that says what happens."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from logging import ERROR, LogRecord, getLogger
from pathlib import Path
from threading import Timer
from typing import Final

from fluence_costwatch.config import format_duration, load
from fluence_costwatch.core.money import Usd
from fluence_costwatch.daemon import Daemon, system_clock
from fluence_costwatch.demo_config import ACCOUNT, KEY, Tempo, write_configuration
from fluence_costwatch.demo_terminal import LINK, Booked, Terminal
from fluence_costwatch.errors import ListenFailed, UnusableOption
from fluence_costwatch.logs import set_up_logging
from fluence_costwatch.simulator import (
    AccountOptions,
    Options,
    Simulator,
    demo_paces,
    demo_script,
    exporters,
    inbox,
    press_button,
)
from fluence_costwatch.store import open_store

SHORTEST_EPOCH: Final = timedelta(seconds=5)
VETOED: Final = "load-test"
"""The machine whose deletion the demo vetoes, as somebody would who still needs it."""


class Reader:
    """Whoever reads the messages: the terminal, and somebody who vetoes one deletion by the link in its notice."""

    def __init__(self, terminal: Terminal, *, hesitates: timedelta) -> None:
        self._terminal = terminal
        self._hesitates = hesitates
        self._timers: list[Timer] = []

    def take(self, title: str, text: str) -> None:
        """A message has arrived."""
        self._terminal.show_message(title, text)
        link = LINK.search(text)
        if link is not None and VETOED in title:
            timer = Timer(self._hesitates.total_seconds(), self._veto, args=(link[0],))
            timer.daemon = True
            timer.start()
            self._timers.append(timer)

    def leave(self) -> None:
        """Do nothing more."""
        for timer in self._timers:
            timer.cancel()

    def _veto(self, link: str) -> None:
        try:
            press_button(link, reason="still needed")
        except OSError as exc:
            self._terminal.say(f"the veto of {VETOED} could not be given: {exc}")
        else:
            self._terminal.say(
                f"somebody opens the link in that notice and presses the button: {VETOED} is still needed"
            )


def run_demo(
    *,
    host: str,
    port: int,
    epoch: timedelta,
    duration: timedelta | None,
    directory: Path | None,
    environ: Mapping[str, str],
) -> None:
    """Be the daemon on a simulated marketplace until interrupted, or for `duration`; then say what came of it.

    Configuration and database lie in `directory`, else in a temporary folder that goes with the demo.
    """
    if epoch < SHORTEST_EPOCH:
        raise UnusableOption(f"--epoch: the demo needs at least {format_duration(SHORTEST_EPOCH)}")
    tempo = Tempo(epoch)
    terminal = Terminal(clock=system_clock)
    with ExitStack() as stack:
        folder = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluence-costwatch-demo-")))
        folder = folder.resolve()
        market = stack.enter_context(_marketplace(epoch))
        reader = Reader(terminal, hesitates=tempo.min_notice / 2)
        address = _address(host, port or _free_port(host))
        config = write_configuration(
            folder,
            tempo=tempo,
            address=address,
            market_url=market.url,
            chat_url=stack.enter_context(inbox(reader.take)),
            exporters_url=stack.enter_context(exporters(demo_paces(epoch))),
        )
        stack.callback(reader.leave)
        settings = load(str(config), environ=environ)
        set_up_logging(form="text", level="warning", under_systemd=False)
        for handler in getLogger().handlers:
            handler.addFilter(_is_news)
        store = stack.enter_context(open_store(settings.database.path, now=system_clock()))
        if duration is not None:
            ending = Timer(duration.total_seconds(), os.kill, args=(os.getpid(), signal.SIGTERM))
            ending.daemon = True
            ending.start()
            stack.callback(ending.cancel)
        command = f"{_command_as_called()} --config {shlex.quote(str(config))}"
        Daemon(
            settings,
            store=store,
            reload=lambda: load(str(config), environ=environ),
            environ=environ,
            # The second key to deletion: what is deleted here exists in this process alone.
            allow_delete=True,
            command=command,
            displays=(terminal,),
            on_listening=lambda host, port: print(
                _where_to_look(command, market.url, _address(host, port), tempo), flush=True
            ),
        ).run()
        print(f"\n{terminal.summary(_booked(market))}", flush=True)


def _marketplace(epoch: timedelta) -> Simulator:
    return Simulator(
        Options(
            accounts=(AccountOptions(ACCOUNT, (KEY,), balance="100"),),
            epoch=epoch,
            # The script changes things in the middle of these epochs, so none of its changes is uncertain.
            policy="global",
            script=demo_script(),
        )
    )


def _booked(market: Simulator) -> list[Booked]:
    market.now()
    return [Booked(entry.at, Usd(entry.amount)) for entry in market.market.books_of(ACCOUNT).charges]


def _is_news(record: LogRecord) -> bool:
    """Whether a line of the log is worth a place in the terminal: alerts come as messages, and a turn that is a second
    late is nothing where seconds stand for hours."""
    told = "alert" in getattr(record, "facts", {})
    late = record.name.startswith("apscheduler") or "job" in getattr(record, "facts", {})
    return not told and not (late and record.levelno < ERROR)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _free_port(host: str) -> int:
    """A port that is free now, to be named in links before anybody listens. Raises ListenFailed."""
    try:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
            port: int = server.getsockname()[1]
            return port
    except OSError as exc:
        raise ListenFailed(f"cannot listen on {host}: {exc.strerror or exc}") from exc


def _command_as_called() -> str:
    """What to type for this command from the present folder."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{sys.executable} -m fluence_costwatch"
    if shutil.which(called.name) == str(called):
        return called.name
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def _where_to_look(command: str, market: str, address: str, tempo: Tempo) -> str:
    epochs = timedelta(days=1) // tempo.epoch
    a_day = f'A day holds {epochs} of them, and what is called "a day" is as much.\n' if epochs > 1 else ""
    return f"""\
A simulated Fluence marketplace answers at {market}, with epochs of {format_duration(tempo.epoch)}.
{a_day}CostWatch watches it. Within six epochs two budgets are crossed, and three machines are found idle: notebook-anna
is deleted just before its next charge, somebody vetoes the deletion of load-test, and db-archive is protected.
In another terminal, try

    {command} vms
    {command} spend
    {command} status
    {command} budgets
    {command} idle
    {command} deletions
    curl http://{address}/metrics

Ctrl-C ends the demo.
"""
