"""The alerting rules that are shipped for Prometheus, by Prometheus' own tool for testing rules."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.tools import tool

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES = (FOLDER / "alerts.yml").read_text("utf-8")
CASES = (FOLDER / "alerts_test.yml").read_text("utf-8")


def shipped() -> list[tuple[str, str, str]]:
    """Name, severity and summary of each rule."""
    return re.findall(
        r"- alert: (\S+)\n.*?^ {10}severity: (\S+)\n.*?^ {10}summary: ([^\n]+)\n", RULES, re.DOTALL | re.MULTILINE
    )


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(
            [tool("promtool"), *command], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_is_seen_to_fire() -> None:
    expected = re.findall(
        r"alertname: (\w+)(?:, |\n +)eval_time: \w+(?:, |\n +)exp_alerts:( \[\]|(?:\n {10,}[^\n]+)+)", CASES
    )
    fired = {(name, severity) for name, alerts in expected for severity in re.findall(r"severity: (\w+)", alerts)}

    assert {(name, severity) for name, severity, _ in shipped()} == fired
    assert len(re.findall(r"alertname:", CASES)) == len(expected)


def test_each_rule_has_a_name_a_severity_and_a_sentence_that_does_not_change() -> None:
    assert len(re.findall(r"- alert:", RULES)) == len(shipped()) > 0
    for name, severity, summary in shipped():
        assert re.fullmatch(r"FluenceCostwatch([A-Z][a-z]+)+", name)
        assert severity in ("info", "warning", "critical")
        assert re.fullmatch(r"[A-Z][^{}]+\.", summary)
