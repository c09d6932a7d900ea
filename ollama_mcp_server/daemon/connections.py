"""Connections to a daemon on this machine: as many as there are requests, used again at once."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextvars import Context
from weakref import WeakSet

import httpx

#: Seconds after which a connection that nobody has used is closed.
KEPT = 5.0
_ONE = httpx.Limits(max_connections=1, keepalive_expiry=KEPT)


class Connections(httpx.AsyncBaseTransport):
    """Transport of httpx that keeps each connection by itself, and uses the last one first.

    httpx's own pool asks the system about each of its connections for every request, before and
    after: with 256 that takes longer than all the rest.
    """

    def __init__(self, verify: ssl.SSLContext | bool) -> None:
        """Connect when there are requests; `verify` is what httpx verifies with."""
        self._context = httpx.create_ssl_context(verify=verify, trust_env=False)  # one for all
        self._free: deque[tuple[float, httpx.AsyncHTTPTransport]] = deque()
        self._all: WeakSet[httpx.AsyncHTTPTransport] = WeakSet()
        self._sweep: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many connections wait for a request."""
        return len(self._free)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a connection that is free, or over a new one."""
        if self._free:
            one = self._free.pop()[1]
        else:
            one = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=_ONE)
            self._all.add(one)
        response = None
        try:
            response = await one.handle_async_request(request)
        finally:
            if response is None:  # a cancellation may come when httpcore does not expect one
                self.drop([one])
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - for the type checker
        response.stream = _Body(response.stream, self, one)
        return response

    def release(self, one: httpx.AsyncHTTPTransport) -> None:
        """Take a connection back; if nobody uses it, it is closed."""
        if self._is_closed:
            self.drop([one])
            return
        self._free.append((time.monotonic(), one))
        if self._sweep is None:
            self._sweep_in(KEPT)

    def drop(self, connections: Iterable[httpx.AsyncHTTPTransport]) -> None:
        """Close connections, in a task of its own: another cancellation would break that off."""
        closing = Context().run(asyncio.create_task, _close(connections))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _sweep_in(self, seconds: float) -> None:
        # in a context of its own, for it outlasts the request that it is begun in
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(seconds, self._close_unused, context=Context())

    def _close_unused(self) -> None:
        self._sweep = None
        unused, now = [], time.monotonic()
        while self._free and self._free[0][0] + KEPT <= now:
            unused.append(self._free.popleft()[1])
        if self._free:
            self._sweep_in(self._free[0][0] + KEPT - now)
        if unused:
            self.drop(unused)

    async def aclose(self) -> None:
        """Close every connection; requests still under way end."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for one in list(self._all):
            await one.aclose()
        self._free.clear()
        if self._closing:
            await asyncio.wait(self._closing)


async def _close(connections: Iterable[httpx.AsyncHTTPTransport]) -> None:
    for one in connections:
        await one.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, which gives its connection back when it is closed."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        connections: Connections,
        one: httpx.AsyncHTTPTransport,
    ) -> None:
        self._stream = stream
        self._connections = connections
        self._one: httpx.AsyncHTTPTransport | None = one

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece

    async def aclose(self) -> None:
        """Close it."""
        one, self._one = self._one, None
        is_whole = False
        try:
            await self._stream.aclose()
            is_whole = True
        finally:
            if one is not None and is_whole:
                self._connections.release(one)
            elif one is not None:
                self._connections.drop([one])
