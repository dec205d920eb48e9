"""Whether an alert is silenced: kept as ever, but not told (`design.md` section 2)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fluence_costwatch.core.alerts.alert import Alert, Silence

NAMED_IN_FACTS = ("rule", "budget")
"""The facts of an alert that hold the configured name of what it is about, where its rule says more than that."""


def is_silenced(alert: Alert, silences: Iterable[Silence], *, now: datetime) -> bool:
    """Whether any of `silences` matches `alert` and goes on beyond `now`."""
    return silence_of(alert, silences, now=now) is not None


def silence_of(alert: Alert, silences: Iterable[Silence], *, now: datetime) -> Silence | None:
    """Of the silences that match `alert` now, the one that lasts longest."""
    matching = (one for one in silences if now < one.until and matches(one, alert))
    return max(matching, key=lambda one: one.until, default=None)


def matches(silence: Silence, alert: Alert) -> bool:
    """Whether `silence` is about `alert`, whenever that is. One that names nothing is about nothing.

    A rule is known by what the alert calls its rule, or by the name of the rule or budget among its facts: the rule of
    a budget's alert also names its window, limit and threshold.
    """
    if silence.alert is not None:
        return silence.alert == alert.fingerprint
    if silence.resource_id is not None:
        return alert.resource_id == silence.resource_id.lower() and silence.account in (None, alert.account)
    if silence.rule is not None:
        names = {value for key, value in alert.facts if key in NAMED_IN_FACTS}
        return silence.rule == alert.rule or silence.rule in names
    return silence.account is not None and silence.account == alert.account
