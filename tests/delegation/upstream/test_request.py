"""Ollama's requests as OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_mcp_server.delegation.upstream.request import (
    removed,
    to_messages,
    to_request,
    without,
)

HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
PNG = "iVBORw0KGgoAAAANSUhEUg=="


def call(name: str, identity: str | None = None, **arguments: Any) -> dict[str, Any]:
    made = {"function": {"name": name, "arguments": arguments}}
    return {"id": identity, **made} if identity else made


def test_a_request_is_streamed_with_its_usage() -> None:
    body = {
        "model": "m",
        "messages": HELLO,
        "tools": [WEATHER],
        "keep_alive": "5m",
        "think": "low",
        "truncate": False,
        "shift": False,
        "stream": False,
    }
    assert to_request(body) == (
        {
            "model": "m",
            "messages": HELLO,
            "tools": [WEATHER],
            "reasoning_effort": "low",
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        [],
    )


def test_options_get_openais_names() -> None:
    options = {
        "temperature": 0,
        "top_p": 0.5,
        "seed": 1,
        "num_predict": 9,
        "stop": ["x"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "num_ctx": None,
    }
    request, warnings = to_request({"model": "m", "messages": HELLO, "options": options})
    assert warnings == []
    assert {name: request[name] for name in request if name in options or name == "max_tokens"} == {
        "temperature": 0,
        "top_p": 0.5,
        "seed": 1,
        "max_tokens": 9,
        "stop": ["x"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
    }


def test_other_options_are_left_out_and_told() -> None:
    body = {"model": "m", "messages": HELLO, "options": {"top_k": 1, "num_ctx": 8192}}
    request, [warning] = to_request({**body, "think": "max"})
    assert not {"num_ctx", "options", "reasoning_effort"} & request.keys()
    assert request["top_k"] == 1
    assert "num_ctx, think: max" in warning


@pytest.mark.parametrize("unlimited", [-1, -2, 0])
def test_no_limit_is_none(unlimited: int) -> None:
    body = {"model": "m", "messages": HELLO, "options": {"num_predict": unlimited}}
    request, warnings = to_request(body)
    assert "max_tokens" not in request
    assert warnings == []


@pytest.mark.parametrize("think", [True, False, None])
def test_thinking_that_is_only_switched_is_the_endpoints_own(think: bool | None) -> None:
    request, warnings = to_request({"model": "m", "messages": HELLO, "think": think})
    assert "reasoning_effort" not in request
    assert warnings == []


def test_no_tools_are_no_empty_list() -> None:
    assert "tools" not in to_request({"model": "m", "messages": HELLO, "tools": []})[0]


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("json", {"type": "json_object"}),
        (
            {"type": "object"},
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": False, "schema": {"type": "object"}},
            },
        ),
    ],
)
def test_format_is_response_format(form: Any, sent: dict[str, Any]) -> None:
    request, _ = to_request({"model": "m", "messages": HELLO, "format": form})
    assert request["response_format"] == sent


def test_calls_and_answers_keep_their_ids() -> None:
    messages = [
        *HELLO,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [call("a", "c1", x="é"), call("b", "c2")],
        },
        {"role": "tool", "tool_call_id": "c2", "tool_name": "b", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "tool_name": "a", "content": "one"},
    ]
    _, assistant, *answers = to_messages(messages)
    assert assistant == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "a", "arguments": '{"x": "é"}'},
            },
            {"id": "c2", "type": "function", "function": {"name": "b", "arguments": "{}"}},
        ],
    }
    assert answers == [
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
    ]


def test_calls_without_ids_get_some_and_their_answers_the_same() -> None:
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call("a"), call("a"), call("b")]},
        {"role": "tool", "tool_name": "b", "content": "3"},
        {"role": "tool", "tool_name": "a", "content": "1"},
        {"role": "tool", "content": "2"},
        {"role": "tool", "tool_name": "a", "content": "of no call"},
    ]
    _, assistant, *answers = to_messages(messages)
    first, second, third = (made["id"] for made in assistant["tool_calls"])
    assert len({first, second, third}) == 3
    assert [answer["tool_call_id"] for answer in answers] == [third, first, second, ""]


@pytest.mark.parametrize("broken", ['{"city": ', "[1]", None])
def test_arguments_that_are_no_object_are_sent_as_none(broken: Any) -> None:
    asked = {"id": "c1", "function": {"name": "a", "arguments": broken}}
    [message] = to_messages([{"role": "assistant", "content": "", "tool_calls": [asked]}])
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {}


def test_a_users_pictures_are_parts() -> None:
    [message] = to_messages([{"role": "user", "content": "What?", "images": [PNG]}])
    assert message["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("/9j/4AAQSkZJRg==", "data:image/jpeg;base64,/9j/4AAQSkZJRg=="),
        ("R0lGODlhAQABAAAAACw=", "data:image/gif;base64,R0lGODlhAQABAAAAACw="),
        ("not a picture", "data:image/png;base64,not a picture"),
        ("data:image/webp;base64,UklGRg==", "data:image/webp;base64,UklGRg=="),
    ],
)
def test_a_picture_says_its_kind(image: str, url: str) -> None:
    [message] = to_messages([{"role": "user", "content": "", "images": [image]}])
    assert message["content"][1]["image_url"]["url"] == url


def test_pictures_of_tools_follow_all_their_answers() -> None:
    messages = [
        *HELLO,
        {"role": "assistant", "content": "", "tool_calls": [call("a", "c1"), call("b", "c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": "one", "images": [PNG]},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {"role": "assistant", "content": "I see"},
        {"role": "tool", "tool_call_id": "c3", "content": "three", "images": [PNG, PNG]},
    ]
    sent = to_messages(messages)
    roles = ["user", "assistant", "tool", "tool", "user", "assistant", "tool", "user"]
    assert [message["role"] for message in sent] == roles
    shown = [part for at in (4, 7) for part in sent[at]["content"] if part["type"] == "image_url"]
    assert len(shown) == 3
    assert "images" not in json.dumps(sent)


def test_thoughts_of_this_turn_go_back_where_they_came_from() -> None:
    thought = {
        "role": "assistant",
        "content": "",
        "thinking": "hm",
        "tool_calls": [call("a", "c1")],
    }
    answered = {"role": "tool", "tool_call_id": "c1", "content": "1"}
    said = {"role": "assistant", "content": "It is 1", "thinking": "so"}
    messages = [*HELLO, thought, answered, said, *HELLO, thought, answered]
    sent = to_messages(messages, "reasoning_content")
    kept = [at for at, message in enumerate(sent) if "reasoning_content" in message]
    assert kept == [5]
    assert "hm" not in json.dumps(to_messages(messages))


@pytest.mark.parametrize(
    ("refusal", "field"),
    [
        ("Unrecognized request argument supplied: stream_options", "stream_options"),
        ("body.stream_options: Extra inputs are not permitted", "stream_options"),
        ("property 'stream_options' is unsupported", "stream_options"),
        ("Unknown parameter: 'stream_options.include_usage'.", "stream_options"),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
        ),
        (
            "Unsupported value: 'temperature' does not support 0 with this model. Only the "
            "default (1) value is supported.",
            "temperature",
        ),
        ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', "seed"),
        ("temperature must be at most 2", None),
        ("messages: unsupported role", None),
        ("Unsupported parameter: 'top_p'", None),
    ],
)
def test_what_a_refusal_names(refusal: str, field: str | None) -> None:
    options = {"temperature": 0, "num_predict": 9, "seed": 1}
    request, _ = to_request({"model": "m", "messages": HELLO, "options": options})
    assert without(request, refusal) == field


def test_a_limit_that_is_not_taken_gets_its_newer_name() -> None:
    assert removed({"max_tokens": 9, "seed": 1}, "max_tokens") == {
        "max_completion_tokens": 9,
        "seed": 1,
    }
    assert removed({"seed": 1}, "max_tokens") == {"seed": 1}
    assert removed({"seed": 1, "top_p": 1}, "seed") == {"top_p": 1}
