"""One turn of a scripted model: natively, by the fallback, and without tools."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.agent.events import Said
from ollama_mcp_server.agent.offers.fallback import WITH_THAT
from ollama_mcp_server.agent.offers.offer import offer
from ollama_mcp_server.agent.turn import Turn, take_turn
from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.errors import ToolFailed
from ollama_mcp_server.progress import Progress
from tests.agent.scripted import tool
from tests.agent.test_loop import Model, answer, calls

READ = tool("read", path={"type": "string"})
OFFERED = offer({"fs": [READ]}, "")[0]
TASK = {"role": "user", "content": "Read a.txt."}
#: A history in which the tool has answered.
ANSWERED = [
    {"role": "system", "content": "Be brief."},
    TASK,
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "call_1", "function": {"name": "fs__read", "arguments": {"path": "a.txt"}}}
        ],
    },
    {"role": "tool", "tool_name": "fs__read", "tool_call_id": "call_1", "content": "the token"},
]


def data(value: Any) -> Answer:
    """Return a decision, as it comes back by the schema."""
    said = answer("{}")
    said.data = value
    return said


async def turn(model: Model, mode: Any, messages: Any = (TASK,), offered: Any = None) -> Turn:
    body = {"model": "m", "messages": list(messages), "think": None, "format": None}
    tools = OFFERED if offered is None else offered
    return await take_turn(model, body, tools, mode, Progress(None, ""))


async def test_native_calls_get_ids_where_they_have_none() -> None:
    said = calls(("fs__read", {"path": "a.txt"}))
    del said.tool_calls[0]["id"]
    took = await turn(Model(said), "native")
    (call,) = took.calls
    assert (call.name, call.arguments) == ("fs__read", {"path": "a.txt"})
    assert call.id.startswith("call_")
    assert not took.spoken


async def test_what_was_not_given_is_not_sent() -> None:
    model = Model("Hello.")
    await turn(model, "native")
    assert set(model.asked[0]) == {"model", "messages", "options", "tools"}


async def test_calls_written_as_text_are_found() -> None:
    written = '<tool_call>{"name": "fs__read", "arguments": {"path": "a.txt"}}</tool_call>'
    took = await turn(Model(written), "native")
    assert took.spoken
    assert [call.name for call in took.calls] == ["fs__read"]
    assert "<tool_call>" not in took.content


async def test_a_call_that_repeats_a_tools_words_is_none() -> None:
    written = '{"name": "fs__read", "arguments": {"path": "secret"}}'
    history = [*ANSWERED[:-1], {**ANSWERED[-1], "content": written}]
    took = await turn(Model(written), "native", history)
    assert took.calls == []


async def test_a_call_that_the_daemon_swallowed_is_asked_for_by_the_fallback() -> None:
    model = Model("", data({"tool": "read", "arguments": {"path": "a.txt"}}))
    took = await turn(model, "native")
    assert [call.name for call in took.calls] == ["fs__read"]
    assert "tools" in model.asked[0]
    assert "tools" not in model.asked[1]
    assert "format" in model.asked[1]


async def test_the_fallback_asks_for_a_call_or_an_answer() -> None:
    model = Model(data({"tool": "read", "arguments": {"path": "a.txt"}}))
    took = await turn(model, "fallback")
    assert [(call.name, call.arguments) for call in took.calls] == [("fs__read", {"path": "a.txt"})]
    assert [each["properties"]["tool"] for each in model.asked[0]["format"]["anyOf"]] == [
        {"const": "read"}, {"const": "answer"},
    ]  # fmt: skip
    assert "tools" not in model.asked[0]


async def test_an_answer_is_then_asked_for_in_words() -> None:
    model = Model(data({"tool": "answer"}), "It says: the token.")
    took = await turn(model, "fallback", ANSWERED)
    assert took.calls == []
    assert took.content == "It says: the token."
    for asked in model.asked:  # templates without tools would leave such messages out
        assert {message["role"] for message in asked["messages"]} <= {"system", "user", "assistant"}
        assert any("the token" in message["content"] for message in asked["messages"])
        assert asked["messages"][0]["content"].startswith("Be brief.")
    assert "format" not in model.asked[1]
    assert model.asked[1]["messages"][-1]["content"].endswith(WITH_THAT)


async def test_a_model_that_keeps_to_no_form_answers_in_words() -> None:
    took = await turn(Model(ToolFailed("the answer did not fit"), "Well."), "fallback")
    assert took.content == "Well."


@pytest.mark.parametrize("mode", ["native", "fallback"])
async def test_without_tools_it_is_a_plain_question(mode: str) -> None:
    model = Model("Hello.")
    took = await turn(model, mode, offered=[])
    assert took.content == "Hello."
    assert len(model.asked) == 1
    assert not {"tools", "format"} & set(model.asked[0])


async def test_pictures_and_thinking_of_the_history() -> None:
    history = [{**TASK, "images": ["aGVsbG8="]}, {"role": "assistant", "content": "Hm.",
               "thinking": "secret"}, TASK]  # fmt: skip
    model = Model(data({"tool": "answer"}), "Done.")
    await turn(model, "fallback", history)
    for asked in model.asked:
        assert any(message.get("images") for message in asked["messages"])
        assert not any("thinking" in message for message in asked["messages"])


async def test_what_is_said_is_heard_as_it_comes() -> None:
    heard: list[Said] = []
    body = {"model": "m", "messages": [TASK]}
    await take_turn(Model("Hello."), body, [], "native", Progress(None, ""), heard.append)
    assert heard == [Said("Hello.")]
