"""What goes over the wire: requests, answers, refusals, and which paths there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

JSON: TypeAlias = "dict[str, Any]"
#: JSON to send, raw text to send, a pause in seconds, or what makes one of these of the request.
Part: TypeAlias = "JSON | str | bytes | float | Callable[[Request], Part]"


@dataclass(eq=False)
class Request:
    """A received request; `closed_early`: its client left before the end of the answer."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes = b""
    body: Any = None
    closed_early: bool = False
    done: bool = False


@dataclass(frozen=True)
class Answer:
    """What goes back: `delay` in seconds before the status line, `cut` for no proper end."""

    parts: Sequence[Part] = ()
    kind: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False


class Refused(Exception):
    """The daemon's refusal: an HTTP status and the text of `{"error": …}`."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.body = status, {"error": error}


def demand(good: object, error: str, status: int = 400) -> None:
    """Raise `Refused` unless `good`."""
    if not good:
        raise Refused(status, error)


WHOLE, BARE, LINES = "application/json; charset=utf-8", "application/json", "application/x-ndjson"
STREAMED = ("/api/chat", "/api/generate", "/api/create", "/api/pull", "/api/push")
METHODS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("/", "/api/version", "/api/tags"), ("HEAD", "GET")),
    **dict.fromkeys(("/api/status", "/api/ps"), ("GET",)),
    **dict.fromkeys(STREAMED, ("POST",)),
    **dict.fromkeys(("/api/embed", "/api/embeddings", "/api/show", "/api/copy"), ("POST",)),
    "/api/me": ("POST",),
    "/api/delete": ("DELETE",),
}
