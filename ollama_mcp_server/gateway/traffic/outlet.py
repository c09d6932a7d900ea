"""Requests and answers that come in pieces, each as fast as its two sides can."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
from starlette.types import Receive, Scope, Send

from ...errors import Cancelled, OllamaMCPError, TimedOut, TooLarge
from ..errors import dialect_of, refusal

if TYPE_CHECKING:
    from ...daemon.relay import Headers

#: Bytes of an answer that may wait for its reader; that is some ten thousand tokens.
AHEAD = 2**20
#: Seconds after which one who neither sends nor reads any more is given up.
STALLED = 60.0
#: Bytes of a request that is read whole: pictures as base64, as over MCP; and seconds for them.
MAX_BODY = 64 * 2**20
ARRIVED = 600.0


class Intake:
    """The body of a request."""

    def __init__(self, receive: Receive, most: int = MAX_BODY) -> None:
        """Take in `most` bytes at most."""
        self.receive = receive
        self._most = most
        #: Whether the client hung up before its end; what reads it ends by that.
        self.broke_off = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            TooLarge: there are more bytes than may be.
            TimedOut: nothing comes any more.
            Cancelled: the client has gone.
        """
        size, more = 0, True
        while more:
            event = None
            with anyio.move_on_after(STALLED):
                event = await self.receive()
            if event is None:
                raise TimedOut("the body of the request stopped coming", "Send it again")
            if event["type"] == "http.disconnect":
                self.broke_off = True
                raise Cancelled("the client has gone")
            piece, more = event.get("body", b""), event.get("more_body", False)
            size += len(piece)
            if size > self._most:
                raise TooLarge(f"the request has more than {self._most} bytes", "Send less")
            if piece:
                yield piece

    async def whole(self) -> bytes:
        """Return the body; raises as `pieces` does, also where it comes too slowly."""
        with anyio.move_on_after(ARRIVED):
            return b"".join([piece async for piece in self.pieces()])
        raise TimedOut(
            f"the body of the request took more than {ARRIVED:g} seconds", "Send less, or faster"
        )


class Outlet:
    """An answer on its way: written as it comes, and read as fast as its reader can.

    Whoever writes waits only where AHEAD bytes are unread, so that a slow reader keeps no model.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._written, self._taken = asyncio.Event(), asyncio.Event()
        self._ended = False

    def start(self, status: int, headers: Headers) -> None:
        """Begin the answer."""
        self.status, self.headers = status, headers
        self._written.set()

    async def write(self, piece: bytes) -> None:
        """Add to the answer.

        Raises:
            Cancelled: its reader has stopped reading.
        """
        self._pieces.append(piece)
        self._unread += len(piece)
        self._written.set()
        while self._unread > AHEAD:
            self._taken.clear()
            with anyio.move_on_after(STALLED) as clock:
                await self._taken.wait()
            if clock.cancelled_caught:
                raise Cancelled("the client does not read its answer")

    def end(self) -> None:
        """End the answer, whole or not."""
        self._ended = True
        self._written.set()

    async def pour(self, send: Send) -> bytes:
        """Send what is written, until it ends; return the rest, which is left to the caller."""
        begun = False
        while True:
            await self._written.wait()
            self._written.clear()
            if self.status and not begun:
                begun = True
                start = {"status": self.status, "headers": self.headers}
                await send({"type": "http.response.start", **start})
            body = b"".join(self._pieces)
            self._pieces.clear()
            self._unread = 0
            self._taken.set()
            if self._ended:
                return body
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": True})


async def answer(
    scope: Scope,
    intake: Intake,
    send: Send,
    work: Callable[[Outlet], Awaitable[None]],
) -> None:
    """Let `work` write an answer, and send it; cancelling this cancels the work, and waits for it.

    An error of ours before the beginning becomes the answer; after it, its last line.
    """
    outlet = Outlet()

    async def run() -> None:
        try:
            await work(outlet)
        finally:
            outlet.end()

    working = asyncio.create_task(run())
    try:
        rest = await outlet.pour(send)
    finally:
        if not intake.broke_off:  # a second blow, while it closes its request, would stop that
            working.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([working])
        if not working.cancelled():
            working.exception()  # asked for also where the client is gone, else asyncio logs it
    error = working.exception()
    if error is not None and not isinstance(error, OllamaMCPError):
        raise error
    if not outlet.status:
        assert error is not None  # noqa: S101 - for the type checker
        await refusal(error, scope["path"])(scope, intake.receive, send)
        return
    last = b"" if error is None else last_words(error, scope["path"], outlet.headers)
    ends = error is None or bool(last)  # else it gets no end, so that nobody takes it for whole
    if ends or rest:
        await send({"type": "http.response.body", "body": rest + last, "more_body": not ends})


def last_words(error: OllamaMCPError, path: str, headers: Headers) -> bytes:
    """Return what ends a stream that broke off, in its dialect; nothing where none can."""
    kind = dict(headers).get(b"content-type", b"")
    body = bytes(refusal(error, path).body)
    if kind.startswith(b"application/x-ndjson"):
        return body + b"\n"
    if kind.startswith(b"text/event-stream"):
        event = b"event: error\n" if dialect_of(path) == "anthropic" else b""
        return b"%sdata: %s\n\n" % (event, body)
    return b""
