"""OpenAI's shapes to Ollama's and back."""

import json

import pytest

from ollama_mcp_server.delegation import openai
from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.errors import InvalidArgument


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
