"""What the daemon writes: never a key, and never a line that a machine or a terminal could misread."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess
from tests.eventually import eventually
from tests.servers.marketplace import KEY, Marketplace

ECHO = json.dumps({"error": f"what is X-API-KEY: {KEY}, Authorization: Bearer {KEY}?"})
ECHOING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {"code": 403, "body": ECHO}),
    ("status", {"code": 500, "body": ECHO}),
    ("redirect", {"location": f"http://redirect.invalid/?key={KEY}"}),
    ("invalid_json", {"body": ECHO}),
)


@pytest.mark.parametrize(
    ("auth", "form"), [("x-api-key", "text"), pytest.param("bearer", "json", marks=pytest.mark.slow)]
)
def test_no_key_appears_anywhere_even_if_the_server_says_it(
    daemon: DaemonProcess, fluence_api: Marketplace, auth: str, form: str
) -> None:
    fluence_api.create("web")
    account = Account(fluence_api.url, more=f'auth = "{auth}"')
    daemon.configure(account, epoch="1h", more=f'[log]\nlevel = "debug"\nformat = "{form}"')
    daemon.start()
    eventually(lambda: daemon.outcomes() == ["ok"], within=PATIENCE_SECONDS)
    said = ""
    for fault, fields in ECHOING:
        fluence_api.misbehave(fault, **fields)
        eventually(lambda: "ok" not in daemon.outcomes(), within=PATIENCE_SECONDS)
        for command in ("check", "status"):
            done = daemon.cli(command)
            said += done.stdout + done.stderr
        said += daemon.get("/metrics").text + daemon.get("/-/ready").text
        fluence_api.behave()
        eventually(lambda: daemon.outcomes() == ["ok"], within=PATIENCE_SECONDS)
    said += daemon.log
    process = Path(f"/proc/{daemon.pid}")
    for seen in (process / "cmdline", process / "environ"):
        said += seen.read_bytes().decode(errors="replace")
    assert 0 == daemon.terminate()
    for file in (daemon.database, daemon.database.with_name("costwatch.db-wal")):
        said += file.read_bytes().decode(errors="replace") if file.exists() else ""

    assert "refused" in said
    assert [] == [line for line in said.splitlines() if KEY in line]


def test_every_line_of_the_json_log_is_one_object_whatever_the_names_are(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    _meet_hostile_names(daemon, fluence_api, form="json")

    lines = [json.loads(line) for line in daemon.log.splitlines()]

    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    assert {"info", "warning", "debug"} <= {line["level"] for line in lines}
    assert any("has the unknown status '\\x1b[31mnew\\nline'" in line["message"] for line in lines)
    assert any(line["message"].startswith("The price of machine ") for line in lines)


def test_every_line_of_the_text_log_begins_with_its_instant_and_can_act_on_no_terminal(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    _meet_hostile_names(daemon, fluence_api, form="text")

    for line in daemon.log.split("\n")[:-1]:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) ", line), line
        assert line.isprintable()


def _meet_hostile_names(daemon: DaemonProcess, market: Marketplace, *, form: str) -> None:
    for number in range(12):
        market.create(f"vm-{number}")
    market.misbehave("hostile_name")
    market.misbehave("price_text")
    market.misbehave("unknown_status", value="\x1b[31mnew\nline")
    daemon.configure(Account(market.url), epoch="1h", more=f'[log]\nlevel = "debug"\nformat = "{form}"')
    daemon.start()
    eventually(lambda: len(daemon.ledger()) == 12, within=PATIENCE_SECONDS)
    market.behave()
    market.misbehave("status", code=500, body='{"error":"line\\nbreak \\u001b[2J"}')
    eventually(lambda: daemon.outcomes() == ["unavailable"], within=PATIENCE_SECONDS)
    market.behave()
    eventually(lambda: "answers again" in daemon.log, within=PATIENCE_SECONDS)
    assert 0 == daemon.terminate()
