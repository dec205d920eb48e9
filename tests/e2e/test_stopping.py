"""A daemon that is told to stop while a turn runs ends after that turn, whatever the turn still has to put on or off."""

from __future__ import annotations

import subprocess
import sys

from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess
from tests.servers.marketplace import Marketplace

# Its display tells the daemon to stop in the middle of the first turn, and gives it time to begin.
STOPPING = """
import os, signal, sys, threading
from pathlib import Path
from fluence_costwatch.config import load
from fluence_costwatch.daemon import Daemon, system_clock
from fluence_costwatch.store import open_store

class Stopping:
    def show(self, reading, *, now):
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(0.5)

settings = load(sys.argv[1], environ=os.environ)
with open_store(settings.database.path, now=system_clock()) as store:
    Daemon(settings, store=store, reload=lambda: settings, environ={}, displays=(Stopping(),)).run()
print("ended")
"""


def test_it_ends_where_the_running_turn_schedules_something(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    fluence_api.create("web")
    daemon.configure(Account(fluence_api.url))

    done = subprocess.run(
        [sys.executable, "-c", STOPPING, str(daemon.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert (0, "ended\n") == (done.returncode, done.stdout), done.stderr
