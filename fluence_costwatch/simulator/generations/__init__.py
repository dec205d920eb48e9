"""The generations of the API that the marketplace speaks: one module each, found here by name."""

from __future__ import annotations

from ..wire import Route
from . import cloud_v2, gpu, vms_v2, vms_v3

ROUTES: dict[str, tuple[Route, ...]] = {
    "vms-v2": vms_v2.ROUTES,
    "vms-v3": vms_v3.ROUTES,
    "cloud-v2": cloud_v2.ROUTES,
    "gpu": gpu.ROUTES,
}
