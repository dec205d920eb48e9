"""The one helper that waits: everything else in the tests passes time in as a value."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], *, within: float = 10.0, every: float = 0.05) -> T:
    """The first truthy answer of `check`, asked again and again for `within` seconds.

    An exception of `check` counts as "not yet"; the last one is raised when time runs out, else AssertionError.
    """
    deadline = time.monotonic() + within
    while True:
        error: Exception | None = None
        try:
            answer = check()
            if answer:
                return answer
        except Exception as exc:  # "not yet" is whatever the check says it is; the last one is raised below
            error = exc
        if time.monotonic() >= deadline:
            raise error or AssertionError(f"still not so after {within} s")
        time.sleep(every)
