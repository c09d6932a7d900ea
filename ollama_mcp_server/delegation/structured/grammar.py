"""From a caller's JSON Schema to the one that is sent: what Ollama's grammar can hold, no more.

llama.cpp's converter refuses some keywords, overlooks others, drops what stands beside `anyOf` or
`$ref`, and a few schemas stop its runner or keep it busy for ever. So only what is known to work is
sent. What was left out is checked on the answer, by the caller's own schema.

An object is closed unless `additionalProperties` or `patternProperties` open it, though JSON Schema
has it open: a model that may add names does not stop adding them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from ...errors import InvalidArgument
from .conjunction import both
from .patterns import held_pattern
from .references import circular, refuse_circles, resolve
from .violations import CHECKED

Schema = dict[str, Any]

#: Parts of a schema that are looked at, references followed; more are refused.
MOST_PARTS = 5_000
#: Values of an `enum` that are sent; 1,000 cost the daemon a second before each answer.
MOST_VALUES = 500
#: Repetitions that are sent; the daemon refuses about 2,000.
MOST_REPETITIONS = 1_000
#: Whole numbers have at most 16 digits in the grammar; a bound of 10^16 keeps it busy for ever.
MOST_DIGITS = 10**15 - 1
#: The formats that the grammar knows.
FORMATS = frozenset(("date", "time", "date-time", "uuid"))

_ANY: Schema = {"type": ["object", "array", "string", "number", "boolean", "null"]}
_KINDS = {
    "object": "properties required additionalProperties patternProperties propertyNames "
    "minProperties maxProperties dependentRequired unevaluatedProperties",
    "array": "items prefixItems minItems maxItems uniqueItems contains minContains maxContains "
    "additionalItems unevaluatedItems",
    "string": "pattern format minLength maxLength",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
}
#: Keywords that say something of an answer, each with the kind of value that it is about.
_KIND_OF = {keyword: kind for kind, keywords in _KINDS.items() for keyword in keywords.split()}
_KEPT = {*_KIND_OF, "type", "enum", "const", "anyOf", "not"}
#: Keywords that combine schemas, and are gone once a schema is flat.
_JOINTS = {"$ref", "allOf", "oneOf", "if", "then", "else", "dependentSchemas"}
#: References that depend on where they are met; not followed.
_DYNAMIC = {"$dynamicRef", "$recursiveRef"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+")


def to_grammar(schema: Schema) -> tuple[Schema, list[str]]:
    """Return what to send as `format` for a valid schema, and notes for who reads the answer.

    Raises:
        InvalidArgument: a reference leads out of the schema, nowhere, or back to itself; or the
            schema is too large.
    """
    grammar = _Grammar(schema)
    try:
        sent = grammar.node({key: schema[key] for key in schema if key != "description"})
    except RecursionError:
        raise _entangled() from None
    if grammar.definitions:
        sent = {**sent, "$defs": grammar.definitions}
    refuse_circles(sent)
    left = ", ".join(sorted(grammar.left))
    return sent, [f"checked after the answer, not by Ollama's grammar: {left}"] if left else []


class _Grammar:
    """One conversion: the definitions that it makes, and the keywords that it leaves out."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._names: dict[str, str] = {}
        self._parts = 0
        self.definitions: dict[str, Schema] = {}
        self.left: set[str] = set()

    def node(self, schema: Any) -> Schema:
        """Return what is sent for a schema, or for a part of one."""
        if not isinstance(schema, dict):
            return dict(_ANY)
        sent = self._named(schema) if "$ref" in schema else self._converted(self._flat(schema))
        told = schema.get("description")
        return {**sent, "description": told} if isinstance(told, str) and told else sent

    def _named(self, schema: Schema) -> Schema:
        """Return a reference to a definition under a name of ours: some names confuse rules."""
        plain = {key: schema[key] for key in schema if key in _KEPT | _JOINTS | _DYNAMIC}
        key = json.dumps(plain, sort_keys=True)
        if key not in self._names:
            name = self._names[key] = f"d{len(self._names)}"
            self.definitions[name] = {}  # in its place, should it lead back to itself
            self.definitions[name] = self._converted(self._flat(plain))
        return {"$ref": f"#/$defs/{self._names[key]}"}

    def _flat(self, schema: Any, followed: tuple[str, ...] = ()) -> Schema:
        """Return a schema without `$ref`, `allOf` and `if` at its top: plain keywords."""
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise _entangled()
        if not isinstance(schema, dict):
            return {} if schema else {"not": {}}
        parts = [{key: value for key, value in schema.items() if key in _KEPT}]
        if isinstance(reference := schema.get("$ref"), str):
            if reference in followed:
                raise circular()
            target = resolve(self._root, reference)
            parts.append(self._flat(target, (*followed, reference)))
        parts += [self._flat(part, followed) for part in schema.get("allOf") or ()]
        if "oneOf" in schema:
            self.left.add("oneOf")  # that no two fit
            parts.append({"anyOf": schema["oneOf"]})
        if "if" in schema and ("then" in schema or "else" in schema):
            self.left.add("if")
            parts.append({"anyOf": [schema.get("then", True), schema.get("else", True)]})
        if schema.get("dependentSchemas"):  # an answer that has all the names is one of those
            self.left.add("dependentSchemas")
            parts.append({"anyOf": [{"allOf": [*schema["dependentSchemas"].values()]}, True]})
        self.left |= schema.keys() & _DYNAMIC
        return reduce(lambda one, other: both(one, other, self.left), parts)

    def _converted(self, flat: Schema) -> Schema:
        if (arms := flat.get("anyOf")) is not None:
            rest = {key: value for key, value in flat.items() if key != "anyOf"}
            possible = [arm for arm in arms if arm is not False]
            return _either([self.node({"allOf": [rest, arm]} if rest else arm) for arm in possible])
        if "enum" in flat or "const" in flat:
            return self._one_of_values(flat)
        kinds = _kinds(flat)
        held = {"type"}
        makers: dict[str, Callable[[Schema, set[str]], Schema]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
        }
        nodes = [makers[kind](flat, held) if kind in makers else {"type": kind} for kind in kinds]
        about = {*kinds, "number"} if "integer" in kinds else set(kinds)
        self.left |= {
            key for key in flat.keys() - held if not kinds or _KIND_OF.get(key, kinds[0]) in about
        }
        return _either(nodes) if nodes else dict(_ANY)

    def _one_of_values(self, flat: Schema) -> Schema:
        values = [flat["const"]] if "const" in flat else flat["enum"]
        self.left |= flat.keys() - {"type", "const", "enum"}
        kinds = flat.get("type")
        if kinds is not None:
            kinds = [kinds] if isinstance(kinds, str) else kinds
            values = [value for value in values if set(_types(value)) & set(kinds)] or values
        if 0 < len(values) <= MOST_VALUES:
            return {"const": values[0]} if len(values) == 1 else {"enum": values}
        self.left.add("enum")
        kinds = kinds or sorted({_types(value)[-1] for value in values})
        rest = {key: value for key, value in flat.items() if key not in ("enum", "const")}
        return self._converted({**rest, "type": kinds})

    def _object(self, flat: Schema, held: set[str]) -> Schema:
        properties: dict[str, Any] = dict(flat.get("properties") or {})
        required = [name for name in flat.get("required") or () if isinstance(name, str)]
        more = flat.get("additionalProperties")
        if patterns := flat.get("patternProperties"):
            more = {"anyOf": [*patterns.values()]} if more is False else True
        for name in required:  # a name that is not listed could not be written
            properties.setdefault(name, True if more in (None, False) else more)
        properties = {name: part for name, part in properties.items() if part is not False}
        if "" in properties:  # its rule would take the place of the whole grammar's
            return {"type": "object"}
        held.update(("properties", "required"))
        if not properties and more in (None, True):
            held.add("additionalProperties")
            return {"type": "object"}
        sent: Schema = {
            "type": "object",
            "properties": {name: self.node(part) for name, part in properties.items()},
            "required": [name for name in properties if name in required],
        }
        if more in (None, False):
            held.update(("additionalProperties", "unevaluatedProperties"))
        elif all(_PLAIN_NAME.fullmatch(name) for name in properties):
            held.add("additionalProperties")
            sent["additionalProperties"] = self.node(more)
        return sent

    def _array(self, flat: Schema, held: set[str]) -> Schema:
        items, first = flat.get("items"), flat.get("prefixItems")
        if isinstance(items, list):  # as it was written before 2020
            items, first = flat.get("additionalItems"), items
        low, high = flat.get("minItems", 0), flat.get("maxItems", math.inf)
        if first and low <= len(first) <= high and items in (None, False):
            held.update(("prefixItems", "items", "additionalItems", "minItems", "maxItems"))
            return {"type": "array", "prefixItems": [self.node(part) for part in first]}
        held.add("items")
        if first:
            items = {"anyOf": [*first, True if items is None else items]}
        elif items is False:
            return {"type": "array", "items": dict(_ANY), "maxItems": 0}
        return {
            "type": "array",
            "items": self.node(items),
            **_bounds(flat, "minItems", "maxItems", held),
        }

    def _string(self, flat: Schema, held: set[str]) -> Schema:
        pattern = held_pattern(flat["pattern"]) if "pattern" in flat else None
        if pattern is not None:
            held.add("pattern")
            return {"type": "string", "pattern": pattern}
        if flat.get("format") not in CHECKED:
            held.add("format")  # nobody checks it
        if flat.get("format") in FORMATS:
            held.add("format")
            return {"type": "string", "format": flat["format"]}
        return {"type": "string", **_bounds(flat, "minLength", "maxLength", held)}

    def _integer(self, flat: Schema, held: set[str]) -> Schema:
        """Bounds are sent in pairs: alone, a bound of more than one digit is not kept."""
        keys = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
        given = {key: flat[key] for key in keys if key in flat and type(flat[key]) is not bool}
        low = max(
            math.ceil(given.get("minimum", -MOST_DIGITS)),
            math.floor(given.get("exclusiveMinimum", -MOST_DIGITS - 1)) + 1,
        )
        high = min(
            math.floor(given.get("maximum", MOST_DIGITS)),
            math.ceil(given.get("exclusiveMaximum", MOST_DIGITS + 1)) - 1,
        )
        low, high = max(low, -MOST_DIGITS), min(high, MOST_DIGITS)
        if not given or low > high:
            return {"type": "integer"}
        held.update(given)
        return {"type": "integer", "minimum": low, "maximum": high}


