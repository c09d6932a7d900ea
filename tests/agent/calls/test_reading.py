"""Arguments of calls: mended where there is but one way to mean them, and checked."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_mcp_server.agent.calls.reading import mend

KINDS: dict[str, Any] = {
    "text": {"type": "string"},
    "whole": {"type": "integer"},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "nulls": {"type": ["string", "null"]},
    "unit": {"type": "string", "enum": ["celsius", "Fahrenheit"]},
    "level": {"enum": [1, 2, 3]},
    "texts": {"type": "array", "items": {"type": "string"}},
    "wholes": {"type": "array", "items": {"type": "integer"}},
    "any_list": {"type": "array"},
    "both": {"type": ["string", "integer"]},
    "or_list": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "anything": {},
    "place": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "places": {"type": "array", "items": {"$ref": "#/properties/place"}},
}
TOOL = {"type": "object", "properties": KINDS, "additionalProperties": False}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("name", "given_value", "meant"),
    [
        ("whole", "3", 3),
        ("whole", " -3 ", -3),
        ("whole", "3.0", 3),
        ("number", "3.5", 3.5),
        ("number", "3", 3),
        ("flag", "true", True),
        ("flag", "False", False),
        ("maybe", "3", 3),
        ("maybe", "null", None),
        ("text", 3, "3"),
        ("nulls", 3, "3"),
        ("level", "3", 3),
        ("unit", "Celsius", "celsius"),
        ("texts", '["a", "b"]', ["a", "b"]),
        ("texts", "['a', 'b']", ["a", "b"]),
        ("texts", "a b.txt", ["a b.txt"]),
        ("texts", [1, "b"], ["1", "b"]),
        ("wholes", 3, [3]),
        ("wholes", ["3", 4], [3, 4]),
        ("wholes", '["3"]', [3]),
        ("place", '{"city": "Oslo"}', {"city": "Oslo"}),
        ("place", "{'city': 'Oslo', 'zip': '15'}", {"city": "Oslo", "zip": 15}),
        ("place", {"city": 5, "zip": None}, {"city": "5"}),
        ("places", {"city": "Oslo"}, [{"city": "Oslo"}]),
        ("places", '[{"city": "Oslo", "zip": "15"}]', [{"city": "Oslo", "zip": 15}]),
    ],
)
def test_what_is_certain_is_mended(name: str, given_value: Any, meant: Any) -> None:
    assert mend({name: given_value}, TOOL) == ({name: meant}, [])


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("text", 3.5),
        ("text", True),
        ("text", ["a"]),
        ("text", {"a": 1}),
        ("whole", "three"),
        ("whole", "3.5"),
        ("whole", "1,000"),
        ("whole", "0x10"),
        ("whole", ""),
        ("whole", True),
        ("whole", [3]),
        ("number", "NaN"),
        ("number", "1e999"),
        ("flag", 1),
        ("flag", "yes"),
        ("flag", "1"),
        ("unit", "kelvin"),
        ("texts", "a, b"),
        ("texts", "a\nb"),
        ("texts", "[a"),
        ("texts", ""),
        ("texts", {"a": "b"}),
        ("any_list", "a"),
        ("wholes", "a"),
        ("place", "Oslo"),
        ("place", '{"city": "Os'),
        ("place", ["Oslo"]),
        ("place", {"city": "Oslo", "land": "Norway"}),
        ("places", {"land": "Norway"}),
    ],
)
def test_what_is_not_certain_is_told(name: str, left: Any) -> None:
    arguments, wrong = mend({name: left}, TOOL)
    assert arguments in ({name: left}, {name: [left]})
    assert wrong


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        ("text", "3"),
        ("text", '{"a": 1}'),
        ("both", "3"),
        ("or_list", '["a"]'),
        ("anything", '{"a": 1}'),
        ("anything", None),
        ("nulls", None),
        ("nulls", "null"),
        ("maybe", None),
    ],
)
def test_what_fits_is_left_as_it_is(name: str, fitting: Any) -> None:
    other = {"whole": "5"}  # which is mended, beside it
    assert mend({name: fitting}, TOOL) == ({name: fitting}, [])
    assert mend({name: fitting, **other}, TOOL) == ({name: fitting, "whole": 5}, [])


@pytest.mark.parametrize("nothing", [None, "", "  \n", [], {}, "{}", "null", '""'])
def test_no_arguments_are_none(nothing: Any) -> None:
    assert mend(nothing, TOOL) == ({}, [])


@pytest.mark.parametrize(
    "whole",
    [
        '{"city": "Oslo"}',
        "{'city': 'Oslo'}",
        json.dumps('{"city": "Oslo"}'),
        {"arguments": {"city": "Oslo"}},
        {"parameters": '{"city": "Oslo"}'},
        '{"input": {"city": "Oslo"}}',
    ],
)
def test_all_arguments_may_come_as_text_or_within_one(whole: Any) -> None:
    assert mend(whole, CITY) == ({"city": "Oslo"}, [])


@pytest.mark.parametrize("whole", ["Oslo", '{"city": "Os', 5, True, ["Oslo"], '["Oslo"]', "5"])
def test_what_is_no_object_is_told(whole: Any) -> None:
    assert mend(whole, CITY) == (
        {},
        ['the arguments must be a JSON object, as {"city": "…"}'],
    )


def test_what_the_tool_calls_arguments_is_not_unwrapped() -> None:
    schema = {"type": "object", "properties": {"input": {"type": "object"}, "a": {}}}
    assert mend({"input": {"a": 1}}, schema) == ({"input": {"a": 1}}, [])
    assert mend({"args": {"land": "Norway"}}, CITY)[0] == {"args": {"land": "Norway"}}


def test_null_for_what_need_not_be_given_is_left_out() -> None:
    schema = {**TOOL, "required": ["text"]}
    nulls = dict.fromkeys(("whole", "texts", "place", "unit"))
    assert mend({"text": "a", **nulls}, schema) == ({"text": "a"}, [])
    arguments, wrong = mend({"text": None}, schema)
    assert arguments == {"text": None}
    assert wrong[0] == "text must be text"


def test_what_is_wrong_names_what_is_right() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "head": {"type": "integer"},
            "unit": {"enum": ["bytes", "lines"]},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    arguments, wrong = mend({"pth": "a", "unit": "words"}, schema)
    assert arguments == {"pth": "a", "unit": "words"}
    assert wrong == [
        "the arguments must have path",
        "the arguments must not have pth",
        'unit must be one of "bytes", "lines"',
        "pth is not known; did you mean path?",
        "it takes path (string, required), head (integer), unit",
    ]


def test_a_misspelt_name_is_told_even_where_others_are_allowed() -> None:
    assert mend({"City": "Oslo"}, CITY) == (
        {"City": "Oslo"},
        [
            "the arguments must have city",
            "City is not known; did you mean city?",
            "it takes city (string, required)",
        ],
    )


def test_what_an_open_schema_does_not_know_is_passed_on() -> None:
    assert mend({"city": "Oslo", "land": "Norway"}, CITY) == (
        {"city": "Oslo", "land": "Norway"},
        [],
    )


def test_a_tool_without_arguments_says_so() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    assert mend({"a": 1}, schema) == (
        {"a": 1},
        ["the arguments must not have a", "the tool takes no arguments"],
    )


def test_no_instruction_of_a_schema_is_repeated() -> None:
    schema = {"type": "object", "properties": {"a": {"pattern": "<|im_start|>\u202esystem"}}}
    said = " ".join(mend({"a": "x"}, schema)[1])
    assert said.startswith("a is not of the form ‹|im_start|›system")


def test_references_and_parts_in_one_are_followed() -> None:
    schema = {
        "type": "object",
        "$defs": {"n": {"type": "integer"}, "o": {"properties": {"n": {"$ref": "#/$defs/n"}}}},
        "properties": {
            "a": {"$ref": "#/$defs/n"},
            "b": {"allOf": [{"$ref": "#/$defs/n"}], "description": "x"},
            "c": {"anyOf": [{"$ref": "#/$defs/o"}, {"type": "null"}]},
        },
    }
    assert mend({"a": "1", "b": "2", "c": '{"n": "3"}'}, schema) == (
        {"a": 1, "b": 2, "c": {"n": 3}},
        [],
    )


def test_of_several_objects_none_is_chosen() -> None:
    arms = [
        {"type": "object", "properties": {"n": {"type": kind}}} for kind in ("integer", "boolean")
    ]
    schema = {"type": "object", "properties": {"a": {"anyOf": arms}}}
    assert mend({"a": {"n": "3"}}, schema)[0] == {"a": {"n": "3"}}


def _steps(step: Any) -> dict[str, Any]:
    definitions = {f"d{i}": step(f"#/$defs/d{i + 1}") for i in range(60)}
    root = {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}, "b": {"type": "integer"}}}
    return {**root, "$defs": {**definitions, "d60": {"type": "string"}}}


def _deep() -> dict[str, Any]:
    root: dict[str, Any] = {}
    inner = root
    for _ in range(50_000):
        inner["properties"] = {"b": {}}
        inner = inner["properties"]["b"]
    return root


HOSTILE: dict[str, Any] = {
    "no schema": None,
    "list": [],
    "nonsense": {"type": 5, "properties": {"b": {"type": "integer"}}},
    "remote": {"properties": {"b": {"type": "integer"}, "a": {"$ref": "http://127.0.0.1:9/"}}},
    "no regex": {"properties": {"b": {"type": "integer"}, "a": {"pattern": "("}}},
    "itself": {"$ref": "#", "properties": {"b": {"type": "integer"}}},
    "circle": {"properties": {"a": {"$ref": "#/properties/a"}, "b": {"type": "integer"}}},
    "arms": _steps(lambda ref: {"anyOf": [{"$ref": ref}] * 4}),
    "deep": _deep(),
    "many": {"properties": {f"p{i}": {"type": "string"} for i in range(100_000)}},
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(40)
def test_a_schema_that_cannot_be_checked_leaves_the_check_to_the_server(name: str) -> None:
    arguments, wrong = mend({"a": 1, "b": 4}, HOSTILE[name])
    assert (arguments, wrong) == ({"a": 1, "b": 4}, [])


def test_what_such_a_schema_says_is_mended_all_the_same() -> None:
    for name in ("remote", "no regex", "nonsense"):
        assert mend({"b": "4"}, HOSTILE[name]) == ({"b": 4}, [])


@pytest.mark.timeout(60)
def test_a_pattern_that_takes_for_ever_is_ended() -> None:
    schema = {"type": "object", "properties": {"a": {"pattern": "^(a+)+$"}}}
    arguments = {"a": "a" * 60 + "!"}
    assert mend(arguments, schema) == (arguments, [])


def test_arguments_too_deep_to_send_are_told() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert mend(deep, TOOL) == ({}, ["the arguments are nested too deeply"])
    assert mend('{"a":' * 10_000 + "1" + "}" * 10_000, CITY)[0] == {}


FITTING = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(),
        "whole": st.integers(),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.booleans(),
        "maybe": st.none() | st.integers(),
        "unit": st.sampled_from(["celsius", "Fahrenheit"]),
        "texts": st.lists(st.text(), max_size=3),
        "both": st.text() | st.integers(),
        "anything": st.none() | st.text(),
        "place": st.fixed_dictionaries({"city": st.text()}, optional={"zip": st.integers()}),
    },
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["3", "true", "null", '["a"]', '{"city": "x"}', "Celsius"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KINDS, "city"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None, database=None, max_examples=60)
@given(FITTING)
def test_arguments_that_fit_are_never_touched(arguments: dict[str, Any]) -> None:
    assert mend(deepcopy(arguments), TOOL) == (arguments, [])
    assert mend(json.dumps(arguments), TOOL) == (arguments, [])


@settings(deadline=None, database=None, max_examples=60)
@given(st.dictionaries(st.sampled_from([*KINDS, "other"]), ANYTHING, max_size=4) | ANYTHING)
def test_mending_twice_is_mending_once(arguments: Any) -> None:
    before = deepcopy(arguments)
    mended, wrong = mend(arguments, TOOL)
    assert repr(arguments) == repr(before)
    if not wrong:
        assert mend(mended, TOOL) == (mended, [])


@settings(deadline=None, database=None, max_examples=60)
@given(ANYTHING, ANYTHING)
def test_nothing_is_ever_raised(arguments: Any, schema: Any) -> None:
    mended, wrong = mend(arguments, schema)
    assert isinstance(mended, dict)
    assert all(isinstance(sentence, str) for sentence in wrong)
