"""A thousand findings in one cycle, and a delivery that hangs: one readable message, and the looks go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.idle.rules import Condition, Rule, Signal
from fluence_costwatch.core.messages.outbox import Delivery, Route
from fluence_costwatch.core.resources import Generation
from fluence_costwatch.notify.apprise_targets import AppriseNotifier
from tests.daemon_process import PATIENCE_SECONDS, Account, DaemonProcess
from tests.eventually import eventually
from tests.rig import a_policy, rig
from tests.servers.marketplace import Marketplace, marketplace
from tests.servers.smtp import mail_server
from tests.servers.webhook import Webhook, webhook

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FINDINGS = 1000
MINUTE = timedelta(minutes=1)
TOKEN = "3ccdd113474722377935511fc85d3dd4"
OLD = Rule("old", (Condition(Signal.AGE, above=MINUTE),), MINUTE, timedelta(0))
NAMES = ("plain-{}", "<!channel>-{}", "**bold**-{}", "<b>html</b>-{}", "very-long-" + 60 * "x" + "-{}")

# By target: how many characters its channel takes.
LIMITS = {"hook": 32_768, "chat": 4000, "slack": 3000, "discord": 2000, "mail": 1_000_000}


@pytest.fixture(name="hooks")
def _hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Webhook]]:
    """A web hook for each target; Slack's and Discord's plugins lead to theirs."""
    from apprise.plugins.discord import NotifyDiscord
    from apprise.plugins.slack import NotifySlack

    with ExitStack() as servers:
        hooks = {target: servers.enter_context(webhook()) for target in ("hook", "chat", "slack", "discord")}
        monkeypatch.setattr(NotifySlack, "webhook_url", f"{hooks['slack'].url}/services")
        monkeypatch.setattr(NotifyDiscord, "notify_url", f"{hooks['discord'].url}/api/webhooks")
        yield hooks


def texts_of(hooks: dict[str, Webhook]) -> dict[str, str]:
    """What arrived as text at each target, once."""
    bodies = {target: hook.requests[0].json for target, hook in hooks.items()}
    assert dict.fromkeys(hooks, 1) == {target: len(hook.requests) for target, hook in hooks.items()}
    discord = bodies["discord"]
    return {
        "hook": bodies["hook"]["message"],
        "chat": bodies["chat"]["text"],
        "slack": bodies["slack"]["attachments"][0]["text"],
        "discord": discord.get("content") or discord["embeds"][0]["description"],
    }


def test_a_thousand_findings_in_one_cycle_make_one_readable_message_for_each_target(
    tmp_path: Path, hooks: dict[str, Webhook]
) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.VMS_V3) as watch, mail_server() as server:
        for number in range(FINDINGS):
            watch.market.create(NAMES[number % len(NAMES)].format(number))
        watch.policy = a_policy(
            watch.watching, rules=(OLD,), routes=tuple(Route(target, Severity.WARNING) for target in LIMITS)
        )
        notifier = AppriseNotifier(
            {
                "hook": f"json://{hooks['hook'].address}/",
                "chat": f"mmost://{hooks['chat'].address}/{TOKEN}",
                "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7",
                "discord": "discord://4711/abcdefghijklmnopqrst",
                "mail": server.url(),
            },
            clock=lambda: watch.now,
        )
        watch.notifier = notifier  # type: ignore[assignment]  # it does what the rig asks of a notifier
        watch.polls(4 * MINUTE, every=MINUTE)
        watch.deliver()

        assert FINDINGS == len([one for one in watch.alerts().values() if one.kind == "idle" and one.told_at])
        with watch.store.reading() as known:
            assert len(LIMITS) * [Delivery.SENT] == [row.state for row in known.outbox()]
        mail = server.mails[0]
        assert 1 == len(server.mails)
        plain, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
        assert plain is not None
        assert page is not None
        read = texts_of(hooks) | {"mail": plain.get_content()}
        for target, text in read.items():
            assert len(text.encode()) <= LIMITS[target], target
            assert re.search(r"1000 alerts\\?: 1000 idle", text), target
            assert str(FINDINGS - text.count("; it began; ")) in re.findall(r"(?m)^… and (\d+) more", text), target
            assert "fluence-costwatch alerts" in text, target
            assert text.count("has been idle since") in range(3, 13), target
        assert f"and {FINDINGS - 1} more" in mail["Subject"]
        assert f"and {FINDINGS - 1} more" in hooks["hook"].requests[0].json["title"]
        assert len(page.get_content()) < 100_000


def lists_asked_for(market: Marketplace) -> int:
    return len([one for one in market.requests() if one.method == "GET"])


def test_a_target_that_hangs_delays_neither_the_looks_nor_other_targets(daemon: DaemonProcess) -> None:
    with marketplace(epoch=timedelta(hours=1)) as market, webhook() as hung, webhook() as works:
        hung.mode = "hang"
        for number in range(20):
            market.create(f"web-{number}")
        targets = "".join(
            f'[[targets]]\nname = "{name}"\nurl = "json://{hook.address}/?rto=600"\n'
            for name, hook in (("hung", hung), ("works", works))
        )
        rules = '[[rules]]\nname = "old"\nwhen = [{signal = "age", above = "1s"}]\nfor = "2s"\nmin_age = "1s"\n'
        daemon.configure(Account(market.url), epoch="1h", more=targets + rules)
        daemon.config.chmod(0o600)
        daemon.start()

        eventually(lambda: hung.requests and works.requests, within=PATIENCE_SECONDS)
        looks = lists_asked_for(market)
        eventually(lambda: lists_asked_for(market) >= looks + 5, within=15)

        assert 1 == len(hung.requests) == len(works.requests)
        assert "and 19 more" in works.requests[0].json["title"]
        assert "skipped" not in daemon.log
        hung.released.set()
