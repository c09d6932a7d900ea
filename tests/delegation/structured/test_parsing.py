"""The JSON of an answer: found where it stands, never guessed, and checked."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.structured.parsing import parse
from ollama_mcp_server.errors import InvalidArgument

PRICE: dict[str, Any] = {"type": "object", "properties": {"price": {"type": "number"}}}


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (' {"a": 1}\n', {"a": 1}),
        ("42", 42),
        ("null", None),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('Here it is:\n\n```\n{"a": 1}\n```\nAnything else?', {"a": 1}),
        ('<think>{"a": 0}?</think>\n{"a": 1}', {"a": 1}),
        ('No…\n</think>\n```json\n{"a": 1}\n```', {"a": 1}),
        ('{"a": "```\\n{}\\n```"}', {"a": "```\n{}\n```"}),
        ('{"a": "</think>1"}', {"a": "</think>1"}),
    ],
)
def test_json_is_found(text: str, data: Any) -> None:
    parsed = parse(text, None)
    assert (parsed.data, parsed.violations, parsed.is_json) == (data, [], True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ('{"a": 1', "is not JSON"),
        ("{'a': 1}", "is not JSON"),
        ('{"a": 1,}', "is not JSON"),
        ('Sure: {"a": 1}', "is not JSON"),
        ('{"a": 1} {"a": 2}', "is not JSON: Extra data (line 1, column 10)"),
        ('```\n{"a": 1}\n```\n```\n{"a": 2}\n```', "is not JSON"),
        ('{"a": NaN}', "number"),
        ("[-Infinity]", "number"),
        ("[1e999]", "number"),
        ("9" * 5000, "number"),
        (r'["\ud800"]', "half a character"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_nothing_within_is_guessed(text: str, said: str) -> None:
    (violation,) = parse(text, None).violations
    assert said in violation


@pytest.mark.parametrize("text", ['{"a": NaN}', "[1e999]", r'["\ud800"]', "[" * 100_000])
def test_a_schema_that_takes_anything_does_not_take_this(text: str) -> None:
    assert parse(text, {}).violations == parse(text, None).violations != []


def test_what_does_not_fit_is_told() -> None:
    parsed = parse('{"price": "5"}', PRICE)
    assert parsed.violations == ["price must be a number"]
    assert parsed.is_json


def test_a_schema_that_takes_for_ever_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="could not be checked"):
        parse('"' + "a" * 60 + '!"', {"pattern": "^(a+)+$"})
