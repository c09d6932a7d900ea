"""The JSON that an answer holds, and whether it fits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from ...errors import InvalidArgument
from .strict_json import finite, refuse_constant
from .violations import TooSlow, violations

_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_THOUGHT = "</think>"


@dataclass
class Parsed:
    """What a text holds: the JSON alone with its data, or what is wrong."""

    text: str
    data: Any = None
    violations: list[str] = field(default_factory=list)
    #: Whether the text was JSON at all.
    is_json: bool = True


def parse(text: str, schema: dict[str, Any] | None) -> Parsed:
    """Return the data that an answer holds, or what is wrong with it; None asks only for JSON.

    A Markdown fence around the JSON and a thought before it (`</think>`) are left out; nothing
    within the JSON is mended. Takes as long as the check does: not for the event loop.

    Raises:
        InvalidArgument: the check takes too long.
    """
    parsed = _json(text)
    if schema is None or parsed.violations:
        return parsed
    try:
        parsed.violations = violations(parsed.data, schema)
    except TooSlow:
        raise InvalidArgument(
            "the answer could not be checked by the schema within seconds",
            "Simplify its patterns (no repetition within a repeated group) and alternatives",
        ) from None
    return parsed


def _json(text: str) -> Parsed:
    """Return the JSON of a text, which may stand in one Markdown fence, or after a thought."""
    whole = text.strip()
    if not whole:
        return Parsed(whole, violations=["the answer is empty"], is_json=False)
    parsed = _loaded(whole)
    said = whole.rpartition(_THOUGHT)[2].strip() if _THOUGHT in whole else whole
    fenced = _FENCE.findall(said)
    for part in (said, *fenced[: len(fenced) == 1]):
        if parsed.is_json:
            break
        inner = _loaded(part.strip())
        parsed = inner if inner.is_json else parsed
    return parsed


def _loaded(text: str) -> Parsed:
    try:
        data = json.loads(text, parse_constant=refuse_constant, parse_float=finite)
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Parsed(text, violations=["the answer holds half a character (a lone surrogate)"])
    except json.JSONDecodeError as error:
        wrong = f"the answer is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        return Parsed(text, violations=[wrong], is_json=False)
    except RecursionError:
        return Parsed(text, violations=["the answer is nested too deeply"])
    except ValueError:  # of NaN and Infinity, and of thousands of digits
        return Parsed(text, violations=["the answer holds a number that is none, or too large"])
    return Parsed(text, data)
