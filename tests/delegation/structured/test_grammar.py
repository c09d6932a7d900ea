"""What is sent for a caller's schema: only what Ollama's grammar holds, never too narrow."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.structured.grammar import to_grammar
from ollama_mcp_server.delegation.structured.references import check_references
from ollama_mcp_server.delegation.structured.scalars import MOST_DIGITS
from ollama_mcp_server.delegation.structured.violations import sentences
from ollama_mcp_server.errors import InvalidArgument

TEXT: dict[str, Any] = {"type": "string"}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
WHOLE: dict[str, Any] = {"type": "integer"}
ANY: dict[str, Any] = {"type": ["object", "array", "string", "number", "boolean", "null"]}


def an(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def sent(schema: dict[str, Any]) -> dict[str, Any]:
    return to_grammar(schema)[0]


def left(schema: dict[str, Any]) -> list[str]:
    """Return the keywords of which the notes say that they are checked afterwards."""
    return [name for note in to_grammar(schema)[1] for name in note.rpartition(": ")[2].split(", ")]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (an(a=TEXT), an(a=TEXT)),
        ({**an(a=TEXT), "title": "T", "$id": "https://x.example/y", "$comment": "c"}, an(a=TEXT)),
        (an(a={**TEXT, "title": "A", "description": "d"}), an(a={**TEXT, "description": "d"})),
        ({}, ANY),
        (an(a=True), an(a=ANY)),
        (an(a={}), an(a=ANY)),
        ({"type": "object"}, {"type": "object"}),
        ({"type": "object", "properties": {}}, {"type": "object"}),
        ({"properties": {"a": TEXT}, "required": ["a"]}, an(a=TEXT)),
        ({"type": "object", "required": ["a"]}, an(a=ANY)),
        ({**an(a=TEXT), "additionalProperties": False}, an(a=TEXT)),
        ({"type": ["string", "null"]}, {"anyOf": [TEXT, {"type": "null"}]}),
        ({"type": ["integer", "number"]}, {"type": "number"}),
        ({"const": 5}, {"const": 5}),
        ({"type": "string", "enum": ["a", None, "b"]}, {"enum": ["a", "b"]}),
        ({"anyOf": [TEXT, False, TEXT]}, TEXT),
        ({"allOf": [an(a=TEXT), an(b=WHOLE)]}, an(a=TEXT, b=WHOLE)),
        (
            {"allOf": [{"type": "number"}, {"type": "integer", "minimum": 1}, {"maximum": 5}]},
            {"type": "integer", "minimum": 1, "maximum": 5},
        ),
        ({"allOf": [{"enum": [1, 2, 3]}, {"enum": [2, 3, 4]}]}, {"enum": [2, 3]}),
        ({"type": "array"}, {"type": "array", "items": ANY}),
        (
            {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 3},
            {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 3},
        ),
        (
            {"type": "array", "prefixItems": [TEXT, WHOLE], "items": False},
            {"type": "array", "prefixItems": [TEXT, WHOLE]},
        ),
        ({"type": "array", "items": False}, {"type": "array", "items": ANY, "maxItems": 0}),
        (
            {"type": "integer", "minimum": 5},
            {"type": "integer", "minimum": 5, "maximum": MOST_DIGITS},
        ),
        (
            {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
            {"type": "integer", "minimum": 4, "maximum": 4},
        ),
        (
            {"type": "integer", "minimum": 1.5, "maximum": 2.5},
            {"type": "integer", "minimum": 2, "maximum": 2},
        ),
        (
            {"type": "string", "minLength": 2.0, "maxLength": 4},
            {**TEXT, "minLength": 2, "maxLength": 4},
        ),
        ({"type": "string", "format": "date"}, {**TEXT, "format": "date"}),
        ({"type": "string", "format": "colour"}, TEXT),
        ({"type": "string", "pattern": r"^\d{3}$"}, {**TEXT, "pattern": "^[0-9]{3}$"}),
    ],
)
def test_what_the_grammar_holds_is_sent(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert to_grammar(schema) == (expected, [])


@pytest.mark.parametrize(
    ("schema", "expected", "keywords"),
    [
        (
            {"type": "number", "minimum": 1, "multipleOf": 2},
            {"type": "number"},
            ["minimum", "multipleOf"],
        ),
        (
            {"type": "string", "pattern": "abc", "maxLength": 3},
            {**TEXT, "maxLength": 3},
            ["pattern"],
        ),
        ({"type": "string", "format": "email"}, TEXT, ["format"]),
        ({"type": "string", "minLength": 5, "maxLength": 3}, TEXT, ["maxLength", "minLength"]),
        ({"type": "string", "maxLength": 5000}, TEXT, ["maxLength"]),
        ({"type": "integer", "minimum": 9, "maximum": 3}, WHOLE, ["maximum", "minimum"]),
        ({"type": "integer", "minimum": 10**18}, WHOLE, ["minimum"]),
        ({"type": "string", "not": {"const": "a"}}, TEXT, ["not"]),
        (
            {"type": "array", "items": TEXT, "uniqueItems": True},
            {"type": "array", "items": TEXT},
            ["uniqueItems"],
        ),
        ({"type": "object", "minProperties": 2}, {"type": "object"}, ["minProperties"]),
        (
            {"type": "object", "propertyNames": {"pattern": "^a"}},
            {"type": "object"},
            ["propertyNames"],
        ),
        ({"oneOf": [TEXT, WHOLE]}, {"anyOf": [TEXT, WHOLE]}, ["oneOf"]),
        ({"enum": [f"w{i}" for i in range(1000)]}, TEXT, ["enum"]),
        (an(**{"": TEXT}), {"type": "object"}, ["properties", "required"]),
        (
            {**an(**{"a]": TEXT}), "additionalProperties": TEXT},
            an(**{"a]": TEXT}),
            ["additionalProperties"],
        ),
        ({"$dynamicRef": "#a"}, ANY, ["$dynamicRef"]),
    ],
)
def test_the_rest_is_left_out_and_said(
    schema: dict[str, Any], expected: dict[str, Any], keywords: list[str]
) -> None:
    assert sent(schema) == expected
    assert left(schema) == keywords


def test_references_get_names_of_ours() -> None:
    schema = {
        "$defs": {"a/b c": TEXT, "other": {"$anchor": "here", "type": "integer"}},
        **an(a={"$ref": "#/$defs/a~1b%20c"}, b={"$ref": "#here"}, c={"$ref": "#/properties/b"}),
    }
    refs = {name: {"$ref": f"#/$defs/d{i}"} for i, name in enumerate("abc")}
    assert sent(schema) == {
        **an(**refs),
        "$defs": {"d0": TEXT, "d1": WHOLE, "d2": WHOLE},
    }


def test_a_recursive_schema_stays_recursive() -> None:
    schema = {**an(v=WHOLE), "properties": {"v": WHOLE, "next": {"$ref": "#"}}}
    again = {"$ref": "#/$defs/d0"}
    node = {"type": "object", "properties": {"v": WHOLE, "next": again}, "required": ["v"]}
    assert to_grammar(schema) == ({**node, "$defs": {"d0": node}}, [])


def test_what_stands_beside_a_reference_counts() -> None:
    schema = {"$defs": {"base": an(a=TEXT)}, "$ref": "#/$defs/base", **an(b=WHOLE)}
    assert sent(schema)["$defs"]["d0"] == an(b=WHOLE, a=TEXT)


PERSON = {
    "$defs": {
        "n": {
            "allOf": [
                {"$ref": "#/$defs/b"},
                {"properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/n"}}}},
            ]
        },
        "b": an(name=TEXT),
    },
    "$ref": "#/$defs/n",
}
SWITCH = {
    **an(kind={"enum": ["a", "b"]}),
    "if": {"properties": {"kind": {"const": "a"}}},
    "then": {"properties": {"x": WHOLE}, "required": ["x"]},
    "else": {"properties": {"y": WHOLE}, "required": ["y"]},
}
MANY = {
    **an(k=WHOLE),
    "allOf": [
        {
            "if": {"properties": {"k": {"const": i}}},
            "then": {"properties": {f"x{i}": TEXT}, "required": [f"x{i}"]},
        }
        for i in range(12)
    ],
}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (PERSON, {"name": "A", "kids": [{"name": "B", "kids": []}]}),
        (SWITCH, {"kind": "a", "x": 1}),
        (SWITCH, {"kind": "b", "y": 1}),
        (MANY, {"k": 11, "x11": "a"}),
        ({**an(a=TEXT), "anyOf": [{"required": ["b"]}, {"required": ["c"]}]}, {"a": "x", "c": 1}),
        ({**an(a=TEXT), "dependentSchemas": {"a": an(z=WHOLE)}}, {"a": "x", "z": 1}),
        (
            {"type": "object", "patternProperties": {"^x": WHOLE}, "additionalProperties": False},
            {"x1": 5},
        ),
        ({**an(a=TEXT), "patternProperties": {"^x": WHOLE}}, {"a": "b", "x1": 5}),
        ({"type": "array", "prefixItems": [TEXT], "minItems": 2}, ["a", 5]),
        ({"type": "array", "prefixItems": [TEXT], "items": WHOLE}, ["a", 5, 6]),
        ({"$schema": DRAFT_7, "items": [TEXT, WHOLE]}, ["a", 5]),
        (
            {"allOf": [{"anyOf": [an(a=TEXT), an(b=TEXT)]}, {"anyOf": [an(c=TEXT), an(d=TEXT)]}]},
            {"b": "x", "c": "y"},
        ),
        ({"type": "string", "pattern": "[a-c]"}, "xax"),
        ({"type": "integer", "maximum": -3}, -7),
    ],
)
def test_a_valid_answer_stays_possible(schema: dict[str, Any], answer: Any) -> None:
    assert not sentences(answer, schema)
    assert not sentences(answer, sent(schema))


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.com/s.json",
        "other.json",
        "#/$defs/none",
        "#nowhere",
        "#/properties",
        "file:///etc/passwd",
    ],
)
def test_a_reference_stays_in_the_schema(reference: str) -> None:
    schema = {"type": "object", "properties": {"a": {"not": {"$ref": reference}}}}
    if reference != "#/properties":  # an object, if no schema
        with pytest.raises(InvalidArgument, match=r"leads (out|nowhere)"):
            check_references(schema)
    with pytest.raises(InvalidArgument, match=r"leads (out|nowhere)"):
        to_grammar(an(a={"$ref": "#/required"}))


@pytest.mark.parametrize(
    "definitions",
    [
        {"a": {"$ref": "#/$defs/a"}},
        {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}},
        {"a": {"anyOf": [{"$ref": "#/$defs/a"}, TEXT]}},
        {
            "a": {"anyOf": [an(x={"$ref": "#/$defs/b"}), {"$ref": "#/$defs/b"}]},
            "b": {"anyOf": [{"$ref": "#/$defs/a"}, WHOLE]},
        },
    ],
)
def test_a_circle_without_an_end_is_refused(definitions: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="back to itself"):
        to_grammar({"$defs": definitions, "$ref": "#/$defs/a"})


@pytest.mark.parametrize("joint", ["allOf", "anyOf", "properties"])
def test_a_bomb_of_references_does_not_go_off(joint: str) -> None:
    def twice(i: int) -> dict[str, Any]:
        ref = {"$ref": f"#/$defs/d{i + 1}"}
        return an(a=ref, b=ref) if joint == "properties" else {joint: [ref, ref]}

    bomb = {"$defs": {f"d{i}": twice(i) for i in range(40)} | {"d40": TEXT}, "$ref": "#/$defs/d0"}
    if joint == "allOf":
        with pytest.raises(InvalidArgument, match="more than 5000 parts"):
            to_grammar(bomb)
    else:
        assert len(sent(bomb)["$defs"]) == 41


def test_recursion_that_never_settles_is_refused() -> None:
    node = {"type": "object", "anyOf": [{"$ref": "#"}, TEXT]}
    with pytest.raises(InvalidArgument):
        to_grammar(node)


def test_an_embedded_schema_of_its_own_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="id of its own"):
        check_references(an(a={"$id": "https://x.example/a", "type": "string"}))
