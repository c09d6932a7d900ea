"""Keywords of JSON Schema, and the kinds of value that they are about."""

from typing import Any

Schema = dict[str, Any]

_KINDS = {
    "object": "properties required additionalProperties patternProperties propertyNames "
    "minProperties maxProperties dependentRequired unevaluatedProperties",
    "array": "items prefixItems minItems maxItems uniqueItems contains minContains maxContains "
    "additionalItems unevaluatedItems",
    "string": "pattern format minLength maxLength",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
}
#: Keywords that say something of an answer, each with the kind of value that it is about.
KIND_OF = {keyword: kind for kind, keywords in _KINDS.items() for keyword in keywords.split()}
#: Keywords of a flat schema.
KEPT = {*KIND_OF, "type", "enum", "const", "anyOf", "not"}
#: Keywords that combine schemas, and are gone once a schema is flat.
JOINTS = {"$ref", "allOf", "oneOf", "if", "then", "else", "dependentSchemas"}
#: References that depend on where they are met; not followed.
DYNAMIC = {"$dynamicRef", "$recursiveRef"}


def kinds_of(flat: Schema) -> list[str]:
    """Return the types that a schema allows, or means; none if it may be anything."""
    named = flat.get("type")
    if isinstance(named, str):
        return [named]
    if named:
        return [kind for kind in named if kind != "integer" or "number" not in named]
    meant = {KIND_OF[key] for key in flat if key in KIND_OF}
    return list(meant) if len(meant) == 1 else []


def types_of(value: Any) -> tuple[str, ...]:
    """Return the JSON types of a value; a whole number has two."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int | float):
        return ("integer", "number") if value == int(value) else ("number",)
    if isinstance(value, str):
        return ("string",)
    return ("array",) if isinstance(value, list) else ("object",)
