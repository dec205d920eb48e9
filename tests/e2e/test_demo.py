"""The demo as a person sees it: it deletes what is idle, keeps what is vetoed, says so, and the books agree."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fluence_costwatch.config import load
from fluence_costwatch.core.deletion.deletions import Mode
from fluence_costwatch.demo_config import Tempo, write_configuration
from tests.docs.markdown import blocks_of
from tests.docs.session import missing_from
from tests.eventually import eventually

PROGRAM = (sys.executable, "-m", "fluence_costwatch")
PATIENCE_SECONDS = 120
GONE = "notebook-anna is gone, proven by the lists; its next charge, $0.44724, is saved"
VETOED = re.compile(r"DELETION  load-test stays, vetoed by link 127\.0\.0\.1: still needed")


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """A demo in `folder`, with what it has said so far and complained of."""
    said, complained = folder / "said", folder / "complained"
    with said.open("wb") as out, complained.open("wb") as err:
        command = [*PROGRAM, "demo", "--listen", "127.0.0.1:0", "--dir", str(folder / "demo"), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    try:
        yield process, said, complained
    finally:
        process.kill()
        process.wait()


def test_an_idle_machine_goes_before_its_charge_and_a_vetoed_one_stays(tmp_path: Path) -> None:
    with demo(tmp_path, "--epoch", "8s") as (process, said, complained):
        eventually(lambda: GONE in said.read_text("utf-8"), within=PATIENCE_SECONDS)
        eventually(lambda: VETOED.search(said.read_text("utf-8")), within=PATIENCE_SECONDS)
        eventually(
            lambda: re.search(r"load-test .* USD", VETOED.split(said.read_text("utf-8"))[1]), within=PATIENCE_SECONDS
        )
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(timeout=PATIENCE_SECONDS)
    text = said.read_text("utf-8")

    assert "" == complained.read_text("utf-8")
    assert re.search(r"MESSAGE  \[WARN\] vm notebook-anna of demo will be deleted", text)
    assert re.search(r"MESSAGE  \[INFO\] fleet at 5\d%: \$2\d\.\d+ of \$40\.00", text)
    assert re.search(r"MESSAGE  \[CRIT\] training is heading for 158%", text)
    assert re.search(r"http://127\.0\.0\.1:\d+/deletions/[0-9a-f]+\?token=[0-9a-f]+", text)
    assert "load-test is deleted" not in text
    assert "db-archive is deleted" not in text
    assert "Deletions: 1 proven, which saved $0.44724 at the next charge" in text
    assert "The marketplace's own books agree: " in text
    assert "\x1b" not in text
    assert [] == missing_from(_without_figures(_story_of_the_readme()), real=_without_figures(text))

    # On a machine with much else to do one may be withdrawn, and proposed again.
    states = {(one["name"], one["state"]) for one in _read(tmp_path, "deletions")["deletions"]}
    assert {("notebook-anna", "verified"), ("load-test", "vetoed")} == {
        each for each in states if each[1] != "withdrawn"
    }


def _story_of_the_readme() -> str:
    (story,) = [block.text for block in blocks_of("README.md", "text") if "MESSAGE" in block.text]
    return story


def _without_figures(text: str) -> str:
    """With what depends on how busy the machine is left out."""
    return re.sub(r"\d+ s before", "N s before", re.sub(r"\d+\.\d{6} USD by", "N USD by", text))


def _read(folder: Path, command: str) -> Any:
    called = [*PROGRAM, "--config", str(folder / "demo" / "config.toml"), command, "--json"]
    return json.loads(subprocess.run(called, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.parametrize("epoch", [timedelta(seconds=n) for n in (5, 6, 7, 10, 20, 60, 3600, 86_400)], ids=str)
def test_its_configuration_fits_every_length_of_epoch(epoch: timedelta, tmp_path: Path) -> None:
    config = write_configuration(
        tmp_path,
        tempo=Tempo(epoch),
        address="127.0.0.1:17550",
        market_url="http://127.0.0.1:1",
        chat_url="http://127.0.0.1:2",
        exporters_url="http://127.0.0.1:3",
    )

    settings = load(str(config), environ={"HOME": str(tmp_path)})

    assert () == tuple(settings.remarks)
    assert Mode.EXECUTE is settings.deletion.mode
    # Notice and margin leave room for each other in an epoch, so that what is idle goes at the end of the next one.
    assert settings.deletion.margin + settings.deletion.min_notice <= epoch
    assert "http://127.0.0.1:17550" == settings.server.public_url
