"""Strings, whole numbers and counts, as far as the grammar can hold them.

Each takes a flat schema, and adds the keywords that are sent, or need no check, to `held`.
"""

from __future__ import annotations

import math

from .keywords import Schema
from .patterns import held_pattern
from .violations import CHECKED

#: Repetitions that are sent; the daemon refuses about 2,000.
MOST_REPETITIONS = 1_000
#: Whole numbers have at most 16 digits in the grammar; a bound of 10^16 keeps it busy for ever.
MOST_DIGITS = 10**15 - 1
#: The formats that the grammar knows.
FORMATS = frozenset(("date", "time", "date-time", "uuid"))


def string(flat: Schema, held: set[str]) -> Schema:
    """Return what is sent of a string."""
    pattern = held_pattern(flat["pattern"]) if "pattern" in flat else None
    if pattern is not None:
        held.add("pattern")
        return {"type": "string", "pattern": pattern}
    if flat.get("format") not in CHECKED:
        held.add("format")  # nobody checks it
    if flat.get("format") in FORMATS:
        held.add("format")
        return {"type": "string", "format": flat["format"]}
    return {"type": "string", **bounds(flat, "minLength", "maxLength", held)}


def integer(flat: Schema, held: set[str]) -> Schema:
    """Return what is sent of a whole number.

    Bounds are sent in pairs: alone, a bound of more than one digit is not kept.
    """
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


def bounds(flat: Schema, low: str, high: str, held: set[str]) -> Schema:
    """Return those of two bounds that can be sent; `held` takes their names."""
    given = {key: int(flat[key]) for key in (low, high) if key in flat}
    sent = {key: value for key, value in given.items() if value <= MOST_REPETITIONS}
    if sent.get(low, 0) > given.get(high, math.inf):
        return {}
    held.update(sent)
    return sent
