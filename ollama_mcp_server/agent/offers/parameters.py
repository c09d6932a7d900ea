"""A tool's parameters as a model is told them: shallow, short, without references.

Small models choose and fill in badly where a schema is long, so they are told names, types, values
and a line of description. Calls are checked by the tool's own schema, not by this one. A foreign
server may write what it likes into a schema: of that, only so much is ever looked at, nothing is
fetched, and what comes out has the form that the daemon takes.
"""

from __future__ import annotations

import json
import math
from itertools import islice
from typing import Any

from ...delegation.structured.references import resolve
from ...errors import InvalidArgument
from .wording import defused, is_plain

Schema = dict[str, Any]

#: How deeply objects are told, with how long descriptions; the next where the last was too large.
MANNERS = ((2, 200), (1, 80), (0, 40), (0, 0))
#: Characters of JSON that one tool's parameters may take.
MOST_CHARACTERS = 8_000
#: Parts that are looked at, references followed, and how deeply.
MOST_PARTS = 400
DEEPEST = 16
#: Names of one object that are looked at, and that are told; alternatives; values of an enum.
MOST_NAMES = 1_000
MOST_PROPERTIES = 60
MOST_ARMS = 6
MOST_VALUES = 50
#: Characters of a name or a value, and of all values of an enum.
LONGEST = 100
LONGEST_ENUM = 1_000

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
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


def resolved(root: Any, schema: Schema) -> Any:
    """Return what the `$ref` of a part leads to, by a path within `root`; None if to nothing."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    try:
        return resolve(root, reference)
    except InvalidArgument:
        return None


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
        if (kinds := _kinds(flat)) and "object" not in kinds:
            raise InvalidArgument("the parameters are not described as an object")
        if not isinstance(flat.get("properties", {}), dict):
            raise InvalidArgument("the properties of the parameters are no object")
        flat = self._united(flat, within)
        return {"type": "object", "properties": {}, **self._object(flat, within, 0)}

    def _united(self, flat: Schema, within: tuple[str, ...]) -> Schema:
        """Return a schema with the properties of its alternatives; required is what all require."""
        arms = [self._flat(arm, within)[0] for arm in _arms(flat)]
        if not arms:
            return flat
        named: dict[str, list[Any]] = {}
        for arm in arms:
            for name, part in _named(arm).items():
                named.setdefault(name, []).append(part)
        properties = {name: {"anyOf": parts} for name, parts in named.items()}
        required = [
            name
            for name in _strings(arms[0].get("required"))
            if all(name in _strings(arm.get("required")) for arm in arms)
        ]
        return {
            **flat,
            "properties": {**properties, **_named(flat)},
            "required": [*_strings(flat.get("required")), *required],
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
            named = {**_named(merged), **_named(part)}
            required = [*_strings(merged.get("required")), *_strings(part.get("required"))]
            merged |= part
            if named:
                merged |= {"properties": named}
            if required:
                merged |= {"required": required}
        return {key: merged[key] for key in merged if key not in ("$ref", "allOf")}, within

    def _part(self, schema: Any, within: tuple[str, ...], level: int) -> Schema:
        """Return what is told of a part, which is within so many objects."""
        flat, within = self._flat(schema, (*within, ""))
        arms = _arms(flat)
        if len(arms) == 1 and isinstance(arms[0], dict):
            rest = {key: flat[key] for key in flat if key not in ("anyOf", "oneOf")}
            return self._part({**arms[0], **rest}, within, level)
        sent: Schema = {}
        kinds = _kinds(flat)
        if arms and not kinds:
            sent = _either([self._part(arm, within, level) for arm in arms])
        elif kinds:
            sent["type"] = kinds[0] if len(kinds) == 1 else kinds
        if values := _values(flat):
            sent["enum"] = values
        sent |= {key: flat[key] for key in _BOUNDS if _is_number(flat.get(key))}
        sent |= {key: flat[key] for key in ("format", "pattern") if is_plain(flat.get(key), 60)}
        if kinds == ["array"]:
            sent["items"] = self._part(flat.get("items", {}), within, level)
        description = defused(flat.get("description"), self._length) if self._length else ""
        if kinds == ["object"] and _named(flat):
            if level < self._depth:
                sent |= self._object(flat, within, level + 1)
            else:
                names = ", ".join(islice(filter(_is_name, _named(flat)), MOST_ARMS))
                description = f"{description} (an object with {names})".strip()
        return {**sent, "description": description} if description else sent

    def _object(self, flat: Schema, within: tuple[str, ...], level: int) -> Schema:
        """Return the properties of an object; where there are too many, the required ones first."""
        required = set(_strings(flat.get("required")))
        names = [name for name in _named(flat) if _is_name(name)]
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


def _named(schema: Schema) -> Schema:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return dict(islice(properties.items(), MOST_NAMES))


def _strings(value: Any) -> list[str]:
    few = value[:MOST_NAMES] if isinstance(value, list) else ()
    return [one for one in few if isinstance(one, str)]


def _is_name(name: Any) -> bool:
    return bool(name) and is_plain(name, LONGEST)


def _arms(schema: Schema) -> list[Any]:
    """Return the alternatives of a part, without null."""
    for keyword in ("anyOf", "oneOf"):
        if isinstance(arms := schema.get(keyword), list):
            few = arms[: MOST_ARMS + 1]
            return [arm for arm in few if not (isinstance(arm, dict) and _is_null(arm))]
    return []


def _is_null(schema: Schema) -> bool:
    return schema.get("type") == "null" or schema.get("const", "") is None


def _kinds(schema: Schema) -> list[str]:
    """Return the types that a part says it has, or means, without null unless it is all."""
    named = schema.get("type")
    kinds = _strings([named] if isinstance(named, str) else named)
    known = list(dict.fromkeys(kind for kind in kinds if kind in _TYPES))
    if not known and _named(schema):
        return ["object"]
    return [kind for kind in known if kind != "null"] or known


def _values(schema: Schema) -> list[Any]:
    """Return the values that a part allows, if they are few, short and plain; else none."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not 0 < len(values) <= MOST_VALUES:
        return []
    values = [value for value in values if value is not None]
    if not all(
        is_plain(value, LONGEST) or isinstance(value, bool) or _is_number(value) for value in values
    ):
        return []
    return values if sum(len(str(value)) for value in values) <= LONGEST_ENUM else []


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and not math.isnan(value)


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
