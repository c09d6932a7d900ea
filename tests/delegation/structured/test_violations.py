"""What is wrong with an answer, in short sentences, within bounds."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.structured.violations import LENGTH, MOST, TooSlow, violations

ITEMS = {
    "properties": {
        "items": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}}
    }
}


@pytest.mark.parametrize(
    ("schema", "data", "said"),
    [
        (ITEMS, {"items": [{}, {}, {"price": "5"}]}, "items[2].price must be a number"),
        ({"type": "integer"}, 1.5, "the answer must be a whole number"),
        ({"type": ["string", "null"]}, 5, "the answer must be text or null"),
        ({"required": ["a", "b"]}, {"b": 1}, "the answer must have a"),
        (
            {"additionalProperties": False, "properties": {"a": True}},
            {"a": 1, "b": 2},
            "the answer must not have b",
        ),
        ({"enum": ["red", None]}, "blue", 'the answer must be one of "red", null'),
        ({"const": {"a": 1}}, 1, 'the answer must be {"a": 1}'),
        ({"pattern": "^a$"}, "b", "the answer is not of the form ^a$"),
        ({"minimum": 3}, 2, "the answer must be 3 or more"),
        ({"exclusiveMaximum": 3}, 3, "the answer must be less than 3"),
        ({"multipleOf": 5}, 3, "the answer must be a multiple of 5"),
        ({"minLength": 3}, "a", "the answer needs at least 3 characters"),
        ({"maxItems": 1}, [1, 2], "the answer takes at most 1 items"),
        ({"uniqueItems": True}, [1, 1], "the answer must not hold the same item twice"),
        (
            {"propertyNames": {"maxLength": 1}},
            {"ab": 1},
            "the answer is wrong in its names: one takes at most 1 characters",
        ),
        ({"not": {"type": "string"}}, "a", "the answer must not be what the schema excludes"),
        (
            {"anyOf": [{"type": "object", "required": ["a"]}, {"type": "null"}]},
            {},
            "the answer must have a",
        ),
        (
            {"oneOf": [{"type": "integer"}, {"minimum": 1}]},
            5,
            "the answer must fit one of the alternatives, and fits several",
        ),
        (
            {"properties": {"a": False}},
            {"a": 1},
            "the answer must not hold what the schema excludes",
        ),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "the answer is against dependentRequired"),
    ],
)
def test_each_fault_has_its_sentence(schema: Any, data: Any, said: str) -> None:
    assert violations(data, schema) == [said]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2024-02-29", "2023-02-29"),
        ("time", "12:30:00Z", "25:00:00Z"),
        ("date-time", "2024-02-29T12:30:00.5+01:00", "2024-02-30T12:30:00Z"),
        ("date-time", "2024-02-29t12:30:00z", "2024-02-29 12:30"),
        ("uuid", "12345678-1234-5678-1234-567812345678", "1234"),
        ("email", "a@example.org", "a"),
        ("ipv4", "127.0.0.1", "256.0.0.1"),
        ("ipv6", "::1", "::x"),
        ("regex", "^a+$", "("),
    ],
)
def test_known_formats_are_checked(name: str, good: str, bad: str) -> None:
    assert violations(good, {"format": name}) == []
    assert violations(bad, {"format": name}) == [f"the answer is not of the format {name}"]
    assert violations(5, {"format": name}) == []


def test_other_formats_are_not() -> None:
    assert violations("x", {"format": "colour"}) == []


def test_there_are_never_many_or_long_ones() -> None:
    data = {f"{i}{'n' * 300}": "x" for i in range(100)}
    said = violations(data, {"additionalProperties": {"type": "number"}})
    assert len(said) == MOST
    assert said[-1] == "and more"
    assert max(map(len, said)) <= LENGTH


def test_the_dialect_is_what_the_schema_says() -> None:
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert violations([5], old) == ["[0] must be text"]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|b)*$"])
def test_a_pattern_that_may_take_long_is_matched_apart(pattern: str) -> None:
    schema = {"properties": {"a": {"pattern": pattern}}}
    assert violations({"a": "aa"}, schema, patience=30) == []
    assert violations({"a": "c"}, schema, patience=30) == [f"a is not of the form {pattern}"]


def test_a_pattern_that_takes_for_ever_is_ended() -> None:
    with pytest.raises(TooSlow):
        violations("a" * 60 + "!", {"pattern": "^(a+)+$"}, patience=1)


def test_alternatives_that_multiply_are_ended() -> None:
    steps = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(60)}
    bomb = {"$defs": {**steps, "d60": {"type": "string"}}, "$ref": "#/$defs/d0"}
    with pytest.raises(TooSlow):
        violations(5, bomb, patience=0.2)


def test_deep_answers_are_checked_to_a_depth() -> None:
    nested: dict[str, Any] = {"type": "object", "additionalProperties": {"$ref": "#"}}
    data: dict[str, Any] = {}
    for _ in range(50):
        data = {"a": data}
    assert violations(data, nested) == []
    for _ in range(500):
        data = {"a": data}
    assert violations(data, nested) == ["the answer is nested too deeply to be checked"]


def test_a_paradox_is_a_violation() -> None:
    assert violations({}, {"not": {"$ref": "#"}}) == [
        "the answer is nested too deeply to be checked"
    ]
