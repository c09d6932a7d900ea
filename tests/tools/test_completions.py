"""chat_completion: OpenAI's request, on the daemon's own chat template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import CHAT, HELLO, THINKER, Caller, text
from tests.fake_ollama import FakeOllama
from tests.tools.test_chat import final, says, sent

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


async def test_text_and_object_are_the_same(either_era: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("Hello"), final())
    result = await either_era.call("chat_completion", model=CHAT, messages=HELLO)
    completion = result.structured_content
    assert json.loads(text(result)) == completion
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert completion["usage"]["total_tokens"] == 9


async def test_roles_stay_roles(client: Caller, daemon: FakeOllama) -> None:
    messages = [{"role": "system", "content": "Be brief"}, *HELLO]
    await client.call("chat_completion", model=CHAT, messages=messages)
    assert sent(daemon)["messages"] == messages
    assert "temperature" not in sent(daemon)["options"]  # so the model's own parameters hold


async def test_options(client: Caller, daemon: FakeOllama) -> None:
    await client.call(
        "chat_completion", model=CHAT, messages=HELLO, temperature=0, top_p=0.5, max_tokens=9,
        stop="END", seed=3, presence_penalty=1, frequency_penalty=-1)  # fmt: skip
    assert sent(daemon)["options"] == {
        "num_ctx": 4096, "temperature": 0, "top_p": 0.5, "num_predict": 9, "stop": ["END"],
        "seed": 3, "presence_penalty": 1, "frequency_penalty": -1}  # fmt: skip


@pytest.mark.parametrize(("effort", "think"), [("none", False), ("high", "high")])
async def test_reasoning_effort(
    client: Caller, daemon: FakeOllama, effort: str, think: Any
) -> None:
    await client.call("chat_completion", model=THINKER, messages=HELLO, reasoning_effort=effort)
    assert sent(daemon)["think"] == think


async def test_no_tools_where_the_choice_is_none(client: Caller, daemon: FakeOllama) -> None:
    await client.call(
        "chat_completion", model=CHAT, messages=HELLO, tools=[TOOL], tool_choice="none"
    )
    assert "tools" not in sent(daemon)


async def test_a_required_call_is_done_by_constrained_output(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", says('{"name": "get_weather", "arguments": {}}'), final())
    result = await client.call(
        "chat_completion", model=CHAT, messages=HELLO, tools=[TOOL], tool_choice="required"
    )
    choice = result.structured_content["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {
        "name": "get_weather", "arguments": "{}"}  # fmt: skip
    assert "tools" not in sent(daemon)
    assert sent(daemon)["format"]["properties"]["name"] == {"const": "get_weather"}
    assert "constrained output" in result.structured_content["warnings"][0]


async def test_a_native_call_is_given_openais_form(client: Caller, daemon: FakeOllama) -> None:
    call = {"id": "c1", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    daemon.reply("/api/chat", says(tool_calls=[call]), final())
    result = await client.call("chat_completion", model=CHAT, messages=HELLO, tools=[TOOL])
    message = result.structured_content["choices"][0]["message"]
    assert message["tool_calls"] == [{"id": "c1", "type": "function", "function": {
        "name": "get_weather", "arguments": '{"city": "Oslo"}'}}]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "told"),
    [({"n": 2}, "n above 1"), ({"logit_bias": {"1": 1}}, "logit_bias"),
     ({"temperature": 3}, "temperature must be 2 or less"),
     ({"timeout": 10}, "timeout must be 1000 or more"), ({"messages": []}, "at least 1 items"),
     ({"stop": 5}, "stop must be text, or a list of texts"),
     ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content must be text"),
     ({"tool_choice": "required"}, "tool_choice"), ({"seed": 2**40}, "seed must be"),
     ({"response_format": {"type": "xml"}}, "response_format")],
)  # fmt: skip
async def test_refused(client: Caller, argument: dict[str, Any], told: str) -> None:
    request = {"model": CHAT, "messages": HELLO} | argument
    error = await client.error("chat_completion", **request)
    assert error["code"] == "invalid_argument"
    assert told in error["message"]


async def test_what_has_no_effect_is_said(client: Caller) -> None:
    result = await client.call("chat_completion", model=CHAT, messages=HELLO, user="me")
    assert result.structured_content["warnings"] == ["user has no effect with Ollama"]
