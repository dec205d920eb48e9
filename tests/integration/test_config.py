"""The configuration file: what it says is what the settings hold, and every mistake is named, all at once."""

from __future__ import annotations

import copy
import json
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import FrozenInstanceError, asdict, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fluence_costwatch.config import (
    AlertSettings,
    EpochSettings,
    NotifySettings,
    PollSettings,
    Secret,
    Settings,
    SignalSettings,
    TargetSettings,
    format_duration,
    load,
    parse_duration,
)
from fluence_costwatch.config.tables import CONDITIONS, LISTS, SECTIONS, ProtectTable, SelectTable, Table
from fluence_costwatch.core.alerts.findings import Severity
from fluence_costwatch.core.budgets.budget import Budget, Window
from fluence_costwatch.core.deletion.deletions import DeletionPolicy, IfMissed, Mode, Protection
from fluence_costwatch.core.idle.rules import Action, Condition, Match, Rule, Signal
from fluence_costwatch.core.messages.outbox import DigestEvery, QuietHours, Route
from fluence_costwatch.core.money import Usd
from fluence_costwatch.core.selectors import Selector
from fluence_costwatch.errors import ConfigInvalid

CONFIGS: Final = Path(__file__).parents[1] / "configs"
EXAMPLE: Final = Path(__file__).parents[2] / "config.example.toml"
MISTAKES: Final = tuple(sorted(path.stem for path in CONFIGS.glob("*.toml") if path.stem != "good"))
SECRET: Final = "hunter2"
TARGET: Final = '[[targets]]\nname = "team"\nurl_env = "TEAM_URL"\n'
ACCOUNT: Final = '[[accounts]]\nname = "main"\ngeneration = "vms-v2"\napi_key_file = "main.key"\n'


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the key files that the configurations of `tests/configs` name."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, content in (
        ("main.key", b"main-key\n"),
        ("other.key", b"other-key\n"),
        ("server.token", b"server-token"),
        ("empty.key", b"\n"),
        ("two-lines.key", b"hunter2\nhunter2\n"),
        ("umlaut.key", "hunter2ü\n".encode()),
        ("json.url", b"json://hunter2@target.example/path\n"),
        ("dead-man.url", b"https://ping.example/hunter2?a=b\n"),
        ("huge.key", b"hunter2" * 20_000),
    ):
        private(folder / name, content)
    (folder / "folder.key").mkdir()
    (folder / "loop.key").symlink_to("loop.key")
    return folder


