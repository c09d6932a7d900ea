"""Somebody else's requests, passed on to the best of several hosts as they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from ...errors import OllamaMCPError, QueueFull
from ..relay import Reply, passed_on
from ..watched import ASKING, model_in
from ..wire import encode
from .choice import subject
from .hosts import MERGED, Hosts
from .trip import Trip

if TYPE_CHECKING:
    from ..client import Client


@asynccontextmanager
async def passed_on_to_best(
    hosts: Client,
    method: str,
    target: str,
    headers: Iterable[tuple[bytes, bytes]],
    content: bytes | AsyncIterator[bytes],
) -> AsyncIterator[Reply]:
    """Ask the best host what a client asks, or the next best if it does not begin to answer.

    `/api/tags` and `/api/ps` are asked of all. The arguments are those of `passed_on`.

    Raises:
        OllamaMCPError: none can be reached, the connection broke, or the host must be named.
    """
    assert isinstance(hosts, Hosts)  # noqa: S101 - for the type checker
    path = target.partition("?")[0]
    if method == "GET" and path in MERGED:
        body = encode(await hosts.merged(path))
        told = [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        yield Reply(200, told, _once(body))
        return
    told, trip = list(headers), Trip(hosts, path, subject_in(path, content))
    while True:
        async with trip.place() as host, AsyncExitStack() as stack:
            way = passed_on(host.client, method, target, told, content)
            try:
                reply = await stack.enter_async_context(way)
            except OllamaMCPError as error:
                trip.fail(host, error)
                continue
            if reply.status == 503 and len(trip.left()) > 1:
                trip.fail(host, QueueFull(f"the queue of {host.name} is full"))
                continue
            trip.arrive(host, refused=reply.status >= 400)
            yield reply
            return


def subject_in(path: str, content: bytes | AsyncIterator[bytes]) -> str | None:
    """Return the model that a request needs, as far as it can be read without much work."""
    if not isinstance(content, bytes):
        return None
    if path in ASKING:
        return model_in(content)
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return subject(path, body) if isinstance(body, dict) else None


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
