"""Every request, seen from outside: its id, a line in the log, the figures, the trace."""

from __future__ import annotations

import logging
import re
import secrets
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..access.scopes import ROUTES
from . import tracing
from .live import VISIT, Visit
from .logs import access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .metrics import Metrics

#: An id that a client gives, if it is one that may stand in a log.
SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
#: What is counted for routes that there are not, and for methods that are none.
NOWHERE, NO_METHOD = "other", "OTHER"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
#: The status in logs and figures of an answer that its client did not wait for.
LEFT = 499
#: Characters of a path in the log.
LONGEST = 200


class Seen:
    """ASGI middleware, the outermost: whoever is refused is seen too."""

    def __init__(self, app: ASGIApp, metrics: Metrics, mcp: str = "/mcp") -> None:
        """See the requests to an app; `mcp` is the path of the MCP endpoint."""
        self.app = app
        self._metrics = metrics
        self._mcp = mcp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the request's id in the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        method = scope["method"] if scope["method"] in METHODS else NO_METHOD
        route = route_of(scope["path"], self._mcp)
        visit = Visit(id_of(headers), route, time.monotonic())
        scope.setdefault("state", {})["request_id"] = visit.id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
                message["headers"] = [*given, (b"x-request-id", visit.id.encode())]
            await send(message)

        live = self._metrics.live
        shown = method == "POST"
        before = VISIT.set(visit)
        if shown:
            live.visits.add(visit)
        failed = True
        try:
            with tracing.request(method, route, headers, mcp=route == self._mcp) as span:
                try:
                    await self.app(scope, receive, answer)
                    failed = False
                finally:
                    status = status or (500 if failed else LEFT)
                    tracing.answered(span, status)
        finally:
            visit.is_over = True
            live.visits.discard(visit)
            seconds = time.monotonic() - visit.since
            self._metrics.answered(method, route, status, seconds)
            log(scope, visit, method, status, seconds)
            VISIT.reset(before)


def log(scope: Scope, visit: Visit, method: str, status: int, seconds: float) -> None:
    """Write the request's one line; one that is our fault is a warning."""
    level = logging.WARNING if status >= 500 else logging.INFO
    if not access.isEnabledFor(level):
        return
    path = scope["path"][:LONGEST]
    caller = scope["state"].get("caller")
    told: dict[str, Any] = {
        "method": method,
        "path": path,
        "route": visit.route,
        "status": status,
        "seconds": round(seconds, 4),
        "caller": caller and caller.name,
        "client": (scope.get("client") or [None])[0],
        "model": visit.model,
        "tokens": visit.tokens or None,
    }
    fields = {name: value for name, value in told.items() if value is not None}
    access.log(level, "%s %s %s", method, path, status, extra={"fields": fields})


def id_of(headers: Mapping[str, str]) -> str:
    """Return the request's id: as the client gives it, if that is sane, else a new one."""
    given = headers.get("x-request-id", "")
    return given if SANE.fullmatch(given) else secrets.token_hex(8)


def route_of(path: str, mcp: str) -> str:
    """Return which of the known routes a path is of, so that nobody can invent others."""
    if path == mcp:
        return mcp
    return next((route for route, pattern in _patterns() if pattern.fullmatch(path)), NOWHERE)


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(route, compile_path(route)[0]) for _, route, _ in ROUTES]
