"""What a part of a foreign schema says, looked at only so far, whatever its server wrote."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

from ...delegation.structured.references import resolve
from ...errors import InvalidArgument
from .wording import is_plain

Schema = dict[str, Any]

#: Names of one object that are looked at, and alternatives; values of an enum.
MOST_NAMES = 1_000
MOST_ARMS = 6
MOST_VALUES = 50
#: Characters of a name or a value, and of all values of an enum.
LONGEST = 100
LONGEST_ENUM = 1_000

_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")


def resolved(root: Any, schema: Schema) -> Any:
    """Return what the `$ref` of a part leads to, by a path within `root`; None if to nothing."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    try:
        return resolve(root, reference)
    except InvalidArgument:
        return None


def properties_of(schema: Schema) -> Schema:
    """Return the properties of an object; of very many, the first."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return dict(islice(properties.items(), MOST_NAMES))


def strings(value: Any) -> list[str]:
    """Return the texts of a list; none if it is no list."""
    few = value[:MOST_NAMES] if isinstance(value, list) else ()
    return [one for one in few if isinstance(one, str)]


def is_name(name: Any) -> bool:
    """Return whether a name of a property can be told."""
    return bool(name) and is_plain(name, LONGEST)


def arms_of(schema: Schema) -> list[Any]:
    """Return the alternatives of a part, without null."""
    for keyword in ("anyOf", "oneOf"):
        if isinstance(arms := schema.get(keyword), list):
            few = arms[: MOST_ARMS + 1]
            return [arm for arm in few if not (isinstance(arm, dict) and _is_null(arm))]
    return []


def _is_null(schema: Schema) -> bool:
    return schema.get("type") == "null" or schema.get("const", "") is None


def kinds_of(schema: Schema) -> list[str]:
    """Return the types that a part says it has, or means, without null unless it is all."""
    named = schema.get("type")
    kinds = strings([named] if isinstance(named, str) else named)
    known = list(dict.fromkeys(kind for kind in kinds if kind in _TYPES))
    if not known and properties_of(schema):
        return ["object"]
    return [kind for kind in known if kind != "null"] or known


def values_of(schema: Schema) -> list[Any]:
    """Return the values that a part allows, if they are few, short and plain; else none."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or not 0 < len(values) <= MOST_VALUES:
        return []
    values = [value for value in values if value is not None]
    if not all(
        is_plain(value, LONGEST) or isinstance(value, bool) or is_number(value) for value in values
    ):
        return []
    return values if sum(len(str(value)) for value in values) <= LONGEST_ENUM else []


def is_number(value: Any) -> bool:
    """Return whether a value is a number that JSON can say."""
    return type(value) in (int, float) and abs(value) < 1e300 and not math.isnan(value)
