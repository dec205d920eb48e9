"""The wheel in an environment of its own, away from the source tree: it runs the demo and migrates its database."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from fluence_costwatch.store.schema import REVISIONS
from tests.eventually import eventually

ROOT = Path(__file__).resolve().parents[2]
OURS = ("fluence_costwatch", "__editable__")


@dataclass(frozen=True, slots=True)
class Installed:
    """The installed program, and an empty folder and home to call it in."""

    environment: Path
    folder: Path

    @property
    def program(self) -> Path:
        return self.environment / "bin" / "fluence-costwatch"

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(self.program, *arguments, cwd=self.folder)


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that is told nothing of this test run or of the source tree."""
    environment = {"HOME": str(cwd), "PATH": os.defpath, "LANG": "C.UTF-8"}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree into a folder of its own."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(place), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = place.glob("*.whl")
    return found


def environment_for(place: Path) -> Path:
    environment = place / "venv"
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    succeeded(run(python, "-m", "venv", "--without-pip", environment, cwd=place))
    return environment


def packages_in(environment: Path) -> Path:
    (found,) = (environment / "lib").glob("python3.*/site-packages")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel beside the very libraries of this run, without its editable install: no package index is asked."""
    place = tmp_path_factory.mktemp("elsewhere")
    environment = environment_for(place)
    packages = packages_in(environment)
    for library in packages_in(Path(sys.prefix)).iterdir():
        if not library.name.startswith(OURS) and library.suffix != ".pth":
            (packages / library.name).symlink_to(library)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    program = Installed(environment, place / "folder")
    program.folder.mkdir()
    entry = "import sys; from fluence_costwatch.__main__ import main; sys.exit(main())"
    program.program.write_text(f"#!{environment}/bin/python\n{entry}\n")
    program.program.chmod(0o755)
    return program


def test_what_is_called_is_the_installed_package(installed: Installed) -> None:
    script = "import fluence_costwatch, sys; print(fluence_costwatch.__file__); print(sys.path)"

    answer = succeeded(run(installed.environment / "bin" / "python", "-c", script, cwd=installed.folder))

    assert answer.startswith(str(installed.environment))
    assert str(ROOT / "fluence_costwatch") not in answer


@pytest.mark.slow
def test_the_demo_of_the_installed_program_keeps_a_growing_ledger(installed: Installed) -> None:
    config = installed.folder / "demo" / "config.toml"
    arguments = ("demo", "--duration", "12s", "--epoch", "5s", "--listen", "127.0.0.1:0", "--dir", "demo")

    def total() -> Decimal:
        answer = json.loads(succeeded(installed.call("--config", str(config), "spend", "--json")))
        return Decimal(answer["total_usd"])

    with subprocess.Popen(
        [installed.program, *arguments],
        cwd=installed.folder,
        env={"HOME": str(installed.folder), "PATH": os.defpath, "LANG": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        first = eventually(total, within=30)
        eventually(lambda: total() > first, within=30)
        _, complaints = demo.communicate(timeout=60)
    assert (0, "") == (demo.returncode, complaints)

    assert "The database is sound.\n" == succeeded(installed.call("--config", str(config), "db", "verify"))
    assert "equals" in succeeded(installed.call("--config", str(config), "db", "rebuild"))
    with closing(sqlite3.connect(installed.folder / "demo" / "costwatch.db")) as database:
        assert [(REVISIONS[-1],)] == database.execute("SELECT version_num FROM alembic_version").fetchall()


@pytest.mark.slow
def test_the_wheel_finds_its_libraries_by_the_lock_file(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    python = environment / "bin" / "python"
    succeeded(run(Path(sys.base_prefix) / "bin" / "python3", "-m", "venv", environment, cwd=tmp_path))
    install = [str(python), "-m", "pip", "install", "--quiet"]
    # pip is told what this machine says about where packages are, as a person's would be.
    for command in (
        [*install, "--require-hashes", "-r", str(ROOT / "requirements.lock")],
        [*install, "--no-deps", str(wheel)],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    program = Installed(environment, tmp_path)

    succeeded(program.call("demo", "--duration", "8s", "--epoch", "5s", "--listen", "127.0.0.1:0", "--dir", "demo"))

    spent = json.loads(succeeded(program.call("--config", "demo/config.toml", "spend", "--json")))
    assert Decimal(spent["total_usd"]) > 0
