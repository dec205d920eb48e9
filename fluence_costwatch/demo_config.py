"""The configuration that the demo writes for itself: all spans follow the length of its epoch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from fluence_costwatch.config import format_duration

KEY: Final = "demo-key"
ACCOUNT: Final = "demo"

_SECOND: Final = timedelta(seconds=1)
_SHORTEST_INTERVAL: Final = 2 * _SECOND
# What an epoch of a day would have: a demo with long epochs is watched as a real account is.
_LONGEST_INTERVAL: Final = timedelta(minutes=5)
_LONGEST_STALE_AFTER: Final = timedelta(minutes=15)
_LONGEST_MARGIN: Final = timedelta(minutes=30)
_LONGEST_NOTICE: Final = timedelta(hours=2)
_LONGEST_SUSPICIOUS: Final = timedelta(minutes=30)
_LONGEST_PROOF: Final = timedelta(hours=1)
# Dollars for each epoch of a day; the machine that the demo rents for training costs 4.752 an epoch.
_TRAINING_LIMIT: Final = 3
_DAY: Final = timedelta(days=1)

_CONFIGURATION: Final = """\
# Written by `fluence-costwatch demo`. All spans follow the length of its epoch; config.example.toml explains every key.
[poll]
interval = "{interval}"
confirm_suspicious = "{confirm_suspicious}"

[epoch]
length = "{epoch}"

[alerts]
stale_after = "{stale_after}"

[database]
url = "sqlite:///{folder}/costwatch.db"

[server]
listen = "{address}"
public_url = "http://{address}"

[[accounts]]
name = "{account}"
generation = "vms-v3"
api_url = "{market_url}"
api_key_file = "api_key"

# The terminal of the demo: whatever is posted to this address is printed there.
[[targets]]
name = "terminal"
url = "json://{chat}/"
min_severity = "info"

[[budgets]]
name = "fleet"
limit = "40.00"
window = "total"

[[budgets]]
name = "training"
limit = "{training_limit}"
window = "30d"
select = {{name = "model-*"}}

# Each machine has a node_exporter, which the demo simulates.
[signals]
node_exporter_url = "{exporters_url}/{{name}}/metrics"

[[rules]]
name = "idle"
when = [{{signal = "cpu", below = 0.03}}, {{signal = "network", below = 2048}}]
for = "{idle_for}"
min_age = "{idle_for}"
action = "delete"

[deletion]
mode = "execute"
margin = "{margin}"
min_notice = "{min_notice}"
verify_within = "{verify_within}"
protect = {{names = ["db-*", "postgres-*"]}}
"""


@dataclass(frozen=True, slots=True)
class Tempo:
    """The spans of a demo with epochs of a given length, in whole seconds as a configuration has them."""

    epoch: timedelta

    @property
    def interval(self) -> timedelta:
        """Ten looks an epoch, in short ones fewer: a busy machine must not fall behind."""
        return max(self._part(10, at_most=_LONGEST_INTERVAL), _SHORTEST_INTERVAL)

    @property
    def idle_for(self) -> timedelta:
        """Idle for as long as an epoch: what nobody used in all the time that one charge paid for."""
        return self.epoch

    @property
    def margin(self) -> timedelta:
        """How long before its next charge a machine goes."""
        return self._part(5, at_most=_LONGEST_MARGIN)

    @property
    def min_notice(self) -> timedelta:
        """How long before that its owner hears of it."""
        return self._part(4, at_most=_LONGEST_NOTICE)

    @property
    def training_limit(self) -> int:
        """Dollars for training, which one machine exceeds within a day, though not within its short life."""
        return max(_DAY // self.epoch, 1) * _TRAINING_LIMIT

    def _part(self, parts: int, *, at_most: timedelta) -> timedelta:
        return min(max(_SECOND, round(self.epoch / parts / _SECOND) * _SECOND), at_most)


def write_configuration(
    folder: Path, *, tempo: Tempo, address: str, market_url: str, chat_url: str, exporters_url: str
) -> Path:
    """Put key and configuration into `folder`, which is made where it is missing; returns the configuration's path.

    `address` is where the daemon serves, as HOST:PORT.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, config, epoch = folder / "api_key", folder / "config.toml", tempo.epoch
    for file in (key, config):
        file.touch()
        file.chmod(0o600)  # an address of a target counts as a secret
    key.write_text(f"{KEY}\n")
    config.write_text(
        _CONFIGURATION.format(
            interval=format_duration(tempo.interval),
            epoch=format_duration(epoch),
            confirm_suspicious=format_duration(min(epoch, _LONGEST_SUSPICIOUS)),
            stale_after=format_duration(min(epoch, _LONGEST_STALE_AFTER)),
            idle_for=format_duration(tempo.idle_for),
            margin=format_duration(tempo.margin),
            min_notice=format_duration(tempo.min_notice),
            verify_within=format_duration(min(epoch, _LONGEST_PROOF)),
            training_limit=f"{tempo.training_limit}.00",
            folder=folder,
            address=address,
            account=ACCOUNT,
            market_url=market_url,
            chat=chat_url.partition("://")[2],
            exporters_url=exporters_url,
        )
    )
    return config
