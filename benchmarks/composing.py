"""How long it takes to make messages of many findings at once: `python -m benchmarks.composing [FINDINGS]`.

The floor is to write one line for each of them, as the plainest message would.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from benchmarks.decode import best_of
from fluence_costwatch.core.alerts.alerting import AlertStep, next_alerts
from fluence_costwatch.core.alerts.findings import Finding, Judged, Severity, Telling
from fluence_costwatch.core.messages.composing import compose
from fluence_costwatch.core.messages.context import Context
from fluence_costwatch.core.messages.outbox import Draft, Route

NOW = datetime(2025, 11, 15, 12, 0, tzinfo=UTC)
ROUTES = (Route("ops", min_severity=Severity.INFO), Route("pager", min_severity=Severity.CRITICAL))
SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.WARNING, Severity.CRITICAL)


def finding(number: int) -> Finding:
    """A machine that does nothing."""
    return Finding(
        kind="idle",
        severity=SEVERITIES[number % len(SEVERITIES)],
        account="main",
        resource_id=f"0x{number:040x}",
        rule="idle",
        name=f"etl-{number}",
        summary=f"'etl-{number}' has been idle since 2025-11-14 12:00 UTC: cpu below 3%.",
        means="$0.30697 was spent since then.",
        advice="Delete it before it costs more, unless it is needed.",
        telling=Telling.STATE,
    )


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    judged = Judged(tuple(finding(number) for number in range(many)))

    def alerts() -> AlertStep:
        return next_alerts((), judged, (), repeat=timedelta(hours=24), now=NOW)

    events = alerts().events

    def messages() -> tuple[Draft, ...]:
        return compose(events, routes=ROUTES, quiet=None, context=Context(UTC), now=NOW)

    def lines() -> str:
        return "\n".join(
            f"[{event.alert.severity}] {event.alert.summary} (since {event.alert.since:%Y-%m-%d %H:%M} UTC)"
            for event in events
        )

    assert len(messages()) == len(ROUTES)
    assert len(events) == len(lines().splitlines()) == many
    turned, composed, floor = best_of(alerts), best_of(messages), best_of(lines)
    print(
        f"{many} findings: alerts {turned * 1000:.1f} ms, messages for {len(ROUTES)} targets {composed * 1000:.1f} ms, a "
        f"line for each {floor * 1000:.1f} ms, ratios {turned / floor:.1f} and {composed / floor:.1f}"
    )


if __name__ == "__main__":
    main()
