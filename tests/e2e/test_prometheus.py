"""A real Prometheus scrapes the daemon with the configuration that is shipped, and can be asked for its figures."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess
from tests.eventually import eventually
from tests.servers.marketplace import Marketplace
from tests.tools import tool

SCRAPE = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "scrape.yml"
_LISTENS = re.compile(r"address=(127\.0\.0\.1:[1-9][0-9]*)")


class Prometheus:
    """A server that runs; `ask` is its query API."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @property
    def address(self) -> str:
        return str(_LISTENS.findall(self._log.read_text())[0])

    def ask(self, query: str) -> dict[str, float]:
        """The present values of a query, by the id of the resource or else the name of the account."""
        url = f"http://{self.address}/api/v1/query?{urlencode({'query': query})}"
        with urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            results = json.load(answer)["data"]["result"]
        return {
            one["metric"].get("resource_id") or one["metric"].get("account", ""): float(one["value"][1])
            for one in results
        }


@contextmanager
def prometheus(folder: Path, *, target: str) -> Iterator[Prometheus]:
    """Prometheus with the shipped scrape configuration, but for the address and for a shorter interval."""
    folder.mkdir()
    text, targets = re.subn(r"127\.0\.0\.1:17550", target, SCRAPE.read_text("utf-8"))
    text, intervals = re.subn(r"scrape_interval: 1m", "scrape_interval: 1s", text)
    assert (1, 1) == (targets, intervals)
    config, log = folder / "prometheus.yml", folder / "log"
    config.write_text(text, "utf-8")
    command = [
        tool("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=folder) as process:
        try:
            server = Prometheus(log)
            eventually(lambda: server.address, within=PATIENCE_SECONDS)
            yield server
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def test_prometheus_scrapes_what_the_ledger_holds(
    daemon: DaemonProcess, fluence_api: Marketplace, tmp_path: Path
) -> None:
    web, db = fluence_api.create("web").lower(), fluence_api.create("db", "1.25").lower()
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()
    with prometheus(tmp_path / "prometheus", target=daemon.address) as server:
        eventually(lambda: server.ask("fluence_costwatch_charged_usd") == {"main": 1.54816}, within=PATIENCE_SECONDS)

        assert {web: 0.29816, db: 1.25} == server.ask("fluence_costwatch_resource_charged_usd")
        assert {"main": 1} == server.ask("fluence_costwatch_up")
        assert {web: 1} == server.ask('fluence_costwatch_resource_info{name="web"}')

        fluence_api.delete(web)
        eventually(lambda: server.ask("fluence_costwatch_resource_charged_usd").keys() == {db}, within=PATIENCE_SECONDS)
        assert {"main": 1.54816} == server.ask("fluence_costwatch_charged_usd")


def test_promtool_finds_nothing_to_say_about_the_live_exposition(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    fluence_api.create("web")
    fluence_api.misbehave("hostile_name", name='a "quoted"\n\\name\x1b[31m')
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()
    eventually(lambda: daemon.metric("charged_usd", account="main"), within=PATIENCE_SECONDS)

    done = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=daemon.get("/metrics").text,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
