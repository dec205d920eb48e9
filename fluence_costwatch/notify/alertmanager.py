"""Alertmanager as one more place that is told: whoever has one keeps routing, silences and on-call there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.untrusted import printable
from fluence_costwatch.errors import CostwatchError
from fluence_costwatch.http_client import HttpClient, HttpFailure
from fluence_costwatch.notify.redaction import Redaction

_PATH: Final = "/api/v2/alerts"


class Alertmanager:
    """One Alertmanager, spoken to through its API v2.

    An alert that fires is said to end after `hold` unless it is told again by then: what died cannot say that all is well.
    `public_url` is where the link in an alert leads.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime],
        hold: timedelta = timedelta(minutes=20),
        public_url: str | None = None,
        deadline: timedelta = timedelta(seconds=10),
    ) -> None:
        self._url = url
        self._clock = clock
        self._hold = hold
        self._public_url = public_url
        self._deadline = deadline

    def __repr__(self) -> str:
        return "<Alertmanager>"

    def tell(self, alerts: Iterable[Alert], *, now: datetime) -> str | None:
        """Tell it of `alerts`, those that fire and those that have just ended; pending ones are left out.

        None where it took them, else why it did not. Never raises.
        """
        told = [self._posted(alert, now=now) for alert in alerts if alert.state is not AlertState.PENDING]
        if not told:
            return None
        try:
            with closing(
                HttpClient(
                    self._url, {}, clock=self._clock, connect_timeout=self._deadline / 2, deadline=self._deadline
                )
            ) as client:
                client.send("POST", _PATH, content=told, called="POST to Alertmanager")
        except HttpFailure as exc:
            return Redaction(self._url).quote(str(exc))
        except CostwatchError:
            return "No connection to Alertmanager can be set up: check its URL and the proxies of the environment"
        return None

    def _posted(self, alert: Alert, *, now: datetime) -> dict[str, object]:
        labels = {
            "alertname": "".join(word.capitalize() for word in alert.kind.split("_")),
            "severity": str(alert.severity),
            "account": alert.account,
            "resource_id": alert.resource_id or "",
            "rule": alert.rule,
        }
        ends_at = (alert.resolved_at or now) if alert.state is AlertState.RESOLVED else now + self._hold
        description = " ".join(filter(None, (alert.means, alert.advice, alert.resolved_because)))
        posted: dict[str, object] = {
            # To Alertmanager an empty label is none.
            "labels": {name: printable(value) for name, value in labels.items() if value},
            "annotations": {
                "summary": printable(alert.summary),
                **({"description": printable(description)} if description else {}),
            },
            # Alertmanager refuses what ends before it starts, as after a clock was set back.
            "startsAt": _stamp(min(alert.fired_at or alert.since, ends_at)),
            "endsAt": _stamp(ends_at),
        }
        if self._public_url:
            posted["generatorURL"] = self._public_url
        return posted


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
