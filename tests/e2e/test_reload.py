"""SIGHUP: a valid configuration is taken whole, an invalid one changes nothing."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import certifi

from fluence_costwatch.config import load
from fluence_costwatch.daemon import Daemon
from fluence_costwatch.simulator import AccountOptions
from fluence_costwatch.store import open_store
from tests.daemon_process import OTHER_KEY, PATIENCE_SECONDS, Account, DaemonProcess
from tests.deletable import NOW
from tests.deletable import deletion as due_deletion
from tests.eventually import eventually
from tests.servers.marketplace import KEY, Marketplace, marketplace


def asked_for(market: Marketplace, account: str) -> int:
    """How often the account's list was asked for."""
    return len([one for one in market.requests() if one.account == account])


def reloaded(daemon: DaemonProcess, *, times: int = 1) -> bool:
    return daemon.log.count("configuration reloaded") >= times


def refused(daemon: DaemonProcess) -> bool:
    return daemon.metric("config_last_reload_success") == 0


def vetoed_from(origin: str, daemon: DaemonProcess) -> int:
    """The status of the answer to a button on a page of that origin."""
    connection = HTTPConnection(daemon.address, timeout=PATIENCE_SECONDS)
    with closing(connection):
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
        connection.request("POST", "/deletions/d1", body="token=none", headers=headers)
        return connection.getresponse().status


