"""docs/metrics.md against what the daemon really serves."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from textwrap import indent
from urllib.request import urlopen

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fluence_costwatch.metrics.judged_families import deletion_families, idle_families
from tests.deletable import NOW, RULE, WEB, deletion, idle_clock, machine
from tests.docs.markdown import ROOT, blocks_of, rows_of, text_of
from tests.docs.session import session
from tests.docs.test_examples import PROGRAM
from tests.eventually import eventually
from tests.tools import tool

PAGE = "docs/metrics.md"
PREFIX = "fluence_costwatch_"
CONFIGURATION = """\
mkdir -p ~/.config/fluence-costwatch
install -m 600 /dev/stdin ~/.config/fluence-costwatch/api_key
echo json://127.0.0.1:9 | install -m 600 /dev/stdin ~/.config/fluence-costwatch/ops.url
cat > ~/.config/fluence-costwatch/config.toml <<'END'
[poll]
interval = "1s"

[[accounts]]
name = "main"
generation = "vms-v3"
api_key_file = "api_key"

[[targets]]
name = "ops"
url_file = "ops.url"
min_severity = "critical"

[[budgets]]
name = "all"
limit = "5000"
window = "month"

[[rules]]
name = "old"
when = [{signal = "age", above = "1h"}]
for = "1m"
min_age = "1m"
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


def labels_of(families: Iterable[Metric]) -> dict[str, frozenset[str]]:
    """By name, the labels of the families that have samples."""
    return {
        family.name: frozenset(label for sample in family.samples for label in sample.labels)
        for family in families
        if family.samples
    }


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


def test_the_labels_of_verdicts_and_deletions_are_those_that_are_documented() -> None:
    served = labels_of(
        [
            *idle_families([RULE], [machine()], {(WEB, RULE.name): idle_clock()}, patience=timedelta(hours=1), now=NOW),
            *deletion_families([deletion()], present={WEB}),
        ]
    )

    assert {PREFIX + "resource_idle", PREFIX + "deletion_due_timestamp_seconds"} <= served.keys()
    tables = documented()
    assert {name: tables[name][1] for name in served} == served


def test_what_is_configured_is_served_from_the_start(exposition: str) -> None:
    served = labels_of(text_string_to_metric_families(exposition))

    assert {"budget"} == served[PREFIX + "budget_forecast_usd"]
    assert {"target"} == served[PREFIX + "notification_failures"]


def test_the_states_of_deletions_are_those_that_are_served(exposition: str) -> None:
    row = next(row for row in rows_of(text_of(PAGE)) if row[0] == "`deletions`")

    assert set(re.findall(r'state="(\w+)"', exposition)) == set(re.findall(r"`(\w+)`", row[3]))


def test_the_alerting_rules_are_those_that_are_shipped_and_ask_for_metrics_that_there_are() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text("utf-8")
    shipped: dict[str, list[str]] = {}
    for name, severity in re.findall(r"- alert: (\w+)\n.*?severity: (\w+)\n", rules, re.DOTALL):
        shipped.setdefault(name, []).append(severity)

    tables = {row[0].strip("`"): row[1].split(", ") for row in rows_of(text_of(PAGE)) if len(row) == 3}

    assert shipped == {name: severities for name, severities in tables.items() if name.startswith("FluenceCostwatch")}
    assert set() == set(re.findall(rf"{PREFIX}\w+", rules)) - set(documented())


def test_the_reasons_of_failed_polls_are_those_that_are_served(exposition: str) -> None:
    row = next(row for row in rows_of(text_of(PAGE)) if row[0] == "`poll_failures_total`")

    assert set(re.findall(r'reason="(\w+)"', exposition)) == set(re.findall(r"`(\w+)`", row[3]))


def test_the_queries_ask_for_metrics_that_there_are() -> None:
    asked = {name for block in blocks_of(PAGE, "promql") for name in re.findall(rf"{PREFIX}\w+", block.text)}

    assert asked
    assert set() == asked - set(documented())


def test_promtool_accepts_the_queries(tmp_path: Path) -> None:
    rules = [
        f"      - record: documented:query:{block.number}\n        expr: |\n{indent(block.text, ' ' * 10)}"
        for block in blocks_of(PAGE, "promql")
    ]
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n  - name: documentation\n    rules:\n" + "".join(rules))

    done = subprocess.run([tool("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