def private(path: Path, content: bytes) -> Path:
    """The file at `path`, with this content, closed to everybody else."""
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def read(folder: Path, text: str, *, mode: int = 0o644, **environ: str) -> Settings:
    """The settings that `text` amounts to as `config.toml` in `folder`."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    usual = {"HOME": str(folder), "SECOND_KEY": "second-key", "THIRD_KEY": "third-key", "EMPTY_KEY": ""}
    usual["TEAM_URL"] = f"slack://{SECRET}@team"
    return load(str(path), environ={**usual, **environ})


def problems_of(folder: Path, text: str, *, mode: int = 0o644, **environ: str) -> tuple[str, ...]:
    """The problems for which `text` is refused."""
    with pytest.raises(ConfigInvalid) as caught:
        read(folder, text, mode=mode, **environ)
    return caught.value.problems


def test_every_key_of_a_good_file_arrives(shelf: Path) -> None:
    good = read(shelf, (CONFIGS / "good.toml").read_text())

    assert shelf / "config.toml" == good.path
    assert PollSettings(timedelta(seconds=90), 3, timedelta(hours=1)) == good.poll
    assert EpochSettings(time(6, 30, 15), timedelta(hours=12)) == good.epoch
    assert (shelf / "ledger" / "costwatch.db", timedelta(days=364)) == (good.database.path, good.database.retention)
    assert ("::", 9000, True) == (good.server.host, good.server.port, good.server.metrics_without_token)
    assert Secret("server-token") == good.server.token
    assert ("json", "debug") == (good.log.format, good.log.level)
    assert ZoneInfo("Europe/Berlin") == good.display.zone
    assert "https://watch.example/costs" == good.server.public_url
    assert (
        AlertSettings(
            stale_after=timedelta(minutes=20),
            drift_tolerance=Decimal("0.025"),
            repeat=timedelta(hours=12),
            runway=timedelta(days=5),
            new_vm_above=Usd(7_500_000),
        )
        == good.alerts
    )
    assert () == good.remarks

    first, second, third = good.accounts
    assert ("main", ("vms-v3", "vms-v2"), "bearer") == (first.name, first.generations, first.auth)
    assert ("https://fluence.example/base", Secret("main-key")) == (first.api_url, first.api_key)
    assert (Secret("other-key"), "vmIds") == (first.delete_api_key, first.delete_body)
    assert EpochSettings(time(6, 30, 15), timedelta(minutes=10)) == first.epoch
    assert datetime(2026, 3, 1, 17, 55, tzinfo=UTC) == first.charge_from
    assert ("second.account-2_b", ("vms-v2",), "x-api-key") == (second.name, second.generations, second.auth)
    assert ("http://127.0.0.1:18080", Secret("second-key")) == (second.api_url, second.api_key)
    assert (good.epoch, None) == (second.epoch, second.charge_from)
    assert (None, "vmId") == (second.delete_api_key, second.delete_body)
    assert ("third", ("cloud-v2", "gpu")) == (third.name, third.generations)


def test_every_key_about_telling_arrives(shelf: Path) -> None:
    good = read(shelf, (CONFIGS / "good.toml").read_text())

    team = Route("team", Severity.INFO, ("budget", "deletion"), ("main", "third"), DigestEvery.WEEKLY)
    assert (
        TargetSettings("team", Secret(f"slack://{SECRET}@team"), team),
        TargetSettings("mail", Secret(f"json://{SECRET}@target.example/path"), Route("mail")),
    ) == good.targets
    berlin = ZoneInfo("Europe/Berlin")
    assert (
        NotifySettings(
            quiet=QuietHours(time(22), time(7), berlin),
            dead_man_url=Secret(f"https://ping.example/{SECRET}?a=b"),
            alertmanager_url="http://127.0.0.1:9093",
            zone=berlin,
        )
        == good.notify
    )
    assert (
        Budget(
            name="web",
            limit=Usd(12_345_678),
            window=Window.WEEK,
            zone=ZoneInfo("Asia/Tokyo"),
            select=Selector(("main",), ("vm", "storage"), ("web-*", "[ab]?"), ("0xabc",), ("DE",)),
            thresholds=(Decimal("0.3"), Decimal("0.9"), Decimal(1)),
            forecast_thresholds=(Decimal("1.1"),),
            delete_at=Decimal("1.25"),
        ),
    ) == good.budgets


def test_every_key_about_idleness_and_deletion_arrives(shelf: Path) -> None:
    good = read(shelf, (CONFIGS / "good.toml").read_text())

    conditions = (
        Condition(Signal.CPU, below=Decimal("0.03")),
        Condition(Signal.NETWORK, below=Decimal(2048)),
        Condition(Signal.PROMQL, query="rate(x[5m])", below=Decimal("-0.5"), match=Match.NAME, label="vm"),
        Condition(Signal.HEARTBEAT, silent=timedelta(hours=6)),
        Condition(Signal.AGE, above=timedelta(hours=72)),
        Condition(Signal.LEASE),
        Condition(Signal.STATE, statuses=("SmallBalance", "Failed")),
    )
    idle = Rule("idle", conditions, timedelta(minutes=3), timedelta(hours=1), Action.DELETE, Selector(names=("ci-*",)))
    assert (idle,) == good.rules
    assert (
        SignalSettings(
            prometheus_url="http://prometheus:9090",
            node_exporter_url="http://{name}.internal:9100/metrics",
            timeout=timedelta(seconds=2),
            overrides={"0xabc": "http://10.0.0.7:9100/metrics", "Web-1": "https://web.example/metrics"},
        )
        == good.signals
    )
    assert (
        DeletionPolicy(
            mode=Mode.EXECUTE,
            armed=False,
            margin=timedelta(minutes=4),
            min_notice=timedelta(hours=3),
            grace=timedelta(days=2),
            if_missed=IfMissed.NOW,
            max_per_day=0,
            max_fleet_share=Decimal("0.05"),
            allowed_from=time(20, 30),
            allowed_until=time(6),
            zone=ZoneInfo("Europe/Berlin"),
            veto_for=timedelta(days=3),
            verify_within=timedelta(hours=2),
            reclaim=True,
            release_public_ips=True,
            protect=Protection(("db-*", "[[]x]"), ("0xdef",)),
        )
        == good.deletion
    )


def test_without_the_sections_their_defaults_hold(shelf: Path) -> None:
    minimal = read(shelf, ACCOUNT)

    assert ((), (), ()) == (minimal.targets, minimal.budgets, minimal.rules)
    assert (NotifySettings(zone=ZoneInfo("UTC")), SignalSettings()) == (minimal.notify, minimal.signals)
    assert DeletionPolicy(zone=ZoneInfo("UTC")) == minimal.deletion


def test_settings_are_frozen(shelf: Path) -> None:
    minimal = read(shelf, ACCOUNT)

    with pytest.raises(FrozenInstanceError):
        minimal.poll.confirm_absence = 1  # type: ignore[misc]  # the assignment is what must fail


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_path_and_without_a_secret(shelf: Path, mistake: str) -> None:
    text = (CONFIGS / f"{mistake}.toml").read_text()
    expected = text.splitlines()[0].removeprefix("# expect: ")

    problems = problems_of(shelf, text)

    assert 1 == len(problems), problems
    assert expected in problems[0]
    assert SECRET not in problems[0]
    assert problems[0].isprintable()


def test_all_problems_of_a_file_are_reported_at_once(shelf: Path) -> None:
    problems = problems_of(
        shelf,
        f"""
        confirm_absence = 2
        alert = 1
        [poll]
        interval = "20h"
        confirm_absence = 0
        confirm_suspicious = 30
        [epoch]
        anchor = "25:00"
        lengths = "24h"
        [database]
        url = "postgresql://watch:{SECRET}@db/watch"
        retention = "0d"
        [server]
        listen = "0.0.0.0:0"
        public_url = "https://{SECRET}@watch.example"
        [log]
        format = "xml"
        level = 3
        [display]
        zone = "Mars"
        [alerts]
        stale_after = true
        drift_tolerance = -1
        repeat = 1
        [[targets]]
        name = "a b"
        url = "{SECRET}"
        accounts = ["nobody"]
        [[targets]]
        name = "team"
        url_file = "{SECRET}"
        kinds = ["budgets"]
        [notify]
        quiet_hours = "25:00-07:00"
        dead_man_url_file = "https://{SECRET}"
        [[budgets]]
        name = "all"
        limit = "0"
        select = {{kind = "disk", nam = 1}}
        thresholds = [0]
        [[rules]]
        name = "idle"
        for = "soon"
        when = [{{signal = "cpu", below = 2}}, {{signal = "promql"}}, {{signal = "x"}}]
        select = {{account = "nobody"}}
        [signals]
        prometheus_url = "ftp://x"
        overrides = {{a = "{SECRET}"}}
        [deletion]
        mode = "observed"
        margin = -1
        protect = {{names = ["["], ids = ["*"]}}
        [[accounts]]
        name = "a b"
        generation = "automatic"
        api_key = "{SECRET}"
        auth = "{SECRET}"
        [[accounts]]
        generation = 2
        api_key_env = "{SECRET}"
        api_key_file = "{SECRET}"
        epoch = {{anchor = 1, lenght = 2}}
        [[accounts]]
        name = "a b"
        generation = "vms-v3"
        api_url = "https://{SECRET}@x"
        api_key_file = "{SECRET}"
        charge_from = "soon"
        """,
    )

    expected = (
        *("confirm_absence", "alert", "poll.interval", "poll.confirm_absence", "poll.confirm_suspicious"),
        *(
            "epoch.anchor",
            "epoch.lengths",
            "database.url",
            "database.retention",
            "server.public_url",
            "server.token_file",
        ),
        *("log.format", "log.level", "display.zone", "alerts.stale_after", "alerts.drift_tolerance"),
        *("alerts.repeat", "targets[0].name", "targets[0].url", "targets[1].url_file", "targets[1].kinds"),
        *("notify.quiet_hours", "notify.dead_man_url_file", "budgets[0].limit", "budgets[0].thresholds"),
        *("budgets[0].select.kind", "budgets[0].select.nam", "rules[0].for", "rules[0].select.account"),
        *("rules[0].when[0].below", "rules[0].when[1].query", "rules[0].when[1].below", "rules[0].when[2].signal"),
        *("signals.prometheus_url", "signals.overrides", "deletion.mode", "deletion.margin"),
        *("deletion.protect.names", "deletion.protect.ids"),
        *("accounts[0].name", "accounts[0].generation", "accounts[0].api_key", "accounts[0].auth"),
        *(
            "accounts[1]",
            "accounts[1].name",
            "accounts[1].generation",
            "accounts[1].epoch.anchor",
            "accounts[1].epoch.lenght",
        ),
        *(
            "accounts[2].name",
            "accounts[2].name",
            "accounts[2].api_url",
            "accounts[2].api_key_file",
            "accounts[2].charge_from",
        ),
    )
    assert sorted(expected) == sorted(problem.partition(": ")[0] for problem in problems)
    assert SECRET not in "\n".join(problems)


def test_the_error_text_names_the_file_and_each_problem_on_a_line_of_its_own(shelf: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read(shelf, '[log]\nlevel = "loud"\nformat = "xml"\n' + ACCOUNT)

    lines = str(caught.value).splitlines()
    assert 3 == len(lines)
    assert str(shelf / "config.toml") in lines[0]
    # Nothing hangs on the error that a traceback would print with what the file said.
    assert caught.value.__context__ is None


class TestExample:
    """`config.example.toml` is the reference of every setting."""

    def test_it_loads_as_it_is(self, tmp_path: Path) -> None:
        private(tmp_path / "api_key", b"a-key\n")

        loaded = read(tmp_path, EXAMPLE.read_text())

        assert [("main", ("auto",))] == [(account.name, account.generations) for account in loaded.accounts]
        assert () == loaded.remarks

    def test_what_it_shows_commented_out_is_the_default(self, tmp_path: Path) -> None:
        private(tmp_path / "api_key", b"a-key\n")
        as_shown, count = re.subn(r"^#(?=[a-z_]+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)

        assert count >= 15
        assert read(tmp_path, EXAMPLE.read_text()) == read(tmp_path, as_shown)

    def test_the_lists_that_it_shows_load_with_the_defaults_that_it_states(self, tmp_path: Path) -> None:
        for name, content in (("api_key", b"a-key\n"), ("team.url", b"json://team.example\n")):
            private(tmp_path / name, content)
        head, *rest = re.split(r"(?=^#?\[+[a-z]+\]+$)", EXAMPLE.read_text(), flags=re.MULTILINE)
        as_shown = head + "".join(
            re.sub(r"^#(?=\[)|^# (?=[a-z_]+ = )", "", part, flags=re.MULTILINE) if part.startswith("#[[") else part
            for part in rest
        )

        loaded = read(tmp_path, as_shown)

        assert (Route("team"),) == tuple(target.route for target in loaded.targets)
        (budget,), (rule,) = loaded.budgets, loaded.rules
        assert Budget("all", Usd(50_000_000), Window.MONTH, ZoneInfo("UTC")) == replace(
            budget, select=Selector(), delete_at=None
        )
        assert (timedelta(hours=24), timedelta(hours=24), Action.ALERT) == (rule.held_for, rule.min_age, rule.action)

    def test_it_documents_every_key(self) -> None:
        parts = re.split(r"^#?\[+([a-z]+)\]+$", EXAMPLE.read_text(), flags=re.MULTILINE)
        texts = dict(zip(parts[1::2], parts[2::2], strict=True))
        tables: dict[str, type[Table]] = dict((*SECTIONS, *LISTS))

        assert set(tables) == set(texts)
        for name, table in tables.items():
            shown = set(re.findall(r"^#? *([a-z_]+) = ", texts[name], flags=re.MULTILINE))
            assert set(table.known_keys()) == shown, name

    def test_it_documents_every_key_of_the_tables_in_tables(self) -> None:
        text = EXAMPLE.read_text()

        for signal, condition in CONDITIONS:
            (shown,) = re.findall(rf'^#   (\{{signal = "{signal}".*(?:\n#     .*)*)', text, flags=re.MULTILINE)
            assert all(f"{key} = " in shown for key in condition.known_keys()), signal
        assert all(f"{key} = []" in text for key in ProtectTable.known_keys())
        (selection,) = re.findall(r"^# Which resources count: (.*\n.*)", text, flags=re.MULTILINE)
        assert all(key in selection for key in SelectTable.known_keys())


class TestFinding:
    """Where the file and the database are looked for."""

    def test_a_named_file_comes_before_the_variable_and_that_before_the_home_folder(
        self, shelf: Path, tmp_path: Path
    ) -> None:
        folders = ("named", "variable", "home/.config/fluence-costwatch", "xdg/fluence-costwatch")
        home, variable, xdg, named = "home/.config/fluence-costwatch", "variable", "xdg/fluence-costwatch", "named"
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
            shutil.copy(shelf / "main.key", tmp_path / folder)
            (tmp_path / folder / "config.toml").write_text(ACCOUNT)
        environ = {"HOME": str(tmp_path / "home")}
        with_xdg = {**environ, "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
        with_variable = {**with_xdg, "FLUENCE_COSTWATCH_CONFIG": str(tmp_path / "variable/config.toml")}

        assert tmp_path / home / "config.toml" == load(None, environ=environ).path
        assert tmp_path / xdg / "config.toml" == load(None, environ=with_xdg).path
        assert tmp_path / variable / "config.toml" == load(None, environ=with_variable).path
        explicit = str(tmp_path / named / "config.toml")
        assert Path(explicit) == load(explicit, environ=with_variable).path

    def test_a_named_file_that_is_missing_is_not_replaced_by_another(self, tmp_path: Path) -> None:
        missing = str(tmp_path / "nowhere.toml")

        with pytest.raises(ConfigInvalid, match="there is no such file; --config must name one"):
            load(missing, environ={"HOME": str(tmp_path)})
        with pytest.raises(ConfigInvalid, match=re.escape("there is no such file; $FLUENCE_COSTWATCH_CONFIG must")):
            load(None, environ={"FLUENCE_COSTWATCH_CONFIG": missing})

    def test_without_any_file_the_error_says_where_it_was_looked_for(self, tmp_path: Path) -> None:
        if Path("/etc/fluence-costwatch/config.toml").exists():
            pytest.skip("this machine has a configuration of its own")

        with pytest.raises(ConfigInvalid) as caught:
            load(None, environ={"HOME": str(tmp_path)})

        assert f"{tmp_path}/.config/fluence-costwatch/config.toml" in caught.value.problems[0]
        assert "/etc/fluence-costwatch/config.toml" in caught.value.problems[0]

    @pytest.mark.parametrize("name", ["", ".", "nul\0byte", "x" * 5_000])
    def test_a_path_that_is_no_file_is_an_error_like_others(self, name: str) -> None:
        with pytest.raises(ConfigInvalid):
            load(name, environ={})

    def test_a_relative_file_is_looked_for_where_the_command_runs(
        self, shelf: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (shelf / "relative.toml").write_text(ACCOUNT)
        monkeypatch.chdir(shelf)

        assert shelf / "relative.toml" == load("relative.toml", environ={"HOME": "/home/watch"}).path

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({"STATE_DIRECTORY": "/state:/more", "XDG_DATA_HOME": "/data"}, "/state/costwatch.db"),
            ({"XDG_DATA_HOME": "/data"}, "/data/fluence-costwatch/costwatch.db"),
            ({"XDG_DATA_HOME": "data"}, "/home/watch/.local/share/fluence-costwatch/costwatch.db"),
            ({}, "/home/watch/.local/share/fluence-costwatch/costwatch.db"),
        ],
    )
    def test_the_default_database_lies_in_the_state_folder(
        self, shelf: Path, environ: dict[str, str], expected: str
    ) -> None:
        path = shelf / "config.toml"
        path.write_text(ACCOUNT)

        assert Path(expected) == load(str(path), environ={"HOME": "/home/watch", **environ}).database.path

    def test_without_a_home_folder_the_database_must_be_named(self, shelf: Path) -> None:
        (problem,) = problems_of(shelf, ACCOUNT, HOME="")

        assert "database.url: there is no home folder" in problem

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("sqlite:////var/lib/watch.db", "/var/lib/watch.db"),
            ("sqlite:///watch.db", "SHELF/watch.db"),
            ("sqlite:///100%25.db", "SHELF/100%.db"),
            ("SQLITE:///watch.db", "SHELF/watch.db"),
            ("/var/lib/watch.db", "/var/lib/watch.db"),
            ("100%25.db", "SHELF/100%25.db"),
            ("~/watch.db", "/home/watch/watch.db"),
        ],
    )
    def test_a_database_is_a_url_or_a_path_from_the_configuration(self, shelf: Path, url: str, expected: str) -> None:
        loaded = read(shelf, f'[database]\nurl = "{url}"\n{ACCOUNT}', HOME="/home/watch")

        assert Path(expected.replace("SHELF", str(shelf))) == loaded.database.path


class TestSecrets:
    """Secrets arrive, and never show."""

    def test_a_secret_shows_only_when_revealed(self) -> None:
        secret = Secret(SECRET)

        assert SECRET == secret.reveal()
        assert "*** *** ***" == f"{secret} {secret!r} {secret!s}"
        assert "[***]" == str([secret])
        assert "  ***" == f"{secret:>5}"

    def test_a_secret_compares_and_copies_but_cannot_be_dumped(self) -> None:
        secret = Secret(SECRET)

        assert Secret(SECRET) == secret
        assert hash(Secret(SECRET)) == hash(secret)
        assert Secret("another") != secret
        assert SECRET != secret
        assert secret is copy.deepcopy(secret)
        assert secret is copy.copy(secret)
        for dump in (pickle.dumps, json.dumps):
            with pytest.raises(TypeError):
                dump(secret)

    def test_settings_do_not_show_their_secrets(self, shelf: Path) -> None:
        text = '[server]\ntoken_file = "server.token"\n' + ACCOUNT.replace("api_key_file", "api_key")

        loaded = read(shelf, text, mode=0o600)

        assert Secret("main.key") == loaded.accounts[0].api_key
        for shown in (repr(loaded), str(loaded), repr(asdict(loaded))):
            assert "main.key" not in shown
            assert "server-token" not in shown
            assert "***" in shown

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
    def test_an_inline_key_needs_a_file_that_is_closed_to_others(self, shelf: Path, mode: int) -> None:
        (problem,) = problems_of(shelf, ACCOUNT.replace("api_key_file", "api_key"), mode=mode)

        assert problem.startswith("accounts[0].api_key: ")

    @pytest.mark.parametrize("content", [b"the-key", b"the-key\n", b"the-key\r\n"])
    def test_one_line_end_of_a_key_file_is_dropped(self, shelf: Path, content: bytes) -> None:
        private(shelf / "ends.key", content)

        loaded = read(shelf, ACCOUNT.replace("main.key", "ends.key"))

        assert Secret("the-key") == loaded.accounts[0].api_key

    @pytest.mark.parametrize(
        "content",
        [b"", b"\n", b"the-key\n\n", b"the key", b" the-key", b"the-key\t", b"the\0key", b"the\x7fkey", b"\xff"],
    )
    def test_what_no_header_can_carry_is_refused(self, shelf: Path, content: bytes) -> None:
        private(shelf / "odd.key", content)

        (problem,) = problems_of(shelf, ACCOUNT.replace("main.key", "odd.key"))

        assert re.match(r"accounts\[0\]\.api_key_file: the file (is empty|holds a )", problem)

    def test_a_bare_name_may_be_a_systemd_credential(self, shelf: Path, tmp_path: Path) -> None:
        private(tmp_path / "fluence_api_key", b"credential\n").chmod(0o440)
        private(tmp_path / "main.key", b"not-this-one\n")
        credentials = str(tmp_path)

        as_credential = read(shelf, ACCOUNT.replace("main.key", "fluence_api_key"), CREDENTIALS_DIRECTORY=credentials)
        beside_the_file = read(shelf, ACCOUNT, CREDENTIALS_DIRECTORY=credentials)

        assert Secret("credential") == as_credential.accounts[0].api_key
        assert () == as_credential.remarks
        assert Secret("main-key") == beside_the_file.accounts[0].api_key

    def test_a_key_file_in_neither_place_is_said_to_be_so(self, shelf: Path, tmp_path: Path) -> None:
        text = ACCOUNT.replace("main.key", "nowhere.key")

        (problem,) = problems_of(shelf, text, CREDENTIALS_DIRECTORY=str(tmp_path))

        assert f"accounts[0].api_key_file: no such file in {shelf} and {tmp_path}" == problem

    def test_a_key_file_that_others_can_read_is_remarked_upon(self, shelf: Path) -> None:
        private(shelf / "open.key", b"the-key").chmod(0o644)

        loaded = read(shelf, ACCOUNT.replace("main.key", "open.key"))

        assert ("accounts[0].api_key_file: the file can be read by others; run chmod 600 on it",) == loaded.remarks

    def test_a_key_file_that_cannot_be_read_is_a_problem_with_its_reason(self, shelf: Path) -> None:
        (problem,) = problems_of(shelf, ACCOUNT.replace("main.key", "loop.key"))

        assert problem.startswith("accounts[0].api_key_file: the file cannot be read: ")

    def test_two_accounts_with_one_key_are_remarked_upon(self, shelf: Path) -> None:
        loaded = read(shelf, ACCOUNT + ACCOUNT.replace('"main"', '"twin"'))

        assert 1 == len(loaded.remarks)
        assert loaded.remarks[0].startswith("accounts[1]: has the same key as accounts[0]")

    def test_a_command_that_only_reads_the_database_does_without_the_keys(self, shelf: Path) -> None:
        path = shelf / "config.toml"
        path.write_text(
            '[server]\ntoken_file = "nowhere.token"\n[notify]\ndead_man_url_file = "nowhere.url"\n'
            + ACCOUNT.replace("main.key", "nowhere.key")
            + 'delete_api_key_file = "nowhere-either.key"\n'
            + TARGET.replace("TEAM_URL", "NO_SUCH_VARIABLE")
            + '[[targets]]\nname = "mail"\nurl_file = "nowhere.url"\n'
        )

        loaded = load(str(path), environ={"HOME": "/home/watch"}, read_secrets=False)

        (account,) = loaded.accounts
        secrets = (
            *(account.api_key, account.delete_api_key, loaded.server.token, loaded.notify.dead_man_url),
            *(target.url for target in loaded.targets),
        )
        assert 6 == len(secrets)
        for secret in secrets:
            assert secret is not None
            with pytest.raises(ValueError, match="was not read"):
                secret.reveal()


class TestValues:
    """Single values at their edges."""

    @pytest.mark.parametrize(
        ("listen", "host", "port"),
        [
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("localhost:17550", "localhost", 17550),
            ("[::1]:17550", "::1", 17550),
            ("127.9.9.9:65535", "127.9.9.9", 65535),
        ],
    )
    def test_loopback_needs_no_token(self, shelf: Path, listen: str, host: str, port: int) -> None:
        server = read(shelf, f'[server]\nlisten = "{listen}"\n{ACCOUNT}').server

        assert (host, port, None) == (server.host, server.port, server.token)

    @pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "watch.example:1", "localhost.example:1"])
    def test_everything_else_needs_one(self, shelf: Path, listen: str) -> None:
        text = f'[server]\nlisten = "{listen}"\n{ACCOUNT}'

        (problem,) = problems_of(shelf, text)
        with_token = read(shelf, text.replace("[server]", '[server]\ntoken_file = "server.token"'))

        assert problem.startswith("server.token_file: must be given")
        assert Secret("server-token") == with_token.server.token

    def test_exempting_metrics_from_no_token_is_remarked_upon(self, shelf: Path) -> None:
        loaded = read(shelf, f"[server]\nmetrics_without_token = true\n{ACCOUNT}")

        assert ("server.metrics_without_token: has no effect without server.token_file",) == loaded.remarks

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost", "https://[2001:db8::1]/x"]
    )
    def test_an_address_on_this_machine_may_do_without_encryption(self, shelf: Path, url: str) -> None:
        assert url == read(shelf, f'{ACCOUNT}api_url = "{url}"\n').accounts[0].api_url

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1.example",
            "http://0.0.0.0",
            "ftp://x",
            "https://",
            "https:///x",
            "https://a:b",
            "https://a:0",
            "https://a b",
            "https://[::1",
            "https://999.1.1.1",
            r"https://a\\b",
            r"https://a\t.example",
            "https://ä.example",
            "",
        ],
    )
    def test_a_doubtful_address_is_refused(self, shelf: Path, url: str) -> None:
        (problem,) = problems_of(shelf, f'{ACCOUNT}api_url = "{url}"\n')

        assert problem.startswith("accounts[0].api_url: must ")

    @pytest.mark.parametrize("value", ['"2026-03-01T17:55:00Z"', "2026-03-01T17:55:00Z", '"2026-03-01T19:55+02:00"'])
    def test_an_instant_is_text_or_a_toml_date_time(self, shelf: Path, value: str) -> None:
        loaded = read(shelf, f"{ACCOUNT}charge_from = {value}\n")

        assert datetime(2026, 3, 1, 17, 55, tzinfo=UTC) == loaded.accounts[0].charge_from

    @pytest.mark.parametrize(
        "value", ['"0001-01-01T00:00:00+01:00"', "0001-01-01T00:00:00+01:00", '"soon"', "1", "2026-03-01T17:55:00"]
    )
    def test_what_is_no_instant_is_refused(self, shelf: Path, value: str) -> None:
        (problem,) = problems_of(shelf, f"{ACCOUNT}charge_from = {value}\n")

        assert problem.startswith("accounts[0].charge_from: must be an instant")

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            pytest.param("", ("auto",), id="without any it finds out by itself"),
            pytest.param('generation = "auto"', ("auto",), id="found out by itself"),
            pytest.param('generation = ["auto"]', ("auto",), id="auto in a list of its own"),
            pytest.param('generation = "cloud-v2"', ("cloud-v2",), id="one"),
            pytest.param(
                'generation = ["gpu", "vms-v2", "cloud-v2", "vms-v3"]',
                ("gpu", "vms-v2", "cloud-v2", "vms-v3"),
                id="all in their order",
            ),
        ],
    )
    def test_generations_are_named_or_found_out(self, shelf: Path, line: str, expected: tuple[str, ...]) -> None:
        text = f'[[accounts]]\nname = "main"\napi_key_file = "main.key"\n{line}\n'

        assert expected == read(shelf, text).accounts[0].generations

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ('"0.01"', "0.01"),
            ("0.01", "0.01"),
            ('".5"', "0.5"),
            ("0", "0"),
            ("1", "1"),
            ("1e-5", "0.00001"),
            ('"1.0"', "1"),
        ],
    )
    def test_a_ratio_is_exactly_what_is_written(self, shelf: Path, value: str, expected: str) -> None:
        loaded = read(shelf, f"[alerts]\ndrift_tolerance = {value}\n{ACCOUNT}")

        assert Decimal(expected) == loaded.alerts.drift_tolerance

    @pytest.mark.parametrize(
        "value",
        [
            '"-0.01"',
            "-0.01",
            "nan",
            "inf",
            "true",
            '"0,01"',
            '""',
            '"."',
            '"1.0000000000000000001"',
            '"1e-9999"',
            '"٠.١"',
        ],
    )
    def test_what_is_no_ratio_is_refused(self, shelf: Path, value: str) -> None:
        (problem,) = problems_of(shelf, f"[alerts]\ndrift_tolerance = {value}\n{ACCOUNT}")

        assert problem.startswith("alerts.drift_tolerance: must be a ratio from 0 to 1")

    def test_gpu_needs_a_look_in_every_half_hour_whatever_the_epoch(self, shelf: Path) -> None:
        text = f'[poll]\ninterval = "29m"\n{ACCOUNT.replace("vms-v2", "gpu")}'

        assert timedelta(minutes=29) == read(shelf, text).poll.interval

    @pytest.mark.parametrize("line", ["", 'generation = "auto"'])
    def test_slow_polls_are_remarked_upon_where_gpu_may_be_found(self, shelf: Path, line: str) -> None:
        account = f'[[accounts]]\nname = "main"\napi_key_file = "main.key"\n{line}\n'

        (remark,) = read(shelf, f'[poll]\ninterval = "30m"\n{account}').remarks

        assert remark.startswith('accounts[0].generation: should "gpu" be found, polls of 30m miss some')
        assert () == read(shelf, f'[poll]\ninterval = "29m"\n{account}').remarks

    def test_polls_may_be_just_shorter_than_half_an_epoch(self, shelf: Path) -> None:
        loaded = read(shelf, f'[poll]\ninterval = "9s"\n[epoch]\nlength = "19s"\n{ACCOUNT}')

        assert timedelta(seconds=9) == loaded.poll.interval

    def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(self, shelf: Path) -> None:
        path = shelf / "windows.toml"
        path.write_bytes(b"\xef\xbb\xbf" + ACCOUNT.replace("\n", "\r\n").encode())

        assert "main" == load(str(path), environ={"HOME": "/home/watch"}).accounts[0].name

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            pytest.param(b"[poll]\n# \xff\n", "line 2: the file must be UTF-8 text", id="not UTF-8"),
            pytest.param(b"a = " + b"[" * 100_000, "nested too deeply", id="too deep"),
            pytest.param(b"a = " + b"9" * 5_000, "not valid TOML", id="a number beyond Python's limit"),
            pytest.param(b"# " + b"x" * 1_048_576, "larger than 1 MiB", id="too large"),
        ],
    )
    def test_a_file_that_cannot_be_read_as_toml_is_said_to_be_so(
        self, shelf: Path, content: bytes, expected: str
    ) -> None:
        path = shelf / "odd.toml"
        path.write_bytes(content)

        with pytest.raises(ConfigInvalid) as caught:
            load(str(path), environ={})

        assert 1 == len(caught.value.problems)
        assert expected in caught.value.problems[0]


TABLES: Final[tuple[tuple[str, type[Table]], ...]] = (*SECTIONS, *LISTS, *CONDITIONS)
KEYS: Final = (
    *sorted({key for _, table in TABLES for key in table.known_keys()}),
    "x y",
    "\x1b",
)
GOOD_VALUES: Final = (
    *(
        "5m",
        "24h",
        "17:55",
        "main",
        "vms-v2",
        "gpu",
        "auto",
        "0.5",
        "main.key",
        "SECOND_KEY",
        "127.0.0.1:0",
        "[::]:1",
        "UTC",
    ),
    *("22:00-07:00", "50.00", "week", "cpu", "vm", "budget", "delete", "execute", "web-[1"),
    *("json", "info", "bearer", "https://api.fluence.dev", "sqlite:///x.db", "2026-03-01T17:55:00Z"),
)
scalars = (
    st.sampled_from(GOOD_VALUES)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.times()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=5,
)
tables = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
names = st.sampled_from((*dict(SECTIONS), *dict(LISTS), "account", ""))
documents = st.builds(
    lambda sections, accounts: {**sections, "accounts": accounts},
    st.dictionaries(names, tables | st.lists(tables, max_size=2) | values, max_size=5),
    st.lists(tables, max_size=3) | values,
)


class TestTelling:
    """Targets, and what is told where."""

    def test_an_address_may_stand_in_a_file_that_is_closed_to_others(self, shelf: Path) -> None:
        text = f'{ACCOUNT}[[targets]]\nname = "team"\nurl = "json://{SECRET}@host"\n'

        loaded = read(shelf, text, mode=0o600)

        assert Secret(f"json://{SECRET}@host") == loaded.targets[0].url
        assert SECRET not in repr(loaded)

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            pytest.param("", "is empty", id="empty"),
            pytest.param("json://a b", "holds a space", id="a space"),
            pytest.param("json://ä", "holds a space, a line break or another character", id="not ASCII"),
            pytest.param("hunter2", "holds no address", id="no scheme"),
            pytest.param("json://", "holds no address", id="nothing after the scheme"),
        ],
    )
    def test_what_can_be_no_address_of_a_target_is_refused(self, shelf: Path, url: str, reason: str) -> None:
        (problem,) = problems_of(shelf, ACCOUNT + TARGET, TEAM_URL=url)

        assert f"targets[0].url_env: the environment variable {reason}" in problem
        assert SECRET not in problem

    @pytest.mark.parametrize(
        ("url", "remarked"),
        [("https://watch.example", False), ("http://127.0.0.1:17550", False), ("http://watch.example/", True)],
    )
    def test_links_that_travel_readable_are_remarked_upon(self, shelf: Path, url: str, remarked: bool) -> None:
        loaded = read(shelf, f'[server]\npublic_url = "{url}"\n{ACCOUNT}')

        assert url.rstrip("/") == loaded.server.public_url
        assert remarked == any(remark.startswith("server.public_url: ") for remark in loaded.remarks)


class TestBudgets:
    """Limits and their thresholds."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            pytest.param("[]", (), id="none"),
            pytest.param('[0.1, "0.1", 0.10]', ("0.1",), id="each once, exactly"),
            pytest.param("[2, 1.50, 1e-1]", ("0.1", "1.5", "2"), id="the lowest first"),
        ],
    )
    def test_thresholds_are_exact_and_in_order(self, shelf: Path, value: str, expected: tuple[str, ...]) -> None:
        text = f'{ACCOUNT}[[budgets]]\nname = "all"\nlimit = "50"\nthresholds = {value}\n'

        (budget,) = read(shelf, text).budgets

        # As text too, because a threshold that is written otherwise is not another threshold.
        assert expected == tuple(map(str, budget.thresholds))

    @pytest.mark.parametrize("more", ["", "forecast_thresholds = []\n"])
    def test_a_total_is_not_forecast(self, shelf: Path, more: str) -> None:
        text = f'{ACCOUNT}[[budgets]]\nname = "all"\nlimit = "50"\nwindow = "total"\n{more}'

        assert () == read(shelf, text).budgets[0].forecast_thresholds


