"""Which JSON Schemas an answer can be checked by."""

from __future__ import annotations

import json
from typing import Any

from ...errors import InvalidArgument
from .references import check_references
from .strict_json import depth_of
from .violations import TooSlow, checker

#: Largest schema, in characters of JSON, and its deepest nesting.
MOST_CHARACTERS = 200_000
DEEPEST = 80


def check_schema(schema: Any) -> None:
    """Raise InvalidArgument unless this is a JSON Schema that an answer can be checked by."""
    from jsonschema.exceptions import SchemaError

    if not isinstance(schema, dict) or not isinstance(schema.get("$schema", ""), str):
        raise InvalidArgument("the schema must be a JSON Schema", 'As in {"type": "object", …}')
    try:
        size = len(json.dumps(schema, allow_nan=False))
    except ValueError as error:
        raise InvalidArgument("the schema holds a number that is not finite") from error
    except RecursionError:
        size = MOST_CHARACTERS + 1
    if size > MOST_CHARACTERS or depth_of(schema, DEEPEST) > DEEPEST:
        raise InvalidArgument(
            f"the schema is too large: the most is {MOST_CHARACTERS:,} characters of JSON, nested "
            f"{DEEPEST} deep",
            "Ask for less at once",
        )
    try:
        checker(schema).check_schema(schema)
    except (TooSlow, RecursionError):
        raise InvalidArgument("the schema is too large to be checked") from None
    except SchemaError as error:
        where = "".join(f"/{step}" for step in error.absolute_path)
        raise InvalidArgument(
            f"this is no valid JSON Schema: #{where}: {error.message[:200]}",
            "See json-schema.org; JSON Schema 2020-12 is meant, unless $schema says otherwise",
        ) from error
    check_references(schema)
