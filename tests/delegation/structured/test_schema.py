"""Schemas that an answer can be checked by, and others."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.delegation.structured.schema import check_schema
from ollama_mcp_server.errors import InvalidArgument

PRICE: dict[str, Any] = {"type": "object", "properties": {"price": {"type": "number"}}}


@pytest.mark.parametrize(
    "schema",
    [{}, PRICE, {"$schema": "http://json-schema.org/draft-07/schema#", "items": [True]},
     {"$schema": "https://nobody.example/knows"}, {"$ref": "#/$defs/a", "$defs": {"a": True}}],
)  # fmt: skip
def test_valid_schemas_pass(schema: dict[str, Any]) -> None:
    check_schema(schema)


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], "must be a JSON Schema"),
        ({"$schema": 5}, "must be a JSON Schema"),
        ({"type": "objct"}, "#/type"),
        ({"properties": {"a": {"pattern": "("}}}, "#/properties/a/pattern"),
        ({"minimum": float("inf")}, "not finite"),
        ({"enum": ["x" * 300_000]}, "too large"),
        (deep(200), "too large"),
        (deep(100_000), "too large"),
        ({"$ref": "https://example.com/s"}, "leads out"),
        ({"$ref": "#/$defs/a"}, "leads nowhere"),
    ],
)
def test_other_schemas_are_refused(schema: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said) as refused:
        check_schema(schema)
    assert len(str(refused.value)) < 500
