"""What is wrong with an answer, by the caller's JSON Schema: short sentences with their place.

A schema can be written so that checking takes for ever (a pattern that backtracks, alternatives
that multiply). So the check has a deadline, and where a pattern may outlast it (the regular
expressions of Python cannot be stopped, and stop all else meanwhile) it is done by a process of its
own, which can be ended. For that process this module imports nothing heavy.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from ...faults import place, sentence
from .patterns import is_quick

if TYPE_CHECKING:
    from jsonschema import FormatChecker
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

#: Most sentences, and characters of each.
MOST = 10
LENGTH = 200
#: Seconds that a check may take.
PATIENCE = 5.0
#: Keywords that may be under way at once; more would overflow the stack, and jsonschema's own code
#: in Rust does not survive that.
DEEPEST = 200
#: The values of `format` that are checked; others are annotations, as the specification has it.
CHECKED = frozenset(
    ("date", "date-time", "email", "idn-email", "ipv4", "ipv6", "regex", "time", "uuid")
)
_TIME = re.compile(
    r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.I
)
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
#: Keywords in words; `{}` is what the schema says there.
_WORDS = {
    "const": "must be {}",
    "enum": "must be one of {}",
    "pattern": "is not of the form {}",
    "format": "is not of the format {}",
    "minimum": "must be {} or more",
    "exclusiveMinimum": "must be more than {}",
    "maximum": "must be {} or less",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "needs at least {} characters",
    "maxLength": "takes at most {} characters",
    "minItems": "needs at least {} items",
    "maxItems": "takes at most {} items",
    "uniqueItems": "must not hold the same item twice",
    "contains": "needs an item that contains asks for",
    "minProperties": "needs at least {} properties",
    "maxProperties": "takes at most {} properties",
    "oneOf": "must fit one of the alternatives, and fits several",
    "anyOf": "must fit one of the alternatives",
    "not": "must not be what the schema excludes",
}


#: What that other process runs: a module, found on the path that it is given.
_RUN = """\
import json, runpy, sys
sys.path += json.loads(sys.argv[1])
runpy.run_module(sys.argv[2], run_name="__main__")
"""


class TooSlow(Exception):
    """The check took longer than it may."""


class TooDeep(Exception):
    """The check went deeper than it may."""


def violations(data: Any, schema: Any, patience: float = PATIENCE) -> list[str]:
    """Return what is wrong with data, at most `MOST` sentences; nothing if it fits.

    Raises:
        TooSlow: it took more than so many seconds.
    """
    size = len(json.dumps(data))
    if all(is_quick(pattern, size) for pattern in _patterns(schema)):
        return sentences(data, schema, patience)
    return _apart(data, schema, patience)


def sentences(data: Any, schema: Any, patience: float = PATIENCE) -> list[str]:
    """As `violations`, here and now: a pattern that backtracks is not stopped."""
    from jsonschema.exceptions import best_match

    found: dict[str, None] = {}
    try:
        errors = list(islice(checker(schema, patience).iter_errors(data), 5 * MOST))
    except (TooDeep, RecursionError):
        return ["the answer is nested too deeply to be checked"]
    for error in sorted(errors, key=lambda error: [str(step) for step in error.absolute_path]):
        nearest = best_match([error]) or error
        where = place(tuple(nearest.absolute_path)) or "the answer"
        for what in _said(nearest):
            if "propertyNames" in nearest.absolute_schema_path:
                what = f"is wrong in its names: one {what}"
            found[_short(sentence(where, what))] = None
    if len(found) <= MOST:
        return list(found)
    return [*islice(found, MOST - 1), "and more"]


def checker(schema: Any, patience: float = PATIENCE) -> Validator:
    """Return the validator of a schema's dialect, 2020-12 by default; it fetches nothing."""
    import jsonschema
    from jsonschema import validators
    from referencing import Registry

    until, depth = time.monotonic() + patience, 0

    def bounded(keyword: Callable[..., Any]) -> Callable[..., Iterator[ValidationError]]:
        def check(*args: Any) -> Iterator[ValidationError]:
            nonlocal depth
            if time.monotonic() > until:
                raise TooSlow
            if depth == DEEPEST:
                raise TooDeep
            depth += 1
            try:
                yield from keyword(*args) or ()
            finally:
                depth -= 1

        return check

    dialect = validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    checks = {name: bounded(keyword) for name, keyword in dialect.VALIDATORS.items()}
    if isinstance(schema, dict):  # where it is met again, it would bring back the dialect's own
        schema = {key: value for key, value in schema.items() if key != "$schema"}
    extend: Any = validators.extend
    made: Validator = extend(dialect, checks)(
        schema, format_checker=_formats(), registry=Registry()
    )
    return made


def _formats() -> FormatChecker:
    from jsonschema import FormatChecker

    formats = FormatChecker(CHECKED - {"date-time", "time"})
    formats.checks("time")(lambda value: not isinstance(value, str) or bool(_TIME.fullmatch(value)))

    def is_moment(value: object) -> bool:
        if not isinstance(value, str):
            return True
        date, _, clock = value.upper().partition("T")
        return formats.conforms(date, "date") and formats.conforms(clock, "time")

    formats.checks("date-time")(is_moment)
    return formats


def _said(error: ValidationError) -> list[str]:
    """Return an error of jsonschema in words of ours; no values of the answer."""
    if error.validator is None:  # the schema there is false; jsonschema does not tell where
        return ["must not hold what the schema excludes"]
    keyword = str(error.validator)
    value, told, schema = (
        cast("Any", part) for part in (error.instance, error.validator_value, error.schema)
    )
    if keyword == "type":
        kinds = [told] if isinstance(told, str) else told
        return ["must be " + " or ".join(_TYPES.get(str(kind), str(kind)) for kind in kinds)]
    if keyword == "required":
        return [f"must have {name}" for name in told if name not in value][:MOST]
    if keyword == "additionalProperties":
        known = schema.get("properties") or {}
        return [f"must not have {name}" for name in value if name not in known][:MOST]
    if keyword == "enum":
        return ["must be one of " + ", ".join(_json(option) for option in told[:MOST])]
    if keyword in ("pattern", "format"):
        return [_WORDS[keyword].format(told)]
    return [_WORDS[keyword].format(_json(told)) if keyword in _WORDS else f"is against {keyword}"]


def _json(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False), 60)


def _short(text: str, length: int = LENGTH) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _patterns(schema: Any) -> Iterator[str]:
    """Yield every regular expression of a schema."""
    if isinstance(schema, dict):
        if isinstance(pattern := schema.get("pattern"), str):
            yield pattern
        if isinstance(named := schema.get("patternProperties"), dict):
            yield from named
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            yield from _patterns(part)


def _apart(data: Any, schema: Any, patience: float) -> list[str]:
    """Check in a process of its own, which finds what this one finds, and nothing in its folder."""
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-I", "-c", _RUN, json.dumps([*filter(None, sys.path)]), __name__],
            input=json.dumps([data, schema]).encode(),
            capture_output=True,
            timeout=patience,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        raise TooSlow from None
    said: list[str] = json.loads(done.stdout)
    return said


if __name__ == "__main__":
    if hasattr(signal, "alarm"):
        signal.alarm(2 * int(PATIENCE))  # should nobody be left to end it
    print(json.dumps(sentences(*json.load(sys.stdin))))  # noqa: T201 - the answer of the process