def test_a_new_interval_and_a_new_account_are_taken(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    vm = fluence_api.create("web", account="other")
    daemon.configure(Account(fluence_api.url), interval="20m", epoch="1h")
    daemon.start()
    eventually(lambda: asked_for(fluence_api, "main") == 1, within=PATIENCE_SECONDS)

    daemon.configure(Account(fluence_api.url), Account(fluence_api.url, name="other", key=OTHER_KEY), epoch="1h")
    daemon.hup()

    eventually(lambda: asked_for(fluence_api, "main") > 3, within=PATIENCE_SECONDS)
    eventually(lambda: daemon.presence(vm) == "present", within=PATIENCE_SECONDS)
    eventually(lambda: daemon.metric("up", account="other") == 1, within=PATIENCE_SECONDS)
    assert 1 == daemon.metric("config_last_reload_success")


def test_an_invalid_configuration_changes_nothing_and_every_problem_is_logged(
    daemon: DaemonProcess, fluence_api: Marketplace
) -> None:
    account = Account(fluence_api.url)
    daemon.configure(account, epoch="1h")
    daemon.start()
    eventually(lambda: asked_for(fluence_api, "main") > 0, within=PATIENCE_SECONDS)

    daemon.configure(account, interval="often", more='[log]\nlevel = "loud"')
    daemon.hup()

    eventually(lambda: refused(daemon), within=PATIENCE_SECONDS)
    for problem in ("poll.interval: ", "log.level: "):
        assert problem in daemon.log
    before = asked_for(fluence_api, "main")
    eventually(lambda: asked_for(fluence_api, "main") > before + 2, within=PATIENCE_SECONDS)

    daemon.configure(account, epoch="1h")
    daemon.hup()

    eventually(lambda: daemon.metric("config_last_reload_success") == 1, within=PATIENCE_SECONDS)


def test_a_removed_account_is_retired(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    kept, dropped = fluence_api.create("kept"), fluence_api.create("dropped", account="other")
    accounts = Account(fluence_api.url), Account(fluence_api.url, name="other", key=OTHER_KEY)
    daemon.configure(*accounts, epoch="1h")
    daemon.start()
    eventually(lambda: daemon.presence(dropped) == "present", within=PATIENCE_SECONDS)
    eventually(lambda: daemon.metric("up", account="other") == 1, within=PATIENCE_SECONDS)

    daemon.configure(accounts[0], epoch="1h")
    daemon.hup()

    eventually(lambda: daemon.presence(dropped) == "gone", within=PATIENCE_SECONDS)
    eventually(lambda: reloaded(daemon), within=PATIENCE_SECONDS)
    asked = asked_for(fluence_api, "other"), asked_for(fluence_api, "main")
    eventually(lambda: asked_for(fluence_api, "main") > asked[1] + 2, within=PATIENCE_SECONDS)
    assert asked[0] == asked_for(fluence_api, "other")
    assert "no longer configured, so no longer charged account=other" in daemon.log
    assert ("present", None) == (daemon.presence(kept), daemon.metric("up", account="other"))


def test_a_look_that_still_hangs_when_its_account_is_removed_brings_nothing_back(daemon: DaemonProcess) -> None:
    accounts = (AccountOptions("main", (KEY,)), AccountOptions("other", (OTHER_KEY,)))
    with marketplace(accounts=accounts) as market, marketplace(accounts=accounts) as others:
        vm = others.create("dropped", account="other")
        both = Account(market.url), Account(others.url, name="other", key=OTHER_KEY)
        daemon.configure(*both, epoch="1h")
        daemon.start()
        eventually(lambda: daemon.presence(vm) == "present", within=PATIENCE_SECONDS)
        others.misbehave("latency", seconds=3)
        before = asked_for(others, "other")
        eventually(lambda: asked_for(others, "other") > before, within=PATIENCE_SECONDS)

        daemon.configure(both[0], epoch="1h")
        daemon.hup()

        eventually(lambda: reloaded(daemon), within=PATIENCE_SECONDS)
        before = asked_for(market, "main")
        eventually(lambda: asked_for(market, "main") > before + 5, within=PATIENCE_SECONDS)
        assert "gone" == daemon.presence(vm)


def test_a_step_that_ends_after_its_account_was_removed_wakes_for_no_deletion(
    tmp_path: Path, fluence_api: Marketplace
) -> None:
    process = DaemonProcess(tmp_path)
    process.configure(Account(fluence_api.url))
    settings = load(str(process.config), environ={})
    with open_store(settings.database.path, now=NOW) as store:
        with store.transaction() as tx:
            assert tx.save_deletion(due_deletion(), was=None)
        daemon = Daemon(settings, store=store, reload=lambda: settings, environ={}, clock=lambda: NOW)
        (watcher,) = daemon._watchers_of(settings)

        daemon._await_deletions(watcher)
        assert ["delete main"] == [job.id for job in daemon._scheduler.get_jobs()]
        daemon._put_off("delete main")

        watcher.close()
        daemon._delete(watcher)
        assert [] == daemon._scheduler.get_jobs()


def test_what_the_log_shows_can_be_changed(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()
    before = len(daemon.log)

    daemon.configure(Account(fluence_api.url), epoch="1h", more='[log]\nlevel = "debug"\nformat = "json"')
    daemon.hup()

    eventually(lambda: "cycle ended" in daemon.log, within=PATIENCE_SECONDS)
    last = [line for line in daemon.log[before:].splitlines() if "cycle ended" in line][-1]
    assert "debug" == json.loads(last)["level"]


def test_the_token_can_be_changed_but_not_the_address(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()
    token = daemon.folder / "token"
    token.write_text("s3cret\n")
    token.chmod(0o600)

    daemon.configure(Account(fluence_api.url), epoch="1h", listen='127.0.0.1:0"\ntoken_file = "./token')
    daemon.hup()

    eventually(lambda: reloaded(daemon), within=PATIENCE_SECONDS)
    assert 401 == daemon.get("/metrics").status
    assert 200 == daemon.get("/metrics", Authorization="Bearer s3cret").status
    assert "only read at the start" not in daemon.log

    daemon.configure(Account(fluence_api.url), epoch="1h", listen="127.0.0.1:1")
    daemon.hup()

    eventually(lambda: reloaded(daemon, times=2), within=PATIENCE_SECONDS)
    assert "only read at the start" in daemon.log
    assert 401 == daemon.get("/metrics").status


def test_the_veto_page_can_get_another_public_address(daemon: DaemonProcess, fluence_api: Marketplace) -> None:
    def statuses() -> list[int]:
        """What is said to buttons of the page as it is seen under each address: 404, as there is no such deletion."""
        return [vetoed_from(f"https://{name}.example.com", daemon) for name in ("old", "new")]

    def configure(name: str) -> None:
        listen = f'127.0.0.1:0"\npublic_url = "https://{name}.example.com/costwatch'
        daemon.configure(Account(fluence_api.url), epoch="1h", listen=listen)

    configure("old")
    daemon.start()
    assert [404, 403] == statuses()

    configure("new")
    daemon.hup()

    eventually(lambda: reloaded(daemon), within=PATIENCE_SECONDS)
    assert [403, 404] == statuses()


def test_what_cannot_be_set_up_leaves_the_former_watch_running(
    daemon: DaemonProcess, fluence_api: Marketplace, tmp_path: Path
) -> None:
    certificates = tmp_path / "certificates.pem"
    shutil.copy(certifi.where(), certificates)
    daemon.environ = {"SSL_CERT_FILE": str(certificates)}
    daemon.configure(Account(fluence_api.url), epoch="1h")
    daemon.start()

    certificates.unlink()
    daemon.hup()

    eventually(lambda: refused(daemon), within=PATIENCE_SECONDS)
    before = asked_for(fluence_api, "main")
    eventually(lambda: asked_for(fluence_api, "main") > before + 2, within=PATIENCE_SECONDS)
