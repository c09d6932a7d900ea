"""JSON Schemas as they are published: inlined, without nulls and titles, no byte too many.

A host sends every schema with every request, so what only pydantic needs is taken out.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

_ERROR = {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}
_JOB = {"type": "object", "properties": {"job": {"type": "string"}}, "required": ["job"]}
_NULL = {"type": "null"}
#: Where pydantic puts the schemas that it refers to.
_DEFS = "#/$defs/"
#: Keywords that hold schemas by name; their keys are names, not keywords.
_NAMED = ("properties", "$defs", "patternProperties")


def published(result: type[BaseModel]) -> dict[str, Any]:
    """Return the output schema of a tool that answers `result`, or one of our errors.

    The root is an object with `anyOf`, so that error results pass the validation of clients
    that check those too (the TypeScript SDK v1 does).
    """
    schema = result.model_json_schema(mode="serialization", schema_generator=_NoTitles)
    return either(slimmed(inlined(schema)))


def either(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the output schema for results of `schema`, or one of our errors."""
    return {"type": "object", "anyOf": [schema, _ERROR]}


def or_job(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an output schema that also takes what is there of an answer that takes long."""
    return {**schema, "anyOf": [*schema.get("anyOf", [schema]), _JOB]}


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of pydantic's with what it refers to in place of the references.

    FastMCP does the same for any schema, by a library that is slow to import; it is asked only
    where a schema refers to itself.
    """

    def filled(part: Any, within: tuple[str, ...]) -> Any:
        if isinstance(part, list):
            return [filled(each, within) for each in part]
        if not isinstance(part, dict):
            return part
        rest = {key: filled(value, within) for key, value in part.items() if key != "$defs"}
        name = rest.get("$ref")
        if not isinstance(name, str):
            return rest
        if name in within:
            raise RecursionError(name)
        target = schema["$defs"][name.removeprefix(_DEFS)]
        del rest["$ref"]
        return {**filled(target, (*within, name)), **rest}

    try:
        done: dict[str, Any] = filled(schema, ())
    except RecursionError:
        from fastmcp.utilities.json_schema import dereference_refs

        return dereference_refs(schema)
    return done


def slimmed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an inlined schema without null arms, empty defaults, titles and hidden properties."""
    slim: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("title", "hidden", "$defs") or (key == "default" and value in (None, "")):
            continue
        if key in _NAMED:
            slim[key] = {
                name: slimmed(part) for name, part in value.items() if not part.get("hidden")
            }
        elif isinstance(value, dict):
            slim[key] = slimmed(value)
        elif isinstance(value, list):
            slim[key] = [
                slimmed(part) if isinstance(part, dict) else part
                for part in value
                if not (key == "anyOf" and part == _NULL)
            ]
        else:
            slim[key] = value
    arms = slim.get("anyOf")
    if isinstance(arms, list) and len(arms) == 1:
        del slim["anyOf"]
        slim = arms[0] | slim
    return slim


class _NoTitles(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes from names, and our docstrings of results."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> dict[str, Any]:
        json_schema = super().model_schema(schema)
        json_schema.pop("title", None)
        json_schema.pop("description", None)
        json_schema.pop("additionalProperties", None)
        return json_schema
