"""A reader at a clean machine: types what a page says into a shell, and sees what comes.

The marketplace that answers is the simulated one, and the port is a free one; nothing else differs from what is
written. Each block is a shell of its own in the same folder, with the same home.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

from tests.docs.markdown import Block
from tests.eventually import eventually
from tests.servers.marketplace import KEY, Marketplace, marketplace

DEFAULT_PORT = "17550"
SIMULATORS_PORT = "18080"
SECONDS_FOR_A_BLOCK = 120

# What a reader's machine has under the names that the pages use.
FLEET = (
    ("api-gateway", "0.298160", "0x8d85b445599a96c8dce30e95b72e9a00000000a1", timedelta(hours=50)),
    ("postgres-main", "1.274400", "0x5b1f08d1c0ffee77aa1e90c3d2b4f600000000b2", timedelta(hours=30)),
    ("ci-runner", "0.412500", "0x17c2a7e4d9905b1f6a3c88e0d4b2c900000000c3", timedelta(hours=5)),
)

# A stand-in for machines that lack it; only what the pages use.
CURL = f"""\
#!{sys.executable}
import argparse, sys, urllib.request
words = argparse.ArgumentParser()
words.add_argument("url")
words.add_argument("--silent", action="store_true")
words.add_argument("--fail", action="store_true")
words.add_argument("--data")
words.add_argument("--request")
given = words.parse_args()
body = None if given.data is None else given.data.encode()
asked = urllib.request.Request(given.url, data=body, method=given.request)
sys.stdout.buffer.write(urllib.request.urlopen(asked).read())
"""


@dataclass(slots=True)
class Session:
    """One page, typed from top to bottom."""

    folder: Path
    home: Path
    path: str
    market: Marketplace
    port: int
    simulators_port: int
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def type(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run `commands` in a shell that ends at the first that fails; whoever reads from stdin gets the key."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(commands)],
            cwd=self.folder,
            env=self._environment(),
            input=f"{KEY}\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_FOR_A_BLOCK,
        )

    def leave_running(self, commands: str) -> None:
        """Start what does not end by itself, and wait until the daemon or the marketplace in it is ready."""
        process = subprocess.Popen(
            ["bash", "-c", self._here(commands)],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        ready = f"http://127.0.0.1:{self.port}/-/ready"
        clock = f"http://127.0.0.1:{self.simulators_port}/control/clock"
        eventually(lambda: _answers(clock if "simulate" in commands else ready), within=30)

    def stop(self) -> None:
        """End what was left running."""
        for process in self.running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)
        self.running.clear()

    def _here(self, commands: str) -> str:
        """`commands` with the simulated marketplace in the place of the real one, and free ports."""
        asked = "" if "api_url" in commands else f'api_url = "{self.market.url}"\n'
        settings = f'[server]\nlisten = "127.0.0.1:{self.port}"\n\n[display]\nzone = "{_zone_where_it_is_noon()}"\n\n'
        commands = commands.replace("[[accounts]]\n", f"{settings}[[accounts]]\n{asked}", 1)
        return commands.replace(DEFAULT_PORT, str(self.port)).replace(SIMULATORS_PORT, str(self.simulators_port))

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": self.path, "LANG": "C.UTF-8", "COLUMNS": "100"}


@contextmanager
def session(place: Path, *, program: Path | None, folder: Path | None = None) -> Iterator[Session]:
    """A reader with an empty home in `place`; `program` is what `fluence-costwatch` is, where it is installed already."""
    home, programs = place / "home", place / "programs"
    for made in (home, programs, place / "work"):
        made.mkdir(parents=True)
    if program is not None:
        (programs / "fluence-costwatch").symlink_to(program)
    if not any((Path(each) / "curl").exists() for each in ("/usr/bin", "/usr/local/bin", "/bin")):
        (programs / "curl").write_text(CURL)
        (programs / "curl").chmod(0o755)
    path = os.pathsep.join([str(home / ".local/bin"), str(programs), str(Path(sys.base_prefix) / "bin"), os.defpath])
    now = datetime.now(UTC)
    with marketplace(start=now - timedelta(hours=60), policy="per_vm") as market:
        for name, price, vm, age in FLEET:
            market.set_clock(now - age)
            market.create(name, price, id=vm)
        market.set_clock(datetime.now(UTC))
        market.run_clock()
        typing = Session(folder or place / "work", home, path, market, _free_port(), _free_port())
        try:
            yield typing
        finally:
            typing.stop()


def _answers(url: str) -> bool:
    with urlopen(url, timeout=5) as answer:  # noqa: S310  # the URL is our own
        return bool(answer.status == 200)


def _zone_where_it_is_noon() -> str:
    """There no output changes its width for a date that turns in the middle of it."""
    ahead = 12 - datetime.now(UTC).hour
    return "UTC" if ahead == 0 else f"Etc/GMT{-ahead:+d}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def commands_and_outputs(block: Block) -> list[tuple[str, str]]:
    """What a `console` block has typed after each "$ ", and what it shows below it."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert parts[0] == "", f"{block.place}: a console block begins with a command"
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts[1:])]


_CHANGING = (
    (r"\d\.\d+e\+09", "NUMBER"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "INSTANT"),
    (r"(\d{4}-\d\d-\d\d )?\b\d\d:\d\d(:\d\d)?\b", "TIME"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"\b(UTC|[+-]\d\d)$|(?<=TIME) (UTC|[+-]\d\d)\b", "ZONE"),
    (r"\d+ (s|min|h) ago", "AGO"),
    (r"0x[0-9a-f]+…[0-9a-f]+", "ID"),
    (r"(?<=_seconds\{account=\"main\"\} )[\d.e-]+", "NUMBER"),
    (r"(?<=size_bytes )[\d.e+]+", "NUMBER"),
    (r"\(\d+ bytes\)", "(BYTES)"),
    (r"\d{8}T\d{6}Z", "STAMP"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"(?:(?<=[\s=])|^)(/[\w.-]+)+/(?=\.config/|\.local/|config\.toml)", "FOLDER/"),
    (r"^[\w./-]*fluence-costwatch(?= --config)", "COMMAND"),
    (r" {2,}", " "),
)


def without_what_changes(text: str) -> list[str]:
    """The lines of an output with instants, sizes, addresses and the width of columns masked."""
    for pattern, mask in _CHANGING:
        text = re.sub(pattern, mask, text, flags=re.MULTILINE)
    return [line.strip() for line in text.splitlines()]


def missing_from(shown: str, *, real: str) -> list[str]:
    """The lines that a page shows and that did not come; "..." stands for what the page leaves out."""
    came = without_what_changes(real)
    return [line for line in without_what_changes(shown) if line and line != "..." and line not in came]
