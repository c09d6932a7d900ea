"""A model's arguments as their tool's schema takes them, where there is but one way to mean it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..offers.keywords import resolved
from .literals import read_whole

Schema = Mapping[str, Any]

#: How deeply arguments are mended, and how many parts of a schema are looked at.
DEEPEST = 12
MOST_PARTS = 20_000
#: Names that models put around all arguments.
WRAPPERS = ("arguments", "parameters", "args", "input", "kwargs", "params")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,30})(\.\d{1,30})?([eE][+-]?\d{1,2})?")
_WORDS = {"true": True, "false": False}
_TYPES = frozenset(("string", "number", "integer", "boolean", "array", "object", "null"))


class Mender:
    """Mends values by one schema; what fits its type is left as it is."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MOST_PARTS

    def whole(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return all arguments of a call, mended."""
        schema = self._flat(self._root)
        known = _known(schema)
        if len(arguments) == 1 and known:
            (name, inner), *_ = arguments.items()
            if name in WRAPPERS and name not in known:
                inner = _object(inner)
                if inner and inner.keys() <= known.keys():
                    arguments = inner
        mended: dict[str, Any] = self.value(arguments, self._root)
        return mended

    def value(self, value: Any, schema: Any, depth: int = 0) -> Any:
        """Return a value, mended by its own part of the schema."""
        flat = self._flat(schema)
        kinds = self.kinds(flat)
        if depth > DEEPEST or not flat or kinds is None:
            return value
        if not _is_of(value, kinds):
            value = self._mended(value, kinds, flat)
        elif isinstance(value, str):
            value = _in_letters(value, flat.get("enum"))
        if isinstance(value, dict):
            return self._mend_object(value, self._for_kind(flat, "object"), depth)
        if isinstance(value, list):
            items = self._for_kind(flat, "array").get("items")
            return [self.value(item, items, depth + 1) for item in value]
        return value

    def _mended(self, value: Any, kinds: set[str], flat: Schema) -> Any:
        """Return a value of a type that is not allowed as the one that it surely means."""
        if isinstance(value, str):
            read = _read(value.strip(), kinds)
            if read is not None or (value.strip() == "null" and "null" in kinds):
                return read
        if type(value) is int and "string" in kinds and kinds <= {"string", "null"}:
            return str(value)
        if "array" in kinds and kinds <= {"array", "null"} and not isinstance(value, list):
            return self._listed(value, flat)
        return value

    def _listed(self, value: Any, flat: Schema) -> Any:
        """Return a list of one value, if that is an item, and no list of several in disguise."""
        items = self.kinds(self._flat(self._for_kind(flat, "array").get("items")))
        if items is None or value is None:
            return value
        if isinstance(value, str) and (not value.strip() or re.search(r"[,;\n]|^\s*[\[{]", value)):
            return value
        return [value] if _is_of(value, items) else value

    def _mend_object(self, value: dict[str, Any], flat: Schema, depth: int) -> dict[str, Any]:
        """Return an object with its properties mended, and without nulls that mean nothing."""
        properties, required = _known(flat), flat.get("required")
        needed = required if isinstance(required, list) else ()
        mended = {}
        for name, inner in value.items():
            if inner is None and name in properties and name not in needed:
                kinds = self.kinds(self._flat(properties[name]))
                if kinds is not None and "null" not in kinds:
                    continue
            mended[name] = self.value(inner, properties.get(name), depth + 1)
        return mended

    def _flat(self, schema: Any) -> dict[str, Any]:
        """Return a part with its `$ref`, and an `allOf` of one, merged in."""
        merged: dict[str, Any] = {}
        for _ in range(DEEPEST):
            self._left -= 1
            if not isinstance(schema, dict) or self._left < 0:
                break
            merged = {**schema, **merged}
            several = schema.get("allOf")
            if "$ref" in schema:
                schema = resolved(self._root, schema)
            elif isinstance(several, list) and len(several) == 1:
                schema = several[0]
            else:
                break
        return merged

    def kinds(self, flat: Schema, depth: int = 0) -> set[str] | None:
        """Return the types that a part allows, or None if it does not say."""
        named = flat.get("type")
        if isinstance(named, str | list):
            return {
                kind for kind in ([named] if isinstance(named, str) else named) if _is_type(kind)
            }
        values = [flat["const"]] if "const" in flat else flat.get("enum")
        if isinstance(values, list):
            return {kind for value in values[:MOST_PARTS] for kind in _kinds_of(value)}
        arms = _arms(flat)
        if not arms or depth > DEEPEST:
            return {"object"} if _known(flat) else None
        allowed: set[str] = set()
        for arm in arms:
            kinds = self.kinds(self._flat(arm), depth + 1)
            if kinds is None:
                return None
            allowed |= kinds
        return allowed

    def _for_kind(self, flat: Schema, kind: str) -> Schema:
        """Return the part that says what an object, or a list, holds: the only one of its kind."""
        own = "properties" if kind == "object" else "items"
        fitting = [
            arm
            for arm in (self._flat(arm) for arm in _arms(flat))
            if kind in (self.kinds(arm) or ())
        ]
        if own not in flat and len(fitting) == 1:
            return fitting[0]
        return flat


def _read(text: str, kinds: set[str]) -> Any:
    """Return what a text says as JSON, if that is of one of these types; else None."""
    if text.startswith(("{", "[")):
        try:
            value = read_whole(text)
        except ValueError:
            return None
        return value if _is_of(value, kinds) else None
    if "boolean" in kinds and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text) and {"number", "integer"} & kinds:
        number = json.loads(text)
        if isinstance(number, float) and number.is_integer() and "number" not in kinds:
            number = int(number)
        return number if _is_of(number, kinds) else None
    return None


def _object(value: Any) -> dict[str, Any] | None:
    """Return an object, or what a text says if it is one."""
    if isinstance(value, str):
        value = _read(value.strip(), {"object"})
    return value if isinstance(value, dict) else None


def _in_letters(value: str, values: Any) -> str:
    """Return the one value of an enum that is this but for small and capital letters."""
    if not isinstance(values, list) or value in values or len(values) > MOST_PARTS:
        return value
    same = [one for one in values if isinstance(one, str) and one.casefold() == value.casefold()]
    return same[0] if len(same) == 1 else value


def _known(flat: Schema) -> dict[str, Any]:
    properties = flat.get("properties")
    return properties if isinstance(properties, dict) else {}


def _arms(flat: Schema) -> list[Any]:
    for keyword in ("anyOf", "oneOf"):
        if isinstance(arms := flat.get(keyword), list):
            return arms[:MOST_PARTS]
    return []


def _is_type(kind: Any) -> bool:
    return isinstance(kind, str) and kind in _TYPES


def _is_of(value: Any, kinds: set[str]) -> bool:
    return not kinds.isdisjoint(_kinds_of(value))


def _kinds_of(value: Any) -> tuple[str, ...]:
    """Return the JSON types of a value; a whole number has two."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, int | float):
        return ("integer", "number") if value == value // 1 else ("number",)
    if isinstance(value, str):
        return ("string",)
    return ("array",) if isinstance(value, list) else ("object",)
