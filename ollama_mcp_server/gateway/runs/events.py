"""Server-sent events of our own routes, written as they happen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..plain.outcomes import encoded
from ..traffic.outlet import Intake, Outlet, answer

#: The headers of a stream, which no proxy should keep back.
SSE = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Streamed(Response):
    """A response that is written by and by."""

    def __init__(self, intake: Intake, work: Callable[[Outlet], Awaitable[None]]) -> None:
        super().__init__()
        self._intake = intake
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; an error before its beginning becomes the answer."""
        await answer(scope, self._intake, send, self._work)


def frame(name: str, data: dict[str, Any]) -> bytes:
    """Return a server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encoded(data))
