"""`python -m fluence_costwatch.simulator`: a marketplace as a process of its own; prints its URL when ready."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import time, timedelta
from pathlib import Path

from .demo import demo_script
from .options import (
    ALL_GENERATIONS,
    AUTHS,
    DELETE_BODIES,
    FLAVOURS,
    GENERATIONS,
    NOT_FOUNDS,
    POLICIES,
    SPECS,
    AccountOptions,
    Options,
)
from .script import Script, parse_instant, read_script_file
from .server import Simulator, serve


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        options = _options(given)
    except ValueError as exc:
        parser.error(str(exc))
    try:
        serve(options, on_ready=_announce)
    except OSError as exc:
        print(f"cannot listen on port {options.port}: {exc}", file=sys.stderr)
        return 1
    return 0


def _announce(simulator: Simulator) -> None:
    print(simulator.url, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fluence_costwatch.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--epoch", type=float, default=86400, metavar="SECONDS")
    parser.add_argument("--anchor", type=time.fromisoformat, default=time(17, 55), metavar="HH:MM[:SS]")
    parser.add_argument("--policy", choices=POLICIES, default="global")
    parser.add_argument("--flavour", choices=FLAVOURS, default="seed", help="what GET /vms/v2 looks like")
    parser.add_argument("--delete-body", choices=DELETE_BODIES, default="both")
    parser.add_argument("--delete-latency", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--launch-time", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--listing-delay", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--charge-delay", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--next-billing-wobble", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--auth", choices=AUTHS, default="both")
    parser.add_argument("--generation", action="append", choices=ALL_GENERATIONS, help="default: vms-v2 and vms-v3")
    parser.add_argument("--spec", choices=SPECS, default="0.10", help="which specification cloud-v2 follows")
    parser.add_argument("--hide-prices", action="store_true", help="in cloud-v2 only the price lists tell")
    parser.add_argument("--page-size", type=int, default=20)
    parser.add_argument("--charges-lag", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--debt-rules", action="store_true", help="unpaid debt removes what is billed by time")
    parser.add_argument("--not-found", choices=NOT_FOUNDS, default="json")
    parser.add_argument("--script", metavar="FILE", help="a JSON file, or 'demo' for the built-in one")
    parser.add_argument("--key", action="append", metavar="[ACCOUNT=]KEY", help="default: main=demo-key")
    parser.add_argument("--balance", default="1000", help="dollars on each account at the start")
    parser.add_argument("--start", type=parse_instant, metavar="INSTANT", help="where the clock starts; default: now")
    parser.add_argument("--hold", action="store_true", help="the clock stands still until told otherwise")
    return parser


def _options(given: argparse.Namespace) -> Options:
    return Options(
        port=given.port,
        accounts=_accounts(given.key or ["demo-key"], balance=given.balance),
        start=given.start,
        held=given.hold,
        epoch=timedelta(seconds=given.epoch),
        policy=given.policy,
        anchor=given.anchor,
        flavour=given.flavour,
        delete_body=given.delete_body,
        delete_latency=timedelta(seconds=given.delete_latency),
        launch_time=timedelta(seconds=given.launch_time),
        listing_delay=timedelta(seconds=given.listing_delay),
        charge_delay=timedelta(seconds=given.charge_delay),
        next_billing_wobble=timedelta(seconds=given.next_billing_wobble),
        auth=given.auth,
        generations=tuple(given.generation or GENERATIONS),
        spec=given.spec,
        prices_shown=not given.hide_prices,
        page_size=given.page_size,
        charges_lag=timedelta(seconds=given.charges_lag),
        debt_rules=given.debt_rules,
        not_found=given.not_found,
        script=_script(given.script),
    )


def _accounts(words: Sequence[str], *, balance: str) -> tuple[AccountOptions, ...]:
    keys: dict[str, tuple[str, ...]] = {}
    for word in words:
        name, equals, key = word.rpartition("=")
        account = name if equals else "main"
        keys[account] = (*keys.get(account, ()), key)
    return tuple(AccountOptions(name, own, balance) for name, own in keys.items())


def _script(word: str | None) -> Script:
    if word is None:
        return Script()
    return demo_script() if word == "demo" else read_script_file(Path(word))


if __name__ == "__main__":
    sys.exit(main())