def _bounds(flat: Schema, low: str, high: str, held: set[str]) -> Schema:
    """Return those of two bounds that can be sent; `held` takes their names."""
    given = {key: int(flat[key]) for key in (low, high) if key in flat}
    bounds = {key: value for key, value in given.items() if value <= MOST_REPETITIONS}
    if bounds.get(low, 0) > given.get(high, math.inf):
        return {}
    held.update(bounds)
    return bounds


def _either(nodes: list[Schema]) -> Schema:
    """Return one of several, each once; anything if there are none."""
    different = list({json.dumps(node, sort_keys=True): node for node in nodes}.values())
    if not different:
        return dict(_ANY)
    return different[0] if len(different) == 1 else {"anyOf": different}


def _kinds(flat: Schema) -> list[str]:
    """Return the types that a schema allows, or means; none if it may be anything."""
    named = flat.get("type")
    if isinstance(named, str):
        return [named]
    if named:
        return [kind for kind in named if kind != "integer" or "number" not in named]
    meant = {_KIND_OF[key] for key in flat if key in _KIND_OF}
    return list(meant) if len(meant) == 1 else []


def _entangled() -> InvalidArgument:
    return InvalidArgument(
        f"the schema has more than {MOST_PARTS} parts, references followed",
        "Ask for less at once: fewer fields, fewer alternatives",
    )


def _types(value: Any) -> tuple[str, ...]:
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
