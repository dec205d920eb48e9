"""Whatever the pages have a reader type, load or look up works as they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fluence_costwatch.config import load
from tests.docs.markdown import PAGES, ROOT, Block, anchors_of, blocks_of, links_of, prose_of
from tests.docs.session import commands_and_outputs, missing_from, session, without_what_changes
from tests.eventually import eventually
from tests.servers.marketplace import KEY
from tests.tools import tool

SHELL = ("sh", "console")
NOT_RUN = ("no-test", "slow")
# What is told of an account whose story is played; test_story.py and test_team.py type it.
STORIES = ("story", "team")
TAGS = (*NOT_RUN, "background", *STORIES)
LANGUAGES = (*SHELL, "toml", "json", "promql", "ini", "text", "python", "csv")
PROGRAM = Path(sys.executable).with_name("fluence-costwatch")
# What CONTRIBUTING.md has typed, `.ci/run` does in every run.
OPERATORS_PAGES = [page for page in PAGES if page != "CONTRIBUTING.md"]
CHANGES_THE_MACHINE = re.compile(r"(?<![\w~])/(etc|opt|usr|var|root)/|systemctl|journalctl|apt")
TYPED_PAGES = [
    page
    for page in OPERATORS_PAGES
    if any(not {*NOT_RUN, *STORIES} & {*block.tags} for block in blocks_of(page, *SHELL))
]
SHOWN_AS_DEMO = "$ make demo\n"

# What no machine can try without being root, without systemd, or for ever. A new one needs a good reason.
MOST_UNTRIED = (("README.md", 2), ("deploy/README.md", 12), ("docs/metrics.md", 1), ("docs/simulator.md", 1))


def blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page, *languages)]


def problems_of(page: str, place: Path, *, program: Path | None, folder: Path | None = None) -> list[str]:
    """What went otherwise than a page says, typed from top to bottom."""
    skipped = NOT_RUN if program else ("no-test",)
    found = []
    with session(place, program=program, folder=folder) as reader:
        for block in blocks_of(page, *SHELL):
            if {*skipped, *STORIES} & {*block.tags}:
                continue
            assert not CHANGES_THE_MACHINE.search(block.text), f"{block.place} is not for a test; say so"
            if "background" in block.tags:
                reader.leave_running(block.text)
                continue
            pairs = commands_and_outputs(block) if block.language == "console" else [(block.text, "")]
            for commands, shown in pairs:
                done = reader.type(commands)
                if done.returncode:
                    found.append(f"{block.place}: {commands}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
                elif "--json" in commands and keys_of(shown) != keys_of(done.stdout):
                    found.append(f"{block.place}: {commands}\nother keys: {keys_of(shown) ^ keys_of(done.stdout)}")
                elif missing := missing_from(shown, real=done.stdout):
                    found.append(f"{block.place}: {commands}\ndid not come: {missing}\ncame:\n{done.stdout}")
    return found


def keys_of(text: str) -> set[str]:
    """The keys in a JSON text, which may be shortened."""
    return set(re.findall(r'"(\w+)":', text))


@pytest.mark.parametrize("page", TYPED_PAGES)
def test_what_a_page_has_typed_does_what_it_shows(page: str, tmp_path: Path) -> None:
    assert [] == problems_of(page, tmp_path / "reader", program=PROGRAM)


@pytest.mark.slow
def test_the_readme_leads_from_a_fresh_clone_to_the_cost_of_a_fleet(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run([tool("git"), "clone", "--quiet", ROOT, clone], check=True)
    (clone / "README.md").write_text((ROOT / "README.md").read_text("utf-8"), "utf-8")

    assert [] == problems_of("README.md", tmp_path / "reader", program=None, folder=clone)


def test_the_demo_shows_what_the_readme_says() -> None:
    (shown,) = [block.text for block in blocks("console") if block.text.startswith(SHOWN_AS_DEMO)]
    command = [str(PROGRAM), "demo", "--listen", "127.0.0.1:0", "--epoch", "5s", "--duration", "9s"]
    # The first look should come well before the next boundary, which is at every fifth second.
    eventually(lambda: datetime.now(UTC).second % 5 == 0)

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    shown = shown.removeprefix(SHOWN_AS_DEMO).replace("epochs of 20s", "epochs of 5s")
    assert [] == missing_from(shown, real=done.stdout)


def test_the_two_commands_of_the_readme_are_those_of_the_makefile() -> None:
    commands = next(block.text.split("\n")[:2] for block in blocks_of("README.md", "sh"))
    assert ["make demo", "make test"] == commands

    rules = (ROOT / "Makefile").read_text("utf-8")
    assert "demo: $(STAMP) ##" in rules
    assert "\t@$(BIN)/fluence-costwatch demo $(ARGS)\n" in rules
    assert "test: $(STAMP) ##" in rules
    assert "\t$(BIN)/python -m pytest" in rules


def test_what_is_not_tried_out_has_its_reason_and_stays_little() -> None:
    untried = [block for page in OPERATORS_PAGES for block in blocks_of(page, *SHELL) if {*NOT_RUN} & {*block.tags}]
    assert [] == [block.place for block in untried if not block.reason]

    never = [block.page for block in untried if "no-test" in block.tags]
    counts = {page: never.count(page) for page in never}
    assert {} == {page: count for page, count in counts.items() if count > dict(MOST_UNTRIED).get(page, 0)}


def test_every_block_names_a_language_and_tags_that_are_known() -> None:
    odd = [block.place for block in blocks() if block.language not in LANGUAGES or {*block.tags} - {*TAGS, "ledger"}]

    assert [] == odd


def configurations() -> list[object]:
    """Every `toml` block, and every configuration that a command writes."""
    written = [
        pytest.param(match[1], id=block.place)
        for block in blocks("sh")
        for match in re.finditer(r"config\.toml <<'END'\n(.*?)^END$", block.text, re.MULTILINE | re.DOTALL)
    ]
    return [*written, *(pytest.param(block.text, id=block.place) for block in blocks("toml"))]


@pytest.mark.parametrize("text", configurations())
def test_a_configuration_of_a_page_is_accepted(text: str, tmp_path: Path) -> None:
    if "[[accounts]]" not in text:
        text += '\n[[accounts]]\nname = "main"\ngeneration = "vms-v3"\napi_key_file = "api_key"\n'
    for name in re.findall(r'(?:api_key_file|token_file) = "([^"]+)"', text):
        secret = tmp_path / name
        secret.write_text(f"{KEY}-{name}\n")
        secret.chmod(0o600)
    for name in re.findall(r'url_file = "([^"]+)"', text):
        (tmp_path / name).write_text("https://hooks.example.com/secret\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "config.toml"
    path.write_text(text)

    settings = load(str(path), environ={"HOME": str(tmp_path)})

    assert len(tomllib.loads(text)["accounts"]) == len(settings.accounts)


def test_every_json_block_is_json() -> None:
    for block in blocks("json"):
        json.loads(block.text)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    broken = []
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors_of(file.resolve().relative_to(ROOT).as_posix())):
            broken.append(target)

    assert [] == broken


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_one_sentence_a_line(page: str) -> None:
    several = [
        line
        for line in prose_of(page).splitlines()
        if not line.startswith("|") and re.search(r"[a-z`)\]]\. [A-Z`]", line.replace("e.g. ", ""))
    ]

    assert [] == several


def test_masking_leaves_what_matters() -> None:
    line = "ci-runner  Active  $0.4125/epoch  $0.4125  2026-11-25 05:44:31   $0.4125  0x17c2a7e4…0000000c3"

    assert ["ci-runner Active $0.4125/epoch $0.4125 TIME $0.4125 ID"] == without_what_changes(line)
    assert ["$0.4126"] == missing_from("$0.4126", real="$0.4125")
