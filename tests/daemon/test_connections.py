"""Connections to the daemon: used again, one request on each, closed when nobody needs them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import httpx
import pytest

from ollama_mcp_server.daemon import connections as module
from ollama_mcp_server.daemon.connections import Connections
from tests.fake_ollama import FakeOllama

CHAT = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "Hi"}], "stream": False}


@pytest.fixture
def connections() -> Connections:
    return Connections(verify=False)


@pytest.fixture
async def http(connections: Connections, daemon: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=daemon.url, transport=connections) as client:
        yield client


async def test_one_after_the_other_needs_one(
    http: httpx.AsyncClient, connections: Connections
) -> None:
    for _ in range(3):
        assert (await http.post("/api/chat", json=CHAT)).status_code == 200
    assert len(connections) == 1


async def test_at_a_time_each_has_its_own(
    http: httpx.AsyncClient, connections: Connections, daemon: FakeOllama
) -> None:
    for _ in range(2):
        answers = await asyncio.gather(*(http.post("/api/chat", json=CHAT) for _ in range(30)))
        assert {answer.json()["message"]["content"] for answer in answers} == {"You said: Hi"}
    assert len(connections) == 30
    assert len(daemon.requests) == 60


async def test_an_answer_that_was_left_takes_its_connection_with_it(
    http: httpx.AsyncClient, connections: Connections, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", {"message": {"content": "a"}}, 60.0)
    async with http.stream("POST", "/api/chat", json=CHAT) as answer:
        await answer.aiter_raw().__anext__()
    await daemon.until(lambda: daemon.requests[-1].closed_early)
    assert (await http.post("/api/chat", json=CHAT)).status_code == 200


async def test_a_request_that_was_cancelled_leaves_none(
    http: httpx.AsyncClient, connections: Connections, daemon: FakeOllama
) -> None:
    daemon.hold("/api/chat")
    asking = asyncio.create_task(http.post("/api/chat", json=CHAT))
    await daemon.until(lambda: len(daemon.requests) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await daemon.until(lambda: daemon.requests[0].closed_early)
    assert len(connections) == 0


async def test_a_cancellation_at_any_moment_leaves_none(
    http: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.hold("/api/chat")
    before = sockets()
    gc.disable()  # it would close what was lost
    try:
        for turns in range(60):
            asking = asyncio.create_task(http.post("/api/chat", json=CHAT))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await asyncio.sleep(0.05)
        assert sockets() <= before + 1
    finally:
        gc.enable()


def sockets() -> int:
    """Return how many connections this process has to the daemon, its own end not counted."""
    known = asyncio.get_running_loop()._transports  # type: ignore[attr-defined]
    return sum(not one.is_closing() for one in known.values())


async def test_one_that_the_daemon_closed_is_replaced(
    http: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", {"done": True}, headers={"connection": "close"})
    for _ in range(2):
        assert (await http.post("/api/chat", json=CHAT)).status_code == 200


async def test_what_nobody_uses_is_closed(
    http: httpx.AsyncClient,
    connections: Connections,
    daemon: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEPT", 0.5)
    await asyncio.gather(*(http.post("/api/chat", json=CHAT) for _ in range(5)))
    assert len(connections) == 5
    await asyncio.sleep(0.3)
    await http.post("/api/chat", json=CHAT)
    assert len(connections) == 5
    await daemon.until(lambda: len(connections) == 1)
    await daemon.until(lambda: len(connections) == 0)
    assert (await http.post("/api/chat", json=CHAT)).status_code == 200


async def test_the_end_ends_what_is_under_way(
    http: httpx.AsyncClient, connections: Connections, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", {"message": {"content": "a"}}, 60.0)
    async with http.stream("POST", "/api/chat", json=CHAT) as answer:
        pieces = answer.aiter_raw()
        await pieces.__anext__()
        await connections.aclose()
        await daemon.until(lambda: daemon.requests[-1].closed_early)
        with pytest.raises((httpx.HTTPError, StopAsyncIteration)):
            await pieces.__anext__()
