"""Two JSON Schemas that must both fit, as one; for plain keywords, without references."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .keywords import Schema

#: Alternatives that are multiplied out, where an answer must fit one of each of two lists.
MOST_ALTERNATIVES = 16


def both(one: Schema, other: Schema, left: set[str]) -> Schema:
    """Return the keywords of two schemas that must both fit; `left` takes those that are lost."""
    merged = {**one, **other}
    for key in one.keys() & other.keys():
        first, second = one[key], other[key]
        if first == second and type(first) is type(second):
            continue
        if key in _JOINED:
            merged[key] = _JOINED[key](first, second)
        elif key == "anyOf" and len(first) * len(second) <= MOST_ALTERNATIVES:
            merged[key] = [{"allOf": [this, that]} for this in first for that in second]
        else:
            merged[key] = first
            left.add(key)
            if key == "anyOf":  # the names that the lost alternatives have must be writable
                merged["additionalProperties"] = True
    return merged


def _shared(one: list[Any], other: list[Any]) -> list[Any]:
    """Return the values of `one` that are in `other`; 1 is not true here."""
    texts = {json.dumps(value, sort_keys=True) for value in other}
    return [value for value in one if json.dumps(value, sort_keys=True) in texts]


def _shared_types(one: Any, other: Any) -> Any:
    first, second = ([part] if isinstance(part, str) else part for part in (one, other))
    shared = [kind for kind in first if kind in second]
    if "integer" not in shared and {"integer", "number"} <= {*first, *second}:
        shared.append("integer")
    return shared or one


def _merged_properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> Schema:
    shared = {name: _all_of(one[name], other[name]) for name in one if name in other}
    return {**one, **other, **shared}


def _all_of(one: Any, other: Any) -> Schema:
    return {"allOf": [one, other]}


#: How two keywords of the same name are one, where both must fit.
_JOINED: dict[str, Callable[[Any, Any], Any]] = {
    "type": _shared_types,
    "properties": _merged_properties,
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "enum": lambda one, other: _shared(one, other) or one,
    "items": _all_of,
    "additionalProperties": _all_of,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
}
