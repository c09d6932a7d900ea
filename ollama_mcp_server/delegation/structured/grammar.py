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
from typing import Any

from .flattening import Flattener, entangled
from .keywords import DYNAMIC, JOINTS, KEPT, KIND_OF, Schema, kinds_of, types_of
from .references import refuse_circles
from .scalars import bounds, integer, string

#: Values of an `enum` that are sent; 1,000 cost the daemon a second before each answer.
MOST_VALUES = 500
_ANY: Schema = {"type": ["object", "array", "string", "number", "boolean", "null"]}
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
        raise entangled() from None
    if grammar.definitions:
        sent = {**sent, "$defs": grammar.definitions}
    refuse_circles(sent)
    left = ", ".join(sorted(grammar.left))
    return sent, [f"checked after the answer, not by Ollama's grammar: {left}"] if left else []


class _Grammar:
    """One conversion: the definitions that it makes, and the keywords that it leaves out."""

    def __init__(self, root: Schema) -> None:
        self.left: set[str] = set()
        self._flat = Flattener(root, self.left).flat
        self._names: dict[str, str] = {}
        self.definitions: dict[str, Schema] = {}

    def node(self, schema: Any) -> Schema:
        """Return what is sent for a schema, or for a part of one."""
        if not isinstance(schema, dict):
            return dict(_ANY)
        sent = self._named(schema) if "$ref" in schema else self._converted(self._flat(schema))
        told = schema.get("description")
        return {**sent, "description": told} if isinstance(told, str) and told else sent

    def _named(self, schema: Schema) -> Schema:
        """Return a reference to a definition under a name of ours: some names confuse rules."""
        plain = {key: schema[key] for key in schema if key in KEPT | JOINTS | DYNAMIC}
        key = json.dumps(plain, sort_keys=True)
        if key not in self._names:
            name = self._names[key] = f"d{len(self._names)}"
            self.definitions[name] = {}  # in its place, should it lead back to itself
            self.definitions[name] = self._converted(self._flat(plain))
        return {"$ref": f"#/$defs/{self._names[key]}"}

    def _converted(self, flat: Schema) -> Schema:
        if (arms := flat.get("anyOf")) is not None:
            rest = {key: value for key, value in flat.items() if key != "anyOf"}
            possible = [arm for arm in arms if arm is not False]
            return _either([self.node({"allOf": [rest, arm]} if rest else arm) for arm in possible])
        if "enum" in flat or "const" in flat:
            return self._one_of_values(flat)
        kinds = kinds_of(flat)
        held = {"type"}
        makers: dict[str, Callable[[Schema, set[str]], Schema]] = {
            "object": self._object,
            "array": self._array,
            "string": string,
            "integer": integer,
        }
        nodes = [makers[kind](flat, held) if kind in makers else {"type": kind} for kind in kinds]
        about = {*kinds, "number"} if "integer" in kinds else set(kinds)
        self.left |= {
            key for key in flat.keys() - held if not kinds or KIND_OF.get(key, kinds[0]) in about
        }
        return _either(nodes) if nodes else dict(_ANY)

    def _one_of_values(self, flat: Schema) -> Schema:
        values = [flat["const"]] if "const" in flat else flat["enum"]
        self.left |= flat.keys() - {"type", "const", "enum"}
        kinds = flat.get("type")
        if kinds is not None:
            kinds = [kinds] if isinstance(kinds, str) else kinds
            values = [value for value in values if set(types_of(value)) & set(kinds)] or values
        if 0 < len(values) <= MOST_VALUES:
            return {"const": values[0]} if len(values) == 1 else {"enum": values}
        self.left.add("enum")
        kinds = kinds or sorted({types_of(value)[-1] for value in values})
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
            **bounds(flat, "minItems", "maxItems", held),
        }


def _either(nodes: list[Schema]) -> Schema:
    """Return one of several, each once; anything if there are none."""
    different = list({json.dumps(node, sort_keys=True): node for node in nodes}.values())
    if not different:
        return dict(_ANY)
    return different[0] if len(different) == 1 else {"anyOf": different}
