"""Somebody else's requests, passed on to the daemon as they are, and its answers passed back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import httpx

from ..errors import translated

if TYPE_CHECKING:
    from .client import Client

#: Headers by name, in lower case, and value.
Headers: TypeAlias = "list[tuple[bytes, bytes]]"

#: What the daemon is told of the client's headers: never a key, a cookie, its Host or its Origin.
TOLD = frozenset(
    (
        b"accept",
        b"accept-encoding",
        b"anthropic-beta",
        b"anthropic-version",
        b"content-encoding",
        b"content-type",
        b"traceparent",
        b"tracestate",
        b"user-agent",
    )
)
#: What the client is not told of the daemon's: about the one connection, and who may read it.
UNTOLD = frozenset(
    (
        b"connection",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"server",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
#: The URL of a text; httpx takes 0.03 ms to read one.
_url = lru_cache(maxsize=64)(httpx.URL)
#: Headers that httpx has by itself, which say nothing of ours.
_LIBRARYS = ("accept", "accept-encoding", "connection", "content-type", "user-agent")


@dataclass(frozen=True)
class Reply:
    """The daemon's answer: its status, its headers, and its body as it comes."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes]


@asynccontextmanager
async def passed_on(
    client: Client,
    method: str,
    target: str,
    headers: Iterable[tuple[bytes, bytes]],
    content: bytes | AsyncIterator[bytes],
) -> AsyncIterator[Reply]:
    """Ask the daemon what a client asks, and give its answer; leaving closes the request.

    Args:
        client: the daemon's.
        method: of the request.
        target: its path and query, as they came.
        headers: all of the client's; those are passed on that TOLD names, and our own are added.
        content: the body, whole or in pieces. Pieces are framed by the client's content-length.

    Raises:
        DaemonUnreachable: nothing answers.
        DaemonError: the connection broke.
    """
    if client.hosts:
        from .hosts.passing import passed_on_to_best

        async with passed_on_to_best(client, method, target, headers, content) as reply:
            yield reply
        return
    http = client._client
    own = httpx.Headers([(k, v) for k, v in http.headers.multi_items() if k not in _LIBRARYS])
    framed = b"" if isinstance(content, bytes) else b"content-length"
    told = [
        (name, value)
        for name, value in headers
        if (name in TOLD or name == framed) and name.decode("latin-1") not in own
    ]
    request = httpx.Request(
        method,
        _url(client.address.url + target),
        headers=[*told, *own.raw],
        content=content or None,
    )
    with translated(client.address.url, client._unreachable):
        response = await http.send(request, stream=True)
        try:
            yield Reply(response.status_code, told_back(response), response.aiter_raw())
        finally:
            await response.aclose()


def told_back(response: httpx.Response) -> Headers:
    """Return those of the daemon's headers that are for its client."""
    named = response.headers.get("connection", "").lower().encode()
    untold = UNTOLD | {name.strip() for name in named.split(b",")}
    return [
        (name.lower(), value)
        for name, value in response.headers.raw
        if name.lower() not in untold and not name.lower().startswith(b"access-control-")
    ]
