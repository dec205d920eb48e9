"""What the health endpoints say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """Why the daemon is not healthy or not ready; None where it is. One line each, safe to print."""

    unhealthy: str | None = None
    unready: str | None = None
