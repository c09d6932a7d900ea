"""The client of an OpenAI-compatible endpoint, against a scripted one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import SecretStr

from ollama_mcp_server.daemon.wire import Part
from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.upstream import Upstream
from ollama_mcp_server.errors import (
    ContextOverflow,
    DaemonError,
    DaemonUnreachable,
    InvalidArgument,
    ModelNotFound,
    OllamaMCPError,
    QueueFull,
    RateLimited,
    ToolFailed,
    Unauthorized,
)
from ollama_mcp_server.progress import Progress
from tests.fake_ollama import FakeOllama

CHAT = "/v1/chat/completions"
SSE = {"content-type": "text/event-stream"}
KEY = "sk-0123456789abcdef"
BODY: Part = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}

MakeUpstream = Callable[..., Upstream]


@pytest.fixture
async def make(daemon: FakeOllama) -> AsyncIterator[MakeUpstream]:
    made: list[Upstream] = []

    def make_one(url: str = daemon.url, key: str | None = KEY, **more: Any) -> Upstream:
        made.append(Upstream(url, SecretStr(key) if key else None, **more))
        return made[-1]

    yield make_one
    for upstream in made:
        await upstream.aclose()


@pytest.fixture
def upstream(make: MakeUpstream) -> Upstream:
    return make()


async def ask(upstream: Upstream, **more: Any) -> Answer:
    return await upstream.ask({**BODY, **more}, Progress(None, "asking"))


async def fails(upstream: Upstream, kind: type[OllamaMCPError], **more: Any) -> Any:
    with pytest.raises(OllamaMCPError) as caught:
        await ask(upstream, **more)
    assert type(caught.value) is kind, caught.value
    assert KEY not in str(caught.value.as_dict())
    return caught.value


def event(finish: str | None = None, **delta: Any) -> str:
    chunk = {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


def says(*pieces: str) -> list[str]:
    return [*(event(content=piece) for piece in pieces), event("stop"), "data: [DONE]\n\n"]


def refusal(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


async def test_an_answer_that_arrives_in_any_pieces(daemon: FakeOllama, upstream: Upstream) -> None:
    raw = "".join([": hello\n\n", event(role="assistant", content=""), *says("é", "€", "😀")])
    whole = raw.replace("\n", "\r\n").encode()
    daemon.reply(CHAT, *(whole[at : at + 7] for at in range(0, len(whole), 7)), headers=SSE)
    heard: list[Part] = []
    answer = await upstream.ask(BODY, Progress(None, "asking"), heard.append)
    assert answer.content == "é€😀"
    assert [part["message"]["content"] for part in heard] == ["é", "€", "😀", ""]
    [request] = daemon.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["stream"] is True
    assert request.body["stream_options"] == {"include_usage": True}


async def test_a_connection_is_used_again(make: MakeUpstream) -> None:
    body = "".join(says("ok"))
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while (sent := await reader.readuntil(b"\r\n\r\n")) is not None:
            length = int(sent.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(f"{head}{len(body):x}\r\n{body}\r\n".encode())
            await writer.drain()
            await asyncio.sleep(0.01)  # the end comes on its own, after [DONE]
            writer.write(b"0\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    upstream = make(f"{host}:{port}")
    for _ in range(3):
        assert (await ask(upstream)).content == "ok"
    assert connections == 1
    await upstream.aclose()
    server.close()


async def test_an_endpoint_that_holds_on_after_the_end(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    daemon.reply(CHAT, *says("ok"), 30.0, headers=SSE)
    assert (await ask(upstream)).content == "ok"


async def test_an_endpoint_that_does_not_stream(daemon: FakeOllama, upstream: Upstream) -> None:
    function = {"name": "f", "arguments": '{"x": 1}'}
    message = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    daemon.reply(CHAT, {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 3}})
    answer = await ask(upstream)
    assert answer.thinking == "hm"
    assert answer.tool_calls[0]["function"]["arguments"] == {"x": 1}
    assert answer.final["prompt_eval_count"] == 3


async def test_thoughts_go_back_where_they_came_from(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    function = {"name": "f", "arguments": {}}
    history = [
        *BODY["messages"],
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
    ]
    for _ in range(2):
        daemon.reply(CHAT, event(reasoning_content="hm"), *says("ok"), headers=SSE)
        await ask(upstream, messages=history)
    first, second = (request.body["messages"][1] for request in daemon.requests)
    assert "reasoning_content" not in first
    assert second["reasoning_content"] == "hm"


async def test_what_is_not_taken_is_left_out_and_remembered(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    for name in ("stream_options", "max_tokens", "temperature"):
        daemon.reply(CHAT, refusal(f"Unsupported parameter: '{name}'"), status=400)
    daemon.reply(CHAT, *says("ok"), headers=SSE, times=2)
    options = {"temperature": 0, "num_predict": 9, "seed": 1}
    answer = await ask(upstream, options=options)
    assert answer.content == "ok"
    assert answer.warnings == ["m does not take temperature; it was left out"]
    await ask(upstream, options=options)
    assert len(daemon.requests) == 5
    for request in daemon.requests[-2:]:
        assert request.body.keys() == {
            "model",
            "messages",
            "stream",
            "max_completion_tokens",
            "seed",
        }


async def test_a_value_that_is_refused_is_not_left_out(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    daemon.reply(CHAT, refusal("temperature must be at most 2"), status=400)
    await fails(upstream, InvalidArgument, options={"temperature": 3})
    assert len(daemon.requests) == 1


@pytest.mark.parametrize("last", ["", 'data: {"choi', ": still here\n\n"])
@pytest.mark.parametrize("cut", [False, True])
async def test_a_stream_that_ends_too_soon_is_no_short_answer(
    daemon: FakeOllama, upstream: Upstream, last: str, cut: bool
) -> None:
    daemon.reply(CHAT, event(content="half an ans"), last, headers=SSE, cut=cut)
    error = await fails(upstream, DaemonError)
    assert error.details["content"] == "half an ans"
    assert error.retryable


@pytest.mark.parametrize("nothing", [": hello\n\n", "data: [DONE]\n\n", "data:\n\n"])
async def test_a_stream_of_nothing_is_no_empty_answer(
    daemon: FakeOllama, upstream: Upstream, nothing: str
) -> None:
    daemon.reply(CHAT, nothing, headers=SSE)
    assert "cut" in (await fails(upstream, DaemonError)).message


@pytest.mark.parametrize(
    "broken",
    [
        'data: {"error": {"message": "EngineCore died", "code": 500}}\n\ndata: [DONE]\n\n',
        'error: {"code": 500, "message": "EngineCore died"}\n\n',
        'event: error\ndata: {"error": {"message": "EngineCore died"}}\n\n',
        'data: {"choices": [{"delta": {}, "error": {"message": "EngineCore died"}}]}\n\n',
        'data: {"error": "EngineCore died"}\n\n',
    ],
)
async def test_an_error_in_mid_stream(daemon: FakeOllama, upstream: Upstream, broken: str) -> None:
    daemon.reply(CHAT, event(content="half"), broken, headers=SSE)
    error = await fails(upstream, DaemonError)
    assert "EngineCore died" in error.message
    assert error.details["content"] == "half"
    assert len(daemon.requests) == 1


async def test_a_window_that_fills_up_in_mid_stream(daemon: FakeOllama, upstream: Upstream) -> None:
    broken = refusal("Context size has been exceeded.", code=500)
    daemon.reply(CHAT, event(content="half"), f"data: {json.dumps(broken)}\n\n", headers=SSE)
    await fails(upstream, ContextOverflow)


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (["<html><body>Sign in</body></html>"], "text/html"),
        (["Hello"], "application/json"),
        (['{"hello": "world"}'], "application/json"),
        (["data: Hello\n\n"], "text/event-stream"),
        (["data: [1]\n\n"], "text/event-stream"),
        ([f"data: {'[' * 100_000}\n\n"], "text/event-stream"),
    ],
)
async def test_what_is_no_completion(
    daemon: FakeOllama, upstream: Upstream, parts: list[str], kind: str
) -> None:
    daemon.reply(CHAT, *parts, headers={"content-type": kind})
    error = await fails(upstream, DaemonError)
    assert "no chat completion" in error.message
    assert "OLLAMA_MCP_OPENAI_BASE_URL" in error.hint


async def test_an_event_stream_by_another_name(daemon: FakeOllama, upstream: Upstream) -> None:
    daemon.reply(CHAT, *says("ok"), headers={"content-type": "text/plain; charset=utf-8"})
    assert (await ask(upstream)).content == "ok"


async def test_a_wait_that_is_asked_for_is_waited_once(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    slow = {"retry-after": "1"}
    daemon.reply(CHAT, refusal("slow down"), status=429, headers=slow)
    daemon.reply(CHAT, *says("ok"), headers=SSE)
    assert (await ask(upstream)).content == "ok"
    daemon.reply(CHAT, refusal("slow down"), status=429, headers=slow, times=3)
    error = await fails(upstream, RateLimited)
    assert error.details["retry_after"] == 1
    assert len(daemon.requests) == 4


@pytest.mark.parametrize("headers", [{}, {"retry-after": "3600"}])
async def test_no_wait_is_made_up_and_none_is_long(
    daemon: FakeOllama, upstream: Upstream, headers: dict[str, str]
) -> None:
    daemon.reply(CHAT, refusal("slow down"), status=429, headers=headers)
    await fails(upstream, RateLimited)
    assert len(daemon.requests) == 1


async def test_a_model_that_loads_is_waited_for(daemon: FakeOllama, upstream: Upstream) -> None:
    loading = refusal("Loading model", code=503, type="unavailable_error")
    daemon.reply(CHAT, loading, status=503)
    daemon.reply(CHAT, *says("ok"), headers=SSE)
    progress = Progress(None, "asking")
    waits: list[str] = []
    progress.waits = waits.append  # type: ignore[method-assign]
    answer = await upstream.ask(BODY, progress)
    assert answer.content == "ok"
    assert waits[-1] == "the endpoint is busy, asking again in 0.5 s"


async def test_a_busy_endpoint_is_not_waited_for_for_ever(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    daemon.reply(CHAT, status=503, headers={"retry-after": "3600"})
    await fails(upstream, QueueFull)


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_the_key_stands_in_no_error(
    daemon: FakeOllama, upstream: Upstream, status: int
) -> None:
    daemon.reply(CHAT, refusal(f"Incorrect API key provided: {KEY}"), status=status)
    with pytest.raises(OllamaMCPError) as caught:
        await ask(upstream)
    assert KEY not in f"{caught.value} {caught.value.as_dict()}"
    daemon.reply(CHAT, f"data: {json.dumps(refusal(f'bad key {KEY}'))}\n\n", headers=SSE)
    assert "bad key …" in (await fails(upstream, DaemonError)).message


async def test_no_redirect_is_followed(daemon: FakeOllama, upstream: Upstream) -> None:
    to = f"{daemon.url}/elsewhere"
    daemon.reply(CHAT, status=307, headers={"location": to})
    assert to in (await fails(upstream, DaemonError)).message
    daemon.reply("/v1/models", status=302, headers={"location": to})
    with pytest.raises(DaemonError, match="redirects"):
        await upstream.models()
    assert [request.path for request in daemon.requests] == [CHAT, "/v1/models"]


async def test_without_a_key_none_is_sent(daemon: FakeOllama, make: MakeUpstream) -> None:
    daemon.reply(CHAT, *says("ok"), headers=SSE)
    await ask(make(key=None))
    assert "authorization" not in daemon.requests[0].headers


async def test_a_name_and_password_of_the_address_are_sent_without_a_key(
    daemon: FakeOllama, make: MakeUpstream
) -> None:
    daemon.reply(CHAT, *says("ok"), headers=SSE, times=2)
    url = daemon.url.replace("http://", "http://ann:secret@")
    await ask(make(url, None))
    await ask(make(url))
    sent = [request.headers["authorization"] for request in daemon.requests]
    assert sent == ["Basic YW5uOnNlY3JldA==", f"Bearer {KEY}"]


@pytest.mark.parametrize("key", ["sk-abc\ndef", "sk-é"])
async def test_a_key_that_is_none_is_refused_here(
    daemon: FakeOllama, make: MakeUpstream, key: str
) -> None:
    error = await fails(make(key=key), Unauthorized)
    assert key not in str(error)
    assert daemon.requests == []


async def test_a_key_may_have_a_line_end(daemon: FakeOllama, make: MakeUpstream) -> None:
    daemon.reply(CHAT, *says("ok"), headers=SSE)
    await ask(make(key=f"{KEY}\n"))
    assert daemon.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_no_proxy_is_taken_for_this_machine(
    daemon: FakeOllama, make: MakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    daemon.reply(CHAT, *says("ok"), headers=SSE)
    assert (await ask(make(proxy="http://127.0.0.1:9"))).content == "ok"


async def test_nothing_there(make: MakeUpstream) -> None:
    error = await fails(make("127.0.0.1:9/v1"), DaemonUnreachable)
    assert "OLLAMA_MCP_OPENAI_BASE_URL" in error.hint
    assert "ollama serve" not in str(error)


async def test_text_that_is_no_unicode_is_refused(upstream: Upstream) -> None:
    await fails(upstream, InvalidArgument, messages=[{"role": "user", "content": "\ud800"}])


async def test_models(daemon: FakeOllama, upstream: Upstream) -> None:
    rows = [{"id": "text-embedding-3"}, {"id": "b"}, {"id": "a"}, {"name": "none"}]
    daemon.reply("/v1/models", {"object": "list", "data": rows}, times=2)
    assert await upstream.models() == ["text-embedding-3", "b", "a"]
    assert await upstream.first_model() == "b"
    daemon.reply("/v1/models", json.dumps(rows[1:]), headers={"content-type": "application/json"})
    assert await upstream.models() == ["b", "a"]


@pytest.mark.parametrize("body", ["<html>", '{"hello": 1}', '"x"'])
async def test_no_list_of_models(daemon: FakeOllama, upstream: Upstream, body: str) -> None:
    daemon.reply("/v1/models", body)
    with pytest.raises(DaemonError, match="lists no models"):
        await upstream.models()


async def test_no_model_that_chats(daemon: FakeOllama, upstream: Upstream) -> None:
    daemon.reply("/v1/models", {"data": [{"id": "nomic-embed-text"}]})
    with pytest.raises(ModelNotFound):
        await upstream.first_model()


@pytest.mark.parametrize(
    ("listed", "hint"),
    [
        (["n1", "n2"], "It has n1, n2"),
        ([f"n{at}" for at in range(9)], "It has n0, n1, n2, n3, n4 …"),
        (["qwen3-32b", "llama"], "Did you mean qwen3-32b?"),
        ([], "Name one that it lists"),
    ],
)
async def test_a_wrong_model_gets_the_right_names(
    daemon: FakeOllama, upstream: Upstream, listed: list[str], hint: str
) -> None:
    daemon.reply(CHAT, refusal("The model `qwen3-23b` does not exist."), status=404)
    daemon.reply("/v1/models", {"data": [{"id": name} for name in listed]})
    error = await fails(upstream, ModelNotFound, model="qwen3-23b")
    assert error.hint.startswith(hint)


async def test_an_answer_that_does_not_fit_is_asked_for_again(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    counted = f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
    for text in ('{"x": "one"}', '{"x": 1}'):
        *said, done = says(text)
        daemon.reply(CHAT, *said, counted, done, headers=SSE)
    answer = await ask(upstream, format=schema)
    assert answer.data == {"x": 1}
    assert answer.final["prompt_eval_count"] == 6
    first, second = (request.body for request in daemon.requests)
    form = first["response_format"]["json_schema"]
    assert (form["name"], form["strict"]) == ("answer", False)
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]


async def test_an_answer_that_never_fits_is_an_error(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    daemon.reply(CHAT, *says("no JSON"), headers=SSE, times=3)
    error = await fails(upstream, ToolFailed, format="json")
    assert error.details["content"] == "no JSON"


async def test_cancelling_closes_the_request(daemon: FakeOllama, upstream: Upstream) -> None:
    began = asyncio.Event()
    daemon.reply(CHAT, event(content="half"), 30.0, headers=SSE)
    asking = asyncio.create_task(
        upstream.ask(BODY, Progress(None, "asking"), lambda _: began.set())
    )
    await began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await daemon.until(lambda: daemon.requests[0].closed_early)


async def test_cancelling_before_the_first_word_closes_the_request(
    daemon: FakeOllama, upstream: Upstream
) -> None:
    daemon.hold(CHAT)
    asking = asyncio.create_task(ask(upstream))
    await daemon.until(lambda: bool(daemon.requests))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await daemon.until(lambda: daemon.requests[0].closed_early)


@pytest.mark.parametrize("url", ["ftp://x/v1", "http://x:port", "http://x/v1?key=1"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="OLLAMA_MCP_OPENAI_BASE_URL"):
        Upstream(url, None)
