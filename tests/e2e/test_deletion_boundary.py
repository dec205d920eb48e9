"""A real daemon that may delete, in real time: with the second key an idle machine goes just before its charge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess
from tests.eventually import eventually
from tests.servers.marketplace import Asked, Marketplace, marketplace
from tests.servers.webhook import Webhook, webhook

EPOCH = timedelta(seconds=30)
MARGIN = timedelta(seconds=10)
SECOND = timedelta(seconds=1)
RULES = """\
[[targets]]
name = "ops"
url_file = "ops.url"
min_severity = "info"
[[rules]]
name = "trials"
select = {name = "idle"}
when = [{signal = "age", above = "1s"}]
for = "4s"
min_age = "1s"
action = "delete"
[deletion]
mode = "execute"
margin = "10s"
min_notice = "4s"
"""


def calls(market: Marketplace) -> list[Asked]:
    """All that was asked of the marketplace that ends something."""
    return [one for one in market.requests() if one.method == "DELETE"]


def deletions(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """All deletions, as the command tells them. A machine that is slow to look may have doubted one and begun anew."""
    return list(daemon.json("deletions")["deletions"])


def configure(daemon: DaemonProcess, market: Marketplace, hook: Webhook) -> None:
    daemon.configure(Account(market.url), interval="2s", epoch="30s", more=RULES)
    target = daemon.folder / "ops.url"
    target.write_text(f"json://{hook.address}")
    target.chmod(0o600)


@pytest.mark.slow
def test_an_idle_machine_goes_just_before_its_charge_with_both_keys_only(daemon: DaemonProcess) -> None:
    with marketplace(epoch=EPOCH, policy="per_vm", delete_body="vmIds") as market, webhook() as hook:
        vm = market.create("idle", price="0.3")
        for number in range(4):
            market.create(f"work{number}", price="0.3")
        configure(daemon, market, hook)

        # Without the second key its boundary passes, and the audit trail says why.
        daemon.start()
        eventually(lambda: len(market.books().of(vm)) == 2, within=PATIENCE_SECONDS)
        assert [] == calls(market)
        assert any("will be deleted" in posted.json["title"] for posted in hook.requests)
        eventually(lambda: "without --allow-delete" in str(deletions(daemon)), within=PATIENCE_SECONDS)
        daemon.terminate()

        daemon.options = ("--allow-delete",)
        daemon.start()
        (call,) = eventually(lambda: calls(market), within=PATIENCE_SECONDS)
        eventually(lambda: "verified" in {one["state"] for one in deletions(daemon)}, within=PATIENCE_SECONDS)
        paid = market.books().of(vm)
        end = paid[-1].epoch_end
        assert end - MARGIN <= call.at < end

        eventually(lambda: datetime.now(UTC) > end + SECOND, within=PATIENCE_SECONDS)
        assert paid == market.books().of(vm)
        assert [call] == calls(market)
