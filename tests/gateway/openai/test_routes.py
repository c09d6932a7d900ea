"""OpenAI's API by its official client: passed on to the daemon, or answered with tools."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from ollama_mcp_server.app import App
from ollama_mcp_server.gateway.access.keyfile import digest
from tests.conftest import CHAT, EMBEDDER, PICTURES, THINKER, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.serving import served

SERVER = Path(__file__).parents[2] / "servers" / "minimal.py"
GREETER = {"name": "greeter", "command": sys.executable, "args": [str(SERVER)]}
ALWAYS = {**GREETER, "auto_enable": "always"}
#: The scripted daemon calls the first tool that the user names.
CALL: Any = [{"role": "user", "content": "Call greeter__hello"}]
HELLO: Any = [{"role": "user", "content": "Hello there"}]
MINE: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
ASK_MINE: Any = [{"role": "user", "content": "Call get_weather"}]
NAMED = {"mcp_servers": ["greeter"]}
PATH = "/v1/chat/completions"
#: A stream of the daemon's own.
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n'


def configured(*servers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return settings with servers whose tools may be called."""
    return {"servers": json.dumps({"servers": servers}), "allow_destructive": True, **more}


@asynccontextmanager
async def clients(
    app: App, key: str = "none"
) -> AsyncIterator[tuple[openai.AsyncOpenAI, httpx.AsyncClient]]:
    """Serve an App, and give OpenAI's client and a plain one."""
    async with (
        served(app, token=key) as plain,
        openai.AsyncOpenAI(base_url=f"{plain.base_url}/v1", api_key=key, max_retries=0) as client,
    ):
        yield client, plain


@pytest.fixture
async def both(
    make_app: MakeApp,
) -> AsyncIterator[tuple[openai.AsyncOpenAI, httpx.AsyncClient]]:
    """Clients of a gateway with a server that is used where it is named."""
    async with clients(make_app(**configured(GREETER))) as made:
        yield made


@pytest.fixture
def client(both: tuple[openai.AsyncOpenAI, httpx.AsyncClient]) -> openai.AsyncOpenAI:
    return both[0]


@pytest.fixture
def plain(both: tuple[openai.AsyncOpenAI, httpx.AsyncClient]) -> httpx.AsyncClient:
    return both[1]


def sent(daemon: FakeOllama, path: str = "/api/chat") -> list[Any]:
    """Return the bodies that the daemon was sent."""
    return [request.body for request in daemon.requests if request.path == path]


async def events(plain: httpx.AsyncClient, path: str, **body: Any) -> list[Any]:
    """Return the data of each event of a stream."""
    said = await plain.post(path, json={"stream": True, **body})
    assert said.headers["content-type"] == "text/event-stream", said.text
    found = [line[6:] for line in said.text.splitlines() if line.startswith("data: ")]
    return [one if one == "[DONE]" else json.loads(one) for one in found]


# Passed on


