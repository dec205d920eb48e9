"""From a fresh clone to a working environment, on machines that lack this or that.

What such a machine's Python does is played by a small script in its place; the way round it is then really taken.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tools import tool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
REAL_PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"

# What Debian's python3 without python3-venv does: it leaves a folder without pip behind, and fails.
WITHOUT_ENSUREPIP = """
case "$*" in
    "-m venv --without-pip "*) ;;
    "-m venv "*)
        "$REAL" -m venv --without-pip "$3"
        echo "The virtual environment was not created successfully because ensurepip is not available." >&2
        exit 1 ;;
esac
"""

WITHOUT_VENV = """
case "$*" in "-m venv "*) echo "No module named venv" >&2; exit 1 ;; esac
"""

WITHOUT_VENV_AND_PIP = """
case "$*" in "-m venv "* | "-m pip "*) echo "No module named ${2}" >&2; exit 1 ;; esac
"""

TOO_OLD = """
case "$1" in
    -c) exec "$REAL" -c 'import sys; sys.version_info = (3, 9, 2, "final", 0); exec(sys.argv[1])' "$2" ;;
    --version) echo "Python 3.9.2"; exit 0 ;;
esac
"""


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command as from a fresh login: without what this test run's own make, venv and pytest put there."""
    ours = re.compile(r"MAKE.*|MFLAGS|VIRTUAL_ENV|PYTHON.*|PYTEST_.*|REQUIRE_TOOLS")
    environment = {name: value for name, value in os.environ.items() if not ours.fullmatch(name)}
    folders = environment["PATH"].split(os.pathsep)
    environment["PATH"] = os.pathsep.join(folder for folder in folders if not folder.startswith(sys.prefix))
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def python_that(clone: Path, script: str) -> Path:
    """An interpreter that first does what `script` says, else what the real one does."""
    path = clone.parent / "python"
    path.write_text(f'#!/bin/sh\nREAL="{REAL_PYTHON}"\n{script}\nexec "$REAL" "$@"\n')
    path.chmod(0o755)
    return path


def says_its_version(program: Path, cwd: Path) -> bool:
    answer = run(program, "--version", cwd=cwd)
    return answer.returncode == 0 and re.search(r"\d+\.\d+", answer.stdout) is not None


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is committed here, and nothing else."""
    path = tmp_path / "clone"
    done = run(tool("git"), "clone", "--quiet", ROOT, path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return path


def test_make_sets_up_once_and_again_when_the_lock_changes(clone: Path) -> None:
    first = run(tool("make"), "setup", f"PYTHON={REAL_PYTHON}", cwd=clone)
    assert first.returncode == 0, first.stderr
    assert says_its_version(clone / ".venv/bin/fluence-costwatch", clone)

    stamp = clone / ".venv/.set-up"
    made = stamp.stat().st_mtime_ns
    assert run(tool("make"), "setup", cwd=clone).returncode == 0
    assert made == stamp.stat().st_mtime_ns

    with (clone / "requirements-dev.lock").open("a") as lock:
        lock.write("# changed\n")
    again = run(tool("make"), "setup", cwd=clone)
    assert again.returncode == 0, again.stderr
    assert made < stamp.stat().st_mtime_ns

    status = run(tool("git"), "status", "--porcelain", cwd=clone).stdout.splitlines()
    assert [" M requirements-dev.lock"] == status


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(WITHOUT_ENSUREPIP, id="the venv module is there without ensurepip"),
        pytest.param(WITHOUT_VENV, id="the venv module is missing"),
    ],
)
def test_make_sets_up_where_there_is_only_pip(clone: Path, script: str) -> None:
    done = run(tool("make"), "setup", f"PYTHON={python_that(clone, script)}", cwd=clone)

    assert done.returncode == 0, done.stderr
    assert says_its_version(clone / ".venv/bin/fluence-costwatch", clone)
    assert run(clone / ".venv/bin/python", "-m", "pytest", "--version", cwd=clone).returncode == 0


def test_without_venv_and_pip_it_says_what_to_install(clone: Path) -> None:
    python = python_that(clone, WITHOUT_VENV_AND_PIP)

    done = run("env", f"PYTHON={python}", "sh", "tools/bootstrap.sh", cwd=clone)

    assert done.returncode == 1
    assert "sudo apt-get install -y python3-venv" in done.stderr
    assert not (clone / ".venv").exists()


def test_an_old_python_is_refused_in_a_sentence(clone: Path) -> None:
    python = python_that(clone, TOO_OLD)

    done = run("env", f"PYTHON={python}", "sh", "tools/bootstrap.sh", cwd=clone)

    assert done.returncode == 1
    assert f"Fluence CostWatch needs Python 3.11 or newer; PYTHON={python} is Python 3.9.2.\n" == done.stderr


def test_a_package_that_is_not_the_locked_one_is_refused_and_nothing_half_made_stays(clone: Path) -> None:
    lock = clone / "requirements-dev.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock.read_text()))

    done = run(tool("make"), "setup", f"PYTHON={REAL_PYTHON}", cwd=clone)

    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert not (clone / ".venv").exists()


def test_a_wheel_runs_in_a_clean_environment_without_the_source_tree(clone: Path, tmp_path: Path) -> None:
    # The wheel is built from the source archive, so the archive is proved to be whole as well.
    built = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", cwd=clone)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert "fluence_costwatch/migrations/env.py" in zipfile.ZipFile(wheel).namelist()

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = elsewhere / "venv/bin/python"
    for command in (
        (REAL_PYTHON, "-m", "venv", elsewhere / "venv"),
        (python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", clone / "requirements.lock"),
        (python, "-m", "pip", "install", "--quiet", "--no-deps", wheel),
        (python, "-m", "pip", "check"),
    ):
        done = run(*command, cwd=elsewhere)
        assert done.returncode == 0, done.stdout + done.stderr
    assert says_its_version(elsewhere / "venv/bin/fluence-costwatch", elsewhere)
