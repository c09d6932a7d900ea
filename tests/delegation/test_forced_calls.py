"""Calls that a client insists on, made by constrained output."""

import pytest

from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.forced_calls import forced_call, take_forced_call
from ollama_mcp_server.errors import InvalidArgument

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}  # fmt: skip
TIME = {"type": "function", "function": {"name": "get_time"}}


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_nothing_is_forced_unless_asked(choice: str | None) -> None:
    assert forced_call([WEATHER], choice) is None


def test_required_offers_every_function() -> None:
    forced = forced_call([WEATHER, TIME], "required")
    assert forced
    names = [arm["properties"]["name"]["const"] for arm in forced[0]["anyOf"]]
    assert names == ["get_weather", "get_time"]
    assert "get_weather" in forced[1]


def test_a_named_choice_offers_that_one() -> None:
    forced = forced_call([WEATHER, TIME], {"function": {"name": "get_time"}})
    assert forced
    assert forced[0]["properties"]["name"] == {"const": "get_time"}


@pytest.mark.parametrize("choice", ["always", {"function": {"name": "x"}}, {}])
def test_a_choice_that_names_nothing_is_refused(choice: object) -> None:
    with pytest.raises(InvalidArgument):
        forced_call([WEATHER], choice)


def test_required_without_tools_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        forced_call([], "required")


def test_a_forced_call_is_taken_from_the_text() -> None:
    answer = Answer(content='{"name": "get_weather", "arguments": {"city": "Oslo"}}')
    assert take_forced_call(answer)
    assert answer.content == ""
    assert answer.tool_calls[0]["function"]["arguments"] == {"city": "Oslo"}


def test_a_forced_call_that_was_cut_stays_text() -> None:
    answer = Answer(content='{"name": "get_wea')
    assert not take_forced_call(answer)
    assert answer.content