@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/v1/embeddings", "/v1/responses"])
async def test_what_asks_for_no_tools_goes_to_the_daemon_untouched(
    path: str, plain: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.reply(path, b'{"from": "the daemon"}', headers={"Content-Type": "application/json"})
    body = b'{ "model":"llama3.2:3b", "messages":[], "input":"x", "unknown": 1, "tools": [{}] }'
    said = await plain.post(path, content=body)
    assert said.json() == {"from": "the daemon"}
    assert [request.raw for request in daemon.requests] == [body]


async def test_a_stream_is_passed_on_as_it_comes(
    client: openai.AsyncOpenAI, daemon: FakeOllama
) -> None:
    daemon.reply(PATH, STREAM, headers={"Content-Type": "text/event-stream"})
    stream = await client.chat.completions.create(model=CHAT, messages=HELLO, stream=True)
    assert [chunk.choices[0].delta.content async for chunk in stream] == ["Hi"]


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_without_its_end_is_an_error(
    cut: bool, client: openai.AsyncOpenAI, daemon: FakeOllama
) -> None:
    part = STREAM.partition(b"data: [DONE]")[0]
    daemon.reply(PATH, part, headers={"Content-Type": "text/event-stream"}, cut=cut)
    stream = await client.chat.completions.create(model=CHAT, messages=HELLO, stream=True)
    heard = []
    with pytest.raises(openai.APIError, match="broke"):
        async for chunk in stream:
            heard.append(chunk.choices[0].delta.content)
    assert heard == ["Hi"]


async def test_an_alias_is_a_model(make_app: MakeApp, daemon: FakeOllama) -> None:
    headers = {"Content-Type": "application/json"}
    for path in (PATH, "/v1/embeddings"):
        daemon.reply(path, b"{}", headers=headers)
    async with clients(make_app(aliases={"gpt-4o": CHAT, "small": EMBEDDER})) as (_, plain):
        await plain.post(PATH, json={"model": "gpt-4o", "messages": HELLO})
        await plain.post("/v1/embeddings", json={"model": "small", "input": "x"})
    assert sent(daemon, PATH) == [{"model": CHAT, "messages": HELLO}]
    assert sent(daemon, "/v1/embeddings") == [{"model": EMBEDDER, "input": "x"}]


async def test_a_profile_brings_its_settings(make_app: MakeApp, daemon: FakeOllama) -> None:
    profile = {"model": CHAT, "system": "Be brief.", "options": {"temperature": 0.3}}
    async with clients(make_app(profiles={"terse": profile})) as (client, _):
        said = await client.chat.completions.create(model="terse", messages=HELLO)
        stream = await client.chat.completions.create(
            model="terse", messages=HELLO, stream=True, temperature=0.5
        )
        words = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert said.choices[0].message.content == "You said: Hello there"
    assert "".join(words) == "You said: Hello there"
    first, second = sent(daemon)
    assert first["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (first["options"]["temperature"], second["options"]["temperature"]) == (0.3, 0.5)


# Answered with tools


async def test_the_tools_of_servers_run_inside(client: openai.AsyncOpenAI) -> None:
    said = await client.chat.completions.create(model=CHAT, messages=CALL, extra_body=NAMED)
    [choice] = said.choices
    assert choice.finish_reason == "stop"
    assert (choice.message.content or "").startswith("The tool answered: ")
    assert choice.message.tool_calls is None
    assert said.usage is not None
    assert said.usage.prompt_tokens > 0
    (step,) = said.model_extra["mcp_steps"]  # type: ignore[index]
    assert (step["tool"], step["arguments"], step["result"]) == (
        "greeter:hello", {"name": "x"}, "Hello, x!",
    )  # fmt: skip


async def test_a_stream_shows_calls_words_and_usage(plain: httpx.AsyncClient) -> None:
    options = {"include_usage": True}
    told = await events(plain, PATH, model=CHAT, messages=CALL, stream_options=options, **NAMED)
    *chunks, usage, done = told
    assert done == "[DONE]"
    assert len({chunk["id"] for chunk in [*chunks, usage]}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["model"] for chunk in chunks} == {CHAT}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert not any("role" in delta for delta in deltas[1:])
    begun, ended = (chunk["mcp_steps"][0] for chunk in chunks if "mcp_steps" in chunk)
    assert begun == {"index": 0, "tool": "greeter:hello", "arguments": {"name": "x"}}
    assert ended["result"] == "Hello, x!"
    words = "".join(delta.get("content", "") for delta in deltas)
    assert words.startswith("The tool answered: ")
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] > 0


async def test_the_official_client_reads_the_stream(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model=CHAT, messages=CALL, extra_body=NAMED
    ) as stream:
        async for _ in stream:
            pass
        said = await stream.get_final_completion()
    assert (said.choices[0].message.content or "").startswith("The tool answered: ")
    assert said.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("streams", [False, True])
async def test_the_clients_own_tools_are_passed_through(
    streams: bool, client: openai.AsyncOpenAI, daemon: FakeOllama
) -> None:
    asked: Any = {"model": CHAT, "messages": ASK_MINE, "tools": [MINE], "extra_body": NAMED}
    if streams:
        async with client.chat.completions.stream(**asked) as stream:
            async for _ in stream:
                pass
            said = await stream.get_final_completion()
    else:
        said = await client.chat.completions.create(**asked)
    [choice] = said.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "get_weather", {"city": "x"},
    )  # fmt: skip
    names = [tool["function"]["name"] for tool in sent(daemon)[-1]["tools"]]
    assert names == ["get_weather", "greeter__hello"]
    said = await client.chat.completions.create(
        model=CHAT,
        messages=[
            *ASK_MINE,
            choice.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}),
            {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"},
        ],
        tools=[MINE],
        extra_body=NAMED,
    )
    assert said.choices[0].message.content == "The tool answered: 18 degrees"
    history = sent(daemon)[-1]["messages"]
    assert history[1]["tool_calls"][0]["function"]["arguments"] == {"city": "x"}
    assert history[2]["tool_name"] == "get_weather"


