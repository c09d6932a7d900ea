"""Schemas without references and combinations at their top: plain keywords."""

from __future__ import annotations

from functools import reduce
from typing import Any

from ...errors import InvalidArgument
from .conjunction import both
from .keywords import DYNAMIC, KEPT, Schema
from .references import circular, resolve

#: Parts of a schema that are looked at, references followed; more are refused.
MOST_PARTS = 5_000


class Flattener:
    """One reading of a schema; `left` takes the keywords that are given up."""

    def __init__(self, root: Schema, left: set[str]) -> None:
        self._root = root
        self._parts = 0
        self._left = left

    def flat(self, schema: Any, followed: tuple[str, ...] = ()) -> Schema:
        """Return a schema without `$ref`, `allOf` and `if` at its top: plain keywords.

        Raises:
            InvalidArgument: a reference leads nowhere or back to itself, or there are too many
                parts.
        """
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise entangled()
        if not isinstance(schema, dict):
            return {} if schema else {"not": {}}
        parts = [{key: value for key, value in schema.items() if key in KEPT}]
        if isinstance(reference := schema.get("$ref"), str):
            if reference in followed:
                raise circular()
            target = resolve(self._root, reference)
            parts.append(self.flat(target, (*followed, reference)))
        parts += [self.flat(part, followed) for part in schema.get("allOf") or ()]
        if "oneOf" in schema:
            self._left.add("oneOf")  # that no two fit
            parts.append({"anyOf": schema["oneOf"]})
        if "if" in schema and ("then" in schema or "else" in schema):
            self._left.add("if")
            parts.append({"anyOf": [schema.get("then", True), schema.get("else", True)]})
        if schema.get("dependentSchemas"):  # an answer that has all the names is one of those
            self._left.add("dependentSchemas")
            parts.append({"anyOf": [{"allOf": [*schema["dependentSchemas"].values()]}, True]})
        self._left |= schema.keys() & DYNAMIC
        return reduce(lambda one, other: both(one, other, self._left), parts)


def entangled() -> InvalidArgument:
    """Return that a schema is too large, references followed."""
    return InvalidArgument(
        f"the schema has more than {MOST_PARTS} parts, references followed",
        "Ask for less at once: fewer fields, fewer alternatives",
    )
