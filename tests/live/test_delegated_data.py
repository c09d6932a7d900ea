"""Answers as data, by each tool and from real models: fitting, corrected, or told why not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jsonschema
import pytest
from fastmcp.client.client import CallToolResult

from scripts.testbed import models, recorder
from scripts.testbed.daemon import Daemon
from scripts.testbed.recorder import Recorder
from tests.conftest import Caller, text
from tests.live.sessions import in_memory, over_stdio, user

pytestmark = pytest.mark.live

TOOLS = ("ollama_chat", "ollama_generate", "chat_completion")
each_tool = pytest.mark.parametrize("tool", TOOLS)
FRANCE = "What is the capital of France?"


def an(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


CITY = an(city={"enum": ["Paris", "Rome"]}, big={"type": "boolean"})
#: Its root refers to itself by two ways.
TREE = {
    "$defs": {
        "leaf": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
        "node": an(
            v={"type": "integer", "minimum": 0, "maximum": 9}, next={"$ref": "#/$defs/leaf"}
        ),
    },
    "$ref": "#/$defs/node",
}
#: The grammar cannot hold the pattern, and a tiny model does not know it.
ODD = an(a={"type": "string", "maxLength": 4, "pattern": "(?=z)zq[^a]x!?$"})
#: Nor the bounds of numbers that need not be whole.
THREE = an(a={"type": "number", "minimum": 3, "maximum": 3})


@pytest.fixture
def tape(ollama: Daemon) -> Iterator[Recorder]:
    with recorder.start(ollama.url) as seen:
        yield seen


@pytest.fixture
async def caller(tape: Recorder) -> AsyncIterator[Caller]:
    async with in_memory(tape.url) as caller:
        yield caller


def asking(tool: str, question: str, schema: Any, tokens: int = 48, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"model": models.CHAT}
    given |= {"prompt": question} if tool == "ollama_generate" else {"messages": [user(question)]}
    if tool == "chat_completion":
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        return {**given, "response_format": wanted, "max_tokens": tokens, "temperature": 0, **more}
    options = {"num_predict": tokens, "temperature": 0}
    return {**given, "format": schema, "options": options, **more}


def data_of(tool: str, result: CallToolResult) -> Any:
    """The data of an answer, which each way of reading it must have alone."""
    assert not result.is_error, text(result)
    said = result.structured_content
    if tool == "chat_completion":
        assert json.loads(text(result)) == said
        return json.loads(said["choices"][0]["message"]["content"])
    assert "content" not in said
    shown = text(result).partition("\n[")[0] if said.get("warnings") else text(result)
    assert json.loads(shown) == said["data"]
    return said["data"]


def asked(tape: Recorder) -> list[dict[str, Any]]:
    bodies = [seen.json for seen in tape.exchanges if seen.path in ("/api/chat", "/api/generate")]
    return [body for body in bodies if body.get("messages") or body.get("prompt")]


@each_tool
@pytest.mark.parametrize("model", [models.CHAT, models.THINK])
async def test_an_answer_is_data(caller: Caller, tape: Recorder, tool: str, model: str) -> None:
    result = await caller.call(tool, **asking(tool, FRANCE, CITY, 96, model=model))
    jsonschema.validate(data_of(tool, result), CITY)
    assert "warnings" not in result.structured_content
    assert len(asked(tape)) == 1


@each_tool
async def test_a_recursive_schema_with_references(caller: Caller, tool: str) -> None:
    question = 'Repeat exactly this JSON: {"v": 1, "next": {"v": 2, "next": null}}'
    result = await caller.call(tool, **asking(tool, question, TREE, 96))
    data = data_of(tool, result)
    jsonschema.validate(data, TREE)
    assert data["next"] is None or data["next"]["v"] in range(10)


@each_tool
async def test_any_json(caller: Caller, tool: str) -> None:
    given = asking(tool, 'Answer with {"city": "Paris"} and nothing else.', "json")
    if tool == "chat_completion":
        given["response_format"] = {"type": "json_object"}
    assert isinstance(data_of(tool, await caller.call(tool, **given)), dict)


@each_tool
async def test_think_false_is_not_sent_with_a_schema(
    caller: Caller, tape: Recorder, tool: str
) -> None:
    off: dict[str, Any] = {"think": False}
    off = {"reasoning_effort": "none"} if tool == "chat_completion" else off
    result = await caller.call(tool, **asking(tool, FRANCE, CITY, 96, model=models.THINK, **off))
    jsonschema.validate(data_of(tool, result), CITY)
    assert "think" not in asked(tape)[0]
    assert "think: false was left out" in str(result.structured_content["warnings"])


@each_tool
async def test_what_does_not_fit_is_told_with_all_that_was_said(
    caller: Caller, tape: Recorder, tool: str
) -> None:
    error = await caller.error(tool, **asking(tool, "Give me a JSON example.", ODD))
    assert error["code"] == "tool_failed"
    assert "asked 3 times" in error["message"]
    assert json.loads(error["details"]["content"]).keys() == {"a"}
    (violation,) = error["details"]["violations"]
    assert violation.startswith("a is not of the form")
    first, second, third = asked(tape)
    if tool == "ollama_generate":
        assert second["prompt"].startswith(first["prompt"])
        assert third["prompt"].startswith(second["prompt"])
        assert "a is not of the form" in second["prompt"]
    else:
        roles = [message["role"] for message in third["messages"]]
        assert roles == ["user", *["assistant", "user"] * 2]
        assert third["messages"][:3] == second["messages"]
        assert "a is not of the form" in second["messages"][2]["content"]


@pytest.mark.parametrize("tool", ["ollama_chat", "chat_completion"])
async def test_what_did_not_fit_is_asked_for_again(
    caller: Caller, tape: Recorder, tool: str
) -> None:
    result = await caller.call(tool, **asking(tool, "Say 9.", THREE))
    assert data_of(tool, result) == {"a": 3}
    first, second = asked(tape)
    assert second["messages"][0] == first["messages"][0]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    told = "asked 2 times: the first answer did not fit: a must be 3 or less"
    assert result.structured_content["warnings"] == [told]
    # What it cost is the sum of both.
    finals = [seen.lines[-1] for seen in tape.exchanges if seen.path == "/api/chat"][-2:]
    counted = sum(final["prompt_eval_count"] for final in finals)
    assert result.structured_content["usage"]["prompt_tokens"] == counted


@each_tool
async def test_without_retries_it_is_asked_once(caller: Caller, tape: Recorder, tool: str) -> None:
    error = await caller.error(tool, **asking(tool, "Give me a JSON example.", ODD, retries=0))
    assert "asked once" in error["message"]
    assert error["details"]["content"]
    assert len(asked(tape)) == 1


@each_tool
async def test_an_answer_that_is_cut_is_not_asked_for_again(
    caller: Caller, tape: Recorder, tool: str
) -> None:
    many = an(a={"type": "array", "items": {"type": "integer"}, "minItems": 200})
    error = await caller.error(tool, **asking(tool, "Count.", many, 16))
    assert (error["code"], error["details"]["done_reason"]) == ("tool_failed", "length")
    assert error["details"]["content"].lstrip().startswith("{")
    assert len(asked(tape)) == 1


@each_tool
async def test_a_schema_that_is_none_is_told_before_anything_is_asked(
    caller: Caller, tape: Recorder, tool: str
) -> None:
    for schema in ({"type": "nope"}, {"$ref": "#/$defs/absent"}, {"$ref": "https://x.example/s"}):
        error = await caller.error(tool, **asking(tool, FRANCE, schema))
        assert error["code"] == "invalid_argument"
    assert asked(tape) == []


async def test_over_stdio(ollama: Daemon) -> None:
    async with Caller(over_stdio(ollama.url)) as caller:
        for tool in TOOLS:
            result = await caller.call(tool, **asking(tool, FRANCE, json.loads(json.dumps(CITY))))
            jsonschema.validate(data_of(tool, result), CITY)
