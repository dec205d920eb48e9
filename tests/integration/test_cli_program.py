"""What commands read and write in a real database, beside whoever holds it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fluence_costwatch.acts import StoredActs
from fluence_costwatch.cli.app import build_app
from fluence_costwatch.config import load
from fluence_costwatch.core.deletion.deletions import Deletion, DeletionState, Ground, Mode, Transition
from fluence_costwatch.core.messages.outbox import Attempt, Delivery, Draft
from fluence_costwatch.core.resources import Generation, Identity, Kind
from fluence_costwatch.deciding import login_name
from fluence_costwatch.errors import UnknownName, UnusableOption
from fluence_costwatch.ports import Reading, Transaction
from fluence_costwatch.program import InstalledProgram
from fluence_costwatch.showing import answer
from tests.alerts import finding, step
from tests.builders import at
from tests.rig import Rig, rig
from tests.servers.exporters import exposition
from tests.servers.marketplace import KEY
from tests.servers.webhook import webhook
from tests.telling import message

START = at("2026-03-03 12:00")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOSTILE = "<b>\x1b[31mred\u202e\nx"
WEB, DB, TWIN_1, TWIN_2, HURT = (f"0x{digit * 40}" for digit in "abcde")
CONFIGURATION = """\
[[accounts]]
name = "main"
generation = "vms-v3"
api_url = "{url}"
api_key = "{key}"

[database]
url = "sqlite:///watch.db"

[[budgets]]
name = "all"
limit = "1.00"
window = "month"

[[rules]]
name = "unused"
when = [{{signal = "cpu", below = 0.03}}]
action = "delete"

