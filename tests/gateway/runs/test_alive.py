"""Streams that are silent for long show signs of life, and stay what their clients can read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import anyio
import httpx
import openai
import pytest

from ollama_mcp_server.errors import DaemonError
from ollama_mcp_server.gateway.runs import alive
from ollama_mcp_server.gateway.runs.alive import COMMENT, PING, kept_alive
from ollama_mcp_server.gateway.runs.events import SSE
from ollama_mcp_server.gateway.traffic.outlet import Outlet
from tests.conftest import CHAT, HELLO, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.openai.test_routes import CALL, GREETER, NAMED, configured
from tests.gateway.serving import served

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = {"Content-Type": "text/event-stream"}
OPENAI, ANTHROPIC, ASK = "/v1/chat/completions", "/v1/messages", "/api/ask"
#: Longer than some signs.
LONG = 0.3


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let signs come often."""
    monkeypatch.setattr(alive, "BEAT", 0.05)


@pytest.fixture
async def plain(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway with a server that is used where it is named."""
    async with served(make_app(**configured(GREETER))) as client:
        yield client


async def test_a_silent_stream_of_the_daemon_shows_signs_between_its_events(
    plain: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    half = len(CHUNK) // 2
    parts = (CHUNK, LONG, CHUNK[:half], LONG, CHUNK[half:], DONE)
    daemon.reply(OPENAI, *parts, headers=STREAM)
    said = await plain.post(OPENAI, json={"model": CHAT, "messages": HELLO, "stream": True})
    first, signs, rest = said.content.partition(COMMENT)
    assert first == CHUNK
    assert signs
    assert rest.replace(COMMENT, b"") == CHUNK + DONE
    assert CHUNK in rest  # no sign stands within an event


async def test_the_official_client_reads_a_stream_that_begins_with_signs(
    plain: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.reply(OPENAI, CHUNK, DONE, headers=STREAM, delay=LONG)
    url = f"{plain.base_url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["Hi"]


async def test_what_fails_after_a_sign_is_an_event_that_the_official_client_raises(
    plain: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    fault = {"error": {"message": "the model does not fit", "type": "api_error"}}
    daemon.reply(OPENAI, json.dumps(fault, indent=1), status=500, delay=LONG)
    url = f"{plain.base_url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        with pytest.raises(openai.APIError, match="does not fit"):
            _ = [chunk async for chunk in stream]


async def test_anthropics_streams_have_pings(plain: httpx.AsyncClient, daemon: FakeOllama) -> None:
    fault = {"type": "error", "error": {"type": "api_error", "message": "the model does not fit"}}
    body = {"model": CHAT, "max_tokens": 5, "messages": HELLO, "stream": True}
    daemon.reply(ANTHROPIC, fault, status=500, delay=LONG, times=2)
    said = await plain.post(ANTHROPIC, json=body)
    assert said.content.startswith(PING)
    assert COMMENT not in said.content
    assert said.content.removesuffix(b"\n\n").rpartition(b"\n\n")[2].startswith(b"event: error\n")
    async with anthropic.AsyncAnthropic(
        base_url=str(plain.base_url), api_key="none", max_retries=0
    ) as client:
        stream = await client.messages.create(
            model=CHAT, max_tokens=5, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        with pytest.raises(anthropic.APIError, match="does not fit"):
            _ = [event async for event in stream]


@pytest.mark.parametrize("path", [OPENAI, "/v1/responses", ANTHROPIC])
async def test_a_run_shows_signs_while_its_model_is_silent(
    path: str, plain: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    word = {"message": {"role": "assistant", "content": "Hi"}, "done": False}
    daemon.reply("/api/chat", LONG, word, LONG, {"message": {}, "done": True})
    body = {"model": CHAT, "stream": True, "max_tokens": 5, **NAMED}
    asked = {"input": "Hello"} if path == "/v1/responses" else {"messages": HELLO}
    said = await plain.post(path, json={**body, **asked})
    sign = PING if path == ANTHROPIC else COMMENT
    assert said.content.startswith(sign)
    assert sign in said.content.partition(b"Hi")[2]
    assert said.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_a_question_shows_signs_and_tells_its_error_as_an_event(
    plain: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", {"error": "the model does not fit"}, status=500, delay=LONG)
    asked = {"question": "Hello?", "model": CHAT, "servers": [], "stream": True}
    said = await plain.post(ASK, json=asked)
    assert said.status_code == 200
    assert said.content.startswith(COMMENT)
    last = said.content.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
    assert last.startswith(b"event: error\n")
    assert b"does not fit" in last


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (OPENAI, {"model": CHAT, "messages": HELLO}),
        (ASK, {"question": "Hello?", "model": CHAT, "servers": []}),
        ("/api/chat", {"model": CHAT, "messages": HELLO}),
        ("/api/chat", {"model": CHAT, "messages": CALL, **NAMED}),
    ],
)
async def test_what_is_no_stream_of_events_shows_none(
    path: str, body: dict[str, Any], plain: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.hold(path if path == OPENAI else "/api/chat")
    with pytest.raises(httpx.ReadTimeout):
        await plain.post(path, json=body, timeout=LONG)


async def test_a_compressed_stream_is_left_alone() -> None:
    outlet = Outlet()
    async with kept_alive(outlet, OPENAI, streams=True) as answer:
        answer.start(200, [*SSE, (b"content-encoding", b"gzip")])
        await answer.write(b"squeezed\n\n")
        await anyio.sleep(LONG)
    assert b"".join(outlet._pieces) == b"squeezed\n\n"


async def test_an_error_of_ours_goes_through() -> None:
    outlet = Outlet()
    with pytest.raises(DaemonError):
        async with kept_alive(outlet, OPENAI, streams=True):
            raise DaemonError("it broke")
    assert outlet.status == 0
