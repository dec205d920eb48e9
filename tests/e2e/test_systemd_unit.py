"""The unit that is shipped: systemd accepts it, rates it well, and its restrictions leave Python working."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import tool

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "fluence-costwatch.service"
WORST_RATING = 1.5  # 0 is shut in completely, 10 is free to do anything


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """A copy whose programs exist on this machine, which is all that is checked about them."""
    copy = tmp_path / UNIT.name
    text, replaced = re.subn(r"(?m)^(Exec\w+=)\S+", rf"\g<1>{sys.executable}", UNIT.read_text("utf-8"))
    assert replaced == 2
    copy.write_text(text, "utf-8")
    return copy


def test_systemd_accepts_the_unit_without_a_word(unit: Path) -> None:
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )

    complaints = [line for line in (done.stdout + done.stderr).splitlines() if UNIT.name in line]
    assert (0, []) == (done.returncode, complaints)


def test_systemd_rates_the_unit_well(unit: Path) -> None:
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    rating = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert rating, done.stdout + done.stderr
    assert float(rating[1]) <= WORST_RATING


WITHOUT_MAKING_CODE = """
import ctypes, sys
# PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN: what MemoryDenyWriteExecute= asks of the kernel, for this process only.
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0):
    sys.exit(42)
import alembic.command, apprise, apscheduler.schedulers.background, httpx, msgspec, prometheus_client, pydantic
import rich.console, sqlalchemy, stamina, starlette.applications, typer, uvicorn
class Price(msgspec.Struct): usd: str
class Setting(pydantic.BaseModel): name: str
assert msgspec.json.decode(b'{"usd": "0.31"}', type=Price).usd == "0.31"
assert Setting.model_validate({"name": "poll"}).name == "poll"
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    assert connection.execute(sqlalchemy.text("select 1")).scalar() == 1
httpx.Client().close()
"""


def test_every_library_works_where_no_memory_is_both_written_and_executed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MAKING_CODE], capture_output=True, text=True, check=False, timeout=60
    )

    if done.returncode == 42:
        pytest.xfail("this kernel cannot refuse it to a single process; Linux 6.3 and later can")
    assert done.returncode == 0, done.stderr
