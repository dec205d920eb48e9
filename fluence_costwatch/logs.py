"""Log lines for people and machines: `key=value` text, or one JSON object a line. Nothing in them can break the line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# journald reads a priority in front of each line and keeps its own time.
_JOURNAL_PRIORITY: Final = ((logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>"))


def set_up_logging(*, form: str, level: str, under_systemd: bool) -> None:
    """Log to stderr from now on: `form` "text" or "json", or "auto", which is text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(under_systemd=under_systemd))
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    # Libraries log what only their developers need; httpx even logs whole URLs.
    for library in ("httpx", "httpcore", "apscheduler", "uvicorn", "stamina", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # Of turns that are skipped the daemon hears, and tells in its own words.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


def facts(**values: object) -> dict[str, dict[str, object]]:
    """The `extra` of a log call: what the line tells beside its message."""
    return {"facts": values}


def _facts(record: logging.LogRecord) -> dict[str, str]:
    told = getattr(record, "facts", {})
    return {str(key): str(value) for key, value in told.items()}


class TextLines(logging.Formatter):
    """`2026-03-01T17:55:00Z warning message key=value`, one line whatever the values hold."""

    def __init__(self, *, under_systemd: bool) -> None:
        super().__init__()
        self._under_systemd = under_systemd

    def format(self, record: logging.LogRecord) -> str:
        words = [
            record.levelname.lower(),
            record.getMessage(),
            *(f"{k}={_quoted(v)}" for k, v in _facts(record).items()),
        ]
        if record.exc_info:
            words.append(f"traceback={_quoted(self.formatException(record.exc_info))}")
        line = _one_line(" ".join(words))
        if self._under_systemd:
            return next((mark for level, mark in _JOURNAL_PRIORITY if record.levelno >= level), "<7>") + line
        return f"{_instant(record)} {line}"


class JsonLines(logging.Formatter):
    """One JSON object a line with `time`, `level`, `message` and the facts."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {"time": _instant(record), "level": record.levelname.lower(), "message": record.getMessage()}
        entry.update(_facts(record))
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _instant(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _quoted(value: str) -> str:
    return value if value and value.isprintable() and not set(value) & set(' "=') else json.dumps(value)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
