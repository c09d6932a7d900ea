"""Streams of events that are silent for long: a sign of life, so that nobody on the way gives up.

A model may take minutes to load, and a tool to answer; proxies and clients close what says nothing
for one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from ...errors import OllamaMCPError
from ..errors import dialect_of
from ..traffic.outlet import Outlet
from .events import SSE

if TYPE_CHECKING:
    from ...daemon.relay import Headers

#: Seconds of silence after which there is a sign.
BEAT = 15.0
#: What every reader of events passes over; and what Anthropic's own servers send.
COMMENT = b": still at it\n\n"
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
#: How a piece ends between two events.
_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


def kept_alive(outlet: Outlet, path: str, *, streams: bool) -> AbstractAsyncContextManager[Outlet]:
    """Return an outlet for an answer that shows signs of life; what does not stream shows none.

    Args:
        outlet: where the answer goes.
        path: of the request, whose API says what a sign and an error look like.
        streams: whether a stream of events is asked for.
    """
    return _beating(outlet, path) if streams else nullcontext(outlet)


@asynccontextmanager
async def _beating(outlet: Outlet, path: str) -> AsyncIterator[Outlet]:
    alive = Alive(outlet, path)
    beating = asyncio.create_task(alive.beat(BEAT))
    try:
        yield alive
    finally:
        beating.cancel()
        await asyncio.wait([beating])
    await alive.finish()


class Alive(Outlet):
    """Passes an answer on to an outlet, and signs between its events.

    Where nothing was said at all, the first sign begins the answer. What is wrong is told by an
    event from then on, and by no status.
    """

    def __init__(self, outlet: Outlet, path: str) -> None:
        super().__init__()
        self._outlet = outlet
        self._is_anthropic = dialect_of(path) == "anthropic"
        self._is_early = self._signs = False
        #: The body of an answer that came too late to be anything but an event.
        self._late: bytes | None = None
        self._tail = b"\n\n"
        self._last = time.monotonic()

    def start(self, status: int, headers: Headers) -> None:
        """Begin the answer, unless a sign has."""
        told = dict(headers)
        is_stream = told.get(b"content-type", b"").startswith(b"text/event-stream")
        if self._is_early:
            self._late = None if status == 200 and is_stream else b""
            return
        self._signs = is_stream and b"content-encoding" not in told
        self.status = status
        self._outlet.start(status, headers)

    async def write(self, piece: bytes) -> None:
        """Add to the answer; raises as the outlet does."""
        if self._late is not None:
            self._late += piece
            return
        self._last = time.monotonic()
        self._tail = (self._tail + piece)[-4:]
        await self._outlet.write(piece)

    async def beat(self, every: float) -> None:
        """Sign whenever nothing was written for `every` seconds; until it is cancelled."""
        while True:
            if (wait := self._last + every - time.monotonic()) > 0:
                await asyncio.sleep(wait)
                continue
            self._last = time.monotonic()
            if not self.status:
                self._outlet.start(200, SSE)
                self.status, self._is_early, self._signs = 200, True, True
            if self._signs and self._late is None and self._tail.endswith(_ENDS):
                try:
                    await self._outlet.write(PING if self._is_anthropic else COMMENT)
                except OllamaMCPError:  # nobody reads; whoever writes the answer is told so too
                    return

    async def finish(self) -> None:
        """Tell a refusal that came late as an event."""
        if self._late is not None:
            name = b"event: error\n" if self._is_anthropic else b""
            lines = b"".join(b"data: %s\n" % line for line in self._late.splitlines())
            await self._outlet.write(b"%s%s\n" % (name, lines))
