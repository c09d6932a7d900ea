"""Answers by a JSON Schema: parsed, checked, and asked for again where they do not fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from ...errors import ContextOverflow, InvalidArgument, OllamaMCPError, ToolFailed
from ..answer import Answer
from .references import check_references
from .violations import TooSlow, checker, violations

#: Largest schema, in characters of JSON, and its deepest nesting.
MOST_CHARACTERS = 200_000
DEEPEST = 80
#: What the daemon counts and measures; of several tries, the sum is told.
COUNTED = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_cached_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)
_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_THOUGHT = "</think>"

#: Asks the model, with earlier answers and what was said to each at the end of the conversation.
Ask = Callable[[list[tuple[str, str]]], Awaitable[Answer]]


@dataclass
class Parsed:
    """What a text holds: the JSON alone with its data, or what is wrong."""

    text: str
    data: Any = None
    violations: list[str] = field(default_factory=list)
    #: Whether the text was JSON at all.
    is_json: bool = True


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
    if size > MOST_CHARACTERS or _depth(schema) > DEEPEST:
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


def correction(violations: Sequence[str]) -> str:
    """Return what the model is told of an answer that did not fit."""
    listed = "\n".join(f"- {violation}" for violation in violations)
    return (
        f"That answer cannot be used:\n{listed}\n"
        "Answer again: the whole JSON, corrected, and nothing else."
    )


async def ask_for_data(ask: Ask, schema: dict[str, Any] | None, retries: int = 2) -> Answer:
    """Ask for JSON until it fits the schema; return the answer with its `data`.

    Tokens and durations of the answer are the sums of all tries. An answer that was cut at the
    length limit is not asked for again: the next would be cut as well, at the same cost.

    Args:
        ask: asks once; it is given the earlier answers and their corrections, and may return the
            same object each time.
        schema: the caller's own; None asks only for JSON.
        retries: how often the model is asked again.

    Raises:
        ToolFailed: what came does not fit; `details` has its `content` and the `violations`.
        OllamaMCPError: whatever went wrong in asking.
    """
    corrections: list[tuple[str, str]] = []
    spent: dict[str, int] = {}
    first: list[str] = []
    for attempt in range(max(retries, 0) + 1):
        try:
            answer = await ask(corrections)
        except ContextOverflow:
            if not corrections:
                raise
            break  # the corrections did not fit any more; the failure is the one before
        spent = {key: spent.get(key, 0) + (answer.final.get(key) or 0) for key in COUNTED}
        if _asks_for_none(answer):
            return answer
        parsed = await anyio.to_thread.run_sync(
            parse, answer.content, schema, abandon_on_cancel=True
        )
        if not parsed.violations:
            return _complete(answer, parsed, spent, attempt + 1, first)
        if answer.done_reason == "length" and not parsed.is_json:
            raise _cut(answer.content, parsed.violations)
        first = first or parsed.violations
        corrections.append((answer.content, correction(parsed.violations)))
        content, wrong = answer.content, parsed.violations
    raise _unfit(content, wrong, len(corrections))


def _asks_for_none(answer: Answer) -> bool:
    """Return whether no JSON is to be expected: tools are called, or nothing was asked."""
    return (
        (bool(answer.tool_calls) and not answer.content)
        or answer.done_reason in ("load", "unload")
        or "_debug_info" in answer.final
    )


def _complete(
    answer: Answer, parsed: Parsed, spent: dict[str, int], asked: int, first: list[str]
) -> Answer:
    """Fill in what the answer is as data, and what it cost."""
    if parsed.text != answer.content.strip():
        answer.warnings.append("what stood around the JSON was left out")
    if asked > 1:
        answer.warnings.append(f"asked {asked} times: the first answer did not fit: {first[0]}")
        answer.final.update({key: value for key, value in spent.items() if value})
    answer.content, answer.data = parsed.text, parsed.data
    return answer


def _cut(content: str, wrong: list[str]) -> OllamaMCPError:
    return ToolFailed(
        "the answer was cut at the length limit before its JSON was complete",
        "Raise options.num_predict or num_ctx, or ask for less: shorter lists, maxItems, maxLength",
        content=content,
        violations=wrong,
        done_reason="length",
    )


def _unfit(content: str, wrong: list[str], asked: int) -> OllamaMCPError:
    times = "once" if asked == 1 else f"{asked} times"
    return ToolFailed(
        f"the model was asked {times}, and its answer does not fit: {wrong[0]}",
        "Say in the prompt what each field means, simplify the schema, or take a larger model; "
        "details.content has the last answer",
        content=content,
        violations=wrong,
        asked=asked,
    )


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
        data = json.loads(text, parse_constant=_refuse, parse_float=_finite)
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


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits[:40])
    return number


def _depth(value: Any) -> int:
    """Return how deeply objects and lists are nested."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            inner
            for part in level
            for inner in (part.values() if isinstance(part, dict) else part)
            if isinstance(inner, dict | list)
        ]
    return depth