class TestRules:
    """What counts as idle."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            pytest.param("below = 0.03", "below = 0.030", id="zeros at the end"),
            pytest.param("below = 0.03", 'below = "0.03"', id="in quotes"),
            pytest.param("below = 1", "below = 1.0", id="a whole number with a point"),
        ],
    )
    def test_the_same_number_written_otherwise_does_not_start_the_clock_anew(
        self, shelf: Path, one: str, other: str
    ) -> None:
        text = f'{ACCOUNT}[[rules]]\nname = "idle"\nwhen = [{{signal = "cpu", {one}}}]\n'

        (rule,), (again,) = read(shelf, text).rules, read(shelf, text.replace(one, other)).rules

        assert rule.digest == again.digest

    def test_a_state_may_delete_beside_another_signal(self, shelf: Path) -> None:
        when = '[{signal = "state", is = "SmallBalance"}, {signal = "age", above = "7d"}]'
        loaded = read(shelf, f'{ACCOUNT}[[rules]]\nname = "idle"\naction = "delete"\nwhen = {when}\n')

        assert Action.DELETE is loaded.rules[0].action
        assert ("SmallBalance",) == loaded.rules[0].when[0].statuses

    def test_a_deletion_of_what_no_rule_deletes_is_remarked_upon(self, shelf: Path) -> None:
        rule = '[[rules]]\nname = "idle"\naction = "delete"\nselect = {kind = "storage"}\nwhen = [{signal = "lease"}]\n'

        (remark,) = read(shelf, ACCOUNT + rule).remarks

        assert remark.startswith("rules[0].action: deletes nothing")

    def test_machines_may_be_asked_by_overrides_alone(self, shelf: Path) -> None:
        signals = '[signals]\nnode_exporter_url = ""\noverrides = {web = "http://10.0.0.7:9100/metrics"}\n'
        rule = '[[rules]]\nname = "idle"\nwhen = [{signal = "cpu", below = 0.03}]\n'

        assert "" == read(shelf, ACCOUNT + signals + rule).signals.node_exporter_url


class TestDeletion:
    """What would delete too early, or silently not at all."""

    @pytest.mark.parametrize(
        ("generation", "deletion", "refused"),
        [
            pytest.param("vms-v2", 'margin = "29m"', False, id="just shorter than half an epoch"),
            pytest.param("vms-v2", 'margin = "30m"', True, id="half an epoch"),
            pytest.param("auto", 'margin = "30m"', True, id="what auto finds may be prepaid"),
            pytest.param("vms-v3", 'mode = "observe"', False, id="the default does no harm where nothing is deleted"),
            pytest.param("vms-v3", 'mode = "propose"', True, id="the default where something may be deleted"),
            pytest.param("cloud-v2", 'mode = "propose"', False, id="metered machines have no margin"),
            pytest.param("gpu", 'margin = "30m"', False, id="gpu while only observing"),
            pytest.param("gpu", 'mode = "propose"\nmargin = "29m"', False, id="gpu with a shorter margin"),
        ],
    )
    def test_the_margin_is_shorter_than_half_an_epoch(
        self, shelf: Path, generation: str, deletion: str, refused: bool
    ) -> None:
        account = ACCOUNT.replace("vms-v2", generation)
        text = f'{account}epoch = {{length = "1h"}}\n{TARGET}[deletion]\n{deletion}\n'

        problems = problems_of(shelf, text) if refused else ()
        settings = None if refused else read(shelf, text)

        assert refused == any(problem.startswith("deletion.margin: must be shorter") for problem in problems)
        assert refused == (settings is None)

    def test_the_margin_that_a_short_epoch_forbids_is_no_error_where_nobody_asked_for_deletion(
        self, shelf: Path
    ) -> None:
        loaded = read(shelf, f'[poll]\ninterval = "1s"\n[epoch]\nlength = "20s"\n{ACCOUNT}')

        assert Mode.OBSERVE is loaded.deletion.mode

    @pytest.mark.parametrize(
        ("hours", "expected"),
        [
            ("00:00-24:00", (time(0), time(0))),
            ("22:00-24:00", (time(22), time(0))),
            ("00:00-06:30", (time(0), time(6, 30))),
            ("22:15-06:00", (time(22, 15), time(6))),
        ],
    )
    def test_hours_may_end_with_the_day_or_span_midnight(
        self, shelf: Path, hours: str, expected: tuple[time, time]
    ) -> None:
        policy = read(shelf, f'{ACCOUNT}[deletion]\nallowed_hours = "{hours}"\n').deletion

        assert expected == (policy.allowed_from, policy.allowed_until)

    @pytest.mark.parametrize("mode", ["propose", "execute"])
    def test_that_nothing_is_deleted_where_the_generation_is_found_out_is_remarked_upon(
        self, shelf: Path, mode: str
    ) -> None:
        account = '[[accounts]]\nname = "found"\napi_key_file = "other.key"\n'

        remarks = read(shelf, f'{ACCOUNT}{account}{TARGET}[deletion]\nmode = "{mode}"\n').remarks

        assert 1 == len(remarks)
        assert remarks[0].startswith("accounts[1].generation: nothing is deleted in this account until")

    @pytest.mark.parametrize(
        ("target", "told"),
        [
            pytest.param(TARGET, True, id="all is told by default"),
            pytest.param(TARGET + 'min_severity = "critical"\n', False, id="only what is critical"),
            pytest.param(TARGET + 'kinds = ["budget"]\n', False, id="only other kinds"),
            pytest.param(TARGET + 'kinds = ["budget", "deletion"]\naccounts = ["main"]\n', True, id="all that matters"),
            pytest.param("", False, id="no target"),
        ],
    )
    def test_that_nobody_is_told_of_deletions_is_remarked_upon(self, shelf: Path, target: str, told: bool) -> None:
        remarks = read(shelf, f'{ACCOUNT}{target}[deletion]\nmode = "propose"\n').remarks

        assert told == (not any(remark.startswith("accounts[0]: no target is told") for remark in remarks))

    def test_a_key_for_deleting_that_is_the_watching_one_is_remarked_upon(self, shelf: Path) -> None:
        (remark,) = read(shelf, f'{ACCOUNT}delete_api_key_file = "main.key"\n').remarks

        assert remark.startswith("accounts[0].delete_api_key_file: holds the key that watches")

    @pytest.mark.parametrize("glob", ["*", "db-*", "[!a]x", "[]]", "[]a-c]", "[a-]", "[-a]", "[!]-]", "x]", "a{b}"])
    def test_a_pattern_that_compiles_protects(self, shelf: Path, glob: str) -> None:
        text = f'{ACCOUNT}[deletion]\nprotect = {{names = ["{glob}"]}}\n'

        assert Protection((glob,)) == read(shelf, text).deletion.protect

    @pytest.mark.parametrize("glob", ["[", "db-[", "[!", "[]", "[!]", "[a-c]x[", "[z-a]", "[!b-a]", "[a-cz-x]"])
    def test_a_pattern_that_would_not_protect_as_it_is_meant_is_refused(self, shelf: Path, glob: str) -> None:
        (problem,) = problems_of(shelf, f'{ACCOUNT}[deletion]\nprotect = {{names = ["{glob}"]}}\n')

        assert problem.startswith("deletion.protect.names: the pattern ")


class TestProperties:
    """What holds for any text."""

    @given(st.integers(1, 36_500 * 86_400))
    def test_a_duration_survives_being_written_and_read(self, seconds: int) -> None:
        span = timedelta(seconds=seconds)

        assert span == parse_duration(format_duration(span))

    @given(
        st.text()
        | st.from_regex(r"[0-9]{1,20}[smhdwy]?([0-9]{1,20}[smhdw]?)?", fullmatch=True)
        | st.integers()
        | st.floats()
        | st.none()
    )
    @example("1h1h")
    @example("1m1h")
    @example("٣m")
    def test_a_duration_is_positive_or_an_error(self, value: object) -> None:
        try:
            span = parse_duration(value)
        except ValueError as refusal:
            sentence = str(refusal)
        else:
            assert timedelta(0) < span <= timedelta(days=36_500)
            return

        assert sentence.isprintable()

    @given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
    def test_any_bytes_are_settings_or_named_problems(self, shelf: Path, content: bytes) -> None:
        settle(shelf, content)

    @settings(suppress_health_check=[HealthCheck.too_slow])  # building documents costs more than loading them
    @given(documents)
    @example({"poll": {"confirm_absence": 2**20_000}, "accounts": []})
    def test_any_toml_is_settings_or_named_problems(self, shelf: Path, document: dict[str, object]) -> None:
        settle(shelf, "\n".join(toml_pairs(document)).encode())


def settle(folder: Path, content: bytes) -> None:
    """Load `content`; whatever is wrong with it must come as ConfigInvalid with problems that a terminal can show."""
    path = folder / "any.toml"
    path.write_bytes(content)
    try:
        loaded = load(str(path), environ={"HOME": str(folder), "SECOND_KEY": "second-key"})
    except ConfigInvalid as refusal:
        problems = refusal.problems
    else:
        assert isinstance(loaded, Settings)
        assert loaded.accounts
        return

    assert problems
    assert all(problem.isprintable() for problem in problems), problems


def toml_pairs(table: Mapping[str, object]) -> Iterator[str]:
    """The keys and values of `table`, each as TOML."""
    for key, value in table.items():
        yield f"{toml(key)} = {toml(value)}"


def toml(value: object) -> str:
    """`value` as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        # Hexadecimal, because Python refuses very long decimal numbers already when it reads them.
        return hex(value) if value > 2**70 else str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(toml_pairs(value))}}}"
    return str(value)
