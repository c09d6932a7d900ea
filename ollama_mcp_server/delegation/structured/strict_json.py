"""JSON as its standard has it: what Python's own reader lets through, found."""

import math
from typing import Any


def refuse_constant(name: str) -> Any:
    """Raise ValueError for NaN and Infinity: `parse_constant` of json's readers."""
    raise ValueError(name)


def finite(digits: str) -> float:
    """Return a number, as `parse_float` of json's readers; raises ValueError for one too large."""
    if math.isinf(number := float(digits)):
        raise ValueError(digits[:40])
    return number


def depth_of(value: Any, most: int) -> int:
    """Return how deeply objects and lists are nested, counted up to one more than `most`."""
    depth, level = 0, [value]
    while level and depth <= most:
        depth += 1
        level = [
            inner
            for part in level
            for inner in (part.values() if isinstance(part, dict) else part)
            if isinstance(inner, dict | list)
        ]
    return depth
