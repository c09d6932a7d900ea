"""Logs as lines of JSON, each with the id of its request; no key or query is in them."""

from __future__ import annotations

import json
import logging
import re
import traceback
from datetime import datetime, timezone
from typing import Any

from .live import VISIT

#: One line of it for every request.
access = logging.getLogger("ollama_mcp_server.gateway")

#: What stands after the name of a secret, wherever a library writes it.
_SECRETS = (
    (re.compile(r"\b(omcp_|sk-)[\w-]{8,}"), r"\1…"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), r"\1 …"),
    (re.compile(r"(?i)\b(x-api-key|api[_-]?key|token|password|secret)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",&]+"), r"\1\2…"),  # noqa: E501
    (re.compile(r"(https?://)[^\s/@]+@"), r"\1…@"),
    (re.compile(r"(\s/[^\s?]*|https?://[^\s?]+)\?\S+"), r"\1?…"),
)  # fmt: skip
#: Characters of a message; what is longer may be somebody's text.
LONGEST = 1000


class Lines(logging.Formatter):
    """Makes a line of JSON of each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        when = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": cleaned(record.getMessage()),
        }
        if (visit := VISIT.get()) is not None:
            line["request_id"] = visit.id
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = stack_of(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def log_lines(level: str) -> None:
    """Let the process log lines of JSON to stderr from now on."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Lines())
    access.setLevel(level.upper())


def cleaned(message: str) -> str:
    """Return a message without secrets, and not too long."""
    if len(message) > LONGEST:
        message = f"{message[:LONGEST]}…"
    return unsigned(message)


def unsigned(message: str) -> str:
    """Return a text without what looks like a secret."""
    for pattern, instead in _SECRETS:
        message = pattern.sub(instead, message)
    return message


def stack_of(error: BaseException) -> list[str]:
    """Return where an error came from: kinds and places, for its words may quote a prompt."""
    told: list[str] = []
    link: BaseException | None = error
    while link is not None and len(told) < 40:
        told.append(type(link).__qualname__)
        told += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(link.__traceback__)[-12:]
        ]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return told
