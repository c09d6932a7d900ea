"""Anthropic's requests as OpenAI's."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.anthropic import servers_of, to_chat
from ollama_mcp_server.errors import InvalidArgument

HELLO = [{"role": "user", "content": "Hello"}]


def messages(*content: Any, role: str = "user", **more: Any) -> list[dict[str, Any]]:
    said = {"role": role, "content": list(content)}
    return to_chat({"messages": [said], **more})["messages"]  # type: ignore[no-any-return]


def test_fields_get_openais_names() -> None:
    request = {
        "model": "m", "max_tokens": 5, "temperature": 0, "top_k": 3, "stop_sequences": ["x"],
        "messages": HELLO, "stream": True, "metadata": {"user_id": "u"},
    }  # fmt: skip
    assert to_chat(request) == {
        "model": "m", "max_tokens": 5, "temperature": 0, "top_k": 3, "stop": ["x"],
        "messages": HELLO, "stream": True,
    }  # fmt: skip


@pytest.mark.parametrize("system", ["Be brief.", [{"type": "text", "text": "Be brief."}]])
def test_the_system_prompt_comes_first(system: Any) -> None:
    told = to_chat({"system": system, "messages": HELLO})["messages"]
    assert told == [{"role": "system", "content": "Be brief."}, *HELLO]


def test_pictures_and_documents_are_parts() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
    document = {"type": "text", "media_type": "text/plain", "data": "notes"}
    (said,) = messages(
        {"type": "text", "text": "What is it?"},
        {"type": "image", "source": source},
        {"type": "document", "source": document},
    )
    assert said["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "text", "text": "notes"},
    ]


def test_calls_and_results_become_messages() -> None:
    (said,) = messages(
        {"type": "thinking", "thinking": "Look.", "signature": ""},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "tool_use", "id": "t1", "name": "find", "input": {"n": 1}},
        role="assistant",
    )
    function = {"name": "find", "arguments": '{"n": 1}'}
    assert said["tool_calls"] == [{"id": "t1", "type": "function", "function": function}]
    assert (said["reasoning"], said["content"]) == ("Look.", None)
    told = messages(
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "18"}]},
        {"type": "tool_result", "tool_use_id": "t2", "content": "gone", "is_error": True},
        {"type": "text", "text": "Well?"},
    )
    assert told[0] == {"role": "tool", "tool_call_id": "t1", "content": "18"}
    assert told[1]["content"] == "Error: gone"
    assert told[2] == {"role": "user", "content": [{"type": "text", "text": "Well?"}]}
    assert len(messages({"type": "tool_result", "tool_use_id": "t1"})) == 1


@pytest.mark.parametrize(
    ("choice", "sent"),
    [("auto", "auto"), ("any", "required"), ("none", "none"),
     ("tool", {"type": "function", "function": {"name": "find"}})],
)  # fmt: skip
def test_tools_and_their_choice(choice: str, sent: Any) -> None:
    schema = {"type": "object"}
    chat = to_chat(
        {
            "messages": HELLO,
            "tools": [{"name": "find", "input_schema": schema}],
            "tool_choice": {"type": choice, "name": "find"},
        }
    )
    assert chat["tools"][0]["function"]["parameters"] == schema
    assert chat["tool_choice"] == sent


def test_thinking_and_the_form_of_the_answer() -> None:
    schema = {"type": "object"}
    form = {"type": "json_schema", "schema": schema}
    chat = to_chat(
        {"messages": HELLO, "thinking": {"type": "enabled"}, "output_config": {"format": form}}
    )
    assert chat["think"] is True
    assert chat["response_format"]["json_schema"]["schema"] == schema
    assert to_chat({"messages": HELLO, "thinking": {"type": "disabled"}})["think"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"messages": "x"},
        {"messages": [{"content": "x"}]},
        {"messages": [{"role": "user", "content": 3}]},
        {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
        {"messages": HELLO, "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    ],
)
def test_what_cannot_be_answered_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        to_chat(wrong)


def test_servers_in_anthropics_form() -> None:
    given = {"type": "url", "url": "https://x/mcp", "name": "x", "authorization_token": "k"}
    assert servers_of({"mcp_servers": [given, "notes"]}) == [
        {"name": "x", "url": "https://x/mcp", "headers": {"Authorization": "Bearer k"}},
        "notes",
    ]
    assert servers_of({}) is None
