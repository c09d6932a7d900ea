"""The gateway by the official clients of OpenAI and Anthropic, on real models and servers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import signal
import struct
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from ollama_mcp_server.app import App
from ollama_mcp_server.settings import Settings
from scripts.testbed import daemon, models, runner
from tests.gateway.serving import served
from tests.live.sessions import WEATHER, picture
from tests.live.workplaces import configured, own

pytestmark = pytest.mark.live

CAPITAL: Any = [{"role": "user", "content": "What is the capital of France?"}]
OSLO: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
COUNT: Any = [{"role": "user", "content": "Count to a thousand: 1, 2, 3,"}]
#: The client's own tool, and the server's; each alone, for the models are small.
MINE: Any = WEATHER
THEIRS = {"mcp_servers": ["city"]}
NONE = {"mcp_servers": []}
FUNCTION = WEATHER["function"]


class Capital(BaseModel):
    city: str


@pytest.fixture
def token() -> str:
    """A word that no model can know."""
    return f"zebra{secrets.randbelow(9000) + 1000}"


@pytest.fixture
async def url(ollama: daemon.Daemon, token: str) -> AsyncIterator[str]:
    """A gateway with a server that tells the weather, where it is named."""
    city = {**own("city.py", token), "auto_enable": "never", "allow": ["get_weather"]}
    app = App(Settings(ollama_host=ollama.url, servers=configured(city)))
    async with served(app) as plain:
        yield str(plain.base_url)
    await app.aclose()


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
async def claude(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client:
        yield client


# OpenAI's, by the daemon's own routes


@pytest.mark.parametrize("model", [models.CHAT, models.TOOLS])
async def test_a_chat_is_answered_whole_and_streamed(
    model: str, client: openai.AsyncOpenAI
) -> None:
    asked: Any = {"model": model, "messages": CAPITAL, "temperature": 0, "max_tokens": 32}
    said = await client.chat.completions.create(**asked)
    assert "Paris" in (said.choices[0].message.content or "")
    assert said.usage is not None
    assert said.usage.completion_tokens > 2
    text, usage = "", None
    stream = await client.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    assert "Paris" in text
    assert usage is not None
    assert usage.total_tokens == said.usage.total_tokens


async def test_what_is_passed_on_is_the_daemons(client: openai.AsyncOpenAI) -> None:
    said = await client.completions.create(
        model=models.CHAT, prompt="The capital of France is", max_tokens=8, temperature=0
    )
    assert said.choices[0].text
    for form in ("float", "base64"):
        told = await client.embeddings.create(
            model=models.EMBED, input=["a cat", "a dog"], dimensions=8, encoding_format=form
        )
        assert [len(vector_of(one.embedding)) for one in told.data] == [8, 8]
    listed = [model.id async for model in client.models.list()]
    assert {models.CHAT, f"{models.TOOLS}:latest", models.EMBED} <= set(listed)
    assert (await client.models.retrieve(models.TOOLS)).owned_by == "testbed"


async def test_a_form_is_kept(client: openai.AsyncOpenAI) -> None:
    said = await client.chat.completions.parse(
        model=models.CHAT, messages=CAPITAL, response_format=Capital, temperature=0
    )
    assert said.choices[0].message.parsed
    picked = await client.chat.completions.create(
        model=models.VISION,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Which colour is it?"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{picture(255, 0, 0)}"},
                    },
                ],
            }
        ],
        temperature=0,
        max_tokens=8,
        extra_body=THEIRS,
    )
    assert picked.choices[0].message.content


@pytest.mark.parametrize("more", [NONE, {"mcp_servers": ["city"]}], ids=["relay", "agent"])
@pytest.mark.parametrize("streams", [False, True])
async def test_a_call_of_the_clients_own_comes_back(
    more: dict[str, Any], streams: bool, client: openai.AsyncOpenAI
) -> None:
    if more["mcp_servers"]:
        more = {**more, "max_tool_rounds": 3}
    asked: Any = {
        "model": models.TOOLS, "messages": OSLO, "tools": [MINE], "temperature": 0,
        "extra_body": more,
    }  # fmt: skip
    if streams:
        async with client.chat.completions.stream(**asked) as stream:
            async for _ in stream:
                pass
            said = await stream.get_final_completion()
    else:
        said = await client.chat.completions.create(**asked)
    assert said.choices[0].finish_reason == "tool_calls"
    (call,) = said.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    told: Any = {
        "role": "assistant",
        "tool_calls": [call.model_dump(include={"id", "type", "function"})],
    }
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}
    done = await client.chat.completions.create(
        **{**asked, "messages": [*OSLO, told, result], "max_tokens": 48}
    )
    assert done.choices[0].finish_reason in ("stop", "length")
    assert done.choices[0].message.content


async def test_a_demanded_call_is_made(client: openai.AsyncOpenAI) -> None:
    said = await client.chat.completions.create(
        model=models.CHAT,  # which has no tools of its own
        messages=OSLO,
        tools=[MINE],
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        temperature=0,
    )
    (call,) = said.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def vector_of(embedding: Any) -> list[float]:
    """Return a vector, however it is coded."""
    if isinstance(embedding, str):
        data = base64.b64decode(embedding)
        return list(struct.unpack(f"<{len(data) // 4}f", data))
    return list(embedding)


# OpenAI's, with the tools of a server


async def test_the_tools_of_a_server_run_inside(client: openai.AsyncOpenAI, token: str) -> None:
    asked: Any = {"model": models.TOOLS, "messages": OSLO, "extra_body": THEIRS}
    said = await client.chat.completions.create(**asked)
    (step,) = (said.model_extra or {})["mcp_steps"]
    assert (step["tool"], step["arguments"]) == ("city:get_weather", {"city": "Oslo"})
    assert token in step["result"]
    assert said.choices[0].finish_reason in ("stop", "length")
    assert said.choices[0].message.content
    seen, text, usage = [], "", None
    stream = await client.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        seen += (chunk.model_extra or {}).get("mcp_steps", [])
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    assert [one.get("result") is not None for one in seen] == [False, True]
    assert token in seen[1]["result"]
    assert text == said.choices[0].message.content
    assert usage is not None
    assert usage.total_tokens > 100


async def test_a_model_without_tools_of_its_own_answers(client: openai.AsyncOpenAI) -> None:
    said = await client.chat.completions.create(
        model=models.CHAT, messages=CAPITAL, extra_body=THEIRS
    )
    assert "Paris" in (said.choices[0].message.content or "")


async def test_a_response_calls_and_streams(client: openai.AsyncOpenAI, token: str) -> None:
    said = await client.responses.create(
        model=models.CHAT, input="What is the capital of France?", temperature=0
    )
    assert "Paris" in said.output_text
    tools: Any = [{"type": "mcp", "server_label": "city"}]
    asked: Any = {"model": models.TOOLS, "input": OSLO[0]["content"], "tools": tools}
    whole = await client.responses.create(**asked)
    async with client.responses.stream(**asked) as stream:
        async for _ in stream:
            pass
        streamed = await stream.get_final_response()
    for response in (whole, streamed):
        call, message = response.output
        assert call.type == "mcp_call"
        assert token in (call.output or "")
        assert message.type == "message"
    assert whole.output_text == streamed.output_text
    mine: Any = [{"type": "function", **FUNCTION, "strict": False}]
    for more in (NONE, THEIRS):
        asked = {"model": models.TOOLS, "input": OSLO[0]["content"], "tools": mine}
        called = await client.responses.create(**asked, temperature=0, extra_body=more)
        (call,) = called.output
        assert call.type == "function_call"
        assert json.loads(call.arguments) == {"city": "Oslo"}


# Anthropic's


async def test_a_message_is_answered_whole_and_streamed(
    claude: anthropic.AsyncAnthropic, token: str
) -> None:
    asked: Any = {
        "model": models.CHAT, "messages": CAPITAL, "max_tokens": 32,
        "extra_body": {"temperature": 0},
    }  # fmt: skip
    said = await claude.messages.create(**asked)
    async with claude.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    for message in (said, streamed):
        assert message.content[0].type == "text"
        assert "Paris" in message.content[0].text
    asked = {"model": models.TOOLS, "messages": OSLO, "max_tokens": 64, "extra_body": THEIRS}
    said = await claude.messages.create(**asked)
    (step,) = (said.model_extra or {})["mcp_steps"]
    assert token in step["result"]
    async with claude.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    (whole,), (pieces,) = said.content, streamed.content
    assert (whole.type, pieces.type) == ("text", "text")
    assert pieces.text == whole.text
    assert streamed.usage.output_tokens == said.usage.output_tokens


@pytest.mark.parametrize("more", [NONE, THEIRS], ids=["relay", "agent"])
async def test_a_message_calls_the_clients_own_tools(
    more: dict[str, Any], claude: anthropic.AsyncAnthropic
) -> None:
    tools: Any = [{"name": "get_weather", "description": FUNCTION["description"],
                   "input_schema": FUNCTION["parameters"]}]  # fmt: skip
    asked: Any = {
        "model": models.TOOLS, "messages": OSLO, "max_tokens": 64, "tools": tools,
        "extra_body": {"temperature": 0, **more},
    }  # fmt: skip
    said = await claude.messages.create(**asked)
    async with claude.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    for message in (said, streamed):
        assert message.stop_reason == "tool_use"
        (call,) = message.content
        assert call.type == "tool_use"
        assert (call.name, call.input) == ("get_weather", {"city": "Oslo"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
    history = [
        {"role": "assistant", "content": said.content},
        {"role": "user", "content": [result]},
    ]
    done = await claude.messages.create(**{**asked, "messages": [*OSLO, *history]})
    assert done.content[0].type == "text"


# Ends


@pytest.mark.parametrize("more", [NONE, THEIRS], ids=["relay", "agent"])
async def test_one_who_goes_frees_the_runner(
    more: dict[str, Any], client: openai.AsyncOpenAI, ollama: daemon.Daemon
) -> None:
    stream = await client.chat.completions.create(
        model=models.CHAT, messages=COUNT, stream=True, temperature=0, max_tokens=1500,
        # no tools are chosen from: the answer begins at once
        extra_body=more if more is NONE else {**more, "max_tool_rounds": 1},
    )  # fmt: skip
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()
    await asyncio.to_thread(runner.wait_until_idle, ollama.pid)


@pytest.mark.parametrize("more", [NONE, THEIRS], ids=["relay", "agent"])
async def test_a_runner_that_dies_is_no_short_answer(
    more: dict[str, Any],
    client: openai.AsyncOpenAI,
    claude: anthropic.AsyncAnthropic,
    ollama: daemon.Daemon,
) -> None:
    asked: Any = {
        "model": models.CHAT, "messages": COUNT, "max_tokens": 1500, "stream": True,
        "extra_body": {"temperature": 0, **more},
    }  # fmt: skip
    text: Any = {"model": models.CHAT, "input": COUNT, "max_output_tokens": 1500}
    begun: list[tuple[Any, type[Exception]]] = [
        (lambda: client.chat.completions.create(**asked), openai.APIError),
        (lambda: claude.messages.create(**asked), anthropic.APIError),
        (
            lambda: client.responses.create(**text, temperature=0, stream=True, extra_body=more),
            openai.APIError,
        ),
    ]
    for create, wrong in begun:
        stream = await create()
        number = 0
        with pytest.raises(wrong):
            async for _ in stream:
                number += 1
                if number == 8:
                    for pid in runner.pids(ollama.pid):
                        os.kill(pid, signal.SIGKILL)
        assert number >= 8
