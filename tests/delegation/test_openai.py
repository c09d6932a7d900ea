"""OpenAI's shapes to Ollama's and back."""

import json

import pytest

from ollama_mcp_server.delegation import openai
from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.errors import InvalidArgument

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}  # fmt: skip
TIME = {"type": "function", "function": {"name": "get_time"}}


def test_options_get_ollamas_names() -> None:
    request = {"temperature": 0, "max_tokens": 5, "stop": ["x"], "model": "m", "top_p": None}
    assert openai.to_options(request) == {"temperature": 0, "num_predict": 5, "stop": ["x"]}


def test_parts_become_one_message() -> None:
    parts = [{"type": "text", "text": "What is it?"},
             {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]  # fmt: skip
    assert openai.to_messages([{"role": "user", "content": parts}]) == [
        {"role": "user", "content": "What is it?", "images": ["data:image/png;base64,QUJD"]}
    ]


def test_developer_is_system() -> None:
    assert openai.to_messages([{"role": "developer", "content": "x"}])[0]["role"] == "system"


def test_a_tools_answer_gets_the_name_of_its_call() -> None:
    call = {"id": "c1", "function": {"name": "get_weather", "arguments": {}}}
    messages = openai.to_messages([
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "18"},
    ])  # fmt: skip
    assert messages[0] == {"role": "assistant", "content": "", "tool_calls": [call]}
    assert messages[1]["tool_name"] == "get_weather"


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {}}, {"type": "audio"}])
def test_other_parts_are_refused(part: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        openai.to_messages([{"role": "user", "content": [part]}])


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [(None, None), ({"type": "text"}, None), ({"type": "json_object"}, "json"),
     ({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}, {"type": "object"})],
)  # fmt: skip
def test_response_format(wanted: dict[str, object] | None, sent: object) -> None:
    assert openai.to_format(wanted) == sent


@pytest.mark.parametrize("wrong", [{"type": "xml"}, {"type": "json_schema"}, {"type": None}])
def test_wrong_response_format(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        openai.to_format(wrong)


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_nothing_is_forced_unless_asked(choice: str | None) -> None:
    assert openai.forced_call([WEATHER], choice) is None


def test_required_offers_every_function() -> None:
    forced = openai.forced_call([WEATHER, TIME], "required")
    assert forced
    names = [arm["properties"]["name"]["const"] for arm in forced[0]["anyOf"]]
    assert names == ["get_weather", "get_time"]
    assert "get_weather" in forced[1]


def test_a_named_choice_offers_that_one() -> None:
    forced = openai.forced_call([WEATHER, TIME], {"function": {"name": "get_time"}})
    assert forced
    assert forced[0]["properties"]["name"] == {"const": "get_time"}


@pytest.mark.parametrize("choice", ["always", {"function": {"name": "x"}}, {}])
def test_a_choice_that_names_nothing_is_refused(choice: object) -> None:
    with pytest.raises(InvalidArgument):
        openai.forced_call([WEATHER], choice)


def test_required_without_tools_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        openai.forced_call([], "required")


def test_a_forced_call_is_taken_from_the_text() -> None:
    answer = Answer(content='{"name": "get_weather", "arguments": {"city": "Oslo"}}')
    assert openai.take_forced_call(answer)
    assert answer.content == ""
    assert answer.tool_calls[0]["function"]["arguments"] == {"city": "Oslo"}


def test_a_forced_call_that_was_cut_stays_text() -> None:
    answer = Answer(content='{"name": "get_wea')
    assert not openai.take_forced_call(answer)
    assert answer.content


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(Answer(content="Hi", final={"done_reason": "stop"}), "stop"),
     (Answer(content="Hi", final={"done_reason": "length"}), "length"),
     (Answer(tool_calls=[{"id": "c", "function": {"name": "f", "arguments": {"x": 1}}}]),
      "tool_calls")],
)  # fmt: skip
def test_finish_reason(answer: Answer, reason: str) -> None:
    assert openai.to_completion(answer, [])["choices"][0]["finish_reason"] == reason


def test_the_completion_object() -> None:
    answer = Answer("Hi", "hm", [{"function": {"name": "f", "arguments": {"x": "é"}}}], [{"t": 1}],
                    {"model": "m", "prompt_eval_count": 3, "eval_count": 2,
                     "prompt_eval_cached_count": 1})  # fmt: skip
    completion = openai.to_completion(answer, [])
    message = completion["choices"][0]["message"]
    assert completion["object"] == "chat.completion"
    assert completion["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
                                   "prompt_tokens_details": {"cached_tokens": 1}}  # fmt: skip
    assert message["reasoning"] == "hm"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"x": "é"}
    assert message["tool_calls"][0]["id"].startswith("call_")
    assert completion["choices"][0]["logprobs"] == {"content": [{"t": 1}]}
    assert "warnings" not in completion
