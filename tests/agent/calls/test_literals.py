"""Data as models write it is read as what it says, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollama_mcp_server.agent.calls.literals import DEEPEST, read, read_whole

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(), JSON, max_size=5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": {"b": [1, -2.5, 1e3, "}"]}}', {"a": {"b": [1, -2.5, 1000.0, "}"]}}),
        ("{'a': 'it\\'s', 'b': True}", {"a": "it's", "b": True}),
        ("{'a': None, 'b': False}", {"a": None, "b": False}),
        ("{'a': \"it's\", \"b\": 'say \"x\"'}", {"a": "it's", "b": 'say "x"'}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ("{a: 'x', b_c: [true]}", {"a": "x", "b_c": [True]}),
        ('{"a": "two\nlines\tand a tab"}', {"a": "two\nlines\tand a tab"}),
        ('{"path": "C:\\dir", }', {"path": "C:\\dir"}),
        ("{'a': 'caf\\u00e9 \\ud83d\\ude00 \\x41 \\\\ \\n'}", {"a": "café 😀 A \\ \n"}),
        ('{"a": {"b": 1}', {"a": {"b": 1}}),
        ('[{"a": 1}, []]', [{"a": 1}, []]),
        ('{"a": """x "y" z"""}', {"a": 'x "y" z'}),
        ("{}", {}),
    ],
)  # fmt: skip
def test_what_is_written_is_read(text: str, value: Any) -> None:
    assert read(text) == (value, len(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("()", {}),
        ('(city="Paris", days=3)', {"city": "Paris", "days": 3}),
        ("(a=[1, 2], b={'c': None},)", {"a": [1, 2], "b": {"c": None}}),
        ("(a='''x\n\"y\"''')", {"a": 'x\n"y"'}),
    ],
)
def test_the_arguments_of_a_call_are_read(text: str, value: Any) -> None:
    assert read("f" + text + " and more", 1) == (value, len(text) + 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        '"text"',
        "5",
        "{",
        '{"a"',
        '{"a": 1',
        '{"a": [1}',
        '{"a": "b',
        "{'a': 'b",
        "{1, 2}",
        "('Paris')",
        "(1)",
        "{'a': (1, 2)}",
        "{'a': f(1)}",
        "{'a': b}",
        "{'a': 'x' 'y'}",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        "{'a': 1_000}",
        '{"a": 01, }',
        "{'a': -}",
        "[1, 2",
        '{"a": {"b": "x"',
        "[" * 10_000,
        "{'a':" * 10_000,
        "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        "{'a': __import__('os')}",
        '{"a": 1' + "0" * 10_000 + "}",
        "{'a'='b'}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


def test_the_whole_must_be_data() -> None:
    assert read_whole(' {"a": 1}\n') == {"a": 1}
    with pytest.raises(ValueError):
        read_whole('{"a": 1} {"b": 2}')


@settings(deadline=None, database=None)
@given(OBJECTS, st.text())
def test_json_is_read_as_json(value: dict[str, Any], after: str) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert read(text + after) == (value, len(text))


@settings(deadline=None, database=None)
@given(OBJECTS)
def test_python_is_read_as_python(value: dict[str, Any]) -> None:
    assert read(repr(value))[0] == value


@settings(deadline=None, database=None)
@given(st.text(st.sampled_from("{}[]()\"'\\,:=ab1. \nTrue-")))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value, end = read(text)
    except ValueError:
        return
    assert isinstance(value, dict | list)
    assert 0 < end <= len(text)
