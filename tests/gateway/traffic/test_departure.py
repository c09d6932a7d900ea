"""Clients that go away: their work ends, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ollama_mcp_server.gateway.access.caller import ANONYMOUS
from ollama_mcp_server.gateway.traffic.departure import Departure
from ollama_mcp_server.gateway.traffic.limits import Limits


class Client:
    """A client that sends a body in parts, and goes away when it is told to."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)
        self.gone = asyncio.Event()
        self.got: list[Message] = []

    async def receive(self) -> Message:
        if self.parts:
            body = self.parts.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self.parts)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.got.append(message)

    def call(self, app: ASGIApp, path: str = "/api/chat", **more: Any) -> asyncio.Task[None]:
        headers = [(b"content-length", b"1")] if self.parts != [b""] else []
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": headers,
            "query_string": b"",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            **more,
        }
        departure = Departure(app, elsewhere=["/mcp"])
        return asyncio.create_task(departure(scope, self.receive, self.send))  # type: ignore[arg-type]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("parts", [(b"",), (b"{}",), (b"{", b"}", b"")])
async def test_one_who_goes_while_waiting_frees_his_place(parts: tuple[bytes, ...]) -> None:
    limits = Limits(1, 10)
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        try:
            async with limits.place(ANONYMOUS):
                await asyncio.Event().wait()
        finally:
            ended.append("work")

    first, second = Client(*parts), Client(*parts)
    tasks = [first.call(app), second.call(app)]
    await settle()
    assert (limits.line.running, limits.line.waiting) == (1, 1)
    second.gone.set()  # he waited
    await settle()
    assert (limits.line.running, limits.line.waiting) == (1, 0)
    first.gone.set()  # he was being answered
    await asyncio.gather(*tasks)
    assert limits.line.running == 0
    assert ended == ["work", "work"]


async def test_a_stream_that_nobody_reads_any_more_is_closed() -> None:
    closed = asyncio.Event()

    async def words() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await StreamingResponse(words())(scope, receive, send)

    client = Client(b"{}")
    task = client.call(app)
    await settle()
    assert client.got[-1]["body"] == b"one"
    client.gone.set()
    await task
    await asyncio.wait_for(closed.wait(), 5)


async def test_an_answer_comes_through_and_what_follows_it_is_not_cut() -> None:
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await JSONResponse(body.decode())(scope, receive, send)
        client.gone.set()  # as servers do once the answer is complete
        await settle()
        done.set()

    client = Client(b"a", b"b")
    await client.call(app)
    assert client.got[-1]["body"] == b'"ab"'
    assert done.is_set()


async def test_an_error_of_the_app_comes_out_as_it_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await Client(b"").call(app)


async def test_a_cancelled_server_is_not_held_up() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    task = Client(b"").call(app)
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_mcp_endpoint_is_left_alone() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(receive)
        await receive()
        seen.append((await receive())["type"])

    client = Client(b"{}")
    task = client.call(app, "/mcp")
    await settle()
    client.gone.set()
    await task
    assert seen == [client.receive, "http.disconnect"]
