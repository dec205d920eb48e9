"""How findings name what they are about, and what is common to all that are recomputed from what is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from fluence_costwatch.core.alerts.alert import Alert, AlertState
from fluence_costwatch.core.alerts.findings import Judged
from fluence_costwatch.core.known import KnownResource
from fluence_costwatch.core.messages.wording import instant, label
from fluence_costwatch.core.resources import Kind

_WORDS: Final = {Kind.VM: "Machine", Kind.STORAGE: "Disk", Kind.PUBLIC_IP: "Address"}

COMMAND: Final = "fluence-costwatch"


def subject_of(record: KnownResource) -> str:
    """ "Machine 'web' (0xa1)"; what has no name goes by its id alone."""
    resource = record.resource
    word = _WORDS.get(resource.kind, "GPU instance")
    id = label(None, id=resource.id)
    return f"{word} {id}" if not resource.name else f"{word} '{label(resource.name, id=resource.id)}' ({id})"


def in_sentence(record: KnownResource) -> str:
    """The subject within a sentence: "machine 'web' (0xa1)"."""
    subject = subject_of(record)
    return subject if subject.startswith("GPU") else subject[0].lower() + subject[1:]


def moment_text(moment: datetime) -> str:
    """An instant within the sentence of a finding: "2026-03-01 17:55 UTC"."""
    return instant(moment, zone=UTC)


def open_of(alerts: Iterable[Alert], *kinds: str) -> list[Alert]:
    """The alerts of these kinds that are not resolved."""
    return [alert for alert in alerts if alert.kind in kinds and alert.state is not AlertState.RESOLVED]


def together(parts: Iterable[Judged]) -> Judged:
    """All that was judged in `parts`."""
    parts = list(parts)
    return Judged(
        findings=tuple(finding for part in parts for finding in part.findings),
        endings=tuple(ending for part in parts for ending in part.endings),
    )
