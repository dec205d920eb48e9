"""Programs that tests need beside Python, and where to get them."""

from __future__ import annotations

import shutil

import pytest

DEBIAN_PACKAGES = (
    ("git", "git"),
    ("make", "make"),
    ("prometheus", "prometheus"),
    ("prometheus-node-exporter", "prometheus-node-exporter"),
    ("promtool", "prometheus"),
    ("systemd-analyze", "systemd"),
)


def tool(name: str) -> str:
    """The path of a program; where it is missing the test is skipped, naming the Debian package that has it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; it is in Debian's package {dict(DEBIAN_PACKAGES)[name]}")
    return found