async def test_servers_that_are_always_enabled_need_no_field(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    async with clients(make_app(**configured(ALWAYS))) as (client, _):
        said = await client.chat.completions.create(model=CHAT, messages=CALL)
        assert "mcp_steps" in (said.model_extra or {})
        daemon.reply(PATH, b"{}", headers={"Content-Type": "application/json"}, times=3)
        for more in ({"mcp_servers": []}, {"logprobs": True}, {"messages": [{"role": 3}]}):
            body = {"messages": CALL, **more}
            await client.post(
                PATH.removeprefix("/v1"), cast_to=object, body={"model": CHAT, **body}
            )
    assert len(sent(daemon, PATH)) == 3


async def test_a_model_without_tools_answers_with_them(client: openai.AsyncOpenAI) -> None:
    # held to a JSON Schema, the scripted daemon takes the first thing that it may do
    said = await client.chat.completions.create(
        model=PICTURES, messages=CALL, extra_body={**NAMED, "max_tool_rounds": 2}
    )
    assert said.choices[0].message.content
    assert (said.model_extra or {})["mcp_steps"]


async def test_a_form_is_kept_and_nothing_else_is_content(client: openai.AsyncOpenAI) -> None:
    class Answer(BaseModel):
        city: str
        degrees: int

    said = await client.chat.completions.parse(
        model=CHAT, messages=CALL, response_format=Answer, extra_body=NAMED
    )
    assert said.choices[0].message.parsed == Answer(city="x", degrees=0)
    async with client.chat.completions.stream(
        model=CHAT, messages=CALL, response_format=Answer, extra_body=NAMED
    ) as stream:
        async for _ in stream:
            pass
        said = await stream.get_final_completion()
    assert said.choices[0].message.parsed == Answer(city="x", degrees=0)


async def test_thoughts_are_reasoning(client: openai.AsyncOpenAI, plain: httpx.AsyncClient) -> None:
    asked: Any = {"model": THINKER, "messages": HELLO, "reasoning_effort": "low"}
    said = await client.chat.completions.create(**asked, extra_body=NAMED)
    thought = (said.choices[0].message.model_extra or {})["reasoning"]
    assert thought == "The user wrote: Hello there"
    told = await events(plain, PATH, **asked, **NAMED)
    deltas = [chunk["choices"][0]["delta"] for chunk in told[:-1]]
    assert "".join(delta.get("reasoning", "") for delta in deltas) == thought
    assert "".join(delta.get("content", "") for delta in deltas) == "You said: Hello there"


async def test_a_choice_of_tool_is_kept(client: openai.AsyncOpenAI, daemon: FakeOllama) -> None:
    choice: Any
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        said = await client.chat.completions.create(
            model=CHAT, messages=HELLO, tools=[MINE], tool_choice=choice
        )
        assert said.choices[0].finish_reason == "tool_calls"
        (call,) = said.choices[0].message.tool_calls or ()
        assert call.type == "function"
        assert json.loads(call.function.arguments) == {"city": "x"}
    daemon.reply(PATH, b"{}", headers={"Content-Type": "application/json"})
    await client.chat.completions.create(
        model=CHAT, messages=HELLO, tools=[MINE], tool_choice="none"
    )
    assert sent(daemon, PATH) == [{"model": CHAT, "messages": HELLO}]


# Refused


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"model": "nope"}, 404, "model_not_found"),
        ({"mcp_servers": ["nope"]}, 404, "not_found"),
        ({"messages": []}, 400, "invalid_argument"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, 400, None),
        ({"messages": [{"role": "user", "content": 3}]}, 400, "invalid_argument"),
        ({"temperature": "warm"}, 400, "invalid_argument"),
        ({"n": 2}, 400, "invalid_argument"),
        ({"logprobs": True}, 400, "invalid_argument"),
        ({"tools": [MINE], "tool_choice": {"function": {"name": "other"}}}, 400, None),
        ({"response_format": {"type": "xml"}}, 400, "invalid_argument"),
        ({"max_tool_rounds": 0}, 400, "invalid_argument"),
        ({"tools_path": "/etc"}, 403, "permission_denied"),
        ({"mcp_servers": [GREETER]}, 403, "permission_denied"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "/etc/passwd"}}]}]}, 400, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("streams", [False, True])
