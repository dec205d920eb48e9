"""Messages for tests of what is sent: a usual one, and one whose every name was chosen by an enemy."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.messages.message import Chart, Message, Section, Table
from fluence_costwatch.core.money import Usd

USUAL: Final = Message(
    severity=Severity.WARNING,
    subject="Budget team-a is at 83% ($41.50 of $50.00), forecast $61.20 on 31 March",
    thread="budget team-a",
    sections=(
        Section(
            "What changed",
            ("team-a passed 80% of its limit of $50.00 for March.", "2 machines were started on 12 March."),
        ),
        Section(
            "Biggest drivers",
            table=Table(
                ("Machine", "Account", "Per day", "Spent"),
                (
                    ("train-large-gpu-eu-west", "main", "$3.10", "$24.80"),
                    ("web-1", "main", "$0.90", "$9.00"),
                    ("staging_db", "lab", "$0.60", "$7.70"),
                ),
                right=(2, 3),
            ),
            left_out=37,
        ),
        Section("What happens next", ("The next charge is due at 2026-03-12 17:55 UTC: $4.60.",)),
    ),
    action="fluence-costwatch silence 3f9a --for 24h",
    link="https://costwatch.example.com/deletions/3f9a?token=abc_def",
    why="You get this because target ops takes warnings of every kind. Rule: budget team-a at 80%.",
    chart=Chart(
        "Spent by day",
        tuple(
            (date(2026, 2, 27) + timedelta(days=number), Usd(micros))
            for number, micros in enumerate(
                (1_200_000, 1_100_000, 0, 1_900_000, 2_500_000, 2_450_000, 2_600_000, 3_000_000, 2_900_000, 4_400_000)
            )
        ),
    ),
)

ATTACKS: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "two\r\nlines\nBcc: all@example.com",
    "@everyone @here @channel @ops",
    "<!here> <!channel|x> <@U123> <#C1>",
    "**bold** _it_ ~~gone~~ `code` ``` # head",
    "[click](https://evil.example/) <https://evil.example/>",
    "https://evil.example/ www.evil.example",
    "![pic](https://evil.example/p.png)",
    "&lt;b&gt; &amp; \\* | x | :skull:",
    '"quoted" \'and\' <a href="javascript:x">y</a>',
    '<at user_id="all">x</at> <users/all>',
    "{{ 7*7 }} {% raw %} %s {0}",
    "# not a heading",
    "- no item",
    "1. no item",
    "\ud800 half",
)


def usual(**facts: Any) -> Message:
    """A message as it is sent every day, with `facts` in place of its own."""
    return replace(USUAL, **facts)


def hostile(text: str) -> Message:
    """A message with `text` wherever a name may stand."""
    return Message(
        severity=Severity.CRITICAL,
        subject=f"{text} will be deleted",
        thread=text,
        sections=(Section(text, (text, f"{text} costs $1.00"), Table((text, text), ((text, text),), right=(1,))),),
        action=f"fluence-costwatch keep {text}",
        why=text,
        chart=Chart(text, ((date(2026, 3, 1), Usd(1)),)),
    )


def many(rows: int) -> Message:
    """A message with a table of so many rows."""
    table = Table(("Machine", "Spent"), tuple((f"machine-{number:04}", "$1.00") for number in range(rows)), right=(1,))
    return usual(sections=(Section("Drivers", ("They cost much.",), table), Section("Next", ("Nothing.",))))
