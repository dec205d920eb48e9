"""A simulated Fluence marketplace over real HTTP, with its own truth of what was billed.

It shares no code with the rest of the package, so that its books can prove the ledger right.
"""

from __future__ import annotations

from .demo import demo_paces, demo_script
from .exporters import exporters
from .inbox import inbox, press_button
from .options import AccountOptions, Options
from .script import Script, ScriptError, read_script, read_script_file
from .server import Simulator, serve

__all__ = [
    "AccountOptions",
    "Options",
    "Script",
    "ScriptError",
    "Simulator",
    "demo_paces",
    "demo_script",
    "exporters",
    "inbox",
    "press_button",
    "read_script",
    "read_script_file",
    "serve",
]