async def test_errors_have_openais_shape(
    more: dict[str, Any], status: int, code: str | None, streams: bool, plain: httpx.AsyncClient
) -> None:
    body = {"model": CHAT, "messages": HELLO, "stream": streams, **NAMED, **more}
    said = await plain.post(PATH, json=body)
    error = said.json()["error"]
    assert said.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    assert code in (None, error["code"])


@pytest.mark.parametrize("path", [PATH, "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("field", ["messages", "input", "tools_path", "metadata", "system"])
async def test_no_body_breaks_it(path: str, field: str, plain: httpx.AsyncClient) -> None:
    body = {"model": CHAT, "messages": HELLO, "input": "x", "max_tokens": 5, **NAMED}
    for value in (None, 3, "", "x", "\ud800", [], [3], [{}], {}, {"type": "x"}):
        said = await plain.post(path, content=json.dumps({**body, field: value}))
        assert said.status_code in (200, 400, 403, 404), said.text


async def test_an_error_in_mid_stream_is_told(
    client: openai.AsyncOpenAI, daemon: FakeOllama
) -> None:
    line = {"model": CHAT, "message": {"role": "assistant", "content": "Hel"}, "done": False}
    daemon.reply("/api/chat", line, error="the runner died")
    stream = await client.chat.completions.create(
        model=CHAT, messages=HELLO, stream=True, extra_body=NAMED
    )
    heard = ""
    with pytest.raises(openai.APIError, match="the runner died"):
        async for chunk in stream:
            heard += chunk.choices[0].delta.content or ""
    assert heard == "Hel"


async def test_one_who_goes_stops_the_model(plain: httpx.AsyncClient, daemon: FakeOllama) -> None:
    daemon.pace = 0.05
    body = {"model": CHAT, "messages": HELLO, "stream": True, **NAMED}
    async with plain.stream("POST", PATH, json=body) as said:
        async for line in said.aiter_lines():
            assert line.startswith("data: ")
            break
    await daemon.until(lambda: daemon.requests[-1].closed_early)


async def test_keys_bound_models_tools_and_definitions(make_app: MakeApp) -> None:
    def key(name: str, *scopes: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "sha256": digest(name.encode()), "scopes": scopes, **more}

    keys = {
        "keys": [
            key("asks", "read", "infer"),
            key("works", "read", "infer", "agent"),
            key("bound", "read", "infer", "agent", models=["qwen3:*"]),
        ]
    }
    app = make_app(
        **configured(ALWAYS, allow_inline_servers=True, keys=json.dumps(keys), aliases={"a": CHAT})
    )
    body = {"model": CHAT, "messages": CALL}

    async with served(app) as plain:

        async def ask(key: str, **more: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}"}
            return await plain.post(PATH, json={**body, **more}, headers=headers)

        assert (await ask("asks", **NAMED)).status_code == 403
        assert "mcp_steps" not in (await ask("asks")).text
        assert "mcp_steps" in (await ask("works")).text
        assert (await ask("works", mcp_servers=[GREETER])).status_code == 403
        for model in (CHAT, "a"):
            assert (await ask("bound", model=model)).status_code == 403
        headers = {"Authorization": "Bearer bound"}
        listed = (await plain.get("/v1/models", headers=headers)).json()
        assert [model["id"] for model in listed["data"]] == [THINKER]
        assert (await plain.get(f"/v1/models/{CHAT}", headers=headers)).status_code == 403


# Models


async def test_models_are_listed_with_their_other_names(make_app: MakeApp) -> None:
    app = make_app(aliases={"fast": CHAT, "gone": "nope"}, profiles={"terse": {"model": CHAT}})
    async with clients(app) as (client, plain):
        listed = [model.id async for model in client.models.list()]
        assert {CHAT, THINKER, EMBEDDER, "fast", "terse"} <= set(listed)
        assert "gone" not in listed
        one = await client.models.retrieve("fast")
        assert (one.id, one.object, one.owned_by) == ("fast", "model", "library")
        assert one.created > 1_700_000_000
        with pytest.raises(openai.NotFoundError, match=r"llama3\.2:3b"):
            await client.models.retrieve("llama3.2")
        headers = {"anthropic-version": "2023-06-01"}
        told = (await plain.get("/v1/models", headers=headers)).json()
        assert told["data"][0]["type"] == "model"
        assert told["has_more"] is False


# Responses


async def test_a_response_has_the_calls_as_items(client: openai.AsyncOpenAI) -> None:
    tools: Any = [{"type": "mcp", "server_label": "greeter"}]
    said = await client.responses.create(model=CHAT, input="Call greeter__hello", tools=tools)
    assert said.status == "completed"
    assert said.output_text.startswith("The tool answered: ")
    call = said.output[0]
    assert call.type == "mcp_call"
    assert (call.server_label, call.name, call.output) == ("greeter", "hello", "Hello, x!")
    assert json.loads(call.arguments) == {"name": "x"}
    assert said.usage is not None
    assert said.usage.total_tokens > 0
    again = await client.responses.create(
        model=CHAT,
        input=[
            *[item.model_dump(exclude_none=True) for item in said.output],  # type: ignore[misc]
            {"role": "user", "content": "Thanks"},
        ],
        extra_body=NAMED,
    )
    assert again.output_text == "You said: Thanks"


async def test_a_response_streams_every_event(client: openai.AsyncOpenAI) -> None:
    kinds, text = [], ""
    tools: Any = [{"type": "mcp", "server_label": "greeter"}]
    async with client.responses.stream(
        model=CHAT, input="Call greeter__hello", tools=tools
    ) as stream:
        numbers = []
        async for event in stream:
            kinds.append(event.type)
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                text += event.delta
        final = await stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[2:7] == [
        "response.output_item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
        "response.output_item.done",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert final.output_text == text
    assert [item.type for item in final.output] == ["mcp_call", "message"]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_response_passes_the_clients_tools_through(
    streams: bool, client: openai.AsyncOpenAI
) -> None:
    tool: Any = {"type": "function", **MINE["function"], "strict": False}
    asked: Any = {
        "model": CHAT, "input": "Call get_weather", "tools": [tool], "extra_body": NAMED,
    }  # fmt: skip
    if streams:
        async with client.responses.stream(**asked) as stream:
            async for _ in stream:
                pass
            said = await stream.get_final_response()
    else:
        said = await client.responses.create(**asked)
    (call,) = said.output
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "x"})
    done = await client.responses.create(
        model=CHAT,
        input=[
            {"role": "user", "content": "Call get_weather"},
            {
                "type": "function_call", "call_id": call.call_id,
                "name": call.name, "arguments": call.arguments,
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"},
        ],
        extra_body=NAMED,
    )  # fmt: skip
    assert done.output_text == "The tool answered: 18 degrees"


async def test_a_response_tells_thoughts_and_forms(client: openai.AsyncOpenAI) -> None:
    class Answer(BaseModel):
        city: str

    said = await client.responses.parse(
        model=THINKER,
        input="Hello",
        reasoning={"effort": "low"},
        text_format=Answer,
        extra_body=NAMED,
    )
    assert said.output_parsed == Answer(city="x")
    assert said.output[0].type == "reasoning"
    assert said.output[0].summary[0].text


async def test_a_response_that_fails_is_told(
    client: openai.AsyncOpenAI, daemon: FakeOllama
) -> None:
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        await client.responses.create(
            model=CHAT, input="x", previous_response_id="resp_1", extra_body=NAMED
        )
    line = {"model": CHAT, "message": {"role": "assistant", "content": "Hel"}, "done": False}
    daemon.reply("/api/chat", line, error="the runner died")
    stream = await client.responses.create(model=CHAT, input="x", stream=True, extra_body=NAMED)
    with pytest.raises(openai.APIError, match="the runner died"):
        async for _ in stream:
            await asyncio.sleep(0)


async def test_a_cut_answer_says_so(client: openai.AsyncOpenAI) -> None:
    said = await client.chat.completions.create(
        model=CHAT, messages=HELLO, max_tokens=1, extra_body=NAMED
    )
    assert said.choices[0].finish_reason == "length"
    told = await client.responses.create(
        model=CHAT, input="Hello there", max_output_tokens=1, extra_body=NAMED
    )
    assert told.status == "incomplete"
    assert told.incomplete_details is not None
    assert told.incomplete_details.reason == "max_output_tokens"
