"""Requests of OpenAI's responses as chat.completions."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.responses import servers_of, to_chat
from ollama_mcp_server.errors import InvalidArgument


def messages(*items: dict[str, Any]) -> list[dict[str, Any]]:
    return to_chat({"input": list(items)})["messages"]  # type: ignore[no-any-return]


def test_a_text_is_what_the_user_says() -> None:
    chat = to_chat(
        {"model": "m", "input": "Hello", "instructions": "Be brief.", "max_output_tokens": 5,
         "temperature": 0, "reasoning": {"effort": "low"}, "store": False}
    )  # fmt: skip
    assert chat == {
        "model": "m", "max_tokens": 5, "temperature": 0, "reasoning_effort": "low",
        "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
        ],
    }  # fmt: skip


def test_parts_get_their_other_names() -> None:
    (said,) = messages(
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
            ],
        }
    )
    assert said["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
    ]


def test_what_an_assistant_thought_and_called_is_one_message() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"}
    told = messages(
        {"role": "user", "content": "Find it."},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Look."}]},
        call,
        {**call, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "here"},
    )
    assert [said["role"] for said in told] == ["user", "assistant", "tool"]
    assert told[1]["reasoning"] == "Look."
    assert [one["id"] for one in told[1]["tool_calls"]] == ["c1", "c2"]
    assert told[2] == {"role": "tool", "tool_call_id": "c1", "content": "here"}


def test_a_call_that_was_made_inside_is_told_again() -> None:
    item = {
        "type": "mcp_call", "id": "mcp_1", "server_label": "fs", "name": "read",
        "arguments": '{"path": "a"}', "output": "the text",
    }  # fmt: skip
    call, result = messages(item)
    assert call["tool_calls"][0]["function"] == {
        "name": "fs__read",
        "arguments": '{"path": "a"}',
    }
    assert result == {"role": "tool", "tool_call_id": "mcp_1", "content": "the text"}


def test_tools_and_the_form_of_the_answer() -> None:
    schema = {"type": "object"}
    chat = to_chat(
        {
            "input": "x",
            "tools": [
                {"type": "function", "name": "find", "parameters": schema, "strict": True},
                {"type": "web_search"},
            ],
            "tool_choice": {"type": "function", "name": "find"},
            "text": {"format": {"type": "json_schema", "name": "a", "schema": schema}},
        }
    )
    (tool,) = chat["tools"]
    assert (tool["function"]["name"], tool["function"]["parameters"]) == ("find", schema)
    assert chat["tool_choice"]["name"] == "find"
    assert chat["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"input": 3},
        {"input": "x", "previous_response_id": "resp_1"},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
    ],
)
def test_what_cannot_be_answered_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        to_chat(wrong)


def test_servers_are_named_or_defined_by_tools() -> None:
    named = {"type": "mcp", "server_label": "notes"}
    defined = {
        "type": "mcp", "server_label": "x", "server_url": "https://x/mcp", "authorization": "k",
        "headers": {"X-A": "b"}, "allowed_tools": ["read"],
    }  # fmt: skip
    assert servers_of({"tools": [named, defined, {"type": "function"}]}) == [
        "notes",
        {
            "name": "x", "url": "https://x/mcp", "allow": ["read"],
            "headers": {"X-A": "b", "Authorization": "Bearer k"},
        },
    ]  # fmt: skip
    assert servers_of({"tools": [{"type": "function"}]}) is None
    assert servers_of({}) is None
