"""A tool's parameters as a model is told them: shallow, short, without references.

Small models choose and fill in badly where a schema is long, so they are told names, types, values
and a line of description. Calls are checked by the tool's own schema, not by this one. A foreign
server may write what it likes into a schema: of that, only so much is ever looked at, nothing is
fetched, and what comes out has the form that the daemon takes.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from ...errors import InvalidArgument
from .keywords import (
    MOST_ARMS,
    Schema,
    arms_of,
    is_name,
    is_number,
    kinds_of,
    properties_of,
    resolved,
    strings,
    values_of,
)
from .wording import defused, is_plain

#: How deeply objects are told, with how long descriptions; the next where the last was too large.
MANNERS = ((2, 200), (1, 80), (0, 40), (0, 0))
#: Characters of JSON that one tool's parameters may take.
MOST_CHARACTERS = 8_000
#: Parts that are looked at, references followed, and how deeply.
MOST_PARTS = 400
DEEPEST = 16
#: Names of one object that are told.
MOST_PROPERTIES = 60
#: Keywords that are told where their values are numbers.
_BOUNDS = ("minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength")


def told(schema: Any) -> Schema:
    """Return a tool's parameters as the model is told them.

    References are replaced by what they lead to, a recursive one by an object; `null` is left out,
    alternatives with it; an object within more than two others is described by its names alone.

    Raises:
        InvalidArgument: it is no schema of an object.
    """
    root: Schema = {}
    for depth, length in MANNERS:
        root = _Teller(schema, depth, length).root()
        if len(json.dumps(root, ensure_ascii=False)) <= MOST_CHARACTERS:
            return root
    while len(json.dumps(root, ensure_ascii=False)) > MOST_CHARACTERS:
        names = [*root["properties"]][: len(root["properties"]) // 2]
        root["properties"] = {name: root["properties"][name] for name in names}
        root["required"] = [name for name in root.get("required", ()) if name in names]
    return root


class _Teller:
    """One reading of a schema: how deep, how long, and how much more may be looked at."""

    def __init__(self, root: Any, depth: int, length: int) -> None:
        self._root = root
        self._depth = depth
        self._length = length
        self._left = MOST_PARTS

    def root(self) -> Schema:
        """Return the whole, which is always an object with properties.

        Raises:
            InvalidArgument: it is no schema of an object.
        """
        if not isinstance(self._root, dict):
            raise InvalidArgument("the parameters are not described")
        flat, within = self._flat(self._root, ())
        if (kinds := kinds_of(flat)) and "object" not in kinds:
            raise InvalidArgument("the parameters are not described as an object")
        if not isinstance(flat.get("properties", {}), dict):
            raise InvalidArgument("the properties of the parameters are no object")
        flat = self._united(flat, within)
        return {"type": "object", "properties": {}, **self._object(flat, within, 0)}

    def _united(self, flat: Schema, within: tuple[str, ...]) -> Schema:
        """Return a schema with the properties of its alternatives; required is what all require."""
        arms = [self._flat(arm, within)[0] for arm in arms_of(flat)]
        if not arms:
            return flat
        named: dict[str, list[Any]] = {}
        for arm in arms:
            for name, part in properties_of(arm).items():
                named.setdefault(name, []).append(part)
        properties = {name: {"anyOf": parts} for name, parts in named.items()}
        required = [
            name
            for name in strings(arms[0].get("required"))
            if all(name in strings(arm.get("required")) for arm in arms)
        ]
        return {
            **flat,
            "properties": {**properties, **properties_of(flat)},
            "required": [*strings(flat.get("required")), *required],
        }

    def _flat(self, schema: Any, within: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
        """Return a part with its `$ref` and `allOf` merged in, and the references that it is in."""
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or len(within) > DEEPEST:
            return {}, within
        parts: list[Schema] = []
        reference = str(schema.get("$ref"))
        if reference not in within and (target := resolved(self._root, schema)) is not None:
            within = (*within, reference)
            inner, within = self._flat(target, within)
            parts.append(inner)
        elif "$ref" in schema:  # to where it is already, or to nowhere
            parts.append({"type": "object"} if reference in within else {})
        if isinstance(every := schema.get("allOf"), list):
            for part in every[:MOST_ARMS]:
                inner, within = self._flat(part, (*within, ""))
                parts.append(inner)
        merged: Schema = {}
        for part in (*parts, schema):
            named = {**properties_of(merged), **properties_of(part)}
            required = [*strings(merged.get("required")), *strings(part.get("required"))]
            merged |= part
            if named:
                merged |= {"properties": named}
            if required:
                merged |= {"required": required}
        return {key: merged[key] for key in merged if key not in ("$ref", "allOf")}, within

    def _part(self, schema: Any, within: tuple[str, ...], level: int) -> Schema:
        """Return what is told of a part, which is within so many objects."""
        flat, within = self._flat(schema, (*within, ""))
        arms = arms_of(flat)
        if len(arms) == 1 and isinstance(arms[0], dict):
            rest = {key: flat[key] for key in flat if key not in ("anyOf", "oneOf")}
            return self._part({**arms[0], **rest}, within, level)
        sent: Schema = {}
        kinds = kinds_of(flat)
        if arms and not kinds:
            sent = _either([self._part(arm, within, level) for arm in arms])
        elif kinds:
            sent["type"] = kinds[0] if len(kinds) == 1 else kinds
        if values := values_of(flat):
            sent["enum"] = values
        sent |= {key: flat[key] for key in _BOUNDS if is_number(flat.get(key))}
        sent |= {key: flat[key] for key in ("format", "pattern") if is_plain(flat.get(key), 60)}
        if kinds == ["array"]:
            sent["items"] = self._part(flat.get("items", {}), within, level)
        description = defused(flat.get("description"), self._length) if self._length else ""
        if kinds == ["object"] and properties_of(flat):
            if level < self._depth:
                sent |= self._object(flat, within, level + 1)
            else:
                names = ", ".join(islice(filter(is_name, properties_of(flat)), MOST_ARMS))
                description = f"{description} (an object with {names})".strip()
        return {**sent, "description": description} if description else sent

    def _object(self, flat: Schema, within: tuple[str, ...], level: int) -> Schema:
        """Return the properties of an object; where there are too many, the required ones first."""
        required = set(strings(flat.get("required")))
        names = [name for name in properties_of(flat) if is_name(name)]
        if len(names) > MOST_PROPERTIES:
            chosen = set(sorted(names, key=lambda name: name not in required)[:MOST_PROPERTIES])
            names = [name for name in names if name in chosen]
        properties = {
            name: self._part(flat["properties"][name], within, level)
            for name in names
            if self._left > 0
        }
        sent: Schema = {"type": "object", "properties": properties}
        if needed := [name for name in properties if name in required]:
            sent["required"] = needed
        return sent


def _either(nodes: list[Schema]) -> Schema:
    """Return one of several parts; those that are but types, as one with several types."""
    different = list({json.dumps(node, sort_keys=True): node for node in nodes}.values())
    if len(different) == 1:
        return different[0]
    if all(node.keys() == {"type"} and isinstance(node["type"], str) for node in different):
        return {"type": [node["type"] for node in different]}
    if all("enum" in node and node.keys() <= {"type", "enum"} for node in different):
        return {"enum": [value for node in different for value in node["enum"]]}
    return {"anyOf": different}
