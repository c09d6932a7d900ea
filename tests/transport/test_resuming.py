"""`Last-Event-ID`: a stream of the older era that breaks is told to its end on another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any, TypeAlias

import anyio
import pytest
from mcp.server.streamable_http import GET_STREAM_KEY, EventMessage
from mcp_types import JSONRPCNotification, JSONRPCResponse

from ollama_mcp_server.transport.resuming import EACH, Past, Told
from tests.conftest import CHAT, HELLO
from tests.fake_ollama import FakeOllama
from tests.wire import OLD, Http, HttpClient, call_params

#: The ids of a stream's events, and what they tell.
Events: TypeAlias = "list[tuple[str, dict[str, Any] | None]]"


def events(response: HTTPResponse, until: int | None = None) -> Events:
    """Read the events of a stream, to its end or so many: their ids, and what they tell."""
    found: Events = []
    number, data = "", b""
    while until is None or len(found) < until:
        line = response.readline()
        if not line:
            break
        if line.startswith(b"id: "):
            number = line[4:].decode().strip()
        elif line.startswith(b"data:"):
            data = line[5:].strip()
        elif line in (b"\r\n", b"\n") and number:
            found.append((number, json.loads(data) if data else None))
            number, data = "", b""
    return found


class Resumer:
    """A client of the older era whose calls can be resumed."""

    def __init__(self, server: Http) -> None:
        self.peer = HttpClient(server.url, OLD[-1])

    @contextmanager
    def open(self, method: str, body: Any = None, **more: str) -> Iterator[HTTPResponse]:
        """Send a request; its connection breaks with the end of the block."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        headers = {**self.peer.headers, **self.peer.headers_for("tools/call"), **named}
        text = json.dumps(body) if body else None
        with closing(HTTPConnection(self.peer.host, self.peer.port, timeout=20)) as connection:
            connection.request(method, self.peer.path, text, headers)
            with closing(connection.getresponse()) as response:
                yield response

    def call(self) -> AbstractContextManager[HTTPResponse]:
        """Call a tool that writes slowly."""
        params = call_params("ollama_chat", {"model": CHAT, "messages": HELLO}, "p")
        return self.open("POST", self.peer.message("tools/call", params))

    def resumed(self, last: str) -> Events:
        """Return what is told after an event, to the end of the stream."""
        with self.open("GET", Last_Event_ID=last) as response:
            assert response.status == 200
            assert response.getheader("content-type", "").startswith("text/event-stream")
            return events(response)


def slow(daemon: FakeOllama, pause: float = 1.0) -> None:
    def part(content: str, **more: Any) -> dict[str, Any]:
        return {"model": CHAT, "message": {"role": "assistant", "content": content}, **more}

    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 3}
    parts = (part("one "), pause, part("two "), pause, part("three"), part("", **end))
    daemon.reply("/api/chat", *parts)


@pytest.fixture(scope="module")
def server(one_daemon: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    with Http(tmp_path_factory.mktemp("home"), OLLAMA_HOST=one_daemon.url) as server:
        yield server


def test_a_call_that_was_cut_is_resumed_to_its_result(server: Http, daemon: FakeOllama) -> None:
    slow(daemon)
    client = Resumer(server)
    with client.call() as response:
        (first, primed), (second, note) = events(response, 2)
    assert primed is None, "the stream's beginning can be resumed from too"
    assert note is not None
    assert note["method"] == "notifications/progress"

    rest = client.resumed(second)
    *notes, (last, result) = rest
    assert result is not None
    assert result["result"]["structuredContent"]["content"] == "one two three"
    values = [told["params"]["progress"] for _, told in [(second, note), *notes] if told]
    assert values == sorted(set(values))

    # what was told once is told again, also after the end
    assert client.resumed(first) == [(second, note), *rest]
    assert client.resumed(last) == []
    assert len([one for one in daemon.requests if one.path == "/api/chat"]) == 1
    assert "Traceback" not in server.stderr


def test_nobody_resumes_anothers_stream(server: Http, daemon: FakeOllama) -> None:
    one, other = Resumer(server), Resumer(server)
    with one.call() as response:
        first, _ = events(response)[0]
    assert one.resumed(first)
    for last in (first, "of-nobody-1"):
        assert other.resumed(last) == []


def test_http_with_sse_of_2024_is_not_served(server: Http) -> None:
    assert server.ask("GET", "/sse", Accept="text/event-stream")[0] == 404
    assert server.ask("POST", "/messages/", "{}")[0] == 404


# --- what is kept ---------------------------------------------------------------------------------


def note(text: str) -> JSONRPCNotification:
    return JSONRPCNotification(jsonrpc="2.0", method="x", params={"text": text})


def reply() -> JSONRPCResponse:
    return JSONRPCResponse(jsonrpc="2.0", id=1, result={})


async def told(session: Told, last: str) -> list[str | None]:
    """Return the ids of what is told after an event."""
    ids: list[str | None] = []

    async def take(message: EventMessage) -> None:
        ids.append(message.event_id)

    await session.replay_events_after(last, take)
    return ids


async def test_the_oldest_is_forgotten_when_there_is_no_more_room() -> None:
    past = Past(10 * (EACH + 1000))
    one, other = past.session(), past.session()
    first = await one.store_event("1", None)
    for _ in range(30):
        await other.store_event("7", note("x" * 900))
    assert len(past.events) <= 10 * (EACH + 1000) // (EACH + 900)
    assert await told(one, first) == []
    assert {event.stream for event in past.events} == {"7"}
    await other.store_event("7", note("x" * 100_000))
    assert not past.events, "what is larger than all the room is not kept"


async def test_streams_and_sessions_are_told_apart() -> None:
    past = Past()
    one, other = past.session(), past.session()
    first = await one.store_event("1", None)
    await other.store_event("1", note("theirs"))
    await one.store_event("2", note("of another call"))
    second = await one.store_event("1", note("mine"))
    end = await one.store_event("1", reply())
    assert await told(one, first) == [second, end]
    assert await told(one, end) == []
    assert await told(other, first) == []


async def test_what_is_told_meanwhile_is_not_lost() -> None:
    session = Past().session()
    first = await session.store_event("1", None)
    second = await session.store_event("1", note("before"))
    ids: list[str | None] = []

    async def take(message: EventMessage) -> None:
        ids.append(message.event_id)
        await anyio.sleep(0.02)  # while the next events come

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.replay_events_after, first, take)
        await anyio.sleep(0.01)
        third = await session.store_event("1", note("meanwhile"))
        await anyio.sleep(0.1)
        end = await session.store_event("1", reply())
    assert ids == [second, third, end]


async def test_the_standing_stream_is_left_to_the_sdk_after_what_was_missed() -> None:
    session = Past().session()
    first = await session.store_event(GET_STREAM_KEY, None)
    await session.store_event(GET_STREAM_KEY, note("missed"))

    async def take(_: EventMessage) -> None:
        pass

    with anyio.fail_after(2):
        assert await session.replay_events_after(first, take) == GET_STREAM_KEY
