"""Requests over HTTP that never become whole, and what is no HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from ollama_mcp_server.transport.punctual import Punctual

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(Punctual):
    """It has no time."""

    head = 0.3
    pause = 0.5


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body, or, to `/slow`, a piece now and one later."""
    size, more = 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        size += len(event.get("body", b""))
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"now", "more_body": True})
        await asyncio.sleep(0.8)
    await send({"type": "http.response.body", "body": b"%d" % size})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(app, port=0, http=Hasty, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - a few times, at the start
        await asyncio.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    await serving


async def said(port: int, *pieces: bytes, apart: float = 0.0) -> bytes:
    """Send pieces, some seconds apart, and return what is said until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(apart)
    told = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return told


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_come_is_not_waited_for(port: int, begun: bytes) -> None:
    assert await said(port, begun) == b""


async def test_a_head_in_drops_is_not_waited_for(port: int) -> None:
    assert await said(port, *(b"GET", b" / ", b"HTTP"), apart=0.1) == b""


async def test_the_next_request_has_as_long(port: int) -> None:
    assert (await said(port, GET, b"GET / HT", apart=0.05)).count(b"200 OK") == 1


async def test_a_body_that_stops_coming_is_not_waited_for(port: int) -> None:
    assert await said(port, HEAD + b"{") == b""


async def test_a_body_that_comes_slowly_is_waited_for(port: int) -> None:
    told = await said(port, HEAD, *[b"x" * 20] * 5, apart=0.15)
    assert b"\r\n100\r\n" in told


async def test_an_answer_has_the_time_that_it_takes(port: int) -> None:
    told = await said(port, GET.replace(b"/ ", b"/slow "))
    assert b"now" in told
    assert b"\r\n0\r\n" in told.partition(b"now")[2]


async def test_noise_is_refused(port: int) -> None:
    assert (await said(port, b"\0\0\r\n\r\n")).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "request_",
    [GET.replace(b"/ ", b"/slow ") + b"\0noise\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n"],
    ids=["after a request", "in a body"],
)  # fmt: skip
async def test_noise_in_the_middle_is_no_fault_of_ours(
    port: int, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        await said(port, request_)
        assert b"200 OK" in await said(port, GET)
    assert not caplog.records
