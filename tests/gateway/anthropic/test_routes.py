"""Anthropic's API by its official client: passed on to the daemon, or answered with tools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from tests.conftest import CHAT, THINKER, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.openai.test_routes import GREETER, NAMED, configured, sent
from tests.gateway.serving import served

CALL: Any = [{"role": "user", "content": "Call greeter__hello"}]
HELLO: Any = [{"role": "user", "content": "Hello there"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
MINE: Any = {"name": "get_weather", "description": "The weather.", "input_schema": SCHEMA}
PATH = "/v1/messages"


@pytest.fixture
async def client(make_app: MakeApp) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """A client of a gateway with a server that is used where it is named."""
    async with (
        served(make_app(**configured(GREETER))) as plain,
        anthropic.AsyncAnthropic(
            base_url=str(plain.base_url), api_key="none", max_retries=0
        ) as client,
    ):
        yield client


async def test_what_asks_for_no_tools_goes_to_the_daemon(
    client: anthropic.AsyncAnthropic, daemon: FakeOllama
) -> None:
    told = {"id": "msg_1", "type": "message", "role": "assistant", "model": CHAT,
            "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    daemon.reply(PATH, told)
    said = await client.messages.create(model=CHAT, max_tokens=5, messages=HELLO)
    assert said.id == "msg_1"
    assert sent(daemon, PATH) == [{"model": CHAT, "max_tokens": 5, "messages": HELLO}]
    heads = daemon.requests[-1].headers
    assert "anthropic-version" in heads
    assert "x-api-key" not in heads


async def test_a_stream_without_its_end_is_an_error(
    client: anthropic.AsyncAnthropic, daemon: FakeOllama
) -> None:
    start = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
    daemon.reply(PATH, start, headers={"Content-Type": "text/event-stream"})
    stream = await client.messages.create(model=CHAT, max_tokens=5, messages=HELLO, stream=True)
    with pytest.raises(anthropic.APIStatusError, match="broke off"):
        async for _ in stream:
            pass


async def test_the_tools_of_servers_run_inside(client: anthropic.AsyncAnthropic) -> None:
    said = await client.messages.create(
        model=CHAT, max_tokens=50, messages=CALL, system="Be brief.", extra_body=NAMED
    )
    (block,) = said.content
    assert block.type == "text"
    assert block.text.startswith("The tool answered: ")
    assert said.stop_reason == "end_turn"
    assert said.usage.input_tokens > 0
    (step,) = said.model_extra["mcp_steps"]  # type: ignore[index]
    assert (step["tool"], step["result"]) == ("greeter:hello", "Hello, x!")


async def test_a_stream_is_a_message(client: anthropic.AsyncAnthropic) -> None:
    kinds = []
    async with client.messages.stream(
        model=CHAT, max_tokens=50, messages=CALL, extra_body=NAMED
    ) as stream:
        async for event in stream:
            kinds.append(event.type)
        said = await stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[1] == "content_block_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    (block,) = said.content
    assert block.type == "text"
    assert block.text.startswith("The tool answered: ")
    assert said.usage.output_tokens > 0


@pytest.mark.parametrize("streams", [False, True])
async def test_the_clients_own_tools_are_passed_through(
    streams: bool, client: anthropic.AsyncAnthropic, daemon: FakeOllama
) -> None:
    asked: Any = {
        "model": CHAT, "max_tokens": 50, "tools": [MINE], "extra_body": NAMED,
        "messages": [{"role": "user", "content": "Call get_weather"}],
    }  # fmt: skip
    if streams:
        async with client.messages.stream(**asked) as stream:
            said = await stream.get_final_message()
    else:
        said = await client.messages.create(**asked)
    assert said.stop_reason == "tool_use"
    (call,) = said.content
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("get_weather", {"city": "x"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
    history = [
        {"role": "assistant", "content": said.content},
        {"role": "user", "content": [result]},
    ]
    done = await client.messages.create(**{**asked, "messages": [*asked["messages"], *history]})
    assert done.content[0].type == "text"
    assert done.content[0].text == "The tool answered: 18 degrees"
    assert sent(daemon)[-1]["messages"][2]["tool_name"] == "get_weather"


async def test_a_choice_of_tool_is_kept(client: anthropic.AsyncAnthropic) -> None:
    said = await client.messages.create(
        model=CHAT, max_tokens=50, messages=HELLO, tools=[MINE], tool_choice={"type": "any"}
    )
    assert said.stop_reason == "tool_use"
    assert said.content[0].type == "tool_use"


async def test_thoughts_are_blocks(client: anthropic.AsyncAnthropic) -> None:
    asked: Any = {
        "model": THINKER, "max_tokens": 2000, "messages": HELLO, "extra_body": NAMED,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }  # fmt: skip
    said = await client.messages.create(**asked)
    async with client.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    for thought, text in (said.content, streamed.content):
        assert thought.type == "thinking"
        assert thought.thinking == "The user wrote: Hello there"
        assert text.type == "text"
        assert text.text == "You said: Hello there"


async def test_errors_have_anthropics_shape(
    client: anthropic.AsyncAnthropic, daemon: FakeOllama
) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        await client.messages.create(model="nope", max_tokens=5, messages=HELLO, extra_body=NAMED)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    with pytest.raises(anthropic.BadRequestError, match="audio"):
        await client.messages.create(
            model=CHAT,
            max_tokens=5,
            messages=[{"role": "user", "content": [{"type": "audio"}]}],  # type: ignore[list-item]
            extra_body=NAMED,
        )
    line = {"model": CHAT, "message": {"role": "assistant", "content": "Hel"}, "done": False}
    daemon.reply("/api/chat", line, error="the runner died")
    heard = ""
    with pytest.raises(anthropic.APIStatusError, match="the runner died"):
        async with client.messages.stream(
            model=CHAT, max_tokens=5, messages=HELLO, extra_body=NAMED
        ) as stream:
            async for text in stream.text_stream:
                heard += text
    assert heard == "Hel"


async def test_models_are_listed(client: anthropic.AsyncAnthropic) -> None:
    listed = [model async for model in client.models.list()]
    assert CHAT in [model.id for model in listed]
    one = await client.models.retrieve(CHAT)
    assert (one.type, one.id) == ("model", CHAT)
