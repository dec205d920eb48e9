"""The demo: the real daemon on the simulated marketplace, with epochs of seconds, and a line for whatever it charges."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Final

from fluence_costwatch.config import format_duration, load
from fluence_costwatch.core.history import Charge
from fluence_costwatch.core.money import Usd, total
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.daemon import Daemon, system_clock
from fluence_costwatch.errors import UnusableOption
from fluence_costwatch.logs import set_up_logging
from fluence_costwatch.ports import ChargeRecord, Reading
from fluence_costwatch.simulator import AccountOptions, Options, Simulator, demo_script
from fluence_costwatch.store import open_store

SHORTEST_EPOCH: Final = timedelta(seconds=5)
POLLS_PER_EPOCH: Final = 10
KEY: Final = "demo-key"

CONFIGURATION: Final = """\
# Written by `fluence-costwatch demo`.
[poll]
interval = "{interval}"
confirm_suspicious = "{epoch}"

[epoch]
length = "{epoch}"

[alerts]
stale_after = "{epoch}"

[database]
url = "sqlite:///{folder}/costwatch.db"

[server]
listen = "{host}:{port}"

[[accounts]]
name = "demo"
generation = "vms-v3"
api_url = "{url}"
api_key_file = "api_key"
"""


class Narrator:
    """A display for the terminal: says what was charged since it was last shown something."""

    def __init__(self) -> None:
        self._told: set[tuple[str, datetime, str]] = set()

    def show(self, reading: Reading, *, now: datetime) -> None:
        """Print a line for every new row of the ledger, and one with the sum."""
        records = list(reading.charges())
        news = [record for record in records if _key(record.charge) not in self._told]
        for record in news:
            self._told.add(_key(record.charge))
            print(_line(record), flush=True)
        if news:
            summed = total(record.charge.amount for record in records)
            print(f"{now:%H:%M:%S}  the ledger holds {len(records)} charges, {summed} USD", flush=True)


def _key(charge: Charge) -> tuple[str, datetime, str]:
    return charge.identity.id, charge.span.start, charge.reason


def _line(record: ChargeRecord) -> str:
    charge = record.charge
    name = printable(record.name or charge.identity.id, limit=24)
    epoch = f"{charge.span.start:%H:%M:%S}-{charge.span.end:%H:%M:%S}"
    return f"{charge.span.start:%H:%M:%S}  {name:<24} {_amount(charge.amount):>10} USD  epoch {epoch}, {charge.basis}"


def _amount(amount: Usd) -> str:
    return str(amount)


def run_demo(
    *,
    host: str,
    port: int,
    epoch: timedelta,
    duration: timedelta | None,
    directory: Path | None,
    environ: Mapping[str, str],
) -> None:
    """Be the daemon on a simulated marketplace until interrupted, or for `duration`.

    Configuration and database lie in `directory`, else in a temporary folder that goes with the demo.
    """
    if epoch < SHORTEST_EPOCH:
        raise UnusableOption(f"--epoch: the demo needs at least {format_duration(SHORTEST_EPOCH)}")
    with ExitStack() as stack:
        folder = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fluence-costwatch-demo-")))
        folder = folder.resolve()
        market = stack.enter_context(
            Simulator(
                Options(
                    accounts=(AccountOptions("demo", (KEY,), balance="100"),),
                    epoch=epoch,
                    # The script changes things in the middle of these epochs, so none of its changes is uncertain.
                    policy="global",
                    script=demo_script(),
                )
            )
        )
        config = _write_configuration(folder, host=host, port=port, epoch=epoch, url=market.url)
        settings = load(str(config), environ=environ)
        set_up_logging(form="text", level="warning", under_systemd=False)
        store = stack.enter_context(open_store(settings.database.path, now=system_clock()))
        if duration is not None:
            ending = Timer(duration.total_seconds(), os.kill, args=(os.getpid(), signal.SIGTERM))
            ending.daemon = True
            ending.start()
            stack.callback(ending.cancel)
        Daemon(
            settings,
            store=store,
            reload=lambda: load(str(config), environ=environ),
            environ=environ,
            displays=(Narrator(),),
            on_listening=lambda *address: _say_where_to_look(config, market.url, *address, epoch=epoch),
        ).run()


def _write_configuration(folder: Path, *, host: str, port: int, epoch: timedelta, url: str) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = folder / "api_key"
    key.touch(mode=0o600)
    key.write_text(f"{KEY}\n")
    config = folder / "config.toml"
    interval = timedelta(seconds=max(1, round(epoch / POLLS_PER_EPOCH / timedelta(seconds=1))))
    config.write_text(
        CONFIGURATION.format(
            interval=format_duration(interval),
            epoch=format_duration(epoch),
            folder=folder,
            host=f"[{host}]" if ":" in host else host,
            port=port,
            url=url,
        )
    )
    return config


def _command_as_called() -> str:
    """What to type for this command from the present folder."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{sys.executable} -m fluence_costwatch"
    if shutil.which(called.name) == str(called):
        return called.name
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def _say_where_to_look(config: Path, market: str, host: str, port: int, *, epoch: timedelta) -> None:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = f"{_command_as_called()} --config {shlex.quote(str(config))}"
    print(
        f"""\
A simulated Fluence marketplace answers at {market}, with epochs of {format_duration(epoch)}.
CostWatch watches it. In another terminal, try

    {command} vms
    {command} spend
    {command} status
    curl http://{address}/metrics

Ctrl-C ends the demo.
""",
        flush=True,
    )
