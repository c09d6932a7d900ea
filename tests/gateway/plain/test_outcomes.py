"""What a tool answered as JSON, whatever it was."""

from __future__ import annotations

import json
import math
from typing import Any

import mcp_types
import pytest

from ollama_mcp_server.errors import Conflict, ModelNotFound, RateLimited, ToolFailed
from ollama_mcp_server.gateway.plain.outcomes import body_of, encoded, failure_of
from ollama_mcp_server.middleware import failure

WORDS = {"type": "text", "text": "words"}
IMAGE = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
SOUND = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}
BLOB = {"type": "resource", "resource": {"uri": "x://1", "blob": "AAAA"}}
MEMO = {"type": "resource", "resource": {"uri": "x://2", "text": "a memo"}}


def result(*content: Any, **more: Any) -> mcp_types.CallToolResult:
    return mcp_types.CallToolResult.model_validate({"content": list(content), **more})


@pytest.mark.parametrize(
    ("content", "structured", "body"),
    [
        ([], None, ""),
        ([WORDS], None, "words"),
        ([WORDS, MEMO], None, "words\n\na memo"),
        ([WORDS], {"a": None}, {"a": None}),
        ([WORDS], {}, {}),
        ([IMAGE], None, ["data:image/png;base64,AAAA"]),
        ([WORDS, SOUND], {"a": 1}, [{"a": 1}, "words", "data:audio/wav;base64,AAAA"]),
        ([BLOB, MEMO], None, ["data:application/octet-stream;base64,AAAA", "a memo"]),
    ],
)
def test_what_a_tool_answers_is_json(content: list[Any], structured: Any, body: Any) -> None:
    assert body_of(result(*content, structuredContent=structured)) == body


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"n": math.nan, "i": math.inf}, {"n": None, "i": None}),
        ("half \ud800", "half ?"),
        ({"\ud800": ["\ud800", math.nan]}, {"?": ["?", None]}),
        ("grüße 🙂", "grüße 🙂"),
    ],
)
def test_anything_is_told_as_valid_json(value: Any, read: Any) -> None:
    assert json.loads(encoded(value)) == read


@pytest.mark.parametrize(
    "error",
    [
        ModelNotFound("no such model", "Pull it", model="x"),
        RateLimited("too much", "Wait", retry_after=3.0),
        Conflict("in use"),
    ],
)
def test_our_own_errors_come_back_as_they_were(error: Any) -> None:
    told = failure(error).to_mcp_result()
    same = failure_of(told, "ollama_show")
    assert (type(same), same.as_dict()) == (type(error), error.as_dict())


@pytest.mark.parametrize("structured", [None, {"error": "x"}, {"error": {"code": 1}}])
def test_any_other_failure_is_told_in_its_words(structured: Any) -> None:
    error = failure_of(result(WORDS, structuredContent=structured, isError=True), "fs:read")
    assert isinstance(error, ToolFailed)
    assert error.message.startswith("words")
    assert error.details == {"tool": "fs:read"}


def test_a_failure_is_never_long() -> None:
    long = {"type": "text", "text": "x" * 100_000}
    assert len(failure_of(result(long, isError=True), "fs:read").message) <= 4_000
