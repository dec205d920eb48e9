"""One metric family from its values, with whatever texts its labels hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from fluence_costwatch.core.money import Usd

LabelTexts = TypeVar("LabelTexts", bound=tuple[str, ...])

PREFIX: Final = "fluence_costwatch_"
RESOURCE: Final = ("account", "resource_id")
"""The labels of what belongs to one resource; its name is in resource_info."""


def gauge(name: str, help_text: str, labels: tuple[str, ...], values: Mapping[LabelTexts, float]) -> Metric:
    """A gauge with one sample for each of `values`."""
    family = GaugeMetricFamily(PREFIX + name, help_text, labels=labels)
    for texts, value in values.items():
        family.add_metric([_sendable(text) for text in texts], value)
    return family


def counter(name: str, help_text: str, labels: tuple[str, ...], values: Mapping[LabelTexts, float]) -> Metric:
    """A counter with one sample for each of `values`; `name` is without its `_total`."""
    family = CounterMetricFamily(PREFIX + name, help_text, labels=labels)
    for texts, value in values.items():
        family.add_metric([_sendable(text) for text in texts], value)
    return family


def dollars(amount: Usd) -> float:
    """An exact amount as the float that an exposition takes."""
    return float(amount.dollars)


def _sendable(text: str) -> str:
    """`text` with halves of surrogate pairs replaced: JSON may hold them, UTF-8 may not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
