"""Connections to a daemon on this machine: as many as there are requests, used again at once."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
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

    def __len__(self) -> int:
        """Return how many connections wait for a request."""
        return len(self._free)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over a connection that is free, or over a new one."""
        while self._free and self._free[0][0] + KEPT < time.monotonic():
            await self._free.popleft()[1].aclose()
        if self._free:
            one = self._free.pop()[1]
        else:
            one = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=_ONE)
            self._all.add(one)
        response = await one.handle_async_request(request)  # where it fails, the connection is gone
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - for the type checker
        response.stream = _Body(response.stream, self, one)
        return response

    def release(self, one: httpx.AsyncHTTPTransport) -> None:
        """Take a connection back."""
        self._free.append((time.monotonic(), one))

    async def aclose(self) -> None:
        """Close every connection; requests still under way end."""
        for one in list(self._all):
            await one.aclose()
        self._free.clear()


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
        await self._stream.aclose()
        if one is not None:
            self._connections.release(one)