[deletion]
mode = "propose"
protect = {{names = ["db-*"], ids = []}}
{more}
"""


@dataclass
class Desk:
    """Somebody at the command line of a watch, and the daemon's own hold on its database."""

    watch: Rig
    config: Path
    environ: dict[str, str]

    def type(self, *words: str, columns: int = 200) -> Result:
        program = InstalledProgram(self.environ, clock=lambda: self.watch.now)
        arguments = ("--config", str(self.config), *words)
        return CliRunner().invoke(build_app(program), arguments, env={"COLUMNS": str(columns)}, input="")

    def said(self, *words: str) -> str:
        """What it says on one line where it succeeds."""
        result = self.type(*words)
        assert (0, "") == (result.exit_code, result.stderr), result.output
        return result.stdout.rstrip("\n")

    def refused(self, *words: str) -> str:
        """Why it fails."""
        result = self.type(*words)
        assert (1, "") == (result.exit_code, result.stdout), result.output
        return result.stderr.rstrip("\n")

    def configure(self, more: str) -> None:
        self.config.write_text(CONFIGURATION.format(url=self.watch.market.url, key=KEY, more=more))
        self.config.chmod(0o600)

    def deletion(self, id: str) -> Deletion:
        with self.watch.store.reading() as reading:
            return next(one for one in reading.deletions() if one.id == id)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A watch over five machines, two of which have one name, after its first look."""
    with rig(tmp_path / "watch.db", start=START, generation=Generation.VMS_V3) as watch:
        for id, name in ((WEB, "web"), (DB, "db-1"), (TWIN_1, "twin"), (TWIN_2, "twin"), (HURT, HOSTILE)):
            watch.market.create(name, id=id, public_ip="127.0.0.1")
        watch.advance(MINUTE)
        watch.poll()
        seat = Desk(watch, tmp_path / "config.toml", {})
        seat.configure("")
        yield seat


def deletion(id: str = "d1", *, on: str = WEB, name: str = "web", **facts: Any) -> Deletion:
    plain = Deletion(
        id=id,
        identity=Identity("main", on),
        target_id=on,
        name=name,
        kind=Kind.VM,
        generation=Generation.VMS_V3,
        created_at=START,
        ground=Ground.IDLE,
        rule="unused",
        reason="idle for 27 h",
        mode=Mode.PROPOSE,
        state=DeletionState.PROPOSED,
        proposed_at=START,
        history=(Transition(START, DeletionState.PROPOSED, "costwatch", "idle for 27 h"),),
    )
    return replace(plain, **facts)


def notified(id: str = "d1", **facts: Any) -> Deletion:
    told = Transition(START + MINUTE, DeletionState.NOTIFIED, "costwatch", "ops has accepted the notice")
    plain = deletion(id, state=DeletionState.NOTIFIED, notified_at=START + MINUTE, execute_at=at("2026-03-04 11:30"))
    return replace(plain, history=(*plain.history, told), **facts)


def stored(desk: Desk, *deletions: Deletion) -> None:
    with desk.watch.store.transaction() as tx:
        assert all(tx.save_deletion(one, was=None) for one in deletions)


# Resources by their names


@pytest.mark.parametrize(
    ("word", "id"),
    [
        ("web", WEB),
        (WEB, WEB),
        (WEB.upper().replace("0X", "0x"), WEB),
        (f"main/{WEB}", WEB),
        (TWIN_2, TWIN_2),
        (HOSTILE, HURT),
        ("<b>\\x1b[31mred\\u202e\\nx", HURT),
    ],
)
def test_a_machine_goes_by_its_id_or_its_name(desk: Desk, word: str, id: str) -> None:
    assert id == json.loads(desk.type("explain", word, "--json").stdout)["resource"]["id"]


def test_a_name_of_two_machines_names_neither(desk: Desk) -> None:
    said = desk.refused("keep", "twin")

    assert (f"error: 2 resources go by 'twin'; name one by its account and id: main/{TWIN_1}, main/{TWIN_2}") == said
    assert "there is no resource 'nobody'" in desk.refused("lease", "nobody", "3d")
    assert "\x1b" not in desk.refused("keep", "\x1b[31m")


def test_what_is_gone_has_its_name_only_where_nobody_else_has_it(desk: Desk) -> None:
    desk.watch.market.delete(TWIN_1)
    desk.watch.polls(3 * MINUTE, every=MINUTE)

    assert f"twin ({TWIN_2}) of main is kept" in desk.said("keep", "twin")


# Silences


def test_an_alert_is_silenced_and_told_again(desk: Desk) -> None:
    (alert,) = step((), finding(summary="it wastes"), now=START).alerts
    with desk.watch.store.transaction() as tx:
        tx.save_alerts([alert])

    said = desk.said("silence", alert.id, "--for", "8h", "--reason", HOSTILE)

    with desk.watch.store.reading() as reading:
        (silence,) = reading.silences()
    assert (
        f"Nothing is told of alert {alert.id} (it wastes) until 2026-03-03 20:01 UTC; "
        f"`silence --end {silence.id}` ends that."
    ) == said
    assert (alert.fingerprint, login_name({})) == (silence.alert, silence.author)
    assert "silenced" in desk.type("alerts").stdout
    assert [silence.id] == [one["id"] for one in json.loads(desk.said("silence", "--list", "--json"))["silences"]]

    desk.watch.advance(HOUR)
    assert desk.said("silence", "--end", silence.id).startswith(f"Silence {silence.id} is over")
    assert "firing" in desk.type("alerts").stdout
    assert "ended on" in desk.refused("silence", "--end", silence.id)


def test_a_resource_a_rule_and_an_account_are_silenced(desk: Desk) -> None:
    assert f"Nothing is told of web ({WEB}) of main, and nothing of it is deleted until" in desk.said(
        "silence", "--resource", "web", "--for", "1d"
    )
    assert "of rule unused," in desk.said("silence", "--rule", "unused", "--for", "1d")
    assert "of rule all," in desk.said("silence", "--rule", "all", "--for", "1d")
    assert "of account main," in desk.said("silence", "--account", "main", "--for", "1d")

    with desk.watch.store.reading() as reading:
        found = {(one.alert, one.account, one.resource_id, one.rule) for one in reading.silences()}
    assert {
        (None, "main", WEB, None),
        (None, None, None, "unused"),
        (None, None, None, "all"),
        (None, "main", None, None),
    } == found


@pytest.mark.parametrize(
    "words", [("c0ffee",), ("--resource", "nobody"), ("--rule", "nothing"), ("--account", "nowhere")]
)
def test_what_is_not_there_is_not_silenced(desk: Desk, words: tuple[str, ...]) -> None:
    assert "there is no" in desk.refused("silence", *words, "--for", "1d")
    assert "there is no silence" in desk.refused("silence", "--end", "5f1e")
    with desk.watch.store.reading() as reading:
        assert [] == list(reading.silences())


# What is kept


def test_a_machine_is_kept_until_it_is_released(desk: Desk) -> None:
    stored(desk, notified())

    assert (f"web ({WEB}) of main is kept until `keep {WEB} --off`. Deletion d1 is not carried out.") == desk.said(
        "keep", "web", "--reason", "mine"
    )
    assert "has been kept since 2026-03-03 12:01 UTC: mine." in desk.said("keep", "web", "--reason", "ours")
    assert ["it is kept until released: mine"] == json.loads(desk.said("explain", "web", "--json"))["protection"]

    assert f"web ({WEB}) of main is kept no longer." == desk.said("keep", "web", "--off")
    assert [] == json.loads(desk.said("explain", "web", "--json"))["protection"]


def test_a_release_lets_a_protected_name_go_too(desk: Desk) -> None:
    by_name = {each["name"]: each["protected"] for each in json.loads(desk.said("vms", "--json"))["resources"]}
    assert {"db-1": True, "web": False} == {name: by_name[name] for name in ("db-1", "web")}

    desk.said("keep", "db-1", "--off")

    assert [] == json.loads(desk.said("explain", "db-1", "--json"))["protection"]


def test_a_lease_keeps_a_machine_until_its_end(desk: Desk) -> None:
    said = desk.said("lease", "web", "3d")

    assert f"web ({WEB}) of main is leased until 2026-03-06 12:01 UTC and not deleted before." == said
    assert "leased" in json.loads(desk.said("explain", "web", "--json"))["protection"][0]

    stored(desk, notified(state=DeletionState.EXECUTING))
    assert "Deletion d1 is executing already and cannot be stopped any more." in desk.said("lease", "web", "2026-03-09")
    assert f"The lease of web ({WEB}) of main is over." == desk.said("lease", "web", "--off")
    assert "has no lease" in desk.refused("lease", "web", "--off")


# Heartbeats


def test_the_heartbeat_that_is_printed_is_that_of_the_machine(desk: Desk) -> None:
    desk.configure('[server]\npublic_url = "https://watch.example.com/costwatch/"')
    result = desk.type("heartbeat", "web")
    *command, address = shlex.split(result.stdout)
    start, _, token = address.rpartition("/")
    acts = StoredActs(
        desk.watch.store,
        settings=lambda: load(str(desk.config), environ={}),
        found=dict,
        clock=lambda: desk.watch.now,
    )

    assert (0, ["curl", "-fsS", "-X", "POST"], 1) == (result.exit_code, command, result.stdout.count("\n"))
    assert "https://watch.example.com/costwatch/heartbeat" == start
    assert f"says that web ({WEB}) of main is in use" in result.stderr
    assert 1 == result.stderr.count("\n")
    assert acts.beat(token)
    beats = {id: json.loads(desk.said("explain", id, "--json"))["last_heartbeat"] for id in (WEB, DB)}
    assert {WEB: "2026-03-03T12:01:00Z", DB: None} == beats


LOCAL = "leads to the daemon on its own machine only"


@pytest.mark.parametrize(
    ("server", "line", "caution"),
    [
        pytest.param("", "curl -fsS -X POST http://127.0.0.1:17550/heartbeat/", LOCAL, id="as it comes"),
        pytest.param('listen = "[::1]:9"', "curl -fsS -X POST 'http://[::1]:9/heartbeat/", LOCAL, id="IPv6"),
        pytest.param(
            'listen = "0.0.0.0:9"\ntoken_file = "token"',
            "curl -fsS -X POST http://0.0.0.0:9/",
            LOCAL,
            id="every address",
        ),
        pytest.param(
            'listen = "10.0.0.5:9"\ntoken_file = "token"',
            "curl -fsS -X POST http://10.0.0.5:9/",
            None,
            id="one address",
        ),
        pytest.param(
            'listen = "watch.lan:9"\ntoken_file = "token"', "curl -fsS -X POST http://watch.lan:9/", None, id="a name"
        ),
        pytest.param(
            'listen = "127.0.0.1:0"\npublic_url = "https://w.example/$(id)"',
            "curl -fsS -X POST 'https://w.example/$(id)/heartbeat/",
            None,
            id="a path that acts in a shell",
        ),
        pytest.param(
            'public_url = "https://w.example/a%20b"',
            r"curl -fsS -X POST https://w.example/a\%20b/heartbeat/",
            None,
            id="a sign that ends lines in a crontab",
        ),
    ],
)
def test_a_heartbeat_goes_where_the_daemon_hears_it(desk: Desk, server: str, line: str, caution: str | None) -> None:
    desk.configure(f"[server]\n{server}")

    result = desk.type("heartbeat", "web")

    assert (0, line) == (result.exit_code, result.stdout[: len(line)]), result.output
    assert caution is None or caution in result.stderr
    assert (caution is not None) is ("warning: " in result.stderr)


def test_where_nobody_hears_heartbeats_none_is_printed(desk: Desk) -> None:
    desk.configure('[server]\nlisten = "127.0.0.1:0"')
    assert "set a port there, or public_url" in desk.refused("heartbeat", "web")

    desk.configure("")
    desk.watch.market.delete(WEB)
    desk.watch.polls(3 * MINUTE, every=MINUTE)
    assert f"web ({WEB}) of main is gone" in desk.refused("heartbeat", "web")
    assert "there is no resource 'nobody'" in desk.refused("heartbeat", "nobody")


# Deletions


def test_a_deletion_is_approved_for_its_moment(desk: Desk) -> None:
    stored(desk, notified())

    said = desk.said("deletions", "approve", "d1", "--reason", "let it go")

    after = desk.deletion("d1")
    assert said.startswith(f"Approved: web ({WEB}) of main is deleted on 2026-03-04 11:30 UTC unless")
    assert (DeletionState.APPROVED, after.execute_at) == (after.state, after.approved_for)
    assert (f"cli {login_name({})}", "let it go") == (after.history[-1].actor, after.history[-1].reason)
    assert "it is approved since 2026-03-03 12:01 UTC by cli" in desk.refused("deletions", "approve", "d1")


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (deletion(), "no target has accepted its notice yet"),
        (notified(execute_at=None), "no moment is set for it yet"),
        (notified(mode=Mode.OBSERVE), "it was only observed"),
        (notified(state=DeletionState.REQUESTED), "it is requested since"),
    ],
)
def test_what_cannot_be_approved_says_why(desk: Desk, before: Deletion, why: str) -> None:
    stored(desk, before)

    assert why in desk.refused("deletions", "approve", "d1")
    assert before == desk.deletion("d1")


def test_a_veto_stops_a_deletion_and_the_next_ones(desk: Desk) -> None:
    stored(desk, notified())

    said = desk.said("deletions", "veto", "d1", "--reason", f"needed {HOSTILE}")

    assert (
        f"Vetoed: web ({WEB}) of main stays, and is not proposed again for rule unused until it has been active or "
        "2026-03-10 12:01 UTC."
    ) == said
    after = desk.deletion("d1")
    with desk.watch.store.reading() as reading:
        (veto,) = reading.vetoes()
    assert (DeletionState.VETOED, "unused", START + MINUTE + 7 * DAY) == (after.state, veto.rule, veto.until)
    assert "it is vetoed since" in desk.refused("deletions", "veto", "d1")
    assert "Stands: vetoed for rule unused until 2026-03-10 12:01 UTC" in desk.said("explain", "web")
    assert "\x1b" not in desk.said("deletions", "show", "d1")


def test_it_is_too_late_for_a_veto_once_the_call_may_be_sent(desk: Desk) -> None:
    stored(desk, notified(state=DeletionState.EXECUTING))

    assert "deletion d1 cannot be vetoed: it is executing" in desk.refused("deletions", "veto", "d1")
    assert DeletionState.EXECUTING is desk.deletion("d1").state


def test_old_deletions_are_listed_only_where_all_are_asked_for(desk: Desk) -> None:
    long_ago = START - 40 * DAY
    gone = notified(
        "d0",
        state=DeletionState.VERIFIED,
        settled_at=long_ago,
        proposed_at=long_ago,
        next_charge=Decimal("0.30"),
        next_charge_at=START,
        burn_per_day=Decimal("0.30"),
    )
    stored(desk, gone, notified())

    listed = desk.said("deletions")

    assert ("d1" in listed, "d0" in listed) == (True, False)
    assert "1 deletion proven: $0.30 of next charges did not fall" in listed
    assert ["d1", "d0"] == [one["id"] for one in json.loads(desk.said("deletions", "--all", "--json"))["deletions"]]
    assert "there is no deletion 'd7'" in desk.refused("deletions", "show", "d7")


def test_a_restored_database_is_confirmed(desk: Desk) -> None:
    cycles = desk.watch.path.with_name("watch.db.cycles")
    cycles.write_text("999\n")
    assert "deletions confirm" in desk.type("check").stdout

    said = desk.said("deletions", "confirm", "--yes")

    assert said.startswith("Confirmed:")
    assert not desk.watch.store.was_rolled_back()
    assert "nothing to confirm" in desk.said("deletions", "confirm")


def test_confirming_withdraws_what_waits_also_where_no_look_came_before(desk: Desk) -> None:
    under_way = deletion("d3", on=DB, name="db-1", state=DeletionState.EXECUTING, requested_at=START)
    stored(desk, deletion(), notified("d2", identity=Identity("main", TWIN_1)), under_way)
    counted = desk.watch.path.with_name("watch.db.cycles")
    counted.write_text("999\n")

    desk.said("deletions", "confirm", "--yes")

    assert [DeletionState.WITHDRAWN, DeletionState.WITHDRAWN, DeletionState.EXECUTING] == [
        desk.deletion(id).state for id in ("d1", "d2", "d3")
    ]
    assert "restored" in desk.deletion("d2").history[-1].reason


# Messages


def queued(tx: Transaction) -> None:
    tx.enqueue(
        [Draft("k1", "ops", message(f"[WARN] {HOSTILE}"), START), Draft("k2", "old", message(), START)], at=START
    )
    for number in (1, 2):
        tx.settle(number, Attempt(False, "refused"), state=Delivery.DEAD, next_at=START, at=START)


def test_a_message_that_was_given_up_is_tried_again(desk: Desk) -> None:
    with webhook() as hook:
        desk.configure(f'[[targets]]\nname = "ops"\nurl = "json://{hook.address}/"')
        with desk.watch.store.transaction() as tx:
            queued(tx)

        assert [("dead", "refused"), ("dead", "refused")] == [
            (one["state"], one["error"]) for one in json.loads(desk.said("notify", "list", "--json"))["messages"]
        ]
        assert "is queued again" in desk.said("notify", "retry", "1")
        assert "message 1 to ops is queued" in desk.refused("notify", "retry", "1")
        assert "target old, which is no longer configured" in desk.refused("notify", "retry", "2")
        assert "there is no message 9" in desk.refused("notify", "retry", "9")
        with desk.watch.store.reading() as reading:
            assert [1] == [row.number for row in reading.outbox(states=[Delivery.QUEUED])]


def test_a_sample_is_sent_to_each_target_or_to_one(desk: Desk) -> None:
    with webhook() as up, webhook() as down:
        down.status = 403
        desk.configure(
            f'[[targets]]\nname = "ops"\nurl = "json://{up.address}/"\n'
            f'[[targets]]\nname = "mail"\nurl = "json://{down.address}/"\n'
        )

        both = desk.type("notify", "test")

        assert 1 == both.exit_code
        assert ["ok      target ops: it took the sample", "FAILED  target mail: JSON answered 403 Forbidden (ok)"] == [
            line.rstrip() for line in both.stdout.splitlines()
        ]
        (sample,) = up.requests
        assert "[TEST] Fluence CostWatch reaches target ops" == sample.json["title"]
        assert "takes warning and worse of every kind from every account" in sample.json["message"]
        assert 0 == desk.type("notify", "test", "ops").exit_code
        assert (2, 1) == (len(up.requests), len(down.requests))
        assert "there is no target 'nobody'" in desk.type("notify", "test", "nobody").stderr


def test_a_report_is_that_of_a_digest(desk: Desk) -> None:
    desk.watch.advance(DAY)
    desk.watch.poll()

    said = desk.said("report").splitlines()

    assert said[0].startswith("[DIGEST] $2.9816 spent on 3 March, all at 298%")
    assert "Spent on 3 March:" in said
    assert "spent from 23 February to 1 March" in desk.said("report", "--period", "week").splitlines()[0]


# What check says


def test_check_proves_targets_signals_and_deletion_without_sending(desk: Desk) -> None:
    with webhook() as hook, webhook() as exporter:
        exporter.body = exposition().encode()
        desk.configure(
            f'[[targets]]\nname = "ops"\nurl = "json://{hook.address}/"\n'
            '[[targets]]\nname = "bad"\nurl = "nowhere://x"\n'
            f'[signals]\ntimeout = "1s"\nnode_exporter_url = ""\n'
            f'overrides = {{"web" = "{exporter.url}/metrics", "db-1" = "http://127.0.0.1:1/metrics"}}\n'
        )

        result = desk.type("check")

        lines = result.stdout.splitlines()
        assert 3 == result.exit_code
        assert [] == hook.requests
        for line in (
            "ok      budgets: 1 budget",
            "ok      rules: 1 rule, 1 of them may have machines deleted",
            "ok      deletion: mode propose: what a person has approved, 30 min before the next charge, at most 3 in 24 hours; "
            "the daemon also needs --allow-delete",
            "ok      account main, deletion: whether the key may delete cannot be asked of this generation",
            "ok      target ops: takes warning and worse of every kind from every account; `notify test` sends a sample",
            "warning signals, node_exporter: 1 of 5 machines answer",
        ):
            assert line in lines
        assert 1 == sum(line.startswith("FAILED  target bad: its URL ") for line in lines)
        assert 1 == sum("db-1: no answer from 127.0.0.1:1; its verdict is unknown" in line for line in lines)


def test_check_says_that_nobody_is_told(desk: Desk) -> None:
    assert "warning targets: none is configured" in desk.type("check").stdout


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {
                "status": "success",
                "data": {"resultType": "vector", "result": [{"metric": {"host": "web"}, "value": [0, "0.5"]}]},
            },
            ["1 of 5 machines have a series in busy", "db-1: promql: no series of this machine in busy"],
        ),
        ({"status": "error"}, ["busy: Prometheus did not answer the query"]),
    ],
)
def test_check_asks_prometheus_each_query_once(desk: Desk, body: dict[str, Any], said: list[str]) -> None:
    with webhook() as prometheus:
        prometheus.body = json.dumps(body).encode()
        desk.configure(
            '[[rules]]\nname = "asked"\n'
            'when = [{signal = "promql", query = "busy", below = 1, match = "name", label = "host"}]\n'
            f'[signals]\nprometheus_url = "{prometheus.url}"\nnode_exporter_url = ""\n'
            'overrides = {"web" = "http://127.0.0.1:1/metrics"}\n'
        )

        lines = [line for line in desk.type("check").stdout.splitlines() if "signals, Prometheus" in line]

        assert 1 == len(prometheus.requests)
        assert [] == [words for words in said if not any(words in line for line in lines)]


@pytest.mark.parametrize(
    ("scopes", "said"),
    [
        (("vms:read", "vms:write"), "ok      account main, deletion: the key has the scope vms:write"),
        (("vms:read",), "FAILED  account main, deletion: the key lacks the scope vms:write, so it can delete nothing"),
    ],
)
def test_check_asks_what_the_key_that_deletes_may_do(tmp_path: Path, scopes: tuple[str, ...], said: str) -> None:
    with rig(tmp_path / "watch.db", start=START, generation=Generation.CLOUD_V2) as watch:
        watch.market.set_scopes(scopes)
        desk = Desk(watch, tmp_path / "config.toml", {})
        desk.configure("")
        desk.config.write_text(desk.config.read_text().replace("vms-v3", "cloud-v2"))

        lines = desk.type("check").stdout.splitlines()

        assert said in lines
        assert "warning account main, deletion: the key that watches also deletes" in "\n".join(lines)


# What the web serves


def asked(desk: Desk, name: str, reading: Reading, **query: str) -> Any:
    settings = InstalledProgram({})._settings(str(desk.config))
    return answer(
        name,
        settings=settings,
        found={"main": (Generation.VMS_V3,)},
        reading=reading,
        now=desk.watch.now,
        query=query,
    )


@pytest.mark.parametrize(
    "name", ["status", "vms", "spend", "calendar", "budgets", "forecast", "alerts", "idle", "deletions"]
)
def test_the_web_serves_what_the_command_prints(desk: Desk, name: str) -> None:
    stored(desk, notified())
    with desk.watch.store.reading() as reading:
        assert json.loads(desk.said(name, "--json")) == asked(desk, name, reading)


def test_the_web_takes_the_options_of_the_commands(desk: Desk) -> None:
    with desk.watch.store.reading() as reading:
        day = asked(desk, "spend", reading, since="2026-03-03", until="2026-03-04T00:00:00Z", by="day", account="main")
        assert [{"key": "2026-03-03", "name": "2026-03-03", "usd": "1.490800"}] == day["rows"]
        assert [] != asked(desk, "calendar", reading, days="1")["charges"]
        assert 5 == len(asked(desk, "vms", reading, all="1")["resources"])
        assert None is asked(desk, "explain", reading)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("spend", {"since": "yesterday"}),
        ("spend", {"by": "colour"}),
        ("calendar", {"days": "0"}),
        ("calendar", {"days": "seven"}),
        ("vms", {"all": "perhaps"}),
        ("status", {"all": "1"}),
    ],
)
def test_the_web_refuses_options_that_it_does_not_understand(desk: Desk, name: str, query: dict[str, str]) -> None:
    with desk.watch.store.reading() as reading:
        with pytest.raises(UnusableOption):
            asked(desk, name, reading, **query)
        with pytest.raises(UnknownName):
            asked(desk, "spend", reading, account="nowhere")


def test_who_decides_is_known_also_behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)

    assert "root" == login_name({})
    assert "ann as root" == login_name({"SUDO_USER": "ann"})
    assert "root" == login_name({"SUDO_USER": "root"})
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)
    assert "uid 3999999999" == login_name({"SUDO_USER": "ann"})
