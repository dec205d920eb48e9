"""The dead man's switch: whoever waits for a ping after each good cycle notices when there is nobody left to tell anything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

from fluence_costwatch.errors import CostwatchError
from fluence_costwatch.http_client import HttpClient, HttpFailure
from fluence_costwatch.notify.redaction import Redaction


def ping(url: str, *, clock: Callable[[], datetime], deadline: timedelta = timedelta(seconds=10)) -> str | None:
    """Ask for the secret `url` once. None where it was answered with success, else why not, without the URL. Never raises."""
    try:
        with closing(HttpClient("", {}, clock=clock, connect_timeout=deadline / 2, deadline=deadline)) as client:
            client.send("GET", url, accept="*/*", called="The dead man's ping")
    except HttpFailure as exc:
        return Redaction(url).quote(str(exc))
    except CostwatchError:
        return "No connection for the dead man's ping can be set up: check the proxies of the environment"
    return None
