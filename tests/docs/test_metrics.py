"""docs/metrics.md against what the daemon really serves."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.markdown import blocks_of, rows_of, text_of
from tests.docs.session import session
from tests.docs.test_examples import PROGRAM
from tests.eventually import eventually
from tests.tools import tool

PAGE = "docs/metrics.md"
PREFIX = "fluence_costwatch_"
CONFIGURATION = """\
mkdir -p ~/.config/fluence-costwatch
install -m 600 /dev/stdin ~/.config/fluence-costwatch/api_key
cat > ~/.config/fluence-costwatch/config.toml <<'END'
[poll]
interval = "1s"

[[accounts]]
name = "main"
generation = "vms-v3"
api_key_file = "api_key"
END
"""


@pytest.fixture(scope="module")
def exposition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What a daemon serves that has looked at a fleet more than once."""
    with session(tmp_path_factory.mktemp("metrics") / "reader", program=PROGRAM) as reader:
        written = reader.type(CONFIGURATION)
        assert written.returncode == 0, written.stderr
        reader.leave_running("fluence-costwatch run")

        def served() -> str:
            with urlopen(f"http://127.0.0.1:{reader.port}/metrics", timeout=5) as answer:
                text: str = answer.read().decode()
            return text if "poll_duration_seconds{" in text else ""

        yield eventually(served)


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of every metric in the tables."""
    found = {}
    for row in rows_of(text_of(PAGE)):
        if len(row) == 4 and row[0].startswith("`"):
            found[PREFIX + row[0].strip("`")] = (row[1], frozenset(re.findall(r"`(\w+)`", row[2])))
    return found


def test_the_tables_have_what_is_served_and_nothing_else(exposition: str) -> None:
    tables = documented()
    served = {}
    for family in text_string_to_metric_families(exposition):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = frozenset(label for sample in family.samples for label in sample.labels)
        # What has no sample at present, such as a balance that this API does not report, shows no labels.
        unseen = tables.get(name, ("", labels))[1]
        served[name] = (family.type, labels if family.samples else unseen)

    assert served == tables


def test_the_reasons_of_failed_polls_are_those_that_are_served(exposition: str) -> None:
    row = next(row for row in rows_of(text_of(PAGE)) if row[0] == "`poll_failures_total`")

    assert set(re.findall(r'reason="(\w+)"', exposition)) == set(re.findall(r"`(\w+)`", row[3]))


def test_the_queries_ask_for_metrics_that_there_are() -> None:
    asked = {name for block in blocks_of(PAGE, "promql") for name in re.findall(rf"{PREFIX}\w+", block.text)}

    assert asked
    assert set() == asked - set(documented())


def test_promtool_accepts_the_queries(tmp_path: Path) -> None:
    rules = [
        f"      - record: documented:query:{block.number}\n        expr: |\n          {block.text.strip()}\n"
        for block in blocks_of(PAGE, "promql")
    ]
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n  - name: documentation\n    rules:\n" + "".join(rules))

    done = subprocess.run([tool("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
