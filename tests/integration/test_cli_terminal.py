"""The command line in a process of its own, on a real terminal and on pipes that break."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

PROLOGUE = """
import sys
from tests.fake_program import FakeProgram
from tests.known import Facts, known_account, known_charge, known_resource, watched
from fluence_costwatch.cli.app import main
"""

FEW = """
facts = Facts((known_resource(),), (known_charge("2026-03-01 17:55"),), (known_account(last_success=None),))
main(FakeProgram(facts), sys.argv[1:])
"""

MANY = """
facts = Facts((), tuple(known_charge("2026-03-01 17:55") for _ in range(100_000)), (known_account(),))
main(FakeProgram(facts), sys.argv[1:])
"""

# Waits for as long as it is asked to, which is what the daemon does.
SLOW = """
import threading
class Slow(FakeProgram):
    def run(self, config, *, allow_delete):
        print("running", flush=True)
        threading.Event().wait(60)
    def db_verify(self, config):
        threading.Event().wait(1.5)
        return ()
main(Slow(), sys.argv[1:])
"""


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", PROLOGUE + script, *arguments]


def surroundings(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    return {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **more}


def on_terminal(script: str, *arguments: str, **environment: str) -> str:
    """All that a terminal of 80 columns gets to see of a command."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(script, *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=surroundings(COLUMNS="80", **environment),
        cwd=ROOT,
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # the last process has closed the terminal
                break
            if not part:
                break
            seen += part
        process.wait(30)
    os.close(ours)
    return seen.decode()


def test_a_terminal_gets_colour() -> None:
    seen = on_terminal(FEW, "vms")

    assert "\x1b[1mNAME" in seen
    assert "\x1b[33mwarning: \x1b[0m" in seen


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_gets_none_where_it_is_not_wanted(environment: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal(FEW, "vms", **environment)


def test_a_pipe_gets_no_colour_and_whole_lines() -> None:
    done = subprocess.run(
        command(FEW, "vms"), capture_output=True, text=True, env=surroundings(), cwd=ROOT, timeout=60, check=True
    )

    assert "\x1b" not in done.stdout + done.stderr
    assert "LAST SEEN" in done.stdout


def test_what_takes_longer_than_a_second_shows_that_it_goes_on() -> None:
    seen = on_terminal(SLOW, "db", "verify")

    assert "verifying" in seen
    assert "The database is sound." in seen


def test_what_is_quick_shows_no_progress() -> None:
    assert "exporting" not in on_terminal(FEW, "export")


def test_a_pipe_that_closes_early_is_no_error() -> None:
    for arguments in (("export",), ("export", "--format", "json")):
        with subprocess.Popen(
            command(MANY, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings(), cwd=ROOT
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert b"" == process.stderr.read()


def test_ctrl_c_ends_a_command_quietly_with_130() -> None:
    with subprocess.Popen(
        command(SLOW, "run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings(), cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"running\n" == process.stdout.readline()

        process.send_signal(signal.SIGINT)

        assert 130 == process.wait(30)
        assert b"" == process.stderr.read()


def test_an_encoding_that_lacks_a_letter_is_no_error() -> None:
    script = FEW.replace("known_resource()", 'known_resource(name="Zoë 🦄 日本", price=None)')

    done = subprocess.run(
        command(script, "vms"),
        capture_output=True,
        env=surroundings(PYTHONIOENCODING="latin-1", COLUMNS="80"),
        cwd=ROOT,
        timeout=60,
        check=True,
    )

    assert "Zoë \\U0001f984".encode("latin-1") in done.stdout
